// SPDX-License-Identifier: Apache-2.0
/**
 * Builds queues and index again from the log, which is only read. The caller has the store's lock.
 *
 * New files are made in `rmq-repair/new` in the store's directory and are durable before anything is touched. Then
 * each queue, and the index, changes place with the new one by two renames; what was there before goes to
 * `rmq-repair/old`. A crash leaves that directory behind: `undoInterrupted` puts back what has no successor yet.
 */
import type { Buffer } from "node:buffer";
import { dirname, join, relative } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { parseProperties, Property } from "../../protocol/properties.ts";
import type { RecordFrame } from "../../protocol/record.ts";
import { SysFlag } from "../../protocol/sys_flag.ts";
import type { Files } from "../files.ts";
import type { IndexShape } from "../index_file.ts";
import { makeDurableDirectory } from "../make_directory.ts";
import { MessageIndex } from "../message_index.ts";
import { queueTagsCode } from "../queue_tags.ts";
import { writeIndexTimestamp } from "./checkpoint_view.ts";
import { tagKey } from "./index_check.ts";
import { REPAIR_DIRECTORY, type StoreLayout } from "./layout.ts";
import { walkLog } from "./log_walk.ts";
import { furtherQueues, isDirectoryName } from "../light_queues.ts";
import { isIndexed, isQueued } from "./message_keys.ts";
import { QueueWriter } from "./queue_writer.ts";
import type { StoreReader } from "./reader.ts";

/** A queue to be built again. */
export interface QueueToBuild {
  readonly topic: string;
  readonly queueId: number;
  /** Its last entry whose message has expired; a queue of which the log has no message keeps its numbers by it. */
  readonly lastExpired?: {
    readonly queueOffset: number;
    readonly physicalOffset: number;
    readonly size: number;
    readonly tagsCode: number;
  };
}

export interface RebuildOptions {
  readonly reader: StoreReader;
  readonly files: Files;
  readonly clock: Clock;
  readonly layout: StoreLayout;
  readonly queues: readonly QueueToBuild[];
  readonly queueFileBytes: number;
  /** Undefined: the index stays. */
  readonly index: IndexShape | undefined;
  /** Whether tags are indexed, too. */
  readonly indexTags: boolean;
  /** Delay of level n at n-1. */
  readonly delayLevelsMs: readonly number[];
  /** Called now and then. @returns false to end it, before anything was changed */
  readonly onProgress: (doneBytes: number, totalBytes: number) => Promise<boolean>;
}

export interface Rebuilt {
  readonly queueCount: number;
  readonly entryCount: number;
  /** Messages whose number does not follow: they are in no queue. */
  readonly leftOutCount: number;
  readonly indexedCount: number | undefined;
  /** Where what was replaced is kept. */
  readonly keptIn: string;
  readonly isStopped: boolean;
}

/** Entries in memory are written at the latest after so many messages, so that thousands of queues need not much. */
const WRITE_EVERY = 1_000_000;

/** @throws what the system says; until the new files are durable nothing was changed */
export async function rebuild(options: RebuildOptions): Promise<Rebuilt> {
  const { files, layout } = options;
  let isBuilt = false;
  const builder = new Builder(options);
  try {
    isBuilt = await builder.build();
  } finally {
    if (!isBuilt) forgetReplaced(files, layout.directory);
  }
  if (isBuilt) await builder.replace();
  return builder.result(!isBuilt);
}

/** Whether a repair did not come to its end, or left behind what it replaced. */
export function isInterrupted(reader: StoreReader, directory: string): boolean {
  return reader.stat(join(directory, REPAIR_DIRECTORY)) !== undefined;
}

/** After a repair that did not come to its end: everything is in its place again. Durable on return. */
export function undoInterrupted(files: Files, directory: string): void {
  const old = join(directory, REPAIR_DIRECTORY, "old");
  for (const path of replacedParts(files, old)) {
    const place = join(directory, relative(old, path));
    if (files.stat(place) !== undefined) continue;
    makeDurableDirectory(files, dirname(place));
    files.rename(path, place);
    files.syncDirectory(dirname(place));
  }
  forgetReplaced(files, directory);
}

/** Removes what a repair replaced, and what it left. Durable on return. */
export function forgetReplaced(files: Files, directory: string): void {
  removeTree(files, join(directory, REPAIR_DIRECTORY));
  files.syncDirectory(directory);
}

/** Queues and index, as they were moved. */
function replacedParts(files: Files, old: string): string[] {
  const index = join(old, "index");
  const queues = join(old, "consumequeue");
  const parts = files.stat(index) === undefined ? [] : [index];
  for (const topic of files.list(queues)) {
    for (const queueId of files.list(join(queues, topic))) parts.push(join(queues, topic, queueId));
  }
  return parts;
}

function removeTree(files: Files, path: string): void {
  if (files.stat(path)?.kind === "file") return files.remove(path);
  for (const name of files.list(path)) removeTree(files, join(path, name));
  files.removeDirectory(path);
}

class Builder {
  #options: RebuildOptions;
  #work: string;
  #new: string;
  #queues = new Map<string, Map<number, QueueWriter>>();
  #index: MessageIndex | undefined;
  #indexEndMs = 0;
  #indexedCount = 0;
  #entryCount = 0;
  #leftOutCount = 0;
  #messageCount = 0;
  #writtenAt = 0;

  constructor(options: RebuildOptions) {
    const { files, layout, index, clock } = options;
    this.#options = options;
    this.#work = join(layout.directory, REPAIR_DIRECTORY);
    this.#new = join(this.#work, "new");
    makeDurableDirectory(files, this.#new);
    for (const { topic, queueId } of options.queues) {
      const directory = join(this.#new, "consumequeue", topic, String(queueId));
      const queues = this.#queues.get(topic) ?? new Map<number, QueueWriter>();
      this.#queues.set(topic, queues.set(queueId, new QueueWriter(files, directory, options.queueFileBytes)));
    }
    if (index === undefined) return;
    this.#index = MessageIndex.open({
      ...index,
      directory: join(this.#new, "index"),
      files,
      clock,
      isClean: true,
      durableTimestampMs: 0,
      onDurable: async (endTimestampMs) => {
        this.#indexEndMs = endTimestampMs;
      },
    });
  }

  /** Makes the new files, durable. @returns false if it was stopped */
  async build(): Promise<boolean> {
    const { reader, layout, onProgress } = this.#options;
    const { log } = layout;
    const logStart = log.files[0]?.start ?? 0;
    const totalBytes = log.files.length * log.fileBytes;
    const end = await walkLog({ reader, log, checkBodyCrc: true }, {
      record: (frame, bytes, _at, defect) => {
        if (defect !== "TORN") this.#add(frame, bytes);
        return true;
      },
      pause: async (offset) => {
        if (this.#messageCount - this.#writtenAt >= WRITE_EVERY) this.#write();
        return await onProgress(Math.min(offset - logStart, totalBytes), totalBytes);
      },
    });
    if (end.isStopped) return false;
    this.#keepNumbers();
    for (const queue of this.#allQueues()) await queue.finish();
    await this.#index?.close();
    return true;
  }

  /** Puts the new files in the place of the old ones. Durable on return. */
  async replace(): Promise<void> {
    const { files, layout, queues } = this.#options;
    const parts = queues.map(({ topic, queueId }) => join("consumequeue", topic, String(queueId)));
    if (this.#index !== undefined) parts.push("index");
    for (const part of parts) {
      const place = join(layout.directory, part);
      if (files.stat(place) !== undefined) this.#move(place, join(this.#work, "old", part));
      if (files.stat(join(this.#new, part)) !== undefined) this.#move(join(this.#new, part), place);
    }
    if (this.#index !== undefined) await this.#trustIndex();
  }

  /** A start after a crash removes an index that reaches beyond what the checkpoint says to be safe. */
  async #trustIndex(): Promise<void> {
    const { files, layout } = this.#options;
    for (const { path } of layout.log.files) {
      const file = files.open(path);
      try {
        await file.sync();
      } finally {
        file.close();
      }
    }
    writeIndexTimestamp(files, layout.directory, this.#indexEndMs);
  }

  result(isStopped: boolean): Rebuilt {
    return {
      queueCount: this.#options.queues.length,
      entryCount: this.#entryCount,
      leftOutCount: this.#leftOutCount,
      indexedCount: this.#index && this.#indexedCount,
      keptIn: join(this.#work, "old"),
      isStopped,
    };
  }

  #add(frame: RecordFrame, bytes: Buffer): void {
    this.#messageCount++;
    const { physicalOffset, storeTimestampMs, sysFlag, queueId, queueOffset, totalBytes } = frame;
    const topic = bytes.toString("utf8", frame.topicAt, frame.topicAt + frame.topicBytes);
    const text = bytes.toString("utf8", frame.propertiesAt, frame.propertiesAt + frame.propertiesBytes);
    const properties = parseProperties(text);
    if (isQueued(sysFlag) && (sysFlag & SysFlag.INNER_BATCH) === 0 && isDirectoryName(topic)) {
      const tagsCode = queueTagsCode(topic, properties, storeTimestampMs, this.#options.delayLevelsMs);
      this.#put(topic, queueId, queueOffset, physicalOffset, totalBytes, tagsCode);
      for (const target of furtherQueues(topic, properties, queueId)) {
        this.#put(target.topic, target.queueId, target.queueOffset, physicalOffset, totalBytes, tagsCode);
      }
    }
    if (this.#index === undefined || !isIndexed(sysFlag)) return;
    const uniqueKey = properties.get(Property.UNIQ_KEY);
    const keys = this.#keysOf(properties);
    if (uniqueKey !== undefined || keys !== undefined) this.#indexedCount++;
    this.#index.put(topic, uniqueKey, keys, physicalOffset, storeTimestampMs);
  }

  #keysOf(properties: ReadonlyMap<string, string>): string | undefined {
    const keys = properties.get(Property.KEYS);
    const tags = this.#options.indexTags ? properties.get(Property.TAGS) : undefined;
    // Keys are separated by spaces: tags with one would fall apart.
    if (tags === undefined || tags.includes(" ")) return keys;
    return keys === undefined ? tagKey(tags) : `${keys} ${tagKey(tags)}`;
  }

  #put(
    topic: string,
    queueId: number,
    queueOffset: number,
    physicalOffset: number,
    size: number,
    tagsCode: number,
  ): void {
    const queue = this.#queues.get(topic)?.get(queueId);
    if (queue === undefined) return;
    if (queue.put(queueOffset, physicalOffset, size, tagsCode)) this.#entryCount++;
    else this.#leftOutCount++;
  }

  /** Queues of which the log has no message would begin at 0 again, and their groups would wait for ever. */
  #keepNumbers(): void {
    for (const { topic, queueId, lastExpired: last } of this.#options.queues) {
      const queue = this.#queues.get(topic)!.get(queueId)!;
      if (!queue.isEmpty || last === undefined) continue;
      queue.put(last.queueOffset, last.physicalOffset, last.size, last.tagsCode);
    }
  }

  #write(): void {
    this.#writtenAt = this.#messageCount;
    for (const queue of this.#allQueues()) queue.write();
  }

  *#allQueues(): Generator<QueueWriter> {
    for (const queues of this.#queues.values()) yield* queues.values();
  }

  #move(from: string, to: string): void {
    const { files } = this.#options;
    makeDurableDirectory(files, dirname(to));
    files.rename(from, to);
    files.syncDirectory(dirname(to));
    files.syncDirectory(dirname(from));
  }
}
