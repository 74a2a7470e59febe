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
import {
  type ConsumeQueueExtension,
  extensionOffset,
  readTagsCode,
  writeTagsCode,
} from "./consume_queue_extension.ts";
import type { SegmentFiles } from "./segment_files.ts";
import type { QueueExtension } from "./types.ts";

export const ENTRY_BYTES = 20;
const FILLER_SIZE = 0x7fffffff;

/** An entry read back. */
export interface QueueEntry {
  physicalOffset: number;
  size: number;
  /** Hash of the tags, delivery time, or address of an extension (see `extensionOffset`). */
  tagsCode: number;
}

/** Whether the log has a message of this queue where the entry says; undefined where the log can't tell. */
export type EntryCheck = (entry: QueueEntry) => boolean | undefined;

const FIRST_PENDING_BYTES = ENTRY_BYTES * 16;
/** What a lost page of the file holds of entries, and a few more. */
const NEAR_ENTRIES = 256;
/** So many entries in memory are written at once, without waiting for the timer. */
const MAX_PENDING_BYTES = ENTRY_BYTES * 1024;

export class ConsumeQueue {
  readonly topic: string;
  readonly queueId: number;
  /** Absent where entries have none. */
  readonly extension: ConsumeQueueExtension | undefined;
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
  /** Files that were changed since the last sync, by the byte offset of their start. */
  #unsynced = new Set<number>();
  #lastPhysicalEnd = 0;
  #isDestroyed = false;

  constructor(topic: string, queueId: number, segments: SegmentFiles, extension?: ConsumeQueueExtension) {
    this.topic = topic;
    this.queueId = queueId;
    this.extension = extension;
    this.#segments = segments;
  }

  /**
   * The code for the entry that is put next: the one given, or the address of a new extension that holds it.
   * @param bitMap which filters the message fulfils, if that is known
   */
  extend(tagsCode: number, storeTimestampMs: number, bitMap?: Uint8Array): number {
    if (!this.extension?.isWritten) return tagsCode;
    return this.extension.put(tagsCode, storeTimestampMs, bitMap);
  }

  /** What an entry's code stands for, where it is an address; undefined where it is none, or can't be read. */
  extensionAt(tagsCode: number): QueueExtension | undefined {
    const offset = extensionOffset(tagsCode);
    return offset === undefined ? undefined : this.extension?.read(offset);
  }

  /** First entry whose message is still in the log. */
  get minOffset(): number {
    return this.#minOffset;
  }

  /** One past the last entry that consumers may see. */
  get maxOffset(): number {
    return this.#maxOffset;
  }

  /** The physical end of the last entry's message; 0 where there is none. */
  get lastPhysicalEnd(): number {
    return this.#lastPhysicalEnd;
  }

  get isUnsynced(): boolean {
    return this.#unsynced.size > 0 || this.#pendingBytes > 0 || this.extension?.isUnsynced === true;
  }

  /**
   * Adds the entry of `queueOffset`, which must not be there yet; a gap before it is filled with fillers. A
   * destroyed queue takes nothing: messages may still be on their way to it when its topic is deleted.
   */
  put(queueOffset: number, physicalOffset: number, size: number, tagsCode: number): void {
    if (this.#isDestroyed) return;
    if (queueOffset !== this.#maxOffset) this.#fillUpTo(queueOffset);
    const pending = this.#room();
    const at = this.#pendingBytes;
    writeLong(pending, physicalOffset, at);
    pending.writeInt32BE(size, at + 8);
    writeTagsCode(pending, tagsCode, at + 12);
    this.#pendingBytes = at + ENTRY_BYTES;
    this.#maxOffset = queueOffset + 1;
    this.#lastPhysicalEnd = physicalOffset + size;
    if (this.nextOffset < this.#maxOffset) this.nextOffset = this.#maxOffset;
  }

  /**
   * Reads up to `count` entries from `queueOffset` on: within one file, and those in memory that follow.
   * @returns the entries' bytes, a multiple of 20; empty where there are none
   */
  read(queueOffset: number, count: number): Buffer {
    const end = Math.min(queueOffset + count, this.#maxOffset);
    if (queueOffset < 0 || queueOffset >= end) return Buffer.alloc(0);
    const written = Math.max(0, Math.min(end, this.#writtenOffset) - queueOffset) * ENTRY_BYTES;
    const inFile = written === 0 ? 0 : Math.min(written, this.#bytesToFileEnd(queueOffset * ENTRY_BYTES));
    const inMemory = inFile < written ? 0 : (end - queueOffset) * ENTRY_BYTES - written;
    const entries = Buffer.allocUnsafe(inFile + inMemory);
    if (inFile > 0) {
      const got = this.#segments.read(entries.subarray(0, inFile), queueOffset * ENTRY_BYTES);
      if (got < inFile) return entries.subarray(0, got - got % ENTRY_BYTES);
    }
    if (inMemory > 0) {
      const from = Math.max(0, queueOffset - this.#writtenOffset) * ENTRY_BYTES;
      this.#pending!.copy(entries, inFile, from, from + inMemory);
    }
    return entries;
  }

  /** The entry at `queueOffset`; undefined outside the queue, for a filler, or where the file doesn't have it. */
  entry(queueOffset: number): QueueEntry | undefined {
    if (queueOffset < this.#minOffset) return undefined;
    const bytes = this.read(queueOffset, 1);
    if (bytes.length < ENTRY_BYTES) return undefined;
    const entry = readEntry(bytes, 0);
    return isFiller(entry) ? undefined : entry;
  }

  /** Start of the file after the one that holds `queueOffset`, as a queue offset. */
  nextFileOffset(queueOffset: number): number {
    const perFile = this.#segments.fileBytes / ENTRY_BYTES;
    return queueOffset - queueOffset % perFile + perFile;
  }

  /** Hands the entries in memory to the kernel. @throws what the disk says; the entries stay in memory */
  write(): void {
    this.extension?.write();
    if (this.#pendingBytes === 0) {
      this.#pending = undefined;
      return;
    }
    const pending = this.#pending!.subarray(0, this.#pendingBytes);
    this.#segments.writeOn(pending, this.#writtenOffset * ENTRY_BYTES, this.#unsynced);
    this.#writtenOffset += this.#pendingBytes / ENTRY_BYTES;
    this.#pendingBytes = 0;
  }

  /** Makes durable what is written. */
  async sync(): Promise<void> {
    await this.extension?.sync();
    await this.#segments.syncAll(this.#unsynced);
  }

  /**
   * Finds the end of the queue on disk: the last entry that points below `physicalEnd`. What stands behind it
   * is cut off; that is durable after the next `sync`. Entries that point below `physicalEnd` must have been
   * made durable, or written by a process that ended cleanly; others may be torn, or left over from a log
   * that was cut.
   * @param isClean true: behind the end there is nothing, or what Apache has left there
   */
  recover(physicalEnd: number, isClean: boolean, isInLog: EntryCheck): void {
    const first = this.#segments.minOffset / ENTRY_BYTES;
    const end = this.#segments.endOffset / ENTRY_BYTES;
    let low = this.#searchEnd(first, end, physicalEnd);
    // A damaged stretch in the middle looks like the end.
    for (let further = this.#entryBehind(low, end, physicalEnd, isInLog); further > low;) {
      low = this.#searchEnd(further, end, physicalEnd);
      further = this.#entryBehind(low, end, physicalEnd, isInLog);
    }
    while (low > first && !this.#isCredible(low - 1, first, isInLog)) low--;
    this.#maxOffset = this.#writtenOffset = this.nextOffset = low;
    this.#minOffset = first;
    this.#pendingBytes = 0;
    const last = low > first ? this.#probe(low - 1) : undefined;
    this.#lastPhysicalEnd = last === undefined || isFiller(last) ? 0 : last.physicalOffset + last.size;
    this.extension?.recover(this.#lastExtension(first, low), low);
    if (low === end || (isClean && this.#isUnused(low))) return;
    this.#segments.cut(low * ENTRY_BYTES);
    this.#unsynced.add(this.#segments.startOf(Math.min(low, end - 1) * ENTRY_BYTES));
  }

  /** Place of the last extension that one of the last entries names. */
  #lastExtension(first: number, end: number): number | undefined {
    for (let queueOffset = end - 1; queueOffset >= Math.max(first, end - NEAR_ENTRIES); queueOffset--) {
      const offset = extensionOffset(this.#probe(queueOffset).tagsCode);
      if (offset !== undefined) return offset;
    }
    return undefined;
  }

  /** Cuts a recovered queue so that `queueOffset` is given next: its topic was deleted and made again. */
  restartAt(queueOffset: number): void {
    if (queueOffset >= this.#maxOffset) return;
    if (queueOffset >= this.#writtenOffset) {
      this.#pendingBytes = (queueOffset - this.#writtenOffset) * ENTRY_BYTES;
    } else {
      this.#pendingBytes = 0;
      if (queueOffset * ENTRY_BYTES < this.#segments.minOffset) {
        this.clear();
        return;
      }
      this.#segments.cut(queueOffset * ENTRY_BYTES);
      this.#unsynced.add(this.#segments.startOf(queueOffset * ENTRY_BYTES));
      this.#writtenOffset = queueOffset;
    }
    this.#maxOffset = this.nextOffset = queueOffset;
    this.#minOffset = Math.min(this.#minOffset, queueOffset);
    const last = this.read(queueOffset - 1, 1);
    this.#lastPhysicalEnd = last.length === 0 ? 0 : readLong(last, 0) + last.readInt32BE(8);
  }

  /** Forgets all entries: the first one put may have any offset. */
  clear(): void {
    this.#pending = undefined;
    this.#pendingBytes = 0;
    this.#unsynced.clear();
    this.#segments.removeAll();
    this.extension?.clear();
    this.#minOffset =
      this.#maxOffset =
      this.#writtenOffset =
      this.nextOffset =
      this.#lastPhysicalEnd =
        0;
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
      const next = this.#realEntryFrom(middle, high);
      if (next !== undefined && next.physicalOffset < minPhysicalOffset) low = next.queueOffset + 1;
      else high = middle;
    }
    const first = this.#realEntryFrom(low, this.#maxOffset);
    this.#minOffset = first === undefined ? this.#maxOffset : first.queueOffset;
  }

  /** The first entry of a message from `queueOffset` on: neither filler nor damaged. */
  #realEntryFrom(
    queueOffset: number,
    end: number,
  ): { queueOffset: number; physicalOffset: number } | undefined {
    let wanted = 1;
    while (queueOffset < end) {
      const entries = this.read(queueOffset, Math.min(wanted, end - queueOffset));
      for (let at = 0; at < entries.length; at += ENTRY_BYTES, queueOffset++) {
        const entry = readEntry(entries, at);
        if (isBelow(entry, Infinity) && !isFiller(entry)) return { queueOffset, ...entry };
      }
      if (entries.length === 0) queueOffset = Math.min(this.nextFileOffset(queueOffset), end);
      wanted = NEAR_ENTRIES;
    }
    return undefined;
  }

  /**
   * Deletes leading files of which no entry is left, but never the last durable one: it tells how far the queue
   * has got.
   */
  deleteExpiredFiles(): void {
    const first = this.extension && this.entry(this.#minOffset);
    const offset = first && extensionOffset(first.tagsCode);
    if (offset !== undefined) this.extension!.deleteBefore(offset);
    while (this.#segments.fileCount > 1) {
      const nextStart = this.#segments.minOffset + this.#segments.fileBytes;
      if (nextStart > this.#minOffset * ENTRY_BYTES || this.#unsynced.has(nextStart)) return;
      this.#unsynced.delete(this.#segments.minOffset);
      this.#segments.removeFirst();
    }
  }

  /** Removes the queue from the disk. */
  destroy(): void {
    this.#isDestroyed = true;
    this.clear();
  }

  /** Whether nothing is known of the queue, so that its first entry may have any offset. */
  get isYoung(): boolean {
    return this.#segments.isEmpty && this.#maxOffset === 0;
  }

  /** Entries that one file holds, which is the longest gap that `put` fills. */
  get entriesPerFile(): number {
    return this.#segments.fileBytes / ENTRY_BYTES;
  }

  /** One past the last of the entries from `low` on that point below `physicalEnd`, if they come first. */
  #searchEnd(low: number, high: number, physicalEnd: number): number {
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (isBelow(this.#probe(middle), physicalEnd)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * An entry behind `low` that the log confirms: near by any, further away only by chance.
   * @returns -1 without any
   */
  #entryBehind(low: number, end: number, physicalEnd: number, isInLog: EntryCheck): number {
    const isEntry = (entry: QueueEntry) =>
      isBelow(entry, physicalEnd) && !isFiller(entry) && isInLog(entry) === true;
    const near = Buffer.alloc(Math.min(NEAR_ENTRIES, end - low) * ENTRY_BYTES);
    for (let at = 0; at < near.length;) {
      const wanted = Math.min(near.length - at, this.#bytesToFileEnd(low * ENTRY_BYTES + at));
      this.#segments.read(near.subarray(at, at + wanted), low * ENTRY_BYTES + at);
      at += wanted;
    }
    for (let at = near.length - ENTRY_BYTES; at > 0; at -= ENTRY_BYTES) {
      if (isEntry(readEntry(near, at))) return low + at / ENTRY_BYTES;
    }
    for (let step = NEAR_ENTRIES; low + step < end; step *= 2) {
      if (isEntry(this.#probe(low + step))) return low + step;
    }
    return -1;
  }

  #bytesToFileEnd(offset: number): number {
    return this.#segments.startOf(offset) + this.#segments.fileBytes - offset;
  }

  /** The entry in the file; zeros where the file has none. */
  #probe(queueOffset: number): QueueEntry {
    const bytes = Buffer.alloc(ENTRY_BYTES);
    this.#segments.read(bytes, queueOffset * ENTRY_BYTES);
    return readEntry(bytes, 0);
  }

  #isUnused(queueOffset: number): boolean {
    const { physicalOffset, size, tagsCode } = this.#probe(queueOffset);
    return physicalOffset === 0 && size === 0 && tagsCode === 0;
  }

  /** Where the log can't tell any more, entries must at least point further and further. */
  #isCredible(queueOffset: number, first: number, isInLog: EntryCheck): boolean {
    const entry = this.#probe(queueOffset);
    const answer = isFiller(entry) ? true : isInLog(entry);
    if (answer !== undefined || queueOffset === first) return answer ?? true;
    const previous = this.#probe(queueOffset - 1);
    return isFiller(previous) || entry.physicalOffset >= previous.physicalOffset + previous.size;
  }

  #fillUpTo(queueOffset: number): void {
    const { isYoung, entriesPerFile } = this;
    const gap = queueOffset - this.#maxOffset;
    if (isYoung) this.#maxOffset = this.#writtenOffset = queueOffset - queueOffset % entriesPerFile;
    else if (gap < 0 || gap > entriesPerFile) {
      throw new Error(`${this.#segments.directory}: after ${this.#maxOffset} entries comes ${queueOffset}`);
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

function isBelow({ physicalOffset, size }: QueueEntry, physicalEnd: number): boolean {
  if (physicalOffset < 0 || size <= 0) return false;
  return size === FILLER_SIZE || physicalOffset + size <= physicalEnd;
}

export function readEntry(bytes: Buffer, at: number): QueueEntry {
  return {
    physicalOffset: readLong(bytes, at),
    size: bytes.readInt32BE(at + 8),
    tagsCode: readTagsCode(bytes, at + 12),
  };
}

/** Whether an entry stands for a message that never was in this queue's files. */
export function isFiller(entry: QueueEntry): boolean {
  return entry.size === FILLER_SIZE;
}
