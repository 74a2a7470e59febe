// SPDX-License-Identifier: Apache-2.0
/**
 * When a message may be acknowledged: when the log's watermarks that the policy names have passed its end.
 * SYNC flush waits for *flushed*, everything else for *written*; a SYNC_MASTER waits at the same time until slaves
 * have it. A message that says WAIT=false waits for *written* only. [RMQ CommitLog.handleDiskFlushAndHA]
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { StoreRefusedError } from "../store/types.ts";
import type { ReplicaPolicy, Replicas } from "./replica_policy.ts";
import { type ReplicaOutcome, ReplicaWait } from "./replica_wait.ts";
import { WaiterQueue } from "./waiter_queue.ts";

/**
 * How waiting ended. FLUSH_TIMEOUT: stored, but not flushed in time. SLAVE_…: stored here, but no slave is known to
 * have it. An error: not stored.
 */
export type Outcome = LocalOutcome | ReplicaOutcome;
type LocalOutcome = "STORED" | "FLUSH_TIMEOUT" | StoreRefusedError;

/** What is watched of the store. */
export interface Watermarks {
  readonly writtenOffset: number;
  readonly flushedOffset: number;
  onWatermark(listener: () => void): void;
  onLoss(listener: (fromOffset: number, error: StoreRefusedError) => void): void;
}

export class Durability {
  #store: Watermarks;
  #clock: Clock;
  #waitsForFlush: boolean;
  #flushTimeoutMs: number;
  #forWritten = new WaiterQueue<LocalOutcome>();
  #forFlushed = new WaiterQueue<LocalOutcome>();
  #replicas: ReplicaWait | undefined;
  #timer: Timer | undefined;

  constructor(
    options: {
      store: Watermarks;
      clock: Clock;
      flushMode: "SYNC" | "ASYNC";
      syncFlushTimeoutMs: number;
      /** Absent: nobody waits for slaves. */
      replication?: { policy: ReplicaPolicy; replicas: Replicas };
    },
  ) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#waitsForFlush = options.flushMode === "SYNC";
    this.#flushTimeoutMs = options.syncFlushTimeoutMs;
    const { replication } = options;
    if (replication !== undefined) {
      this.#replicas = new ReplicaWait(replication.policy, replication.replicas, options.clock);
    }
    options.store.onWatermark(() => this.#onWatermark());
    options.store.onLoss((fromOffset, error) => this.#onLoss(fromOffset, error));
  }

  /**
   * Calls `settle` once, when the record that ends at `endOffset` is as safe as the policy asks, or never will
   * be. Records must be given in the order of the log.
   * @param mayWait false: the sender does not want to wait for a flush, nor for slaves
   */
  when(endOffset: number, mayWait: boolean, settle: (outcome: Outcome) => void): void {
    if (this.#replicas === undefined || !mayWait) return this.#whenHere(endOffset, mayWait, settle);
    const both = new Both(settle);
    this.#whenHere(endOffset, true, both.onHere);
    this.#replicas.when(endOffset, both.onReplicas);
  }

  /** The same, for what is waited for of this broker's own disk. */
  #whenHere(endOffset: number, mayWait: boolean, settle: (outcome: LocalOutcome) => void): void {
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
    this.#replicas?.stop();
  }

  #onWatermark(): void {
    this.#forWritten.releaseUpTo(this.#store.writtenOffset, "STORED");
    if (this.#waitsForFlush) this.#forFlushed.releaseUpTo(this.#store.flushedOffset, "STORED");
  }

  #onLoss(fromOffset: number, error: StoreRefusedError): void {
    if (error.reason !== "SYNC_FAILED") {
      this.#forWritten.failBeyond(fromOffset, error);
      this.#replicas?.failBeyond(fromOffset, error);
    }
    this.#forFlushed.failBeyond(fromOffset, error);
  }

  #onTimeout(): void {
    const nextDueMs = this.#forFlushed.expire(this.#clock.monotonicMs(), "FLUSH_TIMEOUT");
    this.#timer = nextDueMs === undefined
      ? undefined
      : this.#clock.after(nextDueMs - this.#clock.monotonicMs(), () => this.#onTimeout());
  }
}

/** Settles when both are known: with what slaves came to, if that is worse. What is not stored is told at once. */
class Both {
  readonly #settle: (outcome: Outcome) => void;
  #here: LocalOutcome | undefined;
  #replicas: ReplicaOutcome | undefined;
  #isSettled = false;

  constructor(settle: (outcome: Outcome) => void) {
    this.#settle = settle;
  }

  readonly onHere = (outcome: LocalOutcome): void => {
    this.#here = outcome;
    this.#settleIfKnown();
  };

  readonly onReplicas = (outcome: ReplicaOutcome): void => {
    this.#replicas = outcome;
    this.#settleIfKnown();
  };

  #settleIfKnown(): void {
    const here = this.#here;
    const replicas = this.#replicas;
    if (this.#isSettled) return;
    const failed = typeof here === "object" ? here : typeof replicas === "object" ? replicas : undefined;
    if (failed === undefined && (here === undefined || replicas === undefined)) return;
    this.#isSettled = true;
    this.#settle(failed ?? (replicas !== "STORED" ? replicas! : here!));
  }
}
