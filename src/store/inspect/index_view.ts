// SPDX-License-Identifier: Apache-2.0
/**
 * An index file as it is on the disk. How many slots it has is written nowhere: only the sum of slots and entries
 * follows from its size. Its last entry tells: it lies where the header's end says so, and its slot points to it.
 */
import { Buffer } from "node:buffer";
import { readLong } from "../../protocol/record.ts";
import { indexFileBytes, type IndexShape } from "../index_file.ts";
import type { IndexPlace } from "./layout.ts";
import type { StoreReader } from "./reader.ts";

const HEADER_BYTES = 40;
const SLOT_BYTES = 4;
const ENTRY_BYTES = 20;
const BLOCK_BYTES = ENTRY_BYTES * 50_000;

/** As Apache makes them, and we, unless configured otherwise. */
export const DEFAULT_INDEX_SHAPE: IndexShape = { slotCount: 5_000_000, entryCount: 20_000_000 };

export interface IndexHeader {
  readonly beginTimestampMs: number;
  readonly endTimestampMs: number;
  readonly beginPhysicalOffset: number;
  readonly endPhysicalOffset: number;
  readonly usedSlots: number;
  /** One past the last entry; entry 0 is never used. */
  readonly count: number;
}

export interface IndexEntry {
  keyHash: number;
  physicalOffset: number;
  seconds: number;
  previous: number;
}

export class IndexView {
  readonly place: IndexPlace;
  readonly header: IndexHeader;
  #reader: StoreReader;

  private constructor(reader: StoreReader, place: IndexPlace, header: IndexHeader) {
    this.#reader = reader;
    this.place = place;
    this.header = header;
  }

  /** @returns undefined for a file that has no room for a header */
  static open(reader: StoreReader, place: IndexPlace): IndexView | undefined {
    const bytes = Buffer.alloc(HEADER_BYTES);
    if (reader.readAt(place.path, bytes, 0) < HEADER_BYTES) return undefined;
    return new IndexView(reader, place, {
      beginTimestampMs: readLong(bytes, 0),
      endTimestampMs: readLong(bytes, 8),
      beginPhysicalOffset: readLong(bytes, 16),
      endPhysicalOffset: readLong(bytes, 24),
      usedSlots: bytes.readInt32BE(32),
      count: Math.max(1, bytes.readInt32BE(36)),
    });
  }

  get isEmpty(): boolean {
    return this.header.count <= 1;
  }

  /** What is wrong with the header by itself; undefined where nothing is. */
  headerDefect(): string | undefined {
    const { beginTimestampMs, endTimestampMs, beginPhysicalOffset, endPhysicalOffset, usedSlots, count } =
      this.header;
    const values = [beginTimestampMs, endTimestampMs, beginPhysicalOffset, endPhysicalOffset, usedSlots];
    if (!values.every((value) => Number.isSafeInteger(value) && value >= 0)) {
      return "it has a value that can't be";
    }
    if (endTimestampMs < beginTimestampMs) {
      return `it ends (${endTimestampMs}) before it begins (${beginTimestampMs})`;
    }
    if (endPhysicalOffset < beginPhysicalOffset) {
      return `its last message (${endPhysicalOffset}) lies before its first one (${beginPhysicalOffset})`;
    }
    const room = (this.place.sizeBytes - HEADER_BYTES) / ENTRY_BYTES;
    return count > room ? `it counts ${count} entries, the file has no room for them` : undefined;
  }

  /**
   * How many slots and entries the file has. @param likely shapes to try first
   * @returns undefined for an empty file, and for one whose entries and slots do not fit together
   */
  shape(likely: readonly IndexShape[]): IndexShape | undefined {
    if (this.isEmpty) return undefined;
    const known = likely.find((shape) =>
      indexFileBytes(shape) === this.place.sizeBytes && this.#suits(shape)
    );
    return known ?? this.#search();
  }

  /** Entries 1 to count-1 in order. The entry given is the same object each time. */
  *entries(shape: IndexShape): Generator<IndexEntry> {
    const entry: IndexEntry = { keyHash: 0, physicalOffset: 0, seconds: 0, previous: 0 };
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    for (let index = 1; index < this.header.count;) {
      const wanted = Math.min(block.length, (this.header.count - index) * ENTRY_BYTES);
      const position = entryPosition(shape, index);
      const got = this.#reader.readAt(this.place.path, block.subarray(0, wanted), position);
      block.fill(0, got, wanted);
      for (let at = 0; at < wanted; at += ENTRY_BYTES, index++) {
        entry.keyHash = block.readInt32BE(at);
        entry.physicalOffset = readLong(block, at + 4);
        entry.seconds = block.readInt32BE(at + 12);
        entry.previous = block.readInt32BE(at + 16);
        yield entry;
      }
    }
  }

  /** Slots in order, in pieces: the first slot of each, and their values. */
  *slots(shape: IndexShape): Generator<{ first: number; bytes: Buffer }> {
    const block = Buffer.allocUnsafe(1 << 20);
    for (let first = 0; first < shape.slotCount;) {
      const wanted = Math.min(block.length, (shape.slotCount - first) * SLOT_BYTES);
      const position = HEADER_BYTES + first * SLOT_BYTES;
      const got = this.#reader.readAt(this.place.path, block.subarray(0, wanted), position);
      block.fill(0, got, wanted);
      yield { first, bytes: block.subarray(0, wanted) };
      first += wanted / SLOT_BYTES;
    }
  }

  /** Whether the first and the last entry are where they would be, and the last one's slot leads to it. */
  #suits(shape: IndexShape): boolean {
    const { count, beginPhysicalOffset, endPhysicalOffset } = this.header;
    const last = count - 1;
    if (last >= shape.entryCount) return false;
    const first = this.#entry(shape, 1);
    if (readLong(first, 4) !== beginPhysicalOffset || first.readInt32BE(16) !== 0) return false;
    if (this.#entry(shape, 0).some((byte) => byte !== 0)) return false;
    const bytes = this.#entry(shape, last);
    const keyHash = bytes.readInt32BE(0);
    if (keyHash < 0 || readLong(bytes, 4) !== endPhysicalOffset) return false;
    const slot = Buffer.alloc(SLOT_BYTES);
    this.#reader.readAt(this.place.path, slot, HEADER_BYTES + (keyHash % shape.slotCount) * SLOT_BYTES);
    // Slots may be written before the header counts what they point to.
    return slot.readInt32BE(0) >= last;
  }

  #entry(shape: IndexShape, index: number): Buffer {
    const bytes = Buffer.alloc(ENTRY_BYTES);
    this.#reader.readAt(this.place.path, bytes, entryPosition(shape, index));
    return bytes;
  }

  /** Tries every place of the last entry from the end of the file on, as the rest of a young file is zeros. */
  #search(): IndexShape | undefined {
    const { sizeBytes, path } = this.place;
    const last = this.header.count - 1;
    const unitCount = Math.floor((sizeBytes - HEADER_BYTES) / ENTRY_BYTES);
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    for (let end = unitCount; end > last;) {
      const count = Math.min(BLOCK_BYTES / ENTRY_BYTES, end);
      const start = sizeBytes - (unitCount - end + count) * ENTRY_BYTES;
      this.#reader.readAt(path, block.subarray(0, count * ENTRY_BYTES), start);
      for (let unit = count - 1; unit >= 0; unit--) {
        const at = unit * ENTRY_BYTES;
        if (block.readInt32BE(at + 8) === 0 && block.readInt32BE(at) === 0) continue;
        if (readLong(block, at + 4) !== this.header.endPhysicalOffset) continue;
        const slotBytes = start + at - last * ENTRY_BYTES - HEADER_BYTES;
        if (slotBytes <= 0 || slotBytes % SLOT_BYTES !== 0) continue;
        const slotCount = slotBytes / SLOT_BYTES;
        const shape = { slotCount, entryCount: (sizeBytes - HEADER_BYTES - slotBytes) / ENTRY_BYTES };
        if (Number.isInteger(shape.entryCount) && this.#suits(shape)) return shape;
      }
      end -= count;
    }
    return undefined;
  }
}

function entryPosition({ slotCount }: IndexShape, index: number): number {
  return HEADER_BYTES + slotCount * SLOT_BYTES + index * ENTRY_BYTES;
}

/** Java's `Math.abs`, whose one negative result counts as 0. */
export function positiveHash(hash: number): number {
  return hash === -0x80000000 ? 0 : Math.abs(hash);
}
