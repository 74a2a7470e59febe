// SPDX-License-Identifier: Apache-2.0
/** QUERY_CONSUMER_OFFSET, UPDATE_CONSUMER_OFFSET: a group's position in a queue. [RMQ ConsumerManageProcessor] */
import type { TopicConfig } from "../../protocol/bodies/topic_config.ts";
import { offsetResponse, queryOffsetRequest, updateOffsetRequest } from "../../protocol/headers/offset.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";
import type { ConsumerOffsets } from "../consumer_offsets.ts";
import type { Groups } from "../groups.ts";
import type { Topics } from "../topics.ts";

export interface ConsumerOffsetOptions {
  readonly offsets: Pick<ConsumerOffsets, "commit" | "query" | "queuesOf" | "pendingReset">;
  readonly groups: Pick<Groups, "has">;
  readonly topics: Pick<Topics, "get">;
  /** Of the store; 0 for an unknown queue. */
  readonly minOffset: (topic: string, queueId: number) => number;
  /** Whether the queue's first message is there and can be read without the disk. */
  readonly isOffsetZeroHot: (topic: string, queueId: number) => boolean;
  readonly settings: () => ConsumerOffsetSettings;
}

export interface ConsumerOffsetSettings {
  /** Resets wait for the group's next pull; until then its commits are of the time before the reset. */
  readonly serverSideResetOffset: boolean;
}

const OK: Response = { code: ResponseCode.SUCCESS, fields: {} };

export function consumerOffsetHandlers(options: ConsumerOffsetOptions): [number, Handler][] {
  return [
    [RequestCode.QUERY_CONSUMER_OFFSET, (request) => handleQuery(options, request)],
    [RequestCode.UPDATE_CONSUMER_OFFSET, (request) => handleUpdate(options, request)],
  ];
}

/**
 * Clients take QUERY_NOT_FOUND for a new group, which by default starts at the end of a queue (4.9 clients
 * take any error so). On a young queue, whose first message is still hot, a new group is told to start at 0:
 * producers often begin just before their consumers.
 */
function handleQuery(options: ConsumerOffsetOptions, request: Request): Response {
  const { consumerGroup, topic, queueId, setZeroIfNotFound } = queryOffsetRequest.decode(request.fields);
  const offset = options.offsets.pendingReset(consumerGroup, topic, queueId) ??
    options.offsets.query(consumerGroup, topic, queueId);
  if (offset >= 0) return found(offset);
  if (setZeroIfNotFound === false) {
    throw new RemotingError(ResponseCode.QUERY_NOT_FOUND, "no offset is stored, and 0 is not wanted");
  }
  if (options.minOffset(topic, queueId) <= 0 && options.isOffsetZeroHot(topic, queueId)) return found(0);
  throw new RemotingError(ResponseCode.QUERY_NOT_FOUND, "no offset is stored: the group may be new");
}

function found(offset: number): Response {
  return { code: ResponseCode.SUCCESS, fields: offsetResponse.encode({ offset }) };
}

function handleUpdate(options: ConsumerOffsetOptions, request: Request): Response {
  const { consumerGroup, topic, queueId, commitOffset } = updateOffsetRequest.decode(request.fields);
  if (consumerGroup === undefined || !options.groups.has(consumerGroup)) {
    throw new RemotingError(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `Group ${shown(consumerGroup)} not exist!`,
    );
  }
  const config = topic === undefined ? undefined : options.topics.get(topic);
  if (topic === undefined || config === undefined) {
    throw new RemotingError(ResponseCode.TOPIC_NOT_EXIST, `Topic ${shown(topic)} not exist!`);
  }
  if (queueId === undefined) throw invalid(`QueueId is null, topic is ${topic}`);
  if (commitOffset === undefined) throw invalid(`Offset is null, topic is ${topic}`);
  if (
    options.settings().serverSideResetOffset &&
    options.offsets.pendingReset(consumerGroup, topic, queueId) !== undefined
  ) {
    return { ...OK, remark: "the offset was reset, and the group has not pulled since" };
  }
  if (!isQueueOf(config, queueId) && !options.offsets.queuesOf(consumerGroup, topic)?.has(queueId)) {
    throw invalid(`the topic ${topic} has no queue ${queueId}`);
  }
  options.offsets.commit(consumerGroup, topic, queueId, commitOffset);
  return OK;
}

function isQueueOf({ readQueueNums, writeQueueNums }: TopicConfig, queueId: number): boolean {
  return queueId >= 0 && queueId < Math.max(readQueueNums, writeQueueNums);
}

function invalid(remark: string): RemotingError {
  return new RemotingError(ResponseCode.INVALID_PARAMETER, remark);
}

function shown(name: string | undefined): string {
  return name === undefined ? "null" : name.slice(0, 255);
}
