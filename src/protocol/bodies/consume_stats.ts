// SPDX-License-Identifier: Apache-2.0
import { encodeJson, type Json, parseJsonObject } from "../java_json.ts";
import { asArray, asInteger, asNumber, asObject, asText } from "./json_fields.ts";
import { type MessageQueue, queueKeyedEntries, queueKeyedMap } from "./message_queue.ts";

/** Where a group stands in a queue. [RMQ OffsetWrapper] */
export interface GroupPosition {
  readonly brokerOffset: number;
  readonly consumerOffset: number;
  /** When the last consumed message was stored, 0 if that is not known. */
  readonly lastTimestamp: number;
  /** How far the group has read, consumed or not. */
  readonly pullOffset: number;
}

/** Where a group stands. [RMQ ConsumeStats] */
export interface ConsumeStats {
  readonly consumeTps: number;
  readonly offsetTable: readonly (readonly [MessageQueue, GroupPosition])[];
}

/** Where all groups of a broker stand, each by topic. [RMQ ConsumeStatsList] */
export interface ConsumeStatsList {
  readonly brokerAddr: string;
  readonly groups: Iterable<readonly [group: string, byTopic: readonly ConsumeStats[]]>;
  readonly totalDiff: number;
  readonly totalInflightDiff: number;
}

/** The answer to GET_CONSUME_STATS. */
export function encodeConsumeStats(stats: ConsumeStats): Uint8Array {
  return encodeJson(toJson(stats));
}

/** The answer to GET_BROKER_CONSUME_STATS. */
export function encodeConsumeStatsList(list: ConsumeStatsList): Uint8Array {
  return encodeJson({
    brokerAddr: list.brokerAddr,
    consumeStatsList: [...list.groups].map(([group, byTopic]) => new Map([[group, byTopic.map(toJson)]])),
    totalDiff: list.totalDiff,
    totalInflightDiff: list.totalInflightDiff,
  });
}

function toJson(stats: ConsumeStats): unknown {
  return { consumeTps: stats.consumeTps, offsetTable: queueKeyedMap(stats.offsetTable) };
}

/** @throws MalformedError when it is no JSON object */
export function decodeConsumeStats(body: Uint8Array | null): ConsumeStats {
  return fromJson(parseJsonObject(body));
}

/** @throws MalformedError when it is no JSON object */
export function decodeConsumeStatsList(body: Uint8Array | null): ConsumeStatsList {
  const object = parseJsonObject(body);
  const groups = asArray(object.consumeStatsList).flatMap((item) =>
    Object.entries(asObject(item)).map(([group, byTopic]) => [group, asArray(byTopic).map(fromJson)] as const)
  );
  return {
    brokerAddr: asText(object.brokerAddr, ""),
    groups,
    totalDiff: asInteger(object.totalDiff, 0),
    totalInflightDiff: asInteger(object.totalInflightDiff, 0),
  };
}

function fromJson(value: Json): ConsumeStats {
  const object = asObject(value);
  const offsetTable = queueKeyedEntries(object.offsetTable).map(([queue, item]) => {
    const position = asObject(item);
    const consumerOffset = asInteger(position.consumerOffset, 0);
    return [queue, {
      brokerOffset: asInteger(position.brokerOffset, 0),
      consumerOffset,
      lastTimestamp: asInteger(position.lastTimestamp, 0),
      pullOffset: asInteger(position.pullOffset, consumerOffset),
    }] as const;
  });
  return { consumeTps: asNumber(object.consumeTps, 0), offsetTable };
}
