// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { frameRecord } from "../protocol/record.ts";
import type { CommitLog } from "./commit_log.ts";
import type { ConsumeQueue } from "./consume_queue.ts";
import { BLOCK_BYTES, type LogBlocks } from "./log_blocks.ts";
import type { DamageReport } from "./damage_report.ts";
import type { GetResult, GetStatus } from "./types.ts";

/** It costs as much to read a block as to read so many messages of it. */
const MIN_PER_BLOCK = 4;

/** A message that is going to be read. */
export interface Picked {
  queueOffset: number;
  physicalOffset: number;
  size: number;
}

/** Brings picked messages of a queue together in one buffer: from memory, or from files with as few reads as may be. */
export class Reading {
  #log: CommitLog;
  #blocks: LogBlocks;
  /** Messages lie so close together that whole blocks are read. */
  #isDense: boolean;
  #damage: DamageReport;
  #queue: ConsumeQueue;
  #picked: readonly Picked[];
  #nextBeginOffset: number;
  #target: Buffer;
  #filled = 0;
  #count = 0;

  constructor(
    log: CommitLog,
    blocks: LogBlocks,
    damage: DamageReport,
    queue: ConsumeQueue,
    picked: readonly Picked[],
    nextBeginOffset: number,
  ) {
    this.#log = log;
    this.#blocks = blocks;
    this.#isDense = isDense(picked);
    this.#damage = damage;
    this.#queue = queue;
    this.#picked = picked;
    this.#nextBeginOffset = nextBeginOffset;
    this.#target = Buffer.allocUnsafe(picked.reduce((bytes, { size }) => bytes + size, 0));
  }

  /** @throws what the disk says, where it can't read the first message */
  run(): GetResult {
    for (let index = 0; index < this.#picked.length;) {
      const { physicalOffset } = this.#picked[index];
      const isInTail = this.#log.isInTail(physicalOffset);
      const run = isInTail ? one(this.#picked[index]) : this.#runOnDisk(index);
      let isThere: boolean;
      try {
        const source = this.#isDense && !isInTail ? this.#blocks : this.#log;
        isThere = source.copy(this.#target, this.#filled, physicalOffset, run.bytes);
      } catch (error) {
        return this.#stoppedAt(index, error);
      }
      this.#take(index, run, isThere, isInTail);
      index += run.count;
    }
    return this.#result();
  }

  /** The same, without blocking. */
  async runAsync(): Promise<GetResult> {
    for (let index = 0; index < this.#picked.length;) {
      const { physicalOffset } = this.#picked[index];
      const isInTail = this.#log.isInTail(physicalOffset);
      const run = isInTail ? one(this.#picked[index]) : this.#runOnDisk(index);
      let isThere: boolean;
      try {
        const source = this.#isDense && !isInTail ? this.#blocks : this.#log;
        isThere = isInTail
          ? this.#log.copy(this.#target, this.#filled, physicalOffset, run.bytes)
          : await source.copyAsync(this.#target, this.#filled, physicalOffset, run.bytes);
      } catch (error) {
        return this.#stoppedAt(index, error);
      }
      this.#take(index, run, isThere, isInTail);
      index += run.count;
    }
    return this.#result();
  }

  /** Records that follow each other in one file, and so take one read. */
  #runOnDisk(from: number): { bytes: number; count: number } {
    const picked = this.#picked;
    const { physicalOffset } = picked[from];
    const fileEnd = this.#log.nextFileOffset(physicalOffset);
    let bytes = picked[from].size;
    let count = 1;
    for (; from + count < picked.length; count++) {
      const next = picked[from + count];
      const follows = next.physicalOffset === physicalOffset + bytes && next.physicalOffset < fileEnd;
      if (!follows || this.#log.isInTail(next.physicalOffset)) break;
      bytes += next.size;
    }
    return { bytes, count };
  }

  /** Keeps the records of a run that are whole. What is in memory is as we made it. */
  #take(index: number, run: { bytes: number; count: number }, isThere: boolean, isInTail: boolean): void {
    let end = this.#filled + run.bytes;
    for (let count = 0; count < run.count; count++) {
      const picked = this.#picked[index + count];
      const { physicalOffset, size } = picked;
      const isWhole = isThere &&
        (isInTail
          ? this.#target.readInt32BE(this.#filled) === size
          : isRecord(this.#target, this.#filled, picked));
      if (isWhole) {
        this.#filled += size;
        this.#count++;
        continue;
      }
      this.#target.copyWithin(this.#filled, this.#filled + size, end);
      end -= size;
      const hasExpired = physicalOffset < this.#log.minOffset;
      if (!hasExpired) this.#damage.ofRecord(this.#queue, picked, this.#log.fileOf(physicalOffset));
    }
  }

  /** The disk did not read: what was found before is an answer, and the next read begins here. */
  #stoppedAt(index: number, error: unknown): GetResult {
    if (this.#count === 0) throw error;
    this.#nextBeginOffset = this.#picked[index].queueOffset;
    return this.#result();
  }

  #result(): GetResult {
    const queue = this.#queue;
    if (this.#count === 0) return nothing("MESSAGE_WAS_REMOVING", this.#nextBeginOffset, queue);
    return {
      status: "FOUND",
      nextBeginOffset: this.#nextBeginOffset,
      minOffset: queue.minOffset,
      maxOffset: queue.maxOffset,
      records: [this.#target.subarray(0, this.#filled)],
      messageCount: this.#count,
      byteCount: this.#filled,
    };
  }
}

export function nothing(status: GetStatus, nextBeginOffset: number, queue: ConsumeQueue): GetResult {
  const { minOffset, maxOffset } = queue;
  return { status, nextBeginOffset, minOffset, maxOffset, records: [], messageCount: 0, byteCount: 0 };
}

function one({ size }: Picked): { bytes: number; count: number } {
  return { bytes: size, count: 1 };
}

function isDense(picked: readonly Picked[]): boolean {
  const span = picked[picked.length - 1].physicalOffset - picked[0].physicalOffset;
  return span >= 0 && picked.length >= MIN_PER_BLOCK * Math.ceil(span / BLOCK_BYTES);
}

/** Bytes behind the record may be anything. */
function isRecord(bytes: Buffer, at: number, { physicalOffset, size }: Picked): boolean {
  if (bytes.readInt32BE(at) !== size) return false;
  const frame = frameRecord(bytes, at, true);
  return typeof frame !== "string" && frame.totalBytes === size && frame.physicalOffset === physicalOffset;
}
