// SPDX-License-Identifier: Apache-2.0
/**
 * Messages that wait for a moment, on the disk: wheel, timer log and their checkpoint, in Apache's formats.
 *
 * All of it is derived from the CommitLog: where the files don't fit together (a lost file, another precision,
 * damage) they are emptied, and made again of the messages in the timer topic. What always holds:
 *
 * 1. The checkpoint tells nothing that is not durable. A flush makes durable in this order: the CommitLog (so
 *    that no unit points to a message which a power cut takes, and copies of delivered messages are there), the
 *    timer log, the wheel, the checkpoint.
 * 2. Behind the checkpoint the timer log is read at the start, and the wheel is told what it says. A unit whose
 *    message is not in the CommitLog ends it.
 * 3. Messages from the checkpoint's queue offset on are looked at again; `isKnown` tells which have a unit.
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Files } from "../files.ts";
import { StoreCorruptError } from "../types.ts";
import { TimerCheckpoint, type TimerCheckpointValues } from "./timer_checkpoint.ts";
import { TimerLog } from "./timer_log.ts";
import { type TimerUnit, UNIT_BYTES, UnitMagic } from "./timer_unit.ts";
import { type Slot, TimerWheel } from "./timer_wheel.ts";

const logger = getLogger(["rmq", "store"]);

/** No message was stored before; a slot that says so was written at another precision. */
const EARLIEST_MS = Date.UTC(2014, 0);
/** Slots in memory that ask for a flush before its time. */
const MAX_DIRTY_SLOTS = 50_000;
/** So much of the timer log is compared with the wheel at each start; of a longer one, what the checkpoint does not cover. */
const MAX_COMPARED_BYTES = 4 << 20;
const SNAPSHOT = /^timerwheel\.[0-9]+$/;

export interface PendingTimersOptions {
  files: Files;
  storeDirectory: string;
  precisionMs: number;
  logFileBytes: number;
  nowMs: () => number;
  /** End of the CommitLog after its recovery. */
  endOffset: number;
  /** Makes durable what was appended to the CommitLog before. */
  flushCommitLog: () => Promise<void>;
  /** Of the wheel, for tests. */
  slotCount?: number;
}

/** A message on its way into a slot. */
export interface TimerPut extends Omit<TimerUnit, "previousPosition"> {}

export class PendingTimers {
  readonly precisionMs: number;
  #options: PendingTimersOptions;
  #checkpoint: TimerCheckpoint;
  #log!: TimerLog;
  #wheel!: TimerWheel;
  #readTimeMs: number;
  #queueOffset: number;
  #masterQueueOffset: number;
  #masterReadTimeMs: number;
  /** Sum over the slots that are not delivered. */
  #count = 0;
  #countsByTopic: Map<number, number> | undefined;
  /** Units of a former life, behind its checkpoint, that `isKnown` has not passed. */
  #known = { position: 0, end: 0 };
  /** End of the timer log when `#queueOffset` was said: what is put behind it may be looked at again. */
  #passedPosition = 0;
  #isDirty = false;
  #flushing: Promise<void> | undefined;
  #syncFailure: unknown;

  /** Reads what there is, or begins anew. @throws what the disk says */
  static open(options: PendingTimersOptions): PendingTimers {
    const path = join(options.storeDirectory, "config", "timercheck");
    const checkpoint = TimerCheckpoint.open(path, options.files);
    try {
      return new PendingTimers(options, checkpoint);
    } catch (error) {
      checkpoint.close();
      throw error;
    }
  }

  private constructor(options: PendingTimersOptions, checkpoint: TimerCheckpoint) {
    this.#options = options;
    this.precisionMs = options.precisionMs;
    this.#checkpoint = checkpoint;
    const { readTimeMs, queueOffset, masterQueueOffset } = checkpoint.values;
    // A time to come (the clock was set back, or it is damaged) tells nothing of what is due by then.
    this.#masterReadTimeMs = Math.min(readTimeMs, options.nowMs());
    this.#readTimeMs = this.#momentOf(this.#masterReadTimeMs);
    this.#queueOffset = Math.min(queueOffset, masterQueueOffset);
    this.#masterQueueOffset = masterQueueOffset;
    const files = this.#openFiles();
    const problem = files.problem ?? this.#recover(files);
    if (problem === undefined) {
      this.#log = files.log!;
      this.#wheel = files.wheel!;
      this.#passedPosition = Math.min(checkpoint.values.logFlushPosition, this.#log.endPosition);
    } else {
      files.log?.closeFiles();
      files.wheel?.close();
      this.#beginAgain(problem);
    }
  }

  /** Slots before this moment are delivered. */
  get readTimeMs(): number {
    return this.#readTimeMs;
  }

  /** Messages of the timer topic before this queue offset have been looked at. */
  get queueOffset(): number {
    return this.#queueOffset;
  }

  /**
   * Messages before this one that were due before `masterReadTimeMs` were delivered by a former life, or by the
   * master.
   */
  get masterQueueOffset(): number {
    return this.#masterQueueOffset;
  }

  get masterReadTimeMs(): number {
    return this.#masterReadTimeMs;
  }

  /** Messages that wait. */
  get count(): number {
    return this.#count;
  }

  /**
   * Messages that waited at the start, by the hash of their topics; undefined where they were not counted, because there
   * are many or they are to be put again.
   */
  get countsByTopic(): ReadonlyMap<number, number> | undefined {
    return this.#countsByTopic;
  }

  /** Whether something was said that is not durable. */
  get isDirty(): boolean {
    return this.#isDirty;
  }

  /** Whether changes should be flushed without waiting. */
  get isFull(): boolean {
    return this.#wheel.dirtyCount >= MAX_DIRTY_SLOTS;
  }

  /** The checkpoint as it is, for those who follow this broker. */
  get checkpoint(): TimerCheckpointValues {
    return {
      ...this.#checkpoint.values,
      readTimeMs: this.#readTimeMs,
      queueOffset: this.#queueOffset,
      masterQueueOffset: this.#masterQueueOffset,
    };
  }

  /** Messages that wait for a moment. */
  countAt(timeMs: number): number {
    return this.#wheel.get(timeMs)?.count ?? 0;
  }

  /**
   * Puts a message into the slot of its moment. @throws what the disk says; then nothing was put
   * @returns false while the slot holds messages of another moment that are not delivered
   */
  put(put: TimerPut): boolean {
    const { slotTimeMs } = put;
    const occupant = this.#wheel.occupant(slotTimeMs);
    const isNew = occupant !== slotTimeMs;
    if (isNew && occupant !== undefined && occupant >= this.#readTimeMs) return false;
    const slot = isNew ? undefined : this.#wheel.get(slotTimeMs);
    const position = this.#log.append({ ...put, previousPosition: slot?.lastPosition ?? -1 });
    const step = stepOf(put);
    this.#wheel.put({
      timeMs: slotTimeMs,
      firstPosition: slot?.firstPosition ?? position,
      lastPosition: position,
      count: (slot?.count ?? 0) + step,
    });
    this.#count += step;
    this.#isDirty = true;
    return true;
  }

  /** Hands what was put to the kernel. @throws what the disk says; then it is tried again with the next call */
  write(): void {
    this.#log.write();
  }

  /**
   * Whether the message at a physical offset has a unit from a former life. To be asked in the order of the
   * messages, once for each.
   */
  isKnown(physicalOffset: number): boolean {
    const known = this.#known;
    while (known.position < known.end) {
      const unit = this.#log.read(known.position);
      if (unit === undefined) {
        known.position = this.#log.nextFileStart(known.position);
        continue;
      }
      if (unit.physicalOffset > physicalOffset) return false;
      known.position += UNIT_BYTES;
      if (unit.physicalOffset === physicalOffset) return true;
    }
    return false;
  }

  /** Says that the messages of the timer topic before `queueOffset` are put, or delivered and stored. */
  passQueue(queueOffset: number): void {
    if (queueOffset === this.#queueOffset) return;
    this.#queueOffset = queueOffset;
    if (this.#known.position >= this.#known.end) this.#passedPosition = this.#log.endPosition;
    if (queueOffset > this.#masterQueueOffset) this.#masterQueueOffset = queueOffset;
    this.#isDirty = true;
  }

  /**
   * Brings the progress into what the timer topic has. It may have lost its end: then nothing is known of the
   * messages that take the place of those.
   */
  fitQueue(minOffset: number, maxOffset: number): void {
    const within = (offset: number) => Math.max(minOffset, Math.min(offset, maxOffset));
    this.#masterQueueOffset = within(this.#masterQueueOffset);
    if (this.#queueOffset > maxOffset) {
      const problem = `the timer topic ends at ${maxOffset}, not at ${this.#queueOffset}`;
      this.#log.closeFiles();
      this.#wheel.close();
      this.#beginAgain(problem);
    }
    this.#queueOffset = within(this.#queueOffset);
  }

  /** The first moment before `beforeMs` whose slot is not delivered. */
  nextSlot(beforeMs: number): number | undefined {
    return this.#wheel.next(this.#readTimeMs, beforeMs);
  }

  slot(timeMs: number): Slot | undefined {
    return this.#wheel.get(timeMs);
  }

  /** The unit at a position, if it belongs to a slot. */
  unit(position: number, slotTimeMs: number): TimerUnit | undefined {
    const unit = this.#log.read(position);
    return unit !== undefined && this.#momentOf(unit.slotTimeMs) === slotTimeMs ? unit : undefined;
  }

  /** Positions before this one are deleted: their messages are gone. */
  get minPosition(): number {
    return this.#log.minPosition;
  }

  /** Says that all slots before a moment are delivered, and the copies stored. */
  passTime(timeMs: number): void {
    if (timeMs <= this.#readTimeMs) return;
    const slot = this.#wheel.get(this.#readTimeMs);
    if (slot !== undefined) {
      this.#count -= slot.count;
      this.#isDirty = true;
    }
    this.#readTimeMs = timeMs;
  }

  /**
   * Says that the clock was set back: what is delivered for the time that comes again is not delivered twice.
   * Not while a slot is being delivered.
   */
  turnBack(timeMs: number): void {
    const delivered: number[] = [];
    this.#wheel.scan((slot) => {
      if (slot.timeMs >= timeMs && slot.timeMs < this.#readTimeMs) delivered.push(slot.timeMs);
    });
    for (const slotTimeMs of delivered) this.#wheel.remove(slotTimeMs);
    this.#readTimeMs = Math.min(timeMs, this.#readTimeMs);
    this.#isDirty = true;
  }

  /**
   * Makes wheel and timer log again, because they turned out to be damaged: `queueOffset` is 0 then, and all
   * messages have to be put again that are due at `readTimeMs` or later. Not while a slot is being delivered.
   */
  async rebuild(problem: string): Promise<void> {
    await this.#flushing?.catch(() => {});
    this.#log.closeFiles();
    this.#wheel.close();
    this.#masterReadTimeMs = this.#readTimeMs;
    this.#beginAgain(problem);
  }

  /**
   * Makes everything durable that was said until now; one call at a time, others join it. Time that passed
   * without messages is not worth a write.
   * @throws what the disk says; after a failed sync nothing is durable any more until a restart
   */
  flush(): Promise<void> {
    if (!this.#isDirty) return this.#flushing ?? Promise.resolve();
    return this.#flushing ??= this.#flush().finally(() => this.#flushing = undefined);
  }

  /** Makes everything durable, also that time has passed. */
  async flushAll(): Promise<void> {
    await this.#flushing?.catch(() => {});
    const { readTimeMs } = this.#checkpoint.values;
    if (readTimeMs > 0 && readTimeMs !== this.#readTimeMs) this.#isDirty = true;
    await this.flush();
  }

  /** Deletes files of the timer log whose messages are gone. */
  deleteBefore(minPhysicalOffset: number): void {
    this.#log.deleteBefore(minPhysicalOffset);
  }

  /** To be called after a last flush. */
  close(): void {
    this.#log.closeFiles();
    this.#wheel.close();
    this.#checkpoint.close();
  }

  async #flush(): Promise<void> {
    if (this.#syncFailure !== undefined) throw this.#syncFailure;
    this.#log.write();
    this.#isDirty = false;
    const { nowMs, flushCommitLog } = this.#options;
    const { stateVersion, counter } = this.#checkpoint.values.dataVersion;
    // What was delivered by then is told apart by it, as long as messages of a former life are to be put.
    const isCatchingUp = this.#queueOffset < this.#masterQueueOffset;
    const values: TimerCheckpointValues = {
      readTimeMs: isCatchingUp ? Math.min(this.#masterReadTimeMs, this.#readTimeMs) : this.#readTimeMs,
      logFlushPosition: this.#passedPosition,
      queueOffset: this.#queueOffset,
      masterQueueOffset: this.#masterQueueOffset,
      dataVersion: { stateVersion, timestampMs: nowMs(), counter: counter + 1 },
    };
    this.#wheel.beginFlush();
    try {
      await flushCommitLog();
      await this.#sync(() => this.#log.sync());
      await this.#sync(() => this.#wheel.flush());
      await this.#checkpoint.write(values);
    } catch (error) {
      this.#isDirty = true;
      throw error;
    }
  }

  /** What could not be synced may look durable to the next try. */
  async #sync(sync: () => Promise<void>): Promise<void> {
    try {
      await sync();
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "ENOSPC" && code !== "EMFILE" && code !== "ENFILE") this.#syncFailure = error;
      throw error;
    }
  }

  #momentOf(timeMs: number): number {
    return timeMs - timeMs % this.precisionMs;
  }

  #openFiles(): { log?: TimerLog; wheel?: TimerWheel; problem?: string } {
    const { files, storeDirectory, logFileBytes: fileBytes, precisionMs, slotCount } = this.#options;
    const { logFlushPosition, queueOffset } = this.#checkpoint.values;
    const isToBeMade = logFlushPosition === 0 && queueOffset === 0 && this.#masterQueueOffset > 0;
    const hasFiles = files.stat(join(storeDirectory, "timerwheel")) !== undefined ||
      files.list(join(storeDirectory, "timerlog")).length > 0;
    // Of a former life whose log may have been another one, if this broker was a slave since.
    if (isToBeMade && hasFiles) return { problem: "the checkpoint does not know of these files" };
    if (files.list(storeDirectory).some((name) => SNAPSHOT.test(name))) {
      return { problem: "the wheel is in snapshots (timerWheelSnapshotFlush)" };
    }
    let log: TimerLog | undefined;
    try {
      log = TimerLog.open({ directory: join(storeDirectory, "timerlog"), fileBytes, files });
      const path = join(storeDirectory, "timerwheel");
      return { log, wheel: TimerWheel.open({ path, files, precisionMs, slotCount }) };
    } catch (error) {
      if (!(error instanceof StoreCorruptError)) throw error;
      return { log, problem: error.message };
    }
  }

  /** @returns why the files can't be believed */
  #recover({ log, wheel }: { log?: TimerLog; wheel?: TimerWheel }): string | undefined {
    const { logFlushPosition } = this.#checkpoint.values;
    if (log === undefined || wheel === undefined) return "files are missing";
    const { minPosition, fileEnd } = log;
    if (logFlushPosition > fileEnd || (logFlushPosition > 0 && logFlushPosition < minPosition)) {
      return `the timer log does not reach from ${minPosition} to ${logFlushPosition}`;
    }
    if (!wheel.isInFile && logFlushPosition > minPosition) return "the wheel is missing";
    let from = -1;
    const counts = new Map<number, number>();
    const begin = logFlushPosition - minPosition > MAX_COMPARED_BYTES ? logFlushPosition : minPosition;
    log.recover(begin, logFlushPosition, (position, unit) => {
      if (unit.physicalOffset + unit.messageBytes > this.#options.endOffset) return false;
      const isCovered = position < logFlushPosition;
      if (from < 0 && !isCovered) from = position;
      this.#replay(wheel, position, unit, isCovered);
      if (this.#momentOf(unit.slotTimeMs) >= this.#readTimeMs) {
        counts.set(unit.topicHash, (counts.get(unit.topicHash) ?? 0) + stepOf(unit));
      }
      return true;
    });
    if (begin === minPosition && this.#queueOffset === this.#masterQueueOffset) this.#countsByTopic = counts;
    const end = log.endPosition;
    if (end < logFlushPosition) return `the timer log ends at ${end}, and not at ${logFlushPosition}`;
    if (from >= 0) this.#isDirty = true;
    this.#known = { position: from < 0 ? end : from, end };
    return this.#countSlots(wheel, minPosition, end);
  }

  /** Tells the wheel of a unit that it may not have heard of, or not durably. */
  #replay(wheel: TimerWheel, position: number, unit: TimerUnit, isCovered: boolean): void {
    const timeMs = this.#momentOf(unit.slotTimeMs);
    if (timeMs < this.#readTimeMs) return;
    const slot = wheel.get(timeMs);
    const isHeard = slot !== undefined && slot.lastPosition >= position;
    if (isHeard && isCovered) return;
    const step = isHeard ? 0 : stepOf(unit);
    wheel.put({
      timeMs,
      firstPosition: slot?.firstPosition ?? position,
      lastPosition: isHeard ? slot.lastPosition : position,
      count: (slot?.count ?? 0) + step,
    });
  }

  #countSlots(wheel: TimerWheel, logStart: number, logEnd: number): string | undefined {
    const latestMs = this.#options.nowMs() + 2 * wheel.slotCount * this.precisionMs;
    let problem: string | undefined;
    let earliestMs = Infinity;
    this.#count = 0;
    wheel.scan(({ timeMs, firstPosition, lastPosition, count }) => {
      if (timeMs < EARLIEST_MS || timeMs > latestMs) {
        problem =
          `the wheel has a slot for ${timeMs}, as if timerPrecisionMs had not been ${this.precisionMs}`;
      } else if (timeMs >= this.#readTimeMs) {
        if (firstPosition < logStart || lastPosition >= logEnd) {
          const units = `${firstPosition} to ${lastPosition}`;
          problem = `the wheel has units from ${units}, the timer log from ${logStart} to ${logEnd}`;
        }
        this.#count += count;
        earliestMs = Math.min(earliestMs, timeMs);
      }
    });
    // nothing waits for the time before
    const quietMs = Math.min(earliestMs, this.#momentOf(this.#options.nowMs()));
    if (problem === undefined) this.#readTimeMs = Math.max(this.#readTimeMs, quietMs);
    return problem;
  }

  /** From now on nothing is known of any unit, but still of what was delivered. */
  #beginAgain(problem: string): void {
    this.#countsByTopic = undefined;
    logger.warn("{problem}: wheel and timer log are made again of the CommitLog", { problem });
    this.#queueOffset = 0;
    this.#count = 0;
    this.#known = { position: 0, end: 0 };
    this.#passedPosition = 0;
    this.#isDirty = false;
    // Before the files: should this be the last that is done, they still tell what they told.
    this.#checkpoint.writeNow({
      ...this.#checkpoint.values,
      readTimeMs: this.#masterReadTimeMs,
      logFlushPosition: 0,
      queueOffset: 0,
      masterQueueOffset: this.#masterQueueOffset,
    });
    this.#removeFiles();
    const files = this.#openFiles();
    if (files.problem !== undefined) throw new StoreCorruptError(this.#options.storeDirectory, files.problem);
    this.#log = files.log!;
    this.#wheel = files.wheel!;
  }

  #removeFiles(): void {
    const { files, storeDirectory } = this.#options;
    const directory = join(storeDirectory, "timerlog");
    for (const name of files.list(directory).sort().reverse()) files.remove(join(directory, name));
    for (const name of files.list(storeDirectory)) {
      if (name === "timerwheel" || SNAPSHOT.test(name)) files.remove(join(storeDirectory, name));
    }
    if (files.stat(directory) !== undefined) files.syncDirectory(directory);
    files.syncDirectory(storeDirectory);
  }
}

/** What a unit adds to the number of messages that wait. */
function stepOf({ magic }: { readonly magic: number }): number {
  return (magic & UnitMagic.DELETE) !== 0 ? -1 : 1;
}
