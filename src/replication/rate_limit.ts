// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../base/clock.ts";

const WINDOW_MS = 1000;

/** Counts bytes by the second, and says how many more may go in this one. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #maxBytesPerSecond: number;
  #windowStartMs: number;
  #windowBytes = 0;
  #lastWindowBytes = 0;

  /** @param maxBytesPerSecond Infinity: only count */
  constructor(clock: Clock, maxBytesPerSecond: number) {
    this.#clock = clock;
    this.#maxBytesPerSecond = maxBytesPerSecond;
    this.#windowStartMs = clock.monotonicMs();
  }

  /** Bytes of the last whole second. */
  get bytesPerSecond(): number {
    this.#turn();
    return this.#lastWindowBytes;
  }

  /** Bytes that may still go in this second. */
  get allowance(): number {
    this.#turn();
    return Math.max(0, this.#maxBytesPerSecond - this.#windowBytes);
  }

  /** When the next second begins, in milliseconds from now; more than 0. */
  get msToNextWindow(): number {
    return Math.max(1, this.#windowStartMs + WINDOW_MS - this.#clock.monotonicMs());
  }

  add(bytes: number): void {
    this.#turn();
    this.#windowBytes += bytes;
  }

  #turn(): void {
    const elapsedMs = this.#clock.monotonicMs() - this.#windowStartMs;
    if (elapsedMs < WINDOW_MS) return;
    this.#lastWindowBytes = elapsedMs < 2 * WINDOW_MS ? this.#windowBytes : 0;
    this.#windowBytes = 0;
    this.#windowStartMs += elapsedMs - elapsedMs % WINDOW_MS;
  }
}
