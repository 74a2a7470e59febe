// SPDX-License-Identifier: Apache-2.0
/**
 * Messages with a delay level wait in `SCHEDULE_TOPIC_XXXX`, one queue per level; where they belong is kept in
 * their properties. [RMQ HookUtils.handleScheduleMessage, ScheduleMessageService]
 */
import { encodeProperties, Property } from "../protocol/properties.ts";
import { SCHEDULE_TOPIC } from "../store/queue_tags.ts";
import type { MessageDraft } from "../store/types.ts";

/** The level that a message asks for; 0 for none, NaN where it is not what Java reads as an int. */
export function delayLevelOf(properties: ReadonlyMap<string, string>): number {
  const text = properties.get(Property.DELAY);
  if (text === undefined) return 0;
  const level = /^[+-]?[0-9]+$/.test(text) ? Number(text) : NaN;
  return level === (level | 0) ? level : NaN;
}

/** The draft as it is stored: one with a level goes to the schedule topic, the rest as it is. */
export function withDelay(draft: MessageDraft, levelCount: number): MessageDraft {
  const level = Math.min(delayLevelOf(draft.propertyMap), levelCount);
  if (!(level > 0)) return draft;
  const propertyMap = new Map(draft.propertyMap);
  for (const name of TIMER_REQUESTS) propertyMap.delete(name);
  propertyMap.set(Property.DELAY, String(level));
  propertyMap.set(Property.REAL_TOPIC, draft.topic);
  propertyMap.set(Property.REAL_QUEUE_ID, String(draft.queueId));
  return {
    ...draft,
    topic: SCHEDULE_TOPIC,
    queueId: level - 1,
    propertyMap,
    properties: encodeProperties(propertyMap),
  };
}

/** Properties that ask for an arbitrary delivery time. */
export const TIMER_REQUESTS: readonly string[] = [
  Property.TIMER_DELAY_SEC,
  Property.TIMER_DELAY_MS,
  Property.TIMER_DELIVER_MS,
];
