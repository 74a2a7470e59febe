// SPDX-License-Identifier: Apache-2.0
import { allConsumeStats } from "../../client/admin/offsets.ts";
import { topicStats } from "../../client/admin/topics.ts";
import { type BrokerChoice, type Cluster, inParallel } from "./cluster.ts";
import { addLag, behindMs, isSystemGroup, type Lag, lagOf, membershipOf, NO_LAG } from "./group_facts.ts";
import { byName, matcher } from "./text.ts";
import { topicFacts } from "./topic_facts.ts";

export interface SnapshotChoice extends BrokerChoice {
  readonly pattern?: string;
  /** System topics and groups, too. */
  readonly all?: boolean;
}

/** How topics and groups stand at one moment. */
export interface Snapshot {
  readonly takenMs: number;
  readonly wallMs: number;
  readonly topics: ReadonlyMap<string, TopicState>;
  readonly groups: ReadonlyMap<string, GroupState>;
}

interface TopicState {
  /** The sum of the queues' ends: its growth is what came in. */
  readonly written: number;
  readonly messages: number;
  readonly lastMessageMs: number;
}

interface GroupState extends Lag {
  readonly members: number;
  /** The sum of the positions: its growth is what was consumed. */
  readonly consumed: number;
  /** As brokers count what they hand out, over the last minute. */
  readonly handedOutPerSecond: number;
}

export async function takeSnapshot(cluster: Cluster, choice: SnapshotChoice): Promise<Snapshot> {
  const isWanted = matcher(choice.pattern);
  const topics = await topicStates(cluster, choice, isWanted);
  const groups = await groupStates(cluster, choice, isWanted);
  return { takenMs: performance.now(), wallMs: Date.now(), topics, groups };
}

async function topicStates(cluster: Cluster, choice: SnapshotChoice, isWanted: (name: string) => boolean) {
  const facts = (await topicFacts(cluster, choice))
    .filter(({ topic, kind }) => isWanted(topic) && (choice.all || kind === "user"));
  const pairs = facts.flatMap(({ topic, configs }) => configs.map(([broker]) => ({ topic, broker })));
  const tables = await inParallel(pairs, async ({ topic, broker }) => {
    return [topic, await cluster.attempt(broker, () => topicStats(broker, topic))] as const;
  });
  const states = new Map<string, TopicState>();
  for (const [topic, table] of tables) {
    let { written, messages, lastMessageMs } = states.get(topic) ??
      { written: 0, messages: 0, lastMessageMs: 0 };
    for (const [, { minOffset, maxOffset, lastUpdateTimestamp }] of table?.offsetTable ?? []) {
      written += maxOffset;
      messages += maxOffset - minOffset;
      lastMessageMs = Math.max(lastMessageMs, lastUpdateTimestamp);
    }
    states.set(topic, { written, messages, lastMessageMs });
  }
  return states;
}

async function groupStates(cluster: Cluster, choice: SnapshotChoice, isWanted: (name: string) => boolean) {
  const brokers = await cluster.readers(choice);
  const sums = new Map<string, Lag & { consumed: number; handedOutPerSecond: number }>();
  for (const [, { groups }] of await cluster.each(brokers, allConsumeStats)) {
    for (const [group, byTopic] of groups) {
      if (!isWanted(group) || (!choice.all && isSystemGroup(group))) continue;
      let { consumed, handedOutPerSecond, ...lag } = sums.get(group) ??
        { ...NO_LAG, consumed: 0, handedOutPerSecond: 0 };
      for (const { consumeTps } of byTopic) handedOutPerSecond += consumeTps;
      for (const [, position] of byTopic.flatMap(({ offsetTable }) => offsetTable)) {
        lag = addLag(lag, { ...lagOf(position), inFlight: 0 });
        consumed += position.consumerOffset;
      }
      sums.set(group, { ...lag, consumed, handedOutPerSecond });
    }
  }
  const states = await inParallel([...sums], async ([group, sum]) => {
    const { members } = await membershipOf(cluster, brokers, group);
    return [group, { ...sum, members: members.length }] as const;
  });
  return new Map<string, GroupState>(states);
}

/** What has changed between two looks, per second. */
export interface TopRates {
  readonly inPerSecond: number;
  readonly outPerSecond: number;
  readonly lag: number;
  /** Between the two looks; 0: nothing was measured yet. */
  readonly measuredMs: number;
  readonly topics: readonly TopicRate[];
  readonly groups: readonly GroupRate[];
}

export interface TopicRate {
  readonly topic: string;
  readonly inPerSecond: number;
  readonly messages: number;
  readonly lastMessageMs: number;
}

export interface GroupRate {
  readonly group: string;
  readonly members: number;
  readonly lag: number;
  /** What it committed; where that was measured for too short a time, what brokers handed out. */
  readonly outPerSecond: number;
  /** How fast the lag grows; negative where the group catches up. */
  readonly lagPerSecond: number;
  readonly behindMs: number | null;
}

/** Consumers commit their positions every five seconds: in less time than that these tell no rate. */
const COMMIT_INTERVAL_MS = 5000;

/** @param groupsBefore an older look to compare groups with, for their positions grow by fits and starts */
export function topRates(before: Snapshot, now: Snapshot, groupsBefore: Snapshot = before): TopRates {
  const measuredMs = now.takenMs - before.takenMs;
  const groupsMs = now.takenMs - groupsBefore.takenMs;
  const rate = (change: number, ms: number) => ms > 0 ? change * 1000 / ms : 0;
  // Ends and positions grow; where they don't, something was deleted or reset.
  const growth = (value: number, old: number | undefined) => Math.max(0, value - (old ?? value));
  const topics = [...now.topics].map(([topic, state]): TopicRate => ({
    topic,
    inPerSecond: rate(growth(state.written, before.topics.get(topic)?.written), measuredMs),
    messages: state.messages,
    lastMessageMs: state.lastMessageMs,
  })).sort((a, b) => b.inPerSecond - a.inPerSecond || byName(a.topic, b.topic));
  const groups = [...now.groups].map(([group, state]): GroupRate => {
    const old = groupsBefore.groups.get(group);
    const committed = rate(growth(state.consumed, old?.consumed), groupsMs);
    return {
      group,
      members: state.members,
      lag: state.lag,
      outPerSecond: groupsMs > COMMIT_INTERVAL_MS ? committed : state.handedOutPerSecond,
      lagPerSecond: rate(state.lag - (old ?? state).lag, groupsMs),
      behindMs: behindMs(state, now.wallMs) ?? null,
    };
  }).sort((a, b) => b.lag - a.lag || b.outPerSecond - a.outPerSecond || byName(a.group, b.group));
  return {
    inPerSecond: topics.reduce((sum, one) => sum + one.inPerSecond, 0),
    outPerSecond: groups.reduce((sum, one) => sum + one.outPerSecond, 0),
    lag: groups.reduce((sum, one) => sum + one.lag, 0),
    measuredMs: Math.round(measuredMs),
    topics,
    groups,
  };
}
