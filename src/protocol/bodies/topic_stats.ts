// SPDX-License-Identifier: Apache-2.0
import { encodeJson } from "../java_json.ts";
import { type MessageQueue, queueKeyedMap } from "./message_queue.ts";

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
