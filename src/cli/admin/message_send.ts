// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { runtimeInfo } from "../../client/admin/brokers.ts";
import { type OutgoingMessage, Producer, type SendResult } from "../../client/producer.ts";
import { UsageError } from "../args.ts";
import type { Surroundings } from "../command.ts";
import { parseDuration, parseTime } from "../time_text.ts";
import { counted } from "../store_text.ts";
import { shortVersion } from "./broker_state.ts";
import type { Broker, Cluster } from "./cluster.ts";
import { adminCommand, numberOption } from "./command.ts";

/** The producer group that administrators' tools are known by. */
const GROUP = "RMQ_CLI_PRODUCER";

const options = {
  key: { short: "k", value: "KEY", multiple: true, help: "Found by it later; may be repeated" },
  tag: { short: "t", value: "TAG", help: "What consumers filter by" },
  property: { value: "NAME=VALUE", multiple: true, help: "A property; may be repeated" },
  delay: {
    value: "TIME|LEVEL",
    help: "Deliver after a time such as 90s (5.x), or after a delay level of the broker",
  },
  at: { value: "TIME", help: "Deliver then (5.x): 04:30, 2026-11-21T04:30" },
  queue: { short: "q", value: "QUEUE", help: "To this queue (of any broker) instead of in turn" },
  file: { short: "f", value: "FILE", help: "The body is the content of a file" },
  lines: { short: "l", help: "Each line of the body is a message of its own" },
  repeat: { value: "COUNT", help: "Send it so many times" },
} as const;

export const messageSendCommand = adminCommand({
  name: "send",
  summary: "Send messages",
  help: "The body is BODY, the content of --file, or what comes in through the standard input.",
  operands: [{ name: "TOPIC", kind: "topic" }, { name: "BODY", isOptional: true }],
  options,
  examples: [
    ["message send orders '{\"id\": 7}' --key order-7", "one message"],
    ["message send orders --lines < orders.jsonl", "a message for each line of a file"],
    [
      "message send orders hello --delay 90s",
      "delivered in a minute and a half; --delay 3 is the broker's third level",
    ],
  ],
  json: `one document on a line for each message:
{"status": SEND_OK|FLUSH_DISK_TIMEOUT|…, "messageId", "offsetMessageId", "broker", "queueId", "queueOffset",
 "recallHandle"}`,
  async run({ cluster, given, operands, out, surroundings }) {
    const [topic, body] = operands;
    const bodies = await bodiesOf(body, given.file, given.lines, surroundings);
    // Such as of a script whose standard input is nothing.
    if (bodies.every(({ length }) => length === 0)) throw new UsageError("the body is empty.");
    const count = numberOption("--repeat", given.repeat, 1, { min: 1 });
    const message: Omit<OutgoingMessage, "body"> = {
      topic,
      keys: given.key.length > 0 ? given.key : undefined,
      tags: given.tag,
      properties: Object.fromEntries(given.property.map(propertyOf)),
      ...momentOf(given.delay, given.at),
      queueId: given.queue === undefined ? undefined : numberOption("--queue", given.queue, 0),
    };
    // Tells first, and better than a send would, that there is no cluster.
    const masters = await cluster.masters();
    await requireRoute(cluster, topic);
    if (message.delayMs !== undefined || message.deliverAtMs !== undefined) {
      await requireTimers(cluster, masters);
    }
    const producer = new Producer({ nameServers: cluster.nameServers.join(";"), group: GROUP });
    let isStopped = false;
    void surroundings.stopRequested.then(() => isStopped = true);
    let sent = 0;
    try {
      for (let round = 0; round < count && !isStopped; round++) {
        for (const one of bodies) {
          if (isStopped) break;
          const result = await producer.send({ ...message, body: one });
          sent++;
          if (out.isJson) await out.jsonLine(resultJson(result));
          else if (bodies.length * count <= MANY) await out.line(resultLine(topic, result));
          else surroundings.showProgress?.(`${sent} of ${bodies.length * count} sent`);
        }
      }
    } catch (error) {
      if (sent > 0) surroundings.complain(`rmq message send: ${sent} were sent before that:\n`);
      throw error;
    } finally {
      surroundings.showProgress?.("");
      producer.stop();
    }
    if (!out.isJson && bodies.length * count > MANY) await out.line(`Sent ${counted(sent, "message")}.`);
    return isStopped ? 1 : 0;
  },
});

/** More are counted, not listed. */
const MANY = 100;

async function bodiesOf(
  body: string | undefined,
  file: string | undefined,
  isLines: boolean,
  { readInput }: Surroundings,
): Promise<Uint8Array[]> {
  if (body !== undefined && file !== undefined) throw new UsageError("BODY and --file exclude each other.");
  let bytes: Uint8Array;
  if (body !== undefined && body !== "-") bytes = new TextEncoder().encode(body);
  else if (file !== undefined) bytes = readFileSync(file);
  else if (readInput !== undefined) bytes = await readInput();
  else throw new UsageError("BODY is missing.");
  if (!isLines) return [bytes];
  return linesOf(bytes);
}

/** Empty lines are no messages. */
function linesOf(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let from = 0; from < bytes.length;) {
    const newline = bytes.indexOf(10, from);
    const end = newline < 0 ? bytes.length : newline;
    const line = bytes.subarray(from, end > from && bytes[end - 1] === 13 ? end - 1 : end);
    if (line.length > 0) lines.push(line);
    from = end + 1;
  }
  return lines;
}

/** When a message is to be delivered. @throws UsageError */
function momentOf(delay: string | undefined, at: string | undefined) {
  if (delay !== undefined && at !== undefined) throw new UsageError("--delay and --at exclude each other.");
  if (at !== undefined) {
    const deliverAtMs = parseTime(at, Date.now());
    if (deliverAtMs === undefined) throw new UsageError(`--at takes a time, not ${at}.`);
    return { deliverAtMs };
  }
  if (delay === undefined) return {};
  const delayMs = parseDuration(delay);
  return delayMs === undefined ? { delayLevel: numberOption("--delay", delay, 0, { min: 1 }) } : { delayMs };
}

/** A send would make a topic that does not exist, of a name that was mistyped. @throws Error */
async function requireRoute(cluster: Cluster, topic: string): Promise<void> {
  if (await cluster.askNameServer((nameServer) => nameServer.topicRoute(topic)) !== undefined) return;
  throw new Error(`there is no topic ${topic}. \`rmq topic create\` makes one.`);
}

/** Brokers of 4.9 would deliver at once. */
async function requireTimers(cluster: Cluster, masters: readonly Broker[]): Promise<void> {
  for (const [{ name }, info] of await cluster.each(masters, runtimeInfo)) {
    const version = info.get("brokerVersionDesc") ?? "";
    if (version.startsWith("V4_")) {
      throw new Error(
        `${name} is of version ${shortVersion(version)}, which knows delay levels only: --delay LEVEL.`,
      );
    }
  }
}

function propertyOf(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals <= 0) throw new UsageError(`--property takes NAME=VALUE, not ${text}.`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

export function resultJson({ brokerName, ...result }: SendResult) {
  return {
    status: result.status,
    messageId: result.messageId,
    offsetMessageId: result.offsetMessageId,
    broker: brokerName,
    queueId: result.queueId,
    queueOffset: result.queueOffset,
    recallHandle: result.recallHandle ?? null,
  };
}

function resultLine(topic: string, result: SendResult): string {
  const { status, messageId, brokerName, queueId, queueOffset, recallHandle } = result;
  const note = status === "SEND_OK" ? "" : ` (${status}: stored, but less safely than asked)`;
  if (recallHandle !== undefined) {
    return `Sent ${messageId} to ${brokerName}, where it waits. Take it back: rmq message recall ${topic} ${recallHandle}`;
  }
  return `Sent ${messageId} to ${brokerName}, queue ${queueId}, offset ${queueOffset}${note}`;
}
