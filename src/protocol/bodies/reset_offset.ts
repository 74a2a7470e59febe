// SPDX-License-Identifier: Apache-2.0
/** Offsets of queues, as a reset tells them and as clients tell where they stand. */
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asInteger } from "./json_fields.ts";
import { type MessageQueue, messageQueueToJson, queueKeyedEntries, queueKeyedMap } from "./message_queue.ts";

export type QueueOffsets = readonly (readonly [MessageQueue, number])[];

/**
 * The answer to INVOKE_BROKER_TO_RESET_OFFSET, and what RESET_CONSUMER_CLIENT_OFFSET tells a client. The Go
 * client takes a body that is legal JSON for a form that nobody writes, so the keys must be bare objects.
 * [RMQ ResetOffsetBody]
 */
export function encodeResetOffset(offsets: QueueOffsets): Uint8Array {
  return encodeJson({ offsetTable: queueKeyedMap(offsets) });
}

/** The same for clients in C++, which read a list. [RMQ ResetOffsetBodyForC] */
export function encodeResetOffsetForCpp(offsets: QueueOffsets): Uint8Array {
  return encodeJson({
    offsetTable: offsets.map(([queue, offset]) => ({ ...messageQueueToJson(queue), offset })),
  });
}

/** Where a client says it stands, its answer to GET_CONSUMER_STATUS_FROM_CLIENT. @throws MalformedError */
export function decodeConsumerStatus(body: Uint8Array | null): QueueOffsets {
  return queueKeyedEntries(parseJsonObject(body).messageQueueTable).map(([queue, offset]) => [
    queue,
    asInteger(offset, 0),
  ]);
}

/** The answer to INVOKE_BROKER_TO_GET_CONSUMER_STATUS. [RMQ GetConsumerStatusBody] */
export function encodeConsumerStatuses(byClientId: ReadonlyMap<string, QueueOffsets>): Uint8Array {
  const consumerTable = new Map([...byClientId].map(([id, offsets]) => [id, queueKeyedMap(offsets)]));
  return encodeJson({ consumerTable, messageQueueTable: {} });
}

/** The new positions that a broker tells after a reset; it may tell none. @throws MalformedError */
export function decodeResetOffset(body: Uint8Array | null): QueueOffsets {
  if (body === null || body.length === 0) return [];
  return queueKeyedEntries(parseJsonObject(body).offsetTable).map(([queue, offset]) => [
    queue,
    asInteger(offset, 0),
  ]);
}
