// SPDX-License-Identifier: Apache-2.0
/**
 * One file of the index by key: a hash table of which each slot holds the newest entry of a chain.
 * [RMQ IndexFile, IndexHeader]
 *
 * ```
 * header 40: beginTimestamp 8 · endTimestamp 8 · beginPhyOffset 8 · endPhyOffset 8 · hashSlotCount 4 · indexCount 4
 * slots    : index of the newest entry 4 each, 0 = none
 * entries  : keyHash 4 · phyOffset 8 · seconds since beginTimestamp 4 · index of the entry before 4
 * ```
 * Entry 0 is never used, so indexCount begins at 1. The file that is written to has its slots in memory, and
 * entries until they are written. On disk the header counts only what is durable, and slots hold only what the
 * header counts, but for a crash while they are written; then they can be made again from the entries.
 */
import { Buffer } from "node:buffer";
import { readLong, writeLong } from "../protocol/record.ts";
import type { Files, StoreFile } from "./files.ts";

const HEADER_BYTES = 40;
const SLOT_BYTES = 4;
const ENTRY_BYTES = 20;
/** Slots are written by pages, counted from the first slot. */
const PAGE_BYTES = 4096;
/** Pages that are written by one call, if they lie together. */
const RUN_PAGES = 64;
/** Entries in memory; so many are written by one call. */
const PENDING_BYTES = ENTRY_BYTES * 3276;
/** While the disk takes none, they may become so many. */
const MAX_PENDING_BYTES = PENDING_BYTES * 256;
/** A chain is followed through blocks of the file: entries of a busy key lie close together. */
const BLOCK_ENTRIES = 200;
/** A query must not stall the broker: one that reads so many blocks of a file ends there with what it has. */
const MAX_BLOCKS = 4000;
/** Entries read at a time when slots are made again. */
const SCAN_ENTRIES = 50_000;

export interface IndexShape {
  slotCount: number;
  entryCount: number;
}

/** A file's bytes in full. */
export function indexFileBytes({ slotCount, entryCount }: IndexShape): number {
  return HEADER_BYTES + slotCount * SLOT_BYTES + entryCount * ENTRY_BYTES;
}

export class IndexFile {
  readonly path: string;
  #file: StoreFile;
  #shape: IndexShape;
  beginTimestampMs = 0;
  endTimestampMs = 0;
  beginPhysicalOffset = 0;
  endPhysicalOffset = 0;
  #usedSlots = 0;
  /** One past the last entry. */
  #count = 1;
  /** What the header on disk counts. */
  #durableCount = 1;
  #slots: Buffer | undefined;
  /** Pages of slots that changed since they were written. */
  #dirtyPages: Uint8Array | undefined;
  /** Pages that the flush under way has still to write, as they are. */
  #flushPages: Uint8Array | undefined;
  #flushFailure: unknown;
  #pending: Buffer | undefined;
  /** Entries before this one are in the file. */
  #written = 1;

  private constructor(file: StoreFile, shape: IndexShape) {
    this.path = file.path;
    this.#file = file;
    this.#shape = shape;
  }

  /** A new file, which goes on where `previous` ends. */
  static create(files: Files, path: string, shape: IndexShape, previous: IndexFile | undefined): IndexFile {
    const index = new IndexFile(files.create(path, indexFileBytes(shape)), shape);
    if (previous !== undefined) {
      index.beginTimestampMs = index.endTimestampMs = previous.endTimestampMs;
      index.beginPhysicalOffset = index.endPhysicalOffset = previous.endPhysicalOffset;
    }
    return index;
  }

  /** @returns undefined where the header can't be right */
  static open(files: Files, path: string, shape: IndexShape): IndexFile | undefined {
    const index = new IndexFile(files.open(path), shape);
    let isRight = false;
    try {
      isRight = index.#readHeader();
    } finally {
      if (!isRight) index.#file.close();
    }
    return isRight ? index : undefined;
  }

  get isFull(): boolean {
    return this.#count >= this.#shape.entryCount;
  }

  get isEmpty(): boolean {
    return this.#count <= 1;
  }

  /** Whether there are entries that a crash would lose. */
  get isUnflushed(): boolean {
    return this.#count > this.#durableCount;
  }

  /** After a crash: makes the slots again from the entries, as those on disk are of different times. */
  repair(): void {
    // The header was read, but may be in the page cache only.
    this.#durableCount = 0;
    const slots = this.#makeSlots();
    const onDisk = Buffer.allocUnsafe(RUN_PAGES * PAGE_BYTES);
    for (let at = 0; at < slots.length; at += onDisk.length) {
      const bytes = this.#file.readAt(
        onDisk.subarray(0, Math.min(onDisk.length, slots.length - at)),
        HEADER_BYTES + at,
      );
      for (let page = 0; page < bytes; page += PAGE_BYTES) {
        const end = Math.min(page + PAGE_BYTES, bytes);
        const isSame = onDisk.subarray(page, end).equals(slots.subarray(at + page, at + end));
        if (!isSame) this.#dirtyPages![(at + page) / PAGE_BYTES] = 1;
      }
    }
  }

  /** Forgets the entries of messages from `physicalOffset` on. */
  cutAt(physicalOffset: number): void {
    this.#writePending();
    let low = 1;
    let high = this.#count;
    const entry = Buffer.alloc(ENTRY_BYTES);
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      this.#file.readAt(entry, this.#entryPosition(middle));
      if (readLong(entry, 4) < physicalOffset) low = middle + 1;
      else high = middle;
    }
    if (low === this.#count) return;
    this.#count = this.#written = low;
    this.endPhysicalOffset = this.beginPhysicalOffset;
    this.endTimestampMs = this.beginTimestampMs;
    if (low > 1) {
      this.#file.readAt(entry, this.#entryPosition(low - 1));
      this.endPhysicalOffset = readLong(entry, 4);
      this.endTimestampMs += entry.readInt32BE(12) * 1000;
    }
    this.repair();
  }

  /**
   * Adds an entry; the file must not be full. @param keyHash not negative
   * @throws what the disk says, when more entries wait in memory than may; then nothing was added
   */
  put(keyHash: number, physicalOffset: number, storeTimestampMs: number): void {
    const slots = this.#slots ?? this.#loadSlots();
    const slotAt = this.#slotOf(keyHash) * SLOT_BYTES;
    const previous = slots.readInt32BE(slotAt);
    const pending = this.#room();
    const at = this.#pendingBytes();
    const seconds = this.beginTimestampMs === 0
      ? 0
      : Math.floor((storeTimestampMs - this.beginTimestampMs) / 1000);
    pending.writeInt32BE(keyHash, at);
    writeLong(pending, physicalOffset, at + 4);
    pending.writeInt32BE(Math.min(Math.max(seconds, 0), 0x7fffffff), at + 12);
    pending.writeInt32BE(previous, at + 16);
    if (previous === 0) this.#usedSlots++;
    const page = slotAt >>> 12;
    if (this.#flushPages !== undefined && this.#flushPages[page] === 1) this.#writeBeforeChange(page);
    slots.writeInt32BE(this.#count, slotAt);
    this.#dirtyPages![page] = 1;
    if (this.#count === 1) {
      this.beginPhysicalOffset = physicalOffset;
      this.beginTimestampMs = storeTimestampMs;
    }
    this.#count++;
    this.endPhysicalOffset = physicalOffset;
    this.endTimestampMs = storeTimestampMs;
  }

  /** Adds the places of messages with this hash, newest first, to `found` until it has `maxCount`. */
  collect(keyHash: number, beginMs: number, endMs: number, maxCount: number, found: number[]): void {
    const block = Buffer.allocUnsafe(BLOCK_ENTRIES * ENTRY_BYTES);
    let firstOfBlock = Infinity;
    let blocks = 0;
    let index = this.#slotValue(keyHash);
    while (index > 0 && index < this.#count && found.length < maxCount) {
      if (index < firstOfBlock) {
        if (blocks++ === MAX_BLOCKS) return;
        firstOfBlock = this.#readBlockUpTo(index, block);
      }
      const at = (index - firstOfBlock) * ENTRY_BYTES;
      const timestampMs = this.beginTimestampMs + block.readInt32BE(at + 12) * 1000;
      // Entries know their time to the second only.
      if (timestampMs < beginMs - 1000) break;
      if (block.readInt32BE(at) === keyHash && timestampMs <= endMs) {
        const physicalOffset = readLong(block, at + 4);
        // Recovery indexes the last message again, as it can't know that all its keys were there.
        if (found[found.length - 1] !== physicalOffset) found.push(physicalOffset);
      }
      const previous = block.readInt32BE(at + 16);
      if (previous >= index) break;
      index = previous;
    }
  }

  /**
   * Begins to flush what is there now: hands entries to the kernel, fixes which slots are to be written.
   * @returns the header that counts them, to be written when they are durable
   */
  beginFlush(): Buffer {
    this.#writePending();
    if (this.#dirtyPages !== undefined) {
      this.#flushPages = this.#dirtyPages;
      this.#dirtyPages = new Uint8Array(this.#flushPages.length);
    }
    return this.#header();
  }

  /** Hands these slots to the kernel, in steps between which the caller may do something else. */
  *writeSlots(): Generator<void> {
    const pages = this.#flushPages;
    if (pages === undefined) return;
    try {
      for (let page = 0; page < pages.length; page++) {
        if (pages[page] === 0) continue;
        let end = page + 1;
        while (end < pages.length && end - page < RUN_PAGES && pages[end] === 1) end++;
        this.#writePages(page, end);
        pages.fill(0, page, end);
        yield;
        if (this.#flushFailure !== undefined) throw this.#flushFailure;
      }
    } finally {
      for (let page = 0; page < pages.length; page++) if (pages[page] === 1) this.#dirtyPages![page] = 1;
      this.#flushPages = this.#flushFailure = undefined;
    }
  }

  /** Ends a flush. Everything before was durable when this is called; on return the header is only written. */
  writeHeader(header: Buffer): void {
    this.#file.writeAt(header, 0);
  }

  /** Called when the header is durable. */
  endFlush(header: Buffer): void {
    this.#durableCount = header.readInt32BE(36);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  /** Gives back the memory of a file that is flushed and not written to any more. */
  releaseMemory(): void {
    this.#slots = this.#dirtyPages = this.#pending = undefined;
  }

  close(): void {
    this.#file.close();
  }

  #header(): Buffer {
    const header = Buffer.alloc(HEADER_BYTES);
    writeLong(header, this.beginTimestampMs, 0);
    writeLong(header, this.endTimestampMs, 8);
    writeLong(header, this.beginPhysicalOffset, 16);
    writeLong(header, this.endPhysicalOffset, 24);
    header.writeInt32BE(this.#usedSlots, 32);
    header.writeInt32BE(this.#count, 36);
    return header;
  }

  #readHeader(): boolean {
    const header = Buffer.alloc(HEADER_BYTES);
    if (this.#file.readAt(header, 0) < HEADER_BYTES) return false;
    this.beginTimestampMs = readLong(header, 0);
    this.endTimestampMs = readLong(header, 8);
    this.beginPhysicalOffset = readLong(header, 16);
    this.endPhysicalOffset = readLong(header, 24);
    this.#usedSlots = header.readInt32BE(32);
    this.#count = this.#written = this.#durableCount = Math.max(1, header.readInt32BE(36));
    const values = [
      this.beginTimestampMs,
      this.beginPhysicalOffset,
      this.endTimestampMs,
      this.endPhysicalOffset,
    ];
    return values.every((value) => value >= 0 && Number.isSafeInteger(value)) &&
      this.endPhysicalOffset >= this.beginPhysicalOffset &&
      this.#usedSlots >= 0 && this.#count <= this.#shape.entryCount;
  }

  #slotOf(keyHash: number): number {
    return keyHash % this.#shape.slotCount;
  }

  #slotValue(keyHash: number): number {
    const at = this.#slotOf(keyHash) * SLOT_BYTES;
    if (this.#slots !== undefined) return this.#slots.readInt32BE(at);
    const slot = Buffer.alloc(SLOT_BYTES);
    this.#file.readAt(slot, HEADER_BYTES + at);
    return slot.readInt32BE(0);
  }

  #entryPosition(index: number): number {
    return HEADER_BYTES + this.#shape.slotCount * SLOT_BYTES + index * ENTRY_BYTES;
  }

  /** Reads entries of which `index` is the last. @returns the first of them */
  #readBlockUpTo(index: number, block: Buffer): number {
    if (index >= this.#written) {
      const first = Math.max(this.#written, index - BLOCK_ENTRIES + 1);
      const from = (first - this.#written) * ENTRY_BYTES;
      this.#pending!.copy(block, 0, from, from + (index - first + 1) * ENTRY_BYTES);
      return first;
    }
    const first = Math.max(1, index - BLOCK_ENTRIES + 1);
    const wanted = block.subarray(0, (index - first + 1) * ENTRY_BYTES);
    const bytes = this.#file.readAt(wanted, this.#entryPosition(first));
    wanted.fill(0, bytes);
    return first;
  }

  #pendingBytes(): number {
    return (this.#count - this.#written) * ENTRY_BYTES;
  }

  /** The entries in memory, with room for one more. */
  #room(): Buffer {
    const pending = this.#pending ??= Buffer.allocUnsafeSlow(PENDING_BYTES);
    if (this.#pendingBytes() < pending.length) return pending;
    try {
      this.#writePending();
      return pending;
    } catch (error) {
      if (pending.length >= MAX_PENDING_BYTES) throw error;
      this.#pending = Buffer.allocUnsafeSlow(pending.length * 2);
      pending.copy(this.#pending);
      return this.#pending;
    }
  }

  #writePending(): void {
    const bytes = this.#pendingBytes();
    if (bytes === 0) return;
    this.#file.writeAt(this.#pending!.subarray(0, bytes), this.#entryPosition(this.#written));
    this.#written = this.#count;
  }

  #writePages(from: number, to: number): void {
    const slots = this.#slots!;
    this.#file.writeAt(
      slots.subarray(from * PAGE_BYTES, Math.min(to * PAGE_BYTES, slots.length)),
      HEADER_BYTES + from * PAGE_BYTES,
    );
  }

  /** A page that a flush has not come to yet is written as the flush found it, before it changes. */
  #writeBeforeChange(page: number): void {
    try {
      this.#writePages(page, page + 1);
      this.#flushPages![page] = 0;
    } catch (error) {
      this.#flushFailure = error;
    }
  }

  /** Slots for a file that is going to be written to. A young file's are made of its few entries. */
  #loadSlots(): Buffer {
    if (this.#count * ENTRY_BYTES <= this.#shape.slotCount * SLOT_BYTES) return this.#makeSlots();
    const slots = this.#newSlots();
    this.#file.readAt(slots, HEADER_BYTES);
    return slots;
  }

  #makeSlots(): Buffer {
    const slots = this.#newSlots();
    this.#usedSlots = 0;
    const block = Buffer.allocUnsafe(Math.min(SCAN_ENTRIES, this.#count) * ENTRY_BYTES);
    for (let from = 1; from < this.#count; from += SCAN_ENTRIES) {
      const wanted = Math.min(SCAN_ENTRIES, this.#count - from) * ENTRY_BYTES;
      const bytes = this.#file.readAt(block.subarray(0, wanted), this.#entryPosition(from));
      for (let at = 0; at + ENTRY_BYTES <= bytes; at += ENTRY_BYTES) {
        const keyHash = block.readInt32BE(at);
        if (keyHash < 0) continue;
        const slotAt = this.#slotOf(keyHash) * SLOT_BYTES;
        if (slots.readInt32BE(slotAt) === 0) this.#usedSlots++;
        slots.writeInt32BE(from + at / ENTRY_BYTES, slotAt);
      }
    }
    return slots;
  }

  /** Zeros, of which the system gives us memory only as they are changed. */
  #newSlots(): Buffer {
    this.#slots = Buffer.alloc(this.#shape.slotCount * SLOT_BYTES);
    this.#dirtyPages = new Uint8Array(Math.ceil(this.#slots.length / PAGE_BYTES));
    return this.#slots;
  }
}
