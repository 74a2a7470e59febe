// SPDX-License-Identifier: Apache-2.0
import type { Clock, Timer } from "../base/clock.ts";

/** Counts since start whose speed is wanted. */
export interface RateCounts {
  put: number;
  found: number;
  missed: number;
  transferred: number;
}

/** Per second, over the last 10, 60 and 600 seconds. */
export type Triple = readonly [number, number, number];

export interface Rates {
  put: Triple;
  found: Triple;
  missed: Triple;
  /** Found and missed. */
  total: Triple;
  transferred: Triple;
}

const WINDOWS_SECONDS = [10, 60, 600] as const;
const SAMPLE_COUNT = 601;
const FIELDS = 5;

/**
 * Speeds from a sample per second. A window that is longer than the time since start is taken as that time:
 * tools can't read an empty place among the three numbers. [RMQ StoreStatsService]
 */
export class RateSampler {
  /** A ring of (monotonic time, put, found, missed, transferred). */
  readonly #samples = new Float64Array(SAMPLE_COUNT * FIELDS);
  #taken = 0;
  #timer: Timer | undefined;

  constructor(readonly clock: Clock, readonly read: () => RateCounts) {}

  start(): void {
    if (this.#timer !== undefined) return;
    this.#sample();
    this.#timer = this.clock.every(1000, () => this.#sample());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  rates(): Rates {
    const found = this.#triple(2);
    const missed = this.#triple(3);
    return {
      put: this.#triple(1),
      found,
      missed,
      total: [found[0] + missed[0], found[1] + missed[1], found[2] + missed[2]],
      transferred: this.#triple(4),
    };
  }

  #sample(): void {
    const at = (this.#taken % SAMPLE_COUNT) * FIELDS;
    const counts = this.read();
    this.#samples[at] = this.clock.monotonicMs();
    this.#samples[at + 1] = counts.put;
    this.#samples[at + 2] = counts.found;
    this.#samples[at + 3] = counts.missed;
    this.#samples[at + 4] = counts.transferred;
    this.#taken++;
  }

  #triple(field: number): Triple {
    const [short, middle, long] = WINDOWS_SECONDS.map((seconds) => this.#rate(field, seconds));
    return [short, middle, long];
  }

  #rate(field: number, seconds: number): number {
    const back = Math.min(seconds, this.#taken - 1, SAMPLE_COUNT - 1);
    if (back <= 0) return 0;
    const last = ((this.#taken - 1) % SAMPLE_COUNT) * FIELDS;
    const first = ((this.#taken - 1 - back) % SAMPLE_COUNT) * FIELDS;
    const elapsedMs = this.#samples[last] - this.#samples[first];
    return elapsedMs > 0
      ? (this.#samples[last + field] - this.#samples[first + field]) * 1000 / elapsedMs
      : 0;
  }
}
