// SPDX-License-Identifier: Apache-2.0
/**
 * The slave's end of replication: fetches the master's log and appends it, byte for byte. [RMQ DefaultHAClient]
 *
 * Before it follows a master it compares the logs, and follows only if its own is a part of the master's; otherwise
 * it says so again and again, and waits for an operator. It reports what is *written*, under SYNC flush what is
 * *flushed*, of whole records only, as soon as that has grown. Lost connections are made again.
 */
import { Buffer } from "node:buffer";
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../base/clock.ts";
import { compareWithMaster } from "./comparison.ts";
import type { BytePipe, Network } from "./pipe.ts";
import { RateLimit } from "./rate_limit.ts";
import { tcpNetwork } from "./tcp.ts";
import type { FollowerState, MasterProbe, ReplicaLog, SlavePhase } from "./types.ts";
import { FrameReader, REPORT_BYTES, writeOffset } from "./wire.ts";

const logger = getLogger(["rmq", "replication"]);

const CONNECT_TIMEOUT_MS = 5000;
/** A lost connection is made again at once, then less and less often. */
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5000;
/** What only an operator can mend is said again after so long. */
const REPEAT_PROBLEM_MS = 60_000;
/** A master that has not flushed yet does not show its newest messages: a difference is looked at so many times. */
const LOOKS_AT_DIFFERENCE = 2;
const SECOND_LOOK_MS = 1000;
/** Where so much comes at once, more is under way. While a slave catches up, a report for all of it only costs time. */
const BULK_BYTES = 60 << 10;
/** In bulk a report leaves when so much more is safe, or after so long. */
const BULK_REPORT_BYTES = 256 << 10;
const BULK_REPORT_MS = 1;
/** Under SYNC flush, how far the network may run ahead of the disk. */
const MAX_UNFLUSHED_BYTES = 64 << 20;
/** The first byte of a log is the highest one of a length, which is 0 unless a message has 16 MiB. */
const FIRST_BYTE = Buffer.of(0);

export interface ReplicationSlaveOptions {
  store: ReplicaLog;
  clock: Clock;
  /** SYNC: only what is flushed is reported. */
  flushMode: "SYNC" | "ASYNC";
  /** At least so often the master is sent a report. */
  heartbeatIntervalMs: number;
  /** A master that has sent nothing for so long is taken for gone. */
  housekeepingIntervalMs: number;
  /** Without data, begin with the master's last file and not with its oldest one. */
  startAtLastFile: boolean;
  network?: Network;
}

/** Whom a slave follows. */
export interface MasterToFollow {
  /** `host:port` of its replication port. */
  haAddress: string;
  probe: MasterProbe;
}

export class ReplicationSlave {
  readonly #options: ReplicationSlaveOptions;
  readonly #network: Network;
  readonly #rate: RateLimit;
  readonly #listeners: (() => void)[] = [];
  #master: MasterToFollow | undefined;
  #phase: SlavePhase = "IDLE";
  #problem: string | undefined;
  #complaint = "";
  #complaintMs = -Infinity;
  #differences = 0;
  /** Changes when the master or the connection does: what was begun for another one ends. */
  #attempt = 0;
  #pipe: BytePipe | undefined;
  #retryMs = FIRST_RETRY_MS;
  #retry: Timer | undefined;
  #timer: Timer;
  #isPaused = false;
  #isClosed = false;
  /** What the master was asked for, until it has answered. */
  #startOffset: number | undefined;
  /** The end of the log when the connection was made. */
  #connectedEnd = 0;
  #reported = -1;
  /** From the connection on, until the master has nothing more at once: nobody can wait for what is under way. */
  #isBulk = false;
  #bulkReport: Timer | undefined;
  #lastReportMs = 0;
  #lastReadMs = 0;
  #lastReportWallMs = 0;
  #lastReadWallMs = 0;

  /** Does nothing before `follow`. */
  constructor(options: ReplicationSlaveOptions) {
    this.#options = options;
    this.#network = options.network ?? tcpNetwork;
    const { clock, heartbeatIntervalMs, housekeepingIntervalMs, store } = options;
    this.#rate = new RateLimit(clock, Infinity);
    const lookMs = Math.max(1, Math.min(heartbeatIntervalMs, housekeepingIntervalMs) / 4);
    this.#timer = clock.every(lookMs, () => this.#keepAlive());
    if (options.flushMode === "ASYNC") store.onWritten(() => this.#reportGrowth());
    else store.onWatermark(() => this.#reportGrowth());
  }

  get state(): FollowerState {
    return {
      phase: this.#phase,
      masterAddress: this.#master?.haAddress,
      problem: this.#problem,
      lastReadMs: this.#lastReadWallMs,
      lastReportMs: this.#lastReportWallMs,
      receivedBytesPerSecond: this.#rate.bytesPerSecond,
    };
  }

  /** Calls `listener` when the phase has changed. */
  onPhase(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Follows this master from now on, and tries for as long as it takes; undefined: none. The same one again is no change. */
  follow(master: MasterToFollow | undefined): void {
    if (this.#isClosed) return;
    const isSame = master !== undefined && master.haAddress === this.#master?.haAddress;
    this.#master = master;
    if (isSame) return;
    this.#disconnect();
    this.#problem = undefined;
    this.#differences = 0;
    this.#retryMs = FIRST_RETRY_MS;
    if (master === undefined) this.#enter("IDLE");
    else this.#seek();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer.cancel();
    this.#disconnect();
    this.#enter("IDLE");
  }

  #enter(phase: SlavePhase): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    for (const listener of this.#listeners) listener();
  }

  /** Ends what is under way, and what it may have half received. */
  #disconnect(): void {
    this.#attempt++;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#bulkReport?.cancel();
    this.#bulkReport = undefined;
    const pipe = this.#pipe;
    this.#pipe = undefined;
    this.#isPaused = false;
    this.#reported = -1;
    this.#options.store.dropUnfinished();
    pipe?.close();
  }

  #seek(): void {
    const attempt = ++this.#attempt;
    if (this.#phase !== "REFUSING") this.#enter("SEEKING");
    void this.#connect(attempt).catch((error) => {
      if (attempt === this.#attempt) this.#onLost((error as Error).message);
    });
  }

  /** Compares, connects and asks for what comes next. */
  async #connect(attempt: number): Promise<void> {
    const { store, startAtLastFile } = this.#options;
    const { haAddress, probe } = this.#master!;
    const isOver = () => attempt !== this.#attempt;
    // The master goes on where the first report says: everything that is here has to be in it.
    await store.flush();
    if (isOver()) return;
    const compared = await compareWithMaster({ store, probe, startAtLastFile });
    if (isOver()) return;
    if (!compared.fits) return this.#refuse(compared.problem);
    this.#differences = 0;
    const pipe = await this.#network.connect(haAddress, CONNECT_TIMEOUT_MS);
    if (isOver()) return pipe.close();
    this.#pipe = pipe;
    const frames = new FrameReader({
      onHead: (offset, bodyBytes) => this.#onFrame(offset, bodyBytes),
      onBody: (offset, bytes) => store.appendReplicated(offset, bytes),
    });
    pipe.listen({
      onData: (bytes) => {
        if (pipe === this.#pipe) this.#onData(frames, bytes);
      },
      onClose: (reason) => {
        if (pipe === this.#pipe) this.#onLost(reason);
      },
    });
    this.#lastReadMs = this.#options.clock.monotonicMs();
    logger.info("following the master {haAddress} from offset {start} on", {
      haAddress,
      start: compared.startOffset,
    });
    this.#begin(compared.startOffset, compared.masterEnd);
  }

  /** The first report. Apache's master takes 0 for "from the last file on": one that begins at 0 is asked for byte 1. */
  #begin(startOffset: number, masterEnd: number): void {
    const { store, startAtLastFile } = this.#options;
    this.#startOffset = startOffset;
    this.#connectedEnd = store.writtenOffset;
    this.#isBulk = true;
    if (startOffset === 0 && masterEnd > 0 && store.maxPhysicalOffset === 0 && !startAtLastFile) {
      store.appendReplicated(0, FIRST_BYTE);
      this.#send(FIRST_BYTE.length);
    } else {
      this.#send(startOffset);
    }
  }

  #onFrame(physicalOffset: number, bodyBytes: number): void {
    const { store, startAtLastFile } = this.#options;
    if (bodyBytes < 0) throw new Error(`the master sends a frame of ${bodyBytes} bytes`);
    const { minPhysicalOffset, maxPhysicalOffset, replicatedOffset } = store;
    const mayBegin = maxPhysicalOffset === minPhysicalOffset && replicatedOffset === maxPhysicalOffset &&
      (physicalOffset === this.#startOffset || (this.#startOffset === 0 && startAtLastFile));
    if (physicalOffset === replicatedOffset || mayBegin) {
      this.#startOffset = undefined;
      this.#problem = undefined;
      this.#enter("FOLLOWING");
      return;
    }
    throw new Error(`the master goes on at offset ${physicalOffset}, not at ${store.replicatedOffset}`);
  }

  #onData(frames: FrameReader, bytes: Buffer): void {
    const { store, clock } = this.#options;
    this.#lastReadMs = clock.monotonicMs();
    this.#rate.add(bytes.length);
    this.#isBulk &&= bytes.length >= BULK_BYTES;
    try {
      try {
        frames.read(bytes);
      } finally {
        store.writeReplicated();
      }
    } catch (error) {
      this.#onLost((error as Error).message, true);
      return;
    }
    if (store.writtenOffset > this.#connectedEnd) this.#retryMs = FIRST_RETRY_MS;
    this.#pauseIfAhead();
  }

  #pauseIfAhead(): void {
    const { store, flushMode } = this.#options;
    const isAhead = flushMode === "SYNC" && store.writtenOffset - store.flushedOffset > MAX_UNFLUSHED_BYTES;
    if (isAhead === this.#isPaused) return;
    this.#isPaused = isAhead;
    if (isAhead) this.#pipe?.pause();
    else this.#pipe?.resume();
  }

  /** Says what is safe here, if that is more than the master knows. */
  #reportGrowth(): void {
    const offset = this.#safeOffset();
    if (this.#pipe === undefined || offset <= this.#reported) return;
    if (this.#isPaused) this.#pauseIfAhead();
    if (this.#isBulk && offset - this.#reported < BULK_REPORT_BYTES) {
      this.#bulkReport ??= this.#options.clock.after(BULK_REPORT_MS, () => {
        this.#bulkReport = undefined;
        if (this.#pipe !== undefined && this.#safeOffset() > this.#reported) this.#send(this.#safeOffset());
      });
      return;
    }
    this.#send(offset);
  }

  #safeOffset(): number {
    const { store, flushMode } = this.#options;
    return flushMode === "SYNC" ? store.flushedOffset : store.writtenOffset;
  }

  #send(offset: number): void {
    const { clock } = this.#options;
    const report = Buffer.allocUnsafe(REPORT_BYTES);
    writeOffset(report, offset, 0);
    this.#reported = offset;
    this.#lastReportMs = clock.monotonicMs();
    this.#lastReportWallMs = clock.nowMs();
    this.#pipe!.write(report, () => {});
  }

  #keepAlive(): void {
    if (this.#pipe === undefined) return;
    const { clock, heartbeatIntervalMs, housekeepingIntervalMs } = this.#options;
    const nowMs = clock.monotonicMs();
    const silentMs = nowMs - this.#lastReadMs;
    if (silentMs > housekeepingIntervalMs && !this.#isPaused) {
      this.#onLost(`it has said nothing for ${Math.round(silentMs)} ms`);
    } else if (nowMs - this.#lastReportMs >= heartbeatIntervalMs) {
      this.#send(Math.max(this.#reported, this.#safeOffset()));
    }
  }

  /** The logs do not fit: said loudly now and then, and looked at again, since an operator may mend the master. */
  #refuse(problem: string): void {
    if (++this.#differences < LOOKS_AT_DIFFERENCE) {
      this.#retryAfter(SECOND_LOOK_MS);
      return;
    }
    this.#complain("not following the master {master}: {reason}", problem);
    this.#problem = problem;
    this.#enter("REFUSING");
    this.#retryAfter(MAX_RETRY_MS);
  }

  #onLost(reason: string, isSevere = false): void {
    const master = this.#master?.haAddress;
    const wasFollowing = this.#pipe !== undefined;
    this.#disconnect();
    if (isSevere) this.#complain("lost the master {master}: {reason}", reason);
    else if (wasFollowing) logger.warn("lost the master {master}: {reason}", { master, reason });
    else logger.debug("can't follow the master {master} yet: {reason}", { master, reason });
    if (this.#phase !== "REFUSING") {
      this.#problem = reason;
      this.#enter("SEEKING");
    }
    this.#retryAfter(this.#retryMs);
    this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2);
  }

  /** Tells an operator, and again when it has not gone after a while. */
  #complain(message: string, reason: string): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (reason === this.#complaint && nowMs - this.#complaintMs < REPEAT_PROBLEM_MS) return;
    this.#complaint = reason;
    this.#complaintMs = nowMs;
    logger.error(message, { master: this.#master?.haAddress, reason });
  }

  #retryAfter(delayMs: number): void {
    this.#retry = this.#options.clock.after(delayMs, () => {
      this.#retry = undefined;
      this.#seek();
    });
  }
}
