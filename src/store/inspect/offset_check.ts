// SPDX-License-Identifier: Apache-2.0
/** Holds what is kept of groups' and delay levels' progress against the queues, and the checkpoint against the log. */
import { SCHEDULE_TOPIC } from "../queue_tags.ts";
import type { CheckpointView } from "./checkpoint_view.ts";
import type { Findings } from "./findings.ts";
import { formatTime } from "./local_time.ts";
import type { StoreState } from "./queue_check.ts";

/** How far a group has come in a queue. */
export interface ConsumerOffset {
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly offset: number;
}

/** A queue as far as offsets are concerned; a message on its way into the queue counts as in it. */
export interface QueueBounds {
  readonly minOffset: number;
  readonly maxOffset: number;
}

export type BoundsOf = (topic: string, queueId: number) => QueueBounds | undefined;

export function checkConsumerOffsets(
  file: string,
  offsets: Iterable<ConsumerOffset>,
  boundsOf: BoundsOf,
  findings: Findings,
): void {
  for (const { group, topic, queueId, offset } of offsets) {
    const place = { file, within: `${group} ${topic}` };
    const where = `group ${group}, topic ${topic}, queue ${queueId}: offset ${offset}`;
    const bounds = boundsOf(topic, queueId);
    if (bounds === undefined) {
      if (offset > 0) findings.add("CONSUMER_OFFSET_NO_QUEUE", place, where);
    } else if (offset > bounds.maxOffset) {
      findings.add("CONSUMER_OFFSET_AHEAD", place, `${where}; the queue ends at ${bounds.maxOffset}`);
    } else if (offset < bounds.minOffset) {
      findings.add("CONSUMER_OFFSET_BEHIND", place, `${where}; the queue begins at ${bounds.minOffset}`);
    }
  }
}

/** @param offsets next queue offset of each delay level, counted from 1 */
export function checkDelayOffsets(
  file: string,
  offsets: ReadonlyMap<number, number>,
  boundsOf: BoundsOf,
  findings: Findings,
): void {
  for (const [level, offset] of offsets) {
    const { minOffset, maxOffset } = boundsOf(SCHEDULE_TOPIC, level - 1) ?? { minOffset: 0, maxOffset: 0 };
    const where = `delay level ${level}: offset ${offset}`;
    if (offset > maxOffset) {
      findings.add("DELAY_OFFSET_AHEAD", { file }, `${where}; the queue of the level ends at ${maxOffset}`);
    } else if (offset < minOffset) {
      findings.add(
        "DELAY_OFFSET_BEHIND",
        { file },
        `${where}; the queue of the level begins at ${minOffset}`,
      );
    }
  }
}

/** @param lastStoreTimestampMs of the log's last message; undefined in an empty log */
export function checkCheckpoint(
  { path, values }: CheckpointView,
  log: { endOffset: number; lastStoreTimestampMs: number | undefined },
  state: StoreState,
  findings: Findings,
): void {
  if (values === undefined) {
    if (log.lastStoreTimestampMs !== undefined) {
      findings.add("CHECKPOINT_MISSING", { file: path }, "there is none");
    }
    return;
  }
  for (const [name, value] of Object.entries(values)) {
    const isPossible = Number.isSafeInteger(value) && value >= 0;
    if (!isPossible) findings.add("CHECKPOINT_VALUE", { file: path }, `${name} is ${value}`);
  }
  if (state === "in use" || log.lastStoreTimestampMs === undefined) return;
  const { physicMsgTimestampMs, confirmPhysicalOffset } = values;
  const last = `the last message of the log was stored at ${formatTime(log.lastStoreTimestampMs)}`;
  if (physicMsgTimestampMs > log.lastStoreTimestampMs && Number.isSafeInteger(physicMsgTimestampMs)) {
    const what = `messages up to ${formatTime(physicMsgTimestampMs)} were safe; ${last}`;
    findings.add("CHECKPOINT_AHEAD", { file: path }, what);
  } else if (confirmPhysicalOffset > log.endOffset && Number.isSafeInteger(confirmPhysicalOffset)) {
    const what = `the log was once seen to reach ${confirmPhysicalOffset}; it ends at ${log.endOffset}`;
    findings.add("CHECKPOINT_AHEAD", { file: path }, what);
  }
}
