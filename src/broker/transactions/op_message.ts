// SPDX-License-Identifier: Apache-2.0
/**
 * Op messages say which half messages are settled: `RMQ_SYS_TRANS_OP_HALF_TOPIC`, tag `d`, the body a list of
 * queue offsets in the half topic. Apache 5.1 and later write `12,13,` and read `12` too; 4.9 writes and reads
 * only `12`. [RMQ TransactionalMessageUtil, TransactionalMessageServiceImpl.fillOpRemoveMap]
 */
import { createUniqueKey } from "../../protocol/message_id.ts";
import { encodeProperties, parseProperties, Property } from "../../protocol/properties.ts";
import type { MessageRecord } from "../../protocol/record.ts";
import type { MessageDraft, StoredHost } from "../../store/types.ts";
import { SystemTopic } from "../topic_name.ts";
import { HALF_QUEUE_ID } from "./half.ts";

export const OP_TOPIC = SystemTopic.TRANS_OP_HALF;
const SETTLED_TAG = "d";

/** One offset alone is written in the form that every broker reads. */
export function opMessage(halfOffsets: readonly number[], host: StoredHost, nowMs: number): MessageDraft {
  const text = halfOffsets.length === 1 ? String(halfOffsets[0]) : halfOffsets.join(",") + ",";
  const propertyMap = new Map([
    [Property.TAGS, SETTLED_TAG],
    [Property.UNIQ_KEY, createUniqueKey(host.ip, nowMs)],
  ]);
  return {
    topic: OP_TOPIC,
    queueId: HALF_QUEUE_ID,
    flag: 0,
    sysFlag: 0,
    bornTimestampMs: nowMs,
    bornHost: host,
    storeHost: host,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: new TextEncoder().encode(text),
    properties: encodeProperties(propertyMap),
    propertyMap,
  };
}

/** Bytes that an offset takes in a list. */
export function opBytesOf(halfOffset: number): number {
  return String(halfOffset).length + 1;
}

/** The offsets that an op message names; what is none is left out, whatever its bytes are. */
export function halfOffsetsOf(record: MessageRecord): number[] {
  if (parseProperties(record.properties).get(Property.TAGS) !== SETTLED_TAG) return [];
  const offsets: number[] = [];
  for (const item of new TextDecoder().decode(record.body).split(",")) {
    if (/^[0-9]{1,16}$/.test(item)) offsets.push(Number(item));
  }
  return offsets;
}
