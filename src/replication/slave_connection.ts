// SPDX-License-Identifier: Apache-2.0
/**
 * A master's side of the connection to one slave: pushes the log from where the slave's first report says, and
 * keeps what later reports acknowledge. Nothing is sent before that first report. [RMQ DefaultHAConnection]
 *
 * Bytes are read in blocks, from memory where the slave keeps up, and leave with one write per block. As long as
 * the kernel has not taken two blocks, the log is not read: a slow slave costs two buffers.
 */
import { Buffer } from "node:buffer";
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../base/clock.ts";
import type { BytePipe } from "./pipe.ts";
import { RateLimit } from "./rate_limit.ts";
import type { SlaveState, SourceLog } from "./types.ts";
import { FRAME_HEAD_BYTES, MAX_BODY_BYTES, ReportReader, writeFrameHead } from "./wire.ts";

const logger = getLogger(["rmq", "replication"]);

/** Read and sent at once. */
const BLOCK_BYTES = 512 << 10;
/** Of each connection; while the kernel takes one, the next is read. */
const BUFFERS = 2;
/** Apache allows so little that a body could be empty; that would be a sign of life. */
const MIN_BODY_BYTES = 256;

/** Timers of those who wait may come later than they should. */
const TIMER_MARGIN_MS = 1000;

export interface TransferOptions {
  store: SourceLog;
  clock: Clock;
  /** Which end of the log slaves may have. */
  sends: "WRITTEN" | "FLUSHED";
  /** Bytes in one frame. */
  batchBytes: number;
  /** Each connection sends no more; Infinity: as much as it can. */
  maxBytesPerSecond: number;
  /** A connection on which nothing was sent for so long gets a sign of life. */
  heartbeatIntervalMs: number;
  /** A slave that lacks as much is not in sync. */
  maxGapBytes: number;
  /** A slave without data begins with the last file, as Apache has it, not with the oldest one. */
  startAtLastFile: boolean;
  /** No sender waits longer than this for slaves. */
  longestWaitMs: number;
}

export class SlaveConnection {
  readonly #options: TransferOptions;
  readonly #pipe: BytePipe;
  readonly #initialEnd: number;
  readonly #onAcked: () => void;
  readonly #reports = new ReportReader();
  readonly #rate: RateLimit;
  readonly #bodyBytes: number;
  readonly #buffers: Buffer[] = [];
  #bufferCount = 0;
  /** Where the next frame begins; undefined before the first report. */
  #nextOffset: number | undefined;
  #ackedOffset = 0;
  /** While it runs, nothing that the slave says is believed: see `#believeLater`. */
  #probation: Timer | undefined;
  #isClosed = false;
  #isReading = false;
  #waitsForRate: Timer | undefined;
  #lastReadMs: number;
  #lastSentMs: number;

  /**
   * @param initialEnd nobody waits for slaves to have what is before this offset
   * @param onAcked called when the slave has acknowledged more
   */
  constructor(options: TransferOptions, initialEnd: number, pipe: BytePipe, onAcked: () => void) {
    this.#options = options;
    this.#initialEnd = initialEnd;
    this.#pipe = pipe;
    this.#onAcked = onAcked;
    this.#rate = new RateLimit(options.clock, options.maxBytesPerSecond);
    this.#bodyBytes = Math.min(Math.max(options.batchBytes, MIN_BODY_BYTES), MAX_BODY_BYTES);
    this.#lastReadMs = this.#lastSentMs = options.clock.monotonicMs();
  }

  get address(): string {
    return this.#pipe.remote;
  }

  /** Whether its first report has come. */
  get isKnown(): boolean {
    return this.#nextOffset !== undefined;
  }

  /** Up to where the slave surely has what anybody waits for; -1 while that is not known. Never falls. */
  get provenOffset(): number {
    return this.isKnown && this.#probation === undefined ? this.#ackedOffset : -1;
  }

  get isInSync(): boolean {
    return this.isKnown && this.#gapBytes < this.#options.maxGapBytes;
  }

  get #gapBytes(): number {
    return Math.max(0, this.#options.store.writtenOffset - this.#ackedOffset);
  }

  get state(): SlaveState {
    return {
      address: this.address,
      ackedOffset: this.#ackedOffset,
      transferredOffset: this.#nextOffset ?? 0,
      gapBytes: this.#gapBytes,
      isInSync: this.isInSync,
      transferredBytesPerSecond: this.#rate.bytesPerSecond,
    };
  }

  onData(bytes: Buffer): void {
    if (this.#isClosed) return;
    this.#lastReadMs = this.#options.clock.monotonicMs();
    const report = this.#reports.read(bytes);
    if (report === undefined) return;
    if (this.#nextOffset === undefined) this.#begin(report);
    else this.#acknowledge(report);
  }

  onClosed(): void {
    this.#isClosed = true;
    this.#waitsForRate?.cancel();
    this.#probation?.cancel();
  }

  /** Sends what the slave may have and does not. To be called when there is more. */
  push = (): void => {
    while (this.#canRead()) {
      const buffer = this.#buffers.pop() ?? this.#newBuffer();
      if (buffer === undefined) return;
      const bytes = this.#wantedBytes();
      const bodies = Math.ceil(bytes / this.#bodyBytes);
      let read: number | Promise<number>;
      try {
        read = this.#options.store.readLog(buffer, bodies * FRAME_HEAD_BYTES, this.#nextOffset!, bytes);
      } catch (error) {
        return this.#onReadFailed(error);
      }
      if (typeof read !== "number") {
        this.#isReading = true;
        void read.then(
          (count) => this.#onRead(buffer, bodies, count),
          (error) => this.#onReadFailed(error),
        );
        return;
      }
      if (!this.#send(buffer, bodies, read)) return;
    }
  };

  /** Ends a connection that is silent, and gives a sign of life; to be called now and then. */
  keepAlive(housekeepingIntervalMs: number): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#lastReadMs > housekeepingIntervalMs) {
      return this.#close(`it has said nothing for ${Math.round(nowMs - this.#lastReadMs)} ms`, "warn");
    }
    if (this.#nextOffset === undefined || nowMs - this.#lastSentMs < this.#options.heartbeatIntervalMs) {
      return;
    }
    // What was not taken yet keeps the slave's connection alive as well.
    if (this.#bufferCount > this.#buffers.length) return;
    this.#sendHeartbeat();
  }

  close(): void {
    this.#isClosed = true;
    this.#pipe.close();
  }

  /** The first report says where the slave wants to go on. */
  #begin(report: number): void {
    const { store, startAtLastFile } = this.#options;
    const { minPhysicalOffset: minOffset, maxPhysicalOffset: endOffset } = store;
    if (!this.#isPossible(report)) return;
    let start = report;
    if (report === 0) {
      start = startAtLastFile ? endOffset - endOffset % store.logFileBytes : minOffset;
    } else if (report < minOffset) {
      return this.#close(
        `it has the log up to offset ${report}, and what follows has been deleted here (the log begins at ` +
          `${minOffset}). Stop it, move its store away and start it again: then it copies everything that is left`,
        "error",
      );
    }
    // One that has a part of a file has what is before; one that asks for a whole file may be empty.
    if (start > this.#initialEnd && report % store.logFileBytes === 0) this.#believeLater();
    this.#nextOffset = start;
    this.#ackedOffset = report;
    logger.info("slave {address} follows from offset {start} on, {gap} bytes behind", {
      address: this.address,
      start,
      gap: endOffset - start,
    });
    this.#onAcked();
    this.push();
    // One that has everything learns at once that it follows.
    if (this.#bufferCount === 0) this.#sendHeartbeat();
  }

  /**
   * An empty slave that begins with the last file does not have what is before. Its reports read as if it had, so
   * they don't count as long as a sender may wait for any of that.
   */
  #believeLater(): void {
    this.#probation = this.#options.clock.after(this.#options.longestWaitMs + TIMER_MARGIN_MS, () => {
      this.#probation = undefined;
      if (!this.#isClosed) this.#onAcked();
    });
  }

  #acknowledge(report: number): void {
    if (report <= this.#ackedOffset || !this.#isPossible(report)) return;
    this.#ackedOffset = report;
    this.#onAcked();
  }

  /** A slave can't have more than its master: its log is another one. It is not counted, and never cut. */
  #isPossible(report: number): boolean {
    const { maxPhysicalOffset: endOffset } = this.#options.store;
    const sentEnd = this.#nextOffset === undefined ? endOffset : this.#nextOffset;
    if (report >= 0 && report <= endOffset && report <= Math.max(sentEnd, this.#ackedOffset)) return true;
    this.#close(
      `it says that it has the log up to offset ${report}, but ${
        report > endOffset ? `the log ends at ${endOffset} here` : `only what is before ${sentEnd} was sent`
      }. It may hold messages that this master has lost, so nothing is sent to it. If they are not wanted, stop ` +
        "it, move its store away and start it again",
      "error",
    );
    return false;
  }

  #sendHeartbeat(): void {
    if (this.#isClosed) return;
    const heartbeat = Buffer.alloc(FRAME_HEAD_BYTES);
    writeFrameHead(heartbeat, this.#nextOffset!, 0, 0);
    this.#lastSentMs = this.#options.clock.monotonicMs();
    this.#pipe.write(heartbeat, () => {});
  }

  #canRead(): boolean {
    if (
      this.#nextOffset === undefined || this.#isClosed || this.#isReading || this.#waitsForRate !== undefined
    ) {
      return false;
    }
    if (this.#nextOffset >= this.#limit()) return false;
    if (this.#rate.allowance > 0) return true;
    this.#waitsForRate = this.#options.clock.after(this.#rate.msToNextWindow, () => {
      this.#waitsForRate = undefined;
      this.push();
    });
    return false;
  }

  #limit(): number {
    const { store, sends } = this.#options;
    return sends === "FLUSHED" ? store.flushedOffset : store.writtenOffset;
  }

  #newBuffer(): Buffer | undefined {
    if (this.#bufferCount === BUFFERS) return undefined;
    this.#bufferCount++;
    return Buffer.allocUnsafeSlow(
      BLOCK_BYTES + (Math.ceil(BLOCK_BYTES / this.#bodyBytes) + 1) * FRAME_HEAD_BYTES,
    );
  }

  /** What goes with the next write: of one file, whole frames if there is enough. */
  #wantedBytes(): number {
    const offset = this.#nextOffset!;
    const { logFileBytes } = this.#options.store;
    const fileRest = logFileBytes - offset % logFileBytes;
    const block = Math.max(this.#bodyBytes, BLOCK_BYTES - BLOCK_BYTES % this.#bodyBytes);
    return Math.min(this.#limit() - offset, fileRest, Math.min(block, BLOCK_BYTES), this.#rate.allowance);
  }

  #onRead(buffer: Buffer, bodies: number, count: number): void {
    this.#isReading = false;
    if (!this.#isClosed && this.#send(buffer, bodies, count)) this.push();
  }

  #onReadFailed(error: unknown): void {
    this.#close(`the log can't be read at offset ${this.#nextOffset}: ${(error as Error).message}`, "error");
  }

  /**
   * Sends what was read behind the room for `bodies` heads: each frame's body is moved to its head.
   * @returns false where the log did not have it
   */
  #send(buffer: Buffer, bodies: number, count: number): boolean {
    const offset = this.#nextOffset!;
    if (count <= 0) {
      this.#close(`what follows offset ${offset} has been deleted here; it has to begin anew`, "error");
      return false;
    }
    const bodyBytes = this.#bodyBytes;
    let from = bodies * FRAME_HEAD_BYTES;
    const end = from + count;
    let at = from - Math.ceil(count / bodyBytes) * FRAME_HEAD_BYTES;
    const start = at;
    for (let sent = 0; from < end; sent += bodyBytes) {
      const bytes = Math.min(bodyBytes, end - from);
      writeFrameHead(buffer, offset + sent, bytes, at);
      at += FRAME_HEAD_BYTES;
      if (at !== from) buffer.copyWithin(at, from, from + bytes);
      at += bytes;
      from += bytes;
    }
    this.#nextOffset = offset + count;
    this.#rate.add(count);
    this.#lastSentMs = this.#options.clock.monotonicMs();
    this.#pipe.write(buffer.subarray(start, at), () => {
      this.#buffers.push(buffer);
      this.push();
    });
    return true;
  }

  #close(reason: string, level: "warn" | "error"): void {
    if (this.#isClosed) return;
    logger[level]("closing the connection to slave {address}: {reason}", { address: this.address, reason });
    this.close();
  }
}
