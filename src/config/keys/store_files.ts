// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { acts, type Area, fixed, type KeyTable, notYet } from "../key.ts";
import { bytes, count, flag, int, long, ms, oneOf, path, text } from "../kinds.ts";

const ONE_DIRECTORY = "a log in several directories is not built yet";
const NO_ROCKSDB = "there is no RocksDB in rmq, so queues kept there would be invisible";

export const storePathKeys = {
  storePathRootDir: acts(
    path(),
    { words: "~/store", of: (machine) => join(machine.homeDirectory, "store") },
    "Directory of everything the broker keeps. One broker, one directory.",
    { important: true },
  ),
  storePathCommitLog: acts(
    path(),
    { words: "commitlog in storePathRootDir", of: (_, textOf) => commitLogUnder(textOf("storePathRootDir")) },
    "Directory of the log of messages.",
    { important: true, refuse: (value) => (value.includes(",") ? ONE_DIRECTORY : undefined) },
  ),
  readOnlyCommitLogStorePaths: fixed(
    text("paths"),
    "",
    "Directories with log files that are read and no longer written.",
    ONE_DIRECTORY,
  ),
  storeType: fixed(
    oneOf("default", "defaultRocksDB"),
    "default",
    "How queues are kept: in files, or in RocksDB.",
    NO_ROCKSDB,
    { important: true },
  ),
} satisfies KeyTable;

function commitLogUnder(storeDirectory: string | undefined): string | undefined {
  return storeDirectory === undefined ? undefined : join(storeDirectory.trim(), "commitlog");
}

export const logKeys = {
  mappedFileSizeCommitLog: acts(
    bytes(4096),
    1073741824,
    "Size of one log file. It must hold the longest message; don't change it for a store that has messages.",
  ),
  checkCRCOnRecover: acts(flag(), true, "Check the bodies' checksums of the messages that recovery reads."),
  maxRecoveryCommitlogFiles: notYet(count(), 30, "Log files that recovery reads at most."),
  commitLogRecoverMaxNum: notYet(count(), 10, "Log files that recovery of the timer wheel reads at most."),
  enableAcceleratedRecovery: notYet(flag(), false, "Skip what is known to be dispatched when recovering."),
  transientStorePoolEnable: notYet(
    flag(),
    false,
    "Gather messages in memory of their own first. Here they are written to the file before they are acknowledged.",
    { important: true },
  ),
  transientStorePoolSize: notYet(count(), 5, "Buffers of that memory."),
  fastFailIfNoBufferInStorePool: notYet(flag(), false, "Refuse messages when none of them is free."),
  writeWithoutMmap: notYet(
    flag(),
    false,
    "Write the log with file calls instead of mapped memory, as is done here.",
    {
      important: true,
    },
  ),
  warmMapedFileEnable: notYet(flag(), false, "Touch all pages of a new log file beforehand."),
  flushLeastPagesWhenWarmMapedFile: notYet(count(), 4096, "Pages touched between two flushes of it."),
  putMsgIndexHightWater: notYet(count(), 600000, "Unused."),
  putMessageTimeout: notYet(ms(), 8000, "How long storing a message may take in all."),
  maxAsyncPutMessageRequests: notYet(count(), 5000, "Sends that may wait for a flush or for slaves."),
  osPageCacheBusyTimeOutMills: notYet(
    long("ms"),
    1000,
    'A write taking longer makes the broker answer "busy".',
  ),
  useReentrantLockWhenPutMessage: notYet(flag(), true, "Kind of lock around the log's end."),
  useABSLock: notYet(flag(), false, "Let that lock choose its kind."),
  spinLockCollisionRetreatOptimalDegree: notYet(count(), 1000, "When it stops spinning."),
  topicQueueLockNum: notYet(count(), 32, "Locks that queues share."),
  debugLockEnable: notYet(flag(), false, "Write out all threads when a lock is held long."),
  maxTopicLength: notYet(count(), 127, "Longest name of a topic."),
  autoMessageVersionOnTopicLen: notYet(flag(), true, "Store longer names in a second form of record."),
  enabledAppendPropCRC: acts(
    flag(),
    false,
    "Add a checksum over the whole record to each message's properties: 20 bytes.",
  ),
  forceVerifyPropCRC: acts(
    flag(),
    false,
    "Recovery takes records that lack this checksum, or don't fit it, for damaged. All records since the last " +
      "checkpoint must have been stored with it.",
  ),
  sharedByteBufferNum: notYet(count(), 16, "Buffers that writing without mapped memory shares."),
  replicasPerDiskPartition: notYet(count(), 1, "Brokers that share a disk; divides the space each may take."),
  disappearTimeAfterStart: notYet(
    int("ms", -1),
    -1,
    "Restart the broker after so long, for tests; -1: never.",
    {
      important: true,
    },
  ),
} satisfies KeyTable;

export const queueKeys = {
  mappedFileSizeConsumeQueue: acts(
    bytes(20),
    6000000,
    "Size of one queue file, rounded up to whole entries of 20 bytes.",
  ),
  mapperFileSizeBatchConsumeQueue: notYet(bytes(), 13800000, "Size of one file of a batch queue."),
  enableConsumeQueueExt: acts(flag(), false, "Keep filter bits in files beside the queues."),
  mappedFileSizeConsumeQueueExt: acts(bytes(65536), 50331648, "Size of one such file."),
  bitMapLengthConsumeQueueExt: notYet(
    count(),
    64,
    "Bits for one message there; they follow from the filters' keys, as they do at Apache's.",
  ),
  putConsumeQueueDataByFileChannel: notYet(flag(), true, "Write queues with file calls."),
  searchBcqByCacheEnable: notYet(flag(), true, "Search batch queues by a cache."),
  travelCqFileNumWhenGetMessage: notYet(count(), 1, "Queue files that one pull looks through."),
  correctLogicMinOffsetSleepInterval: notYet(ms(), 1, "Pause between corrections of queues' lowest entries."),
  correctLogicMinOffsetForceInterval: notYet(ms(), 300000, "How often they are corrected in any case."),
  dispatchFromSenderThread: notYet(flag(), false, "Build queues in the thread that stored the message.", {
    important: true,
  }),
  dispatchCqThreads: notYet(count(), 10, "Threads that build queues."),
  dispatchCqCacheNum: notYet(count(), 4096, "Messages that may wait for them."),
  enableAsyncReput: notYet(flag(), true, "Build queues behind the writer."),
  recheckReputOffsetFromCq: notYet(flag(), false, "Find where to go on from the queues themselves."),
  enableBuildConsumeQueueConcurrently: notYet(flag(), false, "Build queues with several threads."),
  batchDispatchRequestThreadPoolNums: notYet(count(), 16, "How many."),
  enableLogConsumeQueueRepeatedlyBuildWhenRecover: notYet(
    flag(),
    false,
    "Log entries that recovery builds again.",
  ),
  enableLmq: acts(flag(), false, "Light message queues (%LMQ%…): a message may be in many queues."),
  enableMultiDispatch: acts(
    flag(),
    false,
    "Put messages into the light queues that they name; needs enableLmq.",
  ),
  maxLmqConsumeQueueNum: acts(count(1), 20000, "Light message queues at most."),
  enableCompaction: notYet(flag(), true, "Serve topics that keep only the newest message of a key."),
  compactionMappedFileSize: notYet(bytes(), 104857600, "Size of one log file of such a topic."),
  compactionCqMappedFileSize: notYet(bytes(), 10485760, "Size of one queue file of such a topic."),
  compactionScheduleInternal: notYet(ms(), 900000, "How often such topics are compacted."),
  compactionThreadNum: notYet(count(), 6, "Threads that do it."),
  maxOffsetMapSize: notYet(bytes(), 104857600, "Memory for their keys."),
} satisfies KeyTable;

export const indexKeys = {
  messageIndexEnable: acts(flag(), true, "Keep an index, so that messages are found by key.", {
    important: true,
  }),
  maxHashSlotNum: acts(count(1), 5000000, "Hash slots of one index file."),
  maxIndexNum: acts(count(1), 20000000, "Entries of one index file."),
  maxMsgsNumBatch: acts(count(1), 64, "Messages that one search finds at most."),
  defaultQueryMaxNum: acts(count(1), 32, "Messages that a search finds when its client names no number."),
  messageIndexSafe: notYet(flag(), false, "Trust the index only up to the last flush when recovering.", {
    important: true,
  }),
  indexFileWriteEnable: notYet(flag(), true, "Write index files."),
  indexFileReadEnable: notYet(flag(), true, "Search index files."),
  indexRocksDBEnable: fixed(
    flag(),
    false,
    "Keep the index in RocksDB.",
    "there is no RocksDB in rmq to keep the index",
  ),
  maxRocksDBIndexQueryDays: notYet(int("days"), 7, "Days that a search there looks back."),
} satisfies KeyTable;

export const storePathArea: Area = { title: "Directories", about: "Where files lie.", keys: storePathKeys };

export const logArea: Area = {
  title: "The log",
  about: "Every message is stored once, in the CommitLog.",
  keys: logKeys,
};

export const queueArea: Area = {
  title: "Queues",
  about: "ConsumeQueues: for each queue, where its messages lie in the log.",
  keys: queueKeys,
};

export const indexArea: Area = { title: "The index", about: "Search by key.", keys: indexKeys };
