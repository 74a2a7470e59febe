// SPDX-License-Identifier: Apache-2.0
/**
 * Bodies of QUERY_ASSIGNMENT. [RMQ QueryAssignmentRequestBody, QueryAssignmentResponseBody]
 *
 * ```
 * {"clientId":"c","consumerGroup":"g","messageModel":"CLUSTERING","strategyName":"AVG","topic":"t"}
 * {"messageQueueAssignments":[{"messageQueue":{"brokerName":"b","queueId":0,"topic":"t"},"mode":"PULL"}]}
 * ```
 */
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asText } from "./json_fields.ts";
import { type MessageQueue, messageQueueToJson } from "./message_queue.ts";
import type { RequestMode } from "./request_mode.ts";

export interface AssignmentRequest {
  readonly topic: string;
  readonly consumerGroup: string;
  readonly clientId: string;
  /** Such as `AVG`. */
  readonly strategyName: string;
  /** `CLUSTERING` or `BROADCASTING`. */
  readonly messageModel: string;
}

/** Absent members are empty. @throws MalformedError when it is no JSON object */
export function decodeAssignmentRequest(body: Uint8Array | null): AssignmentRequest {
  const object = parseJsonObject(body);
  return {
    topic: asText(object.topic, ""),
    consumerGroup: asText(object.consumerGroup, ""),
    clientId: asText(object.clientId, ""),
    strategyName: asText(object.strategyName, ""),
    messageModel: asText(object.messageModel, "CLUSTERING"),
  };
}

/** Undefined tells the client to keep what it has, an empty list to give up everything. */
export function encodeAssignments(
  queues: readonly MessageQueue[] | undefined,
  mode: RequestMode,
): Uint8Array {
  const messageQueueAssignments = queues?.map((queue) => ({ messageQueue: messageQueueToJson(queue), mode }));
  return encodeJson({ messageQueueAssignments });
}
