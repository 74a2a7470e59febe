// SPDX-License-Identifier: Apache-2.0
/**
 * The directory of one broker's store: where things are, whether it may be used, and how it was left.
 *
 * `lock` is locked while a process has the store, `abort` exists while one runs and is left behind by one that
 * did not stop properly. (`abort.bak` means nothing: Apache always leaves it.) [RMQ StorePathConfigHelper]
 */
import { join } from "node:path";
import { pid } from "node:process";
import { getLogger } from "@logtape/logtape";
import { type FileLock, lockFile } from "../base/runtime/file_lock.ts";
import type { Files } from "./files.ts";
import { makeDurableDirectory } from "./make_directory.ts";
import { StoreCorruptError } from "./types.ts";

const logger = getLogger(["rmq", "store"]);

/** Parts of Apache's stores that hold messages or metadata which we would not see. */
const NOT_BUILT: readonly (readonly [path: string, what: string])[] = [
  ["batchconsumequeue", "queues of inner batches (queue.type=BatchCQ)"],
  ["consumequeue_ext", "extended queues (enableConsumeQueueExt)"],
  ["consumequeue_r", "queues in RocksDB (storeType=defaultRocksDB)"],
  ["kvStore", "a POP store in RocksDB (popConsumerKVServiceEnable)"],
  ["config/topics", "topics in RocksDB (configManagerVersion=v2 or storeType=defaultRocksDB)"],
  ["config/subscriptionGroups", "subscription groups in RocksDB"],
  ["config/consumerOffsets", "consumer offsets in RocksDB"],
  ["config/rdb", "metadata in RocksDB (configManagerVersion=v2)"],
];

/** Parts whose messages stay where they are: said, so that nobody waits for them. */
const LEFT_ALONE: readonly (readonly [path: string, what: string])[] = [
  ["timerlog", "messages with a delivery time (TIMER_…) that are still to come are not delivered"],
  ["compaction", "compaction topics are served from the CommitLog, uncompacted"],
];

export interface StoreDirectoryOptions {
  files: Files;
  storeDirectory: string;
  commitLogDirectory: string;
}

export class StoreDirectory {
  readonly path: string;
  /** Whether the last process that had the store stopped properly. */
  readonly wasStoppedCleanly: boolean;
  #files: Files;
  #lock: FileLock | undefined;

  /**
   * Takes the directory for this process, and marks it as in use.
   * @throws an error with a sentence when another process has it, or when it holds what can't be served
   */
  static async take(options: StoreDirectoryOptions): Promise<StoreDirectory> {
    const { files, storeDirectory } = options;
    makeDurableDirectory(files, storeDirectory);
    const lock = files.isOnDisk ? await lockFile(join(storeDirectory, "lock")) : undefined;
    try {
      refuseWhatIsNotBuilt(files, storeDirectory);
      return new StoreDirectory(options, lock);
    } catch (error) {
      lock?.release();
      throw error;
    }
  }

  private constructor(options: StoreDirectoryOptions, lock: FileLock | undefined) {
    this.path = options.storeDirectory;
    this.#files = options.files;
    this.#lock = lock;
    this.wasStoppedCleanly = this.#files.stat(this.abort) === undefined;
    makeDurableDirectory(this.#files, options.commitLogDirectory);
    makeDurableDirectory(this.#files, this.consumeQueue);
    makeDurableDirectory(this.#files, this.index);
    this.#files.replace(this.abort, new TextEncoder().encode(String(pid)));
  }

  get consumeQueue(): string {
    return join(this.path, "consumequeue");
  }

  get index(): string {
    return join(this.path, "index");
  }

  get checkpoint(): string {
    return join(this.path, "checkpoint");
  }

  get abort(): string {
    return join(this.path, "abort");
  }

  /** Everything is written and durable: the next start need not check. */
  markClean(): void {
    this.#files.remove(this.abort);
    this.#files.syncDirectory(this.path);
  }

  /** Lets other processes have the directory. */
  release(): void {
    this.#lock?.release();
    this.#lock = undefined;
  }
}

function refuseWhatIsNotBuilt(files: Files, directory: string): void {
  for (const [path, what] of NOT_BUILT) {
    if (files.list(join(directory, path)).length === 0) continue;
    throw new StoreCorruptError(
      join(directory, path),
      `the store holds ${what}, which this broker can't serve yet; nothing was changed`,
    );
  }
  for (const [path, what] of LEFT_ALONE) {
    if (files.list(join(directory, path)).length > 0) {
      logger.warn("{path}: {what}", { path: join(directory, path), what });
    }
  }
}
