// SPDX-License-Identifier: Apache-2.0
/**
 * Finds messages by unique key and by keys. Derived from the log: after a crash it holds what the last flush
 * made durable, and recovery adds what it walks through. A failure to write it is logged and never touches
 * the messages themselves. [RMQ IndexService]
 */
import { join } from "node:path";
import { setImmediate } from "node:timers";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import { javaHashCode } from "../protocol/java_string.ts";
import type { KeyIndex } from "./dispatcher.ts";
import type { Files } from "./files.ts";
import { IndexFile, indexFileBytes, type IndexShape } from "./index_file.ts";

const logger = getLogger(["rmq", "store"]);

const SLICE_MS = 2;
/** After a file could not be made, when to try again. */
const RETRY_MS = 10_000;
const MAX_CACHED_TOPICS = 10_000;

export interface MessageIndexOptions extends IndexShape {
  directory: string;
  files: Files;
  clock: Clock;
  /** Whether the last process stopped properly. */
  isClean: boolean;
  /** After a crash: a file with later messages may hold anything. */
  durableTimestampMs: number;
  /** Everything indexed up to this time is durable, but for a file's header, which follows. */
  onDurable: (endTimestampMs: number) => Promise<void>;
}

export class MessageIndex implements KeyIndex {
  #options: MessageIndexOptions;
  /** Oldest first; the last one is written to. */
  #files: IndexFile[] = [];
  /** Hash of `topic#`, from which the hash of a key goes on. */
  #topicHashes = new Map<string, number>();
  #retryAtMs = 0;
  #isUnflushed = false;
  #flushed: Promise<void> = Promise.resolve();

  static open(options: MessageIndexOptions): MessageIndex {
    const index = new MessageIndex(options);
    index.#load();
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
    return this.#files.at(-1)?.endPhysicalOffset ?? 0;
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
    if (physicalOffset < this.lastUpdatePhysicalOffset) return;
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
      this.#retryAtMs = this.#options.clock.monotonicMs() + RETRY_MS;
      logger.error("messages can't be indexed now: {error}", { error });
    }
  }

  /** Physical offsets of messages that may have this key, in log order, of at most `maxCount` newest ones. */
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

  /** Makes durable what is indexed now. */
  async flush(): Promise<void> {
    if (!this.#isUnflushed) return;
    this.#isUnflushed = false;
    try {
      const file = this.#files.at(-1);
      if (file !== undefined) await this.#flushInOrder(file);
    } catch (error) {
      this.#isUnflushed = true;
      throw error;
    }
  }

  /** Deletes files that know no message from `minPhysicalOffset` on, but never the last one. */
  deleteBefore(minPhysicalOffset: number): void {
    while (this.#files.length > 1 && this.#files[0].endPhysicalOffset < minPhysicalOffset) {
      const file = this.#files.shift()!;
      file.close();
      this.#options.files.remove(file.path);
    }
  }

  async close(): Promise<void> {
    try {
      await this.#flushed;
      await this.flush();
    } finally {
      for (const file of this.#files) file.close();
    }
  }

  #putKey(prefix: number, key: string, physicalOffset: number, storeTimestampMs: number): void {
    let file = this.#files.at(-1);
    if (file === undefined || file.isFull) {
      if (this.#retryAtMs > 0 && this.#options.clock.monotonicMs() < this.#retryAtMs) return;
      this.#retryAtMs = 0;
      file = this.#addFile(file);
    }
    file.put(positive(javaHashCode(key, prefix)), physicalOffset, storeTimestampMs);
    this.#isUnflushed = true;
  }

  #addFile(full: IndexFile | undefined): IndexFile {
    const { files, directory, clock } = this.#options;
    let time = fileName(clock.nowMs());
    const last = full && full.path.slice(directory.length + 1);
    if (last !== undefined && time <= last) time = String(BigInt(last) + 1n);
    files.makeDirectory(directory);
    const file = IndexFile.create(files, join(directory, time), this.#options, full);
    files.syncDirectory(directory);
    this.#files.push(file);
    if (full !== undefined) {
      this.#flushInOrder(full).then(() => full.releaseMemory()).catch((error) =>
        logger.error("{path} can't be flushed: {error}", { path: full.path, error })
      );
    }
    return file;
  }

  /** A file is durable before the next one says so of itself. */
  #flushInOrder(file: IndexFile): Promise<void> {
    const flushed = this.#flushed.then(() => this.#flushFile(file));
    this.#flushed = flushed.catch(() => {});
    return flushed;
  }

  /** Entries and slots, then who asks is told that they are durable, then the header that counts them. */
  async #flushFile(file: IndexFile): Promise<void> {
    file.writeEntries();
    const header = file.header();
    const { endTimestampMs } = file;
    let startMs = performance.now();
    for (const _ of file.writeSlots()) {
      if (performance.now() - startMs < SLICE_MS) continue;
      await new Promise<void>((resolve) => setImmediate(resolve));
      startMs = performance.now();
    }
    await file.sync();
    await this.#options.onDurable(endTimestampMs);
    file.writeHeader(header);
    await file.sync();
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
    const { files, directory } = this.#options;
    const names = files.list(directory).filter((name) => {
      if (/^[0-9]+$/.test(name)) return true;
      logger.warn("{path} is no index file; ignored", { path: join(directory, name) });
      return false;
    });
    names.sort();
    for (const name of names) this.#loadFile(join(directory, name), name === names.at(-1));
  }

  #loadFile(path: string, isLast: boolean): void {
    const { files, isClean, durableTimestampMs } = this.#options;
    const expectedBytes = indexFileBytes(this.#options);
    const sizeBytes = files.stat(path)?.sizeBytes ?? 0;
    if (sizeBytes !== expectedBytes) {
      logger.warn("{path} has {sizeBytes} bytes, not {expectedBytes}; ignored", {
        path,
        sizeBytes,
        expectedBytes,
      });
      return;
    }
    const file = IndexFile.open(files, path, this.#options);
    const isDoubtful = !isClean && file !== undefined && file.endTimestampMs > durableTimestampMs;
    if (file === undefined || isDoubtful) {
      const why = isDoubtful ? "holds messages that were not durable at the crash" : "has no valid header";
      logger.warn("{path} {why}; removed, its messages are found by key only if recovery meets them", {
        path,
        why,
      });
      file?.close();
      files.remove(path);
      return;
    }
    if (!isClean && isLast) file.rebuildSlots();
    this.#files.push(file);
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
