// SPDX-License-Identifier: Apache-2.0
/**
 * SEARCH_OFFSET_BY_TIMESTAMP, GET_MAX_OFFSET, GET_MIN_OFFSET, GET_EARLIEST_MSG_STORETIME: what the store knows
 * of a queue. Unknown queues are empty ones. [RMQ AdminBrokerProcessor]
 */
import {
  offsetResponse,
  queueRequest,
  searchOffsetRequest,
  timestampResponse,
} from "../../protocol/headers/offset.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import type { Handler, Request } from "../../remoting/request.ts";

/** What of the store is asked. */
export interface QueueOffsets {
  minOffset(topic: string, queueId: number): number;
  /** Of the next message; 0 for an unknown queue. */
  maxOffset(topic: string, queueId: number): number;
  /** Of the first message (LOWER) or the last one (UPPER) stored at that time, or what comes nearest. */
  offsetByTime(topic: string, queueId: number, timestampMs: number, boundary: "LOWER" | "UPPER"): number;
  /** When the oldest message was stored; -1 if there is none. */
  earliestTimestampOf(topic: string, queueId: number): number;
}

export function queueOffsetHandlers(store: QueueOffsets): [number, Handler][] {
  return [
    [RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, (request) => handleSearch(store, request)],
    [RequestCode.GET_MAX_OFFSET, (request) => handleMax(store, request)],
    [RequestCode.GET_MIN_OFFSET, (request) => handleMin(store, request)],
    [RequestCode.GET_EARLIEST_MSG_STORETIME, (request) => handleEarliest(store, request)],
  ];
}

function handleSearch(store: QueueOffsets, request: Request): Response {
  const { topic, queueId, timestamp, boundaryType } = searchOffsetRequest.decode(request.fields);
  const boundary = boundaryType?.toUpperCase() === "UPPER" ? "UPPER" : "LOWER";
  return offsetOf(store.offsetByTime(topic, queueId, timestamp, boundary));
}

function handleMax(store: QueueOffsets, request: Request): Response {
  const { topic, queueId } = queueRequest.decode(request.fields);
  return offsetOf(store.maxOffset(topic, queueId));
}

function handleMin(store: QueueOffsets, request: Request): Response {
  const { topic, queueId } = queueRequest.decode(request.fields);
  return offsetOf(store.minOffset(topic, queueId));
}

function handleEarliest(store: QueueOffsets, request: Request): Response {
  const { topic, queueId } = queueRequest.decode(request.fields);
  const timestamp = store.earliestTimestampOf(topic, queueId);
  return { code: ResponseCode.SUCCESS, fields: timestampResponse.encode({ timestamp }) };
}

function offsetOf(offset: number): Response {
  return { code: ResponseCode.SUCCESS, fields: offsetResponse.encode({ offset }) };
}
