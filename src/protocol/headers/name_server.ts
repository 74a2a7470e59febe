// SPDX-License-Identifier: Apache-2.0
/** What clients and administrators ask name servers. */
import { bool, header, type HeaderOf, int, optional, text } from "../header.ts";

export const routeRequest = header({
  /** Absent is answered like an unknown topic. */
  topic: optional(text),
  /** What readers of strict JSON set; we write nothing else. */
  acceptStandardJsonOnly: optional(bool),
  __ZONE_MODE: bool,
  __ZONE_NAME: optional(text),
});
export type RouteRequest = HeaderOf<typeof routeRequest>;

export const putKvRequest = header({ namespace: optional(text), key: optional(text), value: optional(text) });
/** GET_KV_CONFIG and DELETE_KV_CONFIG. */
export const kvKeyRequest = header({ namespace: optional(text), key: optional(text) });
export const getKvResponse = header({ value: optional(text) });
export const kvListRequest = header({ namespace: optional(text) });

/** WIPE_WRITE_PERM_OF_BROKER and ADD_WRITE_PERM_OF_BROKER. */
export const brokerNameRequest = header({ brokerName: text });
export const wipeWritePermResponse = header({ wipeTopicCount: int });
export const addWritePermResponse = header({ addTopicCount: int });

export const deleteTopicRequest = header({ topic: text, clusterName: optional(text) });
export const registerTopicRequest = header({ topic: text });
export const topicsByClusterRequest = header({ cluster: text });
export const memberGroupRequest = header({ clusterName: text, brokerName: text });
