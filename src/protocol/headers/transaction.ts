// SPDX-License-Identifier: Apache-2.0
import { bool, header, type HeaderOf, int, long, optional, text } from "../header.ts";

/** END_TRANSACTION (37): what a producer has decided about a half message. [RMQ EndTransactionRequestHeader] */
export const endTransactionRequest = header({
  topic: optional(text),
  producerGroup: text,
  /** Queue offset of the half message. */
  tranStateTableOffset: long,
  /** Physical offset of the half message. */
  commitLogOffset: long,
  /** The transaction bits of a sysFlag; 0: not decided. */
  commitOrRollback: int,
  fromTransactionCheck: bool,
  msgId: optional(text),
  transactionId: optional(text),
});
export type EndTransactionRequest = HeaderOf<typeof endTransactionRequest>;

/** CHECK_TRANSACTION_STATE (39), to a producer; the body is the half message. [RMQ CheckTransactionStateRequestHeader] */
export const checkTransactionStateRequest = header({
  /** The topic in which the half message lies. */
  topic: text,
  tranStateTableOffset: long,
  commitLogOffset: long,
  /** Both are the unique key. */
  msgId: optional(text),
  transactionId: optional(text),
  offsetMsgId: text,
  bname: text,
});

/** RESUME_CHECK_HALF_MESSAGE (323). [RMQ ResumeCheckHalfMessageRequestHeader] */
export const resumeCheckRequest = header({ topic: optional(text), msgId: text });
