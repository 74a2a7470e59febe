// SPDX-License-Identifier: Apache-2.0
/**
 * Asks producers about transactions that they have left open. A round goes once through the open halves. One that
 * is due is stored anew, with one more question counted, and a producer of its group is asked; the answer is an
 * END_TRANSACTION. One that was asked about too often is stored where operators find it.
 * [RMQ TransactionalMessageServiceImpl.check]
 *
 * Apache counts a question also where no producer was there to be asked, and so gives up the transactions of an
 * application that is away for some minutes; here they wait, uncounted, until one comes or log files expire.
 */
import { setImmediate } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../../base/clock.ts";
import { checkTransactionStateRequest } from "../../protocol/headers/transaction.ts";
import { offsetMessageId } from "../../protocol/message_id.ts";
import { Property } from "../../protocol/properties.ts";
import type { MessageRecord, RecordPlace } from "../../protocol/record.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import type { Connection } from "../../remoting/connection.ts";
import { type MessageDraft, MessageIllegalError, StoreRefusedError } from "../../store/types.ts";
import {
  checkTimesOf,
  type Half,
  HALF_QUEUE_ID,
  HALF_TOPIC,
  halfOf,
  recordForProducer,
  toGivenUp,
  toRenewed,
} from "./half.ts";
import { type CheckSettings, judge, nextLookMs } from "./judge.ts";
import { recordsOf, type Transactions, type TransactionStore } from "./transactions.ts";
import { isNearStart, isWide, type Place, Waiting } from "./waiting.ts";

const logger = getLogger(["rmq", "broker"]);

export interface CheckOptions {
  store: Pick<TransactionStore, "maxOffset" | "getMessages"> & {
    readonly minPhysicalOffset: number;
    readonly maxPhysicalOffset: number;
  };
  transactions: Transactions;
  producers: {
    hasProducer(group: string): boolean;
    /** A producer of the group, each in its turn. */
    nextProducer(group: string): Connection | undefined;
  };
  /** Makes the topic of halves that are given up. */
  makeGivenUpTopic: () => void;
  clock: Clock;
  brokerName: string;
  settings: () => CheckSettings;
}

/** A round that takes longer is gone on with at the next one. [RMQ MAX_PROCESS_TIME_LIMIT] */
const MAX_ROUND_MS = 60_000;
/** A producer that has so much to read is not asked more for a moment. */
const MAX_UNSENT_BYTES = 1 << 20;
const CONGESTED_PAUSE_MS = 50;
/** Halves read, stored and asked about at a time; others are served in between. */
const BATCH_COUNT = 32;

export class TransactionCheck {
  #options: CheckOptions;
  #timer: Timer | undefined;
  #endPause: (() => void) | undefined;
  #round: Promise<void> | undefined;
  #isStopped = false;
  /** What waited at the end of the last round. */
  #waiting: Waiting | undefined;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#isStopped) return;
    const { clock, settings } = this.#options;
    this.#timer = clock.after(settings().transactionCheckIntervalMs, () => {
      this.#round = this.#runRound().finally(() => this.start());
    });
  }

  /** Ends after the batch that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#endPause?.();
    await this.#round;
  }

  async #runRound(): Promise<void> {
    const { transactions } = this.#options;
    try {
      await transactions.recovered();
      await this.#walk();
      transactions.keepProgress();
    } catch (error) {
      // the store itself says why it takes nothing
      if (error instanceof StoreRefusedError) return;
      logger.error(
        "a round of questions about transactions has failed, and goes on at the next one: {error}",
        {
          error,
        },
      );
    }
  }

  async #walk(): Promise<void> {
    const { store, transactions, clock } = this.#options;
    const end = store.maxOffset(HALF_TOPIC, HALF_QUEUE_ID);
    const waiting = this.#stillWaiting() ?? new Waiting(transactions.firstOpen);
    this.#waiting = undefined;
    const isCrowded = isWide(this.#place());
    const deadlineMs = clock.monotonicMs() + MAX_ROUND_MS;
    for (let isOver = false; !isOver && !this.#isStopped;) {
      const offset = transactions.nextOpen(waiting.end, end);
      waiting.end = offset;
      if (offset === end || clock.monotonicMs() > deadlineMs) break;
      const result = await store.getMessages(HALF_TOPIC, HALF_QUEUE_ID, offset, {
        maxCount: transactions.openRun(offset, end, BATCH_COUNT),
      });
      if (result.nextBeginOffset <= offset) break;
      const next = Math.min(result.nextBeginOffset, end);
      isOver = await this.#serve(waiting, next, recordsOf(result), isCrowded);
      await setImmediate();
    }
    if (waiting.isKept) this.#waiting = waiting;
  }

  /** Serves the open halves from `waiting.end` to `next`. True: those behind them are too young. */
  async #serve(
    waiting: Waiting,
    next: number,
    records: readonly MessageRecord[],
    isCrowded: boolean,
  ): Promise<boolean> {
    const { transactions, clock, producers } = this.#options;
    const settings = this.#options.settings();
    const byOffset = new Map(records.map((record) => [record.queueOffset, record]));
    const underWay: Promise<unknown>[] = [];
    let isOver = false;
    while (!isOver && (waiting.end = transactions.nextOpen(waiting.end, next)) < next) {
      const offset = waiting.end;
      const half = this.#halfAt(offset, byOffset.get(offset));
      const verdict = half && judge(half, clock.nowMs(), settings, (group) => producers.hasProducer(group));
      if (verdict === "YOUNG") {
        isOver = true;
        break;
      }
      if (verdict === "ASK") isOver = !await this.#ask(half!, underWay);
      else if (verdict === "GIVE_UP") track(underWay, this.#giveUp(half!));
      else if (verdict === "WAIT") this.#letWait(half!, waiting, isCrowded, settings, underWay);
      if (!isOver) waiting.end = offset + 1;
    }
    await Promise.all(underWay);
    return isOver;
  }

  /** The half at a queue offset; one that can't be, or is settled by its first copy, is left out. */
  #halfAt(offset: number, record: MessageRecord | undefined): Half | undefined {
    const { transactions } = this.#options;
    const half = record && halfOf(record);
    if (half === undefined) {
      logger.error("the half message {offset} of a transaction {problem}: it is left out", {
        offset,
        problem: record ? "does not say where it belongs" : "can't be read",
      });
      transactions.leaveOut(offset);
      return undefined;
    }
    const first = half.properties.get(Property.TRANSACTION_PREPARED_QUEUE_OFFSET);
    if (
      first !== undefined && /^[0-9]{1,16}$/.test(first) &&
      transactions.isCopyOfSettled(offset, Number(first))
    ) {
      transactions.leaveOut(offset);
      return undefined;
    }
    return half;
  }

  /** Stores the half anew and asks a producer of its group. False: the broker stops. */
  async #ask(half: Half, underWay: Promise<unknown>[]): Promise<boolean> {
    let producer = this.#options.producers.nextProducer(half.producerGroup);
    while (producer !== undefined && producer.unsentBytes > MAX_UNSENT_BYTES) {
      await this.#pause();
      if (this.#isStopped) return false;
      producer = this.#options.producers.nextProducer(half.producerGroup);
    }
    if (producer === undefined) return true;
    const asked = producer;
    const times = checkTimesOf(half);
    const draft = toRenewed(half, times + 1);
    const renewed = this.#options.transactions.renew(half.record.queueOffset, draft);
    track(
      underWay,
      renewed.then(
        (appended) => this.#sendQuestion(asked, half, draft, appended),
        (error) => {
          warnOfIllegal(half, error);
          this.#sendQuestion(asked, half, toRenewed(half, times), half.record);
        },
      ),
    );
    return true;
  }

  #sendQuestion(producer: Connection, half: Half, draft: MessageDraft, place: RecordPlace): void {
    const { queueOffset, physicalOffset } = place;
    const uniqueKey = half.properties.get(Property.UNIQ_KEY);
    producer.notify({
      code: RequestCode.CHECK_TRANSACTION_STATE,
      fields: checkTransactionStateRequest.encode({
        topic: HALF_TOPIC,
        tranStateTableOffset: queueOffset,
        commitLogOffset: physicalOffset,
        msgId: uniqueKey,
        transactionId: uniqueKey,
        offsetMsgId: offsetMessageId(half.record.storeHost, physicalOffset),
        bname: this.#options.brokerName,
      }),
      body: recordForProducer(half, draft, place),
    });
  }

  #giveUp(half: Half): Promise<unknown> {
    const { record, realTopic, producerGroup } = half;
    logger.warn("the transaction {offset} of {group} for {topic} is given up after {times} questions", {
      offset: record.queueOffset,
      group: producerGroup,
      topic: realTopic,
      times: checkTimesOf(half),
    });
    this.#options.makeGivenUpTopic();
    const { transactions } = this.#options;
    return transactions.giveUp(record.queueOffset, toGivenUp(half)).catch((error) => {
      warnOfIllegal(half, error);
      transactions.abandon(record.queueOffset);
    });
  }

  /** Leaves a half where it is, or stores it anew where it would be in the way, or go with its file. */
  #letWait(
    half: Half,
    waiting: Waiting,
    isCrowded: boolean,
    settings: CheckSettings,
    underWay: Promise<unknown>[],
  ): void {
    const { queueOffset, physicalOffset } = half.record;
    const wait = () => {
      const wakeAtMs = nextLookMs(half, this.#options.clock.nowMs(), settings);
      waiting.add(half.producerGroup, wakeAtMs, physicalOffset);
    };
    if (!isCrowded && !isNearStart(this.#place(), physicalOffset)) return wait();
    const renewed = this.#options.transactions.renew(queueOffset, toRenewed(half, checkTimesOf(half)));
    track(
      underWay,
      renewed.catch((error) => {
        warnOfIllegal(half, error);
        wait();
      }),
    );
  }

  /** What waited at the end of the last round, if all of it waits still. */
  #stillWaiting(): Waiting | undefined {
    const waiting = this.#waiting;
    const place = this.#place();
    if (waiting === undefined || waiting.end < place.firstOpen || waiting.count === 0) return undefined;
    if (waiting.wakeAtMs <= this.#options.clock.nowMs()) return undefined;
    if (isNearStart(place, waiting.minPhysicalOffset) || isWide(place)) return undefined;
    for (const group of waiting.groups) if (this.#options.producers.hasProducer(group)) return undefined;
    return waiting;
  }

  #place(): Place {
    const { store, transactions } = this.#options;
    return {
      firstOpen: transactions.firstOpen,
      openCount: transactions.openCount,
      maxOffset: store.maxOffset(HALF_TOPIC, HALF_QUEUE_ID),
      minPhysicalOffset: store.minPhysicalOffset,
      maxPhysicalOffset: store.maxPhysicalOffset,
    };
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.after(CONGESTED_PAUSE_MS, resolve);
      this.#endPause = () => (timer.cancel(), resolve());
    });
    this.#endPause = undefined;
  }
}

/** Work that is waited for later: that it has failed is not for the process to die of meanwhile. */
function track(underWay: Promise<unknown>[], work: Promise<unknown>): void {
  work.catch(() => {});
  underWay.push(work);
}

/**
 * A half that is too long to be stored once more (its properties are full, or less is allowed now) stays where it is:
 * it must not keep those behind it from being asked about. @throws any other error
 */
function warnOfIllegal({ record }: Half, error: unknown): void {
  if (!(error instanceof MessageIllegalError)) throw error;
  logger.warn("the half message {offset} of a transaction can't be stored anew: {error}", {
    offset: record.queueOffset,
    error,
  });
}
