// SPDX-License-Identifier: Apache-2.0
import type { Clock, Timer } from "../base/clock.ts";
import type { StoreRefusedError } from "../store/types.ts";
import type { ReplicaPolicy, Replicas } from "./replica_policy.ts";
import { WaiterQueue } from "./waiter_queue.ts";

/** What waiting for slaves came to. In each of the first three cases the message is stored. */
export type ReplicaOutcome = "STORED" | "SLAVE_NOT_AVAILABLE" | "SLAVE_TIMEOUT" | StoreRefusedError;

/** Senders that wait until enough slaves have their messages. */
export class ReplicaWait {
  readonly #policy: ReplicaPolicy;
  readonly #replicas: Replicas;
  readonly #clock: Clock;
  /** By the number of slaves that are waited for. */
  readonly #waiting = new Map<number, WaiterQueue<ReplicaOutcome>>();
  /** How far the log was ever acknowledged by so many slaves: what they have, they keep when they leave. */
  readonly #reached = new Map<number, number>();
  #timer: Timer | undefined;

  constructor(policy: ReplicaPolicy, replicas: Replicas, clock: Clock) {
    this.#policy = policy;
    this.#replicas = replicas;
    this.#clock = clock;
    replicas.onAcked(() => this.#onAcked());
  }

  /** Calls `settle` once. Records must be given in the order of the log. */
  when(endOffset: number, settle: (outcome: ReplicaOutcome) => void): void {
    const { timeoutMs, tellsAtOnce } = this.#policy;
    const count = this.#policy.slaveCount(this.#replicas);
    if (count === 0 || endOffset <= this.#reachedBy(count)) return settle("STORED");
    if (tellsAtOnce && this.#replicas.inSyncCount() === 0) return settle("SLAVE_NOT_AVAILABLE");
    let queue = this.#waiting.get(count);
    if (queue === undefined) this.#waiting.set(count, queue = new WaiterQueue());
    queue.push({ endOffset, dueMs: this.#clock.monotonicMs() + timeoutMs, settle });
    this.#timer ??= this.#clock.after(timeoutMs, () => this.#onTimeout());
  }

  /** Records from `offset` on are not stored. */
  failBeyond(offset: number, error: StoreRefusedError): void {
    for (const queue of this.#waiting.values()) queue.failBeyond(offset, error);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #reachedBy(count: number): number {
    const reached = Math.max(this.#reached.get(count) ?? 0, this.#replicas.ackedBy(count));
    this.#reached.set(count, reached);
    return reached;
  }

  #onAcked(): void {
    for (const [count, queue] of this.#waiting) {
      if (!queue.isEmpty) queue.releaseUpTo(this.#reachedBy(count), "STORED");
    }
  }

  #onTimeout(): void {
    const nowMs = this.#clock.monotonicMs();
    let nextMs = Infinity;
    for (const queue of this.#waiting.values()) {
      nextMs = Math.min(nextMs, queue.expire(nowMs, "SLAVE_TIMEOUT") ?? Infinity);
    }
    this.#timer = nextMs === Infinity
      ? undefined
      : this.#clock.after(nextMs - nowMs, () => this.#onTimeout());
  }
}
