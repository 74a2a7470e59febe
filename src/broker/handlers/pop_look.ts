// SPDX-License-Identifier: Apache-2.0
/**
 * What looks at messages for POP without taking them: NOTIFICATION (200054), which waits until there is one,
 * POLLING_INFO (200055), how many pops wait, and PEEK_MESSAGE (200052).
 * [RMQ NotificationProcessor, PollingInfoProcessor, PeekMessageProcessor]
 */
import type { Clock } from "../../base/clock.ts";
import type { TopicConfig } from "../../protocol/bodies/topic_config.ts";
import {
  type NotificationRequest,
  notificationRequest,
  notificationResponse,
  peekRequest,
  pollingInfoRequest,
  pollingInfoResponse,
  popResponse,
} from "../../protocol/headers/pop.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { errorResponse } from "../../remoting/dispatch.ts";
import { type Handler, LATER, type Request } from "../../remoting/request.ts";
import type { GetResult, ReadableQueues } from "../../store/types.ts";
import { NO_OFFSET } from "../consumer_offsets.ts";
import { type HeldPop, type HoldOutcome, holdTimes } from "../pop/hold.ts";
import { popRetryTopicV1, popRetryTopicV2 } from "../pop/retry_topic.ts";
import { type PopTargetOptions, requirePopTarget, requireReadableBroker } from "./pop_target.ts";

export interface PopLookOptions extends PopTargetOptions {
  store: ReadableQueues;
  positions: { next(topic: string, group: string, queueId: number): number };
  order: {
    isBlocked(topic: string, group: string, queueId: number, attemptId: string | undefined): boolean;
  };
  /** Pops that wait. */
  pops: { countAt(topic: string, group: string, queueId: number): number };
  /** Notifications that wait. */
  notifications: { hold(pop: HeldPop): HoldOutcome };
  clock: Clock;
  settings: () => {
    readonly brokerPermission: number;
    readonly popRetryTopicV2: boolean;
    readonly popReadsRetryTopicV1: boolean;
  };
}

const MAX_PEEKED = 32;

export function popLookHandlers(options: PopLookOptions): [number, Handler][] {
  return [
    [RequestCode.NOTIFICATION, (request) => {
      new Notification(options, request, notificationRequest.decode(request.fields)).serve();
      return LATER;
    }],
    [RequestCode.POLLING_INFO, (request) => handlePollingInfo(options, request)],
    [RequestCode.PEEK_MESSAGE, (request) => handlePeek(options, request)],
  ];
}

/** One request, served again whenever there may be a message. */
class Notification implements HeldPop {
  readonly request: Request;
  readonly deadlineMs: number;
  readonly filter = undefined;
  #options: PopLookOptions;
  #header: NotificationRequest;

  constructor(options: PopLookOptions, request: Request, header: NotificationRequest) {
    this.request = request;
    this.#options = options;
    this.#header = header;
    this.deadlineMs = holdTimes(options.clock, header).deadlineMs;
  }

  get topic() {
    return this.#header.topic;
  }

  get group() {
    return this.#header.consumerGroup;
  }

  get queueId() {
    return Math.max(-1, this.#header.queueId);
  }

  get connection() {
    return this.request.connection;
  }

  wake(): void {
    this.serve();
  }

  serve(): void {
    try {
      requireReadableBroker(this.#options);
      const config = requirePopTarget(this.#options, this.#header);
      const hasMessage = this.#hasMessage(config);
      if (hasMessage) return this.#answer(true, false);
      const outcome = this.#options.notifications.hold(this);
      if (outcome === "HELD") this.request.release();
      else this.#answer(false, outcome === "FULL");
    } catch (error) {
      this.request.respond(errorResponse(error, this.request));
    }
  }

  #answer(hasMsg: boolean, pollingFull: boolean): void {
    const fields = notificationResponse.encode({ hasMsg, pollingFull });
    this.request.respond({ code: ResponseCode.SUCCESS, fields });
  }

  #hasMessage(config: TopicConfig): boolean {
    const { order, attemptId, queueId } = this.#header;
    const isThere = (topic: string, queueId: number) => {
      if (order && this.#options.order.isBlocked(topic, this.group, queueId, attemptId)) return false;
      return unread(this.#options, topic, this.group, queueId) > 0;
    };
    const queueIds = queueId < 0 ? idsOf(config) : [queueId];
    return queueIds.some((queueId) => isThere(this.topic, queueId)) ||
      retryConfigsOf(this.#options, this.topic, this.group).some((retry) =>
        idsOf(retry).some((queueId) => isThere(retry.topicName, queueId))
      );
  }
}

function handlePollingInfo(options: PopLookOptions, request: Request): Response {
  const target = pollingInfoRequest.decode(request.fields);
  requireReadableBroker(options);
  requirePopTarget(options, target);
  const queueId = Math.max(-1, target.queueId);
  const pollingNum = options.pops.countAt(target.topic, target.consumerGroup, queueId);
  return { code: ResponseCode.SUCCESS, fields: pollingInfoResponse.encode({ pollingNum }) };
}

/** Messages as they are stored, from where the group would go on. */
async function handlePeek(options: PopLookOptions, request: Request): Promise<Response> {
  const peek = peekRequest.decode(request.fields);
  requireReadableBroker(options);
  const config = requirePopTarget(options, peek);
  const { topic, consumerGroup: group } = peek;
  const maxCount = Math.min(Math.max(1, peek.maxMsgNums), MAX_PEEKED);
  const queueIds = peek.queueId < 0 ? idsOf(config) : [peek.queueId];
  const places = [
    ...queueIds.map((queueId) => ({ topic, queueId })),
    ...retryConfigsOf(options, topic, group).flatMap((retry) =>
      idsOf(retry).map((queueId) => ({ topic: retry.topicName, queueId }))
    ),
  ];
  const records: Uint8Array[] = [];
  let count = 0;
  let restNum = 0;
  for (const { topic, queueId } of places) {
    restNum += unread(options, topic, group, queueId);
    if (count >= maxCount) continue;
    const result = await read(options, topic, group, queueId, maxCount - count);
    records.push(...result.records);
    count += result.messageCount;
  }
  const fields = popResponse.encode({
    ...{ popTime: 0, invisibleTime: 0, reviveQid: 0, restNum },
    ...{ startOffsetInfo: undefined, msgOffsetInfo: undefined, orderCountInfo: undefined },
  });
  if (count === 0) return { code: ResponseCode.PULL_NOT_FOUND, remark: "NO_MESSAGE_IN_QUEUE", fields };
  return { code: ResponseCode.SUCCESS, remark: "FOUND", fields, body: records };
}

async function read(
  { store, positions }: PopLookOptions,
  topic: string,
  group: string,
  queueId: number,
  maxCount: number,
): Promise<GetResult> {
  const from = positions.next(topic, group, queueId);
  const offset = from === NO_OFFSET ? store.minOffset(topic, queueId) : from;
  const result = await store.getMessages(topic, queueId, offset, { maxCount });
  const isElsewhere = result.status === "OFFSET_TOO_SMALL" || result.status === "OFFSET_OVERFLOW_BADLY";
  return isElsewhere ? await store.getMessages(topic, queueId, result.nextBeginOffset, { maxCount }) : result;
}

/** Messages behind where a group would go on; a new group would go on with the oldest. */
function unread({ store, positions }: PopLookOptions, topic: string, group: string, queueId: number): number {
  const next = positions.next(topic, group, queueId);
  const offset = next === NO_OFFSET ? store.minOffset(topic, queueId) : next;
  return Math.max(0, store.maxOffset(topic, queueId) - offset);
}

/** The group's retry topics that are there and read. */
function retryConfigsOf({ topics, settings }: PopLookOptions, topic: string, group: string): TopicConfig[] {
  const { popRetryTopicV2: isV2, popReadsRetryTopicV1 } = settings();
  const names = isV2 ? [popRetryTopicV2(topic, group)] : [];
  if (!isV2 || popReadsRetryTopicV1) names.push(popRetryTopicV1(topic, group));
  return names.map((name) => topics.get(name)).filter((config) => config !== undefined);
}

function idsOf({ readQueueNums }: TopicConfig): number[] {
  return Array.from({ length: readQueueNums }, (_, queueId) => queueId);
}
