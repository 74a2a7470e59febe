// SPDX-License-Identifier: Apache-2.0
/**
 * Which halves are settled: committed, rolled back, stored anew or given up. One bit for each half from the first
 * open one on, so a million open transactions, and those behind them, cost some hundred kilobytes.
 */
export class SettledHalves {
  /** Offset of bit 0; a multiple of 8. */
  #base: number;
  #first: number;
  #bits = new Uint8Array(1024);
  /** Settled halves behind the first open one. */
  #aheadCount = 0;

  /** @param first everything before is settled */
  constructor(first: number) {
    this.#first = first;
    this.#base = first - first % 8;
    for (let offset = this.#base; offset < first; offset++) this.#set(offset);
  }

  /** How many halves before `end` are open. */
  openCount(end: number): number {
    return Math.max(0, end - this.#first - this.#aheadCount);
  }

  /** Offset of the first half that is not settled. */
  get first(): number {
    return this.#first;
  }

  has(offset: number): boolean {
    if (offset < this.#first) return true;
    const at = offset - this.#base;
    return at < this.#bits.length * 8 && (this.#bits[at >> 3] & (1 << (at & 7))) !== 0;
  }

  /** Notes that a half is settled. The offset must be that of a message: memory grows up to it. */
  add(offset: number): void {
    if (this.has(offset)) return;
    this.#set(offset);
    this.#aheadCount++;
    if (offset === this.#first) this.#advance();
  }

  /** The first open offset from `from` on, `end` where there is none before it. */
  nextOpen(from: number, end: number): number {
    let offset = Math.max(from, this.#first);
    while (offset < end && this.has(offset)) {
      const at = offset - this.#base;
      offset += (at & 7) === 0 && this.#bits[at >> 3] === 0xff ? 8 : 1;
    }
    return Math.min(offset, end);
  }

  #set(offset: number): void {
    const at = offset - this.#base;
    if (at >= this.#bits.length * 8) this.#grow(at);
    this.#bits[at >> 3] |= 1 << (at & 7);
  }

  #grow(at: number): void {
    const bits = new Uint8Array(Math.max(this.#bits.length * 2, (at >> 3) + 1));
    bits.set(this.#bits);
    this.#bits = bits;
  }

  #advance(): void {
    const end = this.#base + this.#bits.length * 8;
    const before = this.#first;
    this.#first = this.nextOpen(before, end);
    this.#aheadCount -= this.#first - before;
    const passedBytes = Math.floor((this.#first - this.#base) / 8);
    if (passedBytes * 2 <= this.#bits.length) return;
    const rest = this.#bits.subarray(passedBytes);
    let used = rest.length;
    while (used > 0 && rest[used - 1] === 0) used--;
    const bits = new Uint8Array(Math.max(1024, used * 2));
    bits.set(rest.subarray(0, used));
    this.#bits = bits;
    this.#base += passedBytes * 8;
  }
}
