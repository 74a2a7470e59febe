// SPDX-License-Identifier: Apache-2.0
/**
 * Delivers messages whose delay is over: copies them from their level's queue to where they belong. Progress
 * is one queue offset per level, kept in `config/delayOffset.json`; it moves when the copy is stored and is
 * written when the copy is flushed, so that a crash may deliver twice but never skip. [RMQ ScheduleMessageService]
 */
import { setImmediate } from "node:timers";
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../base/clock.ts";
import { DataVersion } from "../protocol/bodies/data_version.ts";
import { asInteger, type JsonObject, storedTable } from "../protocol/bodies/json_fields.ts";
import { parseProperties } from "../protocol/properties.ts";
import type { MessageRecord } from "../protocol/record.ts";
import { SCHEDULE_TOPIC } from "../store/queue_tags.ts";
import { type Appended, type MessageDraft, MessageIllegalError, StoreRefusedError } from "../store/types.ts";
import type { Outcome } from "./durability.ts";
import type { JsonFile } from "./json_file.ts";
import { draftOfRecord, realPlaceOf } from "./record_draft.ts";

const logger = getLogger(["rmq", "broker"]);

/** How often the queues are looked at, unless a message is due before; delivery times are judged by the wall clock. */
const LOOK_INTERVAL_MS = 100;
/** Copies of one level on their way to the disk at the same time. */
const MAX_UNDER_WAY = 1024;
/** Others are served after so long: messages that have waited for hours may have to come from the device. */
const SLICE_MS = 3;

export interface DelayStore {
  readonly writtenOffset: number;
  readonly flushedOffset: number;
  /** Resolves when what was appended before is durable. @throws when a flush has failed */
  flush(): Promise<void>;
  minOffset(topic: string, queueId: number): number;
  maxOffset(topic: string, queueId: number): number;
  queueEntry(
    topic: string,
    queueId: number,
    queueOffset: number,
  ): { physicalOffset: number; tagsCode: number } | undefined;
  readMessage(physicalOffset: number): MessageRecord | undefined;
  append(draft: MessageDraft): Appended;
}

export interface DelayDeliveryOptions {
  store: DelayStore;
  /** Calls back when the record that ends at an offset is as safe as a sender may expect. */
  whenStored: (endOffset: number, settle: (outcome: Outcome) => void) => void;
  file: JsonFile;
  clock: Clock;
  delayLevelsMs: readonly number[];
  delayOffsetFlushIntervalMs: number;
}

export class DelayDelivery {
  #options: DelayDeliveryOptions;
  #levels: Level[];
  #dataVersion: DataVersion;
  #lookTimer: Timer | undefined;
  #flushTimer: Timer | undefined;
  /** Progress of levels that the configuration no longer has: their messages wait for it to come back. */
  #others: (readonly [level: number, offset: number])[];
  #persisted: string;
  /** Progress that may be written when the log is flushed up to there. */
  #due: { offsets: readonly number[]; writtenOffset: number } | undefined;

  constructor(options: DelayDeliveryOptions) {
    this.#options = options;
    const stored = options.file.load((object) => ({
      offsets: levelOffsets(object),
      dataVersion: DataVersion.fromJson(object.dataVersion),
    }));
    this.#dataVersion = stored?.dataVersion ?? DataVersion.initial(options.clock.nowMs());
    this.#levels = options.delayLevelsMs.map((delayMs, index) => {
      const offset = stored?.offsets.get(index + 1) ?? 0;
      return new Level(index + 1, delayMs, this.#within(index, offset), options);
    });
    this.#others = [...stored?.offsets ?? []].filter(([level]) => level > this.#levels.length);
    this.#persisted = this.#offsets().join();
  }

  start(): void {
    const { clock, delayOffsetFlushIntervalMs } = this.#options;
    this.#lookTimer = clock.after(LOOK_INTERVAL_MS, this.#look);
    this.#flushTimer = clock.every(delayOffsetFlushIntervalMs, () => this.persist());
  }

  /** Stops, and keeps the progress once its copies are flushed. */
  async stop(): Promise<void> {
    this.#lookTimer?.cancel();
    this.#flushTimer?.cancel();
    for (const level of this.#levels) level.stop();
    try {
      await this.#options.store.flush();
    } catch (error) {
      logger.error("delayed messages may be delivered again at the next start: {error}", { error });
    }
    this.persist();
  }

  /** Progress of each level: its next queue offset, and the end of its queue. */
  progress(): { level: number; offset: number; maxOffset: number }[] {
    return this.#levels.map(({ level, offset }) => ({
      level,
      offset,
      maxOffset: this.#options.store.maxOffset(SCHEDULE_TOPIC, level - 1),
    }));
  }

  /** The table as in the file, and as slaves ask for it. */
  toJson(): unknown {
    return this.#tableOf(this.#offsets());
  }

  /**
   * Takes the progress of another broker: a slave, which delivers nothing, its master's.
   * @throws RemotingError when it can't be written
   */
  adopt(progress: ReadonlyMap<number, number>, version: DataVersion): void {
    const isSame = ({ level, offset }: Level) => offset === (progress.get(level) ?? 0);
    if (version.equals(this.#dataVersion) && this.#levels.every(isSame)) return;
    for (const level of this.#levels) level.moveTo(progress.get(level.level) ?? 0);
    this.#others = [...progress].filter(([level]) => level > this.#levels.length);
    this.#dataVersion = version;
    this.#due = undefined;
    const offsets = this.#offsets();
    this.#options.file.write(this.#tableOf(offsets));
    this.#persisted = offsets.join();
  }

  /** Writes the progress of the last call if its copies are flushed by now, and that of this one. */
  persist(): void {
    this.#writeDue();
    const offsets = this.#offsets();
    if (this.#due !== undefined || offsets.join() === this.#persisted) return;
    this.#due = { offsets, writtenOffset: this.#options.store.writtenOffset };
    this.#writeDue();
  }

  #look = (): void => {
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    let waitMs = LOOK_INTERVAL_MS;
    for (const level of this.#levels) {
      level.deliverDue();
      waitMs = Math.min(waitMs, level.nextDueMs - nowMs);
    }
    this.#lookTimer = clock.after(Math.max(1, waitMs), this.#look);
  };

  #writeDue(): void {
    if (this.#due === undefined || this.#options.store.flushedOffset < this.#due.writtenOffset) return;
    const { offsets } = this.#due;
    this.#due = undefined;
    this.#dataVersion = this.#dataVersion.next(this.#options.clock.nowMs());
    try {
      this.#options.file.write(this.#tableOf(offsets));
      this.#persisted = offsets.join();
    } catch (error) {
      logger.error("the progress of delayed messages can't be kept: {error}", { error });
    }
  }

  #offsets(): number[] {
    return this.#levels.map(({ offset }) => offset);
  }

  #tableOf(offsets: readonly number[]): unknown {
    const known = offsets.map((offset, index) => [index + 1, offset] as const);
    return {
      dataVersion: this.#dataVersion.toJson(),
      offsetTable: new Map([...known, ...this.#others].filter(([, offset]) => offset > 0)),
    };
  }

  /** Progress that the queue does not have (its log was lost or has expired) is brought into it. */
  #within(index: number, offset: number): number {
    const { store } = this.#options;
    const min = store.minOffset(SCHEDULE_TOPIC, index);
    const max = store.maxOffset(SCHEDULE_TOPIC, index);
    const within = Math.max(min, Math.min(offset, max));
    if (within !== offset) {
      logger.warn(
        "delay level {level}: progress {offset} is outside its queue ({min} to {max}); now {within}",
        {
          level: index + 1,
          offset,
          min,
          max,
          within,
        },
      );
    }
    return within;
  }
}

/** One level: its queue is in the order of delivery times, since all wait equally long. */
class Level {
  readonly level: number;
  readonly delayMs: number;
  /** Everything before is delivered and stored. */
  offset: number;
  #options: DelayDeliveryOptions;
  /** Everything before is delivered, perhaps not yet stored. */
  #nextOffset: number;
  /** Copies on their way to the disk. */
  #underWayCount = 0;
  /** More is due than could be delivered at a time. */
  #hasMore = false;
  /** When the first message that waits is due; Infinity where nobody knows. */
  nextDueMs = Infinity;
  #isStopped = false;
  #hasFailed = false;

  constructor(level: number, delayMs: number, offset: number, options: DelayDeliveryOptions) {
    this.level = level;
    this.delayMs = delayMs;
    this.offset = offset;
    this.#nextOffset = offset;
    this.#options = options;
  }

  stop(): void {
    this.#isStopped = true;
  }

  moveTo(offset: number): void {
    this.offset = this.#nextOffset = offset;
  }

  /** Delivers what is due; what fails is tried again with the next call. */
  deliverDue(): void {
    if (this.#isStopped) return;
    this.nextDueMs = Infinity;
    try {
      this.#deliverDue();
      this.#hasFailed = false;
    } catch (error) {
      // the store itself says why it takes nothing
      if (!this.#hasFailed && !(error instanceof StoreRefusedError)) {
        logger.error("delay level {level}: delivery failed, it is tried again: {error}", {
          level: this.level,
          error,
        });
      }
      this.#hasFailed = true;
    }
  }

  #deliverDue(): void {
    const { store, clock } = this.#options;
    const queueId = this.level - 1;
    const minOffset = store.minOffset(SCHEDULE_TOPIC, queueId);
    if (this.#nextOffset < minOffset) this.offset = this.#nextOffset = minOffset;
    const maxOffset = store.maxOffset(SCHEDULE_TOPIC, queueId);
    this.#hasMore = false;
    const startMs = clock.monotonicMs();
    while (this.#nextOffset < maxOffset) {
      this.#hasMore = this.#nextOffset - this.offset >= MAX_UNDER_WAY;
      if (this.#hasMore) return;
      const entry = store.queueEntry(SCHEDULE_TOPIC, queueId, this.#nextOffset);
      if (entry !== undefined && !this.#isDue(entry.tagsCode, clock.nowMs())) {
        this.nextDueMs = entry.tagsCode;
        return;
      }
      this.#deliver(entry && store.readMessage(entry.physicalOffset));
      if (clock.monotonicMs() - startMs < SLICE_MS) continue;
      setImmediate(() => this.deliverDue());
      return;
    }
  }

  /**
   * A message from the future was stored before the clock was set back. One that would come too late by more
   * than its delay is delivered at once, the others wait: so no message is off by more than its delay.
   */
  #isDue(dueMs: number, nowMs: number): boolean {
    return dueMs <= nowMs || dueMs > nowMs + 2 * this.delayMs;
  }

  /** Stores the copy of the message at `#nextOffset`. @throws what the store says when it can't be stored now */
  #deliver(message: MessageRecord | undefined): void {
    const offset = this.#nextOffset;
    const draft = message && restore(message);
    if (draft === undefined) {
      logger.warn("delay level {level}: the message at {offset} can't be delivered; left out", {
        level: this.level,
        offset,
      });
      this.#skip();
      return;
    }
    let appended: Appended;
    try {
      appended = this.#options.store.append(draft);
    } catch (error) {
      if (!(error instanceof MessageIllegalError)) throw error;
      logger.error("delay level {level}: {error}; left out", { level: this.level, error });
      this.#skip();
      return;
    }
    this.#nextOffset = offset + 1;
    this.#underWayCount++;
    this.#options.whenStored(appended.endOffset, (outcome) => this.#onStored(offset, outcome));
  }

  #skip(): void {
    if (this.offset === this.#nextOffset) this.offset++;
    this.#nextOffset++;
  }

  #onStored(offset: number, outcome: Outcome): void {
    this.#underWayCount--;
    if (outcome instanceof Error) this.#nextOffset = this.offset;
    // also past what was left out behind the last copy
    else if (this.#underWayCount === 0) this.offset = this.#nextOffset;
    else if (offset + 1 > this.offset && offset < this.#nextOffset) this.offset = offset + 1;
    // in another turn, so that others are served between
    if (this.#hasMore && this.offset === this.#nextOffset) setImmediate(() => this.deliverDue());
  }
}

/** The offsets of `delayOffset.json` and of the answer to GET_ALL_DELAY_OFFSET, by level. */
export function levelOffsets(object: JsonObject): Map<number, number> {
  const offsets = Object.entries(storedTable(object, "offsetTable"));
  return new Map(offsets.map(([level, offset]) => [Number(level), asInteger(offset, 0)]));
}

/**
 * The message as it goes where it belongs; undefined where it does not say where. What it says of its delay
 * stays in its properties, as on Apache.
 */
function restore(message: MessageRecord): MessageDraft | undefined {
  const propertyMap = parseProperties(message.properties);
  const place = realPlaceOf(propertyMap, SCHEDULE_TOPIC);
  return place && draftOfRecord(message, place, propertyMap, message.properties);
}
