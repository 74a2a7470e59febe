// SPDX-License-Identifier: Apache-2.0
import { inspect } from "node:util";
import { configure, getTextFormatter, isLogLevel, type LogLevel } from "@logtape/logtape";
import { type Option, UsageError } from "./args.ts";
import type { Surroundings } from "./command.ts";

export const logLevelOption = {
  value: "LEVEL",
  help: "How much to log: debug, info, warning (default), error",
} as const satisfies Option;

/** Everything that the rooms log goes to the standard error output. @throws UsageError for a level that is none */
export async function configureLogging(
  level: string | undefined,
  { complain }: Pick<Surroundings, "complain">,
): Promise<void> {
  const format = getTextFormatter({
    timestamp: "date-time",
    timeZone: null,
    value: (value: unknown) => (typeof value === "string" ? value : inspect(value)),
  });
  await configure({
    sinks: { errors: (record) => complain(format(record)) },
    loggers: [
      { category: "rmq", lowestLevel: logLevelOf(level ?? "warning"), sinks: ["errors"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["errors"] },
    ],
    reset: true,
  });
}

function logLevelOf(text: string): LogLevel {
  const level = text.toLowerCase();
  if (!isLogLevel(level)) {
    throw new UsageError(`--log-level takes debug, info, warning or error, not ${text}.`);
  }
  return level;
}
