// SPDX-License-Identifier: Apache-2.0
import type { Labels, Sample } from "./family.ts";

/** Counts values by size; adding one costs a few comparisons. */
export class Buckets {
  readonly #bounds: readonly number[];
  /** Values up to each bound and beyond the bound before; the last counts those beyond all. */
  readonly #counts: number[];
  #sum = 0;

  /** @param bounds ascending */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array<number>(bounds.length + 1).fill(0);
  }

  /** @param count how many values of this size */
  add(value: number, count = 1): void {
    let at = 0;
    while (at < this.#bounds.length && value > this.#bounds[at]) at++;
    this.#counts[at] += count;
    this.#sum += value * count;
  }

  *samples(labels: Labels): Generator<Sample> {
    let count = 0;
    for (const [at, more] of this.#counts.entries()) {
      count += more;
      yield { labels: { ...labels, le: this.#bounds[at] ?? "+Inf" }, value: count, suffix: "_bucket" };
    }
    yield { labels, value: this.#sum, suffix: "_sum" };
    yield { labels, value: count, suffix: "_count" };
  }
}
