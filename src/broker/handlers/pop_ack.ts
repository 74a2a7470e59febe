// SPDX-License-Identifier: Apache-2.0
/**
 * ACK_MESSAGE (200051) and BATCH_ACK_MESSAGE (200151): popped messages are dealt with. An acknowledgement that
 * comes when its message has been given out again changes nothing, and succeeds. [RMQ AckMessageProcessor]
 */
import type { BatchAck } from "../../protocol/bodies/batch_ack.ts";
import { decodeBatchAckRequest } from "../../protocol/bodies/batch_ack.ts";
import type { PoppedBatch } from "../../protocol/bodies/check_point.ts";
import type { TopicConfig } from "../../protocol/bodies/topic_config.ts";
import { ackRequest } from "../../protocol/headers/pop.ts";
import { decodeReceipt, ORDER_REVIVE_QUEUE } from "../../protocol/pop_receipt.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { errorResponse } from "../../remoting/dispatch.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import { type Handler, LATER, type Request } from "../../remoting/request.ts";
import type { Appended } from "../../store/types.ts";
import type { Outcome } from "../durability.ts";
import type { OrderAck } from "../pop/order.ts";
import { topicOfFlag } from "../pop/retry_topic.ts";
import { asRemotingError } from "../put_outcome.ts";
import { requireAckTarget } from "./pop_target.ts";

export interface PopAckOptions {
  topics: { get(topic: string): TopicConfig | undefined };
  store: {
    minOffset(topic: string, queueId: number): number;
    maxOffset(topic: string, queueId: number): number;
  };
  offsets: {
    query(group: string, topic: string, queueId: number): number;
    commit(group: string, topic: string, queueId: number, offset: number): void;
    pendingReset(group: string, topic: string, queueId: number): number | undefined;
  };
  order: {
    ack(topic: string, group: string, queueId: number, queueOffset: number, popTimeMs: number): OrderAck;
    isBlocked(topic: string, group: string, queueId: number, attemptId: string | undefined): boolean;
  };
  reviveLog: {
    appendAck(batch: PoppedBatch, invisibleMs: number, offset: number, reviveQueueId: number): Appended;
    appendBatchAck(
      batch: PoppedBatch,
      invisibleMs: number,
      offsets: readonly number[],
      reviveQueueId: number,
    ): Appended;
  };
  inFlight: {
    subtract(topic: string, group: string, queueId: number, popTimeMs: number, messageCount: number): void;
  };
  durability: { when(endOffset: number, mayWait: boolean, settle: (outcome: Outcome) => void): void };
  /** Called when messages of a queue that are popped in order may be given out. */
  onQueueFree: (topic: string, group: string, queueId: number) => void;
  /** @throws RemotingError MESSAGE_ILLEGAL for a queue that the revive topic does not have */
  requireReviveQueue: (reviveQueueId: number) => void;
}

export function popAckHandlers(options: PopAckOptions): [number, Handler][] {
  return [
    [RequestCode.ACK_MESSAGE, (request) => handleAck(options, request)],
    [RequestCode.BATCH_ACK_MESSAGE, (request) => handleBatchAck(options, request)],
  ];
}

function handleAck(options: PopAckOptions, request: Request): Response | typeof LATER {
  const { consumerGroup: group, topic, queueId, extraInfo, offset } = ackRequest.decode(request.fields);
  requireAckTarget(options, topic, queueId);
  const minOffset = options.store.minOffset(topic, queueId);
  const maxOffset = options.store.maxOffset(topic, queueId);
  if (offset < minOffset || offset > maxOffset) {
    throw new RemotingError(
      ResponseCode.NO_MESSAGE,
      `offset is illegal, key:${topic}@${queueId}, commit:${offset}, store:${minOffset}~${maxOffset}`,
    );
  }
  const { startOffset, popTimeMs, invisibleMs, reviveQueueId, brokerName } = decodeReceipt(extraInfo);
  const batch = { topic, group, queueId, startOffset, popTimeMs, brokerName };
  if (reviveQueueId === ORDER_REVIVE_QUEUE) {
    ackInOrder(options, batch, offset);
    return { code: ResponseCode.SUCCESS };
  }
  options.requireReviveQueue(reviveQueueId);
  const { endOffset } = stored(() => options.reviveLog.appendAck(batch, invisibleMs, offset, reviveQueueId));
  options.inFlight.subtract(topic, group, queueId, popTimeMs, 1);
  return answerWhenStored(options, request, endOffset);
}

function handleBatchAck(options: PopAckOptions, request: Request): Response | typeof LATER {
  const { brokerName, acks } = request.body === null
    ? { brokerName: "", acks: [] }
    : decodeBatchAckRequest(request.body);
  if (acks.length === 0) return { code: ResponseCode.NO_MESSAGE };
  let endOffset = 0;
  let problem: unknown;
  for (const ack of acks) {
    try {
      endOffset = Math.max(endOffset, ackBatch(options, ack, brokerName));
    } catch (error) {
      problem ??= error; // the other check points have nothing to do with this one
    }
  }
  if (problem !== undefined) return errorResponse(problem, request);
  if (endOffset === 0) return { code: ResponseCode.SUCCESS };
  return answerWhenStored(options, request, endOffset);
}

/** @returns the end of the record that was written; 0 without one */
function ackBatch(options: PopAckOptions, ack: BatchAck, brokerName: string): number {
  const { group, queueId, startOffset, popTimeMs, invisibleMs, reviveQueueId } = ack;
  const topic = topicOfFlag(ack.topic, group, ack.retry);
  if (topic === undefined) {
    throw new RemotingError(ResponseCode.SYSTEM_ERROR, `${ack.retry.slice(0, 32)} is no kind of topic`);
  }
  const minOffset = options.store.minOffset(topic, queueId);
  const maxOffset = options.store.maxOffset(topic, queueId);
  const offsets = ack.offsets.filter((offset) => offset >= minOffset && offset <= maxOffset);
  if (offsets.length === 0 || options.topics.get(topic) === undefined) return 0;
  const batch = { topic, group, queueId, startOffset, popTimeMs, brokerName };
  if (reviveQueueId === ORDER_REVIVE_QUEUE) {
    for (const offset of offsets) ackInOrder(options, batch, offset);
    return 0;
  }
  options.requireReviveQueue(reviveQueueId);
  const { endOffset } = stored(() =>
    options.reviveLog.appendBatchAck(batch, invisibleMs, offsets, reviveQueueId)
  );
  options.inFlight.subtract(topic, group, queueId, popTimeMs, offsets.length);
  return endOffset;
}

/** @throws RemotingError MESSAGE_ILLEGAL when the message is not of the queue's last batch */
function ackInOrder(options: PopAckOptions, batch: PoppedBatch, offset: number): void {
  const { topic, group, queueId, popTimeMs } = batch;
  const { offsets, order } = options;
  const committed = offsets.query(group, topic, queueId);
  if (offset < committed) return;
  let next = order.ack(topic, group, queueId, offset, popTimeMs);
  if (next === "FORGOTTEN") {
    // Nobody knows whether those before it were dealt with: only the next one takes the group further.
    if (offset !== committed || offset >= options.store.maxOffset(topic, queueId)) return;
    next = offset + 1;
  }
  if (next === "STALE") return;
  if (next === "UNKNOWN") {
    throw new RemotingError(
      ResponseCode.MESSAGE_ILLEGAL,
      `offset is illegal, key:${topic}@${group}@${queueId}, old:${committed}, commit:${offset}, next:-1`,
    );
  }
  if (offsets.pendingReset(group, topic, queueId) === undefined) offsets.commit(group, topic, queueId, next);
  options.inFlight.subtract(topic, group, queueId, popTimeMs, 1);
  if (!order.isBlocked(topic, group, queueId, undefined)) options.onQueueFree(topic, group, queueId);
}

function answerWhenStored(options: PopAckOptions, request: Request, endOffset: number): typeof LATER {
  options.durability.when(endOffset, true, (outcome) => {
    request.respond(
      outcome instanceof Error
        ? errorResponse(asRemotingError(outcome), request)
        : { code: ResponseCode.SUCCESS },
    );
  });
  return LATER;
}

/** @throws RemotingError for what the store says */
function stored(append: () => Appended): Appended {
  try {
    return append();
  } catch (error) {
    throw asRemotingError(error);
  }
}
