// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import type { ConsumeQueue } from "./consume_queue.ts";
import type { FurtherEntry } from "./light_queues.ts";
import { enqueue, type QueuedRecord } from "./enqueue.ts";

const logger = getLogger(["rmq", "store"]);

/** A record on its way from the log into queue and index. */
export interface DispatchEntry extends QueuedRecord {
  topic: string;
  /** Undefined: no consumer is shown this record. */
  queue: ConsumeQueue | undefined;
  uniqueKey: string | undefined;
  keys: string | undefined;
  properties: ReadonlyMap<string, string>;
  /** Entries in light queues. */
  further?: readonly FurtherEntry[];
}

/** Called when a message may be read; in the order of the log. */
export type ArrivalListener = (
  topic: string,
  queueId: number,
  queueOffset: number,
  tagsCode: number,
  storeTimestampMs: number,
  properties: ReadonlyMap<string, string>,
) => void;

/** Works out which filters a message fulfils; undefined where its topic has none. Must not throw. */
export type BitMapOf = (topic: string, properties: ReadonlyMap<string, string>) => Uint8Array | undefined;

/** Finds messages by key. */
export interface KeyIndex {
  put(
    topic: string,
    uniqueKey: string | undefined,
    keys: string | undefined,
    physicalOffset: number,
    storeTimestampMs: number,
  ): void;
}

/**
 * Builds ConsumeQueues and index from what was appended, never ahead of the watermark that says what
 * consumers may see, and tells who waits for messages.
 */
export class Dispatcher {
  #index: KeyIndex | undefined;
  #listeners: ArrivalListener[] = [];
  #dirty: Set<ConsumeQueue>;
  #bitMapOf: BitMapOf | undefined;
  /** From `#head` on, in log order. */
  #entries: DispatchEntry[] = [];
  #head = 0;
  #dispatchedOffset: number;
  #dispatchedTimestampMs: number;
  #lastRecordOffset: number;

  /** `dirty` collects the queues that have entries to write. */
  constructor(options: {
    index: KeyIndex | undefined;
    dirty: Set<ConsumeQueue>;
    dispatchedOffset: number;
    dispatchedTimestampMs: number;
    lastRecordOffset: number;
  }) {
    this.#index = options.index;
    this.#dirty = options.dirty;
    this.#dispatchedTimestampMs = options.dispatchedTimestampMs;
    this.#dispatchedOffset = options.dispatchedOffset;
    this.#lastRecordOffset = options.lastRecordOffset;
  }

  /** Everything in the log before this offset is in queue and index. */
  get dispatchedOffset(): number {
    return this.#dispatchedOffset;
  }

  /** Where the last record dispatched begins; -1 without any. */
  get lastRecordOffset(): number {
    return this.#lastRecordOffset;
  }

  /** Store time of the last message dispatched. */
  get dispatchedTimestampMs(): number {
    return this.#dispatchedTimestampMs;
  }

  /** The log, empty until now, begins at an offset. */
  startAt(offset: number): void {
    this.#dispatchedOffset = offset;
  }

  /** From now on extended entries tell which filters their message fulfils. */
  calculateBitMaps(bitMapOf: BitMapOf): void {
    this.#bitMapOf = bitMapOf;
  }

  onArrival(listener: ArrivalListener): void {
    this.#listeners.push(listener);
  }

  add(entry: DispatchEntry): void {
    this.#entries.push(entry);
  }

  /** Dispatches the records that end at or before `visibleOffset`. */
  dispatchUpTo(visibleOffset: number): void {
    const entries = this.#entries;
    while (this.#head < entries.length) {
      const entry = entries[this.#head];
      const endOffset = entry.physicalOffset + entry.bytes;
      if (endOffset > visibleOffset) break;
      this.#head++;
      this.#dispatchedOffset = endOffset;
      this.#lastRecordOffset = entry.physicalOffset;
      try {
        this.#dispatch(entry);
      } catch (error) {
        logger.error("{topic}, queue {queueId}: message {queueOffset} could not be passed on: {error}", {
          topic: entry.topic,
          queueId: entry.queue?.queueId,
          queueOffset: entry.queueOffset,
          error,
        });
      }
    }
    let head = this.#head;
    if (head === entries.length) {
      entries.length = 0;
      head = 0;
    } else if (head > 1024 && head * 2 > entries.length) {
      entries.splice(0, head);
      head = 0;
    }
    this.#head = head;
  }

  /** Forgets records from `physicalOffset` on, which never reached the disk, and takes back their queue offsets. */
  drop(physicalOffset: number): void {
    for (let last = this.#entries.length - 1; last >= this.#head; last--) {
      const entry = this.#entries[last];
      if (entry.physicalOffset < physicalOffset) break;
      if (entry.queue !== undefined) entry.queue.nextOffset = entry.queueOffset;
      for (const { queue, queueOffset } of entry.further ?? []) queue.nextOffset = queueOffset;
      this.#entries.length = last;
    }
  }

  #dispatch(entry: DispatchEntry): void {
    const { topic, queue, queueOffset, tagsCode, storeTimestampMs } = entry;
    let isShown = false;
    if (queue !== undefined) {
      const bitMap = queue.extension?.isWritten ? this.#bitMapOf?.(topic, entry.properties) : undefined;
      isShown = enqueue(queue, entry, undefined, bitMap);
      this.#dirty.add(queue);
    }
    this.#index?.put(topic, entry.uniqueKey, entry.keys, entry.physicalOffset, storeTimestampMs);
    this.#dispatchedTimestampMs = storeTimestampMs;
    if (isShown) {
      for (const listener of this.#listeners) {
        listener(topic, queue!.queueId, queueOffset, tagsCode, storeTimestampMs, entry.properties);
      }
    }
    if (entry.further !== undefined) this.#dispatchFurther(entry, entry.further);
  }

  #dispatchFurther(entry: DispatchEntry, further: readonly FurtherEntry[]): void {
    for (const { queue, queueOffset } of further) {
      const isShown = enqueue(queue, { ...entry, queueOffset });
      this.#dirty.add(queue);
      if (!isShown) continue;
      for (const listener of this.#listeners) {
        const { tagsCode, storeTimestampMs, properties } = entry;
        listener(queue.topic, queue.queueId, queueOffset, tagsCode, storeTimestampMs, properties);
      }
    }
  }
}
