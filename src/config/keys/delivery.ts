// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, type KeyTable, notYet } from "../key.ts";
import { bytes, count, flag, int, long, ms, oneOf, percent } from "../kinds.ts";

export const sendKeys = {
  maxMessageSize: acts(bytes(1), 4194304, "Longest message body that is taken.", { live: true }),
  startAcceptSendRequestTimeStamp: acts(
    long("ms since 1970"),
    0,
    "Sends before this moment are refused, so that a restarted broker can wait for consumers.",
    { live: true },
  ),
  asyncSendEnable: notYet(flag(), true, "Don't hold a thread while a message is being stored."),
  enableNetWorkFlowControl: notYet(flag(), false, "Hold back connections whose peers read too slowly."),
} satisfies KeyTable;

export const pullKeys = {
  longPollingEnable: acts(flag(), true, "Hold a pull that finds nothing as long as its client asks for.", {
    live: true,
  }),
  shortPollingTimeMills: acts(long("ms"), 1000, "How long it is held when longPollingEnable is false.", {
    live: true,
  }),
  maxTransferBytesOnMessageInMemory: acts(bytes(1), 262144, "Bytes that one pull of recent messages gives.", {
    important: true,
  }),
  maxTransferCountOnMessageInMemory: acts(count(1), 32, "Messages that one pull of recent messages gives.", {
    important: true,
  }),
  maxTransferBytesOnMessageInDisk: acts(bytes(1), 65536, "Bytes that one pull of older messages gives.", {
    important: true,
  }),
  maxTransferCountOnMessageInDisk: acts(count(1), 8, "Messages that one pull of older messages gives.", {
    important: true,
  }),
  accessMessageInMemoryMaxRatio: acts(
    percent(),
    40,
    "Messages within so much of the machine's memory from the log's end count as recent.",
    { important: true },
  ),
  accessMessageInMemoryHotRatio: notYet(int("percent"), 26, "The same for the cold data check."),
  litePullMessageEnable: acts(flag(), true, "Serve consumers that pull with LITE_PULL_MESSAGE.", {
    live: true,
  }),
  rejectPullConsumerEnable: acts(
    flag(),
    false,
    "Refuse consumers that pull by themselves instead of subscribing.",
    { live: true },
  ),
  pullBatchMaxMessageCount: notYet(count(1), 160, "Longest batch of a read from inside the process."),
  maxFilterMessageSize: notYet(bytes(), 16000, "Queue bytes that one filtered read looks through."),
  transferMsgByHeap: notYet(flag(), true, "Copy messages to the heap instead of sending file regions."),
  slaveReadEnable: acts(
    flag(),
    false,
    "A master sends consumers that read old messages to a slave, and a slave serves them while its master is there.",
    { live: true },
  ),
  offsetCheckInSlave: acts(
    flag(),
    false,
    "A slave corrects offsets outside its queues as a master does; otherwise the consumer asks again.",
    { live: true },
  ),
  diskFallRecorded: notYet(flag(), true, "Count how far consumers are behind on disk."),
  disableConsumeIfConsumerReadSlowly: notYet(flag(), false, "Stop a group that is too far behind."),
  consumerFallbehindThreshold: notYet(long("bytes"), 17179869184, "How far behind is too far."),
  readUnCommitted: notYet(flag(), false, "Show consumers what is not yet safe on all in-sync replicas."),
  maxConsumeQueueScan: notYet(count(), 20000, "Queue entries that an estimate of a group's lag looks at."),
  sampleCountThreshold: notYet(count(), 5000, "Above so many entries the estimate takes samples."),
  sampleSteps: notYet(count(), 32, "Samples that the cold data check takes."),
  estimateAccumulation: notYet(flag(), true, "Estimate the lag of groups that filter."),
} satisfies KeyTable;

export const filterKeys = {
  enablePropertyFilter: acts(
    flag(),
    false,
    "Let consumers filter with SQL92 expressions over properties.",
    { live: true },
  ),
  enableCalcFilterBitMap: acts(
    flag(),
    false,
    "Work out filters once for all groups when messages are stored; needs enableConsumeQueueExt.",
  ),
  filterSupportRetry: acts(flag(), false, "Apply SQL92 filters to retried messages, too.", { live: true }),
  expectConsumerNumUseFilter: acts(
    int("count", 1, 100_000),
    32,
    "Filtering groups of a topic that the bit map is made for.",
  ),
  maxErrorRateOfBloomFilter: acts(int("percent", 1, 99), 20, "Wrong hits that the bit map may give."),
  filterDataCleanTimeSpan: acts(long("ms"), 86400000, "Filters of groups gone for so long are forgotten.", {
    live: true,
  }),
} satisfies KeyTable;

export const clientKeys = {
  channelExpiredTimeout: acts(
    long("ms", 1),
    120000,
    "A client that sent no heartbeat for so long is forgotten.",
    { live: true },
  ),
  notifyConsumerIdsChangedEnable: acts(
    flag(),
    true,
    "Tell a group's members at once when one joins or leaves, so that queues are shared anew.",
    { live: true },
  ),
  realTimeNotifyConsumerChange: notYet(flag(), true, "Tell them without gathering changes first."),
  subscriptionExpiredTimeout: notYet(
    long("ms"),
    600000,
    "A subscription that was not renewed for so long is dropped.",
  ),
  enableRegisterProducer: notYet(flag(), true, "Remember producers that send heartbeats."),
  enableFastChannelEventProcess: notYet(
    flag(),
    false,
    "Look only at groups of a closed connection's client.",
  ),
  printChannelGroups: notYet(flag(), false, "Log clients with many groups on one connection."),
  printChannelGroupsMinNum: notYet(count(), 5, "How many are many."),
  lockInStrictMode: notYet(flag(), false, "Lock queues on all replicas of the broker."),
  serverLoadBalancerEnable: acts(
    flag(),
    true,
    "Share out queues for clients that ask for it; otherwise each of them is given every queue.",
    { live: true },
  ),
  defaultMessageRequestMode: acts(
    oneOf("PULL", "POP"),
    "PULL",
    "How such clients get messages unless `mqadmin setConsumeMode` has said it of their group.",
    { live: true },
  ),
  defaultPopShareQueueNum: acts(
    count(-1),
    -1,
    "With how many further members one that pops shares its queues; -1 or 0: all share all.",
    { live: true },
  ),
  loadBalancePollNameServerInterval: notYet(
    long("ms"),
    30000,
    "How often routes are asked for to share out queues.",
  ),
  cleanOfflineBrokerInterval: notYet(ms(), 30000, "How often routes are cleaned of brokers that are gone."),
} satisfies KeyTable;

export const offsetKeys = {
  flushConsumerOffsetInterval: acts(ms(1), 5000, "How often the positions of groups are written to disk."),
  useServerSideResetOffset: acts(
    flag(),
    true,
    "A reset waits in the broker for the group's next pull; otherwise its clients are called.",
    { live: true },
  ),
  flushConsumerOffsetHistoryInterval: notYet(ms(), 60000, "Unused."),
  consumerOffsetUpdateVersionStep: notYet(
    long("count"),
    500,
    "Changes of positions that make a new data version.",
  ),
  delayOffsetUpdateVersionStep: notYet(
    long("count"),
    200,
    "Changes of delay positions that make a new data version.",
  ),
  enableBroadcastOffsetStore: notYet(
    flag(),
    true,
    "Keep positions of broadcasting clients that come through a proxy.",
  ),
  broadcastOffsetExpireSecond: notYet(
    long("s"),
    120,
    "Such a position is forgotten when its client is gone for so long.",
  ),
  broadcastOffsetExpireMaxSecond: notYet(long("s"), 300, "And after so long in any case."),
  forwardTimeout: notYet(long("ms"), 3000, "How long a request handed on to another broker may take."),
} satisfies KeyTable;

export const sendArea: Area = { title: "Sending", about: "What is taken from producers.", keys: sendKeys };

export const pullArea: Area = {
  title: "Pulling",
  about: "How much a pull gives, and how long it waits. A pull may always give one message, however long.",
  keys: pullKeys,
};

export const filterArea: Area = { title: "Filters", about: "Filters by tag always work.", keys: filterKeys };

export const clientArea: Area = {
  title: "Clients and groups at work",
  about: "Who is there.",
  keys: clientKeys,
};

export const offsetArea: Area = {
  title: "Positions of groups",
  about: "Consumer offsets.",
  keys: offsetKeys,
};
