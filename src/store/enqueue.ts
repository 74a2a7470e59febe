// SPDX-License-Identifier: Apache-2.0
/** Where a record that came from elsewhere (a file, a master) belongs in its queue. */
import { getLogger } from "@logtape/logtape";
import type { ConsumeQueue } from "./consume_queue.ts";

const logger = getLogger(["rmq", "store"]);

/** Beyond it, a queue offset was never given: that is years of a million messages a second. */
export const MAX_QUEUE_OFFSET = 2 ** 48;

/** What a queue is told of a record. */
export interface QueuedRecord {
  queueOffset: number;
  physicalOffset: number;
  bytes: number;
  tagsCode: number;
  storeTimestampMs: number;
}

/**
 * Puts an entry where its record says, or says why it can't stand there. Queue offsets are no ground to give up a
 * log: topics are deleted and made again.
 * @param incomplete gets the queue if entries before this one are missing; absent: they are nowhere
 * @param bitMap which filters the message fulfils, for a queue whose entries are extended
 * @returns whether it is there now
 */
export function enqueue(
  queue: ConsumeQueue,
  record: QueuedRecord,
  incomplete?: Set<ConsumeQueue>,
  bitMap?: Uint8Array,
): boolean {
  const { queueOffset, physicalOffset } = record;
  if (physicalOffset < queue.lastPhysicalEnd) return false;
  if (queueOffset !== queue.maxOffset && !makeRoom(queue, queueOffset, physicalOffset, incomplete)) {
    return false;
  }
  const code = queue.extension === undefined
    ? record.tagsCode
    : queue.extend(record.tagsCode, record.storeTimestampMs, bitMap);
  queue.put(queueOffset, physicalOffset, record.bytes, code);
  return true;
}

/** Topics that are deleted and made again begin at 0. What is before the start of a young queue has expired. */
function makeRoom(
  queue: ConsumeQueue,
  queueOffset: number,
  physicalOffset: number,
  incomplete: Set<ConsumeQueue> | undefined,
): boolean {
  const gap = queueOffset - queue.maxOffset;
  if (queueOffset === 0) {
    queue.restartAt(0);
  } else if (queueOffset > MAX_QUEUE_OFFSET || gap < 0 || (!queue.isYoung && gap > queue.entriesPerFile)) {
    report(queue, queueOffset, physicalOffset, "is left out of its queue");
    return false;
  } else if (!queue.isYoung && incomplete !== undefined) {
    incomplete.add(queue);
    return false;
  } else if (!queue.isYoung) {
    report(queue, queueOffset, physicalOffset, "leaves a gap in its queue");
  }
  return true;
}

function report(queue: ConsumeQueue, queueOffset: number, physicalOffset: number, what: string): void {
  logger.error(
    "the message at offset {offset} {what} ({topic}, {queueId}): it has queue offset {queueOffset}, the next " +
      "one is {maxOffset}",
    {
      what,
      offset: physicalOffset,
      topic: queue.topic,
      queueId: queue.queueId,
      queueOffset,
      maxOffset: queue.maxOffset,
    },
  );
}
