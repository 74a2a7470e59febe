// SPDX-License-Identifier: Apache-2.0
import type { Clock, Timer } from "../base/clock.ts";
import type { CommitLog } from "./commit_log.ts";

const PAGE_BYTES = 4096;

export interface FlushOptions {
  /** SYNC: as soon as somebody waits; ASYNC: by time and amount. */
  flushMode: "SYNC" | "ASYNC";
  commitLogFlushIntervalMs: number;
  /** ASYNC: fewer dirty pages wait for the thorough interval. */
  commitLogFlushMinPages: number;
  commitLogFlushThoroughIntervalMs: number;
}

/**
 * Moves the log's *flushed* watermark. One `fdatasync` runs at a time; what is written meanwhile makes the
 * next group. A sync that failed is never tried again, since the kernel may have dropped the pages: `onFailure`
 * is told, once, and nothing is flushed any more.
 */
export class LogFlusher {
  #log: CommitLog;
  #clock: Clock;
  #options: FlushOptions;
  #onFlushed: () => void;
  #onFailure: (error: unknown) => void;
  #timer: Timer;
  #running: Promise<void> | undefined;
  #isWanted = false;
  #hasFailed = false;
  #lastThoroughMs: number;

  constructor(
    log: CommitLog,
    clock: Clock,
    options: FlushOptions,
    onFlushed: () => void,
    onFailure: (error: unknown) => void,
  ) {
    this.#log = log;
    this.#clock = clock;
    this.#options = options;
    this.#onFlushed = onFlushed;
    this.#onFailure = onFailure;
    this.#lastThoroughMs = clock.monotonicMs();
    this.#timer = clock.every(options.commitLogFlushIntervalMs, () => this.#onTimer());
  }

  /** Sees to it that what is written now will be flushed as soon as the device allows. */
  request(): void {
    this.#isWanted = true;
    if (this.#running === undefined && !this.#hasFailed) this.#running = this.#run();
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Nothing is flushed any more: what the disk holds is not known. */
  giveUp(): void {
    this.#hasFailed = true;
  }

  /** Resolves when what is written now is flushed. @throws when a flush has failed */
  async flushed(): Promise<void> {
    const target = this.#log.writtenOffset;
    while (this.#log.flushedOffset < target && !this.#hasFailed) {
      this.request();
      await this.#running;
    }
    if (this.#hasFailed) throw new Error("a flush of the CommitLog had failed");
  }

  /** Stops the timer and waits until everything written is flushed. @throws what the sync said */
  async stop(): Promise<void> {
    this.#timer.cancel();
    await this.#running;
    await this.flushed();
  }

  async #run(): Promise<void> {
    try {
      while (this.#isWanted && !this.#hasFailed) {
        this.#isWanted = false;
        const { writtenOffset } = this.#log;
        await this.#log.sync(writtenOffset);
        // Given up meanwhile: the sync that went well does not tell of what another one has lost.
        if (this.#hasFailed) return;
        this.#log.markFlushed(writtenOffset);
        this.#onFlushed();
      }
    } catch (error) {
      this.#hasFailed = true;
      this.#onFailure(error);
    } finally {
      this.#running = undefined;
    }
  }

  #onTimer(): void {
    const unflushed = this.#log.writtenOffset - this.#log.flushedOffset;
    if (unflushed === 0) return;
    const nowMs = this.#clock.monotonicMs();
    const isThorough = nowMs - this.#lastThoroughMs >= this.#options.commitLogFlushThoroughIntervalMs;
    if (isThorough) this.#lastThoroughMs = nowMs;
    const minBytes = this.#options.commitLogFlushMinPages * PAGE_BYTES;
    if (isThorough || this.#options.flushMode === "SYNC" || unflushed >= minBytes) this.request();
  }
}
