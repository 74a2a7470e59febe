// SPDX-License-Identifier: Apache-2.0
import type { Files, StoreFile } from "./files.ts";

/**
 * Files that are open now, with a bound on their number: a broker may have tens of thousands of queue files,
 * a process far fewer descriptors. The one used longest ago is closed first; a pinned one is not.
 */
export class OpenFiles {
  #files: Files;
  #limit: number;
  /** In order of last use. */
  #open = new Map<string, StoreFile>();
  #pins = new Map<string, number>();

  constructor(files: Files, limit: number) {
    this.#files = files;
    this.#limit = limit;
  }

  get count(): number {
    return this.#open.size;
  }

  /** The file at `path`, opened if need be. Valid until the next call of `get` or `create`. @throws ENOENT */
  get(path: string): StoreFile {
    const open = this.#open.get(path);
    if (open === undefined) return this.#add(path, this.#files.open(path));
    this.#open.delete(path);
    this.#open.set(path, open);
    return open;
  }

  create(path: string, sizeBytes: number): StoreFile {
    return this.#add(path, this.#files.create(path, sizeBytes));
  }

  /** From now on the file, once open, stays so until `unpin` was called as often, or `close`. */
  pin(path: string): void {
    this.#pins.set(path, (this.#pins.get(path) ?? 0) + 1);
  }

  unpin(path: string): void {
    const pins = (this.#pins.get(path) ?? 0) - 1;
    if (pins > 0) {
      this.#pins.set(path, pins);
    } else {
      this.#pins.delete(path);
      this.#closeOldest();
    }
  }

  /** Makes the file's data durable; it stays open meanwhile. */
  async sync(path: string): Promise<void> {
    await this.#pinned(path, (file) => file.sync());
  }

  /** Reads without blocking; the file stays open meanwhile. */
  async readAsync(path: string, target: Uint8Array, position: number): Promise<number> {
    return await this.#pinned(path, (file) => file.readAtAsync(target, position));
  }

  /** Closes the file if it is open, for one that will be removed. */
  close(path: string): void {
    this.#open.get(path)?.close();
    this.#open.delete(path);
    this.#pins.delete(path);
  }

  closeAll(): void {
    for (const file of this.#open.values()) file.close();
    this.#open.clear();
  }

  async #pinned<T>(path: string, use: (file: StoreFile) => Promise<T>): Promise<T> {
    this.pin(path);
    try {
      return await use(this.get(path));
    } finally {
      this.unpin(path);
    }
  }

  #add(path: string, file: StoreFile): StoreFile {
    this.#open.set(path, file);
    this.#closeOldest();
    return file;
  }

  /** As many as there are too many; but not the one used last, which its user may still hold. */
  #closeOldest(): void {
    let excess = this.#open.size - this.#limit;
    let others = this.#open.size - 1;
    if (excess <= 0) return;
    for (const [path, file] of this.#open) {
      if (excess === 0 || others-- === 0) return;
      if (this.#pins.has(path)) continue;
      file.close();
      this.#open.delete(path);
      excess--;
    }
  }
}
