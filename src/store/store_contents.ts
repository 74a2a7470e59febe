// SPDX-License-Identifier: Apache-2.0
/**
 * What a store of Apache may hold beyond what we serve. Where messages or metadata would be missed without a
 * word, the store is refused; where something only waits for Apache to come back, the operator is told.
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Files } from "./files.ts";
import { StoreCorruptError } from "./types.ts";

const logger = getLogger(["rmq", "store"]);

/** A name may end with `*`; a directory counts if there is something in it. */
type Content = readonly (readonly [path: string, what: string])[];

const REFUSED: Content = [
  ["batchconsumequeue", "queues of inner batches (queue.type=BatchCQ)"],
  ["consumequeue/CURRENT", "queues in RocksDB (storeType=defaultRocksDB)"],
  ["kvStore", "POP state in RocksDB (popConsumerKVServiceInit)"],
  ["config/topics", "topics in RocksDB (configManagerVersion=v2 or storeType=defaultRocksDB)"],
  ["config/subscriptionGroups", "subscription groups in RocksDB"],
  ["config/consumerOffsets", "consumer offsets in RocksDB"],
  ["config/rdb", "metadata in RocksDB (configManagerVersion=v2)"],
  ["dledger-*", "a log in DLedger's format (enableDLegerCommitLog)"],
];

const LEFT_ALONE: Content = [
  [
    "consumequeue/rmq_sys_REVIVE_LOG_*",
    "messages that were taken by POP and not acknowledged are not delivered again",
  ],
  ["compaction", "compaction topics are served from the CommitLog, uncompacted"],
  ["config/tieredStoreMetadata.json", "messages that only the tiered store has are not found"],
  [
    "config/lmqConsumerOffset.json",
    "consumer offsets are read from this file if enableLmq is set, and otherwise from consumerOffset.json",
  ],
  ["epochFileCheckpoint", "the broker was under a controller, which is not asked any more who is the master"],
];

/** @throws StoreCorruptError for the first thing that can't be served; nothing was changed */
export function refuseWhatIsNotBuilt(files: Files, directory: string): void {
  for (const [path, what] of REFUSED) {
    const found = find(files, directory, path);
    if (found === undefined) continue;
    throw new StoreCorruptError(
      found,
      `the store holds ${what}, which this broker can't serve yet; nothing was changed`,
    );
  }
}

/** Tells the operator what rests until an Apache broker has the store again. */
export function warnOfWhatIsLeftAlone(files: Files, directory: string): void {
  for (const [path, what] of LEFT_ALONE) {
    const found = find(files, directory, path);
    if (found !== undefined) logger.warn("{path}: {what}", { path: found, what });
  }
}

function find(files: Files, directory: string, path: string): string | undefined {
  if (!path.endsWith("*")) return isThere(files, join(directory, path)) ? join(directory, path) : undefined;
  const parent = join(directory, path, "..");
  const start = path.slice(path.lastIndexOf("/") + 1, -1);
  const name = files.list(parent).find((name) =>
    name.startsWith(start) && isThere(files, join(parent, name))
  );
  return name && join(parent, name);
}

function isThere(files: Files, path: string): boolean {
  const kind = files.stat(path)?.kind;
  return kind === "file" || (kind === "directory" && files.list(path).length > 0);
}
