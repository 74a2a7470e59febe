// SPDX-License-Identifier: Apache-2.0
/**
 * Which client of a group may consume a queue in order. A lock is refreshed every 20 s by its client, which
 * treats it as lost after 30 s; we keep it for 60 s, so two clients never hold a queue at once, even when one
 * of them has lost its connection. In memory only: after a restart whoever asks first gets the lock, by which
 * time the client before has given up. [RMQ RebalanceLockManager]
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import type { MessageQueue } from "../protocol/bodies/message_queue.ts";

const logger = getLogger(["rmq", "broker"]);

export interface QueueLocksOptions {
  readonly clock: Clock;
  /** Beyond so many no further queue is locked, for clients choose the names. */
  readonly maxLocks?: number;
}

const LOCK_TTL_MS = 60_000;
const MAX_LOCKS = 200_000;
const MAX_NAME_LENGTH = 1024;

interface Lock {
  clientId: string;
  /** By the monotonic clock. */
  refreshedMs: number;
}

export class QueueLocks {
  readonly #clock: Clock;
  readonly #maxLocks: number;
  readonly #groups = new Map<string, Map<string, Lock>>();
  #count = 0;

  constructor(options: QueueLocksOptions) {
    this.#clock = options.clock;
    this.#maxLocks = options.maxLocks ?? MAX_LOCKS;
  }

  /** Locks what is free or already the client's; returns the queues that are the client's now. */
  lock(group: string, clientId: string, queues: readonly MessageQueue[]): MessageQueue[] {
    return queues.filter((queue) => this.#lock(group, clientId, queue));
  }

  /** Gives back those of the queues that are the client's. */
  unlock(group: string, clientId: string, queues: readonly MessageQueue[]): void {
    const locks = this.#groups.get(group);
    if (locks === undefined) return;
    for (const queue of queues) {
      const key = keyOf(queue);
      if (locks.get(key)?.clientId === clientId) this.#remove(group, locks, key);
    }
  }

  /** Whether any queue is locked for a group, which shows that it consumes in order. */
  hasLiveLock(group: string): boolean {
    for (const lock of this.#groups.get(group)?.values() ?? []) {
      if (!this.#isExpired(lock)) return true;
    }
    return false;
  }

  /** Forgets expired locks; to be called now and then. */
  removeExpired(): void {
    for (const [group, locks] of this.#groups) {
      for (const [key, lock] of locks) {
        if (this.#isExpired(lock)) this.#remove(group, locks, key);
      }
    }
  }

  #lock(group: string, clientId: string, queue: MessageQueue): boolean {
    const key = keyOf(queue);
    const lock = this.#groups.get(group)?.get(key);
    if (lock === undefined) return this.#add(group, clientId, key);
    if (lock.clientId !== clientId) {
      if (!this.#isExpired(lock)) return false;
      logger.warn("{clientId} takes {topic} queue {queueId} of {group}, which {before} has not refreshed", {
        clientId,
        topic: queue.topic,
        queueId: queue.queueId,
        group,
        before: lock.clientId,
      });
      lock.clientId = clientId;
    }
    lock.refreshedMs = this.#clock.monotonicMs();
    return true;
  }

  #add(group: string, clientId: string, key: string): boolean {
    if (key.length > MAX_NAME_LENGTH || group.length > MAX_NAME_LENGTH || clientId.length > MAX_NAME_LENGTH) {
      return false;
    }
    if (this.#count >= this.#maxLocks) {
      logger.warn("no queue is locked for {group}: there are {count} locks", { group, count: this.#count });
      return false;
    }
    let locks = this.#groups.get(group);
    if (locks === undefined) this.#groups.set(group, locks = new Map());
    locks.set(key, { clientId, refreshedMs: this.#clock.monotonicMs() });
    this.#count++;
    return true;
  }

  #remove(group: string, locks: Map<string, Lock>, key: string): void {
    locks.delete(key);
    this.#count--;
    if (locks.size === 0) this.#groups.delete(group);
  }

  #isExpired(lock: Lock): boolean {
    return this.#clock.monotonicMs() - lock.refreshedMs > LOCK_TTL_MS;
  }
}

function keyOf(queue: MessageQueue): string {
  return `${queue.queueId}@${queue.brokerName}@${queue.topic}`;
}
