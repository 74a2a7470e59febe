// SPDX-License-Identifier: Apache-2.0
import type { ConsumeQueue, QueueEntry } from "./consume_queue.ts";

/** LOWER: the first message at or after the time. UPPER: the last one at or before it. */
export type TimeBoundary = "LOWER" | "UPPER";

/**
 * Binary search in a queue by store time, which never falls along a queue. Before the first message the
 * queue's start; LOWER past the last one its end. A message that can't be read counts as older than any time.
 * [RMQ ConsumeQueue.getOffsetInQueueByTime]
 */
export function offsetByTime(
  queue: ConsumeQueue,
  storeTimestampOf: (entry: QueueEntry) => number,
  timestampMs: number,
  boundary: TimeBoundary,
): number {
  const timeAt = (queueOffset: number): number => {
    const entry = queue.entry(queueOffset);
    return entry === undefined ? -1 : storeTimestampOf(entry);
  };
  const isBefore = boundary === "LOWER"
    ? (queueOffset: number) => timeAt(queueOffset) < timestampMs
    : (queueOffset: number) => timeAt(queueOffset) <= timestampMs;
  let low = queue.minOffset;
  let high = queue.maxOffset;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isBefore(middle)) low = middle + 1;
    else high = middle;
  }
  if (boundary === "LOWER") return low;
  return Math.max(low - 1, queue.minOffset);
}
