// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../base/clock.ts";
import { asBuffer, frameRecord } from "../protocol/record.ts";
import type { CommitLog } from "./commit_log.ts";
import type { ConsumeQueue } from "./consume_queue.ts";
import type { LogBlocks } from "./log_blocks.ts";
import type { DamageReport } from "./damage_report.ts";
import { nothing, type Picked, Reading } from "./reading.ts";
import type { GetResult, PropertyFilter } from "./types.ts";

export interface FilteredReadingOptions {
  log: CommitLog;
  blocks: LogBlocks;
  damage: DamageReport;
  queue: ConsumeQueue;
  /** In the order of the queue; at least one. */
  candidates: readonly Picked[];
  /** Where the next read begins when all candidates were looked at. */
  nextBeginOffset: number;
  filter: PropertyFilter;
  /** Whether so many messages are enough, before one more is taken. */
  isFull: (count: number, bytes: number, size: number, physicalOffset: number) => boolean;
  clock: Pick<Clock, "monotonicMs">;
}

/** Read at once, then looked at. */
const CHUNK_COUNT = 64;
const CHUNK_BYTES = 256 << 10;
/** A read that has taken so long ends with what it has; consumers ask again from there. */
const MAX_MS = 10;

/**
 * Reads messages whose properties a filter wants to see, and keeps those that it takes. Most may be read in vain, so
 * that a read is limited by time as well.
 */
export class FilteredReading {
  readonly #options: FilteredReadingOptions;
  readonly #records: Uint8Array[] = [];
  #nextBeginOffset: number;
  #count = 0;
  #bytes = 0;
  /** Candidates looked at. */
  #done = 0;
  #sawRecord = false;

  constructor(options: FilteredReadingOptions) {
    this.#options = options;
    this.#nextBeginOffset = options.nextBeginOffset;
  }

  /** @throws what the disk says, where it can't read the first message */
  run(): GetResult {
    const startMs = this.#options.clock.monotonicMs();
    for (let goesOn = true; goesOn;) {
      const chunk = this.#nextChunk();
      try {
        goesOn = this.#keep(chunk, this.#reading(chunk).run(), startMs);
      } catch (error) {
        goesOn = this.#stoppedBy(error, chunk);
      }
    }
    return this.#result();
  }

  /** The same, without blocking. */
  async runAsync(): Promise<GetResult> {
    const startMs = this.#options.clock.monotonicMs();
    for (let goesOn = true; goesOn;) {
      const chunk = this.#nextChunk();
      try {
        goesOn = this.#keep(chunk, await this.#reading(chunk).runAsync(), startMs);
      } catch (error) {
        goesOn = this.#stoppedBy(error, chunk);
      }
    }
    return this.#result();
  }

  #nextChunk(): readonly Picked[] {
    const { candidates } = this.#options;
    let end = this.#done;
    for (let bytes = 0; end < candidates.length && end - this.#done < CHUNK_COUNT; end++) {
      bytes += candidates[end].size;
      if (bytes > CHUNK_BYTES && end > this.#done) break;
    }
    return candidates.slice(this.#done, end);
  }

  #reading(chunk: readonly Picked[]): Reading {
    const { log, blocks, damage, queue } = this.#options;
    return new Reading(log, blocks, damage, queue, chunk, this.#offsetBehind(chunk));
  }

  #offsetBehind(chunk: readonly Picked[]): number {
    const next = this.#done + chunk.length;
    const { candidates, nextBeginOffset } = this.#options;
    return next < candidates.length ? candidates[next].queueOffset : nextBeginOffset;
  }

  /** @returns whether there is more to look at, and time for it */
  #keep(chunk: readonly Picked[], read: GetResult, startMs: number): boolean {
    const { filter, isFull, clock, candidates } = this.#options;
    let index = 0;
    for (const bytes of read.records) {
      const records = asBuffer(bytes);
      for (let at = 0; at < records.length;) {
        const frame = frameRecord(records, at, false);
        if (typeof frame === "string") break;
        this.#sawRecord = true;
        const { physicalOffset, propertiesAt, propertiesBytes, totalBytes } = frame;
        while (index < chunk.length && chunk[index].physicalOffset !== physicalOffset) index++;
        if (filter.matchesBytes(records, propertiesAt, propertiesAt + propertiesBytes)) {
          if (isFull(this.#count, this.#bytes, totalBytes, physicalOffset)) {
            this.#nextBeginOffset = chunk[index].queueOffset;
            return false;
          }
          this.#records.push(records.subarray(at, at + totalBytes));
          this.#count++;
          this.#bytes += totalBytes;
        }
        at += totalBytes;
      }
    }
    const isCut = read.nextBeginOffset !== this.#offsetBehind(chunk);
    this.#done += chunk.length;
    this.#nextBeginOffset = read.nextBeginOffset;
    return !isCut && this.#done < candidates.length && clock.monotonicMs() - startMs < MAX_MS;
  }

  /** What was found before is an answer, and the next read begins here. */
  #stoppedBy(error: unknown, chunk: readonly Picked[]): false {
    if (this.#done === 0) throw error;
    this.#nextBeginOffset = chunk[0].queueOffset;
    return false;
  }

  #result(): GetResult {
    const { queue } = this.#options;
    if (this.#count === 0) {
      return nothing(
        this.#sawRecord ? "NO_MATCHED_MESSAGE" : "MESSAGE_WAS_REMOVING",
        this.#nextBeginOffset,
        queue,
      );
    }
    return {
      status: "FOUND",
      nextBeginOffset: this.#nextBeginOffset,
      minOffset: queue.minOffset,
      maxOffset: queue.maxOffset,
      records: this.#records,
      messageCount: this.#count,
      byteCount: this.#bytes,
    };
  }
}
