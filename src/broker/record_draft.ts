// SPDX-License-Identifier: Apache-2.0
/** Stored messages that are stored once more, elsewhere: delivered late, given back, committed. */
import { encodeProperties, Property } from "../protocol/properties.ts";
import type { MessageRecord } from "../protocol/record.ts";
import { TRANSACTION_MASK } from "../protocol/sys_flag.ts";
import type { MessageDraft } from "../store/types.ts";

/**
 * A message once more: what its sender said of it stays, and it is part of no transaction.
 * @param properties the text of `propertyMap`, where it is at hand
 */
export function draftOfRecord(
  record: MessageRecord,
  place: { topic: string; queueId: number },
  propertyMap: ReadonlyMap<string, string>,
  properties = encodeProperties(propertyMap),
): MessageDraft {
  return {
    topic: place.topic,
    queueId: place.queueId,
    flag: record.flag,
    sysFlag: record.sysFlag & ~TRANSACTION_MASK,
    bornTimestampMs: record.bornTimestampMs,
    bornHost: record.bornHost,
    storeHost: record.storeHost,
    reconsumeTimes: record.reconsumeTimes,
    preparedTransactionOffset: 0,
    body: record.body,
    properties,
    propertyMap,
  };
}

/** Where a message belongs that waits in another topic; undefined where its properties do not say. */
export function realPlaceOf(
  properties: ReadonlyMap<string, string>,
  waitsIn: string,
): { topic: string; queueId: number } | undefined {
  const topic = properties.get(Property.REAL_TOPIC);
  const queueId = Number(properties.get(Property.REAL_QUEUE_ID));
  const isWhole = topic !== undefined && topic !== waitsIn && Number.isInteger(queueId) && queueId >= 0;
  return isWhole ? { topic, queueId } : undefined;
}
