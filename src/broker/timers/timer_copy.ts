// SPDX-License-Identifier: Apache-2.0
/** Copies of messages whose moment has come. [RMQ TimerMessageStore.convert] */
import { parseProperties, Property } from "../../protocol/properties.ts";
import type { MessageRecord } from "../../protocol/record.ts";
import type { MessageDraft } from "../../store/types.ts";
import { draftOfRecord, realPlaceOf } from "../record_draft.ts";
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
  { record, properties }: TimedMessage,
  enqueueMs: number | undefined,
  nowMs: number,
): MessageDraft | undefined {
  const place = realPlaceOf(properties, TIMER_TOPIC);
  if (place === undefined) return undefined;
  properties.set(Property.TIMER_ENQUEUE_MS, enqueueMs === undefined ? NEVER : String(enqueueMs));
  properties.set(Property.TIMER_DEQUEUE_MS, String(nowMs));
  return draftOfRecord(record, place, properties);
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
  return draftOfRecord(record, { topic: TIMER_TOPIC, queueId: 0 }, properties);
}
