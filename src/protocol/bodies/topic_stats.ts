// SPDX-License-Identifier: Apache-2.0
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asInteger, asNumber, asObject } from "./json_fields.ts";
import { type MessageQueue, queueKeyedEntries, queueKeyedMap } from "./message_queue.ts";

/** How far a queue reaches. */
export interface TopicOffset {
  readonly minOffset: number;
  readonly maxOffset: number;
  /** When the last message was stored: 0 in an empty queue, -1 if it can't be read. */
  readonly lastUpdateTimestamp: number;
}

/** The answer to GET_TOPIC_STATS_INFO. [RMQ TopicStatsTable] */
export interface TopicStatsTable {
  readonly offsetTable: Iterable<readonly [MessageQueue, TopicOffset]>;
  readonly topicPutTps: number;
}

/** `{"offsetTable":{{queue}:{"lastUpdateTimestamp":…,"maxOffset":…,"minOffset":…}},"topicPutTps":…}` */
export function encodeTopicStats(table: TopicStatsTable): Uint8Array {
  return encodeJson({ offsetTable: queueKeyedMap(table.offsetTable), topicPutTps: table.topicPutTps });
}

/** Brokers of 4.9 tell no rate: 0. @throws MalformedError when it is no JSON object */
export function decodeTopicStats(body: Uint8Array | null): TopicStatsTable {
  const object = parseJsonObject(body);
  const offsetTable = queueKeyedEntries(object.offsetTable).map(([queue, value]) => {
    const offsets = asObject(value);
    return [queue, {
      lastUpdateTimestamp: asInteger(offsets.lastUpdateTimestamp, 0),
      maxOffset: asInteger(offsets.maxOffset, 0),
      minOffset: asInteger(offsets.minOffset, 0),
    }] as const;
  });
  return { offsetTable, topicPutTps: asNumber(object.topicPutTps, 0) };
}
