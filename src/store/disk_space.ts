// SPDX-License-Identifier: Apache-2.0
import type { Files } from "./files.ts";

/** When a disk counts as filling, in percent of its bytes. */
export interface DiskLimits {
  storeDirectory: string;
  commitLogDirectory: string;
  /** Above: expired files go at any hour. */
  diskMaxUsedPercent: number;
  /** Above: files go even if they have not expired. */
  diskCleanForciblyPercent: number;
  /** Above: nothing is stored any more. */
  diskWarningPercent: number;
}

export interface DiskCheck {
  cleanNow: boolean;
  cleanForcibly: boolean;
  isFull: boolean;
  /** Says how full, for an operator. */
  message: string;
}

/**
 * How full the disks of log and queues are. The system may keep a part of a disk from us, so the used part is
 * taken of what is used or usable. [RMQ UtilAll.getDiskPartitionSpaceUsedPercent, CleanCommitLogService]
 */
export class DiskSpace {
  #files: Files;
  #limits: DiskLimits;

  constructor(files: Files, limits: DiskLimits) {
    this.#files = files;
    this.#limits = limits;
  }

  use(): { commitLogPercent: number; consumeQueuePercent: number } {
    return {
      commitLogPercent: this.#percent(this.#limits.commitLogDirectory),
      consumeQueuePercent: this.#percent(this.#limits.storeDirectory),
    };
  }

  check(): DiskCheck {
    const { commitLogPercent, consumeQueuePercent } = this.use();
    const percent = Math.max(commitLogPercent, consumeQueuePercent);
    const { diskMaxUsedPercent, diskCleanForciblyPercent, diskWarningPercent } = this.#limits;
    return {
      cleanNow: percent > diskMaxUsedPercent,
      cleanForcibly: percent > diskCleanForciblyPercent,
      isFull: percent > diskWarningPercent,
      message: `the disk is ${percent} % full; above ${diskWarningPercent} % (diskSpaceWarningLevelRatio) ` +
        "nothing is stored",
    };
  }

  /** Rounded up; 0 where the file system can't say. */
  #percent(directory: string): number {
    try {
      const { totalBytes, usableBytes, freeBytes } = this.#files.space(directory);
      const usedBytes = totalBytes - freeBytes;
      const reachableBytes = usedBytes + usableBytes;
      return reachableBytes > 0 ? Math.ceil(usedBytes * 100 / reachableBytes) : 0;
    } catch {
      return 0;
    }
  }
}
