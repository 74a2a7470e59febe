// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { readLong } from "../protocol/record.ts";
import { SysFlag } from "../protocol/sys_flag.ts";
import type { CommitLog } from "./commit_log.ts";
import { type ConsumeQueue, ENTRY_BYTES, isFiller, readEntry } from "./consume_queue.ts";
import type { GetLimits, GetResult, GetStatus } from "./types.ts";

/** Limits of one read beside the reader's own. [RMQ MessageStoreConfig.maxTransfer…] */
export interface ReadOptions {
  pullMaxBytesInMemory: number;
  pullMaxCountInMemory: number;
  pullMaxBytesOnDisk: number;
  pullMaxCountOnDisk: number;
  /** So much of the log's end is taken to be in memory. */
  inMemoryBytes: number;
}

/** Entries looked at in one read at least, when a filter passes few of them. [RMQ maxFilterMessageSize / 20] */
const SCAN_ENTRIES = 800;
/** What lies further from the end than this may be on the device only: it is read without blocking. */
const WARM_BYTES = 256 << 20;

/** Reads messages of a queue. [RMQ DefaultMessageStore.getMessage] */
export class QueueReader {
  #log: CommitLog;
  #options: ReadOptions;

  constructor(log: CommitLog, options: ReadOptions) {
    this.#log = log;
    this.#options = options;
  }

  /** Messages from `offset` on; at once where their bytes are near the log's end, else by promise. */
  get(queue: ConsumeQueue, offset: number, limits: GetLimits): GetResult | Promise<GetResult> {
    const { minOffset, maxOffset } = queue;
    if (maxOffset === 0) return nothing("NO_MESSAGE_IN_QUEUE", 0, queue);
    if (offset < minOffset) return nothing("OFFSET_TOO_SMALL", minOffset, queue);
    if (offset === maxOffset) return nothing("OFFSET_OVERFLOW_ONE", offset, queue);
    if (offset > maxOffset) return nothing("OFFSET_OVERFLOW_BADLY", maxOffset, queue);
    const wanted = limits.matches === undefined ? limits.maxCount : Math.max(SCAN_ENTRIES, limits.maxCount);
    const entries = queue.read(offset, wanted);
    if (entries.length === 0) return nothing("OFFSET_FOUND_NULL", queue.nextFileOffset(offset), queue);
    return this.#collect(queue, offset, entries, limits);
  }

  /** Store time of the message at a physical offset; -1 where it can't be read. */
  storeTimestampAt(physicalOffset: number): number {
    const head = Buffer.allocUnsafe(68);
    if (!this.#log.readInto(head, 0, physicalOffset, head.length)) return -1;
    const isV6 = (head.readInt32BE(36) & SysFlag.BORN_HOST_V6) !== 0;
    if (!isV6) return readLong(head, 56);
    const tail = Buffer.allocUnsafe(8);
    return this.#log.readInto(tail, 0, physicalOffset + 68, 8) ? readLong(tail, 0) : -1;
  }

  /** One whole record, by its place; undefined where there is none. */
  record(physicalOffset: number): Buffer | undefined {
    const head = Buffer.allocUnsafe(8);
    if (!this.#log.readInto(head, 0, physicalOffset, 8)) return undefined;
    const bytes = head.readInt32BE(0);
    if (bytes < 8 || bytes > this.#log.maxRecordBytes) return undefined;
    const record = Buffer.allocUnsafe(bytes);
    return this.#log.readInto(record, 0, physicalOffset, bytes) ? record : undefined;
  }

  #collect(
    queue: ConsumeQueue,
    offset: number,
    entries: Buffer,
    limits: GetLimits,
  ): GetResult | Promise<GetResult> {
    const picked: { physicalOffset: number; size: number }[] = [];
    const logEnd = this.#log.writtenOffset;
    let byteCount = 0;
    let nextBeginOffset = offset;
    let sawRemoved = false;
    let lowest = logEnd;
    for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
      const entry = readEntry(entries, at);
      const isWanted = !isFiller(entry) && (limits.matches === undefined || limits.matches(entry.tagsCode));
      if (isWanted && entry.physicalOffset < this.#log.minOffset) {
        sawRemoved = true;
      } else if (isWanted) {
        if (this.#isFull(picked.length, byteCount, entry.size, entry.physicalOffset, limits)) break;
        picked.push(entry);
        byteCount += entry.size;
        lowest = Math.min(lowest, entry.physicalOffset);
      }
      nextBeginOffset++;
    }
    if (picked.length === 0) {
      return nothing(sawRemoved ? "MESSAGE_WAS_REMOVING" : "NO_MATCHED_MESSAGE", nextBeginOffset, queue);
    }
    const target = Buffer.allocUnsafe(byteCount);
    if (logEnd - lowest > WARM_BYTES) return this.#readCold(queue, picked, target, nextBeginOffset);
    let filled = 0;
    let count = 0;
    for (const { physicalOffset, size } of picked) {
      if (!this.#log.readInto(target, filled, physicalOffset, size)) continue;
      if (target.readInt32BE(filled) !== size) continue;
      filled += size;
      count++;
    }
    return found(queue, target.subarray(0, filled), count, nextBeginOffset);
  }

  async #readCold(
    queue: ConsumeQueue,
    picked: { physicalOffset: number; size: number }[],
    target: Buffer,
    nextBeginOffset: number,
  ): Promise<GetResult> {
    let filled = 0;
    let count = 0;
    for (let index = 0; index < picked.length;) {
      const run = consecutive(picked, index);
      const isThere = await this.#log.readIntoAsync(target, filled, picked[index].physicalOffset, run.bytes)
        .catch(() => false);
      if (isThere && target.readInt32BE(filled) === picked[index].size) {
        filled += run.bytes;
        count += run.count;
      }
      index += run.count;
    }
    return found(queue, target.subarray(0, filled), count, nextBeginOffset);
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

/** Records that follow each other in the log, and so take one read. */
function consecutive(picked: { physicalOffset: number; size: number }[], from: number) {
  let bytes = picked[from].size;
  let count = 1;
  while (
    from + count < picked.length &&
    picked[from + count].physicalOffset === picked[from].physicalOffset + bytes
  ) {
    bytes += picked[from + count].size;
    count++;
  }
  return { bytes, count };
}

function nothing(status: GetStatus, nextBeginOffset: number, queue: ConsumeQueue): GetResult {
  const { minOffset, maxOffset } = queue;
  return { status, nextBeginOffset, minOffset, maxOffset, records: [], messageCount: 0, byteCount: 0 };
}

function found(
  queue: ConsumeQueue,
  records: Buffer,
  messageCount: number,
  nextBeginOffset: number,
): GetResult {
  if (messageCount === 0) return nothing("MESSAGE_WAS_REMOVING", nextBeginOffset, queue);
  return {
    status: "FOUND",
    nextBeginOffset,
    minOffset: queue.minOffset,
    maxOffset: queue.maxOffset,
    records: [records],
    messageCount,
    byteCount: records.length,
  };
}
