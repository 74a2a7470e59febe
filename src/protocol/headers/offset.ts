// SPDX-License-Identifier: Apache-2.0
/** Headers of requests about positions in queues. */
import { bool, header, type HeaderOf, int, long, optional, text } from "../header.ts";

/** QUERY_CONSUMER_OFFSET. An absent `setZeroIfNotFound` means true. [RMQ QueryConsumerOffsetRequestHeader] */
export const queryOffsetRequest = header({
  consumerGroup: text,
  topic: text,
  queueId: int,
  setZeroIfNotFound: optional(bool),
});
export type QueryOffsetRequest = HeaderOf<typeof queryOffsetRequest>;

/** UPDATE_CONSUMER_OFFSET. What may be absent is refused by its own code. [RMQ UpdateConsumerOffsetRequestHeader] */
export const updateOffsetRequest = header({
  consumerGroup: optional(text),
  topic: optional(text),
  queueId: optional(int),
  commitOffset: optional(long),
});
export type UpdateOffsetRequest = HeaderOf<typeof updateOffsetRequest>;

/** GET_MAX_OFFSET, GET_MIN_OFFSET, GET_EARLIEST_MSG_STORETIME. */
export const queueRequest = header({ topic: text, queueId: int });
export type QueueRequest = HeaderOf<typeof queueRequest>;

/** SEARCH_OFFSET_BY_TIMESTAMP; `boundaryType` is LOWER or UPPER. [RMQ SearchOffsetRequestHeader] */
export const searchOffsetRequest = header({
  topic: text,
  queueId: int,
  timestamp: long,
  boundaryType: optional(text),
});
export type SearchOffsetRequest = HeaderOf<typeof searchOffsetRequest>;

/** The answer to all that ask for an offset. */
export const offsetResponse = header({ offset: long });

/** The answer to GET_EARLIEST_MSG_STORETIME. */
export const timestampResponse = header({ timestamp: long });
