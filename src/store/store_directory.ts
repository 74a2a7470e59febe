// SPDX-License-Identifier: Apache-2.0
/**
 * The directory of one broker's store: where things are, whether it may be used, and how it was left.
 *
 * `lock` is locked while a process has the store, `abort` exists while one runs and is left behind by one that
 * did not stop properly. (`abort.bak` means nothing: Apache always leaves it.) [RMQ StorePathConfigHelper]
 */
import { join } from "node:path";
import { pid } from "node:process";
import { type FileLock, lockFile } from "../base/runtime/file_lock.ts";
import type { Files } from "./files.ts";
import { makeDurableDirectory } from "./make_directory.ts";
import { refuseWhatIsNotBuilt, warnOfWhatIsLeftAlone } from "./store_contents.ts";

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
