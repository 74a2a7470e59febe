// SPDX-License-Identifier: Apache-2.0
/**
 * The seam to the disk: everything that the store and the broker's `config` folder read or write goes
 * through it, so that tests can make it fail.
 *
 * Errors are those of `node:fs` (with `code`: ENOENT, ENOSPC, EIO, …). Calls without a promise block; they
 * are meant for the page cache. What is durable on return is said at each call; nothing else is.
 */
export interface Files {
  /** Whether paths are the system's, which other processes see too. */
  readonly isOnDisk: boolean;
  /** Names in a directory (no order); empty where the directory is missing. */
  list(directory: string): string[];
  /** What a path is; undefined where there is nothing. */
  stat(path: string): FileStat | undefined;
  /** Creates a directory with its parents; durable after `syncDirectory` of each parent. */
  makeDirectory(path: string): void;
  /** Opens a file for reading and writing. @throws ENOENT */
  open(path: string): StoreFile;
  /** Creates a sparse file of `sizeBytes` zeros and opens it; its name is durable after `syncDirectory`. @throws EEXIST */
  create(path: string, sizeBytes: number): StoreFile;
  /** Whole content of a small file. @throws ENOENT */
  read(path: string): Uint8Array;
  /**
   * Replaces a small file so that a crash leaves the old or the new content, never a mixture: writes a
   * neighbour, syncs it, renames it over, syncs the directory. Durable on return. With `backup` the old
   * content is kept under that path.
   */
  replace(path: string, content: Uint8Array, backup?: string): void;
  rename(from: string, to: string): void;
  /** Removes a file; no error where there is none. */
  remove(path: string): void;
  /** Removes an empty directory; no error where there is none or where it is not empty. */
  removeDirectory(path: string): void;
  /** Makes the names in a directory durable. */
  syncDirectory(directory: string): void;
  /** Bytes of the file system that holds `path`: all, not in use, and of these the ones that we may take. */
  space(path: string): { totalBytes: number; freeBytes: number; usableBytes: number };
}

export interface FileStat {
  kind: "file" | "directory";
  sizeBytes: number;
  modifiedMs: number;
}

/** An open file of fixed or given size. */
export interface StoreFile {
  readonly path: string;
  sizeBytes(): number;
  /** Reads into `target` from `position`; returns how many bytes there were (fewer only at the end of the file). */
  readAt(target: Uint8Array, position: number): number;
  /** The same without blocking the caller; for bytes that may have to come from the device. */
  readAtAsync(target: Uint8Array, position: number): Promise<number>;
  /** Writes all of `source` or throws; on throw any part of it may have been written. */
  writeAt(source: Uint8Array, position: number): void;
  /** Cuts or extends (with zeros) to a size. */
  truncate(sizeBytes: number): void;
  /** Data written before the call is durable when the promise resolves. A rejected sync leaves that unknown for ever. */
  sync(): Promise<void>;
  /** The same, blocking. */
  syncNow(): void;
  /** Closes; reads and syncs under way fail or finish. */
  close(): void;
}
