// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync, readSync } from "node:fs";
import { diskFiles } from "../disk_files.ts";
import type { Files } from "../files.ts";

/** What looking at a store needs of the disk. Nothing here writes, so it may be done beside a running broker. */
export interface StoreReader extends Pick<Files, "list" | "stat" | "read"> {
  /**
   * Reads into `target` from `position`.
   * @returns how many bytes there were before the end of the file, or before a place that the disk can't read
   * @throws ENOENT, …; EIO where the disk can't read even the first byte
   */
  readAt(path: string, target: Uint8Array, position: number): number;
  /** Closes what is open; it may be used again. */
  close(): void;
}

/** Descriptors kept open: a store may have more queue files than a process may have descriptors. */
const MAX_OPEN = 200;

/** The disk, opened for reading only. */
export function diskReader(): StoreReader {
  /** In order of last use. */
  const open = new Map<string, number>();

  function descriptor(path: string): number {
    const known = open.get(path);
    if (known !== undefined) {
      open.delete(path);
      open.set(path, known);
      return known;
    }
    const opened = openSync(path, "r");
    open.set(path, opened);
    if (open.size > MAX_OPEN) {
      const [[oldest, stale]] = open;
      open.delete(oldest);
      closeSync(stale);
    }
    return opened;
  }

  return {
    list: (directory) => diskFiles.list(directory),
    stat: (path) => diskFiles.stat(path),
    read: (path) => diskFiles.read(path),
    readAt(path, target, position) {
      const from = descriptor(path);
      let done = 0;
      while (done < target.length) {
        const bytes = readSome(from, target, done, position + done);
        if (bytes === 0) break;
        done += bytes;
      }
      return done;
    },
    close() {
      for (const stale of open.values()) closeSync(stale);
      open.clear();
    },
  };
}

function readSome(descriptor: number, target: Uint8Array, done: number, position: number): number {
  try {
    return readSync(descriptor, target, done, target.length - done, position);
  } catch (error) {
    if (done > 0 && (error as { code?: unknown }).code === "EIO") return 0;
    throw error;
  }
}
