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
 * Entry 0 is never used, so indexCount begins at 1. The file that is written to has its slots in memory and its
 * newest entries too; the header on disk counts only what is durable, and slots can be made again from entries.
 */
import { Buffer } from "node:buffer";
import { readLong, writeLong } from "../protocol/record.ts";
import type { Files, StoreFile } from "./files.ts";

const HEADER_BYTES = 40;
const SLOT_BYTES = 4;
const ENTRY_BYTES = 20;
const PAGE_BYTES = 4096;
const PENDING_BYTES = ENTRY_BYTES * 3276;
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
  #slots: Buffer | undefined;
  #dirtyPages: Uint8Array | undefined;
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
    if (index.#readHeader()) return index;
    index.#file.close();
    return undefined;
  }

  get isFull(): boolean {
    return this.#count >= this.#shape.entryCount;
  }

  get isEmpty(): boolean {
    return this.#count <= 1;
  }

  /** Makes the slots again from the entries, as after a crash their pages on disk are of different times. */
  rebuildSlots(): void {
    const slots = this.#newSlots();
    this.#usedSlots = 0;
    const block = Buffer.allocUnsafe(SCAN_ENTRIES * ENTRY_BYTES);
    for (let from = 1; from < this.#count; from += SCAN_ENTRIES) {
      const entries = Math.min(SCAN_ENTRIES, this.#count - from);
      this.#file.readAt(block.subarray(0, entries * ENTRY_BYTES), this.#entryPosition(from));
      for (let entry = 0; entry < entries; entry++) {
        const at = this.#slotOf(block.readInt32BE(entry * ENTRY_BYTES)) * SLOT_BYTES;
        if (slots.readInt32BE(at) === 0) this.#usedSlots++;
        slots.writeInt32BE(from + entry, at);
      }
    }
    this.#dirtyPages!.fill(1);
  }

  /** Adds an entry; the file must not be full. @param keyHash not negative */
  put(keyHash: number, physicalOffset: number, storeTimestampMs: number): void {
    const slots = this.#slots ?? this.#loadSlots();
    const slotAt = this.#slotOf(keyHash) * SLOT_BYTES;
    const previous = slots.readInt32BE(slotAt);
    if (this.#pendingBytes() === PENDING_BYTES) this.#writePending();
    const pending = this.#pending ??= Buffer.allocUnsafe(PENDING_BYTES);
    const at = this.#pendingBytes();
    const seconds = this.beginTimestampMs === 0
      ? 0
      : Math.floor((storeTimestampMs - this.beginTimestampMs) / 1000);
    pending.writeInt32BE(keyHash, at);
    writeLong(pending, physicalOffset, at + 4);
    pending.writeInt32BE(Math.min(Math.max(seconds, 0), 0x7fffffff), at + 12);
    pending.writeInt32BE(previous, at + 16);
    if (previous === 0) this.#usedSlots++;
    slots.writeInt32BE(this.#count, slotAt);
    this.#dirtyPages![(HEADER_BYTES + slotAt) >>> 12] = 1;
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
    const entry = Buffer.allocUnsafe(ENTRY_BYTES);
    let index = this.#slotValue(keyHash);
    while (index > 0 && index < this.#count && found.length < maxCount) {
      this.#readEntry(index, entry);
      const timestampMs = this.beginTimestampMs + entry.readInt32BE(12) * 1000;
      if (timestampMs < beginMs - 1000) break;
      if (entry.readInt32BE(0) === keyHash && timestampMs <= endMs) found.push(readLong(entry, 4));
      const previous = entry.readInt32BE(16);
      if (previous >= index) break;
      index = previous;
    }
  }

  /** Hands the newest entries to the kernel. */
  writeEntries(): void {
    this.#writePending();
  }

  /** Hands changed slots to the kernel, in steps between which the caller may do something else. */
  *writeSlots(): Generator<void> {
    const pages = this.#dirtyPages;
    if (pages === undefined || this.#slots === undefined) return;
    for (let page = 0; page < pages.length; page++) {
      if (pages[page] === 0) continue;
      let end = page;
      while (end < pages.length && end - page < 64 && pages[end] === 1) pages[end++] = 0;
      const from = Math.max(page * PAGE_BYTES, HEADER_BYTES) - HEADER_BYTES;
      const to = Math.min(end * PAGE_BYTES - HEADER_BYTES, this.#slots.length);
      this.#file.writeAt(this.#slots.subarray(from, to), HEADER_BYTES + from);
      page = end - 1;
      yield;
    }
  }

  /** The header as of now, to be written when what it counts is durable. */
  header(): Buffer {
    const header = Buffer.alloc(HEADER_BYTES);
    writeLong(header, this.beginTimestampMs, 0);
    writeLong(header, this.endTimestampMs, 8);
    writeLong(header, this.beginPhysicalOffset, 16);
    writeLong(header, this.endPhysicalOffset, 24);
    header.writeInt32BE(this.#usedSlots, 32);
    header.writeInt32BE(this.#count, 36);
    return header;
  }

  writeHeader(header: Buffer): void {
    this.#file.writeAt(header, 0);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  /** Gives back the memory of a file that is not written to any more. */
  releaseMemory(): void {
    this.#slots = this.#dirtyPages = this.#pending = undefined;
  }

  close(): void {
    this.#file.close();
  }

  #readHeader(): boolean {
    const header = Buffer.alloc(HEADER_BYTES);
    if (this.#file.readAt(header, 0) < HEADER_BYTES) return false;
    this.beginTimestampMs = readLong(header, 0);
    this.endTimestampMs = readLong(header, 8);
    this.beginPhysicalOffset = readLong(header, 16);
    this.endPhysicalOffset = readLong(header, 24);
    this.#usedSlots = header.readInt32BE(32);
    this.#count = this.#written = Math.max(1, header.readInt32BE(36));
    const places = [this.beginTimestampMs, this.beginPhysicalOffset];
    return places.every((value) => value >= 0 && Number.isSafeInteger(value)) &&
      this.endTimestampMs >= this.beginTimestampMs && this.endPhysicalOffset >= this.beginPhysicalOffset &&
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

  #readEntry(index: number, target: Buffer): void {
    if (index < this.#written) this.#file.readAt(target, this.#entryPosition(index));
    else this.#pending!.copy(target, 0, (index - this.#written) * ENTRY_BYTES);
  }

  #pendingBytes(): number {
    return (this.#count - this.#written) * ENTRY_BYTES;
  }

  #writePending(): void {
    const bytes = this.#pendingBytes();
    if (bytes === 0) return;
    this.#file.writeAt(this.#pending!.subarray(0, bytes), this.#entryPosition(this.#written));
    this.#written = this.#count;
  }

  #newSlots(): Buffer {
    this.#slots = Buffer.alloc(this.#shape.slotCount * SLOT_BYTES);
    this.#dirtyPages = new Uint8Array(Math.ceil((HEADER_BYTES + this.#slots.length) / PAGE_BYTES));
    return this.#slots;
  }

  #loadSlots(): Buffer {
    const slots = this.#newSlots();
    if (!this.isEmpty) this.#file.readAt(slots, HEADER_BYTES);
    return slots;
  }
}
