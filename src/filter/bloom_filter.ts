// SPDX-License-Identifier: Apache-2.0
import { murmur3 } from "./murmur3.ts";

/**
 * A set of names in few bits, one set per message: it has the names of the groups whose filters the message
 * fulfils, and may seem to have some others. Bit n is bit n % 8 of byte n / 8. [RMQ BloomFilter, BitsArray]
 */
export class BloomFilter {
  /** Bits of a set, a multiple of 8. */
  readonly bitCount: number;
  /** Bits that each name sets. */
  readonly hashCount: number;

  /**
   * @param errorPercent 1 to 99: how often a set may seem to have a name that it lacks
   * @param nameCount names that a set has at most for that to hold
   */
  constructor(errorPercent: number, nameCount: number) {
    const error = errorPercent / 100;
    this.hashCount = Math.ceil(Math.log(error) / Math.log(0.5));
    const bits = Math.ceil(
      nameCount * (Math.log(1 / error) / Math.log(2)) * (Math.log(Math.E) / Math.log(2)),
    );
    this.bitCount = Math.ceil(bits / 8) * 8;
  }

  /** The bits that stand for a name. */
  positionsOf(name: string): number[] {
    const hash = murmur3(new TextEncoder().encode(name));
    const low = Number(BigInt.asIntN(32, hash));
    const high = Number(BigInt.asIntN(32, hash >> 32n));
    return Array.from({ length: this.hashCount }, (_, index) => {
      const combined = (low + Math.imul(index + 1, high)) | 0;
      return (combined < 0 ? ~combined : combined) % this.bitCount;
    });
  }

  emptySet(): Uint8Array {
    return new Uint8Array(this.bitCount / 8);
  }
}

export function addToSet(set: Uint8Array, positions: readonly number[]): void {
  for (const position of positions) set[position >> 3] |= 1 << (position & 7);
}

/** False: the name of these positions is surely not in the set. */
export function mayBeInSet(set: Uint8Array, positions: readonly number[]): boolean {
  for (const position of positions) if ((set[position >> 3] & (1 << (position & 7))) === 0) return false;
  return true;
}
