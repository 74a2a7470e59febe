// SPDX-License-Identifier: Apache-2.0
import { setTimeout } from "node:timers/promises";
import { pull, type PullFrom } from "../../client/admin/messages.ts";
import { maxOffset, minOffset, offsetByTime } from "../../client/admin/offsets.ts";
import type { ReceivedMessage } from "../../client/consumer.ts";
import { UsageError } from "../args.ts";
import { parseMoment } from "../time_text.ts";
import { type Broker, type Cluster, inParallel } from "./cluster.ts";
import { adminCommand, brokerOptions, type Context, numberOption } from "./command.ts";
import { MESSAGE_JSON, messageJson, messageLine } from "./message_text.ts";
import { ReaderGoneError } from "./output.ts";
import { sentenceOf } from "./sentences.ts";
import { oneTopic } from "./topic_facts.ts";

const options = {
  ...brokerOptions,
  follow: { short: "f", help: "Go on with what comes, until ctrl-c" },
  count: { value: "COUNT", help: "So many of the latest messages (default 10; with --from: all)" },
  from: { value: "TIME", help: "Messages stored since then: 2h (ago), 04:30, 2026-11-21T04:30" },
  to: { value: "TIME", help: "Messages stored before then" },
  queue: { short: "q", value: "QUEUE", help: "Of this queue only" },
  tags: { short: "t", value: "TAGS", help: "Of these tags only, with || between" },
  sql: { value: "EXPR", help: "For which an SQL92 expression over properties holds (enablePropertyFilter)" },
} as const;

export const messageTailCommand = adminCommand({
  name: "tail",
  summary: "Show the latest messages of a topic, and those that come",
  help:
    "It does not consume: no group is needed, and no group's position moves. Messages of several queues are " +
    "put in the order in which they were stored.",
  operands: [{ name: "TOPIC", kind: "topic" }],
  options,
  examples: [
    ["message tail orders", "the last ten"],
    ["message tail orders -f --count 0", "only what comes from now on"],
    [
      "message tail orders --from 30m --tags 'paid || refunded'",
      "everything of the last half hour with one of two tags",
    ],
    ["message tail '%DLQ%billing' --json | head -1", "for a program: one document on a line"],
  ],
  json: `one document on a line for each message:
${MESSAGE_JSON}`,
  run: tail,
});

/** Which messages are wanted. */
type Filter = Pick<PullFrom, "tags" | "sql">;

/** A queue that is read. */
interface Source {
  readonly broker: Broker;
  readonly topic: string;
  readonly queueId: number;
  /** Of the first message that is not looked at. */
  readonly endOffset: number;
  offset: number;
}

type Found = readonly [Broker, ReceivedMessage];

/** Messages of one pull. */
const PULL_COUNT = 32;
const SUSPEND_MS = 10_000;
/** Before a queue that failed is asked again. */
const RETRY_MS = 1000;

async function tail(context: Context<typeof options>): Promise<void> {
  const { cluster, given, operands, out, surroundings } = context;
  const nowMs = Date.now();
  const fromMs = momentOf("--from", given.from, nowMs);
  const toMs = momentOf("--to", given.to, nowMs);
  if (given.tags !== undefined && given.sql !== undefined) {
    throw new UsageError("--tags and --sql exclude each other.");
  }
  const filter = { tags: given.tags, sql: given.sql };
  const isAll = fromMs !== undefined && given.count === undefined;
  const count = isAll ? Infinity : numberOption("--count", given.count, 10);
  if (given.follow && toMs !== undefined) throw new UsageError("--follow and --to exclude each other.");
  const sources = await sourcesOf(context, operands[0], fromMs, toMs);
  const print = async (found: readonly Found[]) => {
    for (const [broker, message] of found) {
      if (out.isJson) await out.jsonLine(messageJson(message, broker.name));
      else await out.line(messageLine(message, broker.name, out, surroundings.terminal?.columns));
    }
  };
  let isStopped = false;
  void surroundings.stopRequested.then(() => isStopped = true);
  if (count === Infinity) await printAll(cluster, sources, filter, print, () => isStopped);
  else if (count > 0) await print(await latest(cluster, sources, count, filter));
  if (!given.follow) return;
  for (const source of sources) source.offset = source.endOffset;
  await follow(context, sources, filter, print);
}

function momentOf(option: string, text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseMoment(text, nowMs);
  if (ms === undefined) throw new UsageError(`${option} takes a time or a duration such as 2h, not ${text}.`);
  return ms;
}

async function sourcesOf(
  { cluster, given }: Context<typeof options>,
  topic: string,
  fromMs: number | undefined,
  toMs: number | undefined,
): Promise<Source[]> {
  const { configs } = await oneTopic(cluster, topic, given);
  const wanted = given.queue === undefined ? undefined : numberOption("--queue", given.queue, 0);
  const queues = configs.flatMap(([broker, { readQueueNums, writeQueueNums }]) => {
    const ids = Array.from({ length: Math.max(readQueueNums, writeQueueNums) }, (_, queueId) => queueId);
    return ids.filter((queueId) => wanted === undefined || queueId === wanted).map((queueId) => ({
      broker,
      queueId,
    }));
  });
  if (queues.length === 0) throw new Error(`${topic} has no queue ${wanted}.`);
  const sources = await inParallel(
    queues,
    ({ broker, queueId }) =>
      cluster.attempt(broker, async (): Promise<Source> => {
        const offset = fromMs === undefined
          ? await minOffset(broker, topic, queueId)
          : await offsetByTime(broker, topic, queueId, fromMs);
        const endOffset = toMs === undefined
          ? await maxOffset(broker, topic, queueId)
          : await offsetByTime(broker, topic, queueId, toMs);
        return { broker, topic, queueId, offset, endOffset };
      }),
  );
  return sources.filter((source) => source !== undefined);
}

/** The last messages of all queues by the time when they were stored. */
async function latest(
  cluster: Cluster,
  sources: readonly Source[],
  count: number,
  filter: Filter,
): Promise<Found[]> {
  const found = await inParallel(sources, (source) =>
    cluster.attempt(source.broker, async () => {
      const messages: ReceivedMessage[] = [];
      // Where tags are wanted, the last messages may lie far back: windows that double.
      let end = source.endOffset;
      for (
        let width = Math.max(count, PULL_COUNT);
        end > source.offset && messages.length < count;
        width *= 2
      ) {
        const begin = Math.max(source.offset, end - width);
        const window: ReceivedMessage[] = [];
        await readQueue(source, begin, end, filter, (some) => {
          window.push(...some);
          return true;
        });
        messages.unshift(...window);
        end = begin;
      }
      return messages.slice(-count).map((message): Found => [source.broker, message]);
    }));
  return inOrder(found.flatMap((some) => some ?? [])).slice(-count);
}

/** Everything: queue by queue in memory only as far as each has been read. */
async function printAll(
  cluster: Cluster,
  sources: readonly Source[],
  filter: Filter,
  print: (found: readonly Found[]) => Promise<void>,
  isStopped: () => boolean,
): Promise<void> {
  // Merges the queues: each has messages at hand unless it is at its end.
  const heads = new Map<Source, ReceivedMessage[]>();
  const fill = async (source: Source) => {
    const some: ReceivedMessage[] = [];
    while (some.length === 0 && source.offset < source.endOffset) {
      const pulled = await cluster.attempt(source.broker, () => pullSome(source, source.offset, filter));
      if (pulled === undefined) source.offset = source.endOffset;
      else {
        some.push(...pulled.messages.filter(({ queueOffset }) => queueOffset < source.endOffset));
        source.offset = Math.max(source.offset + 1, pulled.nextOffset);
      }
    }
    if (some.length > 0) heads.set(source, some);
    else heads.delete(source);
  };
  await inParallel(sources, fill);
  while (heads.size > 0 && !isStopped()) {
    const [source, messages] = [...heads].reduce((a, b) => isBefore(a[1][0], b[1][0]) ? a : b);
    await print([[source.broker, messages.shift()!]]);
    if (messages.length === 0) await fill(source);
  }
}

/** Hands on what lies between two offsets. @param take returns false to end it */
async function readQueue(
  source: Source,
  begin: number,
  end: number,
  filter: Filter,
  take: (messages: ReceivedMessage[]) => boolean,
): Promise<void> {
  for (let offset = begin; offset < end;) {
    const { messages, nextOffset } = await pullSome(source, offset, filter);
    if (!take(messages.filter(({ queueOffset }) => queueOffset < end))) return;
    offset = Math.max(offset + 1, nextOffset);
  }
}

function pullSome(
  { broker, topic, queueId }: Source,
  offset: number,
  filter: Filter,
  suspendMs?: number,
) {
  return pull(broker, { topic, queueId, offset, maxCount: PULL_COUNT, ...filter, suspendMs });
}

/** Reads all queues at once, each by long polls, until the process is asked to end. */
async function follow(
  { surroundings }: Context<typeof options>,
  sources: readonly Source[],
  filter: Filter,
  print: (found: readonly Found[]) => Promise<void>,
): Promise<void> {
  const complained = new Set<string>();
  let isStopped = false;
  void surroundings.stopRequested.then(() => isStopped = true);
  const all = Promise.all(sources.map(async (source) => {
    while (!isStopped) {
      try {
        const { messages, nextOffset } = await pullSome(source, source.offset, filter, SUSPEND_MS);
        await print(messages.map((message) => [source.broker, message]));
        source.offset = nextOffset;
        complained.delete(source.broker.address);
      } catch (error) {
        if (error instanceof ReaderGoneError) throw error;
        // Connections are closed at the end, which is no failure.
        if (isStopped) return;
        if (!complained.has(source.broker.address)) {
          surroundings.complain(
            `rmq message tail: ${source.broker.name}: ${sentenceOf(error)}; trying again\n`,
          );
        }
        complained.add(source.broker.address);
        await setTimeout(RETRY_MS);
      }
    }
  }));
  // A long poll need not be waited for.
  await Promise.race([surroundings.stopRequested, all]);
}

function inOrder(found: Found[]): Found[] {
  return found.sort(([, a], [, b]) => isBefore(a, b) ? -1 : 1);
}

function isBefore(a: ReceivedMessage, b: ReceivedMessage): boolean {
  return (a.storeTimestampMs - b.storeTimestampMs || a.queueId - b.queueId || a.queueOffset - b.queueOffset) <
    0;
}
