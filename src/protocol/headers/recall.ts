// SPDX-License-Identifier: Apache-2.0
/** RECALL_MESSAGE (370). [RMQ RecallMessageRequestHeader, RecallMessageResponseHeader] */
import { header, optional, text } from "../header.ts";

export const recallMessageRequest = header({
  producerGroup: optional(text),
  topic: text,
  recallHandle: text,
});

export const recallMessageResponse = header({ msgId: text });
