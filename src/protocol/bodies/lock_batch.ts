// SPDX-License-Identifier: Apache-2.0
/**
 * Bodies of LOCK_BATCH_MQ and UNLOCK_BATCH_MQ, and the answer to the first.
 * [RMQ LockBatchRequestBody, UnlockBatchRequestBody, LockBatchResponseBody]
 *
 * ```
 * {"consumerGroup":"g","clientId":"c","onlyThisBroker":false,"mqSet":[{"brokerName":"b","queueId":0,"topic":"t"}]}
 * {"lockOKMQSet":[{"brokerName":"b","queueId":0,"topic":"t"}]}
 * ```
 */
import { MalformedError } from "../header.ts";
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asArray, asBoolean, asText } from "./json_fields.ts";
import { type MessageQueue, messageQueueFromJson, messageQueueToJson } from "./message_queue.ts";

export interface LockBatch {
  readonly consumerGroup: string;
  readonly clientId: string;
  /** Asked by another broker, so that it must not be passed on. */
  readonly onlyThisBroker: boolean;
  readonly queues: readonly MessageQueue[];
}

/** @throws MalformedError when it is no object, or names queues but no group or client */
export function decodeLockBatch(body: Uint8Array | null): LockBatch {
  const object = parseJsonObject(body);
  const consumerGroup = asText(object.consumerGroup);
  const clientId = asText(object.clientId);
  const queues = asArray(object.mqSet).map(messageQueueFromJson);
  if (queues.length > 0 && (consumerGroup === undefined || clientId === undefined)) {
    throw new MalformedError("the request lacks consumerGroup or clientId");
  }
  return {
    consumerGroup: consumerGroup ?? "",
    clientId: clientId ?? "",
    onlyThisBroker: asBoolean(object.onlyThisBroker, false),
    queues,
  };
}

export function encodeLockBatch(batch: LockBatch): Uint8Array {
  return encodeJson({
    clientId: batch.clientId,
    consumerGroup: batch.consumerGroup,
    mqSet: batch.queues.map(messageQueueToJson),
    onlyThisBroker: batch.onlyThisBroker,
  });
}

/** Clients compare all three members, so each queue is given back as it was asked for. */
export function encodeLockedQueues(queues: readonly MessageQueue[]): Uint8Array {
  return encodeJson({ lockOKMQSet: queues.map(messageQueueToJson) });
}

/** @throws MalformedError when it is no JSON object */
export function decodeLockedQueues(body: Uint8Array | null): MessageQueue[] {
  return asArray(parseJsonObject(body).lockOKMQSet).map(messageQueueFromJson);
}
