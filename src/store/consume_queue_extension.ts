// SPDX-License-Identifier: Apache-2.0
/**
 * What a queue says of its messages beyond 20 bytes: which filters a message fulfils. Where it is written, an entry
 * holds the place of its extension instead of a tags code. Derived from the log like the queue, and needed less: of
 * an entry whose extension can't be read, nothing is known but that its message is there. [RMQ ConsumeQueueExt]
 *
 * Unit: size 2 · tagsCode 8 · storeTimestamp 8 · bitMapBytes 2 · bitMap. A unit never crosses a file's end; what is
 * left there begins with -1 as a size. Units begin anywhere: only the queue knows where.
 */
import { Buffer } from "node:buffer";
import { readLong, writeLong } from "../protocol/record.ts";
import type { SegmentFiles } from "./segment_files.ts";
import type { QueueExtension } from "./types.ts";

const HEAD_BYTES = 20;
/** Longer than units are with the bit maps that anybody configures. */
const LIKELY_UNIT_BYTES = 64;
const MAX_UNIT_BYTES = 32767;
/** Kept free at a file's end, for the mark that nothing follows. */
const FILE_END_BYTES = 4;
const FILE_END = -1;
const FIRST_PENDING_BYTES = 1024;
/** So many bytes in memory are written at once, without waiting for the timer. */
const MAX_PENDING_BYTES = 64 << 10;
/** Read at a time: readers go from unit to unit. */
const BLOCK_BYTES = 16 << 10;

/** Below all hash codes, which have 32 bits, begin the places of extensions. */
const LEAST_TAGS_CODE = -0x80000000;

/** What stands in an entry for the unit at `offset`. On the disk it is another number: see `writeTagsCode`. */
export function extensionAddress(offset: number): number {
  return LEAST_TAGS_CODE - 1 - offset;
}

/** The place of an extension; undefined where an entry's code is one itself. */
export function extensionOffset(tagsCode: number): number | undefined {
  return tagsCode < LEAST_TAGS_CODE ? LEAST_TAGS_CODE - 1 - tagsCode : undefined;
}

/** Writes the code of an entry. On the disk the place of an extension counts from the least long on. */
export function writeTagsCode(target: Buffer, tagsCode: number, at: number): void {
  if (tagsCode >= LEAST_TAGS_CODE) {
    writeLong(target, tagsCode, at);
    return;
  }
  const offset = LEAST_TAGS_CODE - 1 - tagsCode;
  target.writeInt32BE(Math.floor(offset / 0x100000000) - 0x80000000, at);
  target.writeInt32BE(offset | 0, at + 4);
}

/** Reads the code of an entry. */
export function readTagsCode(source: Buffer, at: number): number {
  const high = source.readInt32BE(at);
  if (high >= -1) return readLong(source, at);
  return extensionAddress((high + 0x80000000) * 0x100000000 + source.readUInt32BE(at + 4));
}

export class ConsumeQueueExtension {
  /** Whether new entries get one; otherwise it is only read. */
  readonly isWritten: boolean;
  #segments: SegmentFiles;
  #pending: Buffer | undefined;
  #pendingBytes = 0;
  #writtenOffset = 0;
  #unsynced = new Set<number>();
  #block: Buffer = Buffer.alloc(0);
  #blockOffset = 0;

  constructor(segments: SegmentFiles, isWritten: boolean) {
    this.#segments = segments;
    this.isWritten = isWritten;
    this.#writtenOffset = segments.endOffset;
  }

  get isUnsynced(): boolean {
    return this.#unsynced.size > 0 || this.#pendingBytes > 0;
  }

  get #endOffset(): number {
    return this.#writtenOffset + this.#pendingBytes;
  }

  /** Adds a unit, in memory. @returns what its entry holds: its address, or the tags code where it can't be */
  put(tagsCode: number, storeTimestampMs: number, bitMap: Uint8Array | undefined): number {
    const bitMapBytes = bitMap?.length ?? 0;
    const bytes = HEAD_BYTES + bitMapBytes;
    if (bytes > Math.min(MAX_UNIT_BYTES, this.#segments.fileBytes - FILE_END_BYTES)) return tagsCode;
    const toFileEnd = this.#bytesToFileEnd(this.#endOffset);
    if (bytes > toFileEnd - FILE_END_BYTES) this.#fill(toFileEnd);
    const pending = this.#room(bytes);
    const at = this.#pendingBytes;
    const offset = this.#endOffset;
    pending.writeInt16BE(bytes, at);
    writeLong(pending, tagsCode, at + 2);
    writeLong(pending, storeTimestampMs, at + 10);
    pending.writeInt16BE(bitMapBytes, at + 18);
    if (bitMap !== undefined) pending.set(bitMap, at + HEAD_BYTES);
    this.#pendingBytes = at + bytes;
    return extensionAddress(offset);
  }

  /** The unit at a place that an entry names; undefined where there is none, or none that can be read now. */
  read(offset: number): QueueExtension | undefined {
    const head = this.#bytes(offset, HEAD_BYTES);
    if (head === undefined) return undefined;
    const bytes = head.readInt16BE(0);
    const bitMapBytes = head.readInt16BE(18);
    if (bytes !== HEAD_BYTES + bitMapBytes || bitMapBytes < 0) return undefined;
    const unit = this.#bytes(offset, bytes);
    if (unit === undefined) return undefined;
    return {
      tagsCode: readLong(unit, 2),
      storeTimestampMs: readLong(unit, 10),
      bitMap: bitMapBytes === 0 ? undefined : unit.subarray(HEAD_BYTES),
    };
  }

  /** Hands what is in memory to the kernel. @throws what the disk says; it stays in memory */
  write(): void {
    if (this.#pendingBytes === 0) {
      this.#pending = undefined;
      return;
    }
    this.#segments.writeOn(
      this.#pending!.subarray(0, this.#pendingBytes),
      this.#writtenOffset,
      this.#unsynced,
    );
    this.#writtenOffset += this.#pendingBytes;
    this.#pendingBytes = 0;
  }

  /** Makes durable what is written. */
  async sync(): Promise<void> {
    await this.#segments.syncAll(this.#unsynced);
  }

  /**
   * Goes on behind the last unit that the queue names; what follows is cut off. No place that an entry may name is
   * given again, even if files are gone: its message would be taken for another one.
   * @param lastOffset place of that unit; undefined: none of the queue's last entries names one
   * @param queueEnd entries of the queue
   */
  recover(lastOffset: number | undefined, queueEnd: number): void {
    this.#forget();
    const segments = this.#segments;
    if (lastOffset === undefined || lastOffset >= segments.endOffset) {
      const least = Math.max(lastOffset === undefined ? 0 : lastOffset + 1, segments.endOffset);
      const isUnused = segments.isEmpty && lastOffset === undefined;
      if (lastOffset !== undefined) segments.removeAll();
      this.#syncAll();
      this.#writtenOffset = this.#fileStartFrom(isUnused ? queueEnd * LIKELY_UNIT_BYTES : least);
      return;
    }
    this.#writtenOffset = segments.endOffset;
    const unit = this.read(lastOffset);
    // One that can't be read may be of any length: new ones go to a new file.
    if (unit === undefined && lastOffset >= segments.minOffset) return this.#syncAll();
    const end = unit === undefined
      ? segments.minOffset
      : lastOffset + HEAD_BYTES + (unit.bitMap?.length ?? 0);
    this.#forget();
    this.#writtenOffset = end;
    if (this.#isUnused(end)) return;
    segments.cut(end);
    this.#unsynced.add(segments.startOf(Math.min(end, segments.endOffset - 1)));
  }

  /** Deletes files of which no unit is named any more: those that end at or before `offset`, but never the last one. */
  deleteBefore(offset: number): void {
    while (this.#segments.fileCount > 1 && this.#segments.minOffset + this.#segments.fileBytes <= offset) {
      this.#unsynced.delete(this.#segments.minOffset);
      this.#segments.removeFirst();
    }
  }

  /** Forgets everything, on the disk as well. */
  clear(): void {
    this.#forget();
    this.#unsynced.clear();
    this.#segments.removeAll();
    this.#writtenOffset = 0;
  }

  /** Files that no durable entry names may not be durable, and must be before there is one behind them. */
  #syncAll(): void {
    this.#unsynced.clear();
    const { minOffset, endOffset, fileBytes } = this.#segments;
    for (let start = minOffset; start < endOffset; start += fileBytes) this.#unsynced.add(start);
  }

  #forget(): void {
    this.#pending = undefined;
    this.#pendingBytes = 0;
    this.#block = Buffer.alloc(0);
  }

  #fileStartFrom(offset: number): number {
    const { fileBytes } = this.#segments;
    return Math.ceil(offset / fileBytes) * fileBytes;
  }

  #bytesToFileEnd(offset: number): number {
    const { fileBytes } = this.#segments;
    return fileBytes - offset % fileBytes;
  }

  #isUnused(offset: number): boolean {
    const size = Buffer.alloc(2);
    this.#segments.read(size, offset);
    return size.readInt16BE(0) === 0 && this.#segments.endOffset - offset <= this.#segments.fileBytes;
  }

  #bytes(offset: number, count: number): Buffer | undefined {
    if (offset >= this.#writtenOffset) {
      const from = offset - this.#writtenOffset;
      return from + count <= this.#pendingBytes ? this.#pending!.subarray(from, from + count) : undefined;
    }
    if (offset < this.#segments.minOffset || offset + count > this.#writtenOffset) return undefined;
    const blockEnd = this.#blockOffset + this.#block.length;
    if (offset < this.#blockOffset || offset + count > blockEnd) this.#load(offset);
    const from = offset - this.#blockOffset;
    return from + count <= this.#block.length ? this.#block.subarray(from, from + count) : undefined;
  }

  #load(offset: number): void {
    const wanted = Math.min(BLOCK_BYTES + MAX_UNIT_BYTES, this.#writtenOffset - offset);
    // A new one each time: parts of the one before may still be looked at.
    const block = Buffer.allocUnsafe(Math.min(wanted, this.#bytesToFileEnd(offset)));
    this.#block = block.subarray(0, this.#segments.read(block, offset));
    this.#blockOffset = offset;
  }

  #fill(bytes: number): void {
    const pending = this.#room(bytes);
    pending.fill(0, this.#pendingBytes, this.#pendingBytes + bytes);
    pending.writeInt16BE(FILE_END, this.#pendingBytes);
    this.#pendingBytes += bytes;
  }

  /** The pending buffer with room for so many bytes more. */
  #room(bytes: number): Buffer {
    if (this.#pendingBytes >= MAX_PENDING_BYTES) {
      try {
        this.write();
      } catch {
        // stays in memory; the next timed `write` tells
      }
    }
    const needed = this.#pendingBytes + bytes;
    const { length } = this.#pending ??= Buffer.alloc(FIRST_PENDING_BYTES);
    if (needed <= length) return this.#pending;
    const larger = Buffer.alloc(Math.max(needed, length * 2));
    this.#pending.copy(larger, 0, 0, this.#pendingBytes);
    return this.#pending = larger;
  }
}
