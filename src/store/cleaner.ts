// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import type { CommitLog } from "./commit_log.ts";

const logger = getLogger(["rmq", "store"]);

const HOUR_MS = 3_600_000;
/** After an operator's command, so many rounds delete at any hour. */
const MANUAL_ROUNDS = 20;

export interface CleanOptions {
  deleteAtHours: readonly number[];
  fileReservedHours: number;
  deleteBatchMaxFiles: number;
  cleanForcibly: boolean;
}

/** How full the disk is, judged by the operator's limits. */
export interface DiskState {
  /** Expired files go at any hour. */
  cleanNow: boolean;
  /** Files go even if they have not expired. */
  cleanForcibly: boolean;
}

/**
 * Decides which old files of the log go. The last file never does, and a file goes only after all before it.
 * [RMQ DefaultMessageStore.CleanCommitLogService]
 */
export class Cleaner {
  #log: CommitLog;
  #clock: Clock;
  #options: CleanOptions;
  #manualRounds = 0;

  constructor(log: CommitLog, clock: Clock, options: CleanOptions) {
    this.#log = log;
    this.#clock = clock;
    this.#options = options;
  }

  /** From now on the next rounds delete what has expired, whatever the hour. */
  deleteAtNextRounds(): void {
    this.#manualRounds = MANUAL_ROUNDS;
  }

  /** Whether files may be deleted in this round. */
  isDue(disk: DiskState): boolean {
    if (this.#manualRounds > 0) {
      this.#manualRounds--;
      return true;
    }
    const hour = new Date(this.#clock.nowMs()).getHours();
    return disk.cleanNow || disk.cleanForcibly || this.#options.deleteAtHours.includes(hour);
  }

  /**
   * Deletes the oldest file if its time has come (or, forcibly, at once). @returns whether it did
   * @param settledOffset files that end behind it stay: their messages are needed to make the queues again
   */
  deleteOne(disk: DiskState, settledOffset: number): boolean {
    const oldest = this.#log.oldestFile();
    if (oldest === undefined || oldest.endOffset > settledOffset) return false;
    const expiresMs = oldest.modifiedMs + this.#options.fileReservedHours * HOUR_MS;
    const isForced = disk.cleanForcibly && this.#options.cleanForcibly;
    if (expiresMs > this.#clock.nowMs() && !isForced) return false;
    logger.info("deleting the CommitLog file that starts at {startOffset}", oldest);
    this.#log.deleteOldestFile();
    return true;
  }

  get batchMaxFiles(): number {
    return this.#options.deleteBatchMaxFiles;
  }
}
