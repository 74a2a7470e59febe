// SPDX-License-Identifier: Apache-2.0
/**
 * Delivers messages whose delay is over: copies them from their level's queue to where they belong. Progress
 * is one queue offset per level, kept in `config/delayOffset.json`; it moves only when the copy is stored, so
 * a crash may deliver twice but never skip. [RMQ ScheduleMessageService]
 */
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../base/clock.ts";
import { DataVersion } from "../protocol/bodies/data_version.ts";
import { asInteger, asObject } from "../protocol/bodies/json_fields.ts";
import { parseProperties, Property } from "../protocol/properties.ts";
import type { MessageRecord } from "../protocol/record.ts";
import { TRANSACTION_MASK } from "../protocol/sys_flag.ts";
import { SCHEDULE_TOPIC } from "../store/queue_tags.ts";
import { type Appended, type MessageDraft, MessageIllegalError } from "../store/types.ts";
import type { Outcome } from "./durability.ts";
import type { JsonFile } from "./json_file.ts";

const logger = getLogger(["rmq", "broker"]);

/** How often the queues are looked at; delivery times are judged by the wall clock. */
const LOOK_INTERVAL_MS = 100;
/** Copies of one level on their way to the disk at the same time. */
const MAX_UNDER_WAY = 1024;

export interface DelayStore {
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
  #timers: Timer[] = [];
  #persisted = "";

  constructor(options: DelayDeliveryOptions) {
    this.#options = options;
    const stored = options.file.load((object) => ({
      offsets: asObject(object.offsetTable),
      dataVersion: DataVersion.fromJson(object.dataVersion),
    }));
    this.#dataVersion = stored?.dataVersion ?? DataVersion.initial(options.clock.nowMs());
    this.#levels = options.delayLevelsMs.map((delayMs, index) => {
      const offset = asInteger(stored?.offsets[String(index + 1)], 0);
      return new Level(index + 1, delayMs, this.#within(index, offset), options);
    });
  }

  start(): void {
    const { clock, delayOffsetFlushIntervalMs } = this.#options;
    this.#timers.push(
      clock.every(LOOK_INTERVAL_MS, () => this.#levels.forEach((level) => level.deliverDue())),
      clock.every(delayOffsetFlushIntervalMs, () => this.persist()),
    );
  }

  /** Stops and keeps the progress. */
  stop(): void {
    for (const timer of this.#timers.splice(0)) timer.cancel();
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
    const offsets = this.#levels.filter((level) => level.offset > 0);
    return {
      dataVersion: this.#dataVersion.toJson(),
      offsetTable: new Map(offsets.map((level) => [level.level, level.offset])),
    };
  }

  persist(): void {
    const offsets = this.#levels.map((level) => level.offset).join();
    if (offsets === this.#persisted) return;
    this.#dataVersion = this.#dataVersion.next(this.#options.clock.nowMs());
    try {
      this.#options.file.write(this.toJson());
      this.#persisted = offsets;
    } catch (error) {
      logger.error("the progress of delayed messages can't be kept: {error}", { error });
    }
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

  constructor(level: number, delayMs: number, offset: number, options: DelayDeliveryOptions) {
    this.level = level;
    this.delayMs = delayMs;
    this.offset = offset;
    this.#nextOffset = offset;
    this.#options = options;
  }

  deliverDue(): void {
    const { store, clock } = this.#options;
    const queueId = this.level - 1;
    const minOffset = store.minOffset(SCHEDULE_TOPIC, queueId);
    if (this.#nextOffset < minOffset) this.offset = this.#nextOffset = minOffset;
    const maxOffset = store.maxOffset(SCHEDULE_TOPIC, queueId);
    while (this.#nextOffset < maxOffset && this.#nextOffset - this.offset < MAX_UNDER_WAY) {
      const entry = store.queueEntry(SCHEDULE_TOPIC, queueId, this.#nextOffset);
      if (entry !== undefined && this.#dueMs(entry.tagsCode) > clock.nowMs()) return;
      const message = entry && store.readMessage(entry.physicalOffset);
      if (!this.#deliver(message)) return;
    }
  }

  /** The store time plus the delay; never later than a full delay from now, should the clock have been set back. */
  #dueMs(tagsCode: number): number {
    const latestMs = this.#options.clock.nowMs() + this.delayMs;
    return tagsCode > latestMs ? 0 : tagsCode;
  }

  /** Stores the copy of the message at `#nextOffset`. @returns false where the store takes nothing now */
  #deliver(message: MessageRecord | undefined): boolean {
    const offset = this.#nextOffset;
    const draft = message && restore(message);
    if (draft === undefined) {
      logger.warn("delay level {level}: the message at {offset} can't be delivered; left out", {
        level: this.level,
        offset,
      });
      this.#skip();
      return true;
    }
    let appended: Appended;
    try {
      appended = this.#options.store.append(draft);
    } catch (error) {
      if (!(error instanceof MessageIllegalError)) return false;
      logger.error("delay level {level}: {error}; left out", { level: this.level, error });
      this.#skip();
      return true;
    }
    this.#nextOffset = offset + 1;
    this.#options.whenStored(appended.endOffset, (outcome) => this.#onStored(offset, outcome));
    return true;
  }

  #skip(): void {
    if (this.offset === this.#nextOffset) this.offset++;
    this.#nextOffset++;
  }

  #onStored(offset: number, outcome: Outcome): void {
    if (outcome instanceof Error) this.#nextOffset = this.offset;
    else if (offset + 1 > this.offset && offset < this.#nextOffset) this.offset = offset + 1;
  }
}

/**
 * The message as it goes where it belongs; undefined where it does not say where. What it says of its delay
 * stays in its properties, as on Apache.
 */
function restore(message: MessageRecord): MessageDraft | undefined {
  const propertyMap = parseProperties(message.properties);
  const topic = propertyMap.get(Property.REAL_TOPIC);
  const queueId = Number(propertyMap.get(Property.REAL_QUEUE_ID));
  if (topic === undefined || topic === SCHEDULE_TOPIC || !Number.isInteger(queueId) || queueId < 0) {
    return undefined;
  }
  return {
    topic,
    queueId,
    flag: message.flag,
    sysFlag: message.sysFlag & ~TRANSACTION_MASK,
    bornTimestampMs: message.bornTimestampMs,
    bornHost: message.bornHost,
    storeHost: message.storeHost,
    reconsumeTimes: message.reconsumeTimes,
    preparedTransactionOffset: 0,
    body: message.body,
    properties: message.properties,
    propertyMap,
  };
}
