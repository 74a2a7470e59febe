// SPDX-License-Identifier: Apache-2.0
/**
 * The connection of a TCP socket, on either side. Bytes come in as chunks and are served frame by frame in
 * their order; what is sent gathers until the end of the turn and leaves with one write.
 *
 * Memory is bounded in both directions: a socket is not read while too many requests of its peer are under
 * way or too many answers wait for the peer to read them, and it is closed when answers pile up all the same.
 * Nothing that came in is dropped, so a fast sender is slowed down by TCP itself.
 */
import { getLogger } from "@logtape/logtape";
import type { Socket } from "node:net";
import { setImmediate } from "node:timers";
import type { Clock, Timer } from "../base/clock.ts";
import { atEndOfTurn } from "../base/turn.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { type Batch, ByteWriter } from "./byte_writer.ts";
import { readFrame, writeRequest, writeResponse } from "./codec.ts";
import { type Command, FLAG_RESPONSE, type OutgoingRequest, type Response } from "./command.ts";
import { type Connection, formatAddress, type HostAddress } from "./connection.ts";
import type { Dispatch } from "./dispatch.ts";
import { FrameCutter } from "./frame.ts";
import { hostAddress } from "./host_address.ts";
import { FrameError, RemotingIoError } from "./remoting_error.ts";
import { Request } from "./request.ts";

const logger = getLogger(["rmq", "remoting"]);

export interface ConnectionLimits {
  /** Reading stops while more bytes than this wait to be sent. */
  unsentPauseBytes: number;
  /** A connection with more unsent bytes than this is closed. */
  unsentMaxBytes: number;
  /** Reading stops at this many unanswered requests, until half of them are answered or released. */
  underWayRequests: number;
  /** Reading stops at this many bytes in bodies of unanswered requests, until half of them are gone. */
  underWayBodyBytes: number;
}

export const DEFAULT_LIMITS: ConnectionLimits = {
  unsentPauseBytes: 1 << 20,
  unsentMaxBytes: 64 << 20,
  underWayRequests: 8192,
  underWayBodyBytes: 64 << 20,
};

export interface SocketConnectionOptions {
  /** Serves what the peer asks. */
  dispatch: Dispatch;
  clock: Clock;
  limits?: Partial<ConnectionLimits>;
  /**
   * Close when a call times out and nothing at all has come since it was sent: then the peer's machine is
   * gone, and a new connection finds out faster than TCP does.
   */
  closeWhenSilent?: boolean;
}

/** How long a closed connection waits for its peer to take the last bytes. */
const LINGER_MS = 5000;

interface Call {
  resolve(command: Command): void;
  reject(error: Error): void;
  timer: Timer;
}

let lastId = 0;

export class SocketConnection implements Connection {
  readonly id = ++lastId;
  readonly remote: HostAddress;
  readonly local: HostAddress;
  readonly #socket: Socket;
  readonly #dispatch: Dispatch;
  readonly #clock: Clock;
  readonly #limits: ConnectionLimits;
  readonly #closeWhenSilent: boolean;
  readonly #cutter = new FrameCutter();
  readonly #writer = new ByteWriter();
  readonly #calls = new Map<number, Call>();
  #closed = false;
  #closeListeners: (() => void)[] = [];
  #lastOpaque = 0;
  #receivedChunks = 0;
  /** Chunks that came while reading was paused. */
  #waitingChunks: Uint8Array[] = [];
  #isPaused = false;
  /** The peer ended its side while reading was paused. */
  #hasEnded = false;
  #isFlushPending = false;
  #isResumePending = false;
  /** What is being written: the pieces before `#nextPiece` were handed to the socket. */
  #batch: Batch | null = null;
  #nextPiece = 0;
  #takenPieces = 0;
  #underWayRequests = 0;
  #underWayBodyBytes = 0;
  #isActive = true;
  #activeAtMs: number;

  /** `socket` must be connected, and made with `allowHalfOpen`, or the last answers are lost when the peer ends. */
  constructor(socket: Socket, options: SocketConnectionOptions) {
    this.#socket = socket;
    this.#dispatch = options.dispatch;
    this.#clock = options.clock;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#closeWhenSilent = options.closeWhenSilent ?? false;
    this.#activeAtMs = options.clock.monotonicMs();
    // A socket that was closed in the meantime has no addresses any more.
    this.remote = hostAddress(socket.remoteAddress ?? "0.0.0.0", socket.remotePort ?? 0);
    this.local = hostAddress(socket.localAddress ?? "0.0.0.0", socket.localPort ?? 0);
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    socket.on("end", () => this.#onEnd());
    socket.on("error", (error) => logger.debug("{peer}: {error}", { peer: this.#peer, error }));
    socket.on("close", () => this.#onSocketClosed());
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Bytes that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.#writer.byteCount + (this.#batch?.byteCount ?? 0);
  }

  respond(request: Command, response: Response): void {
    if (this.#closed) return;
    try {
      writeResponse(this.#writer, request, response);
    } catch (error) {
      logger.error("the answer to request {code} can't be encoded: {error}", { code: request.code, error });
      this.#writer.dropFrame();
      writeResponse(this.#writer, request, { code: ResponseCode.SYSTEM_ERROR, remark: String(error) });
    }
    this.#flushAtEndOfTurn();
  }

  request(request: OutgoingRequest, timeoutMs: number): Promise<Command> {
    if (this.#closed) return Promise.reject(new RemotingIoError(`the connection to ${this.#peer} is closed`));
    const opaque = this.#nextOpaque();
    try {
      writeRequest(this.#writer, request, opaque, false);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#flushAtEndOfTurn();
    const receivedBefore = this.#receivedChunks;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => this.#onTimeout(opaque, timeoutMs, receivedBefore));
      this.#calls.set(opaque, { resolve, reject, timer });
    });
  }

  notify(request: OutgoingRequest): void {
    if (this.#closed) return;
    writeRequest(this.#writer, request, this.#nextOpaque(), true);
    this.#flushAtEndOfTurn();
  }

  close(): void {
    if (this.#closed) return;
    this.#writeRest();
    this.#socket.end();
    // Reads on, so that the end of the peer's side is seen; what comes is thrown away.
    this.#socket.resume();
    const timer = this.#clock.after(LINGER_MS, () => this.#socket.destroy());
    this.#socket.once("close", () => timer.cancel());
    this.#becomeClosed();
  }

  onClose(listener: () => void): void {
    if (this.#closed) listener();
    else this.#closeListeners.push(listener);
  }

  /** Called now and then: closes when nothing was read or written for `idleTimeoutMs`. */
  closeIfIdle(idleTimeoutMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#isActive) {
      this.#isActive = false;
      this.#activeAtMs = nowMs;
    } else if (nowMs - this.#activeAtMs >= idleTimeoutMs) {
      logger.info("closing {peer}: idle", { peer: this.#peer });
      this.close();
    }
  }

  get #peer(): string {
    return formatAddress(this.remote);
  }

  #onData(chunk: Uint8Array): void {
    if (this.#closed) return;
    this.#isActive = true;
    this.#receivedChunks++;
    if (this.#isPaused) {
      this.#waitingChunks.push(chunk);
      return;
    }
    this.#cutter.push(chunk);
    this.#serveFrames();
  }

  /** The peer sends no more; what it sent is served all the same. */
  #onEnd(): void {
    if (this.#isPaused) this.#hasEnded = true;
    else this.close();
  }

  #serveFrames(): void {
    try {
      while (this.#cutter.next()) {
        this.#serve(readFrame(this.#cutter.bytes, this.#cutter.start, this.#cutter.end));
        if (this.#closed) return;
        if (this.#isFull()) {
          this.#isPaused = true;
          this.#socket.pause();
          return;
        }
      }
    } catch (error) {
      const level = error instanceof FrameError ? "warn" : "error";
      logger[level]("closing {peer}: {error}", { peer: this.#peer, error });
      this.close();
    }
  }

  #serve(command: Command): void {
    if ((command.flag & FLAG_RESPONSE) !== 0) {
      this.#settle(command.opaque)?.resolve(command);
      return;
    }
    this.#underWayRequests++;
    this.#underWayBodyBytes += command.body?.length ?? 0;
    this.#dispatch.handle(new Request(command, this, this.#onAnswered));
  }

  readonly #onAnswered = (request: Request): void => {
    this.#underWayRequests--;
    this.#underWayBodyBytes -= request.body?.length ?? 0;
    if (this.#isPaused) this.#resumeLater();
  };

  #isFull(): boolean {
    return this.#underWayRequests >= this.#limits.underWayRequests ||
      this.#underWayBodyBytes >= this.#limits.underWayBodyBytes ||
      this.unsentBytes >= this.#limits.unsentPauseBytes;
  }

  #hasRoom(): boolean {
    return this.#underWayRequests <= this.#limits.underWayRequests / 2 &&
      this.#underWayBodyBytes <= this.#limits.underWayBodyBytes / 2 &&
      this.unsentBytes <= this.#limits.unsentPauseBytes / 2;
  }

  /** Not at once: whoever made room may be in the middle of serving another connection's request. */
  #resumeLater(): void {
    if (this.#isResumePending || !this.#hasRoom()) return;
    this.#isResumePending = true;
    setImmediate(this.#resume);
  }

  readonly #resume = (): void => {
    this.#isResumePending = false;
    if (this.#closed || !this.#isPaused || !this.#hasRoom()) return;
    this.#isPaused = false;
    this.#serveFrames();
    while (!this.#isPaused && !this.#closed && this.#waitingChunks.length > 0) {
      this.#cutter.push(this.#waitingChunks.shift()!);
      this.#serveFrames();
    }
    if (this.#isPaused || this.#closed) return;
    if (this.#hasEnded) this.close();
    else this.#socket.resume();
  };

  #flushAtEndOfTurn(): void {
    if (this.#isFlushPending) return;
    this.#isFlushPending = true;
    atEndOfTurn("send", this.#flush);
  }

  /**
   * While the kernel has not taken all of one batch, the next one gathers: pieces queued in the socket would
   * be joined there by copying.
   */
  readonly #flush = (): void => {
    this.#isFlushPending = false;
    if (this.#closed) return;
    if (this.unsentBytes > this.#limits.unsentMaxBytes) {
      this.#destroyUnread();
    } else if (this.#batch === null && this.#writer.byteCount > 0) {
      this.#batch = this.#writer.take();
      this.#writePieces(this.#batch);
    }
  };

  #writePieces(batch: Batch): void {
    while (this.#nextPiece < batch.pieces.length) {
      this.#socket.write(batch.pieces[this.#nextPiece++], this.#onTaken);
      if (this.#socket.writableLength > 0) return;
    }
  }

  readonly #onTaken = (error?: Error | null): void => {
    const batch = this.#batch;
    if (error || this.#closed || batch === null) return;
    this.#isActive = true;
    if (++this.#takenPieces < this.#nextPiece) return;
    if (this.#nextPiece < batch.pieces.length) {
      this.#writePieces(batch);
      return;
    }
    batch.recycle();
    this.#batch = null;
    this.#nextPiece = this.#takenPieces = 0;
    if (this.#writer.byteCount > 0) this.#flushAtEndOfTurn();
    if (this.#isPaused) this.#resumeLater();
  };

  /** Hands everything to the socket, whether the kernel takes it now or not. */
  #writeRest(): void {
    for (const batch of [this.#batch, this.#writer.take()]) {
      const pieces = batch?.pieces.slice(this.#nextPiece) ?? [];
      this.#nextPiece = 0;
      for (const piece of pieces) this.#socket.write(piece);
    }
  }

  #destroyUnread(): void {
    const bytes = this.unsentBytes;
    logger.warn("closing {peer}: it does not read, and {bytes} bytes wait for it", {
      peer: this.#peer,
      bytes,
    });
    this.#socket.destroy();
    this.#becomeClosed();
  }

  #nextOpaque(): number {
    return this.#lastOpaque = (this.#lastOpaque + 1) & 0x7fffffff;
  }

  #settle(opaque: number): Call | undefined {
    const call = this.#calls.get(opaque);
    if (call === undefined) return undefined;
    this.#calls.delete(opaque);
    call.timer.cancel();
    return call;
  }

  #onTimeout(opaque: number, timeoutMs: number, receivedBefore: number): void {
    this.#settle(opaque)?.reject(new RemotingIoError(`${this.#peer} did not answer within ${timeoutMs} ms`));
    if (this.#closeWhenSilent && this.#receivedChunks === receivedBefore) this.close();
  }

  #onSocketClosed(): void {
    if (!this.#closed) this.#becomeClosed();
  }

  #becomeClosed(): void {
    this.#closed = true;
    this.#waitingChunks = [];
    for (const opaque of [...this.#calls.keys()]) {
      this.#settle(opaque)!.reject(new RemotingIoError(`the connection to ${this.#peer} was closed`));
    }
    for (const listener of this.#closeListeners.splice(0)) {
      try {
        listener();
      } catch (error) {
        logger.error("a listener to the closing of {peer} failed: {error}", { peer: this.#peer, error });
      }
    }
  }
}
