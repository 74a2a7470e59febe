// SPDX-License-Identifier: Apache-2.0
import { findMessages, pull, viewMessage } from "../../client/admin/messages.ts";
import type { ReceivedMessage } from "../../client/consumer.ts";
import { parseOffsetMessageId } from "../../protocol/message_id.ts";
import { plainBody } from "../message_body.ts";
import { UsageError } from "../args.ts";
import { parseMoment } from "../time_text.ts";
import type { Broker, Cluster } from "./cluster.ts";
import { adminCommand, brokerOptions, type Context, FAILURES, numberOption } from "./command.ts";
import { MESSAGE_JSON, messageJson, messageLine, showMessage } from "./message_text.ts";
import { oneTopic } from "./topic_facts.ts";

const bodyOption = { body: { help: "The body only, as its sender wrote it" } } as const;

type Found = readonly [broker: string, message: ReceivedMessage];

const get = adminCommand({
  name: "get",
  summary: "Show one message by its id",
  help:
    "ID is what a send returns: the message id (its unique key; tell the topic, too), or the offset message id, " +
    "which says itself where the message is.",
  operands: [{ name: "ID" }],
  options: {
    topic: { short: "t", value: "TOPIC", help: "The topic that it is in; needed for message ids" },
    ...bodyOption,
  },
  examples: [
    ["message get 7F00000100002A9F0000000000000000", "by its offset message id"],
    ["message get AC11000200012A139A5C8E3B7F8C0000 -t orders", "by the message id that the producer logged"],
    ["message get AC11000200012A139A5C8E3B7F8C0000 -t orders --body > body", "its body into a file"],
  ],
  json: MESSAGE_JSON,
  async run({ cluster, given, operands, out }) {
    const [id] = operands;
    const found = await byId(cluster, id, given.topic);
    if (found === undefined) throw new Error(whyNotFound(id, given.topic));
    const [broker, message] = found;
    if (given.body) return await writeBody(message, out);
    if (out.isJson) await out.json(messageJson(message, broker));
    else await showMessage(out, message, broker);
  },
});

async function writeBody(message: ReceivedMessage, out: Context["out"]): Promise<void> {
  const body = plainBody(message);
  if (body === undefined) throw new Error("its body is compressed in a way that rmq can't read.");
  await out.writeBytes(body);
}

async function byId(cluster: Cluster, id: string, topic: string | undefined): Promise<Found | undefined> {
  if (topic !== undefined) {
    const { configs } = await oneTopic(cluster, topic, {});
    const query = {
      topic,
      key: id,
      isUniqueKey: true,
      maxCount: 1,
      fromMs: 0,
      toMs: Number.MAX_SAFE_INTEGER,
    };
    const answers = await cluster.each(
      configs.map(([broker]) => broker),
      (broker) => findMessages(broker, query),
    );
    for (const [broker, messages] of answers) {
      if (messages.length > 0) return [broker.name, messages[0]];
    }
  }
  const place = parseOffsetMessageId(id);
  if (place === undefined) return undefined;
  const address = `${place.ip.join(".")}:${place.port}`;
  // An id whose bytes only look like an address is a unique key.
  const broker = (await cluster.brokers()).find((one) => one.address === address);
  if (broker === undefined) return undefined;
  const message = await viewMessage(broker, topic, place.physicalOffset);
  return message && [broker.name, message];
}

function whyNotFound(id: string, topic: string | undefined): string {
  if (topic !== undefined) {
    return `${topic} has no message ${id}; it may have been deleted with its time over.`;
  }
  if (parseOffsetMessageId(id) === undefined) {
    return `${id} is no offset message id. Say which --topic it is in.`;
  }
  return `no broker has ${id} as an offset message id. If it is a message id, say which --topic it is in.`;
}

const MAX_FOUND = 64;

const find = adminCommand({
  name: "find",
  summary: "Find messages by a key",
  operands: [{ name: "TOPIC", kind: "topic" }, { name: "KEY" }],
  options: {
    ...brokerOptions,
    from: { value: "TIME", help: "Stored since then: 2h (ago), 04:30, 2026-11-21T04:30" },
    to: { value: "TIME", help: "Stored before then" },
    count: { value: "COUNT", help: `At most so many of each broker (default ${MAX_FOUND})` },
  },
  examples: [
    ["message find orders order-7", "all messages with this key, or with this message id"],
    ["message find orders order-7 --from 2h --json", "of the last two hours, for a program"],
  ],
  json: `{"messages": [${MESSAGE_JSON}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out, surroundings }) {
    const [topic, key] = operands;
    const nowMs = Date.now();
    const range = {
      fromMs: given.from === undefined ? 0 : momentOf("--from", given.from, nowMs),
      toMs: given.to === undefined ? Number.MAX_SAFE_INTEGER : momentOf("--to", given.to, nowMs),
    };
    const maxCount = numberOption("--count", given.count, MAX_FOUND, { min: 1 });
    const { configs } = await oneTopic(cluster, topic, given);
    const brokers = configs.map(([broker]) => broker);
    const search = (isUniqueKey: boolean) =>
      cluster.each(
        brokers,
        (broker) => findMessages(broker, { topic, key, isUniqueKey, maxCount, ...range }),
      );
    let found = foundIn(await search(false));
    if (found.length === 0) found = foundIn(await search(true));
    if (out.isJson) {
      const messages = found.map(([broker, message]) => messageJson(message, broker));
      await out.json({ messages, failures: cluster.failures });
    } else {
      for (const [broker, message] of found) {
        await out.line(messageLine(message, broker, out, surroundings.terminal?.columns));
      }
    }
    if (found.length === 0) throw new Error(`${topic} has no message with the key ${key}.`);
  },
});

function foundIn(answers: readonly (readonly [Broker, ReceivedMessage[]])[]): Found[] {
  return answers.flatMap(([broker, messages]) => messages.map((message): Found => [broker.name, message]))
    .sort(([, a], [, b]) => a.storeTimestampMs - b.storeTimestampMs);
}

function momentOf(option: string, text: string, nowMs: number): number {
  const ms = parseMoment(text, nowMs);
  if (ms === undefined) throw new UsageError(`${option} takes a time or a duration such as 2h, not ${text}.`);
  return ms;
}

const at = adminCommand({
  name: "at",
  summary: "Show the message at an offset of a queue",
  operands: [{ name: "TOPIC", kind: "topic" }, { name: "QUEUE" }, { name: "OFFSET" }],
  options: { ...brokerOptions, ...bodyOption },
  examples: [["message at orders 3 1207 -b broker-a", "what a consumer got at offset 1207 of queue 3"]],
  json: MESSAGE_JSON,
  async run({ cluster, given, operands, out }) {
    const [topic] = operands;
    const queueId = numberOption("QUEUE", operands[1], 0);
    const offset = numberOption("OFFSET", operands[2], 0);
    const { configs } = await oneTopic(cluster, topic, given);
    if (configs.length > 1) {
      const names = configs.map(([broker]) => broker.name).join(", ");
      throw new UsageError(`${topic} is on several brokers (${names}): say which one with --broker.`);
    }
    const [[broker]] = configs;
    const pulled = await pull(broker, { topic, queueId, offset, maxCount: 1 });
    const message = pulled.messages.find(({ queueOffset }) => queueOffset === offset);
    if (message === undefined) {
      const { minOffset, maxOffset } = pulled;
      throw new Error(
        `queue ${queueId} of ${topic} on ${broker.name} has no message at ${offset}; ` +
          (maxOffset > minOffset ? `it has ${minOffset} to ${maxOffset - 1}.` : "it is empty."),
      );
    }
    if (given.body) return await writeBody(message, out);
    if (out.isJson) await out.json(messageJson(message, broker.name));
    else await showMessage(out, message, broker.name);
  },
});

export const messageFindCommands = [get, find, at];
