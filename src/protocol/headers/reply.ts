// SPDX-License-Identifier: Apache-2.0
import { bool, header, int, long, optional, text } from "../header.ts";

/** PUSH_REPLY_MESSAGE_TO_CLIENT (326), to the client that waits for a reply. [RMQ ReplyMessageRequestHeader] */
export const pushReplyRequest = header({
  producerGroup: text,
  topic: text,
  defaultTopic: text,
  defaultTopicQueueNums: int,
  queueId: int,
  sysFlag: int,
  bornTimestamp: long,
  flag: int,
  properties: optional(text),
  reconsumeTimes: optional(int),
  unitMode: bool,
  /** `ip:port` */
  bornHost: text,
  storeHost: text,
  storeTimestamp: long,
});
