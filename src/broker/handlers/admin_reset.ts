// SPDX-License-Identifier: Apache-2.0
/**
 * INVOKE_BROKER_TO_RESET_OFFSET: moves a group to a time or an offset. [RMQ AdminBrokerProcessor.resetOffset,
 * Broker2Client.resetOffset]
 *
 * Either the broker keeps the new positions until the group's next pulls, and needs no consumer for that; or,
 * as brokers of 4.9 did, it tells the consumers that are online, who then commit the positions themselves.
 */
import { getLogger } from "@logtape/logtape";
import type { MessageQueue } from "../../protocol/bodies/message_queue.ts";
import { encodeResetOffset, encodeResetOffsetForCpp } from "../../protocol/bodies/reset_offset.ts";
import type { TopicConfig } from "../../protocol/bodies/topic_config.ts";
import { resetClientOffsetRequest } from "../../protocol/headers/admin_clients.ts";
import { type ResetOffsetRequest, resetOffsetRequest } from "../../protocol/headers/admin_offset.ts";
import { LANGUAGES } from "../../protocol/language.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { type Connection, formatAddress } from "../../remoting/connection.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";

const logger = getLogger(["rmq", "broker"]);

export interface AdminResetOptions {
  brokerName: string;
  topics: { get(topic: string): TopicConfig | undefined };
  groups: { has(group: string): boolean };
  offsets: {
    /** -1 where there is none. */
    query(group: string, topic: string, queueId: number): number;
    /** Moves the group, which is told at its next pull. */
    reset(group: string, topic: string, queueId: number, offset: number): void;
  };
  clients: {
    consumerGroup(group: string): { members: readonly { connection: Connection }[] } | undefined;
  };
  queues: {
    minOffset(topic: string, queueId: number): number;
    maxOffset(topic: string, queueId: number): number;
    offsetByTime(topic: string, queueId: number, timestampMs: number, boundary: "LOWER"): number;
  };
  /** Keep the positions here, instead of telling the consumers. */
  serverSide: () => boolean;
  /** Serves pulls of a topic that are held: they would learn of new positions only at their end. */
  wakePulls: (topic: string) => void;
}

export function adminResetHandlers(options: AdminResetOptions): [number, Handler][] {
  return [[RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, (request) => resetOffset(options, request)]];
}

function resetOffset(options: AdminResetOptions, request: Request): Response {
  const header = resetOffsetRequest.decode(request.fields);
  const { topic, group } = header;
  const config = options.topics.get(topic);
  if (config === undefined) {
    throw new RemotingError(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} does not exist`);
  }
  const offsets = options.serverSide()
    ? resetHere(options, header, config)
    : resetAtClients(options, header, config, request);
  const positions = offsets.map(([{ queueId }, offset]) => [queueId, offset]);
  const peer = formatAddress(request.connection.remote);
  logger.info("{group} reset in {topic} to {positions} by {peer}", { group, topic, positions, peer });
  return { code: ResponseCode.SUCCESS, body: encodeResetOffset(offsets) };
}

type Positions = [MessageQueue, number][];

function resetHere(options: AdminResetOptions, header: ResetOffsetRequest, config: TopicConfig): Positions {
  const { topic, group, queueId } = header;
  if (!options.groups.has(group)) {
    throw new RemotingError(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${group} does not exist`);
  }
  if (queueId >= config.readQueueNums) {
    throw refused(`The topic ${topic} has ${config.readQueueNums} queues to read: no queue ${queueId}`);
  }
  const offsets = queueId >= 0
    ? [positionOf(options, topic, queueId, targetOf(options, header))]
    : queuesOf(config.readQueueNums)
      .map((id) => positionOf(options, topic, id, offsetAt(options, topic, id, header.timestamp)));
  if (offsets.length === 0) throw refused("No queues to reset.");
  for (const [queue, offset] of offsets) options.offsets.reset(group, topic, queue.queueId, offset);
  options.wakePulls(topic);
  return offsets;
}

/** Where one queue is to be reset to. */
function targetOf(options: AdminResetOptions, header: ResetOffsetRequest): number {
  const { topic, queueId, offset, timestamp } = header;
  if (offset === -1) return offsetAt(options, topic, queueId, timestamp);
  const min = options.queues.minOffset(topic, queueId);
  const max = options.queues.maxOffset(topic, queueId);
  // Apache lets one past the end through, which would make the group skip a message.
  if (offset < min || offset > max) {
    throw refused(`Target offset ${offset} not in consume queue range [${min}-${max}]`);
  }
  return offset;
}

/** Needs consumers that are online, and a group that has consumed from every queue. */
function resetAtClients(
  options: AdminResetOptions,
  header: ResetOffsetRequest,
  config: TopicConfig,
  request: Request,
): Positions {
  const { topic, group, timestamp, isForce } = header;
  const offsets = queuesOf(config.writeQueueNums).map((queueId) => {
    const current = options.offsets.query(group, topic, queueId);
    if (current === -1) throw refused(`THe consumer group <${group}> not exist`);
    const target = offsetAt(options, topic, queueId, timestamp);
    return positionOf(options, topic, queueId, isForce ? target : Math.min(target, current));
  });
  const online = options.clients.consumerGroup(group);
  if (online === undefined) {
    throw new RemotingError(
      ResponseCode.CONSUMER_NOT_ONLINE,
      `Consumer not online, so can not reset offset, Group: ${group} Topic: ${topic} Timestamp: ${timestamp}`,
    );
  }
  // The list is what the C++ client reads; its administrators say so by their language.
  const isCpp = LANGUAGES[request.command.language] === "CPP";
  const call = {
    code: RequestCode.RESET_CONSUMER_CLIENT_OFFSET,
    fields: resetClientOffsetRequest.encode({ topic, group, timestamp, isForce }),
    body: isCpp ? encodeResetOffsetForCpp(offsets) : encodeResetOffset(offsets),
  };
  for (const { connection } of online.members) connection.notify(call);
  return offsets;
}

/** A time before 1970 means the end of the queue. */
function offsetAt(
  { queues }: AdminResetOptions,
  topic: string,
  queueId: number,
  timestampMs: number,
): number {
  if (timestampMs < 0) return queues.maxOffset(topic, queueId);
  return Math.max(0, queues.offsetByTime(topic, queueId, timestampMs, "LOWER"));
}

function positionOf(
  { brokerName }: AdminResetOptions,
  topic: string,
  queueId: number,
  offset: number,
): [MessageQueue, number] {
  return [{ brokerName, queueId, topic }, offset];
}

function queuesOf(count: number): number[] {
  return Array.from({ length: count }, (_, queueId) => queueId);
}

function refused(remark: string): RemotingError {
  return new RemotingError(ResponseCode.SYSTEM_ERROR, remark);
}
