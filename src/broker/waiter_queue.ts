// SPDX-License-Identifier: Apache-2.0

interface Waiter<O> {
  endOffset: number;
  dueMs: number;
  settle: (outcome: O) => void;
}

/** Who waits for a watermark, in the order of offsets, and so of deadlines. */
export class WaiterQueue<O> {
  #waiters: Waiter<O>[] = [];
  #head = 0;

  push(waiter: Waiter<O>): void {
    this.#waiters.push(waiter);
  }

  get isEmpty(): boolean {
    return this.#head === this.#waiters.length;
  }

  releaseUpTo(offset: number, outcome: O): void {
    const waiters = this.#waiters;
    while (this.#head < waiters.length && waiters[this.#head].endOffset <= offset) {
      waiters[this.#head++].settle(outcome);
    }
    this.#compact();
  }

  failBeyond(offset: number, outcome: O): void {
    const waiters = this.#waiters.slice(this.#head);
    this.#waiters = waiters.filter((waiter) => waiter.endOffset <= offset);
    this.#head = 0;
    for (const waiter of waiters) if (waiter.endOffset > offset) waiter.settle(outcome);
  }

  /** Settles those whose time is up. @returns when the next one is due; undefined without any */
  expire(nowMs: number, outcome: O): number | undefined {
    const waiters = this.#waiters;
    while (this.#head < waiters.length && waiters[this.#head].dueMs <= nowMs) {
      waiters[this.#head++].settle(outcome);
    }
    this.#compact();
    return this.#waiters[this.#head]?.dueMs;
  }

  #compact(): void {
    if (this.#head === this.#waiters.length) {
      this.#waiters.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#waiters.length) {
      this.#waiters.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
