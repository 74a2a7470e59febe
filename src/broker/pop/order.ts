// SPDX-License-Identifier: Apache-2.0
/**
 * Pops in order: while a message of a queue's last batch is neither acknowledged nor past its invisible time,
 * the group is given nothing of the queue. Kept in `config/consumerOrderInfo.json`, written at intervals; what a
 * crash takes from it shows as messages that come again or as a wait, never as one left out, since the group's
 * committed offset is what it goes on from. [RMQ ConsumerOrderInfoManager]
 */
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../../base/clock.ts";
import {
  type OrderInfo,
  orderTableFromJson,
  orderTableToJson,
  type QueueOrder,
} from "../../protocol/bodies/order_info.ts";
import { offsetCountItem, queueCountItem } from "../../protocol/pop_receipt.ts";
import { formatJson, type JsonFile } from "../json_file.ts";
import { retryFlagOf } from "./retry_topic.ts";

const logger = getLogger(["rmq", "pop"]);

/** A queue that nobody has popped from for so long is forgotten. */
const FORGET_MS = 24 * 3_600_000;

export interface PopOrderOptions {
  file: JsonFile;
  clock: Clock;
  flushIntervalMs: number;
  /** Queues that the topic has for readers; 0 without such a topic. */
  queueCountOf: (topic: string) => number;
  hasGroup: (group: string) => boolean;
  /** Called when a queue's messages may be given out again without an acknowledgement. */
  onFree: (topic: string, group: string, queueId: number) => void;
}

interface Entry extends QueueOrder {
  timer: Timer | undefined;
}

/**
 * What an acknowledgement came to: the next offset to commit; that it is too late; that there is no such message; that
 * nothing is known of its batch, as after a crash.
 */
export type OrderAck = number | "STALE" | "UNKNOWN" | "FORGOTTEN";

export class PopOrder {
  #options: PopOrderOptions;
  #entries = new Map<string, Entry>();
  #isChanged = false;
  #writing: Promise<void> | undefined;
  #timer: Timer | undefined;

  /** @throws ConfigFileError */
  constructor(options: PopOrderOptions) {
    this.#options = options;
    for (const { topic, group, queueId, info } of options.file.load(orderTableFromJson) ?? []) {
      const entry: Entry = { topic, group, queueId, info, timer: undefined };
      this.#entries.set(keyOf(topic, group, queueId), entry);
    }
  }

  start(): void {
    this.#timer = this.#options.clock.every(this.#options.flushIntervalMs, () => void this.#flushLater());
    for (const entry of this.#entries.values()) this.#watch(entry);
  }

  /** Writes what is not written yet. @throws RemotingError */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    for (const { timer } of this.#entries.values()) timer?.cancel();
    while (this.#writing !== undefined) await this.#writing.catch(() => {});
    if (this.#isChanged) this.#options.file.write(orderTableToJson(this.#entries.values()));
    this.#isChanged = false;
  }

  /** Whether a request has to wait for those messages; the one that was given them may repeat itself. */
  isBlocked(topic: string, group: string, queueId: number, attemptId: string | undefined): boolean {
    const info = this.#entries.get(keyOf(topic, group, queueId))?.info;
    if (info === undefined) return false;
    if (info.attemptId !== undefined && info.attemptId === attemptId) return false;
    return freeAtMs(info) > this.#options.clock.nowMs();
  }

  /** Remembers a batch that is given out now. @returns items of the answer's `orderCountInfo` */
  onPopped(
    queue: { topic: string; group: string; queueId: number },
    batch: {
      attemptId: string | undefined;
      popTimeMs: number;
      invisibleMs: number;
      offsets: readonly number[];
    },
  ): string[] {
    const { topic, group, queueId } = queue;
    const key = keyOf(topic, group, queueId);
    const before = this.#entries.get(key);
    const counts = before === undefined ? new Map<number, number>() : countsAfter(before.info, batch);
    const info = {
      ...batch,
      acked: 0,
      counts,
      visibleAtMs: new Map<number, number>(),
      updatedMs: this.#nowMs(),
    };
    const entry: Entry = { topic, group, queueId, info, timer: before?.timer };
    this.#entries.set(key, entry);
    this.#changed(entry);
    const retry = retryFlagOf(topic);
    const items = [...counts].map(([offset, count]) => offsetCountItem(retry, queueId, offset, count));
    const lowest = counts.size === batch.offsets.length ? Math.min(...counts.values()) : 0;
    return [...items, queueCountItem(retry, queueId, lowest)];
  }

  ack(topic: string, group: string, queueId: number, queueOffset: number, popTimeMs: number): OrderAck {
    const entry = this.#entries.get(keyOf(topic, group, queueId));
    if (entry === undefined) return "FORGOTTEN";
    const { info } = entry;
    if (info.popTimeMs !== popTimeMs) return "STALE";
    const index = info.offsets.indexOf(queueOffset);
    if (index < 0) return "UNKNOWN";
    info.acked |= 1 << index;
    this.#changed(entry);
    return info.offsets.find((_, at) => !isAcked(info, at)) ?? info.offsets[info.offsets.length - 1] + 1;
  }

  /** Sets when a message may be given out again; nothing where it belongs to an older batch. */
  setVisibleAt(
    topic: string,
    group: string,
    queueId: number,
    queueOffset: number,
    popTimeMs: number,
    visibleAtMs: number,
  ): void {
    const entry = this.#entries.get(keyOf(topic, group, queueId));
    if (entry === undefined || entry.info.popTimeMs !== popTimeMs) return;
    if (!entry.info.offsets.includes(queueOffset)) return;
    entry.info.visibleAtMs.set(queueOffset, visibleAtMs);
    this.#changed(entry);
  }

  /** Forgets the last batch of a queue. */
  forget(topic: string, group: string, queueId: number): void {
    const entry = this.#entries.get(keyOf(topic, group, queueId));
    if (entry !== undefined) this.#remove(entry);
  }

  forgetTopic(topic: string): void {
    for (const entry of this.#entries.values()) if (entry.topic === topic) this.#remove(entry);
  }

  forgetGroup(group: string): void {
    for (const entry of this.#entries.values()) if (entry.group === group) this.#remove(entry);
  }

  #remove(entry: Entry): void {
    entry.timer?.cancel();
    this.#entries.delete(keyOf(entry.topic, entry.group, entry.queueId));
    this.#isChanged = true;
  }

  #changed(entry: Entry): void {
    this.#isChanged = true;
    this.#watch(entry);
  }

  /** Tells when the queue is free, unless that is for an acknowledgement. */
  #watch(entry: Entry): void {
    entry.timer?.cancel();
    const waitMs = freeAtMs(entry.info) - this.#nowMs();
    entry.timer = waitMs <= 0 ? undefined : this.#options.clock.after(waitMs, () => {
      entry.timer = undefined;
      this.#options.onFree(entry.topic, entry.group, entry.queueId);
    });
  }

  /** Leaves the loop free while the bytes go to the device. */
  async #flushLater(): Promise<void> {
    this.#clean();
    if (!this.#isChanged || this.#writing !== undefined) return;
    this.#isChanged = false;
    const text = formatJson(orderTableToJson(this.#entries.values()));
    this.#writing = this.#options.file.writeInPieces([text]);
    try {
      await this.#writing;
    } catch (error) {
      this.#isChanged = true;
      logger.error("what was popped in order can't be kept: {error}; tried again at the next interval", {
        error,
      });
    } finally {
      this.#writing = undefined;
    }
  }

  #clean(): void {
    const { queueCountOf, hasGroup } = this.#options;
    for (const entry of this.#entries.values()) {
      const isLong = this.#nowMs() - entry.info.updatedMs > FORGET_MS;
      if (isLong || entry.queueId >= queueCountOf(entry.topic) || !hasGroup(entry.group)) this.#remove(entry);
    }
  }

  #nowMs(): number {
    return this.#options.clock.nowMs();
  }
}

function isAcked(info: OrderInfo, index: number): boolean {
  return (info.acked & (1 << index)) !== 0;
}

/** When no message of the batch keeps the queue any more; 0 where none does. */
function freeAtMs(info: OrderInfo): number {
  let freeMs = 0;
  for (const [index, offset] of info.offsets.entries()) {
    if (isAcked(info, index)) continue;
    freeMs = Math.max(freeMs, info.visibleAtMs.get(offset) ?? info.popTimeMs + info.invisibleMs);
  }
  return freeMs;
}

/** How often the messages of a batch were given out before it. */
function countsAfter(
  before: OrderInfo,
  batch: { attemptId: string | undefined; offsets: readonly number[] },
): ReadonlyMap<number, number> {
  if (before.attemptId !== undefined && before.attemptId === batch.attemptId) return before.counts;
  const counts = new Map<number, number>();
  for (const offset of batch.offsets) {
    if (before.offsets.includes(offset)) counts.set(offset, (before.counts.get(offset) ?? 0) + 1);
  }
  return counts;
}

function keyOf(topic: string, group: string, queueId: number): string {
  return `${queueId}@${topic}@${group}`;
}
