// SPDX-License-Identifier: Apache-2.0
/**
 * Finds the end of the log after a start, and makes queues and index agree with it.
 *
 * After a clean stop the queues are complete: only the last log file is walked, and what its records lack in
 * a queue is added. After a crash only what the checkpoint covers was surely durable: each queue is cut back
 * to the entries that point before the file where the walk begins, and built again from there. Behind the
 * end the log is made to read as zeros. [RMQ CommitLog.recoverNormally, recoverAbnormally]
 */
import type { Buffer } from "node:buffer";
import { getLogger } from "@logtape/logtape";
import { parseProperties, Property } from "../protocol/properties.ts";
import type { RecordFrame } from "../protocol/record.ts";
import { SysFlag, TRANSACTION_MASK } from "../protocol/sys_flag.ts";
import type { ConsumeQueue } from "./consume_queue.ts";
import type { KeyIndex } from "./dispatcher.ts";
import { firstRecord, type ScanEnd, scanLog } from "./log_scan.ts";
import { queueTagsCode } from "./queue_tags.ts";
import type { QueueTable } from "./queue_table.ts";
import type { SegmentFiles } from "./segment_files.ts";
import { StoreCorruptError } from "./types.ts";

const logger = getLogger(["rmq", "store"]);

export interface RecoveryOptions {
  log: SegmentFiles;
  queues: QueueTable;
  index: KeyIndex | undefined;
  /** Whether the last process that had the store ended it properly. */
  isClean: boolean;
  /** After a crash: messages stored up to this time are durable in log, queues and index. */
  durableTimestampMs: number;
  checkBodyCrc: boolean;
  delayLevelsMs: readonly number[];
}

export interface Recovered {
  /** End of the log. */
  endOffset: number;
  /** Of the last message; 0 in an empty log. */
  storeTimestampMs: number;
}

/** @throws StoreCorruptError where going on would lose something that an operator can still save */
export function recover(options: RecoveryOptions): Recovered {
  const { log, queues, isClean } = options;
  if (log.isEmpty) return recoverEmpty(options);
  const knownEnd = isClean ? recoverQueues(queues, log.endOffset, true) : 0;
  const startOffset = isClean ? cleanStart(log, knownEnd) : crashStart(log, options.durableTimestampMs);
  if (!isClean) recoverQueues(queues, startOffset, false);
  const redoFrom = Math.max(startOffset, knownEnd);
  const redo = (frame: RecordFrame, bytes: Buffer) => {
    if (frame.physicalOffset >= redoFrom) redispatch(options, frame, bytes);
  };
  const end = scanLog(log, startOffset, options.checkBodyCrc, redo);
  report(log, end, isClean, startOffset);
  if (end.reason !== "END") log.truncate(end.endOffset);
  // A process that was killed may have left in the page cache what counts as flushed from now on.
  if (!isClean) log.syncFrom(startOffset);
  for (const queue of queues.all()) {
    if (queue.lastPhysicalEnd() > end.endOffset) queue.recover(end.endOffset, false);
    queue.correctMinOffset(log.minOffset);
  }
  return { endOffset: end.endOffset, storeTimestampMs: end.storeTimestampMs };
}

/** Puts one record into queue and index, if it is not there yet. */
function redispatch(options: RecoveryOptions, frame: RecordFrame, bytes: Buffer): void {
  const topic = bytes.toString("utf8", frame.topicAt, frame.topicAt + frame.topicBytes);
  const text = bytes.toString("utf8", frame.propertiesAt, frame.propertiesAt + frame.propertiesBytes);
  const properties = parseProperties(text);
  const { physicalOffset, storeTimestampMs } = frame;
  const transaction = frame.sysFlag & TRANSACTION_MASK;
  if (transaction !== SysFlag.TRANSACTION_PREPARED && transaction !== SysFlag.TRANSACTION_ROLLBACK) {
    const tagsCode = queueTagsCode(topic, properties, storeTimestampMs, options.delayLevelsMs);
    enqueue(options.queues, topic, frame, tagsCode);
  }
  if (transaction !== SysFlag.TRANSACTION_ROLLBACK) {
    const uniqueKey = properties.get(Property.UNIQ_KEY);
    options.index?.put(topic, uniqueKey, properties.get(Property.KEYS), physicalOffset, storeTimestampMs);
  }
}

function enqueue(queues: QueueTable, topic: string, frame: RecordFrame, tagsCode: number): void {
  let queue: ConsumeQueue;
  try {
    queue = queues.getOrCreate(topic, frame.queueId);
  } catch (error) {
    logger.error("the message at offset {offset} is left out of its queue: {error}", {
      offset: frame.physicalOffset,
      error,
    });
    return;
  }
  if (frame.queueOffset < queue.maxOffset) {
    const known = queue.entry(frame.queueOffset)?.physicalOffset;
    if (known !== undefined && known >= frame.physicalOffset) return;
    // a later record with an earlier number: the topic was deleted and made again in between
    if (known !== undefined) queue.restartAt(frame.queueOffset);
  }
  queue.put(frame.queueOffset, frame.physicalOffset, frame.totalBytes, tagsCode);
}

/**
 * No log: fine for a new store, or where a power cut came before the first flush. Otherwise queues that hold
 * something point to a log that is elsewhere.
 */
function recoverEmpty({ log, queues, isClean, durableTimestampMs }: RecoveryOptions): Recovered {
  const wasNeverFlushed = !isClean && durableTimestampMs <= 0;
  for (const queue of queues.all()) {
    if (wasNeverFlushed) {
      queue.destroy();
      continue;
    }
    queue.recover(Number.MAX_SAFE_INTEGER, true);
    if (queue.maxOffset > queue.minOffset) {
      throw new StoreCorruptError(
        log.directory,
        `there is no CommitLog, but ConsumeQueues hold messages (topic ${queue.topic}). If the log is ` +
          "elsewhere, set storePathCommitLog; if it is lost, remove the consumequeue and index directories",
      );
    }
  }
  return { endOffset: 0, storeTimestampMs: 0 };
}

/** Finds the end of each queue. @returns the end of the last message that any of them knows */
function recoverQueues(queues: QueueTable, trustedEnd: number, isClean: boolean): number {
  let knownEnd = 0;
  for (const queue of queues.all()) {
    queue.recover(trustedEnd, isClean);
    knownEnd = Math.max(knownEnd, queue.lastPhysicalEnd());
  }
  return knownEnd;
}

/** The last file that begins no later than the end of what the queues know; the first file where none does. */
function cleanStart(log: SegmentFiles, knownEnd: number): number {
  for (let start = log.endOffset - log.fileBytes; start > log.minOffset; start -= log.fileBytes) {
    if (start <= knownEnd && firstRecord(log, start) !== undefined) return start;
  }
  return log.minOffset;
}

/** The last file that begins with a message which is surely durable everywhere; the first file where none does. */
function crashStart(log: SegmentFiles, durableTimestampMs: number): number {
  for (let start = log.endOffset - log.fileBytes; start > log.minOffset; start -= log.fileBytes) {
    const first = firstRecord(log, start);
    if (first !== undefined && first.storeTimestampMs > 0 && first.storeTimestampMs <= durableTimestampMs) {
      return start;
    }
  }
  return log.minOffset;
}

function report(log: SegmentFiles, end: ScanEnd, isClean: boolean, startOffset: number): void {
  const place = { file: log.path(log.startOf(end.endOffset)), offset: end.endOffset, reason: end.reason };
  if (end.reason !== "END" && end.reason !== "ZEROS") {
    logger.warn("{file}: no whole message at offset {offset} ({reason}); the log ends there", place);
  }
  if (!isClean) {
    const bytes = end.endOffset - startOffset;
    logger.info("recovered after an unclean stop: {bytes} bytes checked, the log ends at {offset}", {
      ...place,
      bytes,
    });
  }
}
