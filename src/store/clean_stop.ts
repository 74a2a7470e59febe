// SPDX-License-Identifier: Apache-2.0
/**
 * What a clean stop leaves for the next start in `rmq/clean_stop.json`, so that it need not walk the last log
 * file to find the log's end. Apache knows nothing of this file: it may have had the directory since. So the
 * file is believed only if log, queues and checkpoint are as it says; in doubt the log is walked.
 */
import { Buffer } from "node:buffer";
import { dirname } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Checkpoint } from "./checkpoint.ts";
import type { Files } from "./files.ts";
import { recordAt } from "./log_scan.ts";
import { makeDurableDirectory } from "./make_directory.ts";
import type { QueueTable, QueueTotals } from "./queue_table.ts";
import type { SegmentFiles } from "./segment_files.ts";

const logger = getLogger(["rmq", "store"]);

/** So much behind the log's end has to be zeros: whoever goes on there begins with its first byte. */
const ZERO_BYTES = 4096;

export interface CleanStop extends QueueTotals {
  /** Where the log ends, which is where its last record ends. */
  logEnd: number;
  lastRecordOffset: number;
  physicMsgTimestampMs: number;
  logicsMsgTimestampMs: number;
  indexMsgTimestampMs: number;
}

/** The state to be written; undefined where the log does not end with a record. */
export function cleanStopOf(
  log: { endOffset: number; lastRecordOffset: number },
  queues: QueueTable,
  checkpoint: Checkpoint,
): CleanStop | undefined {
  if (log.lastRecordOffset < 0) return undefined;
  const { physicMsgTimestampMs, logicsMsgTimestampMs, indexMsgTimestampMs } = checkpoint.values;
  return {
    logEnd: log.endOffset,
    lastRecordOffset: log.lastRecordOffset,
    ...queues.totals(),
    physicMsgTimestampMs,
    logicsMsgTimestampMs,
    indexMsgTimestampMs,
  };
}

/** Durable on return. */
export function writeCleanStop(files: Files, path: string, state: CleanStop): void {
  makeDurableDirectory(files, dirname(path));
  files.replace(path, new TextEncoder().encode(JSON.stringify(state)));
}

/** Undefined where there is none, or none that can be read. */
export function readCleanStop(files: Files, path: string): CleanStop | undefined {
  if (files.stat(path)?.kind !== "file") return undefined;
  try {
    const state = JSON.parse(new TextDecoder().decode(files.read(path)));
    const isWhole = NAMES.every((name) => Number.isSafeInteger(state?.[name]) && state[name] >= 0);
    if (isWhole) return state;
    logger.warn("{path} is not as it was written; ignored", { path });
  } catch (error) {
    logger.warn("{path} can't be read; ignored: {error}", { path, error });
  }
  return undefined;
}

const NAMES: readonly (keyof CleanStop)[] = [
  "logEnd",
  "lastRecordOffset",
  "queueCount",
  "queueEnds",
  "physicMsgTimestampMs",
  "logicsMsgTimestampMs",
  "indexMsgTimestampMs",
];

/**
 * Whether the store is as it was left. The queues must have been recovered.
 * @returns the store time of the last message; undefined where anything is different
 */
export function confirmCleanStop(
  state: CleanStop,
  log: SegmentFiles,
  queues: QueueTable,
  checkpoint: Checkpoint,
): number | undefined {
  const { values } = checkpoint;
  const { queueCount, queueEnds } = queues.totals();
  const isSame = state.physicMsgTimestampMs === values.physicMsgTimestampMs &&
    state.logicsMsgTimestampMs === values.logicsMsgTimestampMs &&
    state.indexMsgTimestampMs === values.indexMsgTimestampMs &&
    state.queueCount === queueCount && state.queueEnds === queueEnds;
  const isInLastFile = log.has(state.logEnd) && state.logEnd > log.endOffset - log.fileBytes;
  if (!isSame || !isInLastFile || !areZeros(log, state.logEnd)) return undefined;
  const last = recordAt(log, state.lastRecordOffset);
  const isLast = last !== undefined && last.physicalOffset + last.totalBytes === state.logEnd;
  return isLast ? last.storeTimestampMs : undefined;
}

function areZeros(log: SegmentFiles, offset: number): boolean {
  const rest = log.startOf(offset) + log.fileBytes - offset;
  const bytes = Buffer.alloc(Math.min(ZERO_BYTES, rest));
  return log.read(bytes, offset) === bytes.length && bytes.every((byte) => byte === 0);
}
