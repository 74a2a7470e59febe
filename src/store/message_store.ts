// SPDX-License-Identifier: Apache-2.0
/**
 * The store of one broker: log, queues, index, and what keeps them going. It knows nothing of sockets, slaves
 * or permissions; who may be told what when is the broker's business, which watches the watermarks.
 *
 * Appended records are handed to the kernel once per turn of the event loop. Consumers, queues and index see
 * the log up to *flushed* under SYNC flush and up to *written* otherwise, so that nobody goes past a message
 * which a power cut can still remove.
 */
import type { Buffer } from "node:buffer";
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../base/clock.ts";
import { atEndOfTurn } from "../base/turn.ts";
import { decodeRecord, measureRecord, type MessageRecord, type RecordLengths } from "../protocol/record.ts";
import { encodeProperties, parseProperties, Property } from "../protocol/properties.ts";
import { Checkpoint } from "./checkpoint.ts";
import { cleanStopOf, readCleanStop, writeCleanStop } from "./clean_stop.ts";
import { Cleaner, type CleanOptions } from "./cleaner.ts";
import { CommitLog } from "./commit_log.ts";
import type { ConsumeQueue } from "./consume_queue.ts";
import { extensionOffset } from "./consume_queue_extension.ts";
import { DerivedFlusher, eachSliced } from "./derived_flusher.ts";
import { type DiskCheck, type DiskLimits, DiskSpace } from "./disk_space.ts";
import { type ArrivalListener, type BitMapOf, Dispatcher } from "./dispatcher.ts";
import type { Files } from "./files.ts";
import { type FurtherEntry, LightQueues } from "./light_queues.ts";
import { type FlushOptions, LogFlusher } from "./log_flusher.ts";
import { MessageIndex } from "./message_index.ts";
import { OpenFiles } from "./open_files.ts";
import { QueueReader, type ReadOptions } from "./queue_reader.ts";
import { QueueTable } from "./queue_table.ts";
import { queueTagsCode } from "./queue_tags.ts";
import { recover, type Recovered } from "./recovery.ts";
import { Refusal, type RefusalNow } from "./refusal.ts";
import { ReplicaAppender } from "./replica_appender.ts";
import { SegmentFiles } from "./segment_files.ts";
import { readSettledPlaces, SettledPlaceFile } from "./settled_place.ts";
import { StoreDirectory } from "./store_directory.ts";
import { offsetByTime, type TimeBoundary } from "./time_search.ts";
import {
  type Appended,
  type GetLimits,
  type GetResult,
  type MessageDraft,
  MessageIllegalError,
  type RefusalReason,
  ReplicaError,
  StoreCorruptError,
  StoreRefusedError,
} from "./types.ts";

const logger = getLogger(["rmq", "store"]);

const MAX_PROPERTIES_BYTES = 32767;
const MAX_TOPIC_BYTES = 127;
const MAX_RETRY_TOPIC_BYTES = 255;
/** After a write that failed for lack of something, when to try again. */
const RETRY_WRITE_MS = 1000;
/** What may be there again a moment later: space, descriptors. */
const PASSING_CODES: readonly unknown[] = ["ENOSPC", "EDQUOT", "EMFILE", "ENFILE"];
/** Reason for which nothing is taken while queues can't be written. */
const QUEUES_REFUSED: RefusalReason = "WRITE_FAILED";
/** Queues may fail to be written in so many rounds before nothing is taken any more. [RMQ ConsumeQueue: 30 tries] */
const MAX_FAILED_ROUNDS = 30;

export interface StoreOptions extends FlushOptions, CleanOptions, DiskLimits, ReadOptions {
  files: Files;
  clock: Clock;
  storeDirectory: string;
  commitLogDirectory: string;
  commitLogFileBytes: number;
  consumeQueueFileBytes: number;
  /** Messages are put into the light queues that they name. */
  multiDispatch: boolean;
  maxLightQueueCount: number;
  /** New entries of queues are extended by what filters need. */
  consumeQueueExtension: boolean;
  consumeQueueExtensionFileBytes: number;
  /** Queue and log files open at the same time. */
  maxOpenFiles: number;
  checkCrcOnRecover: boolean;
  /** Whether records get a checksum over all of them, and whether recovery takes those without one for damaged. */
  appendRecordCrc: boolean;
  requireRecordCrc: boolean;
  messageIndex: boolean;
  indexHashSlotCount: number;
  indexEntryCount: number;
  consumeQueueFlushIntervalMs: number;
  consumeQueueFlushThoroughIntervalMs: number;
  cleanIntervalMs: number;
  commitLogDeletePauseMs: number;
  maxMessageBytes: number;
  delayLevelsMs: readonly number[];
}

/** What a query by key found. */
export interface KeyQueryResult {
  records: Uint8Array[];
  lastUpdateTimestampMs: number;
  lastUpdatePhysicalOffset: number;
}

export class MessageStore {
  readonly directory: StoreDirectory;
  #options: StoreOptions;
  #clock: Clock;
  #open: OpenFiles;
  #log: CommitLog;
  #queues: QueueTable;
  #index: MessageIndex | undefined;
  #checkpoint: Checkpoint;
  #dispatcher: Dispatcher;
  #lightQueues: LightQueues | undefined;
  #flusher: LogFlusher;
  #reader: QueueReader;
  #replica: ReplicaAppender;
  #isCopy = false;
  #cleaner: Cleaner;
  #disk: DiskSpace;
  #placeFile: SettledPlaceFile;
  #derived: DerivedFlusher;
  #dirtyQueues = new Set<ConsumeQueue>();
  #lastStoreTimestampMs: number;
  #refusal = new Refusal();
  #isTurnScheduled = false;
  #closed: Promise<void> | undefined;
  #timers: Timer[] = [];
  #background: Promise<void> = Promise.resolve();
  /** Background work that waits for its turn. */
  #waiting = new Set<() => Promise<void>>();
  /** How it failed last, until it succeeds. */
  #failures = new Map<() => Promise<void>, string>();
  #writtenListeners: (() => void)[] = [];
  #watermarkListeners: (() => void)[] = [];
  #lossListeners: ((fromOffset: number, error: StoreRefusedError) => void)[] = [];

  /**
   * Takes the directory for this process, recovers, and is ready for messages.
   * @throws StoreCorruptError or an error with a sentence for the operator
   */
  static async open(options: StoreOptions): Promise<MessageStore> {
    const directory = await StoreDirectory.take(options);
    try {
      return new MessageStore(options, directory);
    } catch (error) {
      // Who finds fault with the files has left them as they were.
      if (error instanceof StoreCorruptError && directory.wasStoppedCleanly) directory.markClean();
      directory.release();
      throw error;
    }
  }

  private constructor(options: StoreOptions, directory: StoreDirectory) {
    this.#options = options;
    this.directory = directory;
    this.#clock = options.clock;
    const { files } = options;
    const isClean = directory.wasStoppedCleanly;
    this.#open = new OpenFiles(files, options.maxOpenFiles);
    this.#checkpoint = Checkpoint.open(files, directory.checkpoint, options.clock);
    let segments: SegmentFiles;
    let recovered: Recovered;
    try {
      segments = SegmentFiles.load({
        directory: options.commitLogDirectory,
        fileBytes: options.commitLogFileBytes,
        files,
        open: this.#open,
        unsyncedDirectories: isClean ? [] : [options.commitLogDirectory],
        keepsUnsyncedOpen: true,
      });
      this.#queues = new QueueTable({
        isClean,
        directory: directory.consumeQueue,
        fileBytes: options.consumeQueueFileBytes,
        files,
        open: this.#open,
        extensions: {
          directory: directory.consumeQueueExtension,
          fileBytes: options.consumeQueueExtensionFileBytes,
          areWritten: options.consumeQueueExtension,
        },
      });
      this.#queues.load();
      if (options.messageIndex) {
        this.#index = MessageIndex.open({
          directory: directory.index,
          files,
          clock: options.clock,
          slotCount: options.indexHashSlotCount,
          entryCount: options.indexEntryCount,
          isClean,
          durableTimestampMs: this.#checkpoint.values.indexMsgTimestampMs,
          onDurable: async (endTimestampMs) => {
            // An index that knows more than the log would pass over what is stored in its place.
            await this.#flusher.flushed();
            this.#checkpoint.update({ indexMsgTimestampMs: endTimestampMs });
            await this.#checkpoint.flush();
          },
        });
      }
      recovered = recover({
        log: segments,
        queues: this.#queues,
        index: this.#index,
        isClean,
        checkpoint: this.#checkpoint,
        cleanStop: isClean ? readCleanStop(files, directory.cleanStop) : undefined,
        settledPlaces: isClean ? [] : readSettledPlaces(files, directory.settledPlace),
        monotonicMs: () => options.clock.monotonicMs(),
        nowMs: options.clock.nowMs(),
        checkBodyCrc: options.checkCrcOnRecover,
        requireRecordCrc: options.requireRecordCrc,
        delayLevelsMs: options.delayLevelsMs,
        multiDispatch: options.multiDispatch,
        doubtfulFrom: directory.doubtfulFrom,
        onDoubt: (fromOffset) => directory.markDoubtful(fromOffset),
      });
    } catch (error) {
      this.#index?.closeFiles();
      this.#checkpoint.close();
      this.#open.closeAll();
      throw error;
    }
    directory.clearDoubt();
    this.#index?.cutAt(recovered.endOffset);
    for (const queue of this.#queues.all()) if (queue.isUnsynced) this.#dirtyQueues.add(queue);
    this.#log = new CommitLog(segments, recovered.endOffset);
    this.#lastStoreTimestampMs = recovered.storeTimestampMs;
    this.#dispatcher = new Dispatcher({
      index: this.#index,
      dirty: this.#dirtyQueues,
      dispatchedOffset: recovered.endOffset,
      dispatchedTimestampMs: recovered.storeTimestampMs,
      lastRecordOffset: recovered.lastRecordOffset,
    });
    this.#reader = new QueueReader(this.#log, options);
    this.#replica = new ReplicaAppender({
      log: this.#log,
      queues: this.#queues,
      dispatcher: this.#dispatcher,
      delayLevelsMs: options.delayLevelsMs,
      multiDispatch: options.multiDispatch,
    });
    if (options.multiDispatch) {
      this.#lightQueues = new LightQueues(this.#queues, options.maxLightQueueCount);
    }
    this.#cleaner = new Cleaner(this.#log, options.clock, options);
    this.#disk = new DiskSpace(files, options);
    this.#flusher = new LogFlusher(
      this.#log,
      options.clock,
      options,
      () => this.#onFlushed(),
      (error) => this.#onSyncFailed(error),
    );
    this.#placeFile = new SettledPlaceFile(files, directory.settledPlace);
    this.#derived = new DerivedFlusher({
      clock: options.clock,
      thoroughIntervalMs: options.consumeQueueFlushThoroughIntervalMs,
      dispatcher: this.#dispatcher,
      flusher: this.#flusher,
      index: this.#index,
      checkpoint: this.#checkpoint,
      dirty: this.#dirtyQueues,
      placeFile: this.#placeFile,
      totals: () => this.#queues.totals(),
      settledOffset: isClean ? recovered.endOffset : 0,
    });
    this.#timers.push(
      options.clock.every(options.consumeQueueFlushIntervalMs, () => this.#inBackground(this.#flushDerived)),
      options.clock.every(options.cleanIntervalMs, () => this.#inBackground(this.#clean)),
    );
  }

  // Watermarks

  get minPhysicalOffset(): number {
    return this.#log.minOffset;
  }

  /** End of the log as appended. */
  get maxPhysicalOffset(): number {
    return this.#log.appendedOffset;
  }

  get writtenOffset(): number {
    return this.#log.writtenOffset;
  }

  get flushedOffset(): number {
    return this.#log.flushedOffset;
  }

  /** Up to here messages are in their queues. */
  get dispatchedOffset(): number {
    return this.#dispatcher.dispatchedOffset;
  }

  /** Where the last message that is in its queue begins; -1 without any. */
  get lastRecordOffset(): number {
    return this.#dispatcher.lastRecordOffset;
  }

  /** Calls `listener` as soon as more is written, before consumers are shown it: for those who copy the log. */
  onWritten(listener: () => void): void {
    this.#writtenListeners.push(listener);
  }

  /** Calls `listener` after each growth of *written* or *flushed*, when consumers can see what is new. */
  onWatermark(listener: () => void): void {
    this.#watermarkListeners.push(listener);
  }

  /** Calls `listener` when records from `fromOffset` on could not be written or flushed: they are not stored. */
  onLoss(listener: (fromOffset: number, error: StoreRefusedError) => void): void {
    this.#lossListeners.push(listener);
  }

  /** From now on extended entries of queues tell which filters their message fulfils. */
  calculateBitMaps(bitMapOf: BitMapOf): void {
    this.#dispatcher.calculateBitMaps(bitMapOf);
  }

  /** Store time of the last message; the next one's is not below. */
  get lastStoreTimestampMs(): number {
    return this.#lastStoreTimestampMs;
  }

  onArrival(listener: ArrivalListener): void {
    this.#dispatcher.onArrival(listener);
  }

  // Appending

  /** Why nothing is taken now; undefined when messages are welcome. */
  get refusal(): RefusalNow | undefined {
    return this.#refusal.now;
  }

  /**
   * Appends a message to log and queue, in memory; it is written at the end of this turn.
   * @throws StoreRefusedError, MessageIllegalError
   */
  append(given: MessageDraft): Appended {
    this.#checkAppend();
    const draft = this.#options.appendRecordCrc ? withoutCrc(given) : given;
    if (this.#lightQueues !== undefined && draft.propertyMap.has(Property.INNER_MULTI_DISPATCH)) {
      return this.#appendSpread(this.#lightQueues, draft);
    }
    const lengths = this.#measure(draft);
    return this.#appendMeasured(draft, lengths);
  }

  #appendSpread(lightQueues: LightQueues, given: MessageDraft): Appended {
    this.#measure(given);
    const { draft, further } = lightQueues.spread(given);
    const appended = this.#appendMeasured(draft, this.#measure(draft), further);
    for (const { queue, queueOffset } of further) queue.nextOffset = queueOffset + 1;
    return appended;
  }

  /** Appends messages of one queue with consecutive offsets: all, or none where this throws. */
  appendBatch(given: readonly MessageDraft[]): Appended[] {
    this.#checkAppend();
    const drafts = this.#options.appendRecordCrc ? given.map(withoutCrc) : given;
    const lengths = drafts.map((draft) => this.#measure(draft));
    return drafts.map((draft, index) => this.#appendMeasured(draft, lengths[index]));
  }

  /**
   * Why a message can't be in the light queues that it names; undefined where it can.
   * @param propertiesLength characters of all its properties
   */
  lightQueueProblem(names: string, propertiesLength: number): string | undefined {
    if (this.#lightQueues === undefined) return "the broker puts no message into several queues";
    return this.#lightQueues.problemOf(names, propertiesLength);
  }

  // Replication

  /** From now on this log is another one's copy: nothing is appended but what `appendReplicated` brings. */
  becomeCopy(): void {
    this.#isCopy = true;
  }

  /** Length of each file of the log. */
  get logFileBytes(): number {
    return this.#log.fileBytes;
  }

  /**
   * Copies up to `bytes` written bytes of one log file into `target`: at once from memory, else by promise.
   * @returns how many there were; 0 where the log does not have them (any more)
   * @throws what the disk says
   */
  readLog(target: Buffer, at: number, offset: number, bytes: number): number | Promise<number> {
    return this.#log.isInTail(offset)
      ? this.#log.readRaw(target, at, offset, bytes)
      : this.#log.readRawAsync(target, at, offset, bytes);
  }

  /** Where the next byte of a master's log belongs: the log's end, and what waits there of an unfinished record. */
  get replicatedOffset(): number {
    return this.#replica.nextOffset;
  }

  /**
   * Takes bytes of a master's log that lie within one file: exactly these, in place of own messages. Whole records
   * are checked and appended in memory; what is left of an unfinished one waits for its rest, which must come next.
   * An empty log begins where the first bytes say. `writeReplicated` hands them on.
   * @throws ReplicaError where they can't stand there, StoreRefusedError; what waited is forgotten then
   */
  appendReplicated(physicalOffset: number, bytes: Buffer): void {
    this.#refusal.check();
    try {
      this.#replica.append(physicalOffset, bytes);
    } catch (error) {
      this.#replica.dropUnfinished();
      throw error instanceof ReplicaError ? error : this.#onWriteFailed(error);
    } finally {
      this.#lastStoreTimestampMs = Math.max(this.#lastStoreTimestampMs, this.#replica.storeTimestampMs);
    }
  }

  /**
   * Hands to the kernel what was appended, at once and not at the end of the turn.
   * @throws StoreRefusedError where it can't; the log then ends where it was written up to
   */
  writeReplicated(): void {
    const endOffset = this.#log.appendedOffset;
    if (endOffset === this.#log.writtenOffset) return;
    this.#endTurn();
    if (this.#log.writtenOffset === endOffset) return;
    const { reason, message } = this.#refusal.now ??
      { reason: "WRITE_FAILED", message: "the log was not written" };
    throw new StoreRefusedError(reason, message);
  }

  /** Forgets what waits of an unfinished record: its master will send it again. */
  dropUnfinished(): void {
    this.#replica.dropUnfinished();
  }

  // Reading

  minOffset(topic: string, queueId: number): number {
    return this.#queues.get(topic, queueId)?.minOffset ?? 0;
  }

  /** One past the last message that consumers may see. */
  maxOffset(topic: string, queueId: number): number {
    return this.#queues.get(topic, queueId)?.maxOffset ?? 0;
  }

  getMessages(
    topic: string,
    queueId: number,
    offset: number,
    limits: GetLimits,
  ): GetResult | Promise<GetResult> {
    const queue = this.#queues.get(topic, queueId);
    if (queue !== undefined) return this.#reader.get(queue, offset, limits);
    return {
      status: "NO_MATCHED_LOGIC_QUEUE",
      nextBeginOffset: 0,
      minOffset: 0,
      maxOffset: 0,
      records: [],
      messageCount: 0,
      byteCount: 0,
    };
  }

  /** The whole record at a physical offset; undefined where no message begins that may be seen. */
  readRecord(physicalOffset: number): Uint8Array | undefined {
    const isSync = this.#options.flushMode === "SYNC";
    return this.#recordBefore(isSync ? this.dispatchedOffset : this.#log.appendedOffset, physicalOffset);
  }

  /** The same, also where consumers are not shown it yet: for those who compare logs. */
  readWrittenRecord(physicalOffset: number): Uint8Array | undefined {
    return this.#recordBefore(this.#log.writtenOffset, physicalOffset);
  }

  #recordBefore(endOffset: number, physicalOffset: number): Uint8Array | undefined {
    if (physicalOffset < this.#log.minOffset || physicalOffset >= endOffset) return undefined;
    const bytes = this.#reader.record(physicalOffset);
    if (bytes === undefined) return undefined;
    const record = decodeRecord(bytes);
    return typeof record === "string" || record.physicalOffset !== physicalOffset ? undefined : bytes;
  }

  /** The same, decoded. */
  readMessage(physicalOffset: number): MessageRecord | undefined {
    const bytes = this.readRecord(physicalOffset);
    if (bytes === undefined) return undefined;
    const record = decodeRecord(bytes);
    return typeof record === "string" ? undefined : record;
  }

  /**
   * The message of a known length at a physical offset: at once where it lies near the log's end, else by promise.
   * @throws what the disk says
   */
  fetchMessage(
    physicalOffset: number,
    bytes: number,
  ): MessageRecord | undefined | Promise<MessageRecord | undefined> {
    if (!this.#reader.isCold(physicalOffset)) return this.readMessage(physicalOffset);
    return this.#reader.recordAsync(physicalOffset, bytes).then((record) => {
      const message = record && decodeRecord(record);
      return typeof message === "string" || message?.physicalOffset !== physicalOffset ? undefined : message;
    });
  }

  /** Queue entry: where message `queueOffset` lies, and its tags code. */
  queueEntry(
    topic: string,
    queueId: number,
    queueOffset: number,
  ): { physicalOffset: number; size: number; tagsCode: number } | undefined {
    const queue = this.#queues.get(topic, queueId);
    const entry = queue?.entry(queueOffset);
    if (entry === undefined || extensionOffset(entry.tagsCode) === undefined) return entry;
    const { physicalOffset, size } = entry;
    const tagsCode = queue!.extensionAt(entry.tagsCode)?.tagsCode ?? this.#tagsCodeAt(physicalOffset);
    return { physicalOffset, size, tagsCode };
  }

  /** What the entry of a message would hold if it were made now; 0 where there is no message. */
  #tagsCodeAt(physicalOffset: number): number {
    const record = this.readMessage(physicalOffset);
    if (record === undefined) return 0;
    const { topic, properties, storeTimestampMs } = record;
    return queueTagsCode(topic, parseProperties(properties), storeTimestampMs, this.#options.delayLevelsMs);
  }

  /** Whether a message is there and so near the log's end that it is taken to be in memory. */
  isHot(topic: string, queueId: number, queueOffset: number): boolean {
    const entry = this.queueEntry(topic, queueId, queueOffset);
    return entry !== undefined && entry.physicalOffset >= this.#log.minOffset &&
      this.#log.writtenOffset - entry.physicalOffset <= this.#options.inMemoryBytes;
  }

  /** Store time of a message; -1 where it can't be read. */
  storeTimestampOf(topic: string, queueId: number, queueOffset: number): number {
    const entry = this.queueEntry(topic, queueId, queueOffset);
    return entry === undefined ? -1 : this.#reader.storeTimestampAt(entry.physicalOffset);
  }

  /** Store time of the oldest message of a queue; -1 where it has none. */
  earliestTimestampOf(topic: string, queueId: number): number {
    return this.storeTimestampOf(topic, queueId, this.minOffset(topic, queueId));
  }

  /** Store time of the oldest message of the log; -1 in an empty one. */
  earliestTimestamp(): number {
    return this.#log.minOffset === this.#log.appendedOffset
      ? -1
      : this.#reader.storeTimestampAt(this.#log.minOffset);
  }

  /** Queue offset of the first message stored at or after a time (LOWER), or the last at or before it (UPPER). */
  offsetByTime(topic: string, queueId: number, timestampMs: number, boundary: TimeBoundary): number {
    const queue = this.#queues.get(topic, queueId);
    if (queue === undefined) return 0;
    return offsetByTime(
      queue,
      (entry) => this.#reader.storeTimestampAt(entry.physicalOffset),
      timestampMs,
      boundary,
    );
  }

  /** Messages by key (unique key included), oldest first. Keys may collide: the asker compares them. */
  queryByKey(topic: string, key: string, maxCount: number, beginMs: number, endMs: number): KeyQueryResult {
    const index = this.#index;
    if (index === undefined) return { records: [], lastUpdateTimestampMs: 0, lastUpdatePhysicalOffset: 0 };
    const offsets = index.query(topic, key, maxCount, beginMs, endMs);
    const records = offsets.map((offset) => this.readRecord(offset)).filter((record) => record !== undefined);
    return {
      records,
      lastUpdateTimestampMs: index.lastUpdateTimestampMs,
      lastUpdatePhysicalOffset: index.lastUpdatePhysicalOffset,
    };
  }

  // Topics and files

  /** Topics that have queues. */
  topics(): string[] {
    return this.#queues.topics();
  }

  /** Ids of a topic's queues that hold or held messages. */
  queueIdsOf(topic: string): number[] {
    return this.#queues.queuesOf(topic).map((queue) => queue.queueId);
  }

  /** Forgets a topic's queues; their messages stay in the log until their files expire. */
  deleteTopic(topic: string): void {
    this.#derived.forget(this.#queues.queuesOf(topic));
    this.#queues.delete(topic);
  }

  /** Resolves when what was appended before is durable. @throws when a flush has failed */
  async flush(): Promise<void> {
    if (this.#isTurnScheduled) this.#endTurn();
    await this.#flusher.flushed();
  }

  /** From now on, expired log files are deleted at any hour, for some rounds. */
  deleteExpiredFiles(): void {
    this.#cleaner.deleteAtNextRounds();
  }

  /** How full the disks are, in percent. */
  diskUse(): { commitLogPercent: number; consumeQueuePercent: number } {
    return this.#disk.use();
  }

  /** Writes and flushes everything, so that the next start is a clean one, and gives the directory back. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#refusal.refuse("SHUT_DOWN", "the store is shut down", false);
    for (const timer of this.#timers) timer.cancel();
    await this.#background;
    try {
      this.#endTurn();
      await this.#flusher.stop();
      await this.#derived.flush(true);
      if (!this.#refusal.isFinal) this.#endCleanly();
    } catch (error) {
      logger.error("the store could not be closed cleanly; the next start will check it: {error}", { error });
      if (this.#flusher.hasFailed) this.#noteDoubt();
    } finally {
      await this.#index?.close().catch(() => {});
      this.#placeFile.close();
      this.#checkpoint.close();
      this.#open.closeAll();
      this.directory.release();
    }
  }

  #endCleanly(): void {
    const { dispatchedOffset: endOffset, lastRecordOffset } = this.#dispatcher;
    const state = cleanStopOf({ endOffset, lastRecordOffset }, this.#queues, this.#checkpoint);
    const { cleanStop } = this.directory;
    try {
      if (state !== undefined) writeCleanStop(this.#options.files, cleanStop, state);
    } catch (error) {
      logger.warn("{cleanStop} can't be written, so the next start takes longer: {error}", {
        cleanStop,
        error,
      });
    }
    this.directory.markClean();
  }

  #checkAppend(): void {
    this.#refusal.check();
    if (this.#isCopy) throw new StoreRefusedError("IS_COPY", "this broker is a slave, its log a copy");
  }

  #measure(draft: MessageDraft): RecordLengths {
    const lengths = measureRecord(draft, this.#options.appendRecordCrc);
    const { maxMessageBytes } = this.#options;
    if (draft.body.length > maxMessageBytes) {
      throw new MessageIllegalError(
        `the body has ${draft.body.length} bytes, at most ${maxMessageBytes} are allowed`,
      );
    }
    if (lengths.propertiesBytes > MAX_PROPERTIES_BYTES) {
      throw new MessageIllegalError(
        `the properties have ${lengths.propertiesBytes} bytes, at most ${MAX_PROPERTIES_BYTES} are allowed`,
      );
    }
    const maxTopicBytes = draft.topic.startsWith("%RETRY%") ? MAX_RETRY_TOPIC_BYTES : MAX_TOPIC_BYTES;
    if (lengths.topicBytes > maxTopicBytes) {
      throw new MessageIllegalError(
        `the topic has ${lengths.topicBytes} bytes, at most ${maxTopicBytes} are allowed`,
      );
    }
    if (lengths.totalBytes > this.#log.maxRecordBytes) {
      throw new MessageIllegalError(
        `the message is longer than a CommitLog file of ${this.#log.fileBytes} bytes`,
      );
    }
    return lengths;
  }

  #appendMeasured(
    draft: MessageDraft,
    lengths: RecordLengths,
    further?: readonly FurtherEntry[],
  ): Appended {
    const queue = this.#queueFor(draft);
    const nowMs = this.#clock.nowMs();
    const storeTimestampMs = nowMs > this.#lastStoreTimestampMs ? nowMs : this.#lastStoreTimestampMs;
    const queueOffset = queue.nextOffset;
    let physicalOffset: number;
    try {
      physicalOffset = this.#log.append(draft, lengths, queueOffset, storeTimestampMs);
    } catch (error) {
      // A number that has no room in the record is the message's fault, not the disk's.
      if (error instanceof RangeError) {
        throw new MessageIllegalError(`it can't be written down: ${error.message}`, { cause: error });
      }
      throw this.#onWriteFailed(error);
    }
    this.#lastStoreTimestampMs = storeTimestampMs;
    queue.nextOffset = queueOffset + 1;
    const properties = draft.propertyMap;
    this.#dispatcher.add({
      topic: draft.topic,
      queue,
      queueOffset,
      physicalOffset,
      bytes: lengths.totalBytes,
      // not the store time, which stands still after the clock was set back: a delay counts from now
      tagsCode: queueTagsCode(draft.topic, properties, nowMs, this.#options.delayLevelsMs),
      storeTimestampMs,
      uniqueKey: properties.get(Property.UNIQ_KEY),
      keys: properties.get(Property.KEYS),
      properties,
      further,
    });
    this.#scheduleTurn();
    return { physicalOffset, queueOffset, endOffset: physicalOffset + lengths.totalBytes, storeTimestampMs };
  }

  /** @throws MessageIllegalError; StoreRefusedError where the disk does not let a queue begin */
  #queueFor({ topic, queueId }: MessageDraft): ConsumeQueue {
    try {
      return this.#queues.getOrCreate(topic, queueId);
    } catch (error) {
      if (error instanceof MessageIllegalError) throw error;
      const message = `the ConsumeQueue of ${topic}, queue ${queueId}, can't begin: ${
        (error as Error).message
      }`;
      throw new StoreRefusedError("WRITE_FAILED", message, { cause: error });
    }
  }

  #scheduleTurn(): void {
    if (this.#isTurnScheduled) return;
    this.#isTurnScheduled = true;
    atEndOfTurn("write", this.#endTurn);
  }

  #endTurn = (): void => {
    this.#isTurnScheduled = false;
    try {
      this.#log.write();
    } catch (error) {
      this.#onWriteFailed(error);
    }
    for (const listener of this.#writtenListeners) tell(listener);
    if (this.#options.flushMode === "SYNC" && this.#log.writtenOffset > this.#log.flushedOffset) {
      this.#flusher.request();
    }
    this.#advance();
  };

  #onFlushed(): void {
    if (this.#options.flushMode === "SYNC") this.#advance();
    else this.#tellWatermarks();
  }

  /** Shows consumers what they may see now, then lets who waits for a watermark look at it. */
  #advance(): void {
    const isSync = this.#options.flushMode === "SYNC";
    this.#dispatcher.dispatchUpTo(isSync ? this.#log.flushedOffset : this.#log.writtenOffset);
    this.#tellWatermarks();
  }

  #tellWatermarks(): void {
    for (const listener of this.#watermarkListeners) tell(listener);
  }

  /** What this turn appended is not stored: take it back, tell who waits, and refuse until there is hope. */
  #onWriteFailed(error: unknown): StoreRefusedError {
    const { code, message: why } = error as { code?: string; message: string };
    const isFull = code === "ENOSPC" || code === "EDQUOT";
    const isPassing = PASSING_CODES.includes(code);
    const reason = isFull ? "DISK_FULL" : "WRITE_FAILED";
    const message = isFull ? "the disk of the CommitLog is full" : `the CommitLog can't be written: ${why}`;
    if (this.#refusal.now === undefined) logger.error("{message}", { message });
    const refused = new StoreRefusedError(reason, message, { cause: error });
    this.#replica.dropUnfinished();
    this.#dispatcher.drop(this.#log.writtenOffset);
    this.#refusal.refuse(reason, message, !isPassing);
    try {
      this.#log.dropUnwritten();
      if (isPassing) this.#clock.after(RETRY_WRITE_MS, () => this.#refusal.accept(reason));
    } catch (error) {
      this.#flusher.giveUp();
      this.#onSyncFailed(error, "the CommitLog could not be cut after a failed write");
    }
    this.#tellLoss(this.#log.writtenOffset, refused);
    return refused;
  }

  /** A sync that failed may have lost pages for good: nothing is acknowledged any more. */
  #onSyncFailed(error: unknown, what = "flushing the CommitLog failed"): void {
    const message = `${what}, so nothing is stored until a restart has checked it: ${
      (error as Error).message
    }`;
    logger.error("{message}", { message });
    this.#refusal.refuse("SYNC_FAILED", message, true);
    this.#noteDoubt();
    this.#tellLoss(
      this.#log.flushedOffset,
      new StoreRefusedError("SYNC_FAILED", message, { cause: error }),
    );
  }

  /** The next process must not take for durable what it finds. */
  #noteDoubt(): void {
    try {
      this.directory.markDoubtful(this.#log.flushedOffset);
    } catch (error) {
      logger.error("{error}: the machine should be started again before the broker is", { error });
    }
  }

  #tellLoss(fromOffset: number, error: StoreRefusedError): void {
    for (const listener of this.#lossListeners) {
      try {
        listener(fromOffset, error);
      } catch (error) {
        logger.error("who waits for messages that are lost has failed: {error}", { error });
      }
    }
  }

  /**
   * Runs one piece of background work after the other, each once at a time; a failure is tried again next
   * time, and logged once until it has gone.
   */
  #inBackground(work: () => Promise<void>): void {
    if (this.#closed !== undefined || this.#waiting.has(work)) return;
    this.#waiting.add(work);
    this.#background = this.#background.then(async () => {
      this.#waiting.delete(work);
      try {
        await work();
        this.#failures.delete(work);
      } catch (error) {
        const failure = String(error);
        if (failure !== this.#failures.get(work)) {
          logger.error("background work of the store failed, and is tried again: {error}", { error });
        }
        this.#failures.set(work, failure);
      }
    });
  }

  #flushDerived = async (): Promise<void> => {
    this.directory.keepMarked();
    try {
      await this.#derived.flush();
      this.#refusal.accept(QUEUES_REFUSED);
    } catch (error) {
      // Their entries wait in memory, which has an end.
      if (this.#derived.failedRounds >= MAX_FAILED_ROUNDS) {
        this.#refusal.refuse(
          QUEUES_REFUSED,
          `ConsumeQueues can't be written: ${(error as Error).message}`,
          false,
        );
      }
      throw error;
    }
  };

  #clean = async (): Promise<void> => {
    const state = this.#disk.check();
    if (state.isFull) {
      if (this.#refusal.now === undefined) logger.error("{message}", { message: state.message });
      this.#refusal.refuse("DISK_FULL", state.message, false);
    } else {
      this.#refusal.accept("DISK_FULL");
    }
    if (!this.#cleaner.isDue(state)) return;
    let deleted = 0;
    try {
      while (
        deleted < this.#cleaner.batchMaxFiles && this.#cleaner.deleteOne(state, this.#deletableOffset(state))
      ) {
        deleted++;
        const pauseMs = this.#options.commitLogDeletePauseMs;
        await new Promise<void>((resolve) => this.#clock.after(pauseMs, resolve));
      }
    } finally {
      // also where the next file can't be deleted
      if (deleted > 0) await this.#dropExpiredEntries();
    }
  };

  /**
   * Log files go only when the queues can do without them: a queue whose entries are lost would begin again at 0
   * where the log can't tell how far it was. But on a disk so full that queues can't be written, they are what
   * makes room.
   */
  #deletableOffset(disk: DiskCheck): number {
    const { failedRounds, isStuck, settledOffset } = this.#derived;
    const needsRoom = (disk.cleanForcibly && isStuck) || failedRounds >= MAX_FAILED_ROUNDS;
    return needsRoom ? Math.min(this.#log.flushedOffset, this.dispatchedOffset) : settledOffset;
  }

  /** Queues and index follow the log's new start, which a power cut must not take back any more. */
  async #dropExpiredEntries(): Promise<void> {
    try {
      this.#log.syncDeletions();
    } finally {
      const minOffset = this.#log.minOffset;
      await eachSliced(this.#clock, this.#queues.all(), (queue) => {
        queue.correctMinOffset(minOffset);
        queue.deleteExpiredFiles();
      });
      this.#index?.deleteBefore(minOffset);
    }
  }
}

/** A listener that fails must not keep others from what they wait for. */
function tell(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    logger.error("who waits for the log's watermarks has failed: {error}", { error });
  }
}

/** A message that comes with a checksum brings that of another record. */
function withoutCrc(draft: MessageDraft): MessageDraft {
  if (!draft.propertyMap.has(Property.CRC32)) return draft;
  const propertyMap = new Map(draft.propertyMap);
  propertyMap.delete(Property.CRC32);
  return { ...draft, propertyMap, properties: encodeProperties(propertyMap) };
}
