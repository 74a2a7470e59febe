// SPDX-License-Identifier: Apache-2.0
/**
 * Cuts a byte stream into frames. [RMQ NettyDecoder, RemotingCommand]
 *
 * ```
 * 0   int32   L, what follows: 4 + H + B
 * 4   uint8   header encoding: 0 JSON, 1 ROCKETMQ
 * 5   uint24  H, length of the header
 * 8   H bytes header
 * …   B bytes body, B = L - 4 - H
 * ```
 */
import { Buffer } from "node:buffer";
import { FrameError } from "./remoting_error.ts";

/** Longest frame that peers take, the length field included. [RMQ com.rocketmq.remoting.frameMaxLength] */
export const MAX_FRAME_BYTES = 16_777_216;

/** Bytes of a frame before its header. */
export const FRAME_PREFIX_BYTES = 8;

const LENGTH_BYTES = 4;
const FIRST_GATHER_BYTES = 4096;
const NO_BYTES = Buffer.alloc(0);

/**
 * Frames out of chunks as a socket delivers them. `push` a chunk, then call `next` until it is false:
 *
 * A frame that lies inside one chunk is a range of that chunk. One that spans chunks is gathered in a buffer
 * of its own, which grows with what has really come, whatever length was announced.
 */
export class FrameCutter {
  /** After `next()` was true, the frame is `bytes[start..end)`, from its length field on. */
  bytes: Buffer = NO_BYTES;
  start = 0;
  end = 0;
  #chunk: Buffer = NO_BYTES;
  #at = 0;
  /** A length field that is not whole yet. */
  #stub: Buffer = NO_BYTES;
  #gathered: Buffer | null = null;
  #gatheredBytes = 0;
  #gatheredFrameBytes = 0;
  #isFirst = true;

  /** Adds bytes, which must not change afterwards. Only when `next()` has become false. */
  push(chunk: Uint8Array): void {
    const bytes = chunk instanceof Buffer ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#chunk = this.#stub.length > 0 ? Buffer.concat([this.#stub, bytes]) : bytes;
    this.#stub = NO_BYTES;
    this.#at = 0;
  }

  /**
   * Moves to the next whole frame; false when more bytes are needed.
   * @throws FrameError when the stream can't be a sequence of frames; the cutter is of no use afterwards
   */
  next(): boolean {
    if (this.#gathered !== null) return this.#nextGathered();
    const left = this.#chunk.length - this.#at;
    if (left < LENGTH_BYTES) {
      this.#stub = Buffer.from(this.#chunk.subarray(this.#at));
      this.#dropChunk();
      return false;
    }
    const frameBytes = this.#frameBytes(this.#chunk, this.#at);
    if (left < frameBytes) {
      this.#gatheredFrameBytes = frameBytes;
      this.#gathered = NO_BYTES;
      this.#take(left);
      return false;
    }
    this.bytes = this.#chunk;
    this.start = this.#at;
    this.end = this.#at += frameBytes;
    return true;
  }

  /** Bytes allotted to an unfinished frame. */
  get reservedBytes(): number {
    return this.#gathered === null ? this.#stub.length : this.#gathered.length;
  }

  #nextGathered(): boolean {
    this.#take(Math.min(this.#gatheredFrameBytes - this.#gatheredBytes, this.#chunk.length - this.#at));
    if (this.#gatheredBytes < this.#gatheredFrameBytes) return false;
    this.bytes = this.#gathered!;
    this.start = 0;
    this.end = this.#gatheredFrameBytes;
    this.#gathered = null;
    this.#gatheredBytes = 0;
    return true;
  }

  /** Moves `count` bytes from the chunk to what is gathered, whose room follows what has come. */
  #take(count: number): void {
    const bytes = this.#gatheredBytes + count;
    if (bytes > this.#gathered!.length) {
      const room = Math.min(Math.max(bytes * 4, FIRST_GATHER_BYTES), this.#gatheredFrameBytes);
      const grown = Buffer.allocUnsafeSlow(room);
      this.#gathered!.copy(grown, 0, 0, this.#gatheredBytes);
      this.#gathered = grown;
    }
    this.#chunk.copy(this.#gathered!, this.#gatheredBytes, this.#at, this.#at + count);
    this.#gatheredBytes = bytes;
    this.#at += count;
    if (this.#at === this.#chunk.length) this.#dropChunk();
  }

  #dropChunk(): void {
    this.#chunk = NO_BYTES;
    this.#at = 0;
  }

  /** The length of the frame at `at`, its length field included. */
  #frameBytes(bytes: Buffer, at: number): number {
    const length = bytes.readInt32BE(at);
    const frameBytes = length + LENGTH_BYTES;
    if (length < LENGTH_BYTES || frameBytes > MAX_FRAME_BYTES) throw foreignBytes(length, this.#isFirst);
    this.#isFirst = false;
    return frameBytes;
  }
}

/** What the first bytes of other protocols look like when read as a length. */
const FOREIGN: readonly (readonly [firstWord: number, text: string])[] = [
  [0x50524f58, "the PROXY protocol is not supported"],
  [0x0d0a0d0a, "the PROXY protocol (version 2) is not supported"],
  [0x47455420, "this port does not speak HTTP"],
  [0x504f5354, "this port does not speak HTTP"],
];

function foreignBytes(word: number, isFirst: boolean): FrameError {
  if (isFirst) {
    // A TLS record of type handshake, version 3.x.
    if (word >>> 16 === 0x1603) return new FrameError("TLS is not supported");
    for (const [firstWord, text] of FOREIGN) if (firstWord === word) return new FrameError(text);
  }
  return new FrameError(`a frame can't have the length ${word}`);
}
