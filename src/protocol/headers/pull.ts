// SPDX-License-Identifier: Apache-2.0
/** PULL_MESSAGE (11) and LITE_PULL_MESSAGE (361). [RMQ PullMessageRequestHeader, PullMessageResponseHeader] */
import { header, type HeaderOf, int, long, optional, text } from "../header.ts";

export const pullRequest = header({
  consumerGroup: text,
  topic: text,
  queueId: int,
  queueOffset: long,
  maxMsgNums: int,
  /** Bits of `PullSysFlag`. */
  sysFlag: int,
  commitOffset: long,
  suspendTimeoutMillis: long,
  subscription: optional(text),
  subVersion: long,
  expressionType: optional(text),
});
export type PullRequest = HeaderOf<typeof pullRequest>;

export const pullResponse = header({
  suggestWhichBrokerId: long,
  nextBeginOffset: long,
  minOffset: long,
  maxOffset: long,
  topicSysFlag: optional(int),
  groupSysFlag: optional(int),
  forbiddenType: optional(int),
});
export type PullResponse = HeaderOf<typeof pullResponse>;
