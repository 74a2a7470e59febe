// SPDX-License-Identifier: Apache-2.0
import { type Area, fixed, type KeyTable, notYet } from "../key.ts";
import { bytes, count, flag, int, long, ms, seconds } from "../kinds.ts";

const NO_ROCKSDB = "there is no RocksDB in rmq to keep what POP clients have taken";

export const popKeys = {
  popPollingSize: notYet(count(), 1024, "POP requests that may wait at one queue."),
  popPollingMapSize: notYet(count(), 100000, "Queues at which POP requests may wait."),
  popPollingMapExpireTimeSeconds: notYet(
    seconds(),
    600,
    "A queue without waiting requests is forgotten after so long.",
  ),
  maxPopPollingSize: notYet(long("count"), 100000, "POP requests that may wait in all."),
  popLongPollingForceNotifyInterval: notYet(
    long("ms"),
    800,
    "How often waiting requests are woken in any case.",
  ),
  reviveQueueNum: notYet(count(1), 8, "Queues of the topic that holds check points."),
  reviveInterval: notYet(long("ms"), 1000, "How often check points are looked at."),
  reviveMaxSlow: notYet(long("count"), 3, "Rounds after which a slow queue of check points is reported."),
  reviveScanTime: notYet(long("ms"), 10000, "How long one look may take."),
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
  skipWhenCKRePutReachMaxTimes: notYet(
    flag(),
    false,
    "Give up on a check point that was stored again too often.",
  ),
  enableNotifyBeforePopCalculateLag: notYet(
    flag(),
    true,
    "Wake waiting requests before the lag is computed.",
  ),
  enableNotifyAfterPopOrderLockRelease: notYet(
    flag(),
    true,
    "Wake ordered requests when a queue's lock is released.",
  ),
  initPopOffsetByCheckMsgInMem: notYet(flag(), true, "Start a new group where its queue still is in memory."),
  retrieveMessageFromPopRetryTopicV1: notYet(flag(), true, "Read retry topics with names of the old form."),
  enableRetryTopicV2: notYet(flag(), false, "Name retry topics in the new form."),
  useSeparateRetryQueue: notYet(flag(), false, "Retry topics have as many queues as their topic."),
  popFromRetryProbability: notYet(int("percent"), 20, "How many POP requests look at the retry topic first."),
  popFromRetryProbabilityForPriority: notYet(int("percent"), 0, "The same for topics with priorities."),
  priorityOrderAsc: notYet(flag(), true, "Lower numbers mean lower priority."),
  popResponseReturnActualRetryTopic: notYet(flag(), false, "Tell clients the retry topic's real name."),
  popInflightMessageThreshold: notYet(
    long("count"),
    10000,
    "Messages a group may have taken and not acknowledged.",
  ),
  enablePopMessageThreshold: notYet(flag(), false, "Hold a group to that."),
  popConsumerFSServiceInit: notYet(flag(), true, "Keep what was taken in topics of the store."),
  popConsumerKVServiceInit: fixed(flag(), false, "Start the RocksDB that keeps what was taken.", NO_ROCKSDB),
  popConsumerKVServiceEnable: fixed(flag(), false, "Use that RocksDB.", NO_ROCKSDB),
  popConsumerKVServiceLog: notYet(flag(), false, "Log what is done there."),
} satisfies KeyTable;

export const popArea: Area = {
  title: "POP consumption",
  about: "POP is not built yet; its requests are refused, and clients that pull are not concerned.",
  keys: popKeys,
};
