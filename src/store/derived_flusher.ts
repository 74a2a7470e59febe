// SPDX-License-Identifier: Apache-2.0
/**
 * Writes what is derived from the log (queues, index), makes it durable now and then, and says in the checkpoint
 * and beside it how far that is: recovery after a crash begins there, so under load it is done more often.
 *
 * A queue that can't be written keeps its entries in memory, and is tried again. One that can't be synced may
 * have lost what the kernel held for written: from then on the checkpoint stays as it is until a restart, which
 * makes everything behind it again of the log.
 */
import { setImmediate } from "node:timers";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { ConsumeQueue } from "./consume_queue.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { LogFlusher } from "./log_flusher.ts";
import type { QueueTotals } from "./queue_table.ts";
import type { SettledPlace, SettledPlaceFile } from "./settled_place.ts";

const logger = getLogger(["rmq", "store"]);

/** Background work gives the loop back after so long. */
const SLICE_MS = 3;
/** A crash leaves little more than so much of the log to be walked. */
const UNSETTLED_BYTES = 256 << 20;
/** Unless that took longer than this part of the time: syncing many thousands of queues does. */
const MAX_BUSY_RATIO = 0.1;

export interface DerivedFlusherOptions {
  clock: Clock;
  thoroughIntervalMs: number;
  dispatcher: Dispatcher;
  flusher: LogFlusher;
  index: { flush(): Promise<void>; readonly lastUpdatePhysicalOffset: number } | undefined;
  checkpoint: Checkpoint;
  placeFile: SettledPlaceFile;
  /** Of all queues. */
  totals: () => QueueTotals;
  /** Queues that have entries in memory. */
  dirty: Set<ConsumeQueue>;
  /** Up to here everything is durable when the store opens. */
  settledOffset: number;
}

export class DerivedFlusher {
  #options: DerivedFlusherOptions;
  #unsynced = new Set<ConsumeQueue>();
  #lastThoroughMs: number;
  /** How long the last thorough flush took. */
  #thoroughMs = 0;
  #settledOffset: number;
  #failedRounds = 0;
  #syncFailure: unknown;

  constructor(options: DerivedFlusherOptions) {
    this.#options = options;
    this.#lastThoroughMs = options.clock.monotonicMs();
    this.#settledOffset = options.settledOffset;
  }

  /** Before this offset of the log queues are durable, and the checkpoint says so. */
  get settledOffset(): number {
    return this.#settledOffset;
  }

  /** Rounds in a row in which a queue could not be written. */
  get failedRounds(): number {
    return this.#failedRounds;
  }

  /** Whether what is settled does not grow for now. */
  get isStuck(): boolean {
    return this.#failedRounds > 0 || this.#syncFailure !== undefined;
  }

  /** Forgets queues that are deleted. */
  forget(queues: Iterable<ConsumeQueue>): void {
    for (const queue of queues) {
      this.#options.dirty.delete(queue);
      this.#unsynced.delete(queue);
    }
  }

  /** Writes queues; now and then, or when asked, everything is made durable. @throws what the disk says */
  async flush(thoroughly = false): Promise<void> {
    const { clock, dispatcher, thoroughIntervalMs, index, flusher, checkpoint } = this.#options;
    const nowMs = clock.monotonicMs();
    const { dispatchedOffset, dispatchedTimestampMs, lastRecordOffset } = dispatcher;
    const passedMs = nowMs - this.#lastThoroughMs;
    const isFarBehind = dispatchedOffset - this.#settledOffset >= UNSETTLED_BYTES &&
      this.#thoroughMs <= passedMs * MAX_BUSY_RATIO;
    const isThorough = thoroughly || isFarBehind || passedMs >= thoroughIntervalMs;
    const indexEnd = index?.lastUpdatePhysicalOffset ?? 0;
    const totals = isThorough ? this.#options.totals() : undefined;
    await this.#writeQueues();
    if (totals === undefined) return;
    this.#lastThoroughMs = nowMs;
    await index?.flush();
    await this.#syncQueues();
    if (dispatchedTimestampMs === 0) return;
    await flusher.flushed();
    const times = {
      physicMsgTimestampMs: dispatchedTimestampMs,
      logicsMsgTimestampMs: dispatchedTimestampMs,
    };
    if (lastRecordOffset >= 0) await this.#writePlace({ ...totals, ...times, lastRecordOffset, indexEnd });
    checkpoint.update({ ...times, confirmPhysicalOffset: dispatchedOffset });
    await checkpoint.flush();
    this.#settledOffset = dispatchedOffset;
    this.#thoroughMs = clock.monotonicMs() - nowMs;
  }

  /** Without the place the next recovery walks more, no more than that. */
  async #writePlace(place: SettledPlace): Promise<void> {
    try {
      await this.#options.placeFile.write(place);
    } catch (error) {
      logger.warn("after a crash now, recovery takes longer: {error}", { error });
    }
  }

  /** One queue's trouble must not keep others from the disk. */
  async #writeQueues(): Promise<void> {
    const { dirty } = this.#options;
    let failure: unknown;
    await eachSliced(this.#options.clock, dirty, (queue) => {
      try {
        queue.write();
        dirty.delete(queue);
        this.#unsynced.add(queue);
      } catch (error) {
        failure ??= error;
      }
    });
    this.#failedRounds = failure === undefined ? 0 : this.#failedRounds + 1;
    if (failure !== undefined) throw failure;
  }

  async #syncQueues(): Promise<void> {
    if (this.#syncFailure !== undefined) throw this.#syncFailure;
    for (const queue of [...this.#unsynced]) {
      this.#unsynced.delete(queue);
      try {
        await queue.sync();
      } catch (error) {
        this.#syncFailure = error;
        throw error;
      }
    }
  }
}

/** Does something for each item, with pauses in which the loop gets its turn. */
export async function eachSliced<T>(
  clock: Clock,
  items: Iterable<T>,
  work: (item: T) => void,
): Promise<void> {
  let startMs = clock.monotonicMs();
  for (const item of [...items]) {
    work(item);
    if (clock.monotonicMs() - startMs < SLICE_MS) continue;
    await new Promise<void>((resolve) => setImmediate(resolve));
    startMs = clock.monotonicMs();
  }
}
