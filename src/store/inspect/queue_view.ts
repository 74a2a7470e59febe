// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { readLong } from "../../protocol/record.ts";
import { ENTRY_BYTES } from "../consume_queue.ts";
import type { FindingPlace } from "./findings.ts";
import { type QueuePlace, queueRange, type Segment } from "./layout.ts";
import type { StoreReader } from "./reader.ts";

const FILLER_SIZE = 0x7fffffff;
/** What is searched for used entries at a time. */
const SEARCH_BYTES = 1 << 20;
const ZEROS = Buffer.alloc(SEARCH_BYTES);

/** One ConsumeQueue as it is on the disk, read entry by entry through a small buffer. */
export class QueueView {
  readonly place: QueuePlace;
  /** Room of the files, as queue offsets. */
  readonly first: number;
  readonly capacityEnd: number;
  /** The entry found by `seek`. */
  physicalOffset = 0;
  size = 0;
  tagsCode = 0;
  #reader: StoreReader;
  #blockEntries: number;
  #block: Buffer | undefined;
  #blockStart = 0;
  #blockCount = 0;

  /** @param blockEntries entries kept in memory: many for one queue, few for thousands */
  constructor(reader: StoreReader, place: QueuePlace, blockEntries: number) {
    this.#reader = reader;
    this.place = place;
    this.#blockEntries = blockEntries;
    const { first, end } = queueRange(place.segments);
    this.first = first;
    this.capacityEnd = end;
  }

  get topic(): string {
    return this.place.topic;
  }

  get queueId(): number {
    return this.place.queueId;
  }

  get directory(): string {
    return this.place.segments.directory;
  }

  /** Whether the entry found stands for messages that never were in this queue. */
  get isFiller(): boolean {
    return this.size === FILLER_SIZE;
  }

  /**
   * Goes to an entry. @param fresh: not from memory, for a queue that is being written to
   * @returns false where there is none (outside the files, or nothing but zeros)
   */
  seek(queueOffset: number, fresh = false): boolean {
    if (queueOffset < this.first || queueOffset >= this.capacityEnd) return false;
    const isInBlock = queueOffset >= this.#blockStart && queueOffset < this.#blockStart + this.#blockCount;
    if ((!isInBlock || fresh) && !this.#load(queueOffset)) return false;
    const block = this.#block!;
    const at = (queueOffset - this.#blockStart) * ENTRY_BYTES;
    this.physicalOffset = readLong(block, at);
    this.size = block.readInt32BE(at + 8);
    this.tagsCode = readLong(block, at + 12);
    return this.size !== 0 || this.physicalOffset !== 0 || this.tagsCode !== 0;
  }

  /** The first entry that is not empty, from `queueOffset` on; undefined without one. */
  nextUsed(queueOffset: number): number | undefined {
    const block = Buffer.allocUnsafe(SEARCH_BYTES - SEARCH_BYTES % ENTRY_BYTES);
    for (const { path, start } of this.place.segments.files) {
      const { fileBytes } = this.place.segments;
      let position = Math.max(0, queueOffset * ENTRY_BYTES - start);
      while (position < fileBytes) {
        const wanted = Math.min(block.length, fileBytes - position);
        const got = this.#reader.readAt(path, block.subarray(0, wanted), position);
        if (ZEROS.compare(block, 0, got, 0, got) !== 0) {
          const at = block.subarray(0, got).findIndex((byte) => byte !== 0);
          return Math.floor((start + position + at) / ENTRY_BYTES);
        }
        if (got < wanted) break;
        position += got;
      }
    }
    return undefined;
  }

  /**
   * One past the last entry, found by halving: right for a queue that a broker left in order, where nothing but
   * zeros follows the last entry.
   */
  end(): number {
    let low = this.first;
    let high = this.capacityEnd;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.seek(middle, true) && this.size > 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The first entry whose message the log still has, by halving; `end` if there is none. */
  firstFrom(minPhysicalOffset: number, end: number): number {
    let low = this.first;
    let high = end;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const isGone = !this.seek(middle, true) || this.isFiller || this.physicalOffset < minPhysicalOffset;
      if (isGone) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Where an entry stands, for whoever wants to look at it. */
  placeOf(queueOffset: number): FindingPlace {
    const { files, fileBytes } = this.place.segments;
    const offset = queueOffset * ENTRY_BYTES;
    const file = fileOf(files, fileBytes, offset);
    if (file === undefined) return { file: this.directory };
    return { file: file.path, position: offset - file.start, within: this.directory };
  }

  #load(queueOffset: number): boolean {
    const offset = queueOffset * ENTRY_BYTES;
    const { files, fileBytes } = this.place.segments;
    const file = files.length === 1 ? files[0] : fileOf(files, fileBytes, offset);
    if (file === undefined || offset >= file.start + fileBytes) return false;
    this.#block ??= Buffer.alloc(this.#blockEntries * ENTRY_BYTES);
    const wanted = Math.min(this.#block.length, file.start + fileBytes - offset);
    const got = this.#reader.readAt(file.path, this.#block.subarray(0, wanted), offset - file.start);
    this.#blockStart = queueOffset;
    this.#blockCount = Math.floor(got / ENTRY_BYTES);
    return this.#blockCount > 0;
  }
}

/** By halving: a queue may have hundreds of files. */
function fileOf(files: readonly Segment[], fileBytes: number, offset: number): Segment | undefined {
  let low = 0;
  let high = files.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (files[middle].start + fileBytes <= offset) low = middle + 1;
    else high = middle;
  }
  return files[low] !== undefined && files[low].start <= offset ? files[low] : undefined;
}
