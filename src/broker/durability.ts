// SPDX-License-Identifier: Apache-2.0
/**
 * When a message may be acknowledged: when the log's watermark that the policy names has passed its end.
 * SYNC flush waits for *flushed* (unless the message says WAIT=false), everything else for *written*.
 * [RMQ CommitLog.handleDiskFlushAndHA]
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { StoreRefusedError } from "../store/types.ts";

/** How waiting ended. FLUSH_TIMEOUT: stored, but not flushed in time. An error: not stored. */
export type Outcome = "STORED" | "FLUSH_TIMEOUT" | StoreRefusedError;

/** What is watched of the store. */
export interface Watermarks {
  readonly writtenOffset: number;
  readonly flushedOffset: number;
  onWatermark(listener: () => void): void;
  onLoss(listener: (fromOffset: number, error: StoreRefusedError) => void): void;
}

interface Waiter {
  endOffset: number;
  dueMs: number;
  settle: (outcome: Outcome) => void;
}

export class Durability {
  #store: Watermarks;
  #clock: Clock;
  #waitsForFlush: boolean;
  #flushTimeoutMs: number;
  #forWritten = new WaiterQueue();
  #forFlushed = new WaiterQueue();
  #timer: Timer | undefined;

  constructor(
    options: {
      store: Watermarks;
      clock: Clock;
      flushMode: "SYNC" | "ASYNC";
      syncFlushTimeoutMs: number;
    },
  ) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#waitsForFlush = options.flushMode === "SYNC";
    this.#flushTimeoutMs = options.syncFlushTimeoutMs;
    options.store.onWatermark(() => this.#onWatermark());
    options.store.onLoss((fromOffset, error) => this.#onLoss(fromOffset, error));
  }

  /**
   * Calls `settle` once, when the record that ends at `endOffset` is as safe as the policy asks, or never will
   * be. Records must be given in the order of the log.
   * @param mayWait false: the sender does not want to wait for a flush
   */
  when(endOffset: number, mayWait: boolean, settle: (outcome: Outcome) => void): void {
    if (!this.#waitsForFlush || !mayWait) {
      if (endOffset <= this.#store.writtenOffset) settle("STORED");
      else this.#forWritten.push({ endOffset, dueMs: 0, settle });
      return;
    }
    if (endOffset <= this.#store.flushedOffset) {
      settle("STORED");
      return;
    }
    this.#forFlushed.push({ endOffset, dueMs: this.#clock.monotonicMs() + this.#flushTimeoutMs, settle });
    this.#timer ??= this.#clock.after(this.#flushTimeoutMs, () => this.#onTimeout());
  }

  /** Stops the timer; who still waits is not answered. */
  stop(): void {
    this.#timer?.cancel();
  }

  #onWatermark(): void {
    this.#forWritten.releaseUpTo(this.#store.writtenOffset);
    if (this.#waitsForFlush) this.#forFlushed.releaseUpTo(this.#store.flushedOffset);
  }

  #onLoss(fromOffset: number, error: StoreRefusedError): void {
    if (error.reason !== "SYNC_FAILED") this.#forWritten.failBeyond(fromOffset, error);
    this.#forFlushed.failBeyond(fromOffset, error);
  }

  #onTimeout(): void {
    const nextDueMs = this.#forFlushed.expire(this.#clock.monotonicMs());
    this.#timer = nextDueMs === undefined
      ? undefined
      : this.#clock.after(nextDueMs - this.#clock.monotonicMs(), () => this.#onTimeout());
  }
}

/** Waiters in the order of their offsets, and so of their deadlines. */
class WaiterQueue {
  #waiters: Waiter[] = [];
  #head = 0;

  push(waiter: Waiter): void {
    this.#waiters.push(waiter);
  }

  releaseUpTo(offset: number): void {
    const waiters = this.#waiters;
    while (this.#head < waiters.length && waiters[this.#head].endOffset <= offset) {
      waiters[this.#head++].settle("STORED");
    }
    this.#compact();
  }

  failBeyond(offset: number, error: StoreRefusedError): void {
    const waiters = this.#waiters.slice(this.#head);
    this.#waiters = waiters.filter((waiter) => waiter.endOffset <= offset);
    this.#head = 0;
    for (const waiter of waiters) if (waiter.endOffset > offset) waiter.settle(error);
  }

  /** Settles those whose time is up. @returns when the next one is due; undefined without any */
  expire(nowMs: number): number | undefined {
    const waiters = this.#waiters;
    while (this.#head < waiters.length && waiters[this.#head].dueMs <= nowMs) {
      waiters[this.#head++].settle("FLUSH_TIMEOUT");
    }
    this.#compact();
    return this.#waiters[this.#head]?.dueMs;
  }

  #compact(): void {
    if (this.#head === this.#waiters.length) {
      this.#waiters.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#waiters.length) {
      this.#waiters.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
