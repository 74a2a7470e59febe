// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { writeLong } from "../../protocol/record.ts";
import { ENTRY_BYTES } from "../consume_queue.ts";
import type { Files } from "../files.ts";
import { makeDurableDirectory } from "../make_directory.ts";
import { canFollow } from "./message_keys.ts";

const FILLER_SIZE = 0x7fffffff;
const BUFFER_BYTES = ENTRY_BYTES * 1024;

/**
 * Writes the files of one queue anew, from its first message in the log to its last. No descriptor stays open
 * between two writes, so any number of queues can be written side by side.
 */
export class QueueWriter {
  readonly directory: string;
  #files: Files;
  #fileBytes: number;
  #entriesPerFile: number;
  /** Starts of the files that were made. */
  #starts: number[] = [];
  /** Next entry; undefined before the first one. */
  #next: number | undefined;
  #lastPhysicalOffset = 0;
  #buffer: Buffer | undefined;
  #bufferStart = 0;
  #bufferBytes = 0;

  /** @param fileBytes a multiple of an entry's 20 bytes */
  constructor(files: Files, directory: string, fileBytes: number) {
    this.#files = files;
    this.directory = directory;
    this.#fileBytes = fileBytes;
    this.#entriesPerFile = fileBytes / ENTRY_BYTES;
  }

  get isEmpty(): boolean {
    return this.#next === undefined;
  }

  /**
   * Adds the entry of a message, in the order of the log. A queue that begins at 0 again (its topic was deleted and
   * made again) forgets what was before; what is missing in between is filled so that readers pass over it.
   * @returns false for a number that does not follow: the message is left out, as a broker's start leaves it out
   */
  put(queueOffset: number, physicalOffset: number, size: number, tagsCode: number): boolean {
    if (queueOffset === 0 && this.#next !== undefined) this.#clear();
    if (!(queueOffset >= 0) || queueOffset * ENTRY_BYTES > Number.MAX_SAFE_INTEGER) return false;
    const distance = physicalOffset - this.#lastPhysicalOffset;
    if (this.#next !== undefined && !canFollow(this.#next, queueOffset, distance)) return false;
    this.#lastPhysicalOffset = physicalOffset;
    const start = this.#next ?? queueOffset - queueOffset % this.#entriesPerFile;
    for (let at = start; at < queueOffset; at++) this.#add(at, 0, FILLER_SIZE, 0);
    this.#add(queueOffset, physicalOffset, size, tagsCode);
    return true;
  }

  /** Hands what is in memory to the kernel, and gives the memory back. @throws what the disk says */
  write(): void {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    if (buffer === undefined || this.#bufferBytes === 0) return;
    const start = this.#bufferStart * ENTRY_BYTES;
    const fileStart = start - start % this.#fileBytes;
    const path = join(this.directory, String(fileStart).padStart(20, "0"));
    const isNew = !this.#starts.includes(fileStart);
    if (isNew && this.#starts.length === 0) makeDurableDirectory(this.#files, this.directory);
    const file = isNew ? this.#files.create(path, this.#fileBytes) : this.#files.open(path);
    if (isNew) this.#starts.push(fileStart);
    try {
      file.writeAt(buffer.subarray(0, this.#bufferBytes), start - fileStart);
    } finally {
      file.close();
    }
  }

  /** Writes and makes everything durable. @throws what the disk says */
  async finish(): Promise<void> {
    this.write();
    for (const start of this.#starts) {
      const file = this.#files.open(join(this.directory, String(start).padStart(20, "0")));
      try {
        await file.sync();
      } finally {
        file.close();
      }
    }
    if (this.#starts.length > 0) this.#files.syncDirectory(this.directory);
  }

  #add(queueOffset: number, physicalOffset: number, size: number, tagsCode: number): void {
    const isFull = this.#buffer !== undefined && this.#bufferBytes === this.#buffer.length;
    if (isFull || queueOffset % this.#entriesPerFile === 0) this.write();
    if (this.#buffer === undefined) {
      this.#buffer = Buffer.allocUnsafe(BUFFER_BYTES);
      this.#bufferStart = queueOffset;
      this.#bufferBytes = 0;
    }
    const at = this.#bufferBytes;
    writeLong(this.#buffer, physicalOffset, at);
    this.#buffer.writeInt32BE(size, at + 8);
    writeLong(this.#buffer, tagsCode, at + 12);
    this.#bufferBytes = at + ENTRY_BYTES;
    this.#next = queueOffset + 1;
  }

  #clear(): void {
    for (const start of this.#starts) {
      this.#files.remove(join(this.directory, String(start).padStart(20, "0")));
    }
    this.#starts = [];
    this.#buffer = undefined;
    this.#bufferBytes = 0;
    this.#next = undefined;
  }
}
