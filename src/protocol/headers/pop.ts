// SPDX-License-Identifier: Apache-2.0
/**
 * POP consumption: POP_MESSAGE (200050), ACK_MESSAGE (200051), PEEK_MESSAGE (200052),
 * CHANGE_MESSAGE_INVISIBLETIME (200053), NOTIFICATION (200054), POLLING_INFO (200055).
 * [RMQ PopMessageRequestHeader, AckMessageRequestHeader, ChangeInvisibleTimeRequestHeader, …]
 */
import { bool, header, type HeaderOf, int, long, optional, text, withDefault } from "../header.ts";

export const popRequest = header({
  consumerGroup: text,
  topic: text,
  /** -1: all queues of the topic. */
  queueId: int,
  maxMsgNums: int,
  /** Milliseconds for which nobody else is given the messages. */
  invisibleTime: long,
  /** Milliseconds for which the request may wait for messages, from `bornTime` on. */
  pollTime: long,
  /** By the client's clock; 0: when it comes in. */
  bornTime: withDefault(long, 0),
  /** Where a new group begins, see `PopInitMode`. */
  initMode: int,
  expType: optional(text),
  exp: optional(text),
  /** Messages of a queue are given out only when those before them are acknowledged. */
  order: bool,
  /** A client that repeats a request in order says so by the same id. */
  attemptId: optional(text),
});
export type PopRequest = HeaderOf<typeof popRequest>;

/** `initMode` of a pop. [RMQ ConsumeInitMode] */
export const PopInitMode = { MIN: 0, MAX: 1 } as const;

export const popResponse = header({
  popTime: long,
  invisibleTime: long,
  reviveQid: int,
  /** Messages that are there beside those in the answer. */
  restNum: long,
  /** See `pop_receipt.ts` for the three. */
  startOffsetInfo: optional(text),
  msgOffsetInfo: optional(text),
  orderCountInfo: optional(text),
});
export type PopResponse = HeaderOf<typeof popResponse>;

export const ackRequest = header({
  consumerGroup: text,
  /** The topic that holds the message: its retry topic where it was read from there. */
  topic: text,
  queueId: int,
  /** The receipt, see `pop_receipt.ts`. */
  extraInfo: text,
  offset: long,
});
export type AckRequest = HeaderOf<typeof ackRequest>;

export const changeInvisibleTimeRequest = header({
  consumerGroup: text,
  topic: text,
  queueId: int,
  extraInfo: text,
  offset: long,
  /** Milliseconds, from now on. */
  invisibleTime: long,
});
export type ChangeInvisibleTimeRequest = HeaderOf<typeof changeInvisibleTimeRequest>;

/** The parts of the new receipt that differ from the old one. */
export const changeInvisibleTimeResponse = header({
  popTime: long,
  invisibleTime: long,
  reviveQid: int,
});

export const notificationRequest = header({
  consumerGroup: text,
  topic: text,
  queueId: int,
  pollTime: long,
  bornTime: withDefault(long, 0),
  order: bool,
  attemptId: optional(text),
});
export type NotificationRequest = HeaderOf<typeof notificationRequest>;

export const notificationResponse = header({ hasMsg: bool, pollingFull: bool });

export const pollingInfoRequest = header({ consumerGroup: text, topic: text, queueId: int });

export const pollingInfoResponse = header({ pollingNum: int });

export const peekRequest = header({
  topic: text,
  queueId: int,
  maxMsgNums: int,
  consumerGroup: text,
});
