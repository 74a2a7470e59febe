// SPDX-License-Identifier: Apache-2.0
/**
 * Makes the log a copy of another one, byte for byte. Bytes come in order but cut anywhere; whole records are
 * checked as after a crash and appended, what is left of an unfinished one is kept until its rest comes. The log
 * itself never holds a part of a record, so whatever ends the process, it ends where a record does.
 */
import { Buffer } from "node:buffer";
import { Property, PropertyText } from "../protocol/properties.ts";
import { BLANK_BYTES, frameRecord, MAGIC_BLANK, type RecordFrame } from "../protocol/record.ts";
import { SysFlag, TRANSACTION_MASK } from "../protocol/sys_flag.ts";
import type { CommitLog } from "./commit_log.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { MAX_QUEUE_OFFSET } from "./enqueue.ts";
import { queueTagsCode } from "./queue_tags.ts";
import type { QueueTable } from "./queue_table.ts";
import { believedLength, HEAD_BYTES } from "./record_head.ts";
import { type FurtherEntry, furtherQueues } from "./light_queues.ts";
import { ReplicaError } from "./types.ts";

/** A record, or the filler of a file's end, is never believed to be longer. */
const MAX_UNFINISHED_BYTES = 64 << 20;
const FIRST_UNFINISHED_BYTES = 64 << 10;
/** Records are copied together up to so many bytes. */
const RUN_BYTES = 256 << 10;

export interface ReplicaAppenderOptions {
  log: CommitLog;
  queues: QueueTable;
  dispatcher: Dispatcher;
  delayLevelsMs: readonly number[];
  /** Whether messages are in the light queues that they name. */
  multiDispatch: boolean;
}

export class ReplicaAppender {
  #options: ReplicaAppenderOptions;
  #log: CommitLog;
  /** The beginning of a record of which the rest has not come. */
  #unfinished = Buffer.alloc(0);
  #unfinishedBytes = 0;
  #storeTimestampMs = 0;
  /** Of the last record: most follow one of the same topic. */
  #topic = "";
  #topicBytes = Buffer.alloc(0);

  constructor(options: ReplicaAppenderOptions) {
    this.#options = options;
    this.#log = options.log;
  }

  /** Where the next byte must come from. */
  get nextOffset(): number {
    return this.#log.appendedOffset + this.#unfinishedBytes;
  }

  /** Of the last record taken; 0 without any. */
  get storeTimestampMs(): number {
    return this.#storeTimestampMs;
  }

  /**
   * Takes bytes of one file. They may be used again afterwards.
   * @throws ReplicaError; what creating a file throws. Whole records before the fault are appended
   */
  append(physicalOffset: number, bytes: Buffer): void {
    if (this.#log.isEmpty && this.#unfinishedBytes === 0) this.#begin(physicalOffset);
    if (physicalOffset !== this.nextOffset) {
      throw new ReplicaError(
        physicalOffset,
        `bytes from offset ${physicalOffset} can't follow ${this.nextOffset}`,
      );
    }
    let at = 0;
    while (at < bytes.length && this.#unfinishedBytes > 0) at += this.#goOn(bytes, at);
    if (at < bytes.length) this.#take(bytes, at);
  }

  /** Forgets the beginning of a record of which the rest has not come. */
  dropUnfinished(): void {
    this.#unfinishedBytes = 0;
    if (this.#unfinished.length > FIRST_UNFINISHED_BYTES) this.#unfinished = Buffer.alloc(0);
  }

  #begin(offset: number): void {
    if (offset === this.#log.appendedOffset && this.#log.hasFiles) return;
    if (offset % this.#log.fileBytes !== 0) {
      throw new ReplicaError(offset, `the log is empty and can't begin at offset ${offset}, within a file`);
    }
    this.#log.startAt(offset);
    this.#options.dispatcher.startAt(offset);
  }

  /** Appends the whole records of `bytes` from `at` on, and keeps what is left. */
  #take(bytes: Buffer, at: number): void {
    let runAt = at;
    let offset = this.#log.appendedOffset;
    while (at < bytes.length) {
      const fileRest = this.#log.nextFileOffset(offset) - offset;
      const frame = fileRest < BLANK_BYTES ? "FILLER" : frameRecord(bytes, at, true);
      if (frame === "TRUNCATED") break;
      const error = errorOf(frame, bytes, at, offset, fileRest);
      if (error !== undefined) {
        this.#appendRun(bytes, runAt, at);
        throw error;
      }
      if (typeof frame === "string") {
        if (bytes.length - at < fileRest) break;
        this.#appendRun(bytes, runAt, at);
        this.#log.appendRaw(bytes, at, at + fileRest, true);
        at += fileRest;
        offset += fileRest;
        runAt = at;
        continue;
      }
      const { totalBytes } = frame;
      this.#dispatch(frame, bytes);
      at += totalBytes;
      offset += totalBytes;
      if (at - runAt >= RUN_BYTES) {
        this.#appendRun(bytes, runAt, at);
        runAt = at;
      }
    }
    this.#appendRun(bytes, runAt, at);
    if (at === bytes.length) return;
    this.#keep(bytes, at, bytes.length);
    this.#wantedBytes(); // what can't become a record is refused at once
  }

  #appendRun(bytes: Buffer, from: number, to: number): void {
    if (to > from) this.#log.appendRaw(bytes, from, to);
  }

  /** Adds to the unfinished record what it lacks, and appends it when it is whole. @returns bytes used */
  #goOn(bytes: Buffer, at: number): number {
    const wanted = this.#wantedBytes() - this.#unfinishedBytes;
    const count = Math.min(wanted, bytes.length - at);
    this.#keep(bytes, at, at + count);
    if (this.#unfinishedBytes < this.#wantedBytes()) return count;
    const whole = this.#unfinished.subarray(0, this.#unfinishedBytes);
    this.#unfinishedBytes = 0;
    this.#take(whole, 0);
    if (this.#unfinishedBytes === 0) this.dropUnfinished();
    return count;
  }

  /** Bytes with which the unfinished record is whole, or at least tells more of its length. */
  #wantedBytes(): number {
    const offset = this.#log.appendedOffset;
    const fileRest = this.#log.nextFileOffset(offset) - offset;
    const known = this.#unfinished.subarray(0, this.#unfinishedBytes);
    if (fileRest < BLANK_BYTES) return fileRest;
    if (known.length < BLANK_BYTES) return BLANK_BYTES;
    const totalBytes = known.readInt32BE(0);
    const isRecord = known.readInt32BE(4) !== MAGIC_BLANK;
    const isBelieved = !isRecord || known.length < HEAD_BYTES || believedLength(known, offset) === totalBytes;
    if (totalBytes < BLANK_BYTES || !isBelieved) {
      throw new ReplicaError(offset, `what came for offset ${offset} is no message (LENGTHS)`);
    }
    if (isRecord && known.length < HEAD_BYTES && totalBytes > HEAD_BYTES) return HEAD_BYTES;
    if (isRecord ? totalBytes > fileRest : totalBytes !== fileRest) throw otherFiles(offset);
    return this.#believed(totalBytes, offset);
  }

  #believed(bytes: number, offset: number): number {
    if (bytes <= MAX_UNFINISHED_BYTES) return bytes;
    throw new ReplicaError(offset, `what came for offset ${offset} says that it has ${bytes} bytes`);
  }

  #keep(source: Buffer, from: number, to: number): void {
    const bytes = this.#unfinishedBytes + to - from;
    if (bytes > this.#unfinished.length) {
      const larger = Buffer.allocUnsafeSlow(
        Math.max(bytes, 2 * this.#unfinished.length, FIRST_UNFINISHED_BYTES),
      );
      this.#unfinished.copy(larger, 0, 0, this.#unfinishedBytes);
      this.#unfinished = larger;
    }
    source.copy(this.#unfinished, this.#unfinishedBytes, from, to);
    this.#unfinishedBytes = bytes;
  }

  /** Sees to it that queue and index get the record once it may be seen. */
  #dispatch(frame: RecordFrame, bytes: Buffer): void {
    const { physicalOffset, queueOffset, storeTimestampMs, propertiesAt } = frame;
    const topic = this.#topicOf(frame, bytes);
    const text = bytes.toString("utf8", propertiesAt, propertiesAt + frame.propertiesBytes);
    const properties = new PropertyText(text);
    const transaction = frame.sysFlag & TRANSACTION_MASK;
    const isIndexed = transaction !== SysFlag.TRANSACTION_ROLLBACK;
    const isQueued = isIndexed && transaction !== SysFlag.TRANSACTION_PREPARED;
    this.#storeTimestampMs = storeTimestampMs;
    this.#options.dispatcher.add({
      topic,
      queue: isQueued ? this.#options.queues.ofRecord(topic, frame.queueId, physicalOffset) : undefined,
      further: isQueued && this.#options.multiDispatch
        ? this.#furtherOf(topic, frame, properties)
        : undefined,
      queueOffset,
      physicalOffset,
      bytes: frame.totalBytes,
      tagsCode: isQueued
        ? queueTagsCode(topic, properties, storeTimestampMs, this.#options.delayLevelsMs)
        : 0,
      storeTimestampMs,
      uniqueKey: isIndexed ? properties.get(Property.UNIQ_KEY) : undefined,
      keys: isIndexed ? properties.get(Property.KEYS) : undefined,
      properties,
    });
  }

  #topicOf({ topicAt, topicBytes }: RecordFrame, bytes: Buffer): string {
    const isSame = topicBytes === this.#topicBytes.length &&
      this.#topicBytes.compare(bytes, topicAt, topicAt + topicBytes) === 0;
    if (!isSame) {
      this.#topicBytes = Buffer.from(bytes.subarray(topicAt, topicAt + topicBytes));
      this.#topic = this.#topicBytes.toString("utf8");
    }
    return this.#topic;
  }

  #furtherOf(
    topic: string,
    { queueId, physicalOffset }: RecordFrame,
    properties: ReadonlyMap<string, string>,
  ): FurtherEntry[] | undefined {
    const targets = furtherQueues(topic, properties, queueId);
    if (targets.length === 0) return undefined;
    return targets.flatMap((target) => {
      const queue = this.#options.queues.ofRecord(target.topic, target.queueId, physicalOffset);
      return queue === undefined ? [] : [{ queue, queueOffset: target.queueOffset }];
    });
  }
}

/** Where one log's file ends the other's goes on: it can't be copied. */
function otherFiles(offset: number): ReplicaError {
  return new ReplicaError(
    offset,
    `what came for offset ${offset} does not end where a file of this log does: mappedFileSizeCommitLog must be the ` +
      "same here and at the master",
  );
}

/** Why what begins at an offset, with so much room in its file, can't stand there; undefined where it can. */
function errorOf(
  frame: RecordFrame | string,
  bytes: Buffer,
  at: number,
  offset: number,
  fileRest: number,
): ReplicaError | undefined {
  if (frame === "FILLER") return undefined;
  if (frame === "BLANK") return bytes.readInt32BE(at) === fileRest ? undefined : otherFiles(offset);
  const defect = typeof frame === "string" ? frame : defectOf(frame, offset);
  if (defect !== undefined) {
    return new ReplicaError(offset, `what came for offset ${offset} is no whole message (${defect})`);
  }
  return (frame as RecordFrame).totalBytes > fileRest ? otherFiles(offset) : undefined;
}

function defectOf(frame: RecordFrame, offset: number): string | undefined {
  if (frame.physicalOffset !== offset) return "MISPLACED";
  return frame.queueOffset < 0 || frame.queueOffset > MAX_QUEUE_OFFSET ? "QUEUE_OFFSET" : undefined;
}
