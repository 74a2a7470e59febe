// SPDX-License-Identifier: Apache-2.0
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asText, asTextList } from "./json_fields.ts";

export interface TopicList {
  readonly topicList: Iterable<string>;
  /** Of a broker that can be asked for its own system topics. */
  readonly brokerAddr?: string;
}

export function encodeTopicList(list: TopicList): Uint8Array {
  return encodeJson({ brokerAddr: list.brokerAddr, topicList: [...list.topicList] });
}

/** @throws MalformedError when it is no JSON object */
export function decodeTopicList(body: Uint8Array | null): { topicList: string[]; brokerAddr?: string } {
  const object = parseJsonObject(body);
  return { topicList: asTextList(object.topicList), brokerAddr: asText(object.brokerAddr) };
}
