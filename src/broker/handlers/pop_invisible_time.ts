// SPDX-License-Identifier: Apache-2.0
/**
 * CHANGE_MESSAGE_INVISIBLETIME (200053): a consumer needs longer for a popped message, or wants it to come again
 * sooner. The message gets a check point of its own and is acknowledged to the old one; what the answer says is
 * part of its new receipt. [RMQ ChangeInvisibleTimeProcessor]
 */
import type { Clock } from "../../base/clock.ts";
import type { CheckPoint, PoppedBatch } from "../../protocol/bodies/check_point.ts";
import type { TopicConfig } from "../../protocol/bodies/topic_config.ts";
import {
  type ChangeInvisibleTimeRequest,
  changeInvisibleTimeRequest,
  changeInvisibleTimeResponse,
} from "../../protocol/headers/pop.ts";
import { type CheckPointName, decodeReceipt, ORDER_REVIVE_QUEUE } from "../../protocol/pop_receipt.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { errorResponse } from "../../remoting/dispatch.ts";
import { type Handler, LATER, type Request } from "../../remoting/request.ts";
import type { Appended } from "../../store/types.ts";
import type { Outcome } from "../durability.ts";
import { asRemotingError } from "../put_outcome.ts";
import { requireAckTarget } from "./pop_target.ts";

export interface PopInvisibleTimeOptions {
  topics: { get(topic: string): TopicConfig | undefined };
  store: {
    minOffset(topic: string, queueId: number): number;
    maxOffset(topic: string, queueId: number): number;
  };
  offsets: { query(group: string, topic: string, queueId: number): number };
  order: {
    setVisibleAt(
      topic: string,
      group: string,
      queueId: number,
      queueOffset: number,
      popTimeMs: number,
      visibleAtMs: number,
    ): void;
  };
  reviveLog: {
    appendCheckPoint(checkPoint: CheckPoint, reviveQueueId: number): Appended;
    appendAck(batch: PoppedBatch, invisibleMs: number, offset: number, reviveQueueId: number): Appended;
  };
  durability: { when(endOffset: number, mayWait: boolean, settle: (outcome: Outcome) => void): void };
  /** @throws RemotingError MESSAGE_ILLEGAL for a queue that the revive topic does not have */
  requireReviveQueue: (reviveQueueId: number) => void;
  clock: Clock;
}

export function popInvisibleTimeHandlers(options: PopInvisibleTimeOptions): [number, Handler][] {
  return [[RequestCode.CHANGE_MESSAGE_INVISIBLETIME, (request) => handle(options, request)]];
}

function handle(options: PopInvisibleTimeOptions, request: Request): Response | typeof LATER {
  const change = changeInvisibleTimeRequest.decode(request.fields);
  const { topic, queueId, offset } = change;
  requireAckTarget(options, topic, queueId);
  const { store } = options;
  if (offset < store.minOffset(topic, queueId) || offset >= store.maxOffset(topic, queueId)) {
    return { code: ResponseCode.NO_MESSAGE };
  }
  const name = decodeReceipt(change.extraInfo);
  if (name.reviveQueueId === ORDER_REVIVE_QUEUE) return changeInOrder(options, change, name);
  options.requireReviveQueue(name.reviveQueueId);
  // its check points differ by this alone where the message was the first of its pop
  const popTimeMs = Math.max(options.clock.nowMs(), name.popTimeMs + 1);
  let endOffset: number;
  try {
    endOffset = putAnew(options, change, name, popTimeMs);
  } catch (error) {
    throw asRemotingError(error);
  }
  options.durability.when(endOffset, true, (outcome) => {
    request.respond(
      outcome instanceof Error
        ? errorResponse(asRemotingError(outcome), request)
        : answer(popTimeMs, change.invisibleTime, name.reviveQueueId),
    );
  });
  return LATER;
}

/**
 * The new check point comes before the acknowledgement in the log, so that there is never neither.
 * @returns the end of both
 */
function putAnew(
  options: PopInvisibleTimeOptions,
  change: ChangeInvisibleTimeRequest,
  { startOffset, popTimeMs, invisibleMs, reviveQueueId, brokerName }: CheckPointName,
  nowMs: number,
): number {
  const { topic, consumerGroup: group, queueId, offset, invisibleTime } = change;
  const { reviveLog } = options;
  reviveLog.appendCheckPoint({
    ...{ topic, group, queueId, startOffset: offset, popTimeMs: nowMs, brokerName },
    ...{ invisibleMs: invisibleTime, offsets: [offset], acked: 0, rePutTimes: 0 },
  }, reviveQueueId);
  const batch = { topic, group, queueId, startOffset, popTimeMs, brokerName };
  return reviveLog.appendAck(batch, invisibleMs, offset, reviveQueueId).endOffset;
}

/** The receipt stays, the invisible time counts from the pop. */
function changeInOrder(
  options: PopInvisibleTimeOptions,
  change: ChangeInvisibleTimeRequest,
  { popTimeMs }: CheckPointName,
): Response {
  const { topic, consumerGroup: group, queueId, offset } = change;
  if (offset < options.offsets.query(group, topic, queueId)) return answer(0, 0, 0);
  const visibleAtMs = options.clock.nowMs() + change.invisibleTime;
  options.order.setVisibleAt(topic, group, queueId, offset, popTimeMs, visibleAtMs);
  return answer(popTimeMs, visibleAtMs - popTimeMs, ORDER_REVIVE_QUEUE);
}

function answer(popTime: number, invisibleTime: number, reviveQid: number): Response {
  return {
    code: ResponseCode.SUCCESS,
    fields: changeInvisibleTimeResponse.encode({ popTime, invisibleTime, reviveQid }),
  };
}
