// SPDX-License-Identifier: Apache-2.0
/**
 * Halves that wait at the beginning of the queue: for a producer of their group, or until their time comes. As long
 * as nothing of that happens, rounds begin behind them; so a million halves of an application that is away are read
 * once, and cost nothing but their bits.
 */
export class Waiting {
  /** Everything open before this queue offset waits. */
  end: number;
  count = 0;
  /** When the first of them may have something done with it. */
  wakeAtMs = Infinity;
  /** Where the log's oldest of them lies. */
  minPhysicalOffset = Infinity;
  readonly #groups = new Set<string>();

  constructor(end: number) {
    this.end = end;
  }

  /** Groups for whose producers halves wait. */
  get groups(): Iterable<string> {
    return this.#groups;
  }

  /** False: too much would have to be remembered, so the next round looks at all of them again. */
  get isKept(): boolean {
    return this.#groups.size <= MAX_GROUPS;
  }

  add(group: string, wakeAtMs: number, physicalOffset: number): void {
    this.count++;
    if (this.isKept) this.#groups.add(group);
    this.wakeAtMs = Math.min(this.wakeAtMs, wakeAtMs);
    this.minPhysicalOffset = Math.min(this.minPhysicalOffset, physicalOffset);
  }
}

const MAX_GROUPS = 1000;

/** What decides whether halves may wait where they are. */
export interface Place {
  firstOpen: number;
  openCount: number;
  maxOffset: number;
  minPhysicalOffset: number;
  maxPhysicalOffset: number;
}

/**
 * Whether so much that is settled lies behind the first half that waits that those who wait should be stored anew:
 * a start reads it all. Many that wait make it dearer, so it is done the less often.
 */
export function isWide({ firstOpen, maxOffset, openCount }: Place): boolean {
  return maxOffset - firstOpen > MAX_WINDOW + 4 * openCount;
}

const MAX_WINDOW = 1_000_000;

/** Whether a record lies so near the log's start that its file may be the next that has to go. */
export function isNearStart(
  { minPhysicalOffset, maxPhysicalOffset }: Place,
  physicalOffset: number,
): boolean {
  return minPhysicalOffset > 0 &&
    physicalOffset - minPhysicalOffset < (maxPhysicalOffset - minPhysicalOffset) / 8;
}
