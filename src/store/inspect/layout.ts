// SPDX-License-Identifier: Apache-2.0
/**
 * Which files a store has, and which of them can't be right. Sizes are taken from the files themselves, so no
 * configuration is needed: files of one kind have one size, and a file that has another one stands out.
 */
import { join } from "node:path";
import { ENTRY_BYTES } from "../consume_queue.ts";
import type { Findings, Kind } from "./findings.ts";
import type { StoreReader } from "./reader.ts";

/** One file of a sequence; its name is the offset of its first byte. */
export interface Segment {
  readonly path: string;
  readonly start: number;
  readonly sizeBytes: number;
}

export interface SegmentSequence {
  readonly directory: string;
  /** Size of each file; 0 without files. */
  readonly fileBytes: number;
  /** By their start. Holes between them are possible here. */
  readonly files: readonly Segment[];
}

export interface QueuePlace {
  readonly topic: string;
  readonly queueId: number;
  readonly segments: SegmentSequence;
  /** Whether names and sizes of its files can be right. */
  readonly isSound: boolean;
}

export interface IndexPlace {
  readonly path: string;
  readonly sizeBytes: number;
}

export interface StoreLayout {
  readonly directory: string;
  readonly log: SegmentSequence;
  readonly queues: readonly QueuePlace[];
  /** 0 without queue files. */
  readonly queueFileBytes: number;
  readonly index: readonly IndexPlace[];
  /** Topics whose queues are of another kind (`queue.type=BatchCQ`), which we do not look into. */
  readonly batchTopics: ReadonlySet<string>;
  /** Content of `abort`, which a running process keeps and a killed one leaves; undefined where there is none. */
  readonly abort: string | undefined;
  /** Parts that we do not look into, as names in the store's directory. */
  readonly unknownParts: readonly string[];
}

const SEGMENT_NAME = /^[0-9]{20}$/;
const QUEUE_NAME = /^[0-9]{1,9}$/;
const INDEX_NAME = /^[0-9]+$/;

/** Where `--repair` keeps what it replaces until it is done. Apache looks at no such name. */
export const REPAIR_DIRECTORY = "rmq-repair";

const UNKNOWN_PARTS = [
  "batchconsumequeue",
  "consumequeue_ext",
  "consumequeue_r",
  "compaction",
  "timerlog",
  "timerwheel",
  "kvStore",
];

/** @param findings gets what is wrong with names and sizes; nothing is said without it */
export function readLayout(
  reader: StoreReader,
  directory: string,
  commitLogDirectory: string,
  findings?: Findings,
): StoreLayout {
  const logFiles = listSegments(reader, commitLogDirectory, findings);
  const log = sequence(commitLogDirectory, logFiles, logFileBytes(logFiles));
  checkLogFiles(log, findings);
  const found = listQueues(reader, join(directory, "consumequeue"), findings);
  const queueFileBytes = mostCommon(found.flatMap(({ files }) => files.map(({ sizeBytes }) => sizeBytes)));
  const queues = found.map(({ topic, queueId, path, files }) => {
    const segments = sequence(path, files, queueFileBytes);
    return { topic, queueId, segments, isSound: checkQueueFiles(segments, findings) };
  });
  return {
    directory,
    log,
    queues,
    queueFileBytes,
    index: listIndex(reader, join(directory, "index"), findings),
    batchTopics: new Set(reader.list(join(directory, "batchconsumequeue"))),
    abort: readAbort(reader, directory),
    unknownParts: UNKNOWN_PARTS.filter((name) => isInUse(reader, join(directory, name))),
  };
}

/** The file that holds an offset; undefined where there is none. */
export function segmentAt({ files, fileBytes }: SegmentSequence, offset: number): Segment | undefined {
  return files.find(({ start }) => offset >= start && offset < start + fileBytes);
}

function sequence(directory: string, files: readonly Segment[], fileBytes: number): SegmentSequence {
  return { directory, fileBytes, files };
}

function listSegments(reader: StoreReader, directory: string, findings?: Findings): Segment[] {
  const files: Segment[] = [];
  for (const name of reader.list(directory)) {
    const path = join(directory, name);
    const stat = reader.stat(path);
    if (stat?.kind !== "file") continue;
    const start = Number(name);
    if (SEGMENT_NAME.test(name) && Number.isSafeInteger(start)) {
      files.push({ path, start, sizeBytes: stat.sizeBytes });
    } else {
      findings?.add(
        "FOREIGN_FILE",
        { file: path },
        `a file of ${stat.sizeBytes} bytes that does not belong here`,
      );
    }
  }
  return files.sort((a, b) => a.start - b.start);
}

/** The distance between two files, if one has that size; else the size that most of them have. */
function logFileBytes(files: readonly Segment[]): number {
  const sizes = files.map(({ sizeBytes }) => sizeBytes).filter((size) => size > 0);
  const gaps = files.slice(1).map(({ start }, index) => start - files[index].start);
  const gap = Math.min(...gaps);
  return sizes.includes(gap) ? gap : mostCommon(sizes);
}

/** Of equally common ones the largest; 0 for none. */
function mostCommon(sizes: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const size of sizes) if (size > 0) counts.set(size, (counts.get(size) ?? 0) + 1);
  let best = 0;
  for (const [size, count] of counts) {
    const bestCount = counts.get(best) ?? 0;
    if (count > bestCount || (count === bestCount && size > best)) best = size;
  }
  return best;
}

function checkLogFiles({ files, fileBytes }: SegmentSequence, findings?: Findings): void {
  const kinds = { size: "LOG_FILE_SIZE", name: "LOG_FILE_NAME", hole: "LOG_FILE_MISSING" } as const;
  checkSegments(files, fileBytes, kinds, (kind, file, what) => findings?.add(kind, { file }, what));
}

function checkQueueFiles({ directory, files, fileBytes }: SegmentSequence, findings?: Findings): boolean {
  const kinds = { size: "QUEUE_FILES", name: "QUEUE_FILES", hole: "QUEUE_FILES" } as const;
  let isSound = true;
  checkSegments(files, fileBytes, kinds, (kind, file, what) => {
    if (kind === "QUEUE_FILES") isSound = false;
    findings?.add(kind, { file, within: directory }, what);
  });
  return isSound;
}

function checkSegments(
  files: readonly Segment[],
  fileBytes: number,
  kinds: { size: Kind; name: Kind; hole: Kind },
  add: (kind: Kind, file: string, what: string) => void,
): void {
  let end: number | undefined;
  for (const [index, { path, start, sizeBytes }] of files.entries()) {
    if (sizeBytes === 0 && index === files.length - 1) {
      add("EMPTY_FILE", path, "it has no bytes");
      continue;
    }
    if (start % fileBytes !== 0) {
      add(kinds.name, path, `its name is no multiple of the size of the files, ${fileBytes}`);
    } else if (end !== undefined && start > end) {
      const missing = Math.round((start - end) / fileBytes);
      const which = missing === 1 ? "a file is missing" : `${missing} files are missing`;
      add(kinds.hole, path, `before it ${which}: the one before ends at ${end}`);
    }
    if (sizeBytes !== fileBytes) {
      add(kinds.size, path, `it has ${sizeBytes} bytes, the others have ${fileBytes}`);
    }
    end = start + fileBytes;
  }
}

interface FoundQueue {
  topic: string;
  queueId: number;
  path: string;
  files: Segment[];
}

function listQueues(reader: StoreReader, directory: string, findings?: Findings): FoundQueue[] {
  const queues: FoundQueue[] = [];
  for (const topic of reader.list(directory).sort()) {
    const topicPath = join(directory, topic);
    if (reader.stat(topicPath)?.kind !== "directory") {
      findings?.add("STRAY_FILE", { file: topicPath }, "a file among the directories of topics");
      continue;
    }
    for (const name of reader.list(topicPath)) {
      const path = join(topicPath, name);
      if (!QUEUE_NAME.test(name) || reader.stat(path)?.kind !== "directory") continue;
      queues.push({ topic, queueId: Number(name), path, files: listSegments(reader, path, findings) });
    }
  }
  return queues.sort((a, b) => a.topic === b.topic ? a.queueId - b.queueId : a.topic < b.topic ? -1 : 1);
}

function listIndex(reader: StoreReader, directory: string, findings?: Findings): IndexPlace[] {
  const places: IndexPlace[] = [];
  for (const name of reader.list(directory).sort()) {
    const path = join(directory, name);
    const stat = reader.stat(path);
    if (stat === undefined) continue;
    if (INDEX_NAME.test(name) && stat.kind === "file") places.push({ path, sizeBytes: stat.sizeBytes });
    else findings?.add("STRAY_FILE", { file: path }, "a name that is no time");
  }
  return places;
}

function readAbort(reader: StoreReader, directory: string): string | undefined {
  const path = join(directory, "abort");
  if (reader.stat(path) === undefined) return undefined;
  try {
    return new TextDecoder().decode(reader.read(path)).trim();
  } catch {
    return "";
  }
}

function isInUse(reader: StoreReader, path: string): boolean {
  const stat = reader.stat(path);
  return stat?.kind === "file" ? stat.sizeBytes > 0 : reader.list(path).length > 0;
}

/** Entries of a queue that its files have room for, as queue offsets. */
export function queueRange({ files, fileBytes }: SegmentSequence): { first: number; end: number } {
  if (files.length === 0) return { first: 0, end: 0 };
  return {
    first: Math.floor(files[0].start / ENTRY_BYTES),
    end: Math.floor((files[files.length - 1].start + fileBytes) / ENTRY_BYTES),
  };
}
