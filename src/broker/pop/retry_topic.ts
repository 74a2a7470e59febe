// SPDX-License-Identifier: Apache-2.0
/**
 * Where messages go that a group popped and did not acknowledge in time: a retry topic of one queue for each
 * group and topic, `%RETRY%group_topic` or, in the new form, `%RETRY%group+topic`. [RMQ KeyBuilder]
 */
import { RetryFlag } from "../../protocol/pop_receipt.ts";
import { RETRY_PREFIX } from "../topic_name.ts";

const SEPARATOR_V1 = "_";
const SEPARATOR_V2 = "+";

export function popRetryTopicV1(topic: string, group: string): string {
  return RETRY_PREFIX + group + SEPARATOR_V1 + topic;
}

export function popRetryTopicV2(topic: string, group: string): string {
  return RETRY_PREFIX + group + SEPARATOR_V2 + topic;
}

/** One of `RetryFlag`. */
export function retryFlagOf(topic: string): string {
  if (!topic.startsWith(RETRY_PREFIX)) return RetryFlag.NORMAL;
  return topic.includes(SEPARATOR_V2) ? RetryFlag.V2 : RetryFlag.V1;
}

/** The topic that holds messages with such a flag. */
export function topicOfFlag(topic: string, group: string, retryFlag: string): string | undefined {
  switch (retryFlag) {
    case RetryFlag.NORMAL:
      return topic;
    case RetryFlag.V1:
      return popRetryTopicV1(topic, group);
    case RetryFlag.V2:
      return popRetryTopicV2(topic, group);
    default:
      return undefined;
  }
}

/** The topic to which the messages were sent that are in `topic`, which may be a retry topic of the group. */
export function normalTopicOf(topic: string, group: string): string {
  for (const separator of [SEPARATOR_V2, SEPARATOR_V1]) {
    const prefix = RETRY_PREFIX + group + separator;
    if (topic.startsWith(prefix)) return topic.slice(prefix.length);
  }
  return topic;
}
