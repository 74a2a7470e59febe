// SPDX-License-Identifier: Apache-2.0
/**
 * Reads messages of a queue. [RMQ DefaultMessageStore.getMessage]
 *
 * Bytes that come from a file are checked. A message that is damaged is passed over, and so is a damaged entry:
 * consumers go on behind it, the operator is told once. Where the disk can't be read at this moment, the read
 * ends before the message, or fails if it is the first: consumers ask again, and miss nothing.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../base/clock.ts";
import { FIXED_BYTES, MAGIC_V1, MAGIC_V2, readLong } from "../protocol/record.ts";
import { SysFlag } from "../protocol/sys_flag.ts";
import type { CommitLog } from "./commit_log.ts";
import { type ConsumeQueue, ENTRY_BYTES, isFiller, readEntry } from "./consume_queue.ts";
import { extensionOffset } from "./consume_queue_extension.ts";
import { DamageReport } from "./damage_report.ts";
import { LogBlocks } from "./log_blocks.ts";
import { FilteredReading } from "./filtered_reading.ts";
import { nothing, type Picked, Reading } from "./reading.ts";
import { believedLength, HEAD_BYTES } from "./record_head.ts";
import type { GetLimits, GetResult, MessageFilter } from "./types.ts";

/** Limits of one read beside the reader's own. [RMQ MessageStoreConfig.maxTransfer…] */
export interface ReadOptions {
  pullMaxBytesInMemory: number;
  pullMaxCountInMemory: number;
  pullMaxBytesOnDisk: number;
  pullMaxCountOnDisk: number;
  /** So much of the log's end is taken to be in memory. */
  inMemoryBytes: number;
  maxMessageBytes: number;
  clock: Pick<Clock, "monotonicMs">;
}

/** Entries looked at in one read, when a filter passes few of them. [RMQ maxFilterMessageSize / 20] */
const SCAN_ENTRIES = 800;
/** What lies further from the end than this may be on the device only: it is read without blocking. */
const WARM_BYTES = 256 << 20;
/** Topic and properties at most, and what else a record has beside its body. */
const MAX_OVERHEAD_BYTES = 128 << 10;
/** Entries up to this size are believed until the record has been read. */
const SURELY_POSSIBLE_BYTES = 1 << 20;
/** Under another configuration messages may have been longer than now; no more is believed than this. */
const MAX_RECORD_BYTES = 64 << 20;

export class QueueReader {
  #log: CommitLog;
  #options: ReadOptions;
  #damage = new DamageReport();
  #blocks: LogBlocks;
  #maxRecordBytes: number;

  constructor(log: CommitLog, options: ReadOptions) {
    this.#log = log;
    this.#blocks = new LogBlocks(log);
    this.#options = options;
    const longest = Math.max(MAX_RECORD_BYTES, options.maxMessageBytes + MAX_OVERHEAD_BYTES);
    this.#maxRecordBytes = Math.min(log.fileBytes, longest);
  }

  /**
   * Messages from `offset` on; at once where their bytes are near the log's end, else by promise.
   * @throws what the disk says
   */
  get(queue: ConsumeQueue, offset: number, limits: GetLimits): GetResult | Promise<GetResult> {
    const { minOffset, maxOffset } = queue;
    if (maxOffset === 0) return nothing("NO_MESSAGE_IN_QUEUE", 0, queue);
    if (offset < minOffset) return nothing("OFFSET_TOO_SMALL", minOffset, queue);
    if (offset === maxOffset) return nothing("OFFSET_OVERFLOW_ONE", offset, queue);
    if (offset > maxOffset) return nothing("OFFSET_OVERFLOW_BADLY", maxOffset, queue);
    const isFiltered = limits.filter !== undefined;
    const wanted = isFiltered ? SCAN_ENTRIES : Math.max(1, Math.min(limits.maxCount, SCAN_ENTRIES));
    const entries = queue.read(offset, wanted);
    if (entries.length === 0) {
      return nothing("OFFSET_FOUND_NULL", Math.min(queue.nextFileOffset(offset), maxOffset), queue);
    }
    return this.#collect(queue, offset, entries, limits);
  }

  /** Store time of the message at a physical offset; -1 where there is none. */
  storeTimestampAt(physicalOffset: number): number {
    const head = Buffer.allocUnsafe(68);
    if (!this.#log.copy(head, 0, physicalOffset, head.length)) return -1;
    const magic = head.readInt32BE(4);
    if ((magic !== MAGIC_V1 && magic !== MAGIC_V2) || readLong(head, 28) !== physicalOffset) return -1;
    const isV6 = (head.readInt32BE(36) & SysFlag.BORN_HOST_V6) !== 0;
    if (!isV6) return readLong(head, 56);
    const tail = Buffer.allocUnsafe(8);
    return this.#log.copy(tail, 0, physicalOffset + 68, 8) ? readLong(tail, 0) : -1;
  }

  /** The record that begins at a physical offset, by its lengths only; undefined where there is none. */
  record(physicalOffset: number): Buffer | undefined {
    const bytes = this.#lengthAt(physicalOffset);
    if (bytes === undefined || bytes > this.#maxRecordBytes) return undefined;
    const record = Buffer.allocUnsafe(bytes);
    return this.#log.copy(record, 0, physicalOffset, bytes) ? record : undefined;
  }

  /** Whether what lies at a physical offset may be on the device only. */
  isCold(physicalOffset: number): boolean {
    return this.#log.writtenOffset - physicalOffset > WARM_BYTES;
  }

  /** The bytes of a record whose length is known, read without blocking; undefined where the log does not have them. */
  async recordAsync(physicalOffset: number, bytes: number): Promise<Buffer | undefined> {
    if (bytes < FIXED_BYTES || bytes > this.#maxRecordBytes) return undefined;
    const record = Buffer.allocUnsafe(bytes);
    return await this.#log.copyAsync(record, 0, physicalOffset, bytes) ? record : undefined;
  }

  #lengthAt(physicalOffset: number): number | undefined {
    let head = Buffer.allocUnsafe(FIXED_BYTES);
    if (!this.#log.copy(head, 0, physicalOffset, head.length)) return undefined;
    const hasV6 = (head.readInt32BE(36) & (SysFlag.BORN_HOST_V6 | SysFlag.STORE_HOST_V6)) !== 0;
    if (hasV6) {
      head = Buffer.allocUnsafe(HEAD_BYTES);
      if (!this.#log.copy(head, 0, physicalOffset, head.length)) return undefined;
    }
    return believedLength(head, physicalOffset);
  }

  #collect(
    queue: ConsumeQueue,
    offset: number,
    entries: Buffer,
    limits: GetLimits,
  ): GetResult | Promise<GetResult> {
    const { filter } = limits;
    const looksInside = filter?.properties !== undefined;
    const picked: Picked[] = [];
    const logEnd = this.#log.writtenOffset;
    let byteCount = 0;
    let nextBeginOffset = offset;
    let sawRemoved = false;
    let lowest = logEnd;
    for (let at = 0; at < entries.length; at += ENTRY_BYTES, nextBeginOffset++) {
      const entry = readEntry(entries, at);
      if (isFiller(entry)) continue;
      const { physicalOffset, size, tagsCode } = entry;
      if (!this.#isPossible(physicalOffset, size, logEnd)) {
        this.#damage.ofEntry(queue, nextBeginOffset);
        continue;
      }
      if (filter !== undefined && !matches(filter, queue, tagsCode)) continue;
      if (physicalOffset < this.#log.minOffset) {
        sawRemoved = true;
        continue;
      }
      if (!looksInside && this.#isFull(picked.length, byteCount, size, physicalOffset, limits)) break;
      picked.push({ queueOffset: nextBeginOffset, physicalOffset, size });
      byteCount += size;
      lowest = Math.min(lowest, physicalOffset);
    }
    if (picked.length === 0) {
      return nothing(sawRemoved ? "MESSAGE_WAS_REMOVING" : "NO_MATCHED_MESSAGE", nextBeginOffset, queue);
    }
    const reading = looksInside
      ? new FilteredReading({
        ...{
          log: this.#log,
          blocks: this.#blocks,
          damage: this.#damage,
          queue,
          candidates: picked,
          nextBeginOffset,
        },
        filter: filter!.properties!,
        isFull: (count, bytes, size, at) => this.#isFull(count, bytes, size, at, limits),
        clock: this.#options.clock,
      })
      : new Reading(this.#log, this.#blocks, this.#damage, queue, picked, nextBeginOffset);
    return this.isCold(lowest) ? reading.runAsync() : reading.run();
  }

  /** Whether an entry can be true. A long record has to say so itself, before room is made for it. */
  #isPossible(physicalOffset: number, size: number, logEnd: number): boolean {
    if (size < FIXED_BYTES || physicalOffset < 0 || physicalOffset + size > logEnd) return false;
    return size <= SURELY_POSSIBLE_BYTES || physicalOffset < this.#log.minOffset ||
      (size <= this.#maxRecordBytes && this.#lengthAt(physicalOffset) === size);
  }

  /** The first message always passes, whatever its size. */
  #isFull(count: number, bytes: number, size: number, physicalOffset: number, limits: GetLimits): boolean {
    if (count === 0) return false;
    if (count >= limits.maxCount) return true;
    const options = this.#options;
    const isInMemory = this.#log.writtenOffset - physicalOffset <= options.inMemoryBytes;
    const maxBytes = isInMemory ? options.pullMaxBytesInMemory : options.pullMaxBytesOnDisk;
    const maxCount = isInMemory ? options.pullMaxCountInMemory : options.pullMaxCountOnDisk;
    return bytes + size > maxBytes || count >= maxCount;
  }
}

/** Of an entry whose extension can't be read nothing speaks against its message. */
function matches(filter: MessageFilter, queue: ConsumeQueue, tagsCode: number): boolean {
  if (extensionOffset(tagsCode) === undefined) return filter.matchesEntry(tagsCode);
  const extension = queue.extensionAt(tagsCode);
  return extension === undefined || filter.matchesEntry(extension.tagsCode, extension);
}
