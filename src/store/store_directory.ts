// SPDX-License-Identifier: Apache-2.0
/**
 * The directory of one broker's store: where things are, whether it may be used, and how it was left.
 *
 * `lock` is locked while a process has the store, `abort` exists while one runs and is left behind by one that
 * did not stop properly. (`abort.bak` means nothing: Apache always leaves it.) [RMQ StorePathConfigHelper]
 * `abort` holds the process id, and after a sync that failed, from where on the log may not be on the disk.
 *
 * An Apache broker that is started on the directory by mistake takes `abort` away before it finds the lock. So
 * `rmq/in_use` says the same for us, and `abort` is put back.
 */
import { dirname, join } from "node:path";
import { pid } from "node:process";
import { getLogger } from "@logtape/logtape";
import { type FileLock, lockFile } from "../base/runtime/file_lock.ts";
import type { Files } from "./files.ts";
import { makeDurableDirectory } from "./make_directory.ts";
import { refuseWhatIsNotBuilt, warnOfWhatIsLeftAlone } from "./store_contents.ts";

const logger = getLogger(["rmq", "store"]);

export interface StoreDirectoryOptions {
  files: Files;
  storeDirectory: string;
  commitLogDirectory: string;
}

export class StoreDirectory {
  readonly path: string;
  /** Whether the last process that had the store stopped properly. */
  readonly wasStoppedCleanly: boolean;
  /**
   * From here on the log may be in the page cache only, where it looks as if it were durable: a process could
   * not sync it.
   */
  #doubtfulFrom: number | undefined;
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
      warnOfWhatIsLeftAlone(files, storeDirectory);
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
    const isMarked = [this.abort, this.inUse].some((path) => this.#files.stat(path) !== undefined);
    this.wasStoppedCleanly = !isMarked;
    if (!this.wasStoppedCleanly) this.#doubtfulFrom = this.#readDoubt();
    makeDurableDirectory(this.#files, options.commitLogDirectory);
    makeDurableDirectory(this.#files, this.consumeQueue);
    makeDurableDirectory(this.#files, this.index);
    this.#files.replace(this.abort, mark(this.#doubtfulFrom));
    makeDurableDirectory(this.#files, dirname(this.inUse));
    this.#files.replace(this.inUse, mark(undefined));
  }

  get consumeQueue(): string {
    return join(this.path, "consumequeue");
  }

  get consumeQueueExtension(): string {
    return join(this.path, "consumequeue_ext");
  }

  get index(): string {
    return join(this.path, "index");
  }

  get checkpoint(): string {
    return join(this.path, "checkpoint");
  }

  /** Ours, outside of the directories where Apache minds files that it does not know. */
  get cleanStop(): string {
    return join(this.path, "rmq", "clean_stop.json");
  }

  /** Ours: exists as long as `abort` should. */
  get inUse(): string {
    return join(this.path, "rmq", "in_use");
  }

  /** Ours: up to where everything was durable. */
  get settledPlace(): string {
    return join(this.path, "rmq", "settled");
  }

  get abort(): string {
    return join(this.path, "abort");
  }

  get doubtfulFrom(): number | undefined {
    return this.#doubtfulFrom;
  }

  /**
   * Notes that the log from `offset` on could not be synced. The note need not be durable: it has to outlive
   * the process, as the page cache does, not the machine. It takes no space that the file does not have.
   */
  markDoubtful(offset: number): void {
    if (this.#doubtfulFrom !== undefined && this.#doubtfulFrom <= offset) return;
    this.keepMarked();
    const file = this.#files.open(this.abort);
    try {
      file.writeAt(mark(offset), 0);
    } finally {
      file.close();
    }
    this.#doubtfulFrom = offset;
  }

  /** The whole log is durable again. */
  clearDoubt(): void {
    if (this.#doubtfulFrom === undefined) return;
    this.#doubtfulFrom = undefined;
    try {
      this.#files.replace(this.abort, mark(undefined));
    } catch (error) {
      logger.warn("{path} can't be written; the next start may do more than it must: {error}", {
        path: this.abort,
        error,
      });
    }
  }

  /** Puts `abort` back if somebody has taken it away. @throws what the disk says */
  keepMarked(): void {
    if (this.#lock === undefined && this.#files.isOnDisk) return;
    if (this.#files.stat(this.abort) !== undefined) return;
    logger.warn(
      "{path} was removed by something else, as another broker does that is started on this store; put back",
      { path: this.abort },
    );
    this.#files.replace(this.abort, mark(this.#doubtfulFrom));
  }

  #readDoubt(): number | undefined {
    if (this.#files.stat(this.abort) === undefined) return undefined;
    const text = new TextDecoder().decode(this.#files.read(this.abort));
    const match = /^[0-9]+ not synced from ([0-9]+)\n/.exec(text);
    return match === null ? undefined : Number(match[1]);
  }

  /** Everything is written and durable: the next start need not check. */
  markClean(): void {
    this.#files.remove(this.inUse);
    this.#files.syncDirectory(dirname(this.inUse));
    this.#files.remove(this.abort);
    this.#files.syncDirectory(this.path);
  }

  /** Lets other processes have the directory. */
  release(): void {
    this.#lock?.release();
    this.#lock = undefined;
  }
}

function mark(doubtfulFrom: number | undefined): Uint8Array {
  // The line's end: behind it may stand what is left of a longer number.
  const doubt = doubtfulFrom === undefined ? "" : ` not synced from ${doubtfulFrom}\n`;
  return new TextEncoder().encode(pid + doubt);
}
