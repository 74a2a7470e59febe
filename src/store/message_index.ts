// SPDX-License-Identifier: Apache-2.0
/**
 * Finds messages by unique key and by keys. Derived from the log: after a crash it holds what the last flush
 * made durable, and recovery adds what it walks through. [RMQ IndexService]
 *
 * A disk that can't be written never touches the messages themselves. Entries wait in memory for it; if they
 * become too many, or if a sync fails, no more messages are indexed, and every flush fails, so that the store
 * is not marked as cleanly stopped and the next start indexes what is missing.
 */
import { basename, join } from "node:path";
import { setImmediate } from "node:timers";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import { javaHashCode } from "../protocol/java_string.ts";
import type { KeyIndex } from "./dispatcher.ts";
import type { Files } from "./files.ts";
import { makeDurableDirectory } from "./make_directory.ts";
import { IndexFile, indexFileBytes, type IndexShape } from "./index_file.ts";

const logger = getLogger(["rmq", "store"]);

/** Slots are written for so long before the loop gets its turn. */
const SLICE_MS = 2;
const MAX_CACHED_TOPICS = 10_000;

export interface MessageIndexOptions extends IndexShape {
  directory: string;
  files: Files;
  clock: Clock;
  /** Whether the last process stopped properly. */
  isClean: boolean;
  /** After a crash: a file with later messages may hold anything. */
  durableTimestampMs: number;
  /**
   * Everything indexed up to this time is durable, but for a file's header, which is written when the promise
   * resolves. By then the messages in the log have to be durable too.
   */
  onDurable: (endTimestampMs: number) => Promise<void>;
}

export class MessageIndex implements KeyIndex {
  #options: MessageIndexOptions;
  /** Oldest first; the last one is written to. */
  #files: IndexFile[] = [];
  /** Of the last message indexed. */
  #endPhysicalOffset = 0;
  /** Hash of `topic#`, from which the hash of a key goes on. */
  #topicHashes = new Map<string, number>();
  #failure: Error | undefined;
  /** The last flush that was asked for; one runs after the other. */
  #flushed: Promise<void> = Promise.resolve();

  static open(options: MessageIndexOptions): MessageIndex {
    const index = new MessageIndex(options);
    try {
      index.#load();
    } catch (error) {
      index.closeFiles();
      throw error;
    }
    return index;
  }

  private constructor(options: MessageIndexOptions) {
    this.#options = options;
  }

  /** Store time of the last message indexed; 0 without any. */
  get lastUpdateTimestampMs(): number {
    return this.#files.at(-1)?.endTimestampMs ?? 0;
  }

  get lastUpdatePhysicalOffset(): number {
    return this.#endPhysicalOffset;
  }

  /** Indexes a message; one before the last indexed is there already. `keys` are separated by one space each. */
  put(
    topic: string,
    uniqueKey: string | undefined,
    keys: string | undefined,
    physicalOffset: number,
    storeTimestampMs: number,
  ): void {
    if (uniqueKey === undefined && keys === undefined) return;
    if (physicalOffset < this.#endPhysicalOffset || this.#failure !== undefined) return;
    try {
      const prefix = this.#topicHash(topic);
      if (uniqueKey !== undefined) this.#putKey(prefix, uniqueKey, physicalOffset, storeTimestampMs);
      if (keys === undefined) return;
      if (!keys.includes(" ")) {
        this.#putKey(prefix, keys, physicalOffset, storeTimestampMs);
        return;
      }
      for (const key of keys.split(" ")) {
        if (key !== "") this.#putKey(prefix, key, physicalOffset, storeTimestampMs);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Physical offsets of messages that may have this key, in log order, of at most `maxCount` newest ones. Other
   * keys may have the same hash. Of a key with millions of messages, old ones may be left out.
   */
  query(topic: string, key: string, maxCount: number, beginMs: number, endMs: number): number[] {
    const keyHash = positive(javaHashCode(`${topic}#${key}`));
    const found: number[] = [];
    for (const file of this.#files.toReversed()) {
      if (found.length >= maxCount) break;
      if (file.beginTimestampMs <= endMs && file.endTimestampMs >= beginMs) {
        file.collect(keyHash, beginMs, endMs, maxCount, found);
      }
      if (file.beginTimestampMs < beginMs) break;
    }
    return found.sort((a, b) => a - b);
  }

  /** Makes durable what is indexed now. @throws what the disk says; after a failed sync, always */
  flush(): Promise<void> {
    const flushed = this.#flushed.then(() => this.#flushAll());
    this.#flushed = flushed.catch(() => {});
    return flushed;
  }

  /** Forgets messages from `physicalOffset` on: the log ends there, and others will take their places. */
  cutAt(physicalOffset: number): void {
    if (this.#endPhysicalOffset < physicalOffset) return;
    while (this.#files.length > 0) {
      const file = this.#files.at(-1)!;
      file.cutAt(physicalOffset);
      if (!file.isEmpty) break;
      this.#remove(this.#files.pop()!);
    }
    this.#endPhysicalOffset = this.#files.at(-1)?.endPhysicalOffset ?? 0;
  }

  /** Deletes files that know no message from `minPhysicalOffset` on, but never the last one. */
  deleteBefore(minPhysicalOffset: number): void {
    while (this.#files.length > 1) {
      const [file] = this.#files;
      if (file.endPhysicalOffset >= minPhysicalOffset || file.isUnflushed) return;
      this.#files.shift();
      file.close();
      this.#options.files.remove(file.path);
    }
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      this.closeFiles();
    }
  }

  /** Closes without flushing, where the store does not open after all. */
  closeFiles(): void {
    for (const file of this.#files) file.close();
  }

  #putKey(prefix: number, key: string, physicalOffset: number, storeTimestampMs: number): void {
    let file = this.#files[this.#files.length - 1];
    if (file === undefined || file.isFull) file = this.#addFile(file);
    file.put(positive(javaHashCode(key, prefix)), physicalOffset, storeTimestampMs);
    this.#endPhysicalOffset = physicalOffset;
  }

  #addFile(full: IndexFile | undefined): IndexFile {
    const { files, directory, clock } = this.#options;
    let name = fileName(clock.nowMs());
    const last = full && basename(full.path);
    // The clock may have been set back, or summer time has ended: names tell the order.
    if (last !== undefined && name <= last) name = String(BigInt(last) + 1n);
    makeDurableDirectory(files, directory);
    const file = IndexFile.create(files, join(directory, name), this.#options, full);
    // From here on the file is closed with the others.
    this.#files.push(file);
    files.syncDirectory(directory);
    if (full !== undefined) {
      this.flush().catch((error) =>
        logger.error("{path} can't be flushed: {error}", { path: full.path, error })
      );
    }
    return file;
  }

  /** A file is durable before the next one says so of itself. */
  async #flushAll(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    for (const file of [...this.#files]) {
      if (!file.isUnflushed) continue;
      await this.#flushFile(file);
      if (file.isFull && !file.isUnflushed) file.releaseMemory();
    }
  }

  /** Entries and slots, then who asks is told that they are durable, then the header that counts them. */
  async #flushFile(file: IndexFile): Promise<void> {
    const { endTimestampMs } = file;
    const header = file.beginFlush();
    let startMs = performance.now();
    for (const _ of file.writeSlots()) {
      if (performance.now() - startMs < SLICE_MS) continue;
      await new Promise<void>((resolve) => setImmediate(resolve));
      startMs = performance.now();
    }
    await this.#sync(file);
    await this.#options.onDurable(endTimestampMs);
    file.writeHeader(header);
    await this.#sync(file);
    file.endFlush(header);
  }

  /** What a failed sync has lost, no later one brings back. */
  async #sync(file: IndexFile): Promise<void> {
    try {
      await file.sync();
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error instanceof Error ? error : new Error(String(error));
    logger.error("messages are not found by key any more until a restart, which adds them: {error}", {
      error,
    });
  }

  #topicHash(topic: string): number {
    let hash = this.#topicHashes.get(topic);
    if (hash === undefined) {
      hash = javaHashCode("#", javaHashCode(topic));
      if (this.#topicHashes.size >= MAX_CACHED_TOPICS) this.#topicHashes.clear();
      this.#topicHashes.set(topic, hash);
    }
    return hash;
  }

  #load(): void {
    const { files, directory, isClean } = this.#options;
    const names = files.list(directory).filter((name) => /^[0-9]+$/.test(name)).sort();
    for (const name of names) {
      const file = this.#loadFile(join(directory, name));
      if (file !== undefined) this.#files.push(file);
    }
    // Of a new file in which nothing was durable yet, the one before may not have been complete.
    while (this.#files.at(-1)?.isEmpty) this.#remove(this.#files.pop()!);
    const last = this.#files.at(-1);
    if (!isClean) last?.repair();
    this.#endPhysicalOffset = last?.endPhysicalOffset ?? 0;
  }

  #loadFile(path: string): IndexFile | undefined {
    const { files, isClean, durableTimestampMs } = this.#options;
    const stat = files.stat(path)!;
    if (stat.sizeBytes === 0 && stat.kind === "file") {
      files.remove(path);
      return undefined;
    }
    const expectedBytes = indexFileBytes(this.#options);
    if (stat.kind !== "file" || stat.sizeBytes !== expectedBytes) {
      this.#putAside(path, `it has ${stat.sizeBytes} bytes, not ${expectedBytes} as configured`);
      return undefined;
    }
    const file = IndexFile.open(files, path, this.#options);
    if (file === undefined) {
      this.#putAside(path, "its header can't be right");
      return undefined;
    }
    if (!isClean && file.endTimestampMs > durableTimestampMs) {
      logger.warn(
        "{path} removed: the process that wrote it did not stop properly before all of it was durable. Its " +
          "messages are found by key only as far as recovery meets them",
        { path },
      );
      this.#remove(file);
      return undefined;
    }
    return file;
  }

  /** Renames a file that is none of ours, so that nobody reads it; Apache passes over such a name, too. */
  #putAside(path: string, why: string): void {
    logger.warn("{path} put aside under the name {name}: {why}", { path, name: `${path}.damaged`, why });
    this.#options.files.rename(path, `${path}.damaged`);
  }

  #remove(file: IndexFile): void {
    file.close();
    this.#options.files.remove(file.path);
  }
}

/** Java's `Math.abs`, whose one negative result counts as 0. */
function positive(hash: number): number {
  return hash === -0x80000000 ? 0 : Math.abs(hash);
}

/** Local time to the millisecond, 17 digits. */
function fileName(nowMs: number): string {
  const time = new Date(nowMs);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${time.getFullYear()}${two(time.getMonth() + 1)}${two(time.getDate())}${two(time.getHours())}` +
    `${two(time.getMinutes())}${two(time.getSeconds())}${String(time.getMilliseconds()).padStart(3, "0")}`;
}
