// SPDX-License-Identifier: Apache-2.0
/**
 * Reads messages for a pop: queue by queue from where the group has come, a check point for each queue that gave
 * something. What is read is the group's no longer until its invisible time has passed, so no answer may leave
 * before the check points are as safe as a sent message. [RMQ PopMessageProcessor.popMsgFromQueue]
 */
import { getLogger } from "@logtape/logtape";
import { type CheckPoint, MAX_CHECK_POINT_MESSAGES } from "../../protocol/bodies/check_point.ts";
import { PopInitMode } from "../../protocol/headers/pop.ts";
import { messageOffsetsItem, startOffsetItem } from "../../protocol/pop_receipt.ts";
import { asBuffer, readLong } from "../../protocol/record.ts";
import type { Appended, GetLimits, GetResult, MessageFilter, ReadableQueues } from "../../store/types.ts";
import { NO_OFFSET } from "../consumer_offsets.ts";
import { isRetryTopic } from "../topic_name.ts";
import { retryFlagOf } from "./retry_topic.ts";
import { underTopic } from "./retry_view.ts";

const logger = getLogger(["rmq", "pop"]);

export interface PopReaderOptions {
  store: ReadableQueues & {
    isHot(topic: string, queueId: number, queueOffset: number): boolean;
  };
  offsets: {
    query(group: string, topic: string, queueId: number): number;
    commit(group: string, topic: string, queueId: number, offset: number): void;
    takeReset(group: string, topic: string, queueId: number): number | undefined;
  };
  positions: {
    next(topic: string, group: string, queueId: number): number;
    advance(topic: string, group: string, queueId: number, nextOffset: number, endOffset?: number): void;
    drop(topic: string, group: string, queueId: number): void;
  };
  order: {
    isBlocked(topic: string, group: string, queueId: number, attemptId: string | undefined): boolean;
    onPopped(
      queue: { topic: string; group: string; queueId: number },
      batch: {
        attemptId: string | undefined;
        popTimeMs: number;
        invisibleMs: number;
        offsets: readonly number[];
      },
    ): string[];
    forget(topic: string, group: string, queueId: number): void;
  };
  inFlight: {
    isFull(topic: string, group: string, queueId: number): boolean;
    add(topic: string, group: string, queueId: number, messageCount: number): void;
    clear(topic: string, group: string, queueId: number): void;
  };
  reviveLog: { appendCheckPoint(checkPoint: CheckPoint, reviveQueueId: number): Appended };
  statistics: {
    onDelivered(topic: string, group: string, messageCount: number, byteCount: number): void;
    onGetMiss(): void;
  };
  /** Called when a queue that was busy may be read again. */
  onQueueFree: (topic: string, group: string, queueId: number) => void;
  brokerName: string;
  settings: () => PopReaderSettings;
}

export interface PopReaderSettings {
  /** A new group that wants the newest begins with the oldest in memory. */
  readonly popStartsInMemory: boolean;
  /** Messages of retry topics show the retry topic's name. */
  readonly popShowsRetryTopic: boolean;
}

/** What is asked for, whatever the queue. */
export interface PopWish {
  /** As asked for; queues of retry topics are read for it as well. */
  readonly topic: string;
  readonly group: string;
  readonly maxCount: number;
  readonly invisibleMs: number;
  /** One of `PopInitMode`. */
  readonly initMode: number;
  readonly isOrdered: boolean;
  readonly attemptId: string | undefined;
  readonly filter: MessageFilter | undefined;
  readonly popTimeMs: number;
  /** Where check points go; `ORDER_REVIVE_QUEUE` for a pop in order. */
  readonly reviveQueueId: number;
}

/** What was read so far for one answer. */
export class Popped {
  readonly records: Uint8Array[] = [];
  messageCount = 0;
  byteCount = 0;
  /** Messages that are there and were not read. */
  restCount = 0;
  readonly startOffsets: string[] = [];
  readonly messageOffsets: string[] = [];
  readonly orderCounts: string[] = [];
  /** End of the last check point in the log. */
  endOffset = 0;
  /** Something was passed over, and what comes behind it was not looked at yet. */
  hasMore = false;
}

export class PopReader {
  #options: PopReaderOptions;
  /** Queues that are being read; reading waits only for a disk. */
  #busy = new Set<string>();

  constructor(options: PopReaderOptions) {
    this.#options = options;
  }

  /** Reads a queue of the topic, or of a retry topic of it, into `popped`. A promise only where the disk is waited for. */
  read(wish: PopWish, topic: string, queueId: number, popped: Popped): void | Promise<void> {
    const { group } = wish;
    const key = `${queueId}@${topic}@${group}`;
    const { positions, order, inFlight } = this.#options;
    if (this.#busy.has(key)) {
      if (!wish.isOrdered) {
        popped.restCount += this.#unread(topic, queueId, positions.next(topic, group, queueId));
      }
      return;
    }
    // in order, what was not acknowledged is popped again by the group itself
    if (!wish.isOrdered && inFlight.isFull(topic, group, queueId)) {
      popped.restCount += this.#unread(topic, queueId, positions.next(topic, group, queueId));
      return;
    }
    const offset = this.#begin(wish, topic, queueId);
    if (wish.isOrdered) {
      if (order.isBlocked(topic, group, queueId, wish.attemptId)) return;
      inFlight.clear(topic, group, queueId);
    }
    const maxCount = Math.min(wish.maxCount, MAX_CHECK_POINT_MESSAGES) - popped.messageCount;
    if (maxCount <= 0 || popped.byteCount >= MAX_BYTES) {
      popped.restCount += this.#unread(topic, queueId, offset);
      return;
    }
    const result = this.#get(topic, queueId, offset, { maxCount, filter: wish.filter });
    if (!(result instanceof Promise)) return this.#take(wish, topic, queueId, offset, result, popped);
    this.#busy.add(key);
    return result.then((result) => this.#take(wish, topic, queueId, offset, result, popped)).finally(() => {
      this.#busy.delete(key);
      this.#options.onQueueFree(topic, group, queueId);
    });
  }

  /** Where the group goes on, or begins. */
  #begin({ group, initMode }: PopWish, topic: string, queueId: number): number {
    const { offsets, positions, order } = this.#options;
    const reset = offsets.takeReset(group, topic, queueId);
    if (reset !== undefined) {
      order.forget(topic, group, queueId);
      positions.drop(topic, group, queueId);
      offsets.commit(group, topic, queueId, reset);
      return reset;
    }
    const next = positions.next(topic, group, queueId);
    if (next !== NO_OFFSET) return next;
    const first = this.#firstOffset(topic, queueId, initMode);
    offsets.commit(group, topic, queueId, first);
    return first;
  }

  /** A group that wants the newest begins with the last message, or on a young queue with the first. */
  #firstOffset(topic: string, queueId: number, initMode: number): number {
    const { store, settings } = this.#options;
    const minOffset = store.minOffset(topic, queueId);
    if (initMode === PopInitMode.MIN || isRetryTopic(topic)) return minOffset;
    if (settings().popStartsInMemory && minOffset <= 0 && store.isHot(topic, queueId, 0)) return 0;
    return Math.max(0, store.maxOffset(topic, queueId) - 1);
  }

  /** Reads; from another place where there is nothing at this one, and never will be. */
  #get(topic: string, queueId: number, offset: number, limits: GetLimits): GetResult | Promise<GetResult> {
    const result = this.#options.store.getMessages(topic, queueId, offset, limits);
    if (result instanceof Promise || !isElsewhere(result)) return result;
    logger.warn("{topic}, queue {queueId}: a group is at {offset}, where nothing is; it goes on at {next}", {
      topic,
      queueId,
      offset,
      next: result.nextBeginOffset,
    });
    return this.#options.store.getMessages(topic, queueId, result.nextBeginOffset, limits);
  }

  #take(
    wish: PopWish,
    topic: string,
    queueId: number,
    startOffset: number,
    result: GetResult,
    popped: Popped,
  ): void {
    if (result.messageCount === 0) {
      this.#passOver(wish, topic, queueId, startOffset, result);
      popped.hasMore ||= result.nextBeginOffset > startOffset && result.maxOffset > result.nextBeginOffset;
    } else {
      const offsets = queueOffsetsOf(result.records);
      // Where reading went on elsewhere, what lies between is not there: distances count from the first message.
      const start = startOffset <= offsets[0] && offsets[offsets.length - 1] - startOffset <= MAX_DISTANCE
        ? startOffset
        : offsets[0];
      const isTaken = wish.isOrdered
        ? this.#takeInOrder(wish, topic, queueId, offsets, popped)
        : this.#takeOnce(wish, topic, queueId, start, offsets, result, popped);
      if (!isTaken) {
        popped.restCount += result.messageCount;
        return;
      }
      const retry = retryFlagOf(topic);
      popped.startOffsets.push(startOffsetItem(retry, queueId, start));
      popped.messageOffsets.push(messageOffsetsItem(retry, queueId, offsets));
      popped.messageCount += result.messageCount;
      this.#options.inFlight.add(topic, wish.group, queueId, result.messageCount);
      popped.byteCount += result.byteCount;
      popped.records.push(...this.#shown(wish, topic, start, result.records));
      this.#options.statistics.onDelivered(wish.topic, wish.group, result.messageCount, result.byteCount);
    }
    popped.restCount += Math.max(0, result.maxOffset - result.nextBeginOffset);
  }

  /** Nothing here is for the group: it goes on behind. */
  #passOver(wish: PopWish, topic: string, queueId: number, startOffset: number, result: GetResult): void {
    this.#options.statistics.onGetMiss();
    const { nextBeginOffset } = result;
    if (nextBeginOffset === startOffset) return;
    const { offsets, positions } = this.#options;
    // Back only to where the queue has ended; a queue that is not there yet says nothing of the offset.
    const isBack = nextBeginOffset < startOffset;
    if (isBack && result.status === "NO_MATCHED_LOGIC_QUEUE") return;
    if (wish.isOrdered || isBack) {
      positions.drop(topic, wish.group, queueId);
      offsets.commit(wish.group, topic, queueId, nextBeginOffset);
    } else {
      positions.advance(topic, wish.group, queueId, nextBeginOffset);
    }
  }

  #takeInOrder(
    wish: PopWish,
    topic: string,
    queueId: number,
    offsets: readonly number[],
    popped: Popped,
  ): boolean {
    const { group, attemptId, popTimeMs, invisibleMs } = wish;
    const batch = { attemptId, popTimeMs, invisibleMs, offsets };
    popped.orderCounts.push(...this.#options.order.onPopped({ topic, group, queueId }, batch));
    // Until it is acknowledged the group stays where the batch begins.
    this.#options.offsets.commit(group, topic, queueId, offsets[0]);
    return true;
  }

  /** @returns whether the check point could be stored; without it the messages are nobody's */
  #takeOnce(
    wish: PopWish,
    topic: string,
    queueId: number,
    startOffset: number,
    offsets: readonly number[],
    result: GetResult,
    popped: Popped,
  ): boolean {
    const { group, popTimeMs, invisibleMs } = wish;
    const { positions, reviveLog, brokerName } = this.#options;
    const checkPoint = {
      ...{ topic, group, queueId, startOffset, popTimeMs, invisibleMs, brokerName, offsets },
      ...{ acked: 0, rePutTimes: 0 },
    };
    let appended: Appended;
    try {
      appended = reviveLog.appendCheckPoint(checkPoint, wish.reviveQueueId);
    } catch (error) {
      logger.warn("{topic}, queue {queueId}: {group} is given nothing: {error}", {
        topic,
        queueId,
        group,
        error,
      });
      return false;
    }
    popped.endOffset = appended.endOffset;
    positions.advance(topic, group, queueId, result.nextBeginOffset, appended.endOffset);
    return true;
  }

  #shown(
    wish: PopWish,
    topic: string,
    startOffset: number,
    records: readonly Uint8Array[],
  ): readonly Uint8Array[] {
    if (topic === wish.topic || this.#options.settings().popShowsRetryTopic) return records;
    const { popTimeMs, invisibleMs, reviveQueueId } = wish;
    const { brokerName } = this.#options;
    const retry = retryFlagOf(topic);
    const pop = { startOffset, popTimeMs, invisibleMs, reviveQueueId, retry, brokerName };
    return underTopic(wish.topic, pop, records);
  }

  #unread(topic: string, queueId: number, offset: number): number {
    return Math.max(0, this.#options.store.maxOffset(topic, queueId) - Math.max(0, offset));
  }
}

/** No further queue is read when there is so much: clients refuse frames of more than 16 MiB. */
const MAX_BYTES = 4 << 20;
/** Distances of a check point are stored as 32-bit numbers. */
const MAX_DISTANCE = 0x7fffffff;

function isElsewhere({ status }: GetResult): boolean {
  return status === "OFFSET_TOO_SMALL" || status === "OFFSET_OVERFLOW_BADLY" ||
    status === "OFFSET_FOUND_NULL";
}

function queueOffsetsOf(records: readonly Uint8Array[]): number[] {
  const offsets: number[] = [];
  for (const bytes of records) {
    const buffer = asBuffer(bytes);
    for (let at = 0; at < buffer.length; at += buffer.readInt32BE(at)) {
      offsets.push(readLong(buffer, at + 20));
    }
  }
  return offsets;
}
