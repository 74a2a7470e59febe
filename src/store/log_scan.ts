// SPDX-License-Identifier: Apache-2.0
/**
 * The walk through the log that finds its end.
 *
 * A record is whole if its lengths agree with each other, its body with its checksum, its physical offset with
 * its place, and if no sector of it is missing. What stays undetected, as the format has no checksum for it:
 * changed bits in header fields, topic and properties that leave the lengths as they are; a sector within the
 * properties that holds older bytes which are not zeros; and everything of a body that is not checked because
 * the operator wants it so (checkCRCOnRecover=false).
 */
import { Buffer } from "node:buffer";
import { BLANK_BYTES, frameRecord, type RecordFrame } from "../protocol/record.ts";
import { isRecordCrcRight } from "../protocol/record_crc.ts";
import { believedLength, HEAD_BYTES } from "./record_head.ts";
import type { SegmentFiles } from "./segment_files.ts";

const BLOCK_BYTES = 4 << 20;
/** A record's magic number, as far as it is the same in both versions, and its place. */
const MAGIC_START = Buffer.of(0xda, 0xa3, 0x20);
const MAGIC_AT = 4;
/** What a disk writes at least in one go. */
const SECTOR_BYTES = 512;

export interface ScanOptions {
  /** Where the first record must begin. */
  startOffset: number;
  checkBodyCrc: boolean;
  /** Whether each record must have a checksum over all of it. Absent: none needs to. */
  requireRecordCrc?: boolean;
  /** The record before the first one, where it is known: what the walk says of the last good record begins with it. */
  before?: { physicalOffset: number; storeTimestampMs: number };
  /** Called now and then with the offset that the walk has come to. */
  onProgress?: (offset: number) => void;
  /** Records stored after this time may lack sectors: their machine may have lost power. Absent: none does. */
  mayBeTornAfterMs?: number;
}

/** Why a walk through the log ended. */
export interface ScanEnd {
  /** One past the last good record (or blank). */
  endOffset: number;
  /** Of the last good record; 0 without any. */
  storeTimestampMs: number;
  /** Where the last good record begins; -1 without any. */
  lastRecordOffset: number;
  /** What stands at `endOffset`; "END" where the files end, "ZEROS" where nothing was written. */
  reason:
    | "END"
    | "ZEROS"
    | "TRUNCATED"
    | "NO_MAGIC"
    | "LENGTHS"
    | "BODY_CRC"
    | "MISPLACED"
    | "TORN"
    | "RECORD_CRC";
}

/**
 * Walks the records from `startOffset` to the first bytes that are none. A record whose stored physical offset
 * is not its place is none: it is left over from something else.
 * @param onRecord gets each record: its frame, and the bytes that the frame's positions refer to (valid only
 * during the call)
 */
export function scanLog(
  segments: SegmentFiles,
  options: ScanOptions,
  onRecord: (frame: RecordFrame, bytes: Buffer) => void,
): ScanEnd {
  const { checkBodyCrc, mayBeTornAfterMs = Infinity } = options;
  let block = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, segments.fileBytes));
  let offset = options.startOffset;
  let storeTimestampMs = options.before?.storeTimestampMs ?? 0;
  let lastRecordOffset = options.before?.physicalOffset ?? -1;
  const ended = (endOffset: number, reason: ScanEnd["reason"]) => {
    return { endOffset, storeTimestampMs, lastRecordOffset, reason };
  };
  while (segments.has(offset)) {
    options.onProgress?.(offset);
    const fileStart = segments.startOf(offset);
    const fileEnd = fileStart + segments.fileBytes;
    const wanted = Math.min(block.length, fileEnd - offset);
    const bytes = block.subarray(0, segments.read(block.subarray(0, wanted), offset));
    const isWholeRest = offset + bytes.length >= fileEnd || bytes.length < wanted;
    let at = 0;
    for (;;) {
      const physicalOffset = offset + at;
      const frame = fileEnd - physicalOffset < BLANK_BYTES ? "BLANK" : frameRecord(bytes, at, checkBodyCrc);
      if (frame === "BLANK") {
        offset = fileEnd;
        break;
      }
      if (frame === "TRUNCATED" && !isWholeRest) {
        // The record goes on behind this block: read again from its start, with a larger block if that is it.
        if (at === 0) {
          const length = believedLength(bytes, physicalOffset);
          if (length === undefined || length > fileEnd - physicalOffset) {
            return ended(physicalOffset, "LENGTHS");
          }
          block = Buffer.allocUnsafeSlow(length + BLANK_BYTES);
        }
        offset = physicalOffset;
        break;
      }
      if (typeof frame === "string") {
        return ended(physicalOffset, isZero(bytes, at) ? "ZEROS" : frame);
      }
      if (frame.physicalOffset !== physicalOffset) return ended(physicalOffset, "MISPLACED");
      if (frame.storeTimestampMs > mayBeTornAfterMs && isTorn(frame, bytes, offset - fileStart)) {
        return ended(physicalOffset, "TORN");
      }
      if (options.requireRecordCrc && isRecordCrcRight(bytes, at, frame.totalBytes) !== true) {
        return ended(physicalOffset, "RECORD_CRC");
      }
      onRecord(frame, bytes);
      storeTimestampMs = frame.storeTimestampMs;
      lastRecordOffset = physicalOffset;
      at += frame.totalBytes;
    }
  }
  return ended(offset, "END");
}

/** The record at an offset, checked; undefined where there is none. */
export function recordAt(segments: SegmentFiles, offset: number): RecordFrame | undefined {
  const head = Buffer.alloc(HEAD_BYTES);
  const length = believedLength(head.subarray(0, segments.read(head, offset)), offset);
  if (length === undefined || length > segments.fileBytes) return undefined;
  const bytes = Buffer.allocUnsafe(length);
  if (segments.read(bytes, offset) < length) return undefined;
  const frame = frameRecord(bytes, 0, true);
  return typeof frame === "string" ? undefined : frame;
}

/** The first whole record that begins behind `offset`; undefined where there is none. */
export function wholeRecordBehind(segments: SegmentFiles, offset: number): RecordFrame | undefined {
  const block = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, segments.fileBytes));
  let from = offset + 1;
  while (segments.has(from)) {
    const bytes = block.subarray(0, segments.read(block, from));
    const fileEnd = segments.startOf(from) + segments.fileBytes;
    for (let at = bytes.indexOf(MAGIC_START); at >= 0; at = bytes.indexOf(MAGIC_START, at + 1)) {
      const frame = at < MAGIC_AT ? undefined : recordAt(segments, from + at - MAGIC_AT);
      if (frame !== undefined) return frame;
    }
    // The next block begins where a magic number may have been cut, with the size before it.
    const next = from + bytes.length - MAGIC_AT - MAGIC_START.length;
    from = from + bytes.length >= fileEnd || next <= from ? fileEnd : next;
  }
  return undefined;
}

function isZero(bytes: Buffer, at: number): boolean {
  const end = Math.min(bytes.length, at + BLANK_BYTES);
  for (let i = at; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}

/**
 * Whether a part of topic and properties never reached the disk (lengths and the body's checksum tell of the
 * rest). It reads as zeros. No topic has any; a property might, but properties end with a separator, and zeros
 * that begin and end with a sector are a lost sector's.
 * @param blockPosition of `bytes` in its file
 */
function isTorn(frame: RecordFrame, bytes: Buffer, blockPosition: number): boolean {
  const { topicAt, topicBytes, propertiesAt, propertiesBytes } = frame;
  if (bytes.subarray(topicAt, topicAt + topicBytes).includes(0)) return true;
  const end = propertiesAt + propertiesBytes;
  if (propertiesBytes > 0 && bytes[end - 1] === 0) return true;
  let sector = propertiesAt + (SECTOR_BYTES - (blockPosition + propertiesAt) % SECTOR_BYTES) % SECTOR_BYTES;
  for (; sector < end; sector += SECTOR_BYTES) {
    if (bytes[sector] !== 0 || (sector > propertiesAt && bytes[sector - 1] === 0)) continue;
    let zerosEnd = sector;
    while (zerosEnd < end && bytes[zerosEnd] === 0) zerosEnd++;
    if ((blockPosition + zerosEnd) % SECTOR_BYTES === 0) return true;
  }
  return false;
}
