// SPDX-License-Identifier: Apache-2.0
import { MalformedError } from "../header.ts";
import { type Json, ObjectKeyedMap, parseJson } from "../java_json.ts";
import { asInteger, asObject, asText, isObject } from "./json_fields.ts";

/** One queue of a topic at one broker: an element of lists, and the key of maps. [RMQ MessageQueue] */
export interface MessageQueue {
  readonly brokerName: string;
  readonly queueId: number;
  readonly topic: string;
}

/** The value for `stringifyJson`, `{"brokerName":…,"queueId":…,"topic":…}`. */
export function messageQueueToJson(queue: MessageQueue): Record<string, unknown> {
  return { brokerName: queue.brokerName, queueId: queue.queueId, topic: queue.topic };
}

/** Absent members are empty or 0. */
export function messageQueueFromJson(value: Json | undefined): MessageQueue {
  const object = asObject(value);
  return {
    brokerName: asText(object.brokerName, ""),
    queueId: asInteger(object.queueId, 0),
    topic: asText(object.topic, ""),
  };
}

/** A map with queues as keys, as only fastjson writes and reads it: `{{"brokerName":…}:value,…}`. */
export function queueKeyedMap(entries: Iterable<readonly [MessageQueue, unknown]>): ObjectKeyedMap {
  return new ObjectKeyedMap([...entries].map(([queue, value]) => [messageQueueToJson(queue), value]));
}

/**
 * The entries of such a map after `parseJson`, which leaves each key as the text of an object.
 * @throws MalformedError when a key is no object
 */
export function queueKeyedEntries(value: Json | undefined): [MessageQueue, Json][] {
  return Object.entries(asObject(value)).map(([key, item]) => {
    const queue = parseJson(key);
    if (!isObject(queue)) throw new MalformedError("a key of the map is no message queue");
    return [messageQueueFromJson(queue), item];
  });
}
