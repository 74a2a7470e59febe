// SPDX-License-Identifier: Apache-2.0
/**
 * The log of all messages: the only truth of a broker. Records are encoded into memory (`appendedOffset`),
 * handed to the kernel once per turn of the event loop (`writtenOffset`), and made durable by `sync`
 * (`flushedOffset`). The three only grow, with one exception: a write that failed takes `appendedOffset` back
 * to `writtenOffset`, before anybody was told of those records.
 *
 * A record never crosses the end of a file: the rest is filled by a blank of at least eight bytes.
 * What was appended last is kept in memory and read from there. [RMQ CommitLog]
 */
import { Buffer } from "node:buffer";
import {
  BLANK_BYTES,
  MAGIC_BLANK,
  type RecordFields,
  type RecordLengths,
  type RecordPlace,
  writeRecord,
} from "../protocol/record.ts";
import type { SegmentFiles } from "./segment_files.ts";

/** A stretch of the log in memory. Lies within one file. */
interface Chunk {
  buffer: Buffer;
  startOffset: number;
  endOffset: number;
  /** Where the log goes on: `endOffset`, or the next file's start where the chunk ends with a blank. */
  nextOffset: number;
}

const CHUNK_BYTES = 1 << 20;
/** How much of the log's end is kept in memory for readers that keep up. */
const TAIL_BYTES = 8 << 20;

export class CommitLog {
  #segments: SegmentFiles;
  #chunks: Chunk[] = [];
  #chunkBytes = 0;
  #spare: Buffer[] = [];
  #appendedOffset: number;
  #writtenOffset: number;
  #flushedOffset: number;
  #place: RecordPlace = { queueOffset: 0, physicalOffset: 0, storeTimestampMs: 0 };

  /** @param endOffset where recovery found the log's end; everything before it is taken as flushed */
  constructor(segments: SegmentFiles, endOffset: number) {
    this.#segments = segments;
    this.#appendedOffset = endOffset;
    this.#writtenOffset = endOffset;
    this.#flushedOffset = endOffset;
  }

  /** Start of the oldest file. */
  get minOffset(): number {
    return this.#segments.minOffset;
  }

  get appendedOffset(): number {
    return this.#appendedOffset;
  }

  get writtenOffset(): number {
    return this.#writtenOffset;
  }

  get flushedOffset(): number {
    return this.#flushedOffset;
  }

  get fileBytes(): number {
    return this.#segments.fileBytes;
  }

  /** The longest record that a file can hold. */
  get maxRecordBytes(): number {
    return this.#segments.fileBytes - BLANK_BYTES;
  }

  /** Whether nothing is in it, so that it may begin anywhere. */
  get isEmpty(): boolean {
    return this.#appendedOffset === this.#segments.minOffset;
  }

  get hasFiles(): boolean {
    return !this.#segments.isEmpty;
  }

  /** Start of the file that holds `offset`. */
  fileStart(offset: number): number {
    return this.#segments.startOf(offset);
  }

  /** Start of the file after the one that holds `offset`. */
  nextFileOffset(offset: number): number {
    return this.#segments.startOf(offset) + this.#segments.fileBytes;
  }

  /**
   * Encodes a record at the end. It is in memory only; `write` hands it on.
   * @returns its physical offset
   * @throws what creating the next file throws; then nothing was appended
   */
  append(
    fields: RecordFields,
    lengths: RecordLengths,
    queueOffset: number,
    storeTimestampMs: number,
  ): number {
    const bytes = lengths.totalBytes;
    const rest = this.#segments.endOffset - this.#appendedOffset;
    if (bytes + BLANK_BYTES > rest) this.#rollFile(rest);
    const chunk = this.#chunkFor(bytes);
    const physicalOffset = this.#appendedOffset;
    const place = this.#place;
    place.queueOffset = queueOffset;
    place.physicalOffset = physicalOffset;
    place.storeTimestampMs = storeTimestampMs;
    writeRecord(chunk.buffer, physicalOffset - chunk.startOffset, fields, lengths, place);
    chunk.endOffset += bytes;
    this.#appendedOffset = chunk.nextOffset = chunk.endOffset;
    return physicalOffset;
  }

  /** Lets an empty log begin at the start of any file: a copy may begin behind what its master has deleted. */
  startAt(offset: number): void {
    if (!this.isEmpty) throw new Error("the log has begun already");
    if (offset !== this.#segments.startOf(offset)) throw new Error(`no file of the log starts at ${offset}`);
    this.#segments.restartAt(offset);
    this.#chunks.length = this.#chunkBytes = 0;
    this.#appendedOffset = this.#writtenOffset = this.#flushedOffset = offset;
  }

  /**
   * Appends whole records as they are. They lie within one file; with `isFiller` they are what fills its end, and
   * the log goes on in the next one.
   * @throws what creating the next file throws; then nothing was appended
   */
  appendRaw(source: Buffer, from: number, to: number, isFiller = false): void {
    if (this.#appendedOffset === this.#segments.endOffset) this.#segments.add(this.#appendedOffset);
    const nextOffset = this.#appendedOffset + to - from;
    // Files read as zeros where nothing was written.
    const end = isFiller ? Math.min(to, Math.max(from + BLANK_BYTES, lastNonZero(source, from, to) + 1)) : to;
    const chunk = this.#chunkFor(end - from);
    source.copy(chunk.buffer, this.#appendedOffset - chunk.startOffset, from, end);
    chunk.endOffset += end - from;
    this.#appendedOffset = chunk.nextOffset = nextOffset;
  }

  /**
   * Hands everything appended to the kernel.
   * @throws what the disk says; `writtenOffset` then tells how far it came
   */
  write(): void {
    if (this.#writtenOffset === this.#appendedOffset) return;
    for (const chunk of this.#chunks) {
      if (chunk.nextOffset <= this.#writtenOffset) continue;
      const from = Math.max(chunk.startOffset, this.#writtenOffset);
      this.#segments.write(
        chunk.buffer.subarray(from - chunk.startOffset, chunk.endOffset - chunk.startOffset),
        from,
      );
      this.#writtenOffset = chunk.nextOffset;
    }
  }

  /**
   * After a failed write: forgets what was appended and not written. What part of it the file may hold is cut
   * off; that is durable with the next sync, before anything that takes its place.
   * @throws what the disk says; then the log must not be appended to until another try succeeds
   */
  dropUnwritten(): void {
    for (const chunk of this.#chunks) {
      if (chunk.nextOffset > this.#writtenOffset) {
        chunk.nextOffset = chunk.endOffset = Math.max(chunk.startOffset, this.#writtenOffset);
      }
    }
    this.#chunks = this.#chunks.filter((chunk) => chunk.endOffset > chunk.startOffset);
    this.#chunkBytes = this.#chunks.reduce((sum, chunk) => sum + chunk.buffer.length, 0);
    this.#appendedOffset = this.#writtenOffset;
    this.#segments.cut(this.#writtenOffset);
  }

  /** Makes durable what is written before `endOffset`. On rejection nothing is known of it any more. */
  async sync(endOffset: number): Promise<void> {
    for (let offset = this.#flushedOffset; offset < endOffset; offset = this.nextFileOffset(offset)) {
      if (this.#segments.has(offset)) await this.#segments.sync(offset);
    }
  }

  /** Says that everything before `endOffset` is durable. */
  markFlushed(endOffset: number): void {
    if (endOffset > this.#flushedOffset) this.#flushedOffset = endOffset;
  }

  /** Whether the record at `offset` is in memory, so that reading it costs no system call. */
  isInTail(offset: number): boolean {
    return this.#chunkAt(offset) !== undefined;
  }

  /**
   * Copies bytes of one record into `target`, from memory or the page cache.
   * @returns false where the log does not have them
   * @throws what the disk says
   */
  copy(target: Buffer, at: number, offset: number, bytes: number): boolean {
    if (offset + bytes > this.#appendedOffset || offset < this.#segments.minOffset) return false;
    const chunk = this.#chunkAt(offset);
    if (chunk === undefined) return this.#segments.read(target.subarray(at, at + bytes), offset) === bytes;
    const from = offset - chunk.startOffset;
    if (offset + bytes > chunk.endOffset) return false;
    chunk.buffer.copy(target, at, from, from + bytes);
    return true;
  }

  /** Reads bytes of one file that are written, without blocking. @returns false where the log does not have them */
  async copyAsync(target: Buffer, at: number, offset: number, bytes: number): Promise<boolean> {
    if (offset + bytes > this.#writtenOffset || offset < this.#segments.minOffset) return false;
    return await this.#segments.readAsync(target.subarray(at, at + bytes), offset) === bytes;
  }

  /**
   * Copies up to `bytes` written bytes of one file into `target`, as far as they lie together in memory or in the
   * file. @returns how many; 0 where the log does not have them @throws what the disk says
   */
  readRaw(target: Buffer, at: number, offset: number, bytes: number): number {
    const count = this.#writtenBytes(offset, bytes);
    if (count <= 0) return 0;
    const chunk = this.#chunkAt(offset);
    if (chunk === undefined) return this.#segments.read(target.subarray(at, at + count), offset);
    const end = Math.min(offset + count, chunk.endOffset);
    return chunk.buffer.copy(target, at, offset - chunk.startOffset, end - chunk.startOffset);
  }

  /** The same from the file, without blocking. */
  async readRawAsync(target: Buffer, at: number, offset: number, bytes: number): Promise<number> {
    const count = this.#writtenBytes(offset, bytes);
    return count <= 0 ? 0 : await this.#segments.readAsync(target.subarray(at, at + count), offset);
  }

  /** How many of `bytes` bytes from `offset` on are written and in the same file. */
  #writtenBytes(offset: number, bytes: number): number {
    if (offset < this.#segments.minOffset) return 0;
    return Math.min(bytes, this.#writtenOffset - offset, this.nextFileOffset(offset) - offset);
  }

  /** The file that holds an offset, for a message to the operator. */
  fileOf(offset: number): string {
    return this.#segments.path(this.#segments.startOf(offset));
  }

  /**
   * Age of the oldest file, by its last change; undefined while nothing behind it is durable: the last file tells
   * how far the log has got.
   */
  oldestFile(): { modifiedMs: number; startOffset: number; endOffset: number } | undefined {
    const startOffset = this.#segments.minOffset;
    const endOffset = startOffset + this.#segments.fileBytes;
    if (this.#segments.fileCount < 2 || endOffset >= this.#flushedOffset) return undefined;
    return { modifiedMs: this.#segments.firstModifiedMs(), startOffset, endOffset };
  }

  /** Makes durable, blocking, that deleted files are gone. */
  syncDeletions(): void {
    this.#segments.syncNames();
  }

  /** Deletes the oldest file. */
  deleteOldestFile(): void {
    if (this.#segments.fileCount < 2) throw new Error("the last file of the log is never deleted");
    this.#segments.removeFirst();
  }

  /** Fills the rest of the file and goes on in the next one. Other writers may leave no room for a blank. */
  #rollFile(rest: number): void {
    const next = this.#segments.endOffset;
    this.#segments.add(next);
    if (rest < BLANK_BYTES) {
      this.#appendedOffset = next;
      return;
    }
    const chunk = this.#chunkFor(BLANK_BYTES);
    const at = this.#appendedOffset - chunk.startOffset;
    chunk.buffer.writeInt32BE(rest, at);
    chunk.buffer.writeInt32BE(MAGIC_BLANK, at + 4);
    chunk.endOffset += BLANK_BYTES;
    this.#appendedOffset = chunk.nextOffset = next;
  }

  /** The last chunk if it has room for `bytes` at `appendedOffset`, else a new one. */
  #chunkFor(bytes: number): Chunk {
    const last = this.#chunks[this.#chunks.length - 1];
    if (
      last !== undefined && last.endOffset === this.#appendedOffset &&
      last.endOffset - last.startOffset + bytes <= last.buffer.length &&
      last.startOffset >= this.#segments.startOf(this.#appendedOffset)
    ) return last;
    this.#dropOldChunks();
    const buffer = bytes <= CHUNK_BYTES
      ? this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
      : Buffer.allocUnsafeSlow(bytes);
    const offset = this.#appendedOffset;
    const chunk = { buffer, startOffset: offset, endOffset: offset, nextOffset: offset };
    this.#chunks.push(chunk);
    this.#chunkBytes += buffer.length;
    return chunk;
  }

  /** Chunks beyond the tail leave memory, but never before they are written. */
  #dropOldChunks(): void {
    let count = 0;
    while (
      this.#chunkBytes > TAIL_BYTES && count < this.#chunks.length &&
      this.#chunks[count].nextOffset <= this.#writtenOffset
    ) {
      const { buffer } = this.#chunks[count++];
      this.#chunkBytes -= buffer.length;
      if (buffer.length === CHUNK_BYTES && this.#spare.length < 2) this.#spare.push(buffer);
    }
    if (count > 0) this.#chunks.splice(0, count);
  }

  #chunkAt(offset: number): Chunk | undefined {
    for (let index = this.#chunks.length - 1; index >= 0; index--) {
      const chunk = this.#chunks[index];
      if (offset >= chunk.startOffset) return offset < chunk.endOffset ? chunk : undefined;
    }
    return undefined;
  }
}

/** Where the last byte stands that is not zero; -1 without any. */
function lastNonZero(bytes: Buffer, from: number, to: number): number {
  let at = to - 1;
  while (at >= from && bytes[at] === 0) at--;
  return at < from ? -1 : at;
}
