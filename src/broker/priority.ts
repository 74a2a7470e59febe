// SPDX-License-Identifier: Apache-2.0
import { Property } from "../protocol/properties.ts";

/** A message of another kind has no priority, whatever it says. [RMQ TopicMessageType.parseFromMessageProperty] */
const OTHER_KINDS: readonly string[] = [
  Property.DELAY,
  Property.TIMER_DELIVER_MS,
  Property.TIMER_DELAY_SEC,
  Property.TIMER_DELAY_MS,
  Property.SHARDING_KEY,
];

/**
 * The queue that a message asks for by its priority, counted from the lowest; undefined where it has none. (Which queue
 * is read first is the consumers' business.) [RMQ 5.4 SendMessageProcessor]
 */
export function priorityOf(properties: ReadonlyMap<string, string>): number | undefined {
  const priority = numberOf(properties.get(Property.PRIORITY));
  return priority === undefined || isOtherKind(properties) ? undefined : priority;
}

/** Whether a message names a priority that it can't have; it is taken away then. */
export function hasVainPriority(properties: ReadonlyMap<string, string>): boolean {
  return numberOf(properties.get(Property.PRIORITY)) !== undefined && isOtherKind(properties);
}

function isOtherKind(properties: ReadonlyMap<string, string>): boolean {
  return properties.get(Property.TRANSACTION_PREPARED)?.toLowerCase() === "true" ||
    OTHER_KINDS.some((name) => properties.has(name));
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\+?[0-9]{1,10}$/.test(text)) return undefined;
  const priority = Number(text);
  return priority > 0x7fffffff ? undefined : priority;
}
