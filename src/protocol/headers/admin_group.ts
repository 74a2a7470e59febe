// SPDX-License-Identifier: Apache-2.0
/** What administrators ask a broker about its consumer groups. */
import { bool, header, int, optional, text, withDefault } from "../header.ts";

/** GET_SUBSCRIPTIONGROUP_CONFIG, QUERY_TOPICS_BY_CONSUMER. */
export const groupRequest = header({ group: withDefault(text, "") });

/** DELETE_SUBSCRIPTIONGROUP. */
export const deleteGroupRequest = header({ groupName: withDefault(text, ""), cleanOffset: bool });

/** GET_ALL_SUBSCRIPTIONGROUP_CONFIG; without any field the whole table is wanted at once. */
export const allGroupConfigRequest = header({
  groupSeq: optional(int),
  dataVersion: optional(text),
  maxGroupNum: optional(int),
});

export const allGroupConfigResponse = header({ totalGroupNum: int });

/** UPDATE_AND_GET_GROUP_FORBIDDEN; without `readable` nothing is changed. */
export const groupForbiddenRequest = header({
  group: withDefault(text, ""),
  topic: withDefault(text, ""),
  readable: optional(bool),
});
