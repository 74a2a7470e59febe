// SPDX-License-Identifier: Apache-2.0
/**
 * What the revive topic holds: check points (tag `ck`), which say what was popped, and acknowledgements (`ack`,
 * `bAck`). [RMQ PopCheckPoint, AckMsg, BatchAckMsg]
 *
 * ```
 * ck   {"bm":0,"bn":"broker-a","c":"group","d":[0,1,5],"it":60000,"n":3,"pt":1700000000000,"q":2,
 *       "reviveTime":1700000060000,"ro":0,"rp":"1","so":100,"t":"topic"}
 * ack  {"ao":101,"bn":"broker-a","c":"group","pt":1700000000000,"q":2,"so":100,"t":"topic"}
 * bAck {"ao":-1,"aol":[100,101],"bn":"broker-a","c":"group","pt":1700000000000,"q":2,"so":100,"t":"topic"}
 * ```
 */
import { MalformedError } from "../header.ts";
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asArray, asInteger, asText, type JsonObject } from "./json_fields.ts";

/** Tags of the three kinds. */
export const ReviveTag = { CHECK_POINT: "ck", ACK: "ack", BATCH_ACK: "bAck" } as const;

/** Messages of one check point at most: as many as its bit map has bits. */
export const MAX_CHECK_POINT_MESSAGES = 32;

/** What check points and acknowledgements have in common; together it names a check point. */
export interface PoppedBatch {
  /** The topic that was read: a retry topic where the messages came from there. */
  readonly topic: string;
  readonly group: string;
  readonly queueId: number;
  /** Where reading began. */
  readonly startOffset: number;
  readonly popTimeMs: number;
  readonly brokerName: string;
}

export interface CheckPoint extends PoppedBatch {
  readonly invisibleMs: number;
  /** Queue offsets of the messages, ascending. */
  readonly offsets: readonly number[];
  /** Bit n: message n is acknowledged. */
  acked: number;
  /** How often the messages could not be given out again, and the check point was stored anew. */
  readonly rePutTimes: number;
}

export interface AckBody extends PoppedBatch {
  readonly offsets: readonly number[];
}

export function reviveTimeMs(checkPoint: CheckPoint): number {
  return checkPoint.popTimeMs + checkPoint.invisibleMs;
}

/** The same for a check point and for all acknowledgements of its messages. */
export function checkPointKey(batch: PoppedBatch): string {
  const { topic, group, queueId, startOffset, popTimeMs, brokerName } = batch;
  return `${topic}@${group}@${queueId}@${startOffset}@${popTimeMs}@${brokerName}`;
}

export function encodeCheckPoint(checkPoint: CheckPoint): Uint8Array {
  const { topic, group, queueId, startOffset, popTimeMs, invisibleMs, offsets, rePutTimes } = checkPoint;
  return encodeJson({
    bm: checkPoint.acked,
    bn: checkPoint.brokerName,
    c: group,
    d: offsets.map((offset) => offset - startOffset),
    it: invisibleMs,
    n: offsets.length,
    pt: popTimeMs,
    q: queueId,
    reviveTime: popTimeMs + invisibleMs,
    ro: 0,
    rp: rePutTimes > 0 ? String(rePutTimes) : undefined,
    so: startOffset,
    t: topic,
  });
}

/** @throws MalformedError when it does not say what was popped */
export function decodeCheckPoint(body: Uint8Array): CheckPoint {
  const object = parseJsonObject(body);
  const batch = batchOf(object);
  const count = asInteger(object.n ?? object.num, 0);
  if (count < 0 || count > MAX_CHECK_POINT_MESSAGES) {
    throw new MalformedError(`a check point can't have ${count} messages`);
  }
  const distances = asArray(object.d ?? object.queueOffsetDiff).map((distance) => asInteger(distance, NaN));
  if (distances.some(Number.isNaN)) throw new MalformedError("a distance is no number");
  // Brokers before 5.0 left the distances out where there were no gaps.
  const offsets = distances.length === 0
    ? Array.from({ length: count }, (_, index) => batch.startOffset + index)
    : distances.slice(0, count).map((distance) => batch.startOffset + distance);
  return {
    ...batch,
    invisibleMs: asInteger(object.it ?? object.invisibleTime, 0),
    offsets,
    acked: asInteger(object.bm ?? object.bitMap, 0) | 0,
    rePutTimes: Math.max(0, asInteger(object.rp ?? object.rePutTimes, 0)),
  };
}

export function encodeAck(batch: PoppedBatch, offset: number): Uint8Array {
  return encodeJson({ ao: offset, ...namesOf(batch) });
}

export function encodeBatchAck(batch: PoppedBatch, offsets: readonly number[]): Uint8Array {
  return encodeJson({ ao: -1, aol: offsets, ...namesOf(batch) });
}

/** @throws MalformedError */
export function decodeAck(body: Uint8Array): AckBody {
  const object = parseJsonObject(body);
  return { ...batchOf(object), offsets: [asInteger(object.ao ?? object.ackOffset, -1)] };
}

/** @throws MalformedError */
export function decodeBatchAck(body: Uint8Array): AckBody {
  const object = parseJsonObject(body);
  const offsets = asArray(object.aol ?? object.ackOffsetList).map((offset) => asInteger(offset, -1));
  return { ...batchOf(object), offsets };
}

function namesOf({ topic, group, queueId, startOffset, popTimeMs, brokerName }: PoppedBatch) {
  return { bn: brokerName, c: group, pt: popTimeMs, q: queueId, so: startOffset, t: topic };
}

/** Both the short names and the long ones that early 5.x brokers wrote. */
function batchOf(object: JsonObject): PoppedBatch {
  const topic = asText(object.t ?? object.topic);
  const group = asText(object.c ?? object.consumerGroup ?? object.cId);
  if (topic === undefined || group === undefined) throw new MalformedError("topic or group is missing");
  return {
    topic,
    group,
    queueId: asInteger(object.q ?? object.queueId, 0),
    startOffset: asInteger(object.so ?? object.startOffset, 0),
    popTimeMs: asInteger(object.pt ?? object.popTime, 0),
    brokerName: asText(object.bn ?? object.brokerName, ""),
  };
}
