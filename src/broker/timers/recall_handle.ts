// SPDX-License-Identifier: Apache-2.0
/**
 * What names a timed message to the one who wants to take it back: `v1 topic brokerName time uniqueKey` in URL-safe
 * base64, given with the answer to its send. [RMQ RecallMessageHandle]
 */
import { Buffer } from "node:buffer";
import { Property } from "../../protocol/properties.ts";
import { RETRY_PREFIX } from "../topic_name.ts";

const VERSION = "v1";

export interface RecallHandle {
  topic: string;
  brokerName: string;
  /** When the message is due; its slot is the one before. */
  timeMs: number;
  uniqueKey: string;
}

export function encodeRecallHandle({ topic, brokerName, timeMs, uniqueKey }: RecallHandle): string {
  const bytes = Buffer.from([VERSION, topic, brokerName, timeMs, uniqueKey].join(" "));
  // with its padding, which "base64url" leaves out
  return bytes.toString("base64").replaceAll("+", "-").replaceAll("/", "_");
}

/** @returns undefined for anything but a handle; `timeMs` is NaN where it is no number */
export function decodeRecallHandle(text: string): RecallHandle | undefined {
  if (!/^[A-Za-z0-9_-]+={0,2}$/.test(text)) return undefined;
  const items = Buffer.from(text, "base64url").toString().split(" ");
  if (items[0] !== VERSION || items.length < 5) return undefined;
  const [, topic, brokerName, time, uniqueKey] = items;
  return { topic, brokerName, timeMs: /^[0-9]{1,15}$/.test(time) ? Number(time) : NaN, uniqueKey };
}

/** The handle of a message that waits; undefined for one on its way back to a group. */
export function recallHandleOf(
  properties: ReadonlyMap<string, string>,
  brokerName: string,
): string | undefined {
  const topic = properties.get(Property.REAL_TOPIC);
  const slotTimeMs = Number(properties.get(Property.TIMER_OUT_MS));
  const uniqueKey = properties.get(Property.UNIQ_KEY);
  if (topic === undefined || uniqueKey === undefined || topic.startsWith(RETRY_PREFIX)) return undefined;
  // one more than the slot's moment, so that asking for this time again gives the same slot
  return encodeRecallHandle({ topic, brokerName, timeMs: slotTimeMs + 1, uniqueKey });
}
