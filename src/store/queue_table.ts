// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { dirname, join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { ConsumeQueue } from "./consume_queue.ts";
import { ConsumeQueueExtension } from "./consume_queue_extension.ts";
import type { Files } from "./files.ts";
import type { OpenFiles } from "./open_files.ts";
import { SegmentFiles } from "./segment_files.ts";
import { MessageIllegalError } from "./types.ts";

const logger = getLogger(["rmq", "store"]);

/** Of Linux file systems. */
const MAX_QUEUE_ID = 0x7fffffff;
const MAX_NAME_BYTES = 255;

/** Queues that have entries, and the sum of their ends. */
export interface QueueTotals {
  queueCount: number;
  queueEnds: number;
}

export interface QueueTableOptions {
  directory: string;
  fileBytes: number;
  files: Files;
  open: OpenFiles;
  isClean: boolean;
  /** Extensions of entries; those that are there are read in any case. */
  extensions?: { directory: string; fileBytes: number; areWritten: boolean };
}

/** All ConsumeQueues, kept as `consumequeue/TOPIC/QUEUE_ID/…`. Files of a queue appear with its first entry. */
export class QueueTable {
  readonly directory: string;
  readonly fileBytes: number;
  #files: Files;
  #open: OpenFiles;
  #isClean: boolean;
  #isLoaded = false;
  #extensions: QueueTableOptions["extensions"];
  #hasExtensions: boolean;
  #topics = new Map<string, Map<number, ConsumeQueue>>();

  /** `isClean`: whether the last process that had the store ended it properly. */
  constructor(options: QueueTableOptions) {
    this.#extensions = options.extensions;
    this.#hasExtensions = options.extensions !== undefined &&
      (options.extensions.areWritten || options.files.stat(options.extensions.directory) !== undefined);
    this.#isClean = options.isClean;
    this.directory = options.directory;
    this.fileBytes = options.fileBytes;
    this.#files = options.files;
    this.#open = options.open;
  }

  /** Reads which queues the disk has. They still have to be recovered. */
  load(): void {
    for (const topic of this.#files.list(this.directory)) {
      const path = join(this.directory, topic);
      if (this.#files.stat(path)?.kind !== "directory") {
        logger.warn("{path} is no queue directory; ignored", { path });
        continue;
      }
      for (const name of this.#files.list(path)) {
        if (isQueueId(name)) this.getOrCreate(topic, Number(name));
      }
    }
    this.#isLoaded = true;
  }

  get(topic: string, queueId: number): ConsumeQueue | undefined {
    return this.#topics.get(topic)?.get(queueId);
  }

  /** @throws MessageIllegalError for a name that can't be a directory, or an id that is no Java int */
  getOrCreate(topic: string, queueId: number): ConsumeQueue {
    let queues = this.#topics.get(topic);
    let queue = queues?.get(queueId);
    if (queue === undefined) {
      if (!isDirectoryName(topic) || !(queueId >= 0 && queueId <= MAX_QUEUE_ID)) {
        throw new MessageIllegalError(
          `the topic ${JSON.stringify(topic)}, queue ${queueId}, can't be stored`,
        );
      }
      const directory = join(this.directory, topic, String(queueId));
      const segments = SegmentFiles.load({
        directory,
        fileBytes: this.fileBytes,
        files: this.#files,
        open: this.#open,
        unsyncedDirectories: this.#isClean ? [] : [this.directory, dirname(directory), directory],
      });
      // Left over where the topic could not be deleted properly.
      if (this.#isLoaded && !segments.isEmpty) segments.removeAll();
      queue = new ConsumeQueue(topic, queueId, segments, this.#extensionOf(topic, queueId));
      if (queues === undefined) this.#topics.set(topic, queues = new Map());
      queues.set(queueId, queue);
    }
    return queue;
  }

  #extensionOf(topic: string, queueId: number): ConsumeQueueExtension | undefined {
    if (!this.#hasExtensions) return undefined;
    const root = this.#extensions!.directory;
    const directory = join(root, topic, String(queueId));
    if (!this.#extensions!.areWritten && this.#files.stat(directory) === undefined) return undefined;
    const segments = SegmentFiles.load({
      directory,
      fileBytes: this.#extensions!.fileBytes,
      files: this.#files,
      open: this.#open,
      unsyncedDirectories: this.#isClean ? [] : [root, dirname(directory), directory],
    });
    if (this.#isLoaded && !segments.isEmpty) segments.removeAll();
    return new ConsumeQueueExtension(segments, this.#extensions!.areWritten);
  }

  /** The queue of a record that is in the log already; undefined, and said, where there can't be one of its name. */
  ofRecord(topic: string, queueId: number, physicalOffset: number): ConsumeQueue | undefined {
    try {
      return this.getOrCreate(topic, queueId);
    } catch (error) {
      if (!(error instanceof MessageIllegalError)) throw error;
      logger.error("the message at offset {offset} is left out of its queue: {reason}", {
        offset: physicalOffset,
        reason: error.message,
      });
      return undefined;
    }
  }

  *all(): Generator<ConsumeQueue> {
    for (const queues of this.#topics.values()) yield* queues.values();
  }

  topics(): string[] {
    return [...this.#topics.keys()];
  }

  queuesOf(topic: string): ConsumeQueue[] {
    return [...this.#topics.get(topic)?.values() ?? []];
  }

  /** What tells one state of the queues from another. */
  totals(): QueueTotals {
    let queueCount = 0;
    let queueEnds = 0;
    for (const queue of this.all()) {
      if (queue.maxOffset === 0) continue;
      queueCount++;
      queueEnds += queue.maxOffset;
    }
    return { queueCount, queueEnds };
  }

  /** Removes all queues of a topic from table and disk, durably. */
  delete(topic: string): void {
    const queues = this.queuesOf(topic);
    if (queues.length === 0) return;
    this.#topics.delete(topic);
    for (const queue of queues) queue.destroy();
    this.#files.removeDirectory(join(this.directory, topic));
    this.#files.syncDirectory(this.directory);
    if (!this.#hasExtensions) return;
    const { directory } = this.#extensions!;
    this.#files.removeDirectory(join(directory, topic));
    if (this.#files.stat(directory) !== undefined) this.#files.syncDirectory(directory);
  }
}

function isDirectoryName(topic: string): boolean {
  return topic !== "." && topic !== ".." && !/[/\\\0]/.test(topic) && topic !== "" &&
    Buffer.byteLength(topic) <= MAX_NAME_BYTES;
}

/** Whether a directory's name is the id of a queue: a Java int as Java writes it. */
function isQueueId(name: string): boolean {
  return /^(0|[1-9][0-9]{0,9})$/.test(name) && Number(name) <= MAX_QUEUE_ID;
}
