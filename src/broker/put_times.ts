// SPDX-License-Identifier: Apache-2.0
import type { Clock, Timer } from "../base/clock.ts";

/** The classes that operators know, each up to its bound in milliseconds. [RMQ StoreStatsService] */
const CLASSES: readonly (readonly [label: string, boundMs: number])[] = [
  ["[<=0ms]", 0],
  ["[0~10ms]", 10],
  ["[10~50ms]", 50],
  ["[50~100ms]", 100],
  ["[100~200ms]", 200],
  ["[200~500ms]", 500],
  ["[500ms~1s]", 1000],
  ["[1~2s]", 2000],
  ["[2~3s]", 3000],
  ["[3~4s]", 4000],
  ["[4~5s]", 5000],
  ["[5~10s]", 10_000],
  ["[10s~]", Infinity],
];

/** Eight steps per doubling, from 0.01 ms up: percentiles are right to 9 %. */
const STEPS_PER_OCTAVE = 8;
const FINEST_MS = 0.01;
const STEP_COUNT = 24 * STEPS_PER_OCTAVE;

/** How long sends took to be stored; reported as of the last full minute. */
export class PutTimes {
  /** The longest since start. */
  maxMs = 0;
  #classes = new Array<number>(CLASSES.length).fill(0);
  #steps = new Float64Array(STEP_COUNT);
  #lastClasses: number[] | undefined;
  #percentile99Ms = 0;
  #percentile999Ms = 0;
  #timer: Timer | undefined;

  constructor(readonly clock: Clock) {}

  start(): void {
    this.#timer ??= this.clock.every(60_000, () => this.#turn());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  record(ms: number): void {
    if (ms > this.maxMs) this.maxMs = ms;
    // Java measures whole milliseconds: what takes less than one takes none.
    const wholeMs = Math.floor(ms);
    let at = 0;
    while (wholeMs > CLASSES[at][1]) at++;
    this.#classes[at]++;
    const step = ms <= FINEST_MS ? 0 : Math.ceil(Math.log2(ms / FINEST_MS) * STEPS_PER_OCTAVE);
    this.#steps[Math.min(step, STEP_COUNT - 1)]++;
  }

  /** Counts per class; the word `null` before the first full minute, as tools know it. */
  distribution(): string {
    const counts = this.#lastClasses;
    if (counts === undefined) return "null";
    return CLASSES.map(([label], at) => `${label}:${counts[at]} `).join("");
  }

  get percentile99Ms(): number {
    return this.#percentile99Ms;
  }

  get percentile999Ms(): number {
    return this.#percentile999Ms;
  }

  #turn(): void {
    this.#lastClasses = this.#classes;
    this.#percentile99Ms = this.#percentile(0.99);
    this.#percentile999Ms = this.#percentile(0.999);
    this.#classes = new Array<number>(CLASSES.length).fill(0);
    this.#steps.fill(0);
  }

  #percentile(part: number): number {
    const total = this.#steps.reduce((sum, count) => sum + count, 0);
    if (total === 0) return 0;
    let seen = 0;
    const step = this.#steps.findIndex((count) => (seen += count) >= total * part);
    return FINEST_MS * 2 ** (step / STEPS_PER_OCTAVE);
  }
}
