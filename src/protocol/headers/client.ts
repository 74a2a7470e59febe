// SPDX-License-Identifier: Apache-2.0
/** Headers of requests about clients and the groups they are in. */
import { header, type HeaderOf, optional, text } from "../header.ts";

/** UNREGISTER_CLIENT. C++ clients send empty strings for groups they don't mean. [RMQ UnregisterClientRequestHeader] */
export const unregisterClientRequest = header({
  clientID: optional(text),
  producerGroup: optional(text),
  consumerGroup: optional(text),
});
export type UnregisterClientRequest = HeaderOf<typeof unregisterClientRequest>;

/** GET_CONSUMER_LIST_BY_GROUP and NOTIFY_CONSUMER_IDS_CHANGED. [RMQ GetConsumerListByGroupRequestHeader] */
export const consumerListRequest = header({ consumerGroup: text });
export type ConsumerListRequest = HeaderOf<typeof consumerListRequest>;

/** What HEART_BEAT is answered with since 5.1.3. [RMQ MixAll.IS_SUPPORT_HEART_BEAT_V2, IS_SUB_CHANGE] */
export const heartbeatResponse = header({
  IS_SUPPORT_HEART_BEAT_V2: optional(text),
  IS_SUB_CHANGE: optional(text),
});
