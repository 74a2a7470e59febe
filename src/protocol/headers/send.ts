// SPDX-License-Identifier: Apache-2.0
/**
 * SEND_MESSAGE (10) with named fields; SEND_MESSAGE_V2 (310) and SEND_BATCH_MESSAGE (320) with the same
 * fields under one letter each. [RMQ SendMessageRequestHeader, SendMessageRequestHeaderV2]
 */
import {
  bool,
  type Fields,
  header,
  type HeaderOf,
  int,
  long,
  optional,
  text,
  withDefault,
} from "../header.ts";

export interface SendRequest {
  producerGroup: string;
  topic: string;
  /** Template for a topic that does not exist yet, and how many queues the client wants. */
  defaultTopic: string;
  defaultTopicQueueNums: number;
  /** Below 0: any writable queue. */
  queueId: number;
  sysFlag: number;
  bornTimestamp: number;
  flag: number;
  properties: string;
  reconsumeTimes: number;
  unitMode: boolean;
  maxReconsumeTimes: number | undefined;
  /** The body is several messages (also with code 310). */
  batch: boolean;
}

const optionalText = withDefault(text, "");
const zero = withDefault(int, 0);

const sendV1 = header({
  producerGroup: text,
  topic: text,
  defaultTopic: text,
  defaultTopicQueueNums: int,
  queueId: int,
  sysFlag: int,
  bornTimestamp: long,
  flag: int,
  properties: optionalText,
  reconsumeTimes: zero,
  unitMode: bool,
  maxReconsumeTimes: optional(int),
  batch: bool,
});

export function decodeSendV1(fields: Fields | null): SendRequest {
  return sendV1.decode(fields);
}

/** Field by field, since every message of a modern client passes here. */
export function decodeSendV2(fields: Fields | null): SendRequest {
  const f = fields ?? NO_FIELDS;
  return {
    producerGroup: text.read(f.a, "a"),
    topic: text.read(f.b, "b"),
    defaultTopic: text.read(f.c, "c"),
    defaultTopicQueueNums: int.read(f.d, "d"),
    queueId: int.read(f.e, "e"),
    sysFlag: int.read(f.f, "f"),
    bornTimestamp: long.read(f.g, "g"),
    flag: int.read(f.h, "h"),
    properties: f.i ?? "",
    reconsumeTimes: f.j === undefined ? 0 : int.read(f.j, "j"),
    unitMode: f.k !== undefined && bool.read(f.k, "k"),
    maxReconsumeTimes: f.l === undefined ? undefined : int.read(f.l, "l"),
    batch: f.m !== undefined && bool.read(f.m, "m"),
  };
}

/** For our own producer, which speaks V2. */
export function encodeSendV2(request: SendRequest): Fields {
  const fields: Fields = {
    a: request.producerGroup,
    b: request.topic,
    c: request.defaultTopic,
    d: String(request.defaultTopicQueueNums),
    e: String(request.queueId),
    f: String(request.sysFlag),
    g: String(request.bornTimestamp),
    h: String(request.flag),
    i: request.properties,
    j: String(request.reconsumeTimes),
    k: String(request.unitMode),
    m: String(request.batch),
  };
  if (request.maxReconsumeTimes !== undefined) fields.l = String(request.maxReconsumeTimes);
  return fields;
}

const NO_FIELDS: Fields = {};

/** Answer to a stored message. */
export const sendResponse = header({
  msgId: text,
  queueId: int,
  queueOffset: long,
  transactionId: optional(text),
  /** Of a message that waits for its moment: takes it back. */
  recallHandle: optional(text),
});
export type SendResponse = HeaderOf<typeof sendResponse>;

/** CONSUMER_SEND_MSG_BACK (36). [RMQ ConsumerSendMsgBackRequestHeader] */
export const sendBackRequest = header({
  offset: long,
  group: text,
  delayLevel: int,
  originMsgId: optional(text),
  originTopic: optional(text),
  unitMode: bool,
  maxReconsumeTimes: optional(int),
});
export type SendBackRequest = HeaderOf<typeof sendBackRequest>;
