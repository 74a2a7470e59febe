// SPDX-License-Identifier: Apache-2.0
/** What administrators ask about the clients of a broker, and what the broker hands on to them. */
import { bool, header, long, optional, text, withDefault } from "../header.ts";

/** GET_CONSUMER_CONNECTION_LIST. */
export const consumerGroupRequest = header({ consumerGroup: withDefault(text, "") });

/** GET_PRODUCER_CONNECTION_LIST. */
export const producerGroupRequest = header({ producerGroup: withDefault(text, "") });

/** GET_CONSUMER_RUNNING_INFO: what the broker reads of it before it hands it on. */
export const consumerClientRequest = header({
  consumerGroup: withDefault(text, ""),
  clientId: withDefault(text, ""),
});

/** CONSUME_MESSAGE_DIRECTLY. */
export const consumeDirectlyRequest = header({
  consumerGroup: withDefault(text, ""),
  clientId: withDefault(text, ""),
  /** An offset message id: the message must be stored here. */
  msgId: withDefault(text, ""),
  topic: optional(text),
});

/** INVOKE_BROKER_TO_GET_CONSUMER_STATUS, and to a client GET_CONSUMER_STATUS_FROM_CLIENT. */
export const consumerStatusRequest = header({
  topic: withDefault(text, ""),
  group: withDefault(text, ""),
  /** The id of one client, in spite of its name; absent: all clients of the group. */
  clientAddr: optional(text),
});

/** RESET_CONSUMER_CLIENT_OFFSET, to a client. */
export const resetClientOffsetRequest = header({ topic: text, group: text, timestamp: long, isForce: bool });
