// SPDX-License-Identifier: Apache-2.0
/** Copies of messages whose moment has come. [RMQ TimerMessageStore.convert] */
import { encodeProperties, parseProperties, Property } from "../../protocol/properties.ts";
import type { MessageRecord } from "../../protocol/record.ts";
import { TRANSACTION_MASK } from "../../protocol/sys_flag.ts";
import type { MessageDraft } from "../../store/types.ts";
import { TIMER_TOPIC } from "./timer_request.ts";

/** Stands for the time at which a message was put into the wheel, where it never was. */
const NEVER = "9223372036854775807";

/** A message of the timer topic, and what its properties say. */
export interface TimedMessage {
  record: MessageRecord;
  properties: Map<string, string>;
  /** Undefined where the properties don't say where the message belongs. */
  realTopic: string | undefined;
  /** Messages that take back others are not delivered. */
  deletes: string | undefined;
}

/** @returns undefined for a record of another topic: the one that was there is gone */
export function timedMessage(record: MessageRecord | undefined): TimedMessage | undefined {
  if (record === undefined || record.topic !== TIMER_TOPIC) return undefined;
  const properties = parseProperties(record.properties);
  const realTopic = properties.get(Property.REAL_TOPIC);
  return {
    record,
    properties,
    realTopic: realTopic === TIMER_TOPIC ? undefined : realTopic,
    deletes: properties.get(Property.TIMER_DEL_UNIQKEY),
  };
}

/**
 * The message as it goes where it belongs; undefined where it does not say where. What it says of its moment stays
 * in its properties, as on Apache.
 * @param enqueueMs when it was put into the wheel; undefined where it never was
 */
export function deliveredCopy(
  { record, properties, realTopic }: TimedMessage,
  enqueueMs: number | undefined,
  nowMs: number,
): MessageDraft | undefined {
  const queueId = Number(properties.get(Property.REAL_QUEUE_ID));
  if (realTopic === undefined || !Number.isInteger(queueId) || queueId < 0) return undefined;
  properties.set(Property.TIMER_ENQUEUE_MS, enqueueMs === undefined ? NEVER : String(enqueueMs));
  properties.set(Property.TIMER_DEQUEUE_MS, String(nowMs));
  return copyOf(record, realTopic, queueId, properties);
}

/** The message as it goes into the timer topic once more, since its moment was too far away. */
export function rolledCopy(
  { record, properties }: TimedMessage,
  enqueueMs: number,
  nowMs: number,
): MessageDraft {
  const rollTimes = Number(properties.get(Property.TIMER_ROLL_TIMES) ?? 0);
  properties.set(Property.TIMER_ENQUEUE_MS, String(enqueueMs));
  properties.set(Property.TIMER_ROLL_TIMES, String(Number.isInteger(rollTimes) ? rollTimes + 1 : 1));
  properties.set(Property.TIMER_DEQUEUE_MS, String(nowMs));
  return copyOf(record, TIMER_TOPIC, 0, properties);
}

function copyOf(
  record: MessageRecord,
  topic: string,
  queueId: number,
  propertyMap: Map<string, string>,
): MessageDraft {
  return {
    topic,
    queueId,
    flag: record.flag,
    sysFlag: record.sysFlag & ~TRANSACTION_MASK,
    bornTimestampMs: record.bornTimestampMs,
    bornHost: record.bornHost,
    storeHost: record.storeHost,
    reconsumeTimes: record.reconsumeTimes,
    preparedTransactionOffset: 0,
    body: record.body,
    properties: encodeProperties(propertyMap),
    propertyMap,
  };
}
