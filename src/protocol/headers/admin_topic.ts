// SPDX-License-Identifier: Apache-2.0
/** What administrators ask a broker about its topics. Tools leave fields out that handlers can do without. */
import { bool, header, type HeaderOf, int, optional, text, withDefault } from "../header.ts";

/** UPDATE_AND_CREATE_TOPIC. [RMQ CreateTopicRequestHeader] */
export const updateTopicRequest = header({
  topic: withDefault(text, ""),
  defaultTopic: optional(text),
  readQueueNums: int,
  writeQueueNums: int,
  perm: int,
  topicFilterType: withDefault(text, "SINGLE_TAG"),
  topicSysFlag: withDefault(int, 0),
  order: bool,
  /** `+name=value` and `-name`, separated by commas. */
  attributes: withDefault(text, ""),
});
export type UpdateTopicRequest = HeaderOf<typeof updateTopicRequest>;

/** DELETE_TOPIC_IN_BROKER, GET_TOPIC_STATS_INFO, GET_TOPIC_CONFIG, QUERY_TOPIC_CONSUME_BY_WHO. */
export const topicRequest = header({ topic: withDefault(text, "") });

/** GET_ALL_TOPIC_CONFIG; without any field the whole table is wanted at once. */
export const allTopicConfigRequest = header({
  /** Position in the table, sorted by name, from which to answer. */
  topicSeq: optional(int),
  /** The version whose parts the sender already has, as JSON; empty at the first part. */
  dataVersion: optional(text),
  maxTopicNum: optional(int),
});

export const allTopicConfigResponse = header({ totalTopicNum: int });
