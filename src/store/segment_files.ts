// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Files, StoreFile } from "./files.ts";
import { makeDirectory } from "./make_directory.ts";
import type { OpenFiles } from "./open_files.ts";
import { StoreCorruptError } from "./types.ts";

const logger = getLogger(["rmq", "store"]);

const NAME = /^[0-9]{20}$/;
const REWRITE_BYTES = 4 << 20;

export interface SegmentFilesOptions {
  directory: string;
  fileBytes: number;
  files: Files;
  open: OpenFiles;
  /** After an unclean stop: directories whose names (of these files, or above them) may not be durable yet. */
  unsyncedDirectories?: readonly string[];
  /**
   * Keeps files open from a write to the sync after it. Once a file is closed, the system may forget that
   * writing its pages back has failed, and a later sync would not tell.
   */
  keepsUnsyncedOpen?: boolean;
}

/**
 * A byte sequence kept in files of one size, each named by the offset of its first byte (20 digits), as
 * Apache keeps CommitLog and ConsumeQueue. The files are consecutive: `minOffset` to `endOffset` without a
 * hole. [RMQ MappedFileQueue]
 */
export class SegmentFiles {
  readonly directory: string;
  readonly fileBytes: number;
  #files: Files;
  #open: OpenFiles;
  /** Start of the first file; files follow at every `fileBytes`. */
  #startOffset = 0;
  #count = 0;
  /** Directories that hold names which a power cut may take away. */
  #unsyncedDirectories: Set<string>;
  #keepsUnsyncedOpen: boolean;
  /** Files that are kept open, by their start. */
  #kept = new Set<number>();
  /** The path that was asked for last, and its file's start. */
  #path = "";
  #pathOf = -1;

  private constructor(options: SegmentFilesOptions) {
    this.directory = options.directory;
    this.#unsyncedDirectories = new Set(options.unsyncedDirectories);
    this.#keepsUnsyncedOpen = options.keepsUnsyncedOpen ?? false;
    this.fileBytes = options.fileBytes;
    this.#files = options.files;
    this.#open = options.open;
  }

  /**
   * Reads which files there are. A last file that is shorter than it should be (a crash while it was made or
   * cut) is extended; empty ones at the end, of which only the names had become durable, are removed.
   * @throws StoreCorruptError for a file that has no place in the sequence
   */
  static load(options: SegmentFilesOptions): SegmentFiles {
    const segments = new SegmentFiles(options);
    segments.#load();
    return segments;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Start of the first file; 0 without files. */
  get minOffset(): number {
    return this.#startOffset;
  }

  /** End of the last file; equals `minOffset` without files. */
  get endOffset(): number {
    return this.#startOffset + this.#count * this.fileBytes;
  }

  get fileCount(): number {
    return this.#count;
  }

  startOf(offset: number): number {
    return offset - (offset % this.fileBytes);
  }

  path(startOffset: number): string {
    if (startOffset !== this.#pathOf) {
      this.#path = join(this.directory, String(startOffset).padStart(20, "0"));
      this.#pathOf = startOffset;
    }
    return this.#path;
  }

  has(offset: number): boolean {
    return offset >= this.#startOffset && offset < this.endOffset;
  }

  /**
   * Creates the file that holds `offset`: the next one, or any one where there is none yet. Nothing of it is
   * durable before `sync`.
   */
  add(offset: number): void {
    const start = this.startOf(offset);
    if (this.#count > 0 && start !== this.endOffset) {
      throw new Error(`${this.directory}: the next file starts at ${this.endOffset}, not at ${start}`);
    }
    if (this.#count === 0) makeDirectory(this.#files, this.directory, this.#unsyncedDirectories);
    this.#open.create(this.path(start), this.fileBytes);
    this.#unsyncedDirectories.add(this.directory);
    if (this.#count === 0) this.#startOffset = start;
    this.#count++;
  }

  /** Removes all files, durably, and creates one that holds `offset`. */
  restartAt(offset: number): void {
    const hadFiles = this.#count > 0;
    while (this.#count > 0) this.#removeLast();
    // A power cut must not bring them back beside the new one, with a hole between.
    if (hadFiles) this.#files.syncDirectory(this.directory);
    this.add(offset);
  }

  /** The file that holds `offset`. Valid until another file is opened. */
  file(offset: number): StoreFile {
    return this.#open.get(this.path(this.startOf(offset)));
  }

  /** Writes bytes that lie within one file. */
  write(source: Uint8Array, offset: number): void {
    const start = this.startOf(offset);
    if (this.#keepsUnsyncedOpen && !this.#kept.has(start)) {
      this.#kept.add(start);
      this.#open.pin(this.path(start));
    }
    this.file(offset).writeAt(source, offset - start);
  }

  /**
   * Writes bytes that may go on through several files; those that are not there yet are made.
   * @param unsynced gets the starts of the files that are written to
   */
  writeOn(source: Uint8Array, offset: number, unsynced: Set<number>): void {
    for (let from = 0; from < source.length;) {
      const at = offset + from;
      if (!this.has(at)) this.add(at);
      const bytes = Math.min(source.length - from, this.fileBytes - at % this.fileBytes);
      this.write(source.subarray(from, from + bytes), at);
      unsynced.add(this.startOf(at));
      from += bytes;
    }
  }

  /** Makes the files with these starts durable, and takes them out of the set; those that are gone are left out. */
  async syncAll(unsynced: Set<number>): Promise<void> {
    for (const start of [...unsynced]) {
      unsynced.delete(start);
      try {
        if (this.has(start)) await this.sync(start);
      } catch (error) {
        unsynced.add(start);
        throw error;
      }
    }
  }

  /** Reads bytes that lie within one file. @returns how many there were */
  read(target: Uint8Array, offset: number): number {
    if (!this.has(offset)) return 0;
    return this.file(offset).readAt(target, offset % this.fileBytes);
  }

  async readAsync(target: Uint8Array, offset: number): Promise<number> {
    if (!this.has(offset)) return 0;
    return await this.#open.readAsync(this.path(this.startOf(offset)), target, offset % this.fileBytes);
  }

  /** Makes the data of the file that holds `offset` durable, and its name. */
  async sync(offset: number): Promise<void> {
    const start = this.startOf(offset);
    const path = this.path(start);
    // What is written from now on needs another sync, and keeps the file open for it.
    const wasKept = this.#kept.delete(start);
    await this.#open.sync(path);
    if (wasKept) this.#open.unpin(path);
    this.syncNames();
  }

  /**
   * Writes what can be read from `offset` to `endOffset` once more: after a failed sync the system takes pages
   * for written that are not, and only another write makes it try again.
   */
  rewrite(offset: number, endOffset: number): void {
    const block = new Uint8Array(Math.min(REWRITE_BYTES, this.fileBytes));
    for (let at = offset; at < endOffset;) {
      const wanted = Math.min(block.length, endOffset - at, this.startOf(at) + this.fileBytes - at);
      const bytes = block.subarray(0, this.read(block.subarray(0, wanted), at));
      this.write(bytes, at);
      at += wanted;
    }
  }

  /**
   * Makes everything from `offset` on durable, blocking: file by file, so that none is on the disk whose
   * predecessor is not.
   */
  syncFrom(offset: number): void {
    for (let start = this.startOf(offset); this.has(start); start += this.fileBytes) {
      this.file(start).syncNow();
    }
    this.syncNames();
  }

  /** Makes durable which files there are, blocking. */
  syncNames(): void {
    for (const directory of this.#unsyncedDirectories) {
      // Gone where the queue was deleted meanwhile.
      if (this.#files.stat(directory) !== undefined) this.#files.syncDirectory(directory);
      this.#unsyncedDirectories.delete(directory);
    }
  }

  /**
   * Ends the sequence at `offset`, which must not lie before it: removes later files and makes everything
   * behind it in its own file read as zeros, so that nothing stale can come back once this is synced. The first
   * file always stays, since its name tells where the sequence has got to.
   */
  cut(offset: number): void {
    const count = this.#count;
    while (this.#count > 1 && this.endOffset - this.fileBytes >= offset) this.#removeLast();
    // A power cut must not leave a file that is short for a moment, and others behind it.
    if (this.#count < count) this.#files.syncDirectory(this.directory);
    if (!this.has(offset)) return;
    const file = this.file(offset);
    file.truncate(offset % this.fileBytes);
    file.truncate(this.fileBytes);
  }

  /** Removes the first file. After a power cut it may be there again, unless its name is durably gone. */
  removeFirst(): void {
    const path = this.path(this.#startOffset);
    this.#open.close(path);
    this.#files.remove(path);
    this.#unsyncedDirectories.add(this.directory);
    this.#kept.delete(this.#startOffset);
    this.#startOffset += this.fileBytes;
    this.#count--;
  }

  /** Last change of the first file. */
  firstModifiedMs(): number {
    return this.#files.stat(this.path(this.#startOffset))?.modifiedMs ?? 0;
  }

  /** Removes all files and the directory. */
  removeAll(): void {
    while (this.#count > 0) this.#removeLast();
    this.#startOffset = 0;
    this.#files.removeDirectory(this.directory);
  }

  #removeLast(): void {
    const start = this.endOffset - this.fileBytes;
    this.#open.close(this.path(start));
    this.#files.remove(this.path(start));
    this.#kept.delete(start);
    this.#count--;
  }

  #load(): void {
    const names: string[] = [];
    for (const name of this.#files.list(this.directory)) {
      if (this.#files.stat(join(this.directory, name))?.kind !== "file") continue;
      if (NAME.test(name)) names.push(name);
      else {logger.warn("{file} does not belong here; Apache RocketMQ would not start with it", {
          file: join(this.directory, name),
        });}
    }
    names.sort();
    while (names.length > 0 && this.#files.stat(join(this.directory, names.at(-1)!))?.sizeBytes === 0) {
      this.#files.remove(join(this.directory, names.pop()!));
    }
    for (const [index, name] of names.entries()) this.#adopt(name, index === names.length - 1);
  }

  #adopt(name: string, isLast: boolean): void {
    const path = join(this.directory, name);
    const start = Number(name);
    const sizeBytes = this.#files.stat(path)!.sizeBytes;
    if (!Number.isSafeInteger(start) || start % this.fileBytes !== 0) {
      throw new StoreCorruptError(path, `its name is no multiple of the file size ${this.fileBytes}`);
    }
    if (this.#count > 0 && start !== this.endOffset) {
      throw new StoreCorruptError(path, `the file before it ends at ${this.endOffset}; one is missing`);
    }
    if (sizeBytes > this.fileBytes || (sizeBytes < this.fileBytes && !isLast)) {
      throw new StoreCorruptError(path, `it has ${sizeBytes} bytes, not the configured ${this.fileBytes}`);
    }
    if (sizeBytes < this.fileBytes) {
      logger.warn("{path} has {sizeBytes} of {fileBytes} bytes; extended", {
        path,
        sizeBytes,
        fileBytes: this.fileBytes,
      });
      this.#open.get(path).truncate(this.fileBytes);
    }
    if (this.#count === 0) this.#startOffset = start;
    this.#count++;
  }
}
