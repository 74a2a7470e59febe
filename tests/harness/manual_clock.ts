// SPDX-License-Identifier: Apache-2.0
import type { Clock, Timer } from "../../src/base/clock.ts";

/** A clock that stands still until a test moves it; due callbacks run inside `advance`, in order of their time. */
export class ManualClock implements Clock {
  #nowMs: number;
  #startMs: number;
  #timers = new Set<{ dueMs: number; periodMs: number; callback: () => void }>();

  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
    this.#startMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs - this.#startMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#add(delayMs, 0, callback);
  }

  every(periodMs: number, callback: () => void): Timer {
    return this.#add(periodMs, periodMs, callback);
  }

  /** Live timers, for tests that look for leaks. */
  get timerCount(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      let next: { dueMs: number; periodMs: number; callback: () => void } | undefined;
      for (const timer of this.#timers) {
        if (timer.dueMs <= endMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
      }
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      if (next.periodMs > 0) next.dueMs += next.periodMs;
      else this.#timers.delete(next);
      next.callback();
    }
    this.#nowMs = endMs;
  }

  #add(delayMs: number, periodMs: number, callback: () => void): Timer {
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), periodMs, callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }
}
