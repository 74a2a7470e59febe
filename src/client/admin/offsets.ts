// SPDX-License-Identifier: Apache-2.0
/** What administrators ask a broker about where groups stand. */
import {
  type ConsumeStats,
  type ConsumeStatsList,
  decodeConsumeStats,
  decodeConsumeStatsList,
} from "../../protocol/bodies/consume_stats.ts";
import { decodeResetOffset, type QueueOffsets } from "../../protocol/bodies/reset_offset.ts";
import {
  brokerConsumeStatsRequest,
  cloneOffsetRequest,
  consumeStatsRequest,
  type ResetOffsetRequest,
  resetOffsetRequest,
} from "../../protocol/headers/admin_offset.ts";
import {
  offsetResponse,
  queueRequest,
  searchOffsetRequest,
  updateOffsetRequest,
} from "../../protocol/headers/offset.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { type AdminPeer, ask } from "./ask.ts";

/** Where a group stands, in one topic or (undefined) in all that it consumes. */
export async function consumeStats(broker: AdminPeer, group: string, topic?: string): Promise<ConsumeStats> {
  const fields = consumeStatsRequest.encode({ consumerGroup: group, topic: topic ?? "", topicList: "" });
  return decodeConsumeStats((await ask(broker, RequestCode.GET_CONSUME_STATS, fields)).body);
}

/** Where all groups stand. `pullOffset` is not told. */
export async function allConsumeStats(broker: AdminPeer): Promise<ConsumeStatsList> {
  const fields = brokerConsumeStatsRequest.encode({ isOrder: false });
  return decodeConsumeStatsList((await ask(broker, RequestCode.GET_BROKER_CONSUME_STATS, fields)).body);
}

/**
 * Moves a group. Brokers of 4.9 only pass it on to consumers: they answer CONSUMER_NOT_ONLINE where none is
 * connected, and SYSTEM_ERROR where the group has never consumed.
 * @returns the new positions
 */
export async function resetOffset(broker: AdminPeer, reset: ResetOffsetRequest): Promise<QueueOffsets> {
  const fields = resetOffsetRequest.encode(reset);
  return decodeResetOffset((await ask(broker, RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, fields)).body);
}

/** Writes one position as a consumer would; consumers that are online go on with their own. */
export async function writeOffset(
  broker: AdminPeer,
  position: { group: string; topic: string; queueId: number; offset: number },
): Promise<void> {
  const { group, topic, queueId, offset } = position;
  const fields = updateOffsetRequest.encode({ consumerGroup: group, topic, queueId, commitOffset: offset });
  await ask(broker, RequestCode.UPDATE_CONSUMER_OFFSET, fields);
}

/** Gives a group the positions of another. @param topic undefined: of all topics */
export async function cloneOffsets(
  broker: AdminPeer,
  clone: { from: string; to: string; topic: string | undefined },
): Promise<void> {
  const fields = cloneOffsetRequest.encode({
    srcGroup: clone.from,
    destGroup: clone.to,
    topic: clone.topic ?? "",
    offline: true,
  });
  await ask(broker, RequestCode.CLONE_GROUP_OFFSET, fields);
}

export function minOffset(broker: AdminPeer, topic: string, queueId: number): Promise<number> {
  return offsetFrom(broker, RequestCode.GET_MIN_OFFSET, queueRequest.encode({ topic, queueId }));
}

/** Offset of the next message. */
export function maxOffset(broker: AdminPeer, topic: string, queueId: number): Promise<number> {
  return offsetFrom(broker, RequestCode.GET_MAX_OFFSET, queueRequest.encode({ topic, queueId }));
}

/** Offset of the first message that was stored at or after a time. */
export function offsetByTime(
  broker: AdminPeer,
  topic: string,
  queueId: number,
  timestamp: number,
): Promise<number> {
  const fields = searchOffsetRequest.encode({ topic, queueId, timestamp, boundaryType: undefined });
  return offsetFrom(broker, RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, fields);
}

async function offsetFrom(broker: AdminPeer, code: number, fields: Record<string, string>): Promise<number> {
  return offsetResponse.decode((await ask(broker, code, fields)).fields).offset;
}
