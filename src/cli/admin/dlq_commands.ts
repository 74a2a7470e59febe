// SPDX-License-Identifier: Apache-2.0
import { pull } from "../../client/admin/messages.ts";
import { topicStats } from "../../client/admin/topics.ts";
import type { ReceivedMessage } from "../../client/consumer.ts";
import { Producer } from "../../client/producer.ts";
import { Property } from "../../protocol/properties.ts";
import { UsageError } from "../args.ts";
import { plainBody } from "../message_body.ts";
import { counted } from "../store_text.ts";
import { parseMoment } from "../time_text.ts";
import type { Cluster } from "./cluster.ts";
import { adminCommand, brokerOptions, FAILURES, yesOption } from "./command.ts";
import { confirm } from "./confirm.ts";
import { sentenceOf } from "./sentences.ts";
import { formatAge, matcher } from "./text.ts";
import { oneTopic, topicFacts } from "./topic_facts.ts";
import { countsOf } from "./topic_list.ts";

const PREFIX = "%DLQ%";

const list = adminCommand({
  name: "list",
  summary: "List groups that have dead letters",
  operands: [{ name: "PATTERN", isOptional: true, kind: "group" }],
  options: brokerOptions,
  examples: [
    ["dlq list", "groups with the number of their dead letters"],
    ["message tail '%DLQ%billing'", "the letters themselves are messages of a topic"],
  ],
  json: `{"groups": [{"group", "topic", "messages", "lastMessageMs"}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const isWanted = matcher(operands[0]);
    const groups = [];
    for (const { topic, kind, configs } of await topicFacts(cluster, given)) {
      const group = topic.slice(PREFIX.length);
      if (kind !== "dlq" || !isWanted(group)) continue;
      let [messages, lastMessageMs] = [0, 0];
      for (
        const [, table] of await cluster.each(
          configs.map(([broker]) => broker),
          (one) => topicStats(one, topic),
        )
      ) {
        if (table === undefined) continue;
        const counts = countsOf(table);
        messages += counts.messages;
        lastMessageMs = Math.max(lastMessageMs, counts.lastMessageMs);
      }
      groups.push({ group, topic, messages, lastMessageMs });
    }
    if (out.isJson) return await out.json({ groups, failures: cluster.failures });
    if (groups.length === 0) return await out.line("No group has dead letters.");
    const nowMs = Date.now();
    await out.table({
      columns: [
        { head: "GROUP", isFlexible: true },
        { head: "MESSAGES", isNumber: true },
        { head: "LAST", isNumber: true },
        { head: "TOPIC", isFlexible: true, isOptional: true },
      ],
      rows: groups.map((one) => [one.group, one.messages, formatAge(one.lastMessageMs, nowMs), one.topic]),
    });
  },
});

const resend = adminCommand({
  name: "resend",
  summary: "Give a group dead letters once more",
  help:
    "Copies go to the group's retry topic, so that no other group gets them; with --to-topic to the topic where the " +
    "message first was, and so to all its groups. The dead letters themselves stay until their time is over: say with " +
    "IDs or times which ones are meant, or they come again with the next resend.",
  operands: [{ name: "GROUP", kind: "group" }, { name: "ID", isOptional: true, isRepeated: true }],
  options: {
    all: { help: "All of them" },
    from: { value: "TIME", help: "Dead since then: 2h (ago), 04:30, 2026-11-21T04:30" },
    to: { value: "TIME", help: "Dead before then" },
    "to-topic": { help: "To the topic where they first were" },
    ...yesOption,
  },
  examples: [
    ["dlq resend billing --from 2h", "what died within the last two hours"],
    ["dlq resend billing AC11000200012A139A5C8E3B7F8C0000", "one message, by its id"],
  ],
  json: `{"group", "resent": [{"messageId", "newMessageId", "topic"}], "failed": [{"messageId", "error"}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out, surroundings }) {
    const [group, ...ids] = operands;
    const range = { fromMs: momentOf("--from", given.from), toMs: momentOf("--to", given.to) };
    if (ids.length === 0 && !given.all && range.fromMs === undefined && range.toMs === undefined) {
      throw new UsageError("say which ones: IDs, --from, --to or --all.");
    }
    const isMeant = (message: ReceivedMessage) =>
      (ids.length === 0 || ids.includes(message.messageId) || ids.includes(originalIdOf(message))) &&
      message.storeTimestampMs >= (range.fromMs ?? 0) && message.storeTimestampMs < (range.toMs ?? Infinity);
    const letters = (await readTopic(cluster, PREFIX + group)).filter(isMeant);
    if (letters.length === 0) throw new Error(`no dead letter of ${group} is meant by that.`);
    if (!given["to-topic"]) await requireRetryTopic(cluster, group);
    await confirm(
      surroundings,
      given.yes,
      `Send ${counted(letters.length, "dead letter")} to ${group} again`,
    );
    const producer = new Producer({ nameServers: cluster.nameServers.join(";"), group: "RMQ_CLI_PRODUCER" });
    const resent = [];
    const failed = [];
    try {
      for (const letter of letters) {
        const messageId = letter.messageId;
        const topic = given["to-topic"] ? letter.properties.get(Property.RETRY_TOPIC) : `%RETRY%${group}`;
        const body = plainBody(letter);
        try {
          if (topic === undefined) throw new Error("it does not say which topic it was in");
          if (body === undefined) throw new Error("its body is compressed in a way that rmq can't read");
          const sent = await producer.send({
            topic,
            body,
            tags: letter.tags,
            keys: letter.properties.get(Property.KEYS),
            properties: propertiesOf(letter, given["to-topic"]),
          });
          resent.push({ messageId, newMessageId: sent.messageId, topic });
        } catch (error) {
          failed.push({ messageId, error: sentenceOf(error) });
        }
      }
    } finally {
      producer.stop();
    }
    if (out.isJson) await out.json({ group, resent, failed, failures: cluster.failures });
    else await out.line(`Sent ${resent.length} of ${letters.length} dead letters to ${group} again.`);
    for (const { messageId, error } of failed) {
      surroundings.complain(`rmq dlq resend: ${messageId}: ${error}\n`);
    }
    return failed.length > 0 ? 1 : 0;
  },
});

async function requireRetryTopic(cluster: Cluster, group: string): Promise<void> {
  if (await cluster.askNameServer((nameServer) => nameServer.topicRoute(`%RETRY%${group}`)) !== undefined) {
    return;
  }
  throw new Error(
    `${group} has no retry topic: no consumer of it has been connected. Start one first, or say --to-topic.`,
  );
}

function momentOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseMoment(text, Date.now());
  if (ms === undefined) throw new UsageError(`${option} takes a time or a duration such as 2h, not ${text}.`);
  return ms;
}

function originalIdOf(message: ReceivedMessage): string {
  return message.properties.get(Property.ORIGIN_MESSAGE_ID) ?? "";
}

/** What a new message gets by itself, or what belonged to the old one's way. */
const LEFT_BEHIND: ReadonlySet<string> = new Set([
  Property.UNIQ_KEY,
  Property.WAIT,
  Property.KEYS,
  Property.TAGS,
  Property.CLUSTER,
  Property.MSG_REGION,
  Property.TRACE_ON,
  Property.DELAY,
  Property.REAL_TOPIC,
  Property.REAL_QUEUE_ID,
  Property.POP_CK,
  Property.TIMER_DELAY_SEC,
  Property.TIMER_DELAY_MS,
  Property.TIMER_DELIVER_MS,
  Property.TIMER_OUT_MS,
  "RECONSUME_TIME",
  "MAX_RECONSUME_TIMES",
  "1ST_POP_TIME",
  "MIN_OFFSET",
  "MAX_OFFSET",
  "CONSUME_START_TIME",
]);

/** The sender's own, and what tells consumers which topic and which message it was. */
function propertiesOf(letter: ReceivedMessage, isToTopic: boolean): Record<string, string> {
  const properties = Object.fromEntries([...letter.properties].filter(([name]) => !LEFT_BEHIND.has(name)));
  properties[Property.ORIGIN_MESSAGE_ID] ??= letter.messageId;
  if (isToTopic) delete properties[Property.RETRY_TOPIC];
  return properties;
}

/** All messages of a topic, by when they were stored. */
async function readTopic(cluster: Cluster, topic: string): Promise<ReceivedMessage[]> {
  const { configs } = await oneTopic(cluster, topic, {}).catch((error) => {
    if (error instanceof Error && error.message.startsWith("there is no topic")) {
      throw new Error(`${topic.slice(PREFIX.length)} has no dead letters.`);
    }
    throw error;
  });
  const messages: ReceivedMessage[] = [];
  for (const [broker, { readQueueNums }] of configs) {
    for (let queueId = 0; queueId < readQueueNums; queueId++) {
      await cluster.attempt(broker, async () => {
        let offset = 0;
        for (;;) {
          const pulled = await pull(broker, { topic, queueId, offset, maxCount: 32 });
          messages.push(...pulled.messages);
          const isAtEnd = pulled.nextOffset >= pulled.maxOffset && pulled.messages.length === 0;
          if (isAtEnd || pulled.nextOffset === offset) break;
          offset = pulled.nextOffset;
        }
      });
    }
  }
  return messages.sort((a, b) => a.storeTimestampMs - b.storeTimestampMs);
}

export const dlqCommands = [list, resend];
