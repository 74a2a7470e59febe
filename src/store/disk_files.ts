// SPDX-License-Identifier: Apache-2.0
import {
  close,
  closeSync,
  copyFileSync,
  existsSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  read,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmdirSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import type { Files, FileStat, StoreFile } from "./files.ts";

/** The disk, through `node:fs`. */
export const diskFiles: Files = {
  isOnDisk: true,

  list(directory) {
    return ifPresent(() => readdirSync(directory), "ENOENT", "ENOTDIR") ?? [];
  },

  stat(path): FileStat | undefined {
    const stat = ifPresent(() => statSync(path), "ENOENT", "ENOTDIR");
    if (stat === undefined) return undefined;
    return {
      kind: stat.isDirectory() ? "directory" : "file",
      sizeBytes: stat.size,
      modifiedMs: stat.mtimeMs,
    };
  },

  makeDirectory(path) {
    mkdirSync(path, { recursive: true });
  },

  open(path) {
    return new DiskFile(path, openSync(path, "r+"));
  },

  create(path, sizeBytes) {
    const fd = openSync(path, "wx+");
    try {
      ftruncateSync(fd, sizeBytes);
    } catch (error) {
      closeSync(fd);
      unlinkSync(path);
      throw error;
    }
    return new DiskFile(path, fd);
  },

  read(path) {
    return readFileSync(path);
  },

  replace(path, content, backup) {
    const temporary = `${path}.tmp`;
    const fd = openSync(temporary, "w");
    try {
      writeAll(fd, content, 0);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (backup !== undefined && existsSync(path)) copyFileSync(path, backup);
    renameSync(temporary, path);
    this.syncDirectory(dirname(path));
  },

  rename(from, to) {
    renameSync(from, to);
  },

  remove(path) {
    ifPresent(() => unlinkSync(path), "ENOENT");
  },

  removeDirectory(path) {
    ifPresent(() => rmdirSync(path), "ENOENT", "ENOTEMPTY");
  },

  syncDirectory(directory) {
    const fd = openSync(directory, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },

  space(path) {
    const { bsize, blocks, bfree, bavail } = statfsSync(path);
    return { totalBytes: blocks * bsize, freeBytes: bfree * bsize, usableBytes: bavail * bsize };
  },
};

/**
 * The system gives a closed descriptor to the next file that is opened, so a call that still used it would read
 * or overwrite another file: closed files refuse, and one with work under way is closed when that is over.
 */
class DiskFile implements StoreFile {
  readonly path: string;
  #descriptor: number;
  /** Syncs and reads under way. */
  #busy = 0;
  #isClosed = false;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#descriptor = fd;
  }

  get #fd(): number {
    if (this.#isClosed) throw new Error(`${this.path} is closed`);
    return this.#descriptor;
  }

  sizeBytes(): number {
    return fstatSync(this.#fd).size;
  }

  readAt(target: Uint8Array, position: number): number {
    let done = 0;
    while (done < target.length) {
      const bytes = readSync(this.#fd, target, done, target.length - done, position + done);
      if (bytes === 0) break;
      done += bytes;
    }
    return done;
  }

  async readAtAsync(target: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < target.length) {
      const bytes = await this.#held<number>((settle) =>
        read(this.#descriptor, target, done, target.length - done, position + done, settle)
      );
      if (bytes === 0) break;
      done += bytes;
    }
    return done;
  }

  writeAt(source: Uint8Array, position: number): void {
    writeAll(this.#fd, source, position);
  }

  truncate(sizeBytes: number): void {
    ftruncateSync(this.#fd, sizeBytes);
  }

  async sync(): Promise<void> {
    await this.#held<void>((settle) => fdatasync(this.#descriptor, settle));
  }

  syncNow(): void {
    fdatasyncSync(this.#fd);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#busy === 0) closeSync(this.#descriptor);
  }

  /** Runs a call that does not block; a file closed meanwhile keeps its descriptor until the call is over. */
  async #held<T>(call: (settle: (error: Error | null, value?: T) => void) => void): Promise<T> {
    if (this.#isClosed) throw new Error(`${this.path} is closed`);
    this.#busy++;
    try {
      return await new Promise<T>((resolve, reject) =>
        call((error, value) => error ? reject(error) : resolve(value!))
      );
    } finally {
      this.#busy--;
      if (this.#isClosed && this.#busy === 0) close(this.#descriptor, () => {});
    }
  }
}

function writeAll(fd: number, source: Uint8Array, position: number): void {
  let done = 0;
  while (done < source.length) {
    const bytes = writeSync(fd, source, done, source.length - done, position + done);
    if (bytes === 0) throw new Error("the system wrote nothing and gave no reason");
    done += bytes;
  }
}

/** Undefined where the call failed because there is nothing (or with another of these codes). */
function ifPresent<T>(call: () => T, ...codes: string[]): T | undefined {
  try {
    return call();
  } catch (error) {
    if (codes.includes((error as { code?: string }).code ?? "")) return undefined;
    throw error;
  }
}
