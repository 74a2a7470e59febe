// SPDX-License-Identifier: Apache-2.0
/**
 * Outgoing bytes of a connection: frames are encoded one behind the other into buffers from a shared pool,
 * and large bodies are put between them as they are. All that gathered leaves as one `Batch`.
 */
import { Buffer } from "node:buffer";

const BUFFER_BYTES = 65_536;
const POOLED_BUFFERS = 64;
const NO_BYTES = Buffer.alloc(0);

const pool: Buffer[] = [];

/** What goes out with one write: the pieces in order. */
export class Batch {
  constructor(
    readonly pieces: readonly Uint8Array[],
    readonly byteCount: number,
    readonly buffers: readonly Buffer[],
  ) {}

  /** Gives the buffers back, once the kernel has taken all pieces; they must not be used afterwards. */
  recycle(): void {
    for (const buffer of this.buffers) {
      if (pool.length < POOLED_BUFFERS && buffer.length === BUFFER_BYTES) pool.push(buffer);
    }
  }
}

/** 1 for the characters that stand for themselves in a JSON string and take one byte. */
const IS_PLAIN = new Uint8Array(128).map((_, char) => char >= 0x20 && char !== 0x22 && char !== 0x5c ? 1 : 0);

export class ByteWriter {
  /** The buffer now written to, at `at`. Both change when `reserve` is called. */
  bytes: Buffer = NO_BYTES;
  at = 0;
  /** Where the frame being written began: it moves as a whole when a buffer is full. */
  #frameStart = 0;
  /** What of `bytes` lies before this is in `#pieces`. */
  #sealed = 0;
  #pieces: Uint8Array[] = [];
  #buffers: Buffer[] = [];
  #piecesByteCount = 0;

  /** Bytes that `take` would give. */
  get byteCount(): number {
    return this.#piecesByteCount + this.at - this.#sealed;
  }

  /** Begins a frame; `frameStart` tells where it is. */
  beginFrame(): void {
    this.#frameStart = this.at;
  }

  /** Where the frame being written begins in `bytes`, as long as nothing was appended to it by `appendPiece`. */
  get frameStart(): number {
    return this.#frameStart;
  }

  /** Forgets what was written since `beginFrame`. */
  dropFrame(): void {
    this.at = this.#frameStart;
  }

  /** Makes room for `count` more bytes in `bytes`. */
  reserve(count: number): void {
    if (this.at + count > this.bytes.length) this.#moveFrame(count);
  }

  /** Appends bytes without copying them; they must not change until they are sent. */
  appendPiece(piece: Uint8Array): void {
    this.#seal();
    this.#pieces.push(piece);
    this.#piecesByteCount += piece.length;
    this.#frameStart = this.at;
  }

  /** Everything written, to be sent; the writer begins anew. */
  take(): Batch {
    this.#seal();
    if (this.bytes.length > 0) this.#buffers.push(this.bytes);
    const batch = new Batch(this.#pieces, this.#piecesByteCount, this.#buffers);
    this.bytes = NO_BYTES;
    this.at =
      this.#frameStart =
      this.#sealed =
      this.#piecesByteCount =
        0;
    this.#pieces = [];
    this.#buffers = [];
    return batch;
  }

  int16(value: number): void {
    this.reserve(2);
    this.at = this.bytes.writeInt16BE(value, this.at);
  }

  int32(value: number): void {
    this.reserve(4);
    this.at = this.bytes.writeInt32BE(value, this.at);
  }

  /** Copies bytes. */
  raw(source: Uint8Array): void {
    this.reserve(source.length);
    this.bytes.set(source, this.at);
    this.at += source.length;
  }

  /** An integer in decimal ASCII digits. */
  decimal(value: number): void {
    if (value !== (value & 0x7fffffff)) {
      this.utf8(String(value));
      return;
    }
    let digits = 1;
    for (let power = 10; power <= value; power *= 10) digits++;
    this.reserve(digits);
    const end = this.at + digits;
    for (let at = end - 1, rest = value; at >= this.at; at--) {
      const next = (rest / 10) | 0;
      this.bytes[at] = 0x30 + rest - next * 10;
      rest = next;
    }
    this.at = end;
  }

  /** UTF-8 text. */
  utf8(text: string): void {
    this.reserve(text.length);
    if (this.#plain(text)) return;
    const length = Buffer.byteLength(text);
    this.reserve(length);
    this.at += this.bytes.write(text, this.at, "utf8");
  }

  /** A JSON string with its quotes. */
  json(text: string): void {
    this.reserve(text.length + 2);
    this.bytes[this.at++] = 0x22;
    if (this.#plain(text)) {
      this.bytes[this.at++] = 0x22;
      return;
    }
    this.at--;
    this.utf8(JSON.stringify(text));
  }

  /** Writes text of plain characters, for which there is room; false, and nothing written, when there are others. */
  #plain(text: string): boolean {
    const bytes = this.bytes;
    let at = this.at;
    for (let i = 0; i < text.length; i++) {
      const char = text.charCodeAt(i);
      if (char >= 128 || IS_PLAIN[char] === 0) return false;
      bytes[at++] = char;
    }
    this.at = at;
    return true;
  }

  /** Continues in another buffer, with what the current frame has so far. */
  #moveFrame(count: number): void {
    const begun = this.bytes.subarray(this.#frameStart, this.at);
    const needed = begun.length + count;
    const buffer = needed <= BUFFER_BYTES
      ? pool.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
      : Buffer.allocUnsafeSlow(needed * 2);
    buffer.set(begun, 0);
    this.at = this.#frameStart;
    this.#seal();
    if (this.bytes.length > 0) this.#buffers.push(this.bytes);
    this.bytes = buffer;
    this.#frameStart = this.#sealed = 0;
    this.at = begun.length;
  }

  #seal(): void {
    if (this.at === this.#sealed) return;
    this.#pieces.push(this.bytes.subarray(this.#sealed, this.at));
    this.#piecesByteCount += this.at - this.#sealed;
    this.#sealed = this.at;
  }
}
