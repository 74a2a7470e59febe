// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { BLANK_BYTES, frameRecord, type RecordFrame } from "../protocol/record.ts";
import type { SegmentFiles } from "./segment_files.ts";

const BLOCK_BYTES = 4 << 20;

/** Why a walk through the log ended. */
export interface ScanEnd {
  /** One past the last good record (or blank). */
  endOffset: number;
  /** Of the last good record; 0 without any. */
  storeTimestampMs: number;
  /** What stands at `endOffset`; "END" where the files end, "ZEROS" where nothing was written. */
  reason: "END" | "ZEROS" | "TRUNCATED" | "NO_MAGIC" | "LENGTHS" | "BODY_CRC" | "MISPLACED" | "TORN";
}

/**
 * Walks the records from `startOffset` (where one must begin) to the first bytes that are none. A record whose
 * stored physical offset is not its place is none: it is left over from something else.
 * @param onRecord gets each record: its frame, and the bytes that the frame's positions refer to (valid only
 * during the call)
 */
export function scanLog(
  segments: SegmentFiles,
  startOffset: number,
  checkBodyCrc: boolean,
  onRecord: (frame: RecordFrame, bytes: Buffer) => void,
): ScanEnd {
  let block = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, segments.fileBytes));
  let offset = startOffset;
  let storeTimestampMs = 0;
  while (segments.has(offset)) {
    const fileEnd = segments.startOf(offset) + segments.fileBytes;
    const wanted = Math.min(block.length, fileEnd - offset);
    const bytes = block.subarray(0, segments.read(block.subarray(0, wanted), offset));
    const isWholeRest = offset + bytes.length >= fileEnd || bytes.length < wanted;
    let at = 0;
    for (;;) {
      const frame = frameRecord(bytes, at, checkBodyCrc);
      if (frame === "BLANK") {
        offset = fileEnd;
        break;
      }
      if (frame === "TRUNCATED" && !isWholeRest) {
        // the record goes on behind this block: read again from its start, with a larger block if that is it
        if (at === 0) {
          const size = bytes.readInt32BE(0);
          if (size > fileEnd - offset) return { endOffset: offset, storeTimestampMs, reason: "LENGTHS" };
          block = Buffer.allocUnsafeSlow(Math.max(size, block.length) + BLANK_BYTES);
        }
        offset += at;
        break;
      }
      if (typeof frame === "string" || frame.physicalOffset !== offset + at) {
        const reason = typeof frame !== "string" ? "MISPLACED" : isZero(bytes, at) ? "ZEROS" : frame;
        return { endOffset: offset + at, storeTimestampMs, reason };
      }
      if (isTorn(frame, bytes)) return { endOffset: offset + at, storeTimestampMs, reason: "TORN" };
      onRecord(frame, bytes);
      storeTimestampMs = frame.storeTimestampMs;
      at += frame.totalBytes;
    }
  }
  return { endOffset: offset, storeTimestampMs, reason: "END" };
}

/** The first record of the file at `startOffset`; undefined where there is none. */
export function firstRecord(segments: SegmentFiles, startOffset: number): RecordFrame | undefined {
  const head = Buffer.alloc(BLANK_BYTES);
  if (segments.read(head, startOffset) < BLANK_BYTES) return undefined;
  const size = head.readInt32BE(0);
  if (size < BLANK_BYTES || size > segments.fileBytes) return undefined;
  const bytes = Buffer.allocUnsafe(size);
  if (segments.read(bytes, startOffset) < size) return undefined;
  const frame = frameRecord(bytes, 0, true);
  return typeof frame === "string" || frame.physicalOffset !== startOffset ? undefined : frame;
}

function isZero(bytes: Buffer, at: number): boolean {
  const end = Math.min(bytes.length, at + BLANK_BYTES);
  for (let i = at; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}

/**
 * Whether the record's end never reached the disk. Lengths and the checksum of the body show that elsewhere;
 * properties have no checksum, but whoever writes them ends them with a separator, never with a zero.
 */
function isTorn({ propertiesAt, propertiesBytes }: RecordFrame, bytes: Buffer): boolean {
  return propertiesBytes > 0 && bytes[propertiesAt + propertiesBytes - 1] === 0;
}
