// SPDX-License-Identifier: Apache-2.0
/**
 * How late the timers of a server's event loop are while it works. The executable that is measured is the one that
 * operators run: the recorder comes in from outside, by a file that Bun is told to load first (`BUN_OPTIONS`), and
 * records only between two signals, so that it costs nothing otherwise.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** Lateness of a timer; what holds the loop for long shows in `maxMicros`. */
export interface LoopDelay {
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly maxMicros: number;
}

/** What the recorder writes, once per signal. */
interface Note {
  readonly signals: number;
  readonly delay?: LoopDelay;
}

const recorder = fileURLToPath(new URL("loop_delay_recorder.mjs", import.meta.url));
const SIGNAL_TIMEOUT_MS = 10_000;
const POLL_MS = 5;

export class LoopDelayMeter {
  #file: string;
  #signals = 0;
  /** Of the server, once it runs. */
  pid = 0;

  /** @param file that doesn't exist yet, for the recorder */
  constructor(file: string) {
    this.#file = file;
  }

  /** What the server is to be started with. */
  get environment(): Record<string, string> {
    return { BUN_OPTIONS: `--preload=${recorder}`, RMQ_BENCH_LOOP_DELAY: this.#file };
  }

  async begin(): Promise<void> {
    await this.#signal();
  }

  /** @returns of the time since `begin`; undefined where the executable has loaded no recorder */
  async end(): Promise<LoopDelay | undefined> {
    return (await this.#signal())?.delay;
  }

  async #signal(): Promise<Note | undefined> {
    if (this.#read() === undefined) return undefined; // the signal would end it
    this.#signals++;
    process.kill(this.pid, "SIGUSR2");
    for (let waitedMs = 0; waitedMs < SIGNAL_TIMEOUT_MS; waitedMs += POLL_MS) {
      const note = this.#read();
      if (note?.signals === this.#signals) return note;
      await delay(POLL_MS);
    }
    throw new Error("the server's recorder of loop delays does not answer");
  }

  #read(): Note | undefined {
    try {
      return JSON.parse(readFileSync(this.#file, "utf8"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }
}
