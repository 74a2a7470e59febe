// SPDX-License-Identifier: Apache-2.0
/**
 * How a group gets the messages of a topic: the body of SET_MESSAGE_REQUEST_MODE, the answer to
 * GET_ALL_MESSAGE_REQUEST_MODE and `config/messageRequestMode.json`.
 * [RMQ SetMessageRequestModeRequestBody, MessageRequestModeSerializeWrapper]
 *
 * ```
 * {"consumerGroup":"g","mode":"POP","popShareQueueNum":0,"topic":"T"}
 * {"messageRequestModeMap":{"T":{"g":{"consumerGroup":"g","mode":"POP","popShareQueueNum":0,"topic":"T"}}}}
 * ```
 */
import { MalformedError } from "../header.ts";
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asInteger, asObject, asText, type JsonObject } from "./json_fields.ts";

export type RequestMode = "PULL" | "POP";

export interface GroupRequestMode {
  readonly topic: string;
  readonly consumerGroup: string;
  readonly mode: RequestMode;
  /** How many further members share a member's queues; 0 or less: all members share all queues. */
  readonly popShareQueueNum: number;
}

/** @throws MalformedError */
export function decodeRequestMode(body: Uint8Array | null): GroupRequestMode {
  return requestModeOf(parseJsonObject(body));
}

/** The body of SET_MESSAGE_REQUEST_MODE. */
export function encodeRequestMode(
  { consumerGroup, mode, popShareQueueNum, topic }: GroupRequestMode,
): Uint8Array {
  return encodeJson({ consumerGroup, mode, popShareQueueNum, topic });
}

/** All entries of the table. @throws MalformedError */
export function requestModesFromJson(object: JsonObject): GroupRequestMode[] {
  return Object.values(asObject(object.messageRequestModeMap))
    .flatMap((groups) => Object.values(asObject(groups)).map((entry) => requestModeOf(asObject(entry))));
}

/** A value for `stringifyJson`. */
export function requestModesToJson(modes: Iterable<GroupRequestMode>): Record<string, unknown> {
  const topics = new Map<string, Map<string, unknown>>();
  for (const { topic, consumerGroup, mode, popShareQueueNum } of modes) {
    let groups = topics.get(topic);
    if (groups === undefined) topics.set(topic, groups = new Map());
    groups.set(consumerGroup, { consumerGroup, mode, popShareQueueNum, topic });
  }
  return { messageRequestModeMap: topics };
}

function requestModeOf(object: JsonObject): GroupRequestMode {
  const mode = asText(object.mode, "PULL");
  if (mode !== "PULL" && mode !== "POP") {
    throw new MalformedError(`the mode is neither PULL nor POP: ${mode.slice(0, 32)}`);
  }
  return {
    topic: asText(object.topic, ""),
    consumerGroup: asText(object.consumerGroup, ""),
    mode,
    popShareQueueNum: asInteger(object.popShareQueueNum, 0),
  };
}
