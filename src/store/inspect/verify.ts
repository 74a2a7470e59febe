// SPDX-License-Identifier: Apache-2.0
/**
 * Looks at everything that a store holds and says what is wrong. The log is walked once; queues and index are walked
 * beside it, so memory does not depend on the number of messages, only on that of queues. Nothing is written.
 */
import type { Buffer } from "node:buffer";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { tagsCodeOf } from "../../protocol/java_string.ts";
import { parseProperties, Property } from "../../protocol/properties.ts";
import type { RecordFrame } from "../../protocol/record.ts";
import { isRecordCrcRight } from "../../protocol/record_crc.ts";
import { SysFlag } from "../../protocol/sys_flag.ts";
import { ENTRY_BYTES } from "../consume_queue.ts";
import type { IndexShape } from "../index_file.ts";
import { SCHEDULE_TOPIC } from "../queue_tags.ts";
import { type CheckpointView, readCheckpoint } from "./checkpoint_view.ts";
import type { Findings } from "./findings.ts";
import { IndexCheck } from "./index_check.ts";
import { type Segment, segmentAt, type StoreLayout } from "./layout.ts";
import { crashRecoveryStart } from "./log_facts.ts";
import { type Damage, type LogEnd, type LogVisitor, walkLog } from "./log_walk.ts";
import { furtherQueues, isDirectoryName } from "../light_queues.ts";
import { isIndexed, isQueued, propertiesDefect } from "./message_keys.ts";
import {
  checkCheckpoint,
  checkConsumerOffsets,
  checkDelayOffsets,
  type ConsumerOffset,
  type QueueBounds,
} from "./offset_check.ts";
import { QueueCheck, type StoreState } from "./queue_check.ts";
import { QueueView } from "./queue_view.ts";
import type { StoreReader } from "./reader.ts";

/** What the tables in `config` say, as far as it can be held against the store. */
export interface StoredTables {
  /** Names of all topics; undefined where they can't be read. */
  readonly topics: ReadonlySet<string> | undefined;
  readonly consumerOffsetFile: string;
  readonly consumerOffsets: readonly ConsumerOffset[];
  readonly delayOffsetFile: string;
  /** Next queue offset of each delay level, counted from 1. */
  readonly delayOffsets: ReadonlyMap<number, number>;
}

export interface VerifyOptions {
  readonly reader: StoreReader;
  readonly layout: StoreLayout;
  readonly state: StoreState;
  readonly tables: StoredTables;
  readonly findings: Findings;
  /** Called now and then with the part of the log that was walked. @returns false to end it */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => boolean;
}

export interface Verified {
  readonly messageCount: number;
  readonly logStart: number;
  readonly logEnd: number;
  /** All queues that have files or messages. */
  readonly queues: readonly QueueCheck[];
  readonly isIndexWrong: boolean;
  /** Undefined where no file tells it. */
  readonly indexShape: IndexShape | undefined;
  /** Whether messages are found by their tags, too. */
  readonly hasIndexedTags: boolean;
  /** Ended before it had seen everything. */
  readonly isStopped: boolean;
}

/** Entries of all queues together that are kept in memory. */
const QUEUE_MEMORY_BYTES = 64 << 20;
const MAX_DAMAGES = 10_000;

/** @throws what the system says about files that can't be read */
export function verifyStore(options: VerifyOptions): Promise<Verified> {
  return new Verification(options).run();
}

class Verification implements LogVisitor {
  #options: VerifyOptions;
  #findings: Findings;
  #logStart: number;
  #checkpoint: CheckpointView;
  /** Where the next start begins to read if the last process did not stop properly. */
  #recoveryStart: number;
  #queues = new Map<string, Map<number, QueueCheck>>();
  #views = new Map<string, QueueView>();
  #index: IndexCheck;
  /** Parts of the log that can't be read. */
  #damages: { readonly offset: number; readonly endOffset: number }[] = [];
  #messageCount = 0;
  #lastTimestampMs: number | undefined;

  constructor(options: VerifyOptions) {
    const { reader, layout, findings, state } = options;
    this.#options = options;
    this.#findings = findings;
    this.#logStart = layout.log.files[0]?.start ?? 0;
    this.#checkpoint = readCheckpoint(reader, layout.directory);
    this.#recoveryStart = crashRecoveryStart(reader, layout.log, this.#checkpoint);
    const { files, fileBytes } = layout.log;
    for (let index = 1; index < files.length; index++) {
      const offset = files[index - 1].start + fileBytes;
      if (files[index].start > offset) this.#damages.push({ offset, endOffset: files[index].start });
    }
    const perQueue = Math.floor(QUEUE_MEMORY_BYTES / ENTRY_BYTES / Math.max(1, layout.queues.length));
    const blockEntries = Math.max(16, Math.min(1024, perQueue));
    for (const place of layout.queues) {
      this.#views.set(`${place.topic}/${place.queueId}`, new QueueView(reader, place, blockEntries));
    }
    this.#index = new IndexCheck({
      reader,
      places: layout.index,
      findings,
      logStart: this.#logStart,
      state,
      durableTimestampMs: this.#checkpoint.values?.indexMsgTimestampMs ?? 0,
      isDamaged: (offset) => this.#isDamaged(offset),
    });
  }

  async run(): Promise<Verified> {
    const { reader, layout, state, tables, findings } = this.#options;
    const end = await walkLog({ reader, log: layout.log, checkBodyCrc: true }, this);
    if (end.isStopped) return this.#result(end);
    this.#judgeEnd(end);
    for (const { topic, queueId } of layout.queues) this.#queueOf(topic, queueId);
    const { topics } = tables;
    const isKnownTopic = (topic: string) => topics?.has(topic);
    const judgement = { logEnd: end.offset, isKnownTopic };
    for (const queue of this.#allQueues()) {
      queue.finish(judgement);
      if (await this.#breathe(end.offset) === false) return this.#result({ ...end, isStopped: true });
    }
    this.#index.finish(end.offset);
    const boundsOf = (topic: string, queueId: number): QueueBounds | undefined => {
      const queue = this.#queues.get(topic)?.get(queueId);
      return queue?.hasFiles || (queue !== undefined && topics?.has(topic)) ? queue : undefined;
    };
    checkConsumerOffsets(tables.consumerOffsetFile, tables.consumerOffsets, boundsOf, findings);
    checkDelayOffsets(tables.delayOffsetFile, tables.delayOffsets, boundsOf, findings);
    const log = { endOffset: end.offset, lastStoreTimestampMs: this.#lastTimestampMs };
    checkCheckpoint(this.#checkpoint, log, state, findings);
    return this.#result(end);
  }

  record(frame: RecordFrame, bytes: Buffer, at: number, defect?: "BODY_CRC" | "TORN"): boolean {
    const { physicalOffset, storeTimestampMs, queueId, sysFlag } = frame;
    this.#messageCount++;
    const topic = bytes.toString("utf8", frame.topicAt, frame.topicAt + frame.topicBytes);
    const text = bytes.toString("utf8", frame.propertiesAt, frame.propertiesAt + frame.propertiesBytes);
    const properties = parseProperties(text);
    if (defect !== "TORN") this.#checkFields(frame, bytes, at, topic, text);
    if (this.#lastTimestampMs !== undefined && storeTimestampMs < this.#lastTimestampMs) {
      const back = this.#lastTimestampMs - storeTimestampMs;
      this.#addAt("STORE_TIME_BACK", physicalOffset, `stored ${back} ms before the message in front of it`);
    }
    this.#lastTimestampMs = storeTimestampMs;
    const isInQueue = isQueued(sysFlag) && (sysFlag & SysFlag.INNER_BATCH) === 0 && queueId >= 0 &&
      isDirectoryName(topic);
    if (isInQueue) this.#checkQueues(frame, topic, properties, defect !== undefined);
    if (isIndexed(sysFlag)) {
      this.#index.onMessage({
        topic,
        uniqueKey: properties.get(Property.UNIQ_KEY),
        keys: properties.get(Property.KEYS),
        tags: properties.get(Property.TAGS),
        physicalOffset,
        storeTimestampMs,
      });
    }
    return true;
  }

  damage(damage: Damage): void {
    if (this.#damages.length < MAX_DAMAGES) this.#damages.push(damage);
    const { file, offset, endOffset, reason, claimedOffset } = damage;
    const place = { file: file.path, position: offset - file.start };
    const where = `at ${offset} of the log`;
    const bytes = endOffset - offset;
    switch (reason) {
      case "BODY_CRC":
        return this.#findings.add(
          "RECORD_CRC",
          place,
          `${where}: the body of the message does not fit its checksum`,
        );
      case "UNREADABLE":
        return this.#findings.add(
          "UNREADABLE",
          place,
          `${where}: the disk can't read it, ${bytes} bytes are lost`,
        );
      case "MISPLACED":
        return this.#findings.add(
          "RECORD_DAMAGED",
          place,
          `${where}: a message that says it belongs at ${claimedOffset}; ${bytes} bytes in all hold no message`,
        );
    }
    this.#findings.add("RECORD_DAMAGED", place, `${where}: ${bytes} bytes ${DAMAGE_TEXTS[reason]}`);
  }

  gone({ start }: Segment): void {
    const endOffset = start + this.#options.layout.log.fileBytes;
    if (this.#damages.length < MAX_DAMAGES) this.#damages.push({ offset: start, endOffset });
    for (const queue of this.#allQueues()) queue.onLogGone();
  }

  wrongBlank(file: Segment, offset: number, size: number, restBytes: number): void {
    const what = `at ${offset} of the log: the filler tells ${size} bytes, the file has ${restBytes} more`;
    this.#findings.add("BLANK_SIZE", { file: file.path, position: offset - file.start }, what);
  }

  pause(offset: number): Promise<boolean> {
    return this.#breathe(offset);
  }

  /** Lets signals through and tells where we are. */
  async #breathe(offset: number): Promise<boolean> {
    await setImmediate();
    const { layout, onProgress } = this.#options;
    const { files, fileBytes } = layout.log;
    const total = files.length * fileBytes;
    return onProgress?.(Math.min(total, offset - this.#logStart), total) ?? true;
  }

  #checkFields(frame: RecordFrame, bytes: Buffer, at: number, topic: string, properties: string): void {
    const { physicalOffset, queueId, propertiesAt, propertiesBytes } = frame;
    const add = (what: string) => this.#addAt("RECORD_FIELDS", physicalOffset, what);
    if (!isDirectoryName(topic) || topic.includes("\ufffd")) add(`its topic is ${JSON.stringify(topic)}`);
    if (queueId < 0) add(`its queue is ${queueId}`);
    const raw = bytes.subarray(propertiesAt, propertiesAt + propertiesBytes);
    const defect = propertiesDefect(properties, raw);
    if (defect !== undefined) add(`its properties can't be read: ${defect}`);
    if (isRecordCrcRight(bytes, at, frame.totalBytes) === false) {
      const what = "the checksum over the whole message, its property __CRC32#, does not fit it";
      this.#addAt("RECORD_PROPERTIES_CRC", physicalOffset, what);
    }
  }

  #checkQueues(
    frame: RecordFrame,
    topic: string,
    properties: ReadonlyMap<string, string>,
    isDamaged: boolean,
  ): void {
    const { physicalOffset, totalBytes, queueId, storeTimestampMs } = frame;
    const isDelayed = topic === SCHEDULE_TOPIC && Number(properties.get(Property.DELAY) ?? 0) > 0;
    const tagsCode = tagsCodeOf(properties.get(Property.TAGS));
    const from = isDelayed ? storeTimestampMs : undefined;
    const queue = this.#queueOf(topic, queueId);
    queue?.onMessage(frame.queueOffset, physicalOffset, totalBytes, tagsCode, from, isDamaged);
    if (!properties.has(Property.INNER_MULTI_DISPATCH)) return;
    for (const target of furtherQueues(topic, properties, queueId)) {
      const further = this.#queueOf(target.topic, target.queueId);
      further?.onMessage(target.queueOffset, physicalOffset, totalBytes, tagsCode, undefined, isDamaged);
    }
  }

  /** Undefined for a queue that is kept in another way than we know. */
  #queueOf(topic: string, queueId: number): QueueCheck | undefined {
    let queues = this.#queues.get(topic);
    if (queues === undefined) this.#queues.set(topic, queues = new Map());
    let queue = queues.get(queueId);
    if (queue !== undefined) return queue;
    const { layout, state } = this.#options;
    const view = this.#views.get(`${topic}/${queueId}`);
    if (layout.batchTopics.has(topic)) return undefined;
    if (view === undefined && layout.unknownParts.includes("consumequeue_r")) return undefined;
    queue = new QueueCheck({
      topic,
      queueId,
      directory: join(layout.directory, "consumequeue", topic, String(queueId)),
      view,
      findings: this.#findings,
      logStart: this.#logStart,
      state,
      recoveryStart: this.#recoveryStart,
      isDamaged: (offset) => this.#isDamaged(offset),
    });
    queues.set(queueId, queue);
    return queue;
  }

  *#allQueues(): Generator<QueueCheck> {
    for (const queues of this.#queues.values()) yield* queues.values();
  }

  #isDamaged(physicalOffset: number): boolean {
    return this.#damages.some(({ offset, endOffset }) =>
      physicalOffset >= offset && physicalOffset < endOffset
    );
  }

  #judgeEnd({ offset, reason, garbageOffset }: LogEnd): void {
    const { layout, state } = this.#options;
    if (garbageOffset === undefined || state === "in use") return;
    const file = segmentAt(layout.log, garbageOffset)!;
    const place = { file: file.path, position: garbageOffset - file.start };
    const what = `the log ends at ${offset}; what stands at ${garbageOffset} is no message`;
    if (state === "unclean") this.#findings.add("TORN_END", place, what);
    else if (reason === "BODY_CRC") {
      this.#findings.add(
        "RECORD_CRC",
        place,
        `at ${offset} of the log: the body of the last message does not fit its checksum`,
      );
    } else this.#findings.add("BEHIND_END", place, what);
  }

  #addAt(
    kind: "STORE_TIME_BACK" | "RECORD_FIELDS" | "RECORD_PROPERTIES_CRC",
    offset: number,
    what: string,
  ): void {
    const file = segmentAt(this.#options.layout.log, offset)!;
    this.#findings.add(
      kind,
      { file: file.path, position: offset - file.start },
      `at ${offset} of the log: ${what}`,
    );
  }

  #result(end: LogEnd): Verified {
    return {
      messageCount: this.#messageCount,
      logStart: this.#logStart,
      logEnd: end.offset,
      queues: [...this.#allQueues()],
      isIndexWrong: this.#index.isWrong,
      indexShape: this.#index.shape,
      hasIndexedTags: this.#index.hasTags,
      isStopped: end.isStopped,
    };
  }
}

const DAMAGE_TEXTS = {
  ZEROS: "are zeros, and the log goes on behind them",
  NO_MAGIC: "are no message",
  LENGTHS: "are no message: its lengths do not fit each other",
  TRUNCATED: "are the beginning of a message that does not end in this file",
  TORN: "are a message that ends in zeros",
} as const;
