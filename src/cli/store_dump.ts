// SPDX-License-Identifier: Apache-2.0
import { setImmediate } from "node:timers/promises";
import { type Bound, select, type Selection } from "../store/inspect/select.ts";
import { describeOptions, parseCommandLine, UsageError } from "./args.ts";
import type { Command, Surroundings } from "./command.ts";
import { readTables } from "./store_config.ts";
import { messageJson, messageLine } from "./store_message.ts";
import { directoryOf, type OpenedStore, openStore, storeOptions } from "./store_open.ts";
import { asWord } from "./store_text.ts";
import { parseTime } from "./time_text.ts";

const options = {
  topic: { short: "t", value: "TOPIC", help: "Messages of this topic only" },
  queue: { short: "q", value: "QUEUE", help: "Messages of this queue only" },
  from: {
    value: "BOUND",
    help: "The first message. A number is a place in the log, or with --topic and --queue a\n" +
      "place in the queue; a time is 2026-11-21, 2026-11-21T04:30, 04:30:00.250 (today, local\n" +
      "time) or @1795264200516 (ms since 1970)",
  },
  to: { value: "BOUND", help: "The last message, told in the same way" },
  key: { short: "k", value: "KEY", help: "Messages with this unique key or key only" },
  group: { short: "g", value: "GROUP", help: "Messages that this group has still to consume only" },
  limit: { short: "n", value: "COUNT", help: "At most so many messages" },
  log: {
    help:
      "Walk the log even where the queues of --topic lead to its messages quicker: finds\nwhat queues have lost",
  },
  body: { help: "The body, too: as text, or in Base64 where it is none" },
  ...storeOptions,
} as const;

export const storeDumpCommand: Command = {
  summary: "Print messages, one on a line",
  help:
    `Prints messages of a store in the order of the log, one on a line. It writes nothing, reads no more than it
prints (or searches), and may be used beside a running broker.

  rmq store dump DIR [options]

${describeOptions(options)}
Fields with spaces or control characters are quoted as in JSON. With --json each line is a JSON object. What can't
be read is told on the standard error output, and makes the exit status 1.
`,
  async run(args, surroundings) {
    const { given, operands } = parseCommandLine(options, args, 1);
    if (given.help) return surroundings.print(storeDumpCommand.help), 0;
    const limit = given.limit === undefined ? Infinity : wholeNumber("--limit", given.limit);
    const selection = {
      topic: given.topic,
      queueId: given.queue === undefined ? undefined : wholeNumber("--queue", given.queue),
      key: given.key,
      throughLog: given.log,
    };
    const isOneQueue = given.topic !== undefined && given.queue !== undefined;
    const bounds = {
      from: given.from === undefined ? undefined : parseBound("--from", given.from, isOneQueue, Date.now()),
      to: given.to === undefined ? undefined : parseBound("--to", given.to, isOneQueue, Date.now()),
    };
    const store = await openStore(directoryOf(operands), given.commitlog);
    try {
      const backlog = given.group === undefined ? undefined : backlogOf(store, given.group, given.topic);
      const format = given.json ? messageJson : messageLine;
      return await dump(store, { ...selection, ...bounds, backlog }, limit, (found) => {
        return format(found, given.body);
      }, surroundings);
    } finally {
      store.reader.close();
    }
  },
};

async function dump(
  { reader, layout }: OpenedStore,
  selection: Selection,
  limit: number,
  format: (found: Parameters<typeof messageLine>[0]) => string,
  { print, printOut, complain, stopRequested }: Surroundings,
): Promise<number> {
  let text = "";
  let left = limit;
  let status = 0;
  let isStopped = left === 0;
  stopRequested.then(() => isStopped = true);
  const write = async (): Promise<void> => {
    const piece = text;
    text = "";
    if (printOut === undefined) print(piece);
    else if (!await printOut(piece)) isStopped = true;
  };
  if (isStopped) return 0;
  await select(reader, layout, selection, {
    found(found) {
      text += `${format(found)}\n`;
      left--;
      return left > 0 && !isStopped;
    },
    unreadable(what) {
      status = 1;
      complain(`rmq store dump: ${what}\n`);
    },
    async pause() {
      if (text !== "") await write();
      else await setImmediate();
      return !isStopped;
    },
  });
  if (text !== "") await write();
  return status;
}

/** Where a group stands in the topics that it consumes, or in one of them. @throws where it stands nowhere */
function backlogOf(
  { reader, layout }: OpenedStore,
  group: string,
  topic: string | undefined,
): Map<string, Map<number, number>> {
  const { consumerOffsets, consumerOffsetFile } = readTables(reader, layout.directory);
  const backlog = new Map<string, Map<number, number>>();
  for (const one of consumerOffsets) {
    if (one.group !== group || (topic !== undefined && one.topic !== topic)) continue;
    const queues = backlog.get(one.topic) ?? new Map<number, number>();
    backlog.set(one.topic, queues.set(one.queueId, one.offset));
  }
  if (backlog.size > 0) return backlog;
  const where = topic === undefined ? "" : ` of topic ${asWord(topic)}`;
  throw new Error(`${consumerOffsetFile} has no offsets${where} for the group ${asWord(group)}.`);
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new UsageError(`${option} takes a whole number, not ${text}.`);
  }
  return value;
}

/** @throws UsageError for what is neither a place nor a time */
export function parseBound(option: string, text: string, isOneQueue: boolean, nowMs: number): Bound {
  if (/^[0-9]+$/.test(text)) {
    const offset = wholeNumber(option, text);
    return isOneQueue ? { queueOffset: offset } : { physicalOffset: offset };
  }
  const timeMs = parseTime(text, nowMs);
  if (timeMs === undefined) throw new UsageError(`${option} takes an offset or a time, not ${text}.`);
  return { timeMs };
}
