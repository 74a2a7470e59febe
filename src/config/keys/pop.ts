// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, fixed, type KeyTable, notYet } from "../key.ts";
import { bytes, count, flag, int, long, ms, seconds } from "../kinds.ts";

const NO_ROCKSDB = "there is no RocksDB in rmq to keep what POP clients have taken";

export const popKeys = {
  popPollingSize: acts(count(), 1024, "POP requests of one group that may wait at one queue.", {
    live: true,
  }),
  popPollingMapSize: acts(count(), 100000, "Groups and queues at which POP requests may wait.", {
    live: true,
  }),
  popPollingMapExpireTimeSeconds: notYet(
    seconds(),
    600,
    "A queue without waiting requests is forgotten after so long; here it is at once.",
  ),
  maxPopPollingSize: acts(long("count"), 100000, "POP requests that may wait in all.", { live: true }),
  popLongPollingForceNotifyInterval: acts(
    long("count"),
    800,
    "Messages whose offset is a multiple of this wake a waiting request even if its filter lets none pass.",
    { live: true },
  ),
  reviveQueueNum: acts(count(1, 998), 8, "Queues of the topic that holds check points."),
  reviveInterval: acts(long("ms", 1), 1000, "How often check points are looked at."),
  reviveMaxSlow: notYet(long("count"), 3, "Rounds after which a slow queue of check points is reported."),
  reviveScanTime: acts(long("ms"), 10000, "How long one look may take.", { live: true }),
  reviveAckWaitMs: notYet(long("ms"), 180000, "How long to wait for a late acknowledgement."),
  enableSkipLongAwaitingAck: notYet(flag(), false, "Stop waiting for late acknowledgements."),
  popReviveMaxReturnSizePerRead: notYet(
    bytes(),
    16384,
    "Bytes that one read of messages to be redelivered gives.",
  ),
  popReviveMaxAttemptTimes: notYet(count(), 16, "Attempts to put a message up for redelivery."),
  popReviveConcurrency: notYet(count(), 32, "Messages put up for redelivery at the same time."),
  enablePopLog: notYet(flag(), false, "Log what POP does."),
  enablePopBufferMerge: notYet(flag(), false, "Match check points and acknowledgements in memory."),
  popCkStayBufferTime: notYet(ms(), 10000, "How long a check point stays in memory."),
  popCkStayBufferTimeOut: notYet(ms(), 3000, "How long before its time is up it is stored."),
  popCkMaxBufferSize: notYet(count(), 200000, "Check points in memory."),
  popCkOffsetMaxQueueSize: notYet(count(), 20000, "Positions not yet committed, for one queue."),
  enablePopBatchAck: notYet(flag(), false, "Store acknowledgements in batches."),
  appendAckAsync: notYet(flag(), false, "Don't wait until an acknowledgement is stored."),
  appendCkAsync: notYet(flag(), false, "Don't wait until a check point is stored."),
  skipWhenCKRePutReachMaxTimes: acts(
    flag(),
    false,
    "Give up on a message that could not be put up for redelivery 17 times; otherwise every two hours is tried again.",
    { live: true },
  ),
  enableNotifyBeforePopCalculateLag: notYet(
    flag(),
    true,
    "Wake waiting requests before the lag is computed.",
  ),
  enableNotifyAfterPopOrderLockRelease: acts(
    flag(),
    true,
    "Wake ordered requests when the invisible time of a queue's last batch is over.",
    { live: true },
  ),
  initPopOffsetByCheckMsgInMem: acts(
    flag(),
    true,
    "A new group that wants the newest messages begins with the first of a queue that is still in memory.",
    { live: true },
  ),
  retrieveMessageFromPopRetryTopicV1: acts(
    flag(),
    true,
    "With enableRetryTopicV2, still read retry topics with names of the old form.",
    { live: true },
  ),
  enableRetryTopicV2: acts(
    flag(),
    false,
    "Name new retry topics %RETRY%group+topic instead of %RETRY%group_topic.",
    { live: true },
  ),
  useSeparateRetryQueue: notYet(flag(), false, "Retry topics have as many queues as their topic."),
  popFromRetryProbability: acts(
    int("percent"),
    20,
    "How many POP requests look at the retry topic first.",
    { live: true },
  ),
  popFromRetryProbabilityForPriority: notYet(int("percent"), 0, "The same for topics with priorities."),
  priorityOrderAsc: notYet(flag(), true, "Lower numbers mean lower priority."),
  popResponseReturnActualRetryTopic: acts(
    flag(),
    false,
    "Messages that come again show the retry topic's name instead of the one they were sent to.",
    { live: true },
  ),
  popInflightMessageThreshold: acts(
    long("count"),
    10000,
    "With enablePopMessageThreshold, messages of one queue that a group may have popped and not acknowledged.",
    { live: true },
  ),
  enablePopMessageThreshold: acts(
    flag(),
    false,
    "A group that has come to popInflightMessageThreshold is given nothing more of the queue.",
    { live: true },
  ),
  popConsumerFSServiceInit: fixed(flag(), true, "Keep what was taken in topics of the store.", NO_ROCKSDB),
  popConsumerKVServiceInit: fixed(flag(), false, "Start the RocksDB that keeps what was taken.", NO_ROCKSDB),
  popConsumerKVServiceEnable: fixed(flag(), false, "Use that RocksDB.", NO_ROCKSDB),
  popConsumerKVServiceLog: notYet(flag(), false, "Log what is done there."),
} satisfies KeyTable;

export const popArea: Area = {
  title: "POP consumption",
  about:
    "Messages of any queue for any member of a group, each for one of them until it is acknowledged or its " +
    "invisible time has passed. Check points are timed messages, so POP needs `timerWheelEnable`.",
  keys: popKeys,
};
