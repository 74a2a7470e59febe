// SPDX-License-Identifier: Apache-2.0
/**
 * The file `timerwheel`: for each moment of the next two weeks (at a precision of one second) where the last unit
 * of its slot lies in the timer log. 1,209,600 slots of 32 bytes; a moment's slot is its number modulo that, and
 * the slot is its own only if it says so. [RMQ TimerWheel, Slot]
 *
 * ```
 * time / precision 8 · firstPosition 8 · lastPosition 8 · count 4 · magic 4 (0)
 * ```
 *
 * Slots that change are kept in memory until they are flushed, the others are read when they are needed.
 */
import { Buffer } from "node:buffer";
import { dirname } from "node:path";
import { readLong, writeLong } from "../../protocol/record.ts";
import type { Files, StoreFile } from "../files.ts";
import { StoreCorruptError } from "../types.ts";

const SLOT_BYTES = 32;
/** Twice the seconds of seven days, as Apache has it at every precision. */
export const WHEEL_SLOTS = 2 * 7 * 86_400;
const BLOCK_SLOTS = 2048;

export interface Slot {
  timeMs: number;
  firstPosition: number;
  lastPosition: number;
  /** Messages that wait, less those that are taken back. */
  count: number;
}

export interface TimerWheelOptions {
  path: string;
  files: Files;
  precisionMs: number;
  slotCount?: number;
}

export class TimerWheel {
  readonly precisionMs: number;
  readonly slotCount: number;
  #path: string;
  #files: Files;
  #file: StoreFile | undefined;
  /** By index, changed since the last flush. */
  #dirty = new Map<number, Slot>();
  /** Being flushed. */
  #flushing = new Map<number, Slot>();
  #bytes = Buffer.allocUnsafeSlow(SLOT_BYTES);
  #block = Buffer.allocUnsafeSlow(SLOT_BYTES * 128);

  private constructor(options: TimerWheelOptions) {
    this.precisionMs = options.precisionMs;
    this.slotCount = options.slotCount ?? WHEEL_SLOTS;
    this.#path = options.path;
    this.#files = options.files;
  }

  /** The file is made by the first flush. @throws StoreCorruptError for a file of another size */
  static open(options: TimerWheelOptions): TimerWheel {
    const wheel = new TimerWheel(options);
    wheel.#open();
    return wheel;
  }

  /** Slots that are in memory. */
  get dirtyCount(): number {
    return this.#dirty.size;
  }

  get isInFile(): boolean {
    return this.#file !== undefined;
  }

  /** The slot of a moment; undefined where nothing was put into it. @throws what the disk says */
  get(timeMs: number): Slot | undefined {
    const slot = this.#at(this.#indexOf(timeMs));
    return slot?.timeMs === timeMs ? slot : undefined;
  }

  /** The moment that has the slot of another one now. */
  occupant(timeMs: number): number | undefined {
    return this.#at(this.#indexOf(timeMs))?.timeMs;
  }

  put(slot: Slot): void {
    this.#dirty.set(this.#indexOf(slot.timeMs), slot);
  }

  /** Empties the slot of a moment. */
  remove(timeMs: number): void {
    if (this.get(timeMs) === undefined) return;
    this.#dirty.set(this.#indexOf(timeMs), { timeMs: 0, firstPosition: 0, lastPosition: 0, count: 0 });
  }

  /** The first moment from `fromMs` on, and before `beforeMs`, that has a slot. */
  next(fromMs: number, beforeMs: number): number | undefined {
    if (beforeMs - fromMs > this.slotCount * this.precisionMs) return this.#earliest(fromMs, beforeMs);
    for (let timeMs = fromMs; timeMs < beforeMs;) {
      const index = this.#indexOf(timeMs);
      const count = Math.min(128, this.slotCount - index, Math.ceil((beforeMs - timeMs) / this.precisionMs));
      const bytes = this.#read(this.#block.subarray(0, count * SLOT_BYTES), index);
      for (let i = 0; i < count; i++, timeMs += this.precisionMs) {
        const changed = this.#changedAt(index + i);
        const at = i * SLOT_BYTES;
        const stored = at + SLOT_BYTES <= bytes ? readLong(this.#block, at) * this.precisionMs : 0;
        if ((changed?.timeMs ?? stored) === timeMs) return timeMs;
      }
    }
    return undefined;
  }

  /** The same, for more moments than there are slots. */
  #earliest(fromMs: number, beforeMs: number): number | undefined {
    let earliestMs = Infinity;
    this.scan(({ timeMs }) => {
      if (timeMs >= fromMs && timeMs < beforeMs && timeMs < earliestMs) earliestMs = timeMs;
    });
    return earliestMs === Infinity ? undefined : earliestMs;
  }

  /** Visits every slot that was ever used and not used again. */
  scan(visit: (slot: Slot) => void): void {
    const block = Buffer.allocUnsafe(BLOCK_SLOTS * SLOT_BYTES);
    const zeros = Buffer.alloc(BLOCK_SLOTS * SLOT_BYTES);
    for (let index = 0; this.#file !== undefined && index < this.slotCount; index += BLOCK_SLOTS) {
      const count = Math.min(BLOCK_SLOTS, this.slotCount - index);
      const bytes = this.#read(block.subarray(0, count * SLOT_BYTES), index);
      // most of a wheel is empty
      if (block.subarray(0, bytes).equals(zeros.subarray(0, bytes))) continue;
      for (let at = 0; at + SLOT_BYTES <= bytes; at += SLOT_BYTES) {
        if (block.readInt32BE(at + 4) === 0 && block.readInt32BE(at) === 0) continue;
        if (this.#changedAt(index + at / SLOT_BYTES) === undefined) visit(this.#decode(block, at));
      }
    }
    for (const [index, slot] of this.#flushing) if (slot.timeMs > 0 && !this.#dirty.has(index)) visit(slot);
    for (const slot of this.#dirty.values()) if (slot.timeMs > 0) visit(slot);
  }

  /** What has changed until now goes to the disk with the next `flush`; what changes from now on with a later one. */
  beginFlush(): void {
    if (this.#flushing.size === 0) this.#flushing = this.#dirty;
    else for (const [index, slot] of this.#dirty) this.#flushing.set(index, slot);
    this.#dirty = new Map();
  }

  /** Writes and syncs what `beginFlush` has set apart; where this throws, a later call does it. */
  async flush(): Promise<void> {
    if (this.#flushing.size === 0) return;
    if (this.#file === undefined) this.#create();
    const file = this.#file!;
    const slots = [...this.#flushing].sort(([a], [b]) => a - b);
    for (let from = 0; from < slots.length;) {
      let to = from + 1;
      while (to < slots.length && to - from < BLOCK_SLOTS && slots[to][0] === slots[to - 1][0] + 1) to++;
      const bytes = Buffer.alloc((to - from) * SLOT_BYTES);
      for (let i = from; i < to; i++) this.#encode(bytes, (i - from) * SLOT_BYTES, slots[i][1]);
      file.writeAt(bytes, slots[from][0] * SLOT_BYTES);
      from = to;
    }
    await file.sync();
    this.#flushing = new Map();
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #open(): void {
    const stat = this.#files.stat(this.#path);
    if (stat === undefined || stat.sizeBytes === 0) return;
    const bytes = this.slotCount * SLOT_BYTES;
    if (stat.sizeBytes !== bytes) {
      throw new StoreCorruptError(this.#path, `it has ${stat.sizeBytes} bytes, not ${bytes}`);
    }
    this.#file = this.#files.open(this.#path);
  }

  #create(): void {
    // a name without content: its file never got its size
    this.#files.remove(this.#path);
    this.#file = this.#files.create(this.#path, this.slotCount * SLOT_BYTES);
    this.#files.syncDirectory(dirname(this.#path));
  }

  #indexOf(timeMs: number): number {
    return Math.floor(timeMs / this.precisionMs) % this.slotCount;
  }

  #changedAt(index: number): Slot | undefined {
    return this.#dirty.get(index) ?? this.#flushing.get(index);
  }

  #at(index: number): Slot | undefined {
    const changed = this.#changedAt(index);
    if (changed !== undefined) return changed;
    if (this.#read(this.#bytes, index) < SLOT_BYTES) return undefined;
    const slot = this.#decode(this.#bytes, 0);
    return slot.timeMs === 0 ? undefined : slot;
  }

  #read(target: Buffer, index: number): number {
    return this.#file?.readAt(target, index * SLOT_BYTES) ?? 0;
  }

  #decode(bytes: Buffer, at: number): Slot {
    return {
      timeMs: readLong(bytes, at) * this.precisionMs,
      firstPosition: readLong(bytes, at + 8),
      lastPosition: readLong(bytes, at + 16),
      count: bytes.readInt32BE(at + 24),
    };
  }

  #encode(bytes: Buffer, at: number, slot: Slot): void {
    writeLong(bytes, slot.timeMs / this.precisionMs, at);
    writeLong(bytes, slot.firstPosition, at + 8);
    writeLong(bytes, slot.lastPosition, at + 16);
    bytes.writeInt32BE(slot.count, at + 24);
  }
}
