// SPDX-License-Identifier: Apache-2.0
/** QUERY_MESSAGE (12) and VIEW_MESSAGE_BY_ID (33). [RMQ QueryMessageRequestHeader, ViewMessageRequestHeader] */
import { header, type HeaderOf, int, long, optional, text } from "../header.ts";

export const queryMessageRequest = header({
  topic: text,
  key: text,
  maxNum: int,
  beginTimestamp: long,
  endTimestamp: long,
  /** "true": `key` is a unique key, and the broker's own maximum holds. */
  _UNIQUE_KEY_QUERY: optional(text),
});
export type QueryMessageRequest = HeaderOf<typeof queryMessageRequest>;

export const queryMessageResponse = header({
  indexLastUpdateTimestamp: long,
  indexLastUpdatePhyoffset: long,
});

export const viewMessageRequest = header({ offset: long, topic: optional(text) });
