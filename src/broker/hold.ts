// SPDX-License-Identifier: Apache-2.0
/**
 * Pulls that found nothing and wait: for a message that may match, for their deadline, or for the end of
 * their connection. A pull that is woken is served again from the start and never held twice.
 * [RMQ PullRequestHoldService]
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Connection } from "../remoting/connection.ts";
import type { ArrivalListener } from "../store/dispatcher.ts";
import type { MessageFilter } from "../store/types.ts";
import { isWanted } from "./message_filter.ts";

export interface HeldPull {
  readonly topic: string;
  readonly queueId: number;
  /** Where the pull goes on; it waits for the queue to grow beyond. */
  readonly queueOffset: number;
  readonly connection: Connection;
  readonly filter: MessageFilter | undefined;
  readonly deadlineMs: number;
  /** Serves the pull again. */
  wake(): void;
}

/** What is watched of the store. */
export interface HoldStore {
  maxOffset(topic: string, queueId: number): number;
  onArrival(listener: ArrivalListener): void;
  onWatermark(listener: () => void): void;
}

const TICK_MS = 500;
/** So often a pull whose filter let nothing pass is served anyway, so that its offset moves on. */
const SWEEP_TICKS = 10;

export class PullHold {
  #store: HoldStore;
  #clock: Clock;
  #held = new Map<string, Map<number, HeldPull[]>>();
  #count = 0;
  #woken: HeldPull[] = [];
  #timer: Timer;
  #tick = 0;

  constructor(store: HoldStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    store.onArrival((topic, queueId, queueOffset, tagsCode, _, properties) =>
      this.#onArrival(topic, queueId, queueOffset, tagsCode, properties)
    );
    store.onWatermark(() => this.#serveWoken());
    this.#timer = clock.every(TICK_MS, () => this.#onTick());
  }

  /** Pulls that wait now. */
  get count(): number {
    return this.#count;
  }

  /** Holds a pull; one whose queue has grown meanwhile is served at once. */
  hold(pull: HeldPull): void {
    if (this.#store.maxOffset(pull.topic, pull.queueId) > pull.queueOffset) {
      pull.wake();
      return;
    }
    let queues = this.#held.get(pull.topic);
    if (queues === undefined) this.#held.set(pull.topic, queues = new Map());
    const pulls = queues.get(pull.queueId);
    if (pulls === undefined) queues.set(pull.queueId, [pull]);
    else pulls.push(pull);
    this.#count++;
  }

  /** Serves all pulls of a topic that is about to go. */
  wakeTopic(topic: string): void {
    this.#takeWhere((pull) => pull.topic === topic);
    this.#serveWoken();
  }

  /** Serves all that wait, and stops. */
  stop(): void {
    this.#timer.cancel();
    this.#takeWhere(() => true);
    this.#serveWoken();
  }

  #onArrival(
    topic: string,
    queueId: number,
    queueOffset: number,
    tagsCode: number,
    properties: ReadonlyMap<string, string>,
  ): void {
    if (this.#count === 0) return;
    const queues = this.#held.get(topic);
    const pulls = queues?.get(queueId);
    if (pulls === undefined) return;
    const isWoken = (pull: HeldPull) =>
      queueOffset >= pull.queueOffset && isWanted(pull.filter, tagsCode, properties);
    this.#take(queues!, queueId, pulls, isWoken);
    if (queues!.size === 0) this.#held.delete(topic);
  }

  /** Serves what arrivals of this turn have woken: one answer with all of them instead of the first one only. */
  #serveWoken(): void {
    if (this.#woken.length === 0) return;
    for (const pull of this.#woken.splice(0)) pull.wake();
  }

  #onTick(): void {
    if (this.#count === 0) return;
    const nowMs = this.#clock.monotonicMs();
    const isSweep = ++this.#tick % SWEEP_TICKS === 0;
    this.#takeWhere((pull) =>
      pull.deadlineMs <= nowMs ||
      (isSweep && this.#store.maxOffset(pull.topic, pull.queueId) > pull.queueOffset)
    );
    this.#serveWoken();
  }

  #takeWhere(isWoken: (pull: HeldPull) => boolean): void {
    for (const [topic, queues] of this.#held) {
      for (const [queueId, pulls] of queues) this.#take(queues, queueId, pulls, isWoken);
      if (queues.size === 0) this.#held.delete(topic);
    }
  }

  /** Moves the pulls of one queue that are woken; those whose connection has gone are forgotten. */
  #take(
    queues: Map<number, HeldPull[]>,
    queueId: number,
    pulls: HeldPull[],
    isWoken: (pull: HeldPull) => boolean,
  ): void {
    let kept = 0;
    for (const pull of pulls) {
      if (pull.connection.closed) continue;
      if (isWoken(pull)) this.#woken.push(pull);
      else pulls[kept++] = pull;
    }
    this.#count -= pulls.length - kept;
    pulls.length = kept;
    if (kept === 0) queues.delete(queueId);
  }
}
