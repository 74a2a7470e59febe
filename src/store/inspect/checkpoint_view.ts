// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { readLong, writeLong } from "../../protocol/record.ts";
import type { CheckpointValues } from "../checkpoint.ts";
import type { Files } from "../files.ts";
import type { StoreReader } from "./reader.ts";

const FILE_BYTES = 4096;
const VALUE_BYTES = 40;
const INDEX_TIMESTAMP_AT = 16;

export interface CheckpointView {
  readonly path: string;
  /** As they stand there, possible or not; undefined without the file. Version 4 writes the first three only. */
  readonly values: CheckpointValues | undefined;
}

/** The file `checkpoint`, whose layout is told in `../checkpoint.ts`. */
export function readCheckpoint(reader: StoreReader, directory: string): CheckpointView {
  const path = join(directory, "checkpoint");
  if (reader.stat(path)?.kind !== "file") return { path, values: undefined };
  const bytes = Buffer.alloc(VALUE_BYTES);
  reader.readAt(path, bytes, 0);
  return {
    path,
    values: {
      physicMsgTimestampMs: readLong(bytes, 0),
      logicsMsgTimestampMs: readLong(bytes, 8),
      indexMsgTimestampMs: readLong(bytes, 16),
      masterFlushedOffset: readLong(bytes, 24),
      confirmPhysicalOffset: readLong(bytes, 32),
    },
  };
}

/** Says that the index is durable up to a store time. Durable on return. @throws what the disk says */
export function writeIndexTimestamp(files: Files, directory: string, timestampMs: number): void {
  const path = join(directory, "checkpoint");
  const file = files.stat(path) === undefined ? files.create(path, FILE_BYTES) : files.open(path);
  try {
    const bytes = Buffer.alloc(8);
    writeLong(bytes, timestampMs, 0);
    file.writeAt(bytes, INDEX_TIMESTAMP_AT);
    file.syncNow();
  } finally {
    file.close();
  }
  files.syncDirectory(directory);
}
