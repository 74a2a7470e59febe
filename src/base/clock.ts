// SPDX-License-Identifier: Apache-2.0
import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers";

/** Time as the rooms see it, so that tests can move it by hand. */
export interface Clock {
  /** Milliseconds since 1970, as stamped on messages. May jump when an operator sets the time. */
  nowMs(): number;
  /** Milliseconds of a clock that never goes back; only differences mean something. */
  monotonicMs(): number;
  /** Calls `callback` once after `delayMs`. Does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
  /** Calls `callback` every `periodMs`, first after one period. Does not keep the process alive. */
  every(periodMs: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, MAX_DELAY_MS)).unref();
    return { cancel: () => clearTimeout(timer) };
  },
  every(periodMs, callback) {
    const timer = setInterval(callback, Math.min(periodMs, MAX_DELAY_MS)).unref();
    return { cancel: () => clearInterval(timer) };
  },
};

/** Timers count in 32 bits; a longer delay would fire at once. */
const MAX_DELAY_MS = 0x7fffffff;
