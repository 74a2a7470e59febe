// SPDX-License-Identifier: Apache-2.0
/**
 * POP_MESSAGE (200050): messages of any queue for any member of a group, each for one of them until it is
 * acknowledged or its invisible time has passed. [RMQ PopMessageProcessor]
 */
import type { Clock } from "../../base/clock.ts";
import type { TopicConfig } from "../../protocol/bodies/topic_config.ts";
import { type PopRequest, popRequest, popResponse } from "../../protocol/headers/pop.ts";
import { joinItems, ORDER_REVIVE_QUEUE } from "../../protocol/pop_receipt.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { errorResponse } from "../../remoting/dispatch.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import { type Handler, LATER, type Request } from "../../remoting/request.ts";
import type { MessageFilter } from "../../store/types.ts";
import type { Outcome } from "../durability.ts";
import { type HeldPop, type HoldOutcome, holdTimes } from "../pop/hold.ts";
import { Popped, type PopWish } from "../pop/reader.ts";
import { popRetryTopicV1, popRetryTopicV2 } from "../pop/retry_topic.ts";
import { asRemotingError } from "../put_outcome.ts";
import type { Subscription } from "../subscription.ts";
import { type PopTargetOptions, requirePopTarget, requireReadableBroker } from "./pop_target.ts";

type PopSubscription = Pick<Subscription, "filter" | "expressionType" | "subString">;

export interface PopOptions extends PopTargetOptions {
  reader: { read(wish: PopWish, topic: string, queueId: number, popped: Popped): void | Promise<void> };
  hold: {
    hold(pop: HeldPop): HoldOutcome;
    wakeOne(topic: string, group: string, queueId: number): void;
    readonly arrivalCount: number;
  };
  durability: { when(endOffset: number, mayWait: boolean, settle: (outcome: Outcome) => void): void };
  /** What comes with the request. @throws RemotingError SUBSCRIPTION_PARSE_FAILED, … */
  parseSubscription: (
    topic: string,
    expression: string | undefined,
    type: string | undefined,
  ) => PopSubscription;
  /** Its filter, as the group's. @throws RemotingError SUBSCRIPTION_PARSE_FAILED */
  filterOf: (group: string, topic: string, subscription: PopSubscription) => MessageFilter | undefined;
  clock: Clock;
  settings: () => PopSettings;
}

export interface PopSettings {
  readonly brokerPermission: number;
  readonly advertisedHost: string;
  /** Check points are timed messages: without those there is no POP. */
  readonly timersEnabled: boolean;
  readonly reviveQueueCount: number;
  /** Of 100 requests, those that look at the retry topic first; the others look there when there is room. */
  readonly popFromRetryPercent: number;
  /** Retry topics are named in the new form. */
  readonly popRetryTopicV2: boolean;
  /** And those of the old form are still read. */
  readonly popReadsRetryTopicV1: boolean;
}

const MAX_COUNT = 32;
/** A request may come so much later than its time ends; then nobody waits for the answer. */
const LATE_MS = 500;
const ALL_QUEUES = -1;

/** What an error says of what was popped; clients look for these numbers in every answer. */
const NOTHING = { popTime: "0", invisibleTime: "0", reviveQid: "0", restNum: "0" };

/** One queue that is going to be read. */
interface Place {
  readonly topic: string;
  readonly queueId: number;
  /** Read only while there is room in the answer. */
  readonly ifRoom: boolean;
}

export function popHandlers(options: PopOptions): [number, Handler][] {
  let turn = 0;
  return [[RequestCode.POP_MESSAGE, (request) => {
    new Pop(options, request, popRequest.decode(request.fields), turn++).serve();
    return LATER;
  }]];
}

/** One request, which may be served more than once: whenever there may be something for it. */
class Pop implements HeldPop {
  readonly request: Request;
  #options: PopOptions;
  #header: PopRequest;
  /** Shares check points out among the queues of the revive topic. */
  #turn: number;
  /** By our clock. A client's clock that is ahead must not make it wait longer than it does. */
  #bornMs: number;
  readonly deadlineMs: number;
  #filter: MessageFilter | undefined;

  constructor(options: PopOptions, request: Request, header: PopRequest, turn: number) {
    this.request = request;
    this.#options = options;
    this.#header = header;
    this.#turn = turn;
    const { bornMs, deadlineMs } = holdTimes(options.clock, header);
    this.#bornMs = bornMs;
    this.deadlineMs = deadlineMs;
  }

  get topic() {
    return this.#header.topic;
  }

  get group() {
    return this.#header.consumerGroup;
  }

  get queueId() {
    return Math.max(ALL_QUEUES, this.#header.queueId);
  }

  get connection() {
    return this.request.connection;
  }

  get filter() {
    return this.#filter;
  }

  wake(): void {
    // what is read for nobody would stay invisible
    if (!this.connection.closed) this.serve();
  }

  serve(): void {
    try {
      const config = this.#check();
      const { consumerGroup, topic, exp, expType } = this.#header;
      const subscription = this.#options.parseSubscription(topic, exp, exp ? expType : undefined);
      this.#filter = this.#options.filterOf(consumerGroup, topic, subscription);
      const popped = new Popped();
      const wish = this.#wish();
      const arrivals = this.#options.hold.arrivalCount;
      const reading = this.#read(wish, this.#places(config), popped, 0);
      if (reading === undefined) {
        this.#answer(wish, popped);
        return;
      }
      reading.then(() => {
        // what arrived meanwhile has woken nobody
        if (this.#options.hold.arrivalCount !== arrivals) popped.hasMore = true;
        this.#answer(wish, popped);
      }).catch((error) => this.#answerError(error));
    } catch (error) {
      this.#answerError(error);
    }
  }

  #check(): TopicConfig {
    const { pollTime, maxMsgNums } = this.#header;
    const { clock, settings } = this.#options;
    if (clock.nowMs() - this.#bornMs - pollTime > LATE_MS) {
      throw new RemotingError(
        ResponseCode.POLLING_TIMEOUT,
        `the broker[${settings().advertisedHost}] pop message is timeout too much`,
      );
    }
    requireReadableBroker(this.#options);
    if (maxMsgNums > MAX_COUNT) {
      throw new RemotingError(
        ResponseCode.INVALID_PARAMETER,
        `the broker[${settings().advertisedHost}] pop message's num is greater than ${MAX_COUNT}`,
      );
    }
    if (!settings().timersEnabled) {
      throw new RemotingError(
        ResponseCode.SYSTEM_ERROR,
        `the broker[${settings().advertisedHost}] pop message is forbidden because timerWheelEnable is false`,
      );
    }
    return requirePopTarget(this.#options, this.#header);
  }

  #wish(): PopWish {
    const { topic, consumerGroup, maxMsgNums, invisibleTime, initMode, order, attemptId } = this.#header;
    const { clock, settings } = this.#options;
    return {
      topic,
      group: consumerGroup,
      maxCount: Math.max(1, maxMsgNums),
      invisibleMs: invisibleTime,
      initMode,
      isOrdered: order,
      attemptId,
      filter: this.#filter,
      popTimeMs: clock.nowMs(),
      reviveQueueId: order ? ORDER_REVIVE_QUEUE : this.#turn % settings().reviveQueueCount,
    };
  }

  /** No queue twice: the client could not tell its messages apart. Nor both retry topics, for the same reason. */
  #places(config: TopicConfig): Place[] {
    const { topic, order } = this.#header;
    const normal = this.#header.queueId < 0
      ? queuesOf(config, false)
      : [{ topic, queueId: this.#header.queueId, ifRoom: false }];
    if (order) return normal;
    const isFirst = Math.random() * 100 < this.#options.settings().popFromRetryPercent;
    const retryConfig = this.#options.topics.get(this.#retryTopic());
    if (retryConfig === undefined) return normal;
    const retry = queuesOf(retryConfig, !isFirst);
    return isFirst ? [...retry, ...normal] : [...normal, ...retry];
  }

  #retryTopic(): string {
    const { topic, consumerGroup } = this.#header;
    const { popRetryTopicV2: isV2, popReadsRetryTopicV1 } = this.#options.settings();
    if (!isV2 || (popReadsRetryTopicV1 && Math.random() < 0.5)) return popRetryTopicV1(topic, consumerGroup);
    return popRetryTopicV2(topic, consumerGroup);
  }

  /** Reads places from one on; a promise only where the disk is waited for. */
  #read(wish: PopWish, places: readonly Place[], popped: Popped, from: number): Promise<void> | undefined {
    for (let index = from; index < places.length; index++) {
      const { topic, queueId, ifRoom } = places[index];
      if (ifRoom && popped.messageCount >= wish.maxCount) continue;
      const reading = this.#options.reader.read(wish, topic, queueId, popped);
      if (reading !== undefined) return reading.then(() => this.#read(wish, places, popped, index + 1));
    }
    return undefined;
  }

  #answer(wish: PopWish, popped: Popped): void {
    const { hold, durability } = this.#options;
    if (popped.messageCount > 0) {
      if (popped.restCount > 0) hold.wakeOne(this.topic, this.group, this.queueId);
      const response = this.#response(ResponseCode.SUCCESS, "FOUND", wish, popped);
      if (popped.endOffset === 0) this.request.respond(response);
      else durability.when(popped.endOffset, true, (outcome) => this.#respondWhenStored(response, outcome));
      return;
    }
    const outcome = hold.hold(this);
    if (outcome === "HELD") {
      this.request.release();
      if (popped.hasMore) hold.wakeOne(this.topic, this.group, this.queueId);
      return;
    }
    const code = outcome === "FULL" ? ResponseCode.POLLING_FULL : ResponseCode.POLLING_TIMEOUT;
    this.request.respond(this.#response(code, "NO_MESSAGE_IN_QUEUE", wish, popped));
  }

  /** Without their check points the messages are nobody's, and are popped again. */
  #respondWhenStored(response: Response, outcome: Outcome): void {
    if (outcome instanceof Error) this.#answerError(asRemotingError(outcome));
    else this.request.respond(response);
  }

  #answerError(error: unknown): void {
    this.request.respond({ fields: NOTHING, ...errorResponse(error, this.request) });
  }

  #response(code: number, remark: string, wish: PopWish, popped: Popped): Response {
    const fields = popResponse.encode({
      popTime: wish.popTimeMs,
      invisibleTime: wish.invisibleMs,
      reviveQid: wish.reviveQueueId,
      restNum: popped.restCount,
      startOffsetInfo: joinItems(popped.startOffsets),
      msgOffsetInfo: joinItems(popped.messageOffsets),
      orderCountInfo: wish.isOrdered ? joinItems(popped.orderCounts) : undefined,
    });
    return popped.messageCount === 0
      ? { code, remark, fields }
      : { code, remark, fields, body: popped.records };
  }
}

/** All queues of a topic, beginning anywhere, so that none is always the last. */
function queuesOf({ topicName, readQueueNums }: TopicConfig, ifRoom: boolean): Place[] {
  const first = Math.floor(Math.random() * readQueueNums);
  return Array.from({ length: readQueueNums }, (_, index) => ({
    topic: topicName,
    queueId: (first + index) % readQueueNums,
    ifRoom,
  }));
}
