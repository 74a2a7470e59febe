// SPDX-License-Identifier: Apache-2.0
import { tagsCodeOf } from "../protocol/java_string.ts";
import { Property } from "../protocol/properties.ts";

/** Where delayed messages wait, one queue per level. */
export const SCHEDULE_TOPIC = "SCHEDULE_TOPIC_XXXX";

/**
 * What the queue entry of a message holds beside its place: the hash of its tags; for a delayed message that
 * waits, the time of its delivery. [RMQ CommitLog.checkMessageAndReturnSize]
 * @param delayLevelsMs delay of level n at n-1; a level beyond the last counts as the last
 */
export function queueTagsCode(
  topic: string,
  properties: ReadonlyMap<string, string>,
  storeTimestampMs: number,
  delayLevelsMs: readonly number[],
): number {
  if (topic === SCHEDULE_TOPIC) {
    const level = Number(properties.get(Property.DELAY) ?? 0);
    if (level > 0) {
      const delayMs = delayLevelsMs[Math.min(level, delayLevelsMs.length) - 1] ?? 1000;
      return storeTimestampMs + delayMs;
    }
  }
  return tagsCodeOf(properties.get(Property.TAGS));
}
