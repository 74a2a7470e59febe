// SPDX-License-Identifier: Apache-2.0
import { configure, type LogLevel, type LogRecord, reset } from "@logtape/logtape";

/** What is logged from `lowestLevel` on while `run` runs. */
export async function logged(
  run: () => unknown,
  lowestLevel: LogLevel = "warning",
): Promise<string[]> {
  const records: LogRecord[] = [];
  await configure({
    sinks: { list: (record) => void records.push(record) },
    loggers: [
      { category: "rmq", sinks: ["list"], lowestLevel },
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  try {
    await run();
  } finally {
    await reset();
  }
  return records.map(({ message }) => message.join(""));
}
