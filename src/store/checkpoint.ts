// SPDX-License-Identifier: Apache-2.0
/**
 * The file `checkpoint`: up to which store time everything is durable, 4096 bytes of which the first 40 mean
 * something. [RMQ StoreCheckpoint]
 *
 * ```
 * physicMsgTimestamp 8 (CommitLog) · logicsMsgTimestamp 8 (ConsumeQueues) · indexMsgTimestamp 8
 * masterFlushedOffset 8 · confirmPhyOffset 8                                (the last two not in 4.9)
 * ```
 * The 40 bytes lie within one sector, so a power cut leaves the old or the new ones.
 */
import { Buffer } from "node:buffer";
import { dirname } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import { readLong, writeLong } from "../protocol/record.ts";
import type { Files, StoreFile } from "./files.ts";

const logger = getLogger(["rmq", "store"]);

const FILE_BYTES = 4096;
/** Clocks may have been set back by so much. */
const DAY_MS = 86_400_000;

export interface CheckpointValues {
  physicMsgTimestampMs: number;
  logicsMsgTimestampMs: number;
  indexMsgTimestampMs: number;
  masterFlushedOffset: number;
  confirmPhysicalOffset: number;
}

const PLACES: readonly [keyof CheckpointValues, number][] = [
  ["physicMsgTimestampMs", 0],
  ["logicsMsgTimestampMs", 8],
  ["indexMsgTimestampMs", 16],
  ["masterFlushedOffset", 24],
  ["confirmPhysicalOffset", 32],
];

export class Checkpoint {
  #file: StoreFile;
  #values: CheckpointValues;

  private constructor(file: StoreFile, values: CheckpointValues) {
    this.#file = file;
    this.#values = values;
  }

  /**
   * Opens or creates the file. Values that can't be, such as times to come, are taken as 0: recovery then looks
   * at more of the log.
   */
  static open(files: Files, path: string, clock: Clock): Checkpoint {
    const isThere = files.stat(path) !== undefined;
    const file = isThere ? files.open(path) : files.create(path, FILE_BYTES);
    const bytes = Buffer.alloc(40);
    try {
      if (file.sizeBytes() < FILE_BYTES) file.truncate(FILE_BYTES);
      if (!isThere) files.syncDirectory(dirname(path));
      file.readAt(bytes, 0);
    } catch (error) {
      file.close();
      throw error;
    }
    const values = {} as CheckpointValues;
    for (const [name, at] of PLACES) {
      const value = readLong(bytes, at);
      const latest = name.endsWith("TimestampMs") ? clock.nowMs() + DAY_MS : Number.MAX_SAFE_INTEGER;
      const isPlausible = value >= 0 && value <= latest;
      if (!isPlausible) logger.warn("{path}: {name} can't be {value}; taken as 0", { path, name, value });
      values[name] = isPlausible ? value : 0;
    }
    return new Checkpoint(file, values);
  }

  get values(): Readonly<CheckpointValues> {
    return this.#values;
  }

  /** Changes values in memory; `flush` makes them durable. */
  update(values: Partial<CheckpointValues>): void {
    this.#values = { ...this.#values, ...values };
  }

  async flush(): Promise<void> {
    const bytes = Buffer.alloc(40);
    for (const [name, at] of PLACES) writeLong(bytes, this.#values[name], at);
    this.#file.writeAt(bytes, 0);
    await this.#file.sync();
  }

  close(): void {
    this.#file.close();
  }
}
