// SPDX-License-Identifier: Apache-2.0
/**
 * What a broker is told: the operator's keys with units in their names, checked, defaults filled in. A value
 * never changes; when an operator changes a key while the broker runs, the rooms concerned get a new object.
 *
 * The parts are flat in one object, so that a room can ask for `Pick<BrokerSettings, …>` or for one part.
 */
export interface BrokerSettings
  extends
    BrokerIdentitySettings,
    BrokerNetworkSettings,
    RegistrationSettings,
    TopicSettings,
    DeliverySettings,
    PopConsumptionSettings,
    StoreSettings,
    FlushSettings,
    ReplicationSettings,
    CleaningSettings,
    DelaySettings,
    TimerSettings,
    TransactionSettings,
    ObservationSettings {}

/** Who this broker is within its cluster. */
export interface BrokerIdentitySettings {
  /** `brokerClusterName` */
  readonly clusterName: string;
  /** `brokerName` */
  readonly brokerName: string;
  /** `brokerId`; 0 is the master. */
  readonly brokerId: number;
  /** `brokerRole` */
  readonly brokerRole: "ASYNC_MASTER" | "SYNC_MASTER" | "SLAVE";
  /** `haMasterAddress`: the replication port that a slave copies from; undefined: as name servers tell. */
  readonly haMasterAddress: string | undefined;
  /** `regionId`, stamped on stored messages and on answers. */
  readonly regionId: string;
  /** `traceOn`: answers tell clients that they may trace. */
  readonly traceOn: boolean;
}

/** Where this broker listens, and how others reach it. */
export interface BrokerNetworkSettings {
  /** `bindAddress` */
  readonly bindAddress: string;
  /** `listenPort`; 0 lets the system choose (for tests). */
  readonly listenPort: number;
  /** Two below `listenPort`: where older clients' "VIP channel" connects. 0 if `listenPort` is 0. */
  readonly vipListenPort: number;
  /** `haListenPort`, or one above `listenPort`: where slaves connect. 0 if `listenPort` is 0. */
  readonly haListenPort: number;
  /** `brokerIP1`: the address that clients are given. */
  readonly advertisedHost: string;
  /** `brokerIP2`: the address that slaves are given. */
  readonly haAdvertisedHost: string;
  /** `serverChannelMaxIdleTimeSeconds`: a connection silent for so long is closed; Infinity: never. */
  readonly connectionMaxIdleMs: number;
}

/** Name servers and what they are told. */
export interface RegistrationSettings {
  /** `namesrvAddr` as `host:port` items; empty: none, or found by `nameServerLookupUrl`. */
  readonly nameServerAddresses: readonly string[];
  /** Where a text list of name servers is fetched from (`fetchNamesrvAddrByAddressServer`); undefined: nowhere. */
  readonly nameServerLookupUrl: string | undefined;
  /** `registerNameServerPeriod`, held between 10 and 60 seconds. */
  readonly registerIntervalMs: number;
  /** `registerBrokerTimeoutMills` */
  readonly registerTimeoutMs: number;
  /** Signs of life to name servers, for which slaves stand in for their masters (`enableSlaveActingMaster`). */
  readonly heartbeats: HeartbeatSettings | undefined;
  /** `forceRegister`: register at every period, not only when a name server's data is older. */
  readonly forceRegister: boolean;
  /** `enableSingleTopicRegister`: a changed topic is registered alone. */
  readonly singleTopicRegister: boolean;
  /** Topics (or groups) in one answer when a peer asks for all of them in parts; undefined: never in parts. */
  readonly metadataPageCount: number | undefined;
}

/** Who may watch. */
export interface ObservationSettings {
  /** `metricsExporterType=PROM`: where Prometheus reads metrics; undefined: nowhere. */
  readonly metrics: {
    readonly host: string;
    readonly port: number;
    /** Added to all samples. */
    readonly labels: Readonly<Record<string, string>>;
    /** Of one metric. */
    readonly maxSamples: number;
  } | undefined;
}

/** Signs of life of a broker whose death name servers have to notice at once. */
export interface HeartbeatSettings {
  /** `brokerHeartbeatInterval` */
  readonly intervalMs: number;
  /** `brokerNotActiveTimeoutMillis`: a name server gives the broker up after so long without. */
  readonly timeoutMs: number;
  /** `compatibleWithOldNameSrv`: sent as a question that name servers of 4.x know too. */
  readonly asVersionQuery: boolean;
}

/** Topics and groups: what is made by itself, what may be changed. */
export interface TopicSettings {
  /** `brokerPermission`: bits 4 read, 2 write. */
  readonly brokerPermission: number;
  /** `autoCreateTopicEnable` */
  readonly autoCreateTopic: boolean;
  /** `autoCreateSubscriptionGroup` */
  readonly autoCreateGroup: boolean;
  /** `defaultTopicQueueNums`: at most so many queues for a topic made by a send. */
  readonly autoCreatedTopicQueueCount: number;
  /** `clusterTopicEnable`: the topic named like the cluster may be used as a template. */
  readonly clusterTopic: boolean;
  /** `brokerTopicEnable`: the topic named like the broker may be used as a template. */
  readonly brokerTopic: boolean;
  /** `traceTopicEnable`: make the trace topic. */
  readonly traceTopic: boolean;
  /** `msgTraceTopicName` */
  readonly traceTopicName: string;
  /** `enableCreateSysGroup`: make the groups that tools and self-tests use. */
  readonly createSystemGroups: boolean;
  /** `enableMixedMessageType`: topics may be of the type MIXED. */
  readonly mixedMessageType: boolean;
  /** `validateSystemTopicWhenUpdateTopic`: system topics can't be changed by an administrator. */
  readonly protectSystemTopics: boolean;
}

/** What clients are served, and when. */
export interface DeliverySettings {
  /** `startAcceptSendRequestTimeStamp`: sends before this time (ms since 1970) are refused. */
  readonly acceptSendsFromMs: number;
  /** `maxMessageSize`: longest body, and longest record without its fixed fields. */
  readonly maxMessageBytes: number;
  /** `longPollingEnable`: a pull at the end is held as long as the client asks. */
  readonly longPolling: boolean;
  /** `shortPollingTimeMills`: how long it is held otherwise. */
  readonly shortPollingMs: number;
  /** `slaveReadEnable`: consumers far behind are sent to a slave, which serves them while its master is there. */
  readonly slaveReads: boolean;
  /** `offsetCheckInSlave`: a slave corrects offsets outside its queues. */
  readonly slaveChecksOffsets: boolean;
  /** `accessMessageInMemoryMaxRatio`: of the machine's memory, the part in which the log's end is taken to be. */
  readonly inMemoryPercent: number;
  /** `litePullMessageEnable`: LITE_PULL_MESSAGE is served. */
  readonly litePull: boolean;
  /** `rejectPullConsumerEnable`: consumers that pull by themselves are refused. */
  readonly rejectPullConsumers: boolean;
  /** `enablePropertyFilter`: consumers may filter by SQL92 expressions. */
  readonly propertyFilter: boolean;
  /** `filterSupportRetry`: messages that come again are filtered once more. */
  readonly filterRetries: boolean;
  /** `enableCalcFilterBitMap`: extended queue entries tell which groups' filters their message fulfils. */
  readonly filterBitMaps: boolean;
  /** `maxErrorRateOfBloomFilter`: how often that may be wrongly yes. */
  readonly bloomErrorPercent: number;
  /** `expectConsumerNumUseFilter`: for so many groups of a topic. */
  readonly bloomGroupCount: number;
  /** `filterDataCleanTimeSpan`: filters of groups gone for so long are forgotten. */
  readonly filterExpiryMs: number;
  /** `maxTransferBytesOnMessageInMemory` and `…Count…`: limits of one pull of recent messages. */
  readonly pullMaxBytesInMemory: number;
  readonly pullMaxCountInMemory: number;
  /** `maxTransferBytesOnMessageInDisk` and `…Count…`: limits of one pull of old messages. */
  readonly pullMaxBytesOnDisk: number;
  readonly pullMaxCountOnDisk: number;
  /** `defaultQueryMaxNum`: messages in one answer of a query by key. */
  readonly queryMaxCount: number;
  /** `notifyConsumerIdsChangedEnable`: tell a group's members at once when one comes or goes. */
  readonly notifyConsumerIdsChanged: boolean;
  /** `channelExpiredTimeout`: a client without heartbeat for so long is forgotten. */
  readonly clientExpiryMs: number;
  /** `flushConsumerOffsetInterval` */
  readonly consumerOffsetFlushIntervalMs: number;
  /** `useServerSideResetOffset`: a reset waits for the group's next pull instead of calling its clients. */
  readonly serverSideResetOffset: boolean;
}

/** POP, and what clients are told that let the broker share out queues. */
export interface PopConsumptionSettings {
  /** `serverLoadBalancerEnable` */
  readonly sharesOutQueues: boolean;
  /** `defaultMessageRequestMode` */
  readonly defaultRequestMode: "PULL" | "POP";
  /** `defaultPopShareQueueNum` */
  readonly defaultPopShareCount: number;
  /** `maxPopPollingSize`: requests that may wait in all. */
  readonly maxHeldPops: number;
  /** `popPollingSize`: requests of a group that may wait at a queue. */
  readonly maxHeldPopsPerQueue: number;
  /** `popPollingMapSize`: groups and queues at which requests may wait. */
  readonly maxHeldPopQueues: number;
  /** `popLongPollingForceNotifyInterval`: messages with a multiple of this as offset wake in any case. */
  readonly popForcedWakeOffsets: number;
  /** `enableNotifyAfterPopOrderLockRelease` */
  readonly popWakesWhenOrderFree: boolean;
  /** `reviveQueueNum`: queues of the topic with check points. */
  readonly reviveQueueCount: number;
  /** `reviveInterval` */
  readonly reviveIntervalMs: number;
  /** `reviveScanTime`: how long one look at check points may take. */
  readonly reviveScanMs: number;
  /** `skipWhenCKRePutReachMaxTimes` */
  readonly popSkipsAfterReputs: boolean;
  /** `popInflightMessageThreshold` where `enablePopMessageThreshold` says so; Infinity: no limit. */
  readonly maxPopsInFlight: number;
  /** `initPopOffsetByCheckMsgInMem` */
  readonly popStartsInMemory: boolean;
  /** `popFromRetryProbability`: of 100 requests, those that look at the retry topic first. */
  readonly popFromRetryPercent: number;
  /** `enableRetryTopicV2` */
  readonly popRetryTopicV2: boolean;
  /** `retrieveMessageFromPopRetryTopicV1` */
  readonly popReadsRetryTopicV1: boolean;
  /** `popResponseReturnActualRetryTopic` */
  readonly popShowsRetryTopic: boolean;
}

/** The store's directories and files. */
export interface StoreSettings {
  /** `storePathRootDir` */
  readonly storeDirectory: string;
  /** `storePathCommitLog`, or `commitlog` in the store's directory. */
  readonly commitLogDirectory: string;
  /** `mappedFileSizeCommitLog` */
  readonly commitLogFileBytes: number;
  /** `mappedFileSizeConsumeQueue`, rounded up to whole entries of 20 bytes. */
  readonly consumeQueueFileBytes: number;
  /** `enableMultiDispatch` and `enableLmq`: messages are put into the light queues that they name. */
  readonly multiDispatch: boolean;
  /** `enableLmq`: light queues and groups need no configuration. */
  readonly lightQueues: boolean;
  /** `maxLmqConsumeQueueNum` */
  readonly maxLightQueueCount: number;
  /** `enableConsumeQueueExt`: new queue entries are extended by what filters need. */
  readonly consumeQueueExtension: boolean;
  /** `mappedFileSizeConsumeQueueExt` */
  readonly consumeQueueExtensionFileBytes: number;
  /** `checkCRCOnRecover` */
  readonly checkCrcOnRecover: boolean;
  /** Whether records get a checksum over all of them. */
  readonly appendRecordCrc: boolean;
  /** Whether recovery takes records without that checksum for damaged. */
  readonly requireRecordCrc: boolean;
  /** `messageIndexEnable`: messages can be found by key. */
  readonly messageIndex: boolean;
  /** `maxHashSlotNum` of an index file. */
  readonly indexHashSlotCount: number;
  /** `maxIndexNum`: entries of an index file. */
  readonly indexEntryCount: number;
  /** `maxMsgsNumBatch`: the index gives at most so many messages to one query. */
  readonly indexQueryMaxCount: number;
}

/** When written bytes are made durable. */
export interface FlushSettings {
  /** `flushDiskType`: SYNC answers a send after the flush (if the message asks to wait), ASYNC before. */
  readonly flushMode: "SYNC" | "ASYNC";
  /** `flushIntervalCommitLog` */
  readonly commitLogFlushIntervalMs: number;
  /** `flushCommitLogLeastPages`: less than so many dirty pages of 4 KiB wait for the thorough interval. */
  readonly commitLogFlushMinPages: number;
  /** `flushCommitLogThoroughInterval`: everything is flushed after so long. */
  readonly commitLogFlushThoroughIntervalMs: number;
  /** `flushIntervalConsumeQueue` */
  readonly consumeQueueFlushIntervalMs: number;
  /** `flushConsumeQueueThoroughInterval` */
  readonly consumeQueueFlushThoroughIntervalMs: number;
  /** `syncFlushTimeout`: then a waiting send is answered FLUSH_DISK_TIMEOUT. */
  readonly syncFlushTimeoutMs: number;
}

/** How the log gets to slaves, and who waits for that. */
export interface ReplicationSettings {
  /** `haSendHeartbeatInterval` */
  readonly haHeartbeatIntervalMs: number;
  /** `haHousekeepingInterval` */
  readonly haHousekeepingIntervalMs: number;
  /** `haTransferBatchSize` */
  readonly haBatchBytes: number;
  /** `maxHaTransferByteInSecond`; Infinity without `haFlowControlEnable`. */
  readonly haMaxBytesPerSecond: number;
  /** `haMaxGapNotInSync`, or `haSlaveFallbehindMax` */
  readonly haMaxGapBytes: number;
  /** `syncFromLastFile` */
  readonly syncFromLastFile: boolean;
  /** `slaveTimeout` */
  readonly slaveTimeoutMs: number;
  /** `inSyncReplicas`; undefined where nobody has set it. */
  readonly inSyncReplicas: number | undefined;
  /** `minInSyncReplicas` */
  readonly minInSyncReplicas: number;
  /** `enableAutoInSyncReplicas` */
  readonly autoInSyncReplicas: boolean;
  /** `enableSlaveActingMaster` */
  readonly slaveActingMaster: boolean;
}

/** When old files go. */
export interface CleaningSettings {
  /** `deleteWhen`: hours of the local day at which expired files are deleted. */
  readonly deleteAtHours: readonly number[];
  /** `fileReservedTime` */
  readonly fileReservedHours: number;
  /** `cleanResourceInterval`: how often is looked. */
  readonly cleanIntervalMs: number;
  /** `deleteCommitLogFilesInterval`: pause between two deleted files. */
  readonly commitLogDeletePauseMs: number;
  /** `deleteFileBatchMax`: files deleted in one round. */
  readonly deleteBatchMaxFiles: number;
  /** `cleanFileForciblyEnable`: a full disk deletes files that have not expired. */
  readonly cleanForcibly: boolean;
  /** `diskMaxUsedSpaceRatio`: above this, expired files go at any hour. */
  readonly diskMaxUsedPercent: number;
  /** `diskSpaceCleanForciblyRatio`: above this, files go even if not expired. */
  readonly diskCleanForciblyPercent: number;
  /** `diskSpaceWarningLevelRatio`: above this, nothing is stored any more. */
  readonly diskWarningPercent: number;
}

/** Messages with a delay level. */
export interface DelaySettings {
  /** `messageDelayLevel`: the delay of level n is item n-1. */
  readonly delayLevelsMs: readonly number[];
  /** `flushDelayOffsetInterval` */
  readonly delayOffsetFlushIntervalMs: number;
}

/** Messages for any moment, and taking them back. */
export interface TimerSettings {
  /** `timerWheelEnable` */
  readonly timersEnabled: boolean;
  /** `timerPrecisionMs`, lowered to 100, 200, 500 or 1000. */
  readonly timerPrecisionMs: number;
  /** `timerMaxDelaySec` */
  readonly timerMaxDelayMs: number;
  /** `timerRollWindowSlot`: messages further away go round again. */
  readonly timerRollWindowSlots: number;
  /** `timerFlushIntervalMs` */
  readonly timerFlushIntervalMs: number;
  /** `mappedFileSizeTimerLog` */
  readonly timerLogFileBytes: number;
  /** `timerCongestNumEachSlot`: messages that one moment takes before it begins to refuse. */
  readonly timerSlotMaxMessages: number;
  /** `timerStopEnqueue`: nothing is put into the wheel. */
  readonly timerIntakeStopped: boolean;
  /** `timerStopDequeue`: nothing is delivered from it. */
  readonly timerDeliveryStopped: boolean;
  /** `recallMessageEnable`: producers may take messages back. */
  readonly recallEnabled: boolean;
  /** `allowRecallWhenBrokerNotWriteable` */
  readonly recallWhenNotWritable: boolean;
  /** `appendTopicForTimerDeleteKey`: what takes back a message names its topic, too. */
  readonly recallKeyNamesTopic: boolean;
}

/** Transactional messages, and replies. */
export interface TransactionSettings {
  /** `rejectTransactionMessage` */
  readonly rejectTransactions: boolean;
  /** `transactionTimeOut`: a transaction younger than this is not asked about. */
  readonly transactionTimeoutMs: number;
  /** `transactionCheckMax`: after so many questions a transaction is given up. */
  readonly transactionCheckMax: number;
  /** `transactionCheckInterval` */
  readonly transactionCheckIntervalMs: number;
  /** `transactionOpMsgMaxSize`: longest list of settled transactions in one message. */
  readonly opMessageMaxBytes: number;
  /** `transactionOpBatchInterval`: how long settled transactions are gathered; 0: not at all. */
  readonly opBatchIntervalMs: number;
  /** `storeReplyMessageEnable`: replies are kept as messages. */
  readonly storeReplies: boolean;
}
