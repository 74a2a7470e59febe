// SPDX-License-Identifier: Apache-2.0
/**
 * What goes over a replication connection. [RMQ DefaultHAConnection, DefaultHAClient]
 *
 * ```
 * slave → master   report: slaveMaxOffset 8
 * master → slave   frame:  physicalOffset 8 · bodyBytes 4 · body (bytes of the log; none: a sign of life)
 * ```
 * A body lies within one file of the log and may begin and end anywhere in a record.
 */
import { Buffer } from "node:buffer";

export const REPORT_BYTES = 8;
export const FRAME_HEAD_BYTES = 12;
/** Apache's slave has a buffer of 4 MiB and waits for ever for a frame that does not fit. */
export const MAX_BODY_BYTES = (4 << 20) - FRAME_HEAD_BYTES;

export function writeOffset(target: Buffer, offset: number, at: number): void {
  target.writeUInt32BE(Math.floor(offset / 0x100000000), at);
  target.writeUInt32BE(offset % 0x100000000, at + 4);
}

/** Beyond the safe range a number that is no offset of any log. */
export function readOffset(source: Buffer, at: number): number {
  return source.readInt32BE(at) * 0x100000000 + source.readUInt32BE(at + 4);
}

export function writeFrameHead(target: Buffer, physicalOffset: number, bodyBytes: number, at: number): void {
  writeOffset(target, physicalOffset, at);
  target.writeInt32BE(bodyBytes, at + 8);
}

/** Finds the last whole report in what a slave sends; reports come in pieces, and several at once. */
export class ReportReader {
  #rest = Buffer.alloc(REPORT_BYTES);
  #restBytes = 0;

  /** @returns the newest whole report of these bytes; undefined without one */
  read(bytes: Buffer): number | undefined {
    const total = this.#restBytes + bytes.length;
    const wholeEnd = total - total % REPORT_BYTES;
    if (wholeEnd === 0) {
      bytes.copy(this.#rest, this.#restBytes);
      this.#restBytes = total;
      return undefined;
    }
    // The last report begins in what was kept only if nothing but its own rest has come.
    const lastAt = wholeEnd - REPORT_BYTES - this.#restBytes;
    let report: number;
    if (lastAt < 0) {
      bytes.copy(this.#rest, this.#restBytes);
      report = readOffset(this.#rest, 0);
    } else {
      report = readOffset(bytes, lastAt);
    }
    const restAt = wholeEnd - this.#restBytes;
    this.#restBytes = total - wholeEnd;
    bytes.copy(this.#rest, 0, restAt);
    return report;
  }
}

/** Whom a `FrameReader` tells of what it finds. */
export interface FrameListener {
  /** A frame begins. Throws to refuse it. */
  onHead(physicalOffset: number, bodyBytes: number): void;
  /** A part of its body, or all of it. */
  onBody(physicalOffset: number, bytes: Buffer): void;
}

/** Cuts a master's bytes into frames. Bodies are passed on as they come, in pieces, so nothing is gathered here. */
export class FrameReader {
  readonly #listener: FrameListener;
  #head = Buffer.alloc(FRAME_HEAD_BYTES);
  #headBytes = 0;
  /** Where the next byte of the frame's body belongs. */
  #bodyOffset = 0;
  #bodyRest = 0;

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  /** @throws what the listener throws; nothing can be read any more then */
  read(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      at += this.#bodyRest > 0 ? this.#takeBody(bytes, at) : this.#takeHead(bytes, at);
    }
  }

  #takeBody(bytes: Buffer, at: number): number {
    const count = Math.min(this.#bodyRest, bytes.length - at);
    const offset = this.#bodyOffset;
    this.#bodyOffset += count;
    this.#bodyRest -= count;
    this.#listener.onBody(offset, bytes.subarray(at, at + count));
    return count;
  }

  #takeHead(bytes: Buffer, at: number): number {
    const count = Math.min(FRAME_HEAD_BYTES - this.#headBytes, bytes.length - at);
    bytes.copy(this.#head, this.#headBytes, at, at + count);
    this.#headBytes += count;
    if (this.#headBytes === FRAME_HEAD_BYTES) {
      this.#headBytes = 0;
      this.#bodyOffset = readOffset(this.#head, 0);
      const bodyBytes = this.#head.readInt32BE(8);
      this.#bodyRest = Math.max(0, bodyBytes);
      this.#listener.onHead(this.#bodyOffset, bodyBytes);
    }
    return count;
  }
}
