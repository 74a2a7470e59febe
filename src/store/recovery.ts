// SPDX-License-Identifier: Apache-2.0
/**
 * Finds the end of the log after a start, and makes queues and index agree with it.
 *
 * After a clean stop the queues are complete: only the last log file is walked, and what its records lack in
 * a queue is added. After a crash only what the checkpoint covers was surely durable: the walk begins behind the
 * last message that was durable everywhere when the checkpoint was written, if we were the last to write it, and
 * otherwise at the last file that begins with such a message. Each queue is cut back to the entries that point
 * before that place, and built again from there. Behind the end the log is made to read as zeros.
 * [RMQ CommitLog.recoverNormally, recoverAbnormally]
 *
 * The log ends at the first bytes that are no whole message, as Apache has it, with one exception: where the
 * checkpoint says that what follows had been flushed, and it is still there, the disk has been damaged, and
 * cutting the log would lose messages that were promised. Then the store does not open.
 *
 * Queue offsets and store times of a record are not grounds to end the log: clocks are set back, topics are
 * deleted and made again. A record whose queue offset can't be is left out of its queue, and reported.
 */
import { Buffer } from "node:buffer";
import { getLogger } from "@logtape/logtape";
import { parseProperties, Property } from "../protocol/properties.ts";
import type { RecordFrame } from "../protocol/record.ts";
import { SysFlag, TRANSACTION_MASK } from "../protocol/sys_flag.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { type CleanStop, confirmCleanStop } from "./clean_stop.ts";
import type { ConsumeQueue, EntryCheck } from "./consume_queue.ts";
import type { KeyIndex } from "./dispatcher.ts";
import { enqueue, type QueuedRecord } from "./enqueue.ts";
import { furtherQueues, isLightQueue, type QueueTarget } from "./light_queues.ts";
import { recordAt, type ScanEnd, scanLog, wholeRecordBehind } from "./log_scan.ts";
import { queueTagsCode } from "./queue_tags.ts";
import type { QueueTable } from "./queue_table.ts";
import { believedLength, HEAD_BYTES } from "./record_head.ts";
import type { SegmentFiles } from "./segment_files.ts";
import { placeOf, type SettledPlace, settledRecordOf } from "./settled_place.ts";
import { StoreCorruptError } from "./types.ts";

const logger = getLogger(["rmq", "store"]);

/** Apache takes away so much from the checkpoint's times before it trusts them with queues. */
const CHECKPOINT_MARGIN_MS = 3000;
/** A store time further in the future than this is not taken for a time. */
const MAX_AHEAD_MS = 24 * 3_600_000;
const PROGRESS_INTERVAL_MS = 1000;

export interface RecoveryOptions {
  log: SegmentFiles;
  queues: QueueTable;
  index: (KeyIndex & { readonly lastUpdatePhysicalOffset: number }) | undefined;
  /** Whether the last process that had the store ended it properly. */
  isClean: boolean;
  nowMs: number;
  checkBodyCrc: boolean;
  /** Whether a record without a checksum over all of it is none. */
  requireRecordCrc: boolean;
  delayLevelsMs: readonly number[];
  /** Whether messages are in the light queues that they name. */
  multiDispatch: boolean;
  /** What the last process says of a clean stop. */
  cleanStop: CleanStop | undefined;
  /** What it says of the places up to which everything was durable. */
  settledPlaces: readonly SettledPlace[];
  checkpoint: Checkpoint;
  /** For how long it takes is told now and then. */
  monotonicMs: () => number;
  /** From here on the log may be in the page cache only, though the system says that it is synced. */
  doubtfulFrom: number | undefined;
  /** Called when the log from an offset on could not be synced. */
  onDoubt: (fromOffset: number) => void;
}

export interface Recovered {
  /** End of the log. */
  endOffset: number;
  /** Of the last message with a time that can be; 0 without any. */
  storeTimestampMs: number;
  /** Where the last message begins; -1 without any. */
  lastRecordOffset: number;
}

/** @throws StoreCorruptError where going on would lose something that an operator can still save */
export function recover(options: RecoveryOptions): Recovered {
  const { log, queues, isClean, checkBodyCrc, requireRecordCrc } = options;
  if (log.isEmpty) return recoverEmpty(options);
  const durableMs = checkpointMs(options) - CHECKPOINT_MARGIN_MS;
  const isInLog = (queue: ConsumeQueue) => entryCheck(log, queue);
  const knownEnd = isClean ? recoverQueues(queues, log.endOffset, true, isInLog) : 0;
  const known = isClean ? knownStop(options) : undefined;
  if (known !== undefined) return known;
  const { startOffset, before } = isClean
    ? { startOffset: cleanStart(log, knownEnd) }
    : crashStart(options, durableMs, isInLog);
  const redoFrom = isClean ? Math.max(startOffset, knownEnd) : startOffset;
  const incomplete = new Set<ConsumeQueue>();
  let storeTimestampMs = before?.storeTimestampMs ?? 0;
  const mayBeTornAfterMs = isClean ? undefined : durableMs;
  const onProgress = progress(options, startOffset);
  const scan = { startOffset, before, checkBodyCrc, requireRecordCrc, mayBeTornAfterMs, onProgress };
  const end = scanLog(log, scan, (frame, bytes) => {
    if (frame.storeTimestampMs <= options.nowMs + MAX_AHEAD_MS) storeTimestampMs = frame.storeTimestampMs;
    if (frame.physicalOffset >= redoFrom) redispatch(options, frame, bytes, incomplete);
  });
  refuseDamage(options, end);
  report(log, end, isClean, startOffset);
  reportLoss(options, end);
  makeDurable(options, startOffset, end);
  if (incomplete.size > 0) rebuild(options, incomplete, end.endOffset);
  for (const queue of queues.all()) {
    if (queue.lastPhysicalEnd > end.endOffset) queue.recover(end.endOffset, false, isInLog(queue));
    queue.correctMinOffset(log.minOffset);
  }
  return { endOffset: end.endOffset, storeTimestampMs, lastRecordOffset: end.lastRecordOffset };
}

/** Nothing to recover where everything is as the last process left it, and has told. */
function knownStop({ log, queues, checkpoint, cleanStop }: RecoveryOptions): Recovered | undefined {
  if (cleanStop === undefined) return undefined;
  const storeTimestampMs = confirmCleanStop(cleanStop, log, queues, checkpoint);
  if (storeTimestampMs === undefined) {
    logger.info("something else has used this store; its last log file is walked");
    return undefined;
  }
  for (const queue of queues.all()) queue.correctMinOffset(log.minOffset);
  const { logEnd, lastRecordOffset } = cleanStop;
  return { endOffset: logEnd, storeTimestampMs, lastRecordOffset };
}

/** The store time of a message up to which log and queues had been made durable. */
function checkpointMs({ checkpoint }: RecoveryOptions): number {
  const { physicMsgTimestampMs, logicsMsgTimestampMs } = checkpoint.values;
  return Math.min(physicMsgTimestampMs, logicsMsgTimestampMs);
}

/** Makes that the log ends where it ends, and that it is on the disk. */
function makeDurable(options: RecoveryOptions, startOffset: number, end: ScanEnd): void {
  const { log, isClean, doubtfulFrom = Infinity, onDoubt } = options;
  const from = isClean ? end.endOffset : Math.min(startOffset, Math.max(doubtfulFrom, log.minOffset));
  try {
    if (end.reason !== "END") log.cut(end.endOffset);
    if (!isClean) log.rewrite(Math.max(doubtfulFrom, log.minOffset), end.endOffset);
    // A process that was killed may have left in the page cache what counts as flushed from now on.
    log.syncFrom(from);
  } catch (error) {
    onDoubt(from);
    throw error;
  }
}

/** Puts one record into queue and index, if it is not there yet. */
function redispatch(
  options: RecoveryOptions,
  frame: RecordFrame,
  bytes: Buffer,
  incomplete: Set<ConsumeQueue>,
): void {
  const topic = topicOf(frame, bytes);
  const text = bytes.toString("utf8", frame.propertiesAt, frame.propertiesAt + frame.propertiesBytes);
  const properties = parseProperties(text);
  const { physicalOffset, storeTimestampMs } = frame;
  const transaction = frame.sysFlag & TRANSACTION_MASK;
  if (transaction !== SysFlag.TRANSACTION_PREPARED && transaction !== SysFlag.TRANSACTION_ROLLBACK) {
    const tagsCode = queueTagsCode(topic, properties, storeTimestampMs, options.delayLevelsMs);
    for (const target of targetsOf(options, topic, frame, properties)) {
      const queue = options.queues.ofRecord(target.topic, target.queueId, physicalOffset);
      if (queue === undefined || incomplete.has(queue)) continue;
      enqueue(queue, queuedRecord(frame, target, tagsCode), incomplete);
    }
  }
  if (transaction !== SysFlag.TRANSACTION_ROLLBACK) {
    const uniqueKey = properties.get(Property.UNIQ_KEY);
    options.index?.put(topic, uniqueKey, properties.get(Property.KEYS), physicalOffset, storeTimestampMs);
  }
}

/** The queues that a record belongs to: its own one first. */
function targetsOf(
  { multiDispatch }: RecoveryOptions,
  topic: string,
  { queueId, queueOffset }: RecordFrame,
  properties: ReadonlyMap<string, string>,
): QueueTarget[] {
  const own = { topic, queueId, queueOffset };
  return multiDispatch ? [own, ...furtherQueues(topic, properties, queueId)] : [own];
}

function queuedRecord(frame: RecordFrame, { queueOffset }: QueueTarget, tagsCode: number): QueuedRecord {
  const { physicalOffset, totalBytes: bytes, storeTimestampMs } = frame;
  return { queueOffset, physicalOffset, bytes, tagsCode, storeTimestampMs };
}

function topicOf({ topicAt, topicBytes }: RecordFrame, bytes: Buffer): string {
  return bytes.toString("utf8", topicAt, topicAt + topicBytes);
}

/** Queues whose files lack entries that should have been durable are made again of the whole log. */
function rebuild(options: RecoveryOptions, incomplete: Set<ConsumeQueue>, endOffset: number): void {
  const { log, queues, checkBodyCrc, delayLevelsMs } = options;
  const onProgress = progress(options, log.minOffset);
  for (const queue of incomplete) {
    const { topic, queueId } = queue;
    logger.warn("entries are missing in {topic}, queue {queueId}; it is built again from the log", {
      topic,
      queueId,
    });
    queue.clear();
  }
  for (let startOffset: number | undefined = log.minOffset; startOffset !== undefined;) {
    const end = scanLog(log, { startOffset, checkBodyCrc, onProgress }, (frame, bytes) => {
      const topic = topicOf(frame, bytes);
      const transaction = frame.sysFlag & TRANSACTION_MASK;
      if (frame.physicalOffset >= endOffset) return;
      if (transaction === SysFlag.TRANSACTION_PREPARED || transaction === SysFlag.TRANSACTION_ROLLBACK) {
        return;
      }
      const text = bytes.toString("utf8", frame.propertiesAt, frame.propertiesAt + frame.propertiesBytes);
      const properties = parseProperties(text);
      for (const target of targetsOf(options, topic, frame, properties)) {
        const queue = queues.get(target.topic, target.queueId);
        if (queue === undefined || !incomplete.has(queue)) continue;
        const tagsCode = queueTagsCode(topic, properties, frame.storeTimestampMs, delayLevelsMs);
        enqueue(queue, queuedRecord(frame, target, tagsCode));
      }
    });
    startOffset = end.endOffset < endOffset
      ? wholeRecordBehind(log, end.endOffset)?.physicalOffset
      : undefined;
  }
}

/**
 * No log: fine for a new store, or where a power cut came before the first flush. Otherwise queues that hold
 * something point to a log that is elsewhere.
 */
function recoverEmpty(options: RecoveryOptions): Recovered {
  const { log, queues, isClean } = options;
  const wasNeverFlushed = !isClean && checkpointMs(options) === 0;
  for (const queue of queues.all()) {
    if (wasNeverFlushed) {
      queue.clear();
      continue;
    }
    queue.recover(Number.MAX_SAFE_INTEGER, true, () => undefined);
    if (queue.maxOffset > queue.minOffset) {
      throw new StoreCorruptError(
        log.directory,
        `there is no CommitLog, but ConsumeQueues hold messages (topic ${queue.topic}). If the log is ` +
          "elsewhere, set storePathCommitLog; if it is lost, remove the consumequeue and index directories",
      );
    }
  }
  return { endOffset: 0, storeTimestampMs: 0, lastRecordOffset: -1 };
}

/** Finds the end of each queue. @returns the end of the last message that any of them knows */
function recoverQueues(
  queues: QueueTable,
  trustedEnd: number,
  isClean: boolean,
  isInLog: (queue: ConsumeQueue) => EntryCheck,
): number {
  let knownEnd = 0;
  for (const queue of queues.all()) {
    queue.recover(trustedEnd, isClean, isInLog(queue));
    knownEnd = Math.max(knownEnd, queue.lastPhysicalEnd);
  }
  return knownEnd;
}

function entryCheck(log: SegmentFiles, queue: ConsumeQueue): EntryCheck {
  const head = Buffer.alloc(HEAD_BYTES);
  return ({ physicalOffset, size }) => {
    if (physicalOffset < log.minOffset) return undefined;
    const bytes = head.subarray(0, log.read(head, physicalOffset));
    if (believedLength(bytes, physicalOffset) !== size) return false;
    return isLightQueue(queue.topic) || bytes.readInt32BE(12) === queue.queueId;
  };
}

/**
 * A log that ends before what the checkpoint knows to be durable, and goes on behind, is damaged in its middle.
 * @throws StoreCorruptError
 */
function refuseDamage(options: RecoveryOptions, end: ScanEnd): void {
  const { log } = options;
  const durableMs = checkpointMs(options);
  const settled = settledRecordOf(options.settledPlaces, options.checkpoint);
  if (end.storeTimestampMs >= durableMs && settled < end.endOffset) return;
  const file = log.path(log.startOf(end.endOffset));
  const next = wholeRecordBehind(log, end.endOffset);
  // What a cut had left behind is older than what was stored since.
  const isDurable = next !== undefined && next.storeTimestampMs >= end.storeTimestampMs &&
    next.storeTimestampMs <= durableMs;
  if (isDurable) {
    throw new StoreCorruptError(
      file,
      `there is no whole message at offset ${end.endOffset} (${end.reason}), but messages that had been flushed ` +
        `follow from offset ${next.physicalOffset} on. The log was left as it is: if a slave or a backup has ` +
        "this file, bring it back from there. To give up everything from that offset on, remove the file checkpoint",
    );
  }
  logger.error(
    "{file}: the log ends at offset {offset}; messages stored up to {time} had been flushed and are lost",
    {
      file,
      offset: end.endOffset,
      time: new Date(durableMs).toISOString(),
    },
  );
}

/** The last file that begins no later than the end of what the queues know; the first file where none does. */
function cleanStart(log: SegmentFiles, knownEnd: number): number {
  for (let start = log.endOffset - log.fileBytes; start > log.minOffset; start -= log.fileBytes) {
    if (start <= knownEnd && recordAt(log, start) !== undefined) return start;
  }
  return log.minOffset;
}

/** Where a walk begins, and the message that ends there, if it is known. */
interface WalkStart {
  startOffset: number;
  before?: { physicalOffset: number; storeTimestampMs: number };
}

/** Finds where everything was surely durable, and cuts the queues back to it. */
function crashStart(
  options: RecoveryOptions,
  durableMs: number,
  isInLog: (queue: ConsumeQueue) => EntryCheck,
): WalkStart {
  const { log, queues, index } = options;
  const found = placeOf(options.settledPlaces, log, options.checkpoint);
  if (found !== undefined) {
    const { place, endOffset: startOffset, storeTimestampMs } = found;
    recoverQueues(queues, startOffset, false, isInLog);
    const { queueCount, queueEnds } = queues.totals();
    const isIndexed = index === undefined || index.lastUpdatePhysicalOffset >= place.indexEnd;
    if (isIndexed && place.queueCount === queueCount && place.queueEnds === queueEnds) {
      return { startOffset, before: { physicalOffset: place.lastRecordOffset, storeTimestampMs } };
    }
    logger.info(
      "queues or index are not as they were when the checkpoint was written; more of the log is walked",
    );
  }
  const startOffset = lastDurableFile(log, durableMs);
  recoverQueues(queues, startOffset, false, isInLog);
  return { startOffset };
}

/** Says how far a walk has come, if it takes long. */
function progress({ log, monotonicMs }: RecoveryOptions, startOffset: number): (offset: number) => void {
  let toldMs = monotonicMs();
  return (offset) => {
    const nowMs = monotonicMs();
    if (nowMs - toldMs < PROGRESS_INTERVAL_MS) return;
    toldMs = nowMs;
    logger.info("recovering: {done} of at most {total} MB of the log are checked", {
      done: Math.round((offset - startOffset) / 1e6),
      total: Math.round((log.endOffset - startOffset) / 1e6),
    });
  };
}

/** The last file that begins with a message which is surely durable everywhere; the first file where none does. */
function lastDurableFile(log: SegmentFiles, durableMs: number): number {
  for (let start = log.endOffset - log.fileBytes; start > log.minOffset; start -= log.fileBytes) {
    const first = recordAt(log, start);
    if (first !== undefined && first.storeTimestampMs > 0 && first.storeTimestampMs <= durableMs) {
      return start;
    }
  }
  return log.minOffset;
}

/** Whoever had the store since a clean stop of ours can only have made the log longer. */
function reportLoss({ log, cleanStop }: RecoveryOptions, { endOffset }: ScanEnd): void {
  if (cleanStop === undefined || endOffset >= cleanStop.logEnd) return;
  logger.error(
    "{file}: the log ends at offset {endOffset}; it was left at {logEnd}, and the messages between are lost",
    { file: log.path(log.startOf(endOffset)), endOffset, logEnd: cleanStop.logEnd },
  );
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
