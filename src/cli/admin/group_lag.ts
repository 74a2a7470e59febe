// SPDX-License-Identifier: Apache-2.0
import { allConsumeStats, consumeStats } from "../../client/admin/offsets.ts";
import type { MessageQueue } from "../../protocol/bodies/message_queue.ts";
import type { GroupPosition } from "../../protocol/bodies/consume_stats.ts";
import { counted } from "../store_text.ts";
import { type Cluster, inParallel } from "./cluster.ts";
import type { Table } from "./columns.ts";
import { adminCommand, brokerOptions, type Context, FAILURES } from "./command.ts";
import {
  addLag,
  behindMs,
  isSystemGroup,
  type Lag,
  lagOf,
  membershipOf,
  NO_LAG,
  oneGroup,
} from "./group_facts.ts";
import { byName, formatAge, formatDuration, formatRate } from "./text.ts";

const options = {
  ...brokerOptions,
  queues: { short: "q", help: "With GROUP: one line for each queue" },
  all: { short: "a", help: "Without GROUP: groups that are not behind, too" },
} as const;

/** So far behind shows in colour. */
const MUCH_MS = 300_000;

export const groupLagCommand = adminCommand({
  name: "lag",
  summary: "Show how far groups are behind",
  help:
    "BEHIND is how long ago the last message that was consumed had been stored, where more are waiting: the next " +
    "message is at most so old. LAST is that time of a single queue. Without GROUP only groups that are behind are listed.",
  operands: [{ name: "GROUP", isOptional: true, kind: "group" }],
  options,
  examples: [
    ["group lag", "groups that are behind, the furthest first"],
    ["group lag billing", "one group by topic; its retry topic shows what failed"],
    ["group lag billing --queues", "one group by queue: a single stuck queue shows here"],
  ],
  json: `without GROUP:
{"groups": [{"group", "members", "lag", "behindMs", "outPerSecond"}], "lag",
 ${FAILURES}}
with GROUP:
{"group", "lag", "inFlight", "outPerSecond", "topics": [{"topic", "lag", "inFlight", "behindMs"}],
 "queues": [{"topic", "broker", "queueId", "brokerOffset", "consumerOffset", "lag", "inFlight", "lastConsumedMs"}],
 ${FAILURES}}`,
  run: (context) => context.operands.length === 0 ? allGroups(context) : oneGroupOnly(context),
});

/** How all groups stand. */
export interface GroupLag extends Lag {
  readonly group: string;
  readonly outPerSecond: number;
}

/** Of all groups that brokers have positions of, furthest behind first. */
export async function lagOfAll(cluster: Cluster, choice: { cluster?: string; broker?: string }) {
  const brokers = await cluster.readers(choice);
  const lags = new Map<string, GroupLag>();
  for (const [, list] of await cluster.each(brokers, allConsumeStats)) {
    for (const [group, byTopic] of list.groups) {
      const known = lags.get(group) ?? { group, outPerSecond: 0, ...NO_LAG };
      let lag: Lag = known;
      let outPerSecond = known.outPerSecond;
      for (const stats of byTopic) {
        outPerSecond += stats.consumeTps;
        for (const [, position] of stats.offsetTable) lag = addLag(lag, { ...lagOf(position), inFlight: 0 });
      }
      lags.set(group, { group, outPerSecond, ...pick(lag) });
    }
  }
  const sorted = [...lags.values()].sort((a, b) => b.lag - a.lag || byName(a.group, b.group));
  return { brokers, lags: sorted };
}

function pick({ lag, inFlight, lastConsumedMs }: Lag): Lag {
  return { lag, inFlight, lastConsumedMs };
}

async function allGroups({ cluster, given, out }: Context<typeof options>): Promise<void> {
  const { brokers, lags } = await lagOfAll(cluster, given);
  const shown = lags.filter(({ group, lag }) => lag > 0 || (given.all && !isSystemGroup(group)));
  const total = lags.reduce((sum, { lag }) => sum + lag, 0);
  const nowMs = Date.now();
  const rows = await inParallel(shown, async (one) => {
    const { members } = await membershipOf(cluster, brokers, one.group);
    return { ...one, members: members.length, behindMs: behindMs(one, nowMs) };
  });
  if (out.isJson) {
    const groups = rows.map(({ group, members, lag, behindMs, outPerSecond }) => {
      return { group, members, lag, behindMs: behindMs ?? null, outPerSecond };
    });
    return await out.json({ groups, lag: total, failures: cluster.failures });
  }
  if (rows.length === 0) {
    return await out.line(lags.length === 0 ? "No group has consumed anything yet." : "No group is behind.");
  }
  await out.table({
    columns: [
      { head: "GROUP", isFlexible: true },
      { head: "MEMBERS", isNumber: true },
      { head: "LAG", isNumber: true },
      { head: "BEHIND", isNumber: true },
      { head: "OUT/S", isNumber: true },
    ],
    rows: rows.map(({ group, members, lag, behindMs, outPerSecond }) => [
      group,
      members === 0 && lag > 0 ? { text: "0", colour: "red" } : members,
      lag,
      behindCell(behindMs),
      formatRate(outPerSecond),
    ]),
  });
}

export function behindCell(ms: number | undefined) {
  const text = formatDuration(ms);
  return ms !== undefined && ms >= MUCH_MS ? { text, colour: "yellow" } as const : text;
}

type QueuePosition = readonly [MessageQueue, GroupPosition];

async function oneGroupOnly({ cluster, given, operands, out }: Context<typeof options>): Promise<void> {
  const [group] = operands;
  const { configs } = await oneGroup(cluster, group, given);
  const answers = await cluster.each(
    configs.map(([broker]) => broker),
    (broker) => consumeStats(broker, group),
  );
  const outPerSecond = answers.reduce((sum, [, { consumeTps }]) => sum + consumeTps, 0);
  const positions: QueuePosition[] = answers.flatMap(([, { offsetTable }]) => [...offsetTable])
    .sort(([a], [b]) =>
      byName(a.topic, b.topic) || byName(a.brokerName, b.brokerName) || a.queueId - b.queueId
    );
  const topics = new Map<string, Lag>();
  for (const [{ topic }, position] of positions) {
    topics.set(topic, addLag(topics.get(topic) ?? NO_LAG, lagOf(position)));
  }
  const total = [...topics.values()].reduce(addLag, NO_LAG);
  const nowMs = Date.now();
  if (out.isJson) {
    return await out.json({
      group,
      lag: total.lag,
      inFlight: total.inFlight,
      outPerSecond,
      topics: [...topics].map(([topic, lag]) => {
        return { topic, lag: lag.lag, inFlight: lag.inFlight, behindMs: behindMs(lag, nowMs) ?? null };
      }),
      queues: positions.map(queueJson),
      failures: cluster.failures,
    });
  }
  if (positions.length === 0) return await out.line(`${group} has not consumed anything yet.`);
  if (given.queues) {
    await out.table(queueTable(positions, nowMs));
  } else {
    await out.table({
      columns: [
        { head: "TOPIC", isFlexible: true },
        { head: "LAG", isNumber: true },
        { head: "IN-FLIGHT", isNumber: true },
        { head: "BEHIND", isNumber: true },
      ],
      rows: [...topics].map((
        [topic, lag],
      ) => [topic, lag.lag, lag.inFlight, behindCell(behindMs(lag, nowMs))]),
    });
  }
  const summary = `${counted(total.lag, "message")} behind, ${formatRate(outPerSecond)} per second consumed`;
  await out.line(out.colour(summary, "dim"));
}

export function queueJson([queue, position]: QueuePosition) {
  const { lag, inFlight, lastConsumedMs } = lagOf(position);
  return {
    topic: queue.topic,
    broker: queue.brokerName,
    queueId: queue.queueId,
    brokerOffset: position.brokerOffset,
    consumerOffset: position.consumerOffset,
    lag,
    inFlight,
    lastConsumedMs,
  };
}

/** Where a group stands in each queue, for a terminal. */
export function queueTable(positions: readonly QueuePosition[], nowMs: number): Table {
  return {
    columns: [
      { head: "TOPIC", isFlexible: true },
      { head: "BROKER", isFlexible: true },
      { head: "QUEUE", isNumber: true },
      { head: "POSITION", isNumber: true },
      { head: "END", isNumber: true },
      { head: "LAG", isNumber: true },
      { head: "LAST", isNumber: true, isOptional: true },
    ],
    rows: positions.map(([queue, position]) => [
      queue.topic,
      queue.brokerName,
      queue.queueId,
      position.consumerOffset,
      position.brokerOffset,
      lagOf(position).lag,
      formatAge(position.lastTimestamp, nowMs),
    ]),
  };
}
