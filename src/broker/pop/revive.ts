// SPDX-License-Identifier: Apache-2.0
/**
 * Gives messages out again that were popped and not acknowledged in time. Reads the revive topic, one position
 * per queue, committed for the group CID_RMQ_SYS_REVIVE_GROUP: the offset of the last check point that is
 * settled. What lies behind it is read again after a restart, so a crash may give messages out twice, and leaves
 * none out. [RMQ PopReviveService]
 *
 * A check point is settled when everything is read that came within two seconds after the end of its invisible
 * time: whatever is not acknowledged by then goes to the group's retry topic.
 */
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../../base/clock.ts";
import {
  type AckBody,
  type CheckPoint,
  checkPointKey,
  decodeAck,
  decodeBatchAck,
  decodeCheckPoint,
  ReviveTag,
  reviveTimeMs,
} from "../../protocol/bodies/check_point.ts";
import { MalformedError } from "../../protocol/header.ts";
import { parseProperties, Property } from "../../protocol/properties.ts";
import { decodeRecord, type MessageRecord } from "../../protocol/record.ts";
import {
  type Appended,
  type MessageDraft,
  MessageIllegalError,
  type ReadableQueues,
  type StoredHost,
  StoreRefusedError,
} from "../../store/types.ts";
import { NO_OFFSET } from "../consumer_offsets.ts";
import type { Outcome } from "../durability.ts";
import { draftOfRecord } from "../record_draft.ts";
import { isRetryTopic } from "../topic_name.ts";
import { normalTopicOf, popRetryTopicV1, popRetryTopicV2 } from "./retry_topic.ts";
import { REVIVE_GROUP } from "./revive_log.ts";

const logger = getLogger(["rmq", "pop"]);

/** So long after the end of its invisible time a check point waits for acknowledgements. */
const GRACE_MS = 2000;
/** Check points come a second before their time. */
const MAX_EARLY_MS = 60_000;
/** Entries of one read. */
const BATCH = 32;
/** Check points of one queue that are in memory: then the oldest are settled by the clock alone. */
const MAX_PENDING = 200_000;
/** Waits before another try with messages that could not be given out again. [RMQ ckRewriteIntervalsInSeconds] */
const REPUT_DELAYS_S = [10, 20, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];
const RETRY_QUEUE_PERM = 6;

export interface ReviveOptions {
  store: ReadableQueues & {
    readonly flushedOffset: number;
    onWatermark(listener: () => void): void;
    onLoss(listener: () => void): void;
    queueIdsOf(topic: string): number[];
    append(draft: MessageDraft): Appended;
  };
  /** Calls back when the record that ends at an offset is as safe as a sender may expect. */
  whenStored: (endOffset: number, settle: (outcome: Outcome) => void) => void;
  clock: Clock;
  topics: {
    has(topic: string): boolean;
    createForSendBack(topic: string, wish: { queueCount: number; perm: number }): unknown;
  };
  groups: { find(group: string): unknown };
  offsets: {
    query(group: string, topic: string, queueId: number): number;
    commit(group: string, topic: string, queueId: number, offset: number): void;
  };
  reviveLog: { appendCheckPoint(checkPoint: CheckPoint, reviveQueueId: number): Appended };
  /** Timed messages that are due at or before this time are in their queues. */
  deliveredUpToMs: () => number;
  inFlight: {
    subtract(topic: string, group: string, queueId: number, popTimeMs: number, messageCount: number): void;
  };
  /** Called when a message is in a group's retry topic and may be popped. */
  onRevived: (topic: string, group: string) => void;
  statistics: { onStored(topic: string, messageCount: number, byteCount: number): void };
  storeHost: StoredHost;
  brokerName: string;
  reviveTopic: string;
  settings: () => ReviveSettings;
}

export interface ReviveSettings {
  /** Without timed messages no acknowledgement comes. */
  readonly timersEnabled: boolean;
  readonly reviveIntervalMs: number;
  /** How long one look at a queue may take. */
  readonly reviveScanMs: number;
  /** New retry topics are named in the new form. */
  readonly popRetryTopicV2: boolean;
  /** Give up on messages that could not be given out again after all tries. */
  readonly popSkipsAfterReputs: boolean;
}

export class Revive {
  #options: ReviveOptions;
  #queues = new Map<number, ReviveQueue>();
  #timer: Timer | undefined;

  constructor(options: ReviveOptions) {
    this.#options = options;
    options.store.onWatermark(() => this.#queues.forEach((queue) => queue.commitFlushed()));
    options.store.onLoss(() => this.#queues.forEach((queue) => queue.startOver()));
  }

  start(): void {
    this.#timer = this.#options.clock.every(this.#options.settings().reviveIntervalMs, () => this.look());
  }

  /** Looks at all queues that have something; each once at a time. */
  look(): void {
    const { store, reviveTopic, settings } = this.#options;
    if (!settings().timersEnabled) return;
    for (const queueId of store.queueIdsOf(reviveTopic)) {
      let queue = this.#queues.get(queueId);
      if (queue === undefined) this.#queues.set(queueId, queue = new ReviveQueue(queueId, this.#options));
      void queue.look();
    }
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await Promise.all([...this.#queues.values()].map((queue) => queue.stop()));
  }
}

interface Pending {
  readonly checkPoint: CheckPoint;
  /** Its offset in the revive queue. */
  readonly reviveOffset: number;
  /** Its end in the log: before that is flushed, a power cut may give its offset to another one. */
  readonly endOffset: number;
}

class ReviveQueue {
  #queueId: number;
  #options: ReviveOptions;
  #pending = new Map<string, Pending>();
  /** What is read next; undefined before the first look. */
  #nextOffset: number | undefined;
  /** Newest time of delivery that was seen. */
  #seenMs = 0;
  /** Offsets that may be committed when the log is flushed up to there. */
  #steps: { reviveOffset: number; endOffset: number }[] = [];
  #lastEndOffset = 0;
  #looking: Promise<void> | undefined;
  #isStopped = false;
  /** Moves when what was read is no longer to be trusted. */
  #epoch = 0;

  constructor(queueId: number, options: ReviveOptions) {
    this.#queueId = queueId;
    this.#options = options;
  }

  look(): Promise<void> {
    return this.#looking ??= this.#look().catch((error) => {
      // the store itself says why it takes nothing
      if (!(error instanceof StoreRefusedError)) {
        logger.error("revive queue {queueId}: looking failed, it is tried again: {error}", {
          queueId: this.#queueId,
          error,
        });
      }
    }).finally(() => this.#looking = undefined);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#looking;
  }

  /** Reads again what is not settled for certain. */
  startOver(): void {
    this.#epoch++;
    this.#nextOffset = undefined;
    this.#pending.clear();
    this.#steps = [];
    this.#lastEndOffset = 0;
    this.#seenMs = 0;
  }

  commitFlushed(): void {
    const { store, offsets, reviveTopic } = this.#options;
    let committed: number | undefined;
    while (this.#steps.length > 0 && this.#steps[0].endOffset <= store.flushedOffset) {
      committed = this.#steps.shift()!.reviveOffset;
    }
    if (committed !== undefined) offsets.commit(REVIVE_GROUP, reviveTopic, this.#queueId, committed);
  }

  async #look(): Promise<void> {
    const { clock, settings, deliveredUpToMs } = this.#options;
    const untilMs = clock.monotonicMs() + settings().reviveScanMs;
    while (!this.#isStopped) {
      // before reading: what comes meanwhile is of a later time
      const dueMs = Math.min(clock.nowMs(), deliveredUpToMs());
      const isAtEnd = !await this.#readOn();
      await this.#settle(isAtEnd ? Math.max(dueMs, this.#seenMs) : this.#seenMs);
      if (isAtEnd || clock.monotonicMs() > untilMs) return;
    }
  }

  /** @returns whether there was something to read */
  async #readOn(): Promise<boolean> {
    const { store, reviveTopic } = this.#options;
    const offset = this.#nextOffset ??= this.#firstOffset();
    if (offset >= store.maxOffset(reviveTopic, this.#queueId) || this.#pending.size >= MAX_PENDING) {
      return false;
    }
    const epoch = this.#epoch;
    const got = store.getMessages(reviveTopic, this.#queueId, offset, { maxCount: BATCH });
    const result = got instanceof Promise ? await got : got;
    if (epoch !== this.#epoch) return false;
    for (const record of recordsIn(result.records)) this.#take(record);
    const isMoved = result.nextBeginOffset > offset;
    if (isMoved) this.#nextOffset = result.nextBeginOffset;
    return isMoved;
  }

  #firstOffset(): number {
    const { store, offsets, reviveTopic } = this.#options;
    const committed = offsets.query(REVIVE_GROUP, reviveTopic, this.#queueId);
    const next = committed === NO_OFFSET ? 0 : committed + 1;
    return Math.max(store.minOffset(reviveTopic, this.#queueId), next);
  }

  #take(record: MessageRecord): void {
    const properties = parseProperties(record.properties);
    const deliveryMs = Number(properties.get(Property.TIMER_DELIVER_MS));
    try {
      switch (properties.get(Property.TAGS)) {
        case ReviveTag.CHECK_POINT:
          this.#expect(decodeCheckPoint(record.body), record, deliveryMs);
          break;
        case ReviveTag.ACK:
          this.#acknowledge(decodeAck(record.body));
          break;
        case ReviveTag.BATCH_ACK:
          this.#acknowledge(decodeBatchAck(record.body));
          break;
      }
    } catch (error) {
      logger.error("revive queue {queueId}: the entry at {offset} can't be read, it is left out: {error}", {
        queueId: this.#queueId,
        offset: record.queueOffset,
        error,
      });
    }
    // Anybody can send to this topic: nothing that claims to be from the future may settle what waits.
    const seenMs = Math.min(deliveryMs, this.#options.clock.nowMs());
    if (seenMs > this.#seenMs) this.#seenMs = seenMs;
  }

  /**
   * A check point that comes twice, as timed messages may after a crash, counts once, at its first place: later
   * ones must not be settled before those between. One that came long before its own time would keep those behind
   * it from being settled; no broker writes such.
   * @throws MalformedError
   */
  #expect(checkPoint: CheckPoint, record: MessageRecord, deliveryMs: number): void {
    const earlyMs = reviveTimeMs(checkPoint) - deliveryMs;
    if (!(earlyMs <= MAX_EARLY_MS)) {
      throw new MalformedError(`a check point came ${earlyMs} ms before its time`);
    }
    const key = this.#keyOf(checkPoint);
    const before = this.#pending.get(key)?.checkPoint;
    const { queueOffset: reviveOffset, physicalOffset, totalBytes } = record;
    const pending = { checkPoint, reviveOffset, endOffset: physicalOffset + totalBytes };
    if (before === undefined) this.#pending.set(key, pending);
    else if (!isSame(before, checkPoint)) this.#pending.set(`${key}#${reviveOffset}`, pending);
  }

  /** One that comes when its check point is settled, or names none, says nothing any more. */
  #acknowledge(ack: AckBody): void {
    const checkPoint = this.#pending.get(this.#keyOf(ack))?.checkPoint;
    if (checkPoint === undefined) return;
    for (const offset of ack.offsets) {
      const index = checkPoint.offsets.indexOf(offset);
      if (index >= 0) checkPoint.acked |= 1 << index;
    }
  }

  #keyOf(batch: CheckPoint | AckBody): string {
    const brokerName = batch.brokerName === "" ? this.#options.brokerName : batch.brokerName;
    return checkPointKey({ ...batch, brokerName });
  }

  /**
   * Settles the check points whose time is over, in their order.
   * @param readUpToMs acknowledgements that came before this time are known
   */
  async #settle(readUpToMs: number): Promise<void> {
    for (const [key, pending] of this.#pending) {
      if (this.#isStopped || readUpToMs - reviveTimeMs(pending.checkPoint) <= GRACE_MS) return;
      const epoch = this.#epoch;
      const endOffset = await this.#giveOut(pending.checkPoint);
      if (epoch !== this.#epoch) return;
      this.#pending.delete(key);
      this.#lastEndOffset = Math.max(this.#lastEndOffset, pending.endOffset, endOffset);
      this.#steps.push({ reviveOffset: pending.reviveOffset, endOffset: this.#lastEndOffset });
      this.commitFlushed();
    }
  }

  /**
   * Should it fail in between, what was given out until then is not given out again by the next try.
   * @returns the end of the last record that was written for it
   */
  async #giveOut(checkPoint: CheckPoint): Promise<number> {
    const { topics, groups } = this.#options;
    const { topic, group } = checkPoint;
    if (!topics.has(normalTopicOf(topic, group)) || groups.find(group) === undefined) {
      logger.info("what {group} has popped from {topic} is not given out again: one of them is gone", {
        group,
        topic,
      });
      return 0;
    }
    let endOffset = 0;
    for (const [index, offset] of checkPoint.offsets.entries()) {
      if ((checkPoint.acked & (1 << index)) !== 0) continue;
      const epoch = this.#epoch;
      endOffset = Math.max(endOffset, await this.#giveOutOne(checkPoint, offset));
      if (epoch !== this.#epoch) return endOffset;
      checkPoint.acked |= 1 << index;
      this.#lastEndOffset = Math.max(this.#lastEndOffset, endOffset);
    }
    return endOffset;
  }

  async #giveOutOne(checkPoint: CheckPoint, offset: number): Promise<number> {
    const { topic, queueId, group } = checkPoint;
    let record: MessageRecord | undefined;
    try {
      record = await this.#message(topic, queueId, offset);
    } catch (error) {
      return this.#putAgain(checkPoint, offset, error);
    }
    if (record === undefined) {
      const what =
        "{topic}, queue {queueId}: the message at {offset} has expired before {group} acknowledged it";
      logger.info(what, { topic, queueId, offset, group });
      this.#options.inFlight.subtract(topic, group, queueId, checkPoint.popTimeMs, 1);
      return 0;
    }
    const retryTopic = this.#retryTopicOf(checkPoint);
    if (!this.#makeTopic(retryTopic, group)) {
      return this.#putAgain(checkPoint, offset, "its retry topic can't be made");
    }
    let appended: Appended;
    try {
      appended = this.#append(this.#copyOf(record, retryTopic, checkPoint), record);
    } catch (error) {
      if (!(error instanceof MessageIllegalError)) throw error;
      return this.#putAgain(checkPoint, offset, error);
    }
    const { endOffset } = appended;
    this.#options.statistics.onStored(retryTopic, 1, endOffset - appended.physicalOffset);
    this.#options.inFlight.subtract(topic, group, queueId, checkPoint.popTimeMs, 1);
    this.#options.whenStored(endOffset, (outcome) => {
      if (!(outcome instanceof Error)) this.#options.onRevived(normalTopicOf(topic, group), group);
    });
    return endOffset;
  }

  async #message(topic: string, queueId: number, offset: number): Promise<MessageRecord | undefined> {
    const got = this.#options.store.getMessages(topic, queueId, offset, { maxCount: 1 });
    const result = got instanceof Promise ? await got : got;
    for (const record of recordsIn(result.records)) if (record.queueOffset === offset) return record;
    return undefined;
  }

  #retryTopicOf({ topic, group }: CheckPoint): string {
    if (isRetryTopic(topic)) return topic;
    return this.#options.settings().popRetryTopicV2
      ? popRetryTopicV2(topic, group)
      : popRetryTopicV1(topic, group);
  }

  /** @returns whether the topic is there */
  #makeTopic(retryTopic: string, group: string): boolean {
    const { topics, offsets } = this.#options;
    if (topics.has(retryTopic)) return true;
    // durable at once: nobody would look for messages in a topic that a crash has made unknown
    topics.createForSendBack(retryTopic, { queueCount: 1, perm: RETRY_QUEUE_PERM });
    if (offsets.query(group, retryTopic, 0) === NO_OFFSET) offsets.commit(group, retryTopic, 0, 0);
    return topics.has(retryTopic);
  }

  #copyOf(record: MessageRecord, topic: string, checkPoint: CheckPoint): MessageDraft {
    const propertyMap = parseProperties(record.properties);
    if (record.reconsumeTimes === 0 || !propertyMap.has(Property.FIRST_POP_TIME)) {
      propertyMap.set(Property.FIRST_POP_TIME, String(checkPoint.popTimeMs));
    }
    propertyMap.set(Property.ORIGIN_GROUP, checkPoint.group);
    const { storeHost } = this.#options;
    const draft = draftOfRecord(record, { topic, queueId: 0 }, propertyMap);
    return { ...draft, bornHost: storeHost, storeHost, reconsumeTimes: record.reconsumeTimes + 1 };
  }

  /** Properties that have no room for what is added go without it. @throws StoreRefusedError, MessageIllegalError */
  #append(draft: MessageDraft, record: MessageRecord): Appended {
    try {
      return this.#options.store.append(draft);
    } catch (error) {
      if (!(error instanceof MessageIllegalError)) throw error;
      const { properties } = record;
      return this.#options.store.append({ ...draft, properties, propertyMap: parseProperties(properties) });
    }
  }

  /** Tries again later, by a check point of its own. @throws StoreRefusedError */
  #putAgain(checkPoint: CheckPoint, offset: number, reason: unknown): number {
    const { reviveLog, clock, settings } = this.#options;
    const { topic, queueId, group, rePutTimes } = checkPoint;
    const isLast = rePutTimes >= REPUT_DELAYS_S.length;
    logger.warn(
      "{topic}, queue {queueId}: the message at {offset} can't be given to {group} again: {reason}",
      {
        ...{ topic, queueId, offset, group, reason },
      },
    );
    if (isLast && settings().popSkipsAfterReputs) return 0;
    const delayS = REPUT_DELAYS_S[Math.min(rePutTimes, REPUT_DELAYS_S.length - 1)];
    const isPast = reviveTimeMs(checkPoint) <= clock.nowMs();
    return reviveLog.appendCheckPoint({
      ...checkPoint,
      startOffset: offset,
      offsets: [offset],
      acked: 0,
      invisibleMs: checkPoint.invisibleMs + (isPast ? delayS * 1000 : 0),
      rePutTimes: rePutTimes + 1,
    }, this.#queueId).endOffset;
  }
}

function isSame(a: CheckPoint, b: CheckPoint): boolean {
  return a.invisibleMs === b.invisibleMs && a.offsets.join() === b.offsets.join();
}

function* recordsIn(blocks: readonly Uint8Array[]): Iterable<MessageRecord> {
  for (const bytes of blocks) {
    for (let at = 0; at < bytes.length;) {
      const record = decodeRecord(bytes, at);
      if (typeof record === "string") throw new Error(`a record can't be read: ${record}`);
      at += record.totalBytes;
      yield record;
    }
  }
}
