// SPDX-License-Identifier: Apache-2.0
import type { Json } from "../java_json.ts";
import { asBoolean, asInteger, asObject, asText } from "./json_fields.ts";

/** Which logical queues of a static topic one broker leads at present. [RMQ TopicQueueMappingInfo] */
export interface TopicQueueMappingInfo {
  readonly topic: string;
  readonly scope: string;
  /** Logical queues that the topic has on all brokers together. */
  readonly totalQueues: number;
  /** The broker's name. */
  readonly bname: string;
  /** Grows with each remapping. */
  readonly epoch: number;
  readonly dirty: boolean;
  /** Logical queue id to the broker's own queue id. */
  readonly currIdMap: ReadonlyMap<number, number>;
}

export const GLOBAL_SCOPE = "__global__";

/** The value for `stringifyJson`. */
export function topicQueueMappingInfoToJson(info: TopicQueueMappingInfo): Record<string, unknown> {
  return {
    bname: info.bname,
    currIdMap: info.currIdMap,
    dirty: info.dirty,
    epoch: info.epoch,
    scope: info.scope,
    topic: info.topic,
    totalQueues: info.totalQueues,
  };
}

export function topicQueueMappingInfoFromJson(value: Json | undefined): TopicQueueMappingInfo {
  const object = asObject(value);
  const currIdMap = new Map<number, number>();
  for (const [logicalId, queueId] of Object.entries(asObject(object.currIdMap))) {
    currIdMap.set(asInteger(logicalId, -1), asInteger(queueId, -1));
  }
  return {
    topic: asText(object.topic, ""),
    scope: asText(object.scope, GLOBAL_SCOPE),
    totalQueues: asInteger(object.totalQueues, 0),
    bname: asText(object.bname, ""),
    epoch: asInteger(object.epoch, 0),
    dirty: asBoolean(object.dirty, false),
    currIdMap,
  };
}
