// SPDX-License-Identifier: Apache-2.0
/**
 * The file `config/timercheck`: how far timers have come, 4096 bytes of which 56 mean something. They lie within
 * one sector, so a power cut leaves the old or the new ones. [RMQ TimerCheckpoint]
 *
 * ```
 *  0 readTime 8 · 8 logFlushPosition 8 · 16 queueOffset 8 · 24 masterQueueOffset 8
 * 32 data version: stateVersion 8 · timestamp 8 · counter 8
 * ```
 */
import { Buffer } from "node:buffer";
import { dirname } from "node:path";
import { getLogger } from "@logtape/logtape";
import { readLong, writeLong } from "../../protocol/record.ts";
import type { Files, StoreFile } from "../files.ts";

const logger = getLogger(["rmq", "store"]);

const FILE_BYTES = 4096;
const BYTES = 56;

export interface TimerCheckpointValues {
  /** Slots before this moment are delivered. */
  readTimeMs: number;
  /** The timer log is durable up to here, and the wheel knows its units. */
  logFlushPosition: number;
  /** Messages of the timer topic before this queue offset are in the wheel, or delivered. */
  queueOffset: number;
  /** The same of the one who delivers; ahead of `queueOffset` where the wheel has yet to be made again. */
  masterQueueOffset: number;
  dataVersion: { readonly stateVersion: number; readonly timestampMs: number; readonly counter: number };
}

const NOTHING: TimerCheckpointValues = {
  readTimeMs: 0,
  logFlushPosition: 0,
  queueOffset: 0,
  masterQueueOffset: 0,
  dataVersion: { stateVersion: 0, timestampMs: 0, counter: 0 },
};

export class TimerCheckpoint {
  #path: string;
  #files: Files;
  #file: StoreFile | undefined;
  #values: TimerCheckpointValues;

  private constructor(path: string, files: Files) {
    this.#path = path;
    this.#files = files;
    this.#file = files.stat(path) === undefined ? undefined : files.open(path);
    this.#values = this.#read();
  }

  /** The file is made by the first `write`. Values that can't be are taken for none. */
  static open(path: string, files: Files): TimerCheckpoint {
    return new TimerCheckpoint(path, files);
  }

  get values(): Readonly<TimerCheckpointValues> {
    return this.#values;
  }

  /** Durable when the promise resolves. */
  async write(values: TimerCheckpointValues): Promise<void> {
    this.#put(values);
    await this.#file!.sync();
    this.#values = values;
  }

  /** The same, blocking. */
  writeNow(values: TimerCheckpointValues): void {
    this.#put(values);
    this.#file!.syncNow();
    this.#values = values;
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #put(values: TimerCheckpointValues): void {
    if (this.#file === undefined) {
      this.#file = this.#files.create(this.#path, FILE_BYTES);
      this.#files.syncDirectory(dirname(this.#path));
    } else if (this.#file.sizeBytes() < FILE_BYTES) {
      this.#file.truncate(FILE_BYTES);
    }
    this.#file.writeAt(encodeTimerCheckpoint(values), 0);
  }

  #read(): TimerCheckpointValues {
    const bytes = Buffer.alloc(BYTES);
    if (this.#file === undefined || this.#file.readAt(bytes, 0) === 0) return NOTHING;
    const values = decodeTimerCheckpoint(bytes);
    const { readTimeMs, logFlushPosition, queueOffset, masterQueueOffset } = values;
    const numbers = [readTimeMs, logFlushPosition, queueOffset, masterQueueOffset];
    if (numbers.every((number) => number >= 0 && Number.isSafeInteger(number))) return values;
    logger.error("{path} is damaged: timed messages that were delivered are delivered once more", {
      path: this.#path,
    });
    return NOTHING;
  }
}

/** As in the file, and as answered to GET_TIMER_CHECK_POINT. */
export function encodeTimerCheckpoint(values: TimerCheckpointValues): Buffer {
  const { dataVersion } = values;
  const bytes = Buffer.alloc(BYTES);
  const numbers = [
    ...[values.readTimeMs, values.logFlushPosition, values.queueOffset, values.masterQueueOffset],
    ...[dataVersion.stateVersion, dataVersion.timestampMs, dataVersion.counter],
  ];
  for (const [index, number] of numbers.entries()) writeLong(bytes, number, index * 8);
  return bytes;
}

/** @param bytes 32 or more: brokers before 5.1 know no data version */
export function decodeTimerCheckpoint(bytes: Buffer): TimerCheckpointValues {
  const number = (index: number) => bytes.length >= index * 8 + 8 ? readLong(bytes, index * 8) : 0;
  return {
    readTimeMs: number(0),
    logFlushPosition: number(1),
    queueOffset: number(2),
    masterQueueOffset: number(3),
    dataVersion: { stateVersion: number(4), timestampMs: number(5), counter: number(6) },
  };
}
