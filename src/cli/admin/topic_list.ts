// SPDX-License-Identifier: Apache-2.0
import { topicStats } from "../../client/admin/topics.ts";
import type { TopicStatsTable } from "../../protocol/bodies/topic_stats.ts";
import { type Cluster, inParallel } from "./cluster.ts";
import { adminCommand, brokerOptions, FAILURES } from "./command.ts";
import { formatAge, formatRate, listed, matcher } from "./text.ts";
import { agreed, configJson, permsOf, type TopicFacts, topicFacts } from "./topic_facts.ts";

export const topicListCommand = adminCommand({
  name: "list",
  summary: "List topics",
  help:
    "Without --all only those of users: not the retry and dead-letter topics of groups, nor those that brokers " +
    "keep for themselves.",
  operands: [{ name: "PATTERN", isOptional: true, kind: "topic" }],
  options: {
    ...brokerOptions,
    all: { short: "a", help: "Retry, dead-letter and system topics, too" },
    long: { short: "l", help: "How many messages there are, how many come in, and when the last came" },
    quiet: { short: "q", help: "Names only, one on a line" },
  },
  examples: [
    ["topic list", "topics of users, with queues and permissions"],
    ["topic list 'order*' --long", "with counts of messages; a pattern has * and ?, or is part of the name"],
    ["topic list -q | xargs -n 1 rmq topic stats", "names for another command"],
  ],
  json: `{"topics": [{"topic", "kind": user|retry|dlq|system, "messageType",
  "brokers": [{"cluster", "broker", "readQueues", "writeQueues", "perm", "order", "attributes": {name: text}}],
  "messages", "inPerSecond", "lastMessageMs" (these with --long)}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const isWanted = matcher(operands[0]);
    const topics = (await topicFacts(cluster, given))
      .filter(({ topic, kind }) => isWanted(topic) && (given.all || kind === "user"));
    const counts = given.long ? await countAll(cluster, topics) : undefined;
    if (out.isJson) {
      const json = topics.map((facts) => ({
        topic: facts.topic,
        kind: facts.kind,
        messageType: facts.messageType,
        brokers: facts.configs.map(configJson),
        ...counts?.get(facts.topic),
      }));
      return await out.json({ topics: json, failures: cluster.failures });
    }
    if (given.quiet) return await out.write(topics.map(({ topic }) => `${topic}\n`).join(""));
    if (topics.length === 0) {
      const hint = given.all ? "" : " --all shows those that are not of users.";
      return await out.line(`There is no such topic.${hint}`);
    }
    const nowMs = Date.now();
    await out.table({
      columns: [
        { head: "TOPIC", isFlexible: true },
        { head: "TYPE", isOptional: true },
        { head: "QUEUES", isNumber: true },
        { head: "PERM" },
        ...counts === undefined ? [] : [
          { head: "MESSAGES", isNumber: true },
          { head: "IN/S", isNumber: true },
          { head: "LAST", isNumber: true },
        ] as const,
        { head: "BROKERS", isFlexible: true, isOptional: true },
      ],
      rows: topics.map((facts) => {
        const count = counts?.get(facts.topic);
        return [
          facts.topic,
          facts.kind === "user" ? facts.messageType : facts.kind,
          agreed(facts.configs.map(([, config]) => config.writeQueueNums)),
          permsOf(facts.configs),
          ...count === undefined
            ? []
            : [count.messages, formatRate(count.inPerSecond), formatAge(count.lastMessageMs, nowMs)],
          listed(facts.configs.map(([broker]) => broker.name)),
        ];
      }),
    });
  },
});

/** What a topic holds. */
export interface TopicCounts {
  readonly messages: number;
  /** As brokers count it; those of 4.9 tell nothing. */
  readonly inPerSecond: number;
  /** 0 where there was none. */
  readonly lastMessageMs: number;
}

async function countAll(cluster: Cluster, topics: readonly TopicFacts[]): Promise<Map<string, TopicCounts>> {
  const pairs = topics.flatMap(({ topic, configs }) => configs.map(([broker]) => ({ topic, broker })));
  const tables = await inParallel(pairs, async ({ topic, broker }) => {
    return [topic, await cluster.attempt(broker, () => topicStats(broker, topic))] as const;
  });
  const counts = new Map<string, TopicCounts>();
  for (const [topic, table] of tables) {
    if (table === undefined) continue;
    counts.set(topic, added(counts.get(topic), countsOf(table)));
  }
  return counts;
}

export function countsOf({ offsetTable, topicPutTps }: TopicStatsTable): TopicCounts {
  let messages = 0;
  let lastMessageMs = 0;
  for (const [, { minOffset, maxOffset, lastUpdateTimestamp }] of offsetTable) {
    messages += maxOffset - minOffset;
    lastMessageMs = Math.max(lastMessageMs, lastUpdateTimestamp);
  }
  return { messages, inPerSecond: topicPutTps, lastMessageMs };
}

function added(known: TopicCounts | undefined, more: TopicCounts): TopicCounts {
  if (known === undefined) return more;
  return {
    messages: known.messages + more.messages,
    inPerSecond: known.inPerSecond + more.inPerSecond,
    lastMessageMs: Math.max(known.lastMessageMs, more.lastMessageMs),
  };
}
