// SPDX-License-Identifier: Apache-2.0
/**
 * Finds messages in a store, one after the other in the order of the log, never more than a block of it in memory.
 *
 * With a topic, its queues lead to the messages, so the rest of the log is not read; without one, or where queues
 * can't be trusted, the log itself is walked.
 */
import type { Buffer } from "node:buffer";
import { parseProperties, Property } from "../../protocol/properties.ts";
import {
  asBuffer,
  decodeRecord,
  frameRecord,
  type MessageRecord,
  type RecordFrame,
} from "../../protocol/record.ts";
import type { StoreLayout } from "./layout.ts";
import { fileBefore, recordAt } from "./log_facts.ts";
import { type Damage, walkLog } from "./log_walk.ts";
import { QueueView } from "./queue_view.ts";
import type { StoreReader } from "./reader.ts";

/** A place in the log, a place in one queue, or a time. */
export type Bound = { readonly physicalOffset: number } | { readonly queueOffset: number } | {
  readonly timeMs: number;
};

export interface Selection {
  readonly topic?: string;
  readonly queueId?: number;
  /** The first message wanted. */
  readonly from?: Bound;
  /** The last one: a message at this very place or time is wanted, too. */
  readonly to?: Bound;
  /** Unique key, or one of the keys. */
  readonly key?: string;
  /** Where a group stands: topic to queue to offset. Only messages from there on are wanted. */
  readonly backlog?: ReadonlyMap<string, ReadonlyMap<number, number>>;
  /** Walks the log even where queues would be quicker: finds what queues have lost. */
  readonly throughLog?: boolean;
}

export interface Found {
  readonly record: MessageRecord;
  readonly properties: ReadonlyMap<string, string>;
  /** The body is not what was stored, or the end never reached the disk. */
  readonly defect: "BODY_CRC" | "TORN" | undefined;
}

export interface SelectionListener {
  /** A message; its body is valid during the call only. @returns false when no more is wanted */
  found(found: Found): boolean;
  /** What can't be read, as a sentence. */
  unreadable(what: string): void;
  /** Called now and then. @returns false to end it; may take its time */
  pause(): Promise<boolean>;
}

/** Messages read between two pauses. */
const PAUSE_MESSAGES = 256;
const BLOCK_ENTRIES = 512;

/** @throws what the system says about files that can't be read */
export async function select(
  reader: StoreReader,
  layout: StoreLayout,
  selection: Selection,
  listener: SelectionListener,
): Promise<void> {
  const topics = selection.topic === undefined ? selection.backlog?.keys() : [selection.topic];
  const wanted = topics && new Set(topics);
  const places = layout.queues.filter(({ topic, queueId }) => {
    return wanted?.has(topic) && (selection.queueId === undefined || queueId === selection.queueId);
  });
  const views = places.map((place) => new QueueView(reader, place, BLOCK_ENTRIES));
  if (views.length > 0 && !selection.throughLog) {
    await throughQueues(reader, layout, views, selection, listener);
  } else await throughLog(reader, layout, views, selection, listener);
}

async function throughLog(
  reader: StoreReader,
  layout: StoreLayout,
  views: readonly QueueView[],
  selection: Selection,
  listener: SelectionListener,
): Promise<void> {
  const startOffset = startInLog(reader, layout, views, selection);
  if (startOffset === undefined) return;
  await walkLog({ reader, log: layout.log, startOffset, checkBodyCrc: true }, {
    record(frame, bytes, at, defect) {
      if (isPast(frame, selection)) return false;
      if (!isWantedFrame(frame, bytes, selection)) return true;
      const record = decodeRecord(bytes, at, false) as MessageRecord;
      const properties = parseProperties(record.properties);
      return !isWantedKey(properties, selection) || listener.found({ record, properties, defect });
    },
    damage: (damage) => listener.unreadable(describeDamage(damage)),
    pause: () => listener.pause(),
  });
}

/** A place where a message begins, at or before the first one wanted; undefined in an empty log. */
function startInLog(
  reader: StoreReader,
  { log }: StoreLayout,
  views: readonly QueueView[],
  { from }: Selection,
): number | undefined {
  const logStart = log.files[0]?.start;
  if (logStart === undefined || from === undefined) return logStart;
  if ("timeMs" in from) return fileBefore(reader, log, from.timeMs);
  if ("queueOffset" in from) {
    const [view] = views;
    const isKnown = view?.seek(from.queueOffset) && !view.isFiller;
    return isKnown && recordAt(reader, log, view.physicalOffset) ? view.physicalOffset : logStart;
  }
  if (recordAt(reader, log, from.physicalOffset) !== undefined) return from.physicalOffset;
  const file = log.files.findLast(({ start }) => start <= from.physicalOffset);
  return file?.start ?? logStart;
}

/** One queue on its way, at the entry that comes next. */
interface Cursor {
  readonly view: QueueView;
  queueOffset: number;
  physicalOffset: number;
  size: number;
}

async function throughQueues(
  reader: StoreReader,
  layout: StoreLayout,
  views: readonly QueueView[],
  selection: Selection,
  listener: SelectionListener,
): Promise<void> {
  const logStart = layout.log.files[0]?.start ?? 0;
  const cursors = views.map((view) => ({
    view,
    queueOffset: firstWanted(reader, layout, view, selection) - 1,
    physicalOffset: 0,
    size: 0,
  })).filter((cursor) => moveOn(cursor, logStart));
  for (let count = 1; cursors.length > 0; count++) {
    const cursor = cursors.reduce((first, one) => one.physicalOffset < first.physicalOffset ? one : first);
    const outcome = take(reader, layout, cursor, selection, listener);
    if (outcome === "END") return;
    if (outcome === "PAST" || !moveOn(cursor, logStart)) cursors.splice(cursors.indexOf(cursor), 1);
    if (count % PAUSE_MESSAGES === 0 && !await listener.pause()) return;
  }
  await listener.pause();
}

/** Looks at the message of a cursor's entry. PAST: its queue has no more that are wanted. END: nobody wants more. */
function take(
  reader: StoreReader,
  layout: StoreLayout,
  { view, queueOffset, physicalOffset, size }: Cursor,
  selection: Selection,
  listener: SelectionListener,
): "ON" | "PAST" | "END" {
  const found = recordAt(reader, layout.log, physicalOffset);
  const topic = found && topicOf(found.frame, found.bytes);
  const isOurs = found !== undefined && found.frame.totalBytes === size &&
    (topic === view.topic || view.topic.startsWith("%LMQ%"));
  if (!isOurs) {
    const queue = `${view.topic} queue ${view.queueId}`;
    listener.unreadable(
      `${queue}: entry ${queueOffset} points to ${physicalOffset}, where its message is not`,
    );
    return "ON";
  }
  const { to } = selection;
  const isBeyond = to !== undefined && "queueOffset" in to && queueOffset > to.queueOffset;
  if (isBeyond || isPast(found.frame, selection)) return "PAST";
  if (!isInBounds(found.frame, selection)) return "ON";
  const record = decodeRecord(found.bytes, 0, false) as MessageRecord;
  const properties = parseProperties(record.properties);
  if (!isWantedKey(properties, selection)) return "ON";
  const defect = frameRecord(asBuffer(found.bytes), 0, true) === "BODY_CRC" ? "BODY_CRC" : undefined;
  return listener.found({ record, properties, defect }) ? "ON" : "END";
}

/** Goes to the next entry whose message the log may have. @returns false at the end of the queue */
function moveOn(cursor: Cursor, logStart: number): boolean {
  const { view } = cursor;
  for (;;) {
    cursor.queueOffset++;
    if (!view.seek(cursor.queueOffset) && !view.seek(cursor.queueOffset, true)) {
      const next = view.nextUsed(cursor.queueOffset);
      if (next === undefined) return false;
      cursor.queueOffset = next;
      view.seek(next, true);
    }
    if (!view.isFiller && view.physicalOffset >= logStart) break;
  }
  cursor.physicalOffset = view.physicalOffset;
  cursor.size = view.size;
  return true;
}

/** The first entry of a queue that may be wanted. */
function firstWanted(
  reader: StoreReader,
  layout: StoreLayout,
  view: QueueView,
  { from, backlog }: Selection,
): number {
  const logStart = layout.log.files[0]?.start ?? 0;
  const committed = backlog === undefined ? 0 : backlog.get(view.topic)?.get(view.queueId) ?? Infinity;
  let first = Math.max(view.first, committed);
  if (from === undefined || !Number.isFinite(first)) return first;
  if ("queueOffset" in from) return Math.max(first, from.queueOffset);
  const isBefore = (queueOffset: number): boolean => {
    if (!view.seek(queueOffset, true) || view.isFiller || view.physicalOffset < logStart) return true;
    if ("physicalOffset" in from) return view.physicalOffset < from.physicalOffset;
    const found = recordAt(reader, layout.log, view.physicalOffset);
    return found === undefined || found.frame.storeTimestampMs < from.timeMs;
  };
  let high = view.end();
  while (first < high) {
    const middle = Math.floor((first + high) / 2);
    if (isBefore(middle)) first = middle + 1;
    else high = middle;
  }
  return first;
}

function isWantedFrame(frame: RecordFrame, bytes: Buffer, selection: Selection): boolean {
  const { topic, queueId, backlog } = selection;
  if (!isInBounds(frame, selection)) return false;
  if (queueId !== undefined && frame.queueId !== queueId) return false;
  if (topic === undefined && backlog === undefined) return true;
  const itsTopic = topicOf(frame, bytes);
  if (topic !== undefined && itsTopic !== topic) return false;
  if (backlog === undefined) return true;
  return frame.queueOffset >= (backlog.get(itsTopic)?.get(frame.queueId) ?? Infinity);
}

function topicOf(frame: RecordFrame, bytes: Buffer): string {
  return bytes.toString("utf8", frame.topicAt, frame.topicAt + frame.topicBytes);
}

function isInBounds(frame: RecordFrame, { from, to }: Selection): boolean {
  return (from === undefined || valueFor(from, frame) >= limitOf(from)) &&
    (to === undefined || valueFor(to, frame) <= limitOf(to));
}

/** Whether nothing behind this message can be wanted: places in the log and times only grow. */
function isPast(frame: RecordFrame, { to }: Selection): boolean {
  return to !== undefined && !("queueOffset" in to) && valueFor(to, frame) > limitOf(to);
}

function valueFor(bound: Bound, frame: RecordFrame): number {
  if ("timeMs" in bound) return frame.storeTimestampMs;
  return "queueOffset" in bound ? frame.queueOffset : frame.physicalOffset;
}

function limitOf(bound: Bound): number {
  if ("timeMs" in bound) return bound.timeMs;
  return "queueOffset" in bound ? bound.queueOffset : bound.physicalOffset;
}

function isWantedKey(properties: ReadonlyMap<string, string>, { key }: Selection): boolean {
  if (key === undefined || properties.get(Property.UNIQ_KEY) === key) return true;
  return properties.get(Property.KEYS)?.split(" ").includes(key) ?? false;
}

function describeDamage({ file, offset, endOffset, reason }: Damage): string {
  return reason === "BODY_CRC"
    ? `${file.path}: at ${offset} of the log the body of the message does not fit its checksum`
    : `${file.path}: at ${offset} of the log ${endOffset - offset} bytes hold no message (${reason})`;
}
