// SPDX-License-Identifier: Apache-2.0
/**
 * Walks a whole log and goes on behind damage, where a broker's recovery (`log_scan`) stops: the next message is
 * recognised by its magic and by the physical offset that it says of itself.
 *
 * A running broker may write while we read. What looks damaged is therefore read once more when something good has
 * been found behind it, and the log's end is where the walk came to it.
 */
import { Buffer } from "node:buffer";
import {
  BLANK_BYTES,
  bodyCrc,
  frameRecord,
  MAGIC_BLANK,
  MAGIC_V1,
  MAGIC_V2,
  type RecordFrame,
} from "../../protocol/record.ts";
import { believedLength, HEAD_BYTES } from "../record_head.ts";
import type { Segment, SegmentSequence } from "./layout.ts";
import type { StoreReader } from "./reader.ts";

const BLOCK_BYTES = 4 << 20;
/** What a disk that can't read fails by. */
const SECTOR_BYTES = 4096;
/** Common to the magic of both versions of messages. */
const MAGIC_PREFIX = Buffer.from("daa320", "hex");
const BLANK_MAGIC = intBytes(MAGIC_BLANK);
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** What is wrong with bytes, as a part of a sentence. */
export type DamageReason =
  | "ZEROS"
  | "NO_MAGIC"
  | "LENGTHS"
  | "TRUNCATED"
  | "MISPLACED"
  | "BODY_CRC"
  | "TORN"
  | "UNREADABLE";

export interface Damage {
  readonly file: Segment;
  readonly offset: number;
  readonly endOffset: number;
  readonly reason: DamageReason;
  /** For MISPLACED: the physical offset that the message says of itself. */
  readonly claimedOffset: number | undefined;
}

export interface LogVisitor {
  /**
   * A message; its bytes are valid during the call only. One whose body is not what was stored, or whose end never
   * reached the disk, comes with its defect. @returns false to end the walk
   */
  record(frame: RecordFrame, bytes: Buffer, at: number, defect?: "BODY_CRC" | "TORN"): boolean;
  /** Bytes without a message, or with a broken one, behind which the log goes on. */
  damage?(damage: Damage): void;
  /** A file that a running broker has deleted since it was listed: its messages have expired. */
  gone?(file: Segment): void;
  /** A filler whose length is not the rest of its file. */
  wrongBlank?(file: Segment, offset: number, size: number, restBytes: number): void;
  /** A file's bytes from here on were walked. @returns false to end the walk; may take its time */
  pause?(offset: number): Promise<boolean>;
}

export interface WalkOptions {
  readonly reader: StoreReader;
  readonly log: SegmentSequence;
  /** Where a message must begin; default the start of the log. */
  readonly startOffset?: number;
  readonly checkBodyCrc: boolean;
}

/** Where the log ends, if the walk came there. */
export interface LogEnd {
  readonly offset: number;
  /** What stands there instead of a message: nothing ("END", "ZEROS") or something. */
  readonly reason: DamageReason | "END";
  /** First byte behind the end that is not zero; undefined where all are. */
  readonly garbageOffset: number | undefined;
  readonly isStopped: boolean;
}

/** @throws what the reader throws */
export function walkLog(options: WalkOptions, visitor: LogVisitor): Promise<LogEnd> {
  return new LogWalk(options, visitor).run();
}

class LogWalk {
  #reader: StoreReader;
  #log: SegmentSequence;
  #startOffset: number;
  #checkBodyCrc: boolean;
  #visitor: LogVisitor;
  #block = Buffer.allocUnsafeSlow(BLOCK_BYTES + BLANK_BYTES);
  /** Behind the last good message. Damage once something good follows; else the end of the log. */
  #bad: Damage[] = [];
  #garbageOffset: number | undefined;
  #endOffset: number;
  /** Where damage was read a second time. */
  #readAgainAt = -1;
  /** Where a file that seemed to have ended went on. */
  #goBackTo: Damage | undefined;
  #isStopped = false;

  constructor({ reader, log, startOffset, checkBodyCrc }: WalkOptions, visitor: LogVisitor) {
    this.#reader = reader;
    this.#log = log;
    this.#visitor = visitor;
    this.#checkBodyCrc = checkBodyCrc;
    this.#startOffset = startOffset ?? log.files[0]?.start ?? 0;
    this.#endOffset = this.#startOffset;
  }

  async run(): Promise<LogEnd> {
    const { files } = this.#log;
    for (let index = 0; index < files.length && !this.#isStopped; index++) {
      const file = files[index];
      try {
        await this.#walkFile(file);
      } catch (error) {
        if (codeOf(error) !== "ENOENT" || this.#reader.stat(file.path) !== undefined) throw error;
        this.#visitor.gone?.(file);
      }
      if (this.#goBackTo === undefined) continue;
      this.#startOffset = this.#goBackTo.offset;
      index = files.indexOf(this.#goBackTo.file) - 1;
      this.#goBackTo = undefined;
    }
    const [first] = this.#bad;
    return {
      offset: first?.offset ?? this.#endOffset,
      reason: first?.reason ?? "END",
      garbageOffset: this.#garbageOffset,
      isStopped: this.#isStopped,
    };
  }

  async #walkFile(file: Segment): Promise<void> {
    const end = file.start + Math.min(file.sizeBytes, this.#log.fileBytes);
    let offset = Math.max(file.start, this.#startOffset);
    while (offset < end && !this.#isStopped && this.#goBackTo === undefined) {
      offset = this.#walkBlock(file, offset, end);
      if (await this.#visitor.pause?.(offset) === false) this.#isStopped = true;
    }
  }

  /** @returns where to go on */
  #walkBlock(file: Segment, offset: number, end: number): number {
    const wanted = Math.min(this.#block.length, end - offset);
    const got = this.#read(file, this.#block.subarray(0, wanted), offset);
    if (got === undefined) {
      return this.#onBad({ file, offset, endOffset: end, reason: "UNREADABLE", claimedOffset: undefined });
    }
    const bytes = this.#block.subarray(0, got);
    const isWholeRest = offset + got >= end || got < wanted;
    // Other writers may leave no room for a filler at the end of a file.
    for (let at = 0; offset + at + BLANK_BYTES <= end;) {
      const frame = frameRecord(bytes, at, false);
      if (typeof frame === "object" && frame.physicalOffset === offset + at) {
        if (this.#isWrittenMeanwhile(file)) return offset + at;
        this.#onRecord(file, frame, bytes, at);
        at += frame.totalBytes;
        if (this.#isStopped) return offset + at;
        continue;
      }
      if (frame === "BLANK") return this.#onBlank(file, offset + at, bytes.readInt32BE(at), end);
      if (frame === "TRUNCATED" && !isWholeRest) {
        const size = at === 0 ? bytes.readInt32BE(0) : 0;
        if (at > 0) return offset + at;
        if (size <= end - offset) {
          this.#block = Buffer.allocUnsafeSlow(size + BLANK_BYTES);
          return offset;
        }
      }
      const reason = typeof frame === "object"
        ? "MISPLACED"
        : isZero(bytes, at)
        ? "ZEROS"
        : frame as DamageReason;
      const claimedOffset = typeof frame === "object" ? frame.physicalOffset : undefined;
      return this.#onBad({ file, offset: offset + at, endOffset: end, reason, claimedOffset });
    }
    return end;
  }

  /**
   * A broker writes one file after the other. So when a file has a message, and the one before had come to an end
   * in the middle, it may have gone on since; then the walk goes back to there.
   */
  #isWrittenMeanwhile(file: Segment): boolean {
    const [bad] = this.#bad;
    if (bad === undefined || bad.file === file || bad.reason === "BODY_CRC" || bad.reason === "TORN") {
      return false;
    }
    const end = bad.file.start + Math.min(bad.file.sizeBytes, this.#log.fileBytes);
    if (!this.#isGood(bad.file, bad.offset, end)) return false;
    this.#bad.length = 0;
    this.#garbageOffset = undefined;
    this.#goBackTo = bad;
    return true;
  }

  #onRecord(file: Segment, frame: RecordFrame, bytes: Buffer, at: number): void {
    const offset = frame.physicalOffset;
    const defect = this.#defectOf(frame, bytes, at);
    if (defect === undefined) this.#onGood(offset + frame.totalBytes);
    else {
      const endOffset = offset + frame.totalBytes;
      this.#bad.push({ file, offset, endOffset, reason: defect, claimedOffset: undefined });
      this.#garbageOffset ??= offset;
    }
    if (!this.#visitor.record(frame, bytes, at, defect)) this.#isStopped = true;
  }

  #defectOf(frame: RecordFrame, bytes: Buffer, at: number): "BODY_CRC" | "TORN" | undefined {
    const { bodyAt, bodyBytes, propertiesAt, propertiesBytes } = frame;
    if (this.#checkBodyCrc && bodyBytes > 0) {
      const crc = bodyCrc(bytes.subarray(bodyAt, bodyAt + bodyBytes));
      if (crc !== bytes.readInt32BE(at + 8)) return "BODY_CRC";
    }
    // Properties have no checksum, but nobody ends them with a zero.
    return propertiesBytes > 0 && bytes[propertiesAt + propertiesBytes - 1] === 0 ? "TORN" : undefined;
  }

  #onBlank(file: Segment, offset: number, size: number, end: number): number {
    this.#onGood(end);
    if (size !== end - offset) this.#visitor.wrongBlank?.(file, offset, size, end - offset);
    return end;
  }

  #onGood(endOffset: number): void {
    for (const damage of this.#bad) this.#visitor.damage?.(damage);
    this.#bad.length = 0;
    this.#garbageOffset = undefined;
    this.#endOffset = endOffset;
  }

  /** @returns where the next message begins, the file's end without one, or the place itself, to be read again */
  #onBad(bad: Damage): number {
    const { file, offset, endOffset: end } = bad;
    if (bad.reason !== "ZEROS") this.#garbageOffset ??= offset;
    const next = this.#findNext(file, offset, end);
    if (this.#readAgainAt !== offset && (next < end || bad.reason !== "ZEROS")) {
      this.#readAgainAt = offset;
      return offset;
    }
    this.#bad.push({ ...bad, endOffset: next });
    return next;
  }

  /** The next message or filler behind `offset`; the end of the file without one. Notes bytes that are not zero. */
  #findNext(file: Segment, offset: number, end: number): number {
    const block = Buffer.allocUnsafe(Math.min(BLOCK_BYTES, end - offset));
    for (let from = offset; from < end;) {
      const wanted = Math.min(block.length, end - from);
      const got = this.#read(file, block.subarray(0, wanted), from);
      if (got === undefined) {
        from += SECTOR_BYTES - from % SECTOR_BYTES;
        continue;
      }
      if (got === 0) return end;
      const bytes = block.subarray(0, got);
      if (ZEROS.compare(bytes, 0, got, 0, got) !== 0) {
        if (this.#garbageOffset === undefined) {
          this.#garbageOffset = from + bytes.findIndex((byte) => byte !== 0);
        }
        for (const at of magics(bytes)) {
          const place = from + at - 4;
          if (place > offset && this.#isGood(file, place, end)) return place;
        }
      }
      // A magic may lie across two blocks.
      from += got === wanted && from + got < end ? got - 3 : got;
    }
    return end;
  }

  #isGood(file: Segment, offset: number, end: number): boolean {
    const head = Buffer.alloc(HEAD_BYTES);
    const got = this.#read(file, head, offset) ?? 0;
    if (got >= BLANK_BYTES && head.readInt32BE(4) === MAGIC_BLANK) {
      return head.readInt32BE(0) === end - offset;
    }
    const size = believedLength(head.subarray(0, got), offset);
    if (size === undefined || size > end - offset) return false;
    const bytes = Buffer.allocUnsafe(size);
    return this.#read(file, bytes, offset) === size && typeof frameRecord(bytes, 0, false) === "object";
  }

  /** @returns how many bytes there were; undefined where the disk can't read them */
  #read(file: Segment, target: Buffer, offset: number): number | undefined {
    try {
      return this.#reader.readAt(file.path, target, offset - file.start);
    } catch (error) {
      if (codeOf(error) === "EIO") return undefined;
      throw error;
    }
  }
}

/** Where a magic number may stand. */
function* magics(bytes: Buffer): Generator<number> {
  for (let at = bytes.indexOf(MAGIC_PREFIX); at !== -1; at = bytes.indexOf(MAGIC_PREFIX, at + 1)) {
    if (at + 4 > bytes.length) break;
    const magic = bytes.readInt32BE(at);
    if (magic === MAGIC_V1 || magic === MAGIC_V2) yield at;
  }
  for (let at = bytes.indexOf(BLANK_MAGIC); at !== -1; at = bytes.indexOf(BLANK_MAGIC, at + 1)) yield at;
}

function isZero(bytes: Buffer, at: number): boolean {
  return ZEROS.compare(
    bytes,
    at,
    Math.min(bytes.length, at + BLANK_BYTES),
    0,
    Math.min(bytes.length - at, BLANK_BYTES),
  ) === 0;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

function intBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
