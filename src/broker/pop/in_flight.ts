// SPDX-License-Identifier: Apache-2.0
/**
 * How many messages of a queue a group has popped and neither acknowledged nor got back for others, since the start
 * of the broker; a limit to it keeps a group from popping what it does not deal with. [RMQ PopInflightMessageCounter]
 */
import type { Clock } from "../../base/clock.ts";

export interface InFlightOptions {
  clock: Clock;
  settings: () => InFlightSettings;
  /** Called when a group that has come to the limit may pop from a queue again. */
  onFree: (topic: string, group: string, queueId: number) => void;
}

export interface InFlightSettings {
  /** Messages of one queue that a group may have in flight; Infinity: no limit. */
  readonly maxPopsInFlight: number;
}

interface Count {
  readonly topic: string;
  readonly group: string;
  readonly queueId: number;
  messages: number;
}

export class PopInFlight {
  #options: InFlightOptions;
  #counts = new Map<string, Count>();
  #startMs: number;

  constructor(options: InFlightOptions) {
    this.#options = options;
    this.#startMs = options.clock.nowMs();
  }

  countOf(topic: string, group: string, queueId: number): number {
    return this.#counts.get(keyOf(topic, group, queueId))?.messages ?? 0;
  }

  /** Whether the group has to deal with what it has before it is given more. */
  isFull(topic: string, group: string, queueId: number): boolean {
    const { maxPopsInFlight } = this.#options.settings();
    return maxPopsInFlight !== Infinity && this.countOf(topic, group, queueId) > maxPopsInFlight;
  }

  add(topic: string, group: string, queueId: number, messageCount: number): void {
    const key = keyOf(topic, group, queueId);
    const count = this.#counts.get(key);
    if (count === undefined) this.#counts.set(key, { topic, group, queueId, messages: messageCount });
    else count.messages += messageCount;
  }

  /** @param popTimeMs when they were popped: what was popped before the start is not counted */
  subtract(topic: string, group: string, queueId: number, popTimeMs: number, messageCount: number): void {
    const key = keyOf(topic, group, queueId);
    const count = this.#counts.get(key);
    if (count === undefined || popTimeMs < this.#startMs) return;
    const wasFull = this.isFull(topic, group, queueId);
    count.messages -= messageCount;
    // What is acknowledged when it has come again counts twice.
    if (count.messages <= 0) this.#counts.delete(key);
    if (wasFull && !this.isFull(topic, group, queueId)) this.#options.onFree(topic, group, queueId);
  }

  /** Begins anew: in order, what was popped before is popped again. */
  clear(topic: string, group: string, queueId: number): void {
    this.#counts.delete(keyOf(topic, group, queueId));
  }

  forgetTopic(topic: string): void {
    this.#forget((count) => count.topic === topic);
  }

  forgetGroup(group: string): void {
    this.#forget((count) => count.group === group);
  }

  #forget(isMeant: (count: Count) => boolean): void {
    for (const [key, count] of this.#counts) if (isMeant(count)) this.#counts.delete(key);
  }
}

function keyOf(topic: string, group: string, queueId: number): string {
  return `${queueId}@${topic}@${group}`;
}
