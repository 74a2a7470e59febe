// SPDX-License-Identifier: Apache-2.0
import type { Clock, Timer } from "../base/clock.ts";
import { Buckets } from "./metrics/buckets.ts";
import { type Counts, SampleWindow, type WindowStats } from "./sample_window.ts";

/** Windows of one item: the last minute, hour and day. */
export interface ItemStats {
  minute: WindowStats;
  hour: WindowStats;
  day: WindowStats;
}

/**
 * What this broker has taken in and given out: per topic, per group of a topic, and in all. [RMQ
 * BrokerStatsManager, BrokerStats]
 *
 * Nothing is kept over a restart, and nothing of topics and groups that are removed.
 */
export class Statistics {
  /** All that was put and got, and the part of it that does not belong to system topics. */
  readonly put = new Tally();
  readonly got = new Tally();
  readonly putByUsers = new Tally();
  readonly gotByUsers = new Tally();
  /** Times that a message was refused by the store. */
  putFailedTimes = 0;
  /** Reads that found something, and that found nothing. */
  getFoundTimes = 0;
  getMissTimes = 0;
  /** The longest that serving a read has taken. */
  getTimeMaxMs = 0;
  readonly startedAtMs: number;
  readonly #clock: Clock;
  readonly #isSystemTopic: (topic: string) => boolean;
  readonly #topics = new Map<string, TopicStats>();
  /** Topic, then group: no key has to be put together for each pull. */
  readonly #groups = new Map<string, Map<string, GroupStats>>();
  #groupCount = 0;
  readonly #timers: Timer[] = [];
  #today = { put: 0, got: 0 };
  #yesterday = { put: 0, got: 0 };
  #nextMidnightMs: number;

  constructor(options: { clock: Clock; isSystemTopic: (topic: string) => boolean }) {
    this.#clock = options.clock;
    this.#isSystemTopic = options.isSystemTopic;
    this.startedAtMs = this.#clock.nowMs();
    this.#nextMidnightMs = midnightAfter(this.startedAtMs);
  }

  /** Starts sampling. */
  start(): void {
    if (this.#timers.length > 0) return;
    this.#timers.push(
      this.#clock.every(MINUTE_PERIOD_MS, () => this.#sample("minute")),
      this.#clock.every(HOUR_PERIOD_MS, () => this.#sample("hour")),
      this.#clock.every(DAY_PERIOD_MS, () => this.#sample("day")),
    );
  }

  stop(): void {
    for (const timer of this.#timers.splice(0)) timer.cancel();
  }

  /** A send (of one message or a batch) was stored. */
  onStored(topic: string, messageCount: number, byteCount: number, kind: MessageKind = "normal"): void {
    const stats = this.#topics.get(topic) ?? this.#addTopic(topic);
    stats.addOf(kind, messageCount, byteCount);
    this.put.add(messageCount, byteCount);
    if (!stats.isSystem) this.putByUsers.add(messageCount, byteCount);
  }

  /** A send was not stored. */
  onRefused(): void {
    this.putFailedTimes++;
  }

  /** A read gave messages to a group. */
  onDelivered(topic: string, group: string, messageCount: number, byteCount: number): void {
    const stats = this.#groups.get(topic)?.get(group) ?? this.#addGroup(topic, group);
    stats.add(messageCount, byteCount);
    this.getFoundTimes++;
    this.got.add(messageCount, byteCount);
    if (!stats.isSystem) this.gotByUsers.add(messageCount, byteCount);
  }

  /** A read found nothing. */
  onGetMiss(): void {
    this.getMissTimes++;
  }

  /** A read was served in so long a time, whatever came of it. */
  onGetTime(ms: number): void {
    if (ms > this.getTimeMaxMs) this.getTimeMaxMs = ms;
  }

  /** A group gave a message of `topic` back to be tried again. */
  onSentBack(topic: string, group: string): void {
    this.#groupStats(topic, group).sentBack.add(1, 0);
  }

  /** A message of `topic` went to the dead letters of `group`. */
  onDeadLetter(topic: string, group: string): void {
    this.#groupStats(topic, group).deadLetters.add(1, 0);
  }

  removeTopic(topic: string): void {
    this.#topics.delete(topic);
    this.#groupCount -= this.#groups.get(topic)?.size ?? 0;
    this.#groups.delete(topic);
  }

  removeGroup(group: string): void {
    for (const [topic, groups] of this.#groups) {
      if (!groups.delete(group)) continue;
      this.#groupCount--;
      if (groups.size === 0) this.#groups.delete(topic);
    }
  }

  /**
   * An item by the name and key that operators know, such as `GROUP_GET_NUMS` and `topic@group`; undefined
   * where it has no counter. Items of the whole broker have the cluster's name as key, which is not checked.
   */
  view(name: string, key: string): ItemStats | undefined {
    const brokerItem = BROKER_ITEMS.get(name);
    // Java adds nothing to the times of these items.
    if (brokerItem !== undefined) return this[brokerItem].stats("messages", { withAverage: false });
    const topicItem = TOPIC_ITEMS.get(name);
    if (topicItem !== undefined) return this.#topics.get(key)?.stats(topicItem);
    const groupItem = GROUP_ITEMS.get(name);
    if (groupItem === undefined) return undefined;
    const at = key.lastIndexOf("@");
    const stats = this.#groups.get(key.slice(0, Math.max(at, 0)))?.get(key.slice(at + 1));
    if (stats === undefined) return undefined;
    if (groupItem === "sentBack" || groupItem === "deadLetters") {
      return stats[groupItem].times === 0 ? undefined : stats[groupItem].stats("messages");
    }
    return stats.times === 0 ? undefined : stats.stats(groupItem);
  }

  /** What was put into each topic since start; a live view. */
  get topicCounts(): ReadonlyMap<string, TopicCounts> {
    return this.#topics;
  }

  /** What each group got, gave back and gave up since start, by topic and group; a live view. */
  get groupCounts(): ReadonlyMap<string, ReadonlyMap<string, GroupCounts>> {
    return this.#groups;
  }

  /** Messages per second put into a topic, over the last minute. */
  topicPutTps(topic: string): number {
    return this.#topics.get(topic)?.stats("messages").minute.tps ?? 0;
  }

  /** Messages per second read by a group from a topic, over the last minute. */
  groupGetTps(topic: string, group: string): number {
    return this.#groups.get(topic)?.get(group)?.stats("messages").minute.tps ?? 0;
  }

  /** Messages of users put and got since start, as of the last two local midnights and now. */
  totals(): { yesterdayMorning: PutAndGot; todayMorning: PutAndGot; now: PutAndGot } {
    this.#passMidnight();
    return { yesterdayMorning: this.#yesterday, todayMorning: this.#today, now: this.#userTotals() };
  }

  #addTopic(topic: string): TopicStats {
    const stats = new TopicStats(this.#isSystemTopic(topic));
    if (this.#topics.size < MAX_COUNTERS) this.#topics.set(topic, stats);
    return stats;
  }

  #groupStats(topic: string, group: string): GroupStats {
    return this.#groups.get(topic)?.get(group) ?? this.#addGroup(topic, group);
  }

  #addGroup(topic: string, group: string): GroupStats {
    const stats = new GroupStats(this.#isSystemTopic(topic));
    if (this.#groupCount >= MAX_COUNTERS) return stats;
    this.#groupCount++;
    const groups = this.#groups.get(topic);
    if (groups === undefined) this.#groups.set(topic, new Map([[group, stats]]));
    else groups.set(group, stats);
    return stats;
  }

  #sample(window: "minute" | "hour" | "day"): void {
    const nowMs = this.#clock.nowMs();
    this.#passMidnight();
    for (const tally of [this.put, this.got, this.putByUsers, this.gotByUsers]) tally.sample(window, nowMs);
    for (const stats of this.#topics.values()) stats.sample(window, nowMs);
    for (const groups of this.#groups.values()) {
      for (const stats of groups.values()) stats.sample(window, nowMs);
    }
  }

  #passMidnight(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs < this.#nextMidnightMs) return;
    this.#nextMidnightMs = midnightAfter(nowMs);
    this.#yesterday = this.#today;
    this.#today = this.#userTotals();
  }

  #userTotals(): PutAndGot {
    return { put: this.putByUsers.messages, got: this.gotByUsers.messages };
  }
}

/** What a message is, to those who count. [RMQ BrokerMetricsManager.getMessageType] */
export type MessageKind = "normal" | "fifo" | "delay" | "transaction";

export interface TopicCounts extends Counts {
  /** Bytes of messages. */
  readonly sizes: Buckets;
  /** Of messages that are not normal. */
  readonly byKind: ReadonlyMap<MessageKind, { readonly messages: number; readonly bytes: number }>;
}

export interface GroupCounts extends Counts {
  readonly sentBack: Counts;
  readonly deadLetters: Counts;
}

export interface PutAndGot {
  readonly put: number;
  readonly got: number;
}

/** Clients choose names, and every name costs memory: beyond so many, new ones are only part of the totals. */
const MAX_COUNTERS = 200_000;

const MINUTE_PERIOD_MS = 10_000;
const HOUR_PERIOD_MS = 600_000;
const DAY_PERIOD_MS = 3_600_000;

/** Counts with windows of them. The windows are made when first sampled after something was counted. */
class Tally implements Counts {
  times = 0;
  messages = 0;
  bytes = 0;
  #windows: { minute: SampleWindow; hour: SampleWindow; day: SampleWindow } | undefined;

  add(messageCount: number, byteCount: number): void {
    this.times++;
    this.messages += messageCount;
    this.bytes += byteCount;
  }

  sample(window: "minute" | "hour" | "day", nowMs: number): void {
    if (this.#windows === undefined) {
      if (this.times === 0) return;
      this.#windows = {
        minute: new SampleWindow(MINUTE_PERIOD_MS, 7),
        hour: new SampleWindow(HOUR_PERIOD_MS, 7),
        day: new SampleWindow(DAY_PERIOD_MS, 25),
      };
    }
    this.#windows[window].sample(this, nowMs);
  }

  stats(of: "times" | "messages" | "bytes", { withAverage = true } = {}): ItemStats {
    const windows = this.#windows;
    const stats = (window: SampleWindow | undefined): WindowStats => {
      const { sum, tps, avgpt } = window?.stats(of) ?? { sum: 0, tps: 0, avgpt: 0 };
      return { sum, tps, avgpt: withAverage ? avgpt : 0 };
    };
    return { minute: stats(windows?.minute), hour: stats(windows?.hour), day: stats(windows?.day) };
  }
}

/** As Apache's metrics have them. */
const SIZE_BOUNDS = [1, 4, 512, 1024, 2048, 4096].map((kibibytes) => kibibytes * 1024);

/** Counts what was put into a topic. */
class TopicStats extends Tally implements TopicCounts {
  readonly sizes = new Buckets(SIZE_BOUNDS);
  readonly byKind = new Map<MessageKind, { messages: number; bytes: number }>();

  constructor(readonly isSystem: boolean) {
    super();
  }

  addOf(kind: MessageKind, messageCount: number, byteCount: number): void {
    this.add(messageCount, byteCount);
    this.sizes.add(byteCount / messageCount, messageCount);
    if (kind === "normal") return;
    let counts = this.byKind.get(kind);
    if (counts === undefined) this.byKind.set(kind, counts = { messages: 0, bytes: 0 });
    counts.messages += messageCount;
    counts.bytes += byteCount;
  }
}

/** Counts what a group got from a topic, and gave back. */
class GroupStats extends Tally {
  readonly sentBack = new Tally();
  readonly deadLetters = new Tally();

  constructor(readonly isSystem: boolean) {
    super();
  }

  override sample(window: "minute" | "hour" | "day", nowMs: number): void {
    super.sample(window, nowMs);
    this.sentBack.sample(window, nowMs);
    this.deadLetters.sample(window, nowMs);
  }
}

const BROKER_ITEMS = new Map<string, "put" | "got" | "putByUsers" | "gotByUsers">([
  ["BROKER_PUT_NUMS", "put"],
  ["BROKER_GET_NUMS", "got"],
  ["BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC", "putByUsers"],
  ["BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC", "gotByUsers"],
]);

const TOPIC_ITEMS = new Map<string, "messages" | "bytes">([
  ["TOPIC_PUT_NUMS", "messages"],
  ["TOPIC_PUT_SIZE", "bytes"],
]);

const GROUP_ITEMS = new Map<string, "messages" | "bytes" | "sentBack" | "deadLetters">([
  ["GROUP_GET_NUMS", "messages"],
  ["GROUP_GET_SIZE", "bytes"],
  ["SNDBCK_PUT_NUMS", "sentBack"],
  ["DLQ_PUT_NUMS", "deadLetters"],
]);

/** The next start of a day at this machine. */
function midnightAfter(nowMs: number): number {
  const now = new Date(nowMs);
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1).getTime();
}
