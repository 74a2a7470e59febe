// SPDX-License-Identifier: Apache-2.0
/**
 * A message of a transaction in each of its places. A producer's *half* message waits in
 * `RMQ_SYS_TRANS_HALF_TOPIC`, where no consumer of its real topic sees it. A commit stores it once more, where it
 * belongs. A half that is asked about is stored anew each time, so that its log file may expire; one that was
 * asked about too often goes to `TRANS_CHECK_MAX_TIME_TOPIC`. [RMQ TransactionalMessageBridge]
 */
import { Buffer } from "node:buffer";
import { appendProperty, encodeProperties, parseProperties, Property } from "../../protocol/properties.ts";
import { measureRecord, type MessageRecord, writeRecord } from "../../protocol/record.ts";
import { SysFlag, TRANSACTION_MASK } from "../../protocol/sys_flag.ts";
import type { MessageDraft } from "../../store/types.ts";
import { delayLevelOf } from "../delay_levels.ts";
import { draftOfRecord, realPlaceOf } from "../record_draft.ts";
import { SystemTopic } from "../topic_name.ts";

export const HALF_TOPIC = SystemTopic.TRANS_HALF;
export const GIVEN_UP_TOPIC = SystemTopic.TRANS_CHECK_MAX_TIME;
/** Halves and what is noted of them have one queue. */
export const HALF_QUEUE_ID = 0;
/** The group whose offsets say how far halves are settled. */
export const TRANSACTION_GROUP = "CID_RMQ_SYS_TRANS";

/**
 * Whether a message is a half message. A consumer that sends one back keeps its TRAN_MSG: with a delay and a
 * count of tries it is a retry. [RMQ SendMessageProcessor.sendMessage]
 */
export function isHalf(reconsumeTimes: number, properties: ReadonlyMap<string, string>): boolean {
  const prepared = properties.get(Property.TRANSACTION_PREPARED);
  if (prepared === undefined || prepared.toLowerCase() !== "true") return false;
  return !(reconsumeTimes > 0 && delayLevelOf(properties) > 0);
}

/** A send as its half message: where it belongs is kept in its properties. */
export function toHalf(draft: MessageDraft): MessageDraft {
  const propertyMap = new Map(draft.propertyMap);
  const uniqueKey = propertyMap.get(Property.UNIQ_KEY);
  if (uniqueKey !== undefined) propertyMap.set(Property.TRANSACTION_ID, uniqueKey);
  propertyMap.set(Property.REAL_TOPIC, draft.topic);
  propertyMap.set(Property.REAL_QUEUE_ID, String(draft.queueId));
  return {
    ...draft,
    topic: HALF_TOPIC,
    queueId: HALF_QUEUE_ID,
    sysFlag: draft.sysFlag & ~TRANSACTION_MASK,
    propertyMap,
    properties: encodeProperties(propertyMap),
  };
}

/** A half message read back. */
export interface Half {
  readonly record: MessageRecord;
  readonly properties: ReadonlyMap<string, string>;
  readonly realTopic: string;
  readonly realQueueId: number;
  readonly producerGroup: string;
}

/** Undefined where the record does not say where it belongs, or whom to ask. */
export function halfOf(record: MessageRecord): Half | undefined {
  const properties = parseProperties(record.properties);
  const place = realPlaceOf(properties, HALF_TOPIC);
  const producerGroup = properties.get(Property.PRODUCER_GROUP);
  if (place === undefined || producerGroup === undefined) return undefined;
  return { record, properties, realTopic: place.topic, realQueueId: place.queueId, producerGroup };
}

/**
 * The committed message. Its properties stay those of the half: consumers read the transaction's id from
 * TRAN_MSG and UNIQ_KEY. [RMQ EndTransactionProcessor.endMessageTransaction]
 */
export function toCommitted(half: Half): MessageDraft {
  const { record } = half;
  return {
    ...draftOf(half),
    topic: half.realTopic,
    queueId: half.realQueueId,
    sysFlag: (record.sysFlag & ~TRANSACTION_MASK) | SysFlag.TRANSACTION_COMMIT,
    preparedTransactionOffset: record.physicalOffset,
  };
}

/** The half once more, with the number of times that its producers were asked about it. */
export function toRenewed(half: Half, checkTimes: number): MessageDraft {
  const before = half.properties.get(Property.TRANSACTION_CHECK_TIMES);
  if (before === String(checkTimes) || (before === undefined && checkTimes === 0)) return draftOf(half);
  const propertyMap = new Map(half.properties).set(Property.TRANSACTION_CHECK_TIMES, String(checkTimes));
  const properties = before === undefined
    ? appendProperty(half.record.properties, Property.TRANSACTION_CHECK_TIMES, String(checkTimes))
    : encodeProperties(propertyMap);
  return { ...draftOf(half), propertyMap, properties };
}

/** The half where operators find those that no producer wanted to decide on. */
export function toGivenUp(half: Half): MessageDraft {
  return { ...draftOf(half), topic: GIVEN_UP_TOPIC, queueId: 0 };
}

/** How often a half's producers were asked. */
export function checkTimesOf(half: Half): number {
  const text = half.properties.get(Property.TRANSACTION_CHECK_TIMES);
  if (text === undefined) return 0;
  return /^-?[0-9]{1,9}$/.test(text) ? Math.max(0, Number(text)) : 0;
}

/** The half as producers are shown it when they are asked: a record with its real topic and queue. */
export function recordForProducer(
  half: Half,
  draft: MessageDraft,
  place: { queueOffset: number; physicalOffset: number; storeTimestampMs: number },
): Buffer {
  const fields = { ...draft, topic: half.realTopic, queueId: half.realQueueId };
  const lengths = measureRecord(fields);
  const bytes = Buffer.alloc(lengths.totalBytes);
  writeRecord(bytes, 0, fields, lengths, place);
  return bytes;
}

function draftOf({ record, properties }: Half): MessageDraft {
  return draftOfRecord(record, { topic: HALF_TOPIC, queueId: HALF_QUEUE_ID }, properties, record.properties);
}
