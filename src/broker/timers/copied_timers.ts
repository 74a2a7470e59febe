// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import { join } from "node:path";
import { asBuffer } from "../../protocol/record.ts";
import type { Files } from "../../store/files.ts";
import {
  decodeTimerCheckpoint,
  encodeTimerCheckpoint,
  TimerCheckpoint,
  type TimerCheckpointValues,
} from "../../store/timer/timer_checkpoint.ts";
import type { JsonFile } from "../json_file.ts";

/** The log that is copied. */
export interface CopiedLog {
  readonly writtenOffset: number;
  /** Resolves when what was written before is durable. @throws when a flush has failed */
  flush(): Promise<void>;
}

/** Answers shorter than this hold no checkpoint. */
const MIN_BYTES = 32;

/**
 * What a broker that delivers no timed messages keeps of one that does: how far it has come. The wheel is not copied.
 * Should this broker become the master, it makes one of the messages that it has, and leaves out what was delivered.
 */
export class CopiedTimers {
  readonly #checkpoint: TimerCheckpoint;
  readonly #metrics: JsonFile;
  /** Tells of copies of delivered messages that lie before `endOffset` of the master's log. */
  #offered: { answer: Uint8Array; endOffset: number } | undefined;

  /** @param metrics the file `timermetrics` @throws what the disk says */
  constructor(files: Files, storeDirectory: string, metrics: JsonFile) {
    this.#checkpoint = TimerCheckpoint.open(join(storeDirectory, "config", "timercheck"), files);
    this.#metrics = metrics;
  }

  /** As answered to GET_TIMER_CHECK_POINT; undefined where there is none. */
  checkpoint(): Buffer | undefined {
    const { values } = this.#checkpoint;
    return values.readTimeMs === 0 ? undefined : encodeTimerCheckpoint(values);
  }

  /**
   * Takes an answer to GET_TIMER_CHECK_POINT as soon as the log here holds what it tells of: should the master be lost
   * before, what it had delivered last is delivered again.
   * @param endOffset of the master's log, after the answer came
   * @throws what the disk says
   */
  async offerCheckpoint(answer: Uint8Array, endOffset: number, log: CopiedLog): Promise<void> {
    const latest = { answer, endOffset };
    const reached = [latest, this.#offered].find((offered) =>
      offered !== undefined && offered.endOffset <= log.writtenOffset
    );
    if (reached !== latest && (reached !== undefined || this.#offered === undefined)) this.#offered = latest;
    if (reached === undefined) return;
    if (reached === latest) this.#offered = undefined;
    await log.flush();
    this.adoptCheckpoint(reached.answer);
  }

  /** Takes an answer to GET_TIMER_CHECK_POINT. @throws what the disk says */
  adoptCheckpoint(answer: Uint8Array): void {
    if (answer.length < MIN_BYTES) return;
    const { readTimeMs, masterQueueOffset, dataVersion } = decodeTimerCheckpoint(asBuffer(answer));
    const numbers = [readTimeMs, masterQueueOffset];
    if (!numbers.every((number) => number >= 0 && Number.isSafeInteger(number))) return;
    const values = { readTimeMs, logFlushPosition: 0, queueOffset: 0, masterQueueOffset, dataVersion };
    if (!isSame(values, this.#checkpoint.values)) this.#checkpoint.writeNow(values);
  }

  /** Takes an answer to GET_TIMER_METRICS. @throws RemotingError when it can't be written */
  adoptMetrics(answer: unknown): void {
    this.#metrics.write(answer);
  }

  close(): void {
    this.#checkpoint.close();
  }
}

function isSame(a: TimerCheckpointValues, b: TimerCheckpointValues): boolean {
  return a.readTimeMs === b.readTimeMs && a.masterQueueOffset === b.masterQueueOffset;
}
