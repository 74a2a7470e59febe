// SPDX-License-Identifier: Apache-2.0
/** Who shares a group's queues: the answer to GET_CONSUMER_LIST_BY_GROUP, `{"consumerIdList":["id",…]}`. */
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asTextList } from "./json_fields.ts";

export function encodeConsumerList(clientIds: readonly string[]): Uint8Array {
  return encodeJson({ consumerIdList: clientIds });
}

/** @throws MalformedError when it is no JSON object */
export function decodeConsumerList(body: Uint8Array | null): string[] {
  return asTextList(parseJsonObject(body).consumerIdList);
}
