// SPDX-License-Identifier: Apache-2.0
import { encodeJson } from "../java_json.ts";
import { type MessageQueue, queueKeyedMap } from "./message_queue.ts";

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
