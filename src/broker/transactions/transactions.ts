// SPDX-License-Identifier: Apache-2.0
/**
 * The state of all transactions: which halves are open, and what becomes of them.
 *
 * The log holds everything: the halves, the messages that commits have made, and op messages that name the halves
 * which are settled. A half counts as settled when what settles it is stored, in this order: first the final
 * message, then the op message; so a crash between the two asks the producers again, and skips nothing.
 *
 * How far all are settled is kept as the offsets of the group `CID_RMQ_SYS_TRANS`, as Apache keeps it. They are
 * moved only when everything that they rely on is flushed: the loss of power may bring questions again, but loses
 * no transaction.
 */
import { getLogger } from "@logtape/logtape";
import { setImmediate } from "node:timers/promises";
import type { Clock, Timer } from "../../base/clock.ts";
import { decodeRecord, type MessageRecord } from "../../protocol/record.ts";
import {
  type Appended,
  type GetResult,
  type MessageDraft,
  type ReadableQueues,
  type StoredHost,
  StoreRefusedError,
} from "../../store/types.ts";
import type { Outcome } from "../durability.ts";
import { HALF_QUEUE_ID, HALF_TOPIC, TRANSACTION_GROUP } from "./half.ts";
import { OpLog, type OpLogSettings } from "./op_log.ts";
import { halfOffsetsOf, OP_TOPIC } from "./op_message.ts";
import { SettledHalves } from "./settled_halves.ts";

const logger = getLogger(["rmq", "broker"]);

export interface TransactionStore extends ReadableQueues {
  /** End of the log as appended. */
  readonly maxPhysicalOffset: number;
  readonly writtenOffset: number;
  readonly flushedOffset: number;
  flush(): Promise<void>;
  append(draft: MessageDraft): Appended;
}

export interface TransactionsOptions {
  store: TransactionStore;
  /** Calls back when the record that ends at an offset is as safe as a sender may expect. */
  whenStored: (endOffset: number, settle: (outcome: Outcome) => void) => void;
  offsets: {
    query(group: string, topic: string, queueId: number): number;
    commit(group: string, topic: string, queueId: number, offset: number): void;
  };
  statistics: { onStored(topic: string, messageCount: number, byteCount: number): void };
  clock: Clock;
  storeHost: StoredHost;
  settings: () => OpLogSettings;
}

/** How often the progress is looked at; consumer offsets are written as often. */
const PROGRESS_INTERVAL_MS = 5000;
/** Halves stored elsewhere whose former place is still known. */
const MAX_MOVED = 100_000;
const GIVEN_UP = -1;
/** Offsets of settled halves before the progress that are kept; Apache's copies refer to them. */
const MAX_SETTLED_BEFORE = 1_000_000;

export class Transactions {
  #options: TransactionsOptions;
  #settled: SettledHalves;
  #ops: OpLog;
  /** Halves whose end is on its way to the disk. */
  #ending = new Set<number>();
  /** Halves that are just being stored elsewhere, and the ends that came meanwhile. */
  #moving = new Map<number, (() => void)[]>();
  /** Where a half is now that was stored anew, by its former place; -1: where nobody is asked about it. */
  #moved = new Map<number, number>();
  /** Halves from here on that are settled and did not move were settled by their producer. */
  #knownFrom: number;
  #settledBefore = new Set<number>();
  /** Op messages before this one are not read yet. */
  #opsAtStart: { offset: number; end: number };
  #recovering: Promise<void> | undefined;
  #due: { half: number; op: number; writtenOffset: number } | undefined;
  #kept: { half: number; op: number };
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: TransactionsOptions) {
    this.#options = options;
    const half = this.#keptOffset(HALF_TOPIC);
    const op = this.#keptOffset(OP_TOPIC);
    this.#settled = new SettledHalves(half);
    this.#ops = new OpLog({ ...options, onStored: (appended) => this.#count(OP_TOPIC, appended) }, op);
    this.#knownFrom = options.store.maxOffset(HALF_TOPIC, HALF_QUEUE_ID);
    this.#opsAtStart = { offset: op, end: options.store.maxOffset(OP_TOPIC, HALF_QUEUE_ID) };
    this.#kept = { half, op };
  }

  start(): void {
    this.#timer = this.#options.clock.every(PROGRESS_INTERVAL_MS, () => this.keepProgress());
    this.recovered().catch((error) => logger.error("op messages can't be read yet: {error}", { error }));
  }

  /** Writes what is gathered, and keeps the progress once everything is flushed. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#recovering?.catch(() => {});
    this.#ops.stop();
    try {
      await this.#options.store.flush();
      this.keepProgress();
    } catch (error) {
      logger.error("producers may be asked again about settled transactions at the next start: {error}", {
        error,
      });
    }
  }

  /** Offset of the first half that is open. */
  get firstOpen(): number {
    return this.#settled.first;
  }

  /** How many halves are open. */
  get openCount(): number {
    return this.#settled.openCount(this.#options.store.maxOffset(HALF_TOPIC, HALF_QUEUE_ID));
  }

  /** The first open half from `from` on whose end is not under way; `end` where there is none before it. */
  nextOpen(from: number, end: number): number {
    let offset = this.#settled.nextOpen(from, end);
    while (offset < end && this.#ending.has(offset)) offset = this.#settled.nextOpen(offset + 1, end);
    return offset;
  }

  /** How many halves from `from` on are open one after the other, up to `max`. */
  openRun(from: number, end: number, max: number): number {
    let count = 1;
    while (count < max && from + count < end && this.nextOpen(from + count, end) === from + count) count++;
    return count;
  }

  /**
   * Resolves when it is known which halves of former lives are settled: nobody may be asked before.
   * @throws what the store says when it can't be read
   */
  recovered(): Promise<void> {
    return this.#recovering ??= this.#readOps().catch((error) => {
      this.#recovering = undefined;
      throw error;
    });
  }

  /**
   * Settles the half at a queue offset by its producer's decision. `final` is the message that a commit makes.
   * The first decision counts; one that comes again changes nothing, as far as this process knows.
   * @throws what the store says when it does not take the final message; the half is open still
   */
  end(halfOffset: number, final: MessageDraft | undefined, onEnd: (outcome: Outcome) => void): void {
    const offset = this.#placeOf(halfOffset);
    const waiting = this.#moving.get(offset);
    if (waiting !== undefined) {
      waiting.push(() => this.#endLater(offset, final, onEnd));
      return;
    }
    const isKnown = offset >= this.#knownFrom && this.#settled.has(offset) && !this.#moved.has(offset);
    if (isKnown || this.#ending.has(offset)) onEnd("STORED");
    else this.#settle(offset, final, onEnd);
  }

  /** Stores a half anew, in place of the one at a queue offset. @throws what the store says */
  renew(halfOffset: number, draft: MessageDraft): Promise<Appended> {
    return this.#move(halfOffset, draft, true);
  }

  /** Stores a half where nobody is asked about it any more. @throws what the store says */
  giveUp(halfOffset: number, draft: MessageDraft): Promise<Appended> {
    return this.#move(halfOffset, draft, false);
  }

  /** Leaves out a half that can't be read. */
  leaveOut(halfOffset: number): void {
    this.#settled.add(halfOffset);
  }

  /** Asks nobody any more about a half that can't be stored elsewhere; should its producer decide, that counts. */
  abandon(halfOffset: number): void {
    this.#noteMoved(halfOffset, GIVEN_UP);
    this.#settled.add(halfOffset);
  }

  /**
   * Takes into account that a half of Apache's is a copy: its producer names the first one. Returns whether that
   * one is settled.
   */
  isCopyOfSettled(halfOffset: number, firstOffset: number): boolean {
    if (firstOffset >= this.#settled.first) return this.#settled.has(firstOffset);
    if (this.#settledBefore.has(firstOffset)) return true;
    if (firstOffset < halfOffset) this.#noteMoved(firstOffset, halfOffset);
    return false;
  }

  /** Moves the group's offsets to what is settled and flushed. */
  keepProgress(): void {
    this.#commitDue();
    if (this.#opsAtStart.offset < this.#opsAtStart.end) return;
    const half = this.#settled.first;
    const op = this.#ops.progress(half);
    if (this.#due !== undefined || (half === this.#kept.half && op === this.#kept.op)) return;
    this.#due = { half, op, writtenOffset: this.#options.store.writtenOffset };
    this.#commitDue();
  }

  #commitDue(): void {
    const due = this.#due;
    if (due === undefined || this.#options.store.flushedOffset < due.writtenOffset) return;
    this.#due = undefined;
    this.#kept = due;
    const { offsets } = this.#options;
    offsets.commit(TRANSACTION_GROUP, HALF_TOPIC, HALF_QUEUE_ID, due.half);
    offsets.commit(TRANSACTION_GROUP, OP_TOPIC, HALF_QUEUE_ID, due.op);
  }

  /** The group's offset in one of the two topics, brought into what its queue holds. */
  #keptOffset(topic: string): number {
    const { store, offsets } = this.#options;
    const kept = offsets.query(TRANSACTION_GROUP, topic, HALF_QUEUE_ID);
    const min = store.minOffset(topic, HALF_QUEUE_ID);
    return Math.max(min, Math.min(kept, store.maxOffset(topic, HALF_QUEUE_ID)));
  }

  async #readOps(): Promise<void> {
    const { store } = this.#options;
    const place = this.#opsAtStart;
    let opCount = 0;
    while (place.offset < place.end && !this.#isStopped) {
      const result = await store.getMessages(OP_TOPIC, HALF_QUEUE_ID, place.offset, { maxCount: 32 });
      for (const record of recordsOf(result)) {
        if (record.queueOffset >= place.end) break;
        const halfOffsets = halfOffsetsOf(record);
        for (const offset of halfOffsets) this.#noteSettled(offset);
        this.#ops.noteStored(record.queueOffset, halfOffsets);
        opCount++;
      }
      place.offset = Math.max(place.offset + 1, result.nextBeginOffset);
      await setImmediate();
    }
    const open = this.#knownFrom - this.#settled.first;
    if (open > 0) {
      logger.info("{opCount} op messages read; the first open transaction is {first} of {end}", {
        opCount,
        first: this.#settled.first,
        end: this.#knownFrom,
      });
    }
  }

  /** A half that an op message names. */
  #noteSettled(offset: number): void {
    if (offset >= this.#options.store.maxOffset(HALF_TOPIC, HALF_QUEUE_ID)) return;
    if (offset >= this.#settled.first) this.#settled.add(offset);
    else if (this.#settledBefore.size < MAX_SETTLED_BEFORE) this.#settledBefore.add(offset);
  }

  /** Stores `message`, then that the half is settled. */
  #settle(
    offset: number,
    message: MessageDraft | undefined,
    onEnd: (outcome: Outcome, appended?: Appended) => void,
  ): void {
    const { store } = this.#options;
    const appended = message && store.append(message);
    const op = this.#ops.writesAtOnce ? this.#appendOp(offset, appended) : undefined;
    const last = op ?? appended;
    if (last === undefined) {
      this.#settled.add(offset);
      this.#ops.gather(offset);
      onEnd("STORED");
      return;
    }
    this.#ending.add(offset);
    this.#options.whenStored(last.endOffset, (outcome) => {
      this.#ending.delete(offset);
      if (!(outcome instanceof Error)) {
        if (message !== undefined) this.#count(message.topic, appended!);
        if (op === undefined) this.#ops.gather(offset);
        else {
          this.#ops.noteStored(op.queueOffset, [offset]);
          this.#count(OP_TOPIC, op);
        }
        this.#noteSettled(offset);
      }
      onEnd(outcome, appended);
    });
  }

  /**
   * Where the store takes no more behind the final message, what is settled is noted later.
   * @throws what the store says, where it has given up the final message, too: it was not written yet
   */
  #appendOp(offset: number, final: Appended | undefined): Appended | undefined {
    const { store } = this.#options;
    try {
      return store.append(this.#ops.messageOf(offset));
    } catch (error) {
      if (final !== undefined && final.endOffset <= store.maxPhysicalOffset) return undefined;
      throw error;
    }
  }

  #move(offset: number, draft: MessageDraft, isRenewed: boolean): Promise<Appended> {
    return new Promise((resolve, reject) => {
      this.#settle(offset, draft, (outcome, appended) => {
        const waiting = this.#moving.get(offset) ?? [];
        this.#moving.delete(offset);
        if (outcome instanceof Error) {
          reject(outcome);
        } else {
          this.#noteMoved(offset, isRenewed ? appended!.queueOffset : GIVEN_UP);
          resolve(appended!);
        }
        for (const end of waiting) end();
      });
      this.#moving.set(offset, []);
    });
  }

  /** For an end that had to wait: what the store says is its outcome. */
  #endLater(offset: number, final: MessageDraft | undefined, onEnd: (outcome: Outcome) => void): void {
    try {
      this.end(offset, final, onEnd);
    } catch (error) {
      const reason = error instanceof Error ? error : new Error(String(error));
      onEnd(
        error instanceof StoreRefusedError ? error : new StoreRefusedError("WRITE_FAILED", reason.message),
      );
    }
  }

  #noteMoved(from: number, to: number): void {
    this.#moved.set(from, to);
    if (this.#moved.size <= MAX_MOVED) return;
    const [oldest] = this.#moved.keys();
    this.#moved.delete(oldest);
    // Of halves up to there we can't say any more who settled them.
    this.#knownFrom = Math.max(this.#knownFrom, oldest + 1);
  }

  /** Where the half is now that a producer knows by its offset. */
  #placeOf(halfOffset: number): number {
    let offset = halfOffset;
    for (
      let next = this.#moved.get(offset);
      next !== undefined && next > offset;
      next = this.#moved.get(offset)
    ) {
      offset = next;
    }
    return offset;
  }

  #count(topic: string, appended: Appended): void {
    this.#options.statistics.onStored(topic, 1, appended.endOffset - appended.physicalOffset);
  }
}

/** The messages of an answer of the store. */
export function recordsOf(result: GetResult): MessageRecord[] {
  const records: MessageRecord[] = [];
  for (const bytes of result.records) {
    for (let at = 0; at < bytes.length;) {
      const record = decodeRecord(bytes, at);
      if (typeof record === "string") break;
      records.push(record);
      at += record.totalBytes;
    }
  }
  return records;
}
