// SPDX-License-Identifier: Apache-2.0
import { type Area, fixed, type KeyTable, notYet } from "../key.ts";
import { bytes, count, flag, long, text } from "../kinds.ts";

export const rocksdbKeys = {
  rocksdbCQDoubleWriteEnable: fixed(
    flag(),
    false,
    "Write queues to files and to RocksDB.",
    "there is no RocksDB in rmq, and the second copy asked for would be missing",
  ),
  combineCQLoadingCQTypes: notYet(
    text("types"),
    "default;defaultRocksDB",
    "Kinds of queues kept side by side.",
  ),
  combineCQPreferCQType: notYet(text("type"), "default", "Which of them is read."),
  combineAssignOffsetCQType: notYet(text("type"), "default", "Which of them numbers messages."),
  combineCQEnableCheckSelf: notYet(flag(), false, "Compare them."),
  combineCQMaxExtraSearchCommitLogFiles: notYet(count(), 3, "Log files that are read to make them equal."),
  cleanRocksDBDirtyCQIntervalMin: notYet(
    long("min"),
    60,
    "How often entries of deleted messages are removed.",
  ),
  statRocksDBCQIntervalSec: notYet(long("s"), 10, "How often RocksDB's counters are logged."),
  memTableFlushIntervalMs: notYet(long("ms"), 3600000, "How often its memory is written out."),
  realTimePersistRocksDBConfig: notYet(flag(), true, "Write topics and groups there at once."),
  enableRocksDBLog: notYet(flag(), false, "Let RocksDB log."),
  bottomMostCompressionTypeForConsumeQueueStore: notYet(
    text("name"),
    "zstd",
    "Compression of its oldest data.",
  ),
  rocksdbCompressionType: notYet(text("name"), "lz4", "Compression of the rest."),
  rocksdbFlushWalFrequency: notYet(count(), 1024, "Writes between flushes of its log."),
  rocksdbWalFileRollingThreshold: notYet(long("bytes"), 1073741824, "Size of one file of its log."),
} satisfies KeyTable;

export const tieredKeys = {
  tieredStorageLevel: notYet(text("name or number"), undefined, "Which reads go to tiered storage."),
  tieredStoreFilePath: notYet(text("path"), undefined, "Directory of tiered storage on a file system."),
  tieredBackendServiceProvider: notYet(text("class name"), undefined, "Java class that stores segments."),
  tieredMetadataServiceProvider: notYet(text("class name"), undefined, "Java class that remembers segments."),
  tieredStoreCommitLogMaxSize: notYet(long("bytes"), undefined, "Size of one log segment."),
  tieredStoreConsumeQueueMaxSize: notYet(long("bytes"), undefined, "Size of one queue segment."),
  tieredStoreIndexFileMaxHashSlotNum: notYet(count(), undefined, "Hash slots of one index segment."),
  tieredStoreIndexFileMaxIndexNum: notYet(count(), undefined, "Entries of one index segment."),
  tieredStoreDeleteFileEnable: notYet(flag(), undefined, "Delete expired segments."),
  tieredStoreFileReservedTime: notYet(count(), undefined, "Hours that segments are kept."),
  tieredStoreDeleteFileInterval: notYet(long("ms"), undefined, "How often expired segments are looked for."),
  tieredStoreGroupCommit: notYet(flag(), undefined, "Upload messages in groups."),
  tieredStoreGroupCommitTimeout: notYet(count(), undefined, "Milliseconds that a group waits to grow."),
  tieredStoreGroupCommitCount: notYet(count(), undefined, "Messages of one group."),
  tieredStoreGroupCommitSize: notYet(bytes(), undefined, "Bytes of one group."),
  tieredStoreMaxGroupCommitCount: notYet(count(), undefined, "Messages that may wait for upload."),
  tieredStoreMaxPendingLimit: notYet(count(), undefined, "Uploads that may be under way."),
  tieredStoreCrcCheckEnable: notYet(flag(), undefined, "Check checksums of uploaded messages."),
  commitLogRollingInterval: notYet(count(), undefined, "Hours after which a new log segment begins."),
  commitLogRollingMinimumSize: notYet(bytes(), undefined, "Unless the segment is smaller than this."),
  readAheadCacheEnable: notYet(flag(), undefined, "Cache what is read."),
  readAheadMessageCountThreshold: notYet(count(), undefined, "Messages read ahead."),
  readAheadMessageSizeThreshold: notYet(bytes(), undefined, "Bytes read ahead."),
  readAheadCacheExpireDuration: notYet(long("ms"), undefined, "How long they stay cached."),
  readAheadCacheSizeThresholdRate: notYet(text("share"), undefined, "Share of the memory for the cache."),
  recordGetMessageResult: notYet(flag(), undefined, "Log results of reads."),
  objectStoreEndpoint: notYet(text("address"), undefined, "Object store that segments go to."),
  objectStoreBucket: notYet(text(), undefined, "Its bucket."),
  objectStoreAccessKey: notYet(text(), undefined, "User of the object store.", { secret: true }),
  objectStoreSecretKey: notYet(text(), undefined, "The user's password.", { secret: true }),
} satisfies KeyTable;

export const rocksdbArea: Area = {
  title: "RocksDB",
  about: "There is no RocksDB here; choosing it is refused, and its fine tuning has no effect.",
  keys: rocksdbKeys,
};

export const tieredArea: Area = {
  title: "Tiered storage",
  about: "Comes into play in Apache with messageStorePlugIn, which is refused here.",
  keys: tieredKeys,
};
