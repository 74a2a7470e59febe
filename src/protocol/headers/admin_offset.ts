// SPDX-License-Identifier: Apache-2.0
/** What administrators ask about the positions of groups. */
import { bool, header, type HeaderOf, int, long, text, withDefault } from "../header.ts";

/** GET_CONSUME_STATS. */
export const consumeStatsRequest = header({
  consumerGroup: withDefault(text, ""),
  topic: withDefault(text, ""),
  /** Topics separated by `;`, wanted whether the group subscribes to them or not. */
  topicList: withDefault(text, ""),
});

/** GET_BROKER_CONSUME_STATS. */
export const brokerConsumeStatsRequest = header({ isOrder: bool });

/** INVOKE_BROKER_TO_RESET_OFFSET. */
export const resetOffsetRequest = header({
  topic: withDefault(text, ""),
  group: withDefault(text, ""),
  /** -1: every queue of the topic. */
  queueId: withDefault(int, -1),
  /** For one queue only; -1 or absent: by `timestamp`. */
  offset: withDefault(long, -1),
  /** Before 1970: to the end. */
  timestamp: withDefault(long, -1),
  /** Forwards too, not only back. */
  isForce: bool,
});
export type ResetOffsetRequest = HeaderOf<typeof resetOffsetRequest>;

/** QUERY_SUBSCRIPTION_BY_CONSUMER and QUERY_CONSUME_TIME_SPAN. */
export const topicAndGroupRequest = header({ topic: withDefault(text, ""), group: withDefault(text, "") });

/** CLONE_GROUP_OFFSET. */
export const cloneOffsetRequest = header({
  srcGroup: withDefault(text, ""),
  destGroup: withDefault(text, ""),
  /** Absent: every topic of the source. */
  topic: withDefault(text, ""),
  /** Take topics too that the source does not subscribe to now. */
  offline: bool,
});
