// SPDX-License-Identifier: Apache-2.0
/**
 * One queue of a topic: for each message where it lies in the log. Derived from the log, so entries are
 * gathered in memory and written late; recovery builds again what was lost.
 *
 * Entry, 20 bytes: physicalOffset 8 · size 4 · tagsCode 8 (for a delayed message its delivery time). Entry n
 * stands at byte n × 20. A queue whose first entries never were here (their log had expired when the queue
 * was built again) begins with fillers: physicalOffset 0, size 0x7fffffff. [RMQ ConsumeQueue]
 */
import { Buffer } from "node:buffer";
import { readLong, writeLong } from "../protocol/record.ts";
import type { SegmentFiles } from "./segment_files.ts";
import { StoreCorruptError } from "./types.ts";

export const ENTRY_BYTES = 20;
const FILLER_SIZE = 0x7fffffff;

/** An entry read back. */
export interface QueueEntry {
  physicalOffset: number;
  size: number;
  tagsCode: number;
}

const FIRST_PENDING_BYTES = ENTRY_BYTES * 16;
/** So many entries in memory are written at once, without waiting for the timer. */
const MAX_PENDING_BYTES = ENTRY_BYTES * 1024;

export class ConsumeQueue {
  readonly topic: string;
  readonly queueId: number;
  #segments: SegmentFiles;
  /** Next offset to be given to a message; runs ahead of `maxOffset` by what is not yet visible. */
  nextOffset = 0;
  #minOffset = 0;
  #maxOffset = 0;
  /** Entries from `#writtenCount` on. */
  #pending: Buffer | undefined;
  #pendingBytes = 0;
  /** Entries in files: the queue offset up to which they are written. */
  #writtenOffset = 0;
  /** Files that were written since the last sync, by the byte offset of their start. */
  #unsynced = new Set<number>();

  constructor(topic: string, queueId: number, segments: SegmentFiles) {
    this.topic = topic;
    this.queueId = queueId;
    this.#segments = segments;
  }

  /** First entry whose message is still in the log. */
  get minOffset(): number {
    return this.#minOffset;
  }

  /** One past the last entry that consumers may see. */
  get maxOffset(): number {
    return this.#maxOffset;
  }

  get isDirty(): boolean {
    return this.#pendingBytes > 0;
  }

  get isUnsynced(): boolean {
    return this.#unsynced.size > 0 || this.#pendingBytes > 0;
  }

  /** Adds the entry of `queueOffset`. An entry that is already there is left; a gap is filled with fillers. */
  put(queueOffset: number, physicalOffset: number, size: number, tagsCode: number): void {
    if (queueOffset < this.#maxOffset) return;
    if (queueOffset > this.#maxOffset) this.#fillUpTo(queueOffset);
    const pending = this.#room();
    const at = this.#pendingBytes;
    writeLong(pending, physicalOffset, at);
    pending.writeInt32BE(size, at + 8);
    writeLong(pending, tagsCode, at + 12);
    this.#pendingBytes = at + ENTRY_BYTES;
    this.#maxOffset = queueOffset + 1;
    if (this.nextOffset < this.#maxOffset) this.nextOffset = this.#maxOffset;
  }

  /**
   * Reads up to `count` entries from `queueOffset` on, within one file.
   * @returns the entries' bytes, a multiple of 20; empty where there are none
   */
  read(queueOffset: number, count: number): Buffer {
    const end = Math.min(queueOffset + count, this.#maxOffset);
    if (queueOffset < 0 || queueOffset >= end) return Buffer.alloc(0);
    if (queueOffset >= this.#writtenOffset) {
      const from = (queueOffset - this.#writtenOffset) * ENTRY_BYTES;
      return Buffer.from(this.#pending!.subarray(from, from + (end - queueOffset) * ENTRY_BYTES));
    }
    const offset = queueOffset * ENTRY_BYTES;
    const fileEnd = this.#segments.startOf(offset) + this.#segments.fileBytes;
    const bytes = Math.min(Math.min(end, this.#writtenOffset) * ENTRY_BYTES, fileEnd) - offset;
    const entries = Buffer.allocUnsafe(bytes);
    const got = this.#segments.read(entries, offset);
    return entries.subarray(0, got - got % ENTRY_BYTES);
  }

  /** The entry at `queueOffset`; undefined outside the queue, for a filler, or where the file doesn't have it. */
  entry(queueOffset: number): QueueEntry | undefined {
    if (queueOffset < this.#minOffset) return undefined;
    const bytes = this.read(queueOffset, 1);
    if (bytes.length < ENTRY_BYTES) return undefined;
    return readEntry(bytes, 0);
  }

  /** Start of the file after the one that holds `queueOffset`, as a queue offset. */
  nextFileOffset(queueOffset: number): number {
    const perFile = this.#segments.fileBytes / ENTRY_BYTES;
    return queueOffset - queueOffset % perFile + perFile;
  }

  /** Hands the entries in memory to the kernel. @throws what the disk says; the entries stay in memory */
  write(): void {
    if (this.#pendingBytes === 0) {
      this.#pending = undefined;
      return;
    }
    let from = 0;
    while (from < this.#pendingBytes) {
      const offset = this.#writtenOffset * ENTRY_BYTES + from;
      if (!this.#segments.has(offset)) this.#segments.add(offset);
      const bytes = Math.min(
        this.#pendingBytes - from,
        this.#segments.startOf(offset) + this.#segments.fileBytes - offset,
      );
      this.#segments.write(this.#pending!.subarray(from, from + bytes), offset);
      this.#unsynced.add(this.#segments.startOf(offset));
      from += bytes;
    }
    this.#writtenOffset += this.#pendingBytes / ENTRY_BYTES;
    this.#pendingBytes = 0;
  }

  /** Makes durable what is written. */
  async sync(): Promise<void> {
    for (const start of [...this.#unsynced]) {
      this.#unsynced.delete(start);
      try {
        if (this.#segments.has(start)) await this.#segments.sync(start);
      } catch (error) {
        this.#unsynced.add(start);
        throw error;
      }
    }
  }

  /**
   * Finds the end of the queue on disk: the last entry that points below `physicalEnd`. What stands behind it
   * is cut off. All entries before it must have been made durable, or written by a process that ended cleanly.
   * @param isClean false: entries may be torn, so the end is cut even if nothing follows
   */
  recover(physicalEnd: number, isClean: boolean): void {
    const perFile = this.#segments.fileBytes / ENTRY_BYTES;
    const first = this.#segments.minOffset / ENTRY_BYTES;
    let low = first;
    let high = this.#segments.endOffset / ENTRY_BYTES;
    const end = high;
    const probe = Buffer.alloc(ENTRY_BYTES);
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      this.#segments.read(probe, middle * ENTRY_BYTES);
      const { physicalOffset, size } = readEntry(probe, 0);
      const isValid = physicalOffset >= 0 && size > 0 &&
        (size === FILLER_SIZE || physicalOffset + size <= physicalEnd);
      if (isValid) low = middle + 1;
      else high = middle;
    }
    this.#maxOffset = this.#writtenOffset = this.nextOffset = low;
    this.#minOffset = first;
    const isFull = low === end && low % perFile === 0;
    if (!isFull && (!isClean || this.#isFollowedByEntry(low))) this.#segments.truncate(low * ENTRY_BYTES);
  }

  /** Cuts the queue so that `queueOffset` is given next: its topic was deleted and made again. */
  restartAt(queueOffset: number): void {
    this.write();
    if (queueOffset * ENTRY_BYTES < this.#segments.minOffset) this.#segments.removeAll();
    else this.#segments.truncate(queueOffset * ENTRY_BYTES);
    if (this.#segments.isEmpty) this.#minOffset = this.#maxOffset = this.#writtenOffset = 0;
    else this.#maxOffset = this.#writtenOffset = queueOffset;
    this.#minOffset = Math.min(this.#minOffset, this.#maxOffset);
    this.nextOffset = this.#maxOffset;
  }

  /** The physical end of the last entry's message; 0 for an empty queue. */
  lastPhysicalEnd(): number {
    const last = this.#maxOffset > 0 ? this.entry(this.#maxOffset - 1) : undefined;
    return last === undefined || last.size === FILLER_SIZE ? 0 : last.physicalOffset + last.size;
  }

  /**
   * Moves the start to the first entry that points into the log, which now begins at `minPhysicalOffset`. A
   * queue of which nothing is left keeps its numbering: its start becomes its end.
   */
  correctMinOffset(minPhysicalOffset: number): void {
    let low = Math.max(this.#minOffset, this.#segments.minOffset / ENTRY_BYTES);
    let high = this.#maxOffset;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const bytes = this.read(middle, 1);
      const isGone = bytes.length < ENTRY_BYTES || bytes.readInt32BE(8) === FILLER_SIZE ||
        readLong(bytes, 0) < minPhysicalOffset;
      if (isGone) low = middle + 1;
      else high = middle;
    }
    this.#minOffset = low;
  }

  /** Deletes leading files of which no entry is left, but never the last one. @returns how many */
  deleteExpiredFiles(): number {
    let count = 0;
    while (
      this.#segments.fileCount > 1 &&
      this.#segments.minOffset + this.#segments.fileBytes <= this.#minOffset * ENTRY_BYTES
    ) {
      this.#unsynced.delete(this.#segments.minOffset);
      this.#segments.removeFirst();
      count++;
    }
    return count;
  }

  /** Removes the queue from the disk. */
  destroy(): void {
    this.#pending = undefined;
    this.#pendingBytes = 0;
    this.#unsynced.clear();
    this.#segments.removeAll();
  }

  #isFollowedByEntry(queueOffset: number): boolean {
    const probe = Buffer.alloc(ENTRY_BYTES);
    this.#segments.read(probe, queueOffset * ENTRY_BYTES);
    return probe.some((byte) => byte !== 0);
  }

  /** A young queue may start anywhere; in the middle of a queue a gap means that entries were lost. */
  #fillUpTo(queueOffset: number): void {
    const perFile = this.#segments.fileBytes / ENTRY_BYTES;
    const isYoung = this.#segments.isEmpty && this.#pendingBytes === 0 && this.#maxOffset === 0;
    if (isYoung) this.#maxOffset = this.#writtenOffset = queueOffset - queueOffset % perFile;
    else if (queueOffset - this.#maxOffset > perFile) {
      throw new StoreCorruptError(
        this.#segments.directory,
        `the log goes on at queue offset ${queueOffset}, the queue ends at ${this.#maxOffset}`,
      );
    }
    while (this.#maxOffset < queueOffset) {
      const pending = this.#room();
      writeLong(pending, 0, this.#pendingBytes);
      pending.writeInt32BE(FILLER_SIZE, this.#pendingBytes + 8);
      writeLong(pending, 0, this.#pendingBytes + 12);
      this.#pendingBytes += ENTRY_BYTES;
      this.#maxOffset++;
    }
    if (isYoung) this.#minOffset = queueOffset;
  }

  /**
   * The pending buffer with room for one more entry. A full one is written; where the disk refuses that, it
   * grows, and the next timed `write` tells of the error.
   */
  #room(): Buffer {
    if (this.#pending === undefined) return this.#pending = Buffer.alloc(FIRST_PENDING_BYTES);
    if (this.#pendingBytes < this.#pending.length) return this.#pending;
    if (this.#pending.length >= MAX_PENDING_BYTES) {
      try {
        this.write();
        return this.#pending;
      } catch {
        // goes on below
      }
    }
    const larger = Buffer.alloc(this.#pending.length * 4);
    this.#pending.copy(larger);
    return this.#pending = larger;
  }
}

export function readEntry(bytes: Buffer, at: number): QueueEntry {
  return {
    physicalOffset: readLong(bytes, at),
    size: bytes.readInt32BE(at + 8),
    tagsCode: readLong(bytes, at + 12),
  };
}

/** Whether an entry stands for a message that never was in this queue's files. */
export function isFiller(entry: QueueEntry): boolean {
  return entry.size === FILLER_SIZE;
}
