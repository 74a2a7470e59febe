// SPDX-License-Identifier: Apache-2.0
/** What a store holds, found in seconds: from names, sizes and a few reads in each queue, not by reading the log. */
import { setImmediate } from "node:timers/promises";
import type { CheckpointValues } from "../checkpoint.ts";
import { readCheckpoint } from "./checkpoint_view.ts";
import { type IndexHeader, IndexView } from "./index_view.ts";
import type { StoreLayout } from "./layout.ts";
import { recordAt } from "./log_facts.ts";
import { walkLog } from "./log_walk.ts";
import { QueueView } from "./queue_view.ts";
import type { StoreReader } from "./reader.ts";

/** A message, as far as an overview goes. */
export interface MessageMark {
  readonly physicalOffset: number;
  readonly storeTimestampMs: number;
  readonly topic: string;
}

export interface QueueOverview {
  readonly topic: string;
  readonly queueId: number;
  /** First message that the log still has. */
  readonly minOffset: number;
  /** One past the last message. */
  readonly maxOffset: number;
}

export interface IndexOverview extends IndexHeader {
  readonly path: string;
  readonly sizeBytes: number;
}

export interface Overview {
  readonly logStart: number;
  readonly logEnd: number;
  readonly oldest: MessageMark | undefined;
  readonly newest: MessageMark | undefined;
  readonly queues: readonly QueueOverview[];
  readonly index: readonly IndexOverview[];
  readonly checkpoint: CheckpointValues | undefined;
}

const BLOCK_ENTRIES = 1;

/** @throws what the system says about files that can't be read */
export async function readOverview(reader: StoreReader, layout: StoreLayout): Promise<Overview> {
  const { log } = layout;
  const logStart = log.files[0]?.start ?? 0;
  const queues: QueueOverview[] = [];
  let newest: { physicalOffset: number; size: number } | undefined;
  for (const place of layout.queues) {
    const view = new QueueView(reader, place, BLOCK_ENTRIES);
    const maxOffset = view.end();
    const { topic, queueId } = place;
    queues.push({ topic, queueId, minOffset: view.firstFrom(logStart, maxOffset), maxOffset });
    const hasLast = maxOffset > view.first && view.seek(maxOffset - 1) && !view.isFiller;
    if (hasLast && view.physicalOffset > (newest?.physicalOffset ?? -1)) {
      newest = { physicalOffset: view.physicalOffset, size: view.size };
    }
    await setImmediate();
  }
  const end = await findEnd(reader, layout, newest);
  return {
    logStart,
    logEnd: end.offset,
    oldest: markAt(reader, layout, logStart),
    newest: end.lastOffset === undefined ? undefined : markAt(reader, layout, end.lastOffset),
    queues,
    index: readIndex(reader, layout),
    checkpoint: readCheckpoint(reader, layout.directory).values,
  };
}

/** From the last message that a queue knows, or from the start of the last file that begins with a message. */
async function findEnd(
  reader: StoreReader,
  { log }: StoreLayout,
  known: { physicalOffset: number; size: number } | undefined,
): Promise<{ offset: number; lastOffset: number | undefined }> {
  const starts = log.files.map(({ start }) => start).reverse();
  if (known !== undefined) starts.unshift(known.physicalOffset);
  const startOffset = starts.find((start) => recordAt(reader, log, start) !== undefined);
  if (startOffset === undefined) return { offset: log.files[0]?.start ?? 0, lastOffset: undefined };
  let lastOffset = startOffset;
  const end = await walkLog({ reader, log, startOffset, checkBodyCrc: false }, {
    record({ physicalOffset }) {
      lastOffset = physicalOffset;
      return true;
    },
    async pause() {
      await setImmediate();
      return true;
    },
  });
  return { offset: end.offset, lastOffset };
}

function markAt(reader: StoreReader, { log }: StoreLayout, physicalOffset: number): MessageMark | undefined {
  const found = recordAt(reader, log, physicalOffset);
  if (found === undefined) return undefined;
  const { frame, bytes } = found;
  const topic = bytes.toString("utf8", frame.topicAt, frame.topicAt + frame.topicBytes);
  return { physicalOffset, storeTimestampMs: frame.storeTimestampMs, topic };
}

function readIndex(reader: StoreReader, layout: StoreLayout): IndexOverview[] {
  const files: IndexOverview[] = [];
  for (const place of layout.index) {
    const view = IndexView.open(reader, place);
    if (view !== undefined) files.push({ ...view.header, ...place });
  }
  return files;
}
