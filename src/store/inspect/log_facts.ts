// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { frameRecord, type RecordFrame } from "../../protocol/record.ts";
import { believedLength, HEAD_BYTES } from "../record_head.ts";
import type { CheckpointView } from "./checkpoint_view.ts";
import { type Segment, segmentAt, type SegmentSequence } from "./layout.ts";
import type { StoreReader } from "./reader.ts";

/** Apache takes away so much from the checkpoint's times before it trusts them; so do we. */
const CHECKPOINT_MARGIN_MS = 3000;

/** A message and its bytes. */
export interface FoundRecord {
  readonly frame: RecordFrame;
  readonly bytes: Buffer;
}

/** The message that begins at an offset of the log; undefined where none does. */
export function recordAt(reader: StoreReader, log: SegmentSequence, offset: number): FoundRecord | undefined {
  const file = segmentAt(log, offset);
  if (file === undefined) return undefined;
  const head = Buffer.alloc(HEAD_BYTES);
  const got = reader.readAt(file.path, head, offset - file.start);
  const size = believedLength(head.subarray(0, got), offset);
  if (size === undefined || offset + size > file.start + log.fileBytes) return undefined;
  const bytes = Buffer.allocUnsafe(size);
  if (reader.readAt(file.path, bytes, offset - file.start) < size) return undefined;
  const frame = frameRecord(bytes, 0, false);
  return typeof frame === "string" || frame.physicalOffset !== offset ? undefined : { frame, bytes };
}

/** Store time of a file's first message; undefined where it does not begin with one. */
export function firstTimestampOf(
  reader: StoreReader,
  log: SegmentSequence,
  file: Segment,
): number | undefined {
  return recordAt(reader, log, file.start)?.frame.storeTimestampMs;
}

/** Where the next start of a broker begins to read after a crash: what is missing from there on, it adds. */
export function crashRecoveryStart(
  reader: StoreReader,
  log: SegmentSequence,
  { values }: CheckpointView,
): number {
  const durableMs = values === undefined
    ? 0
    : Math.min(values.physicMsgTimestampMs, values.logicsMsgTimestampMs) - CHECKPOINT_MARGIN_MS;
  for (const file of log.files.toReversed()) {
    const firstMs = firstTimestampOf(reader, log, file);
    if (firstMs !== undefined && firstMs > 0 && firstMs <= durableMs) return file.start;
  }
  return log.files[0]?.start ?? 0;
}

/** The last file whose first message was stored before a time: where a search for that time begins. */
export function fileBefore(reader: StoreReader, log: SegmentSequence, timeMs: number): number | undefined {
  for (const file of log.files.toReversed()) {
    const firstMs = firstTimestampOf(reader, log, file);
    if (firstMs !== undefined && firstMs < timeMs) return file.start;
  }
  return log.files[0]?.start;
}
