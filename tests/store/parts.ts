// SPDX-License-Identifier: Apache-2.0
/** Parts of a store on a disk in memory, to be tested alone. */
import { Buffer } from "node:buffer";
import {
  measureRecord,
  type RecordFields,
  type RecordPlace,
  writeRecord,
} from "../../src/protocol/record.ts";
import { CommitLog } from "../../src/store/commit_log.ts";
import { ConsumeQueue } from "../../src/store/consume_queue.ts";
import { OpenFiles } from "../../src/store/open_files.ts";
import { SegmentFiles, type SegmentFilesOptions } from "../../src/store/segment_files.ts";
import { MemoryFiles } from "../harness/memory_files.ts";

const HOST = { ip: Uint8Array.of(127, 0, 0, 1), port: 10911 };
const V6_HOST = { ip: new Uint8Array(16).fill(1), port: 10911 };

export const V6_HOSTS = { bornHost: V6_HOST, storeHost: V6_HOST };

/** Bytes of a record beside body and properties, with a topic of one character. */
export const OVERHEAD_BYTES = 92;

export function segmentFiles(
  files: MemoryFiles,
  fileBytes: number,
  given: Partial<SegmentFilesOptions> & { maxOpenFiles?: number } = {},
): SegmentFiles {
  const open = new OpenFiles(files, given.maxOpenFiles ?? 100);
  return SegmentFiles.load({ directory: "/log", fileBytes, files, open, ...given });
}

export function commitLog(
  files: MemoryFiles,
  fileBytes: number,
  endOffset = 0,
): { log: CommitLog; segments: SegmentFiles } {
  const segments = segmentFiles(files, fileBytes, { keepsUnsyncedOpen: true });
  return { log: new CommitLog(segments, endOffset), segments };
}

export function consumeQueue(files: MemoryFiles, entriesPerFile: number): ConsumeQueue {
  return new ConsumeQueue("T", 3, segmentFiles(files, entriesPerFile * 20, { directory: "/queue" }));
}

/** Fields of a record whose length is `OVERHEAD_BYTES` and the body's, unless more is given. */
export function fields(body: string | Uint8Array, given: Partial<RecordFields> = {}): RecordFields {
  return {
    topic: "T",
    queueId: 3,
    flag: 0,
    sysFlag: 0,
    bornTimestampMs: 1000,
    bornHost: HOST,
    storeHost: HOST,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: typeof body === "string" ? new TextEncoder().encode(body) : body,
    properties: "",
    ...given,
  };
}

/** Appends a record; its queue offset is 0 unless told. */
export function append(log: CommitLog, body: string | Uint8Array, given: Partial<RecordFields> = {}): number {
  const record = fields(body, given);
  return log.append(record, measureRecord(record), 0, 2000);
}

/** A record's bytes. */
export function recordBytes(record: RecordFields, place: Partial<RecordPlace> = {}): Buffer {
  const lengths = measureRecord(record);
  const bytes = Buffer.alloc(lengths.totalBytes);
  writeRecord(bytes, 0, record, lengths, {
    queueOffset: 0,
    physicalOffset: 0,
    storeTimestampMs: 2000,
    ...place,
  });
  return bytes;
}

/** A body of so many bytes, none of them zero. */
export function bodyOf(bytes: number, seed = 1): Uint8Array {
  return Buffer.alloc(bytes, Uint8Array.from({ length: 255 }, (_, at) => 1 + (at * 7 + seed) % 255));
}

/** What a log holds at `offset`, as text; undefined where it says that it has nothing there. */
export function readText(log: CommitLog, offset: number, bytes: number): string | undefined {
  const target = Buffer.alloc(bytes);
  return log.copy(target, 0, offset, bytes) ? target.toString("latin1") : undefined;
}

/** The files as they are, all of it durable. */
export function copyOf(files: MemoryFiles, directory = "/", copy = new MemoryFiles()): MemoryFiles {
  for (const name of files.list(directory)) {
    const path = directory === "/" ? `/${name}` : `${directory}/${name}`;
    if (files.stat(path)!.kind === "directory") {
      copy.makeDirectory(path);
      copyOf(files, path, copy);
    } else {
      const bytes = files.read(path);
      copy.create(path, bytes.length).close();
      copy.damage(path, 0, bytes);
    }
  }
  return copy;
}
