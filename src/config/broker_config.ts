// SPDX-License-Identifier: Apache-2.0
import { join, resolve as absolute } from "node:path";
import type { BrokerSettings } from "./broker_settings.ts";
import { ConfigError } from "./config_error.ts";
import { Configuration } from "./configuration.ts";
import type { Area, ValuesOf } from "./key.ts";
import { cleaningArea, cleaningKeys, coldDataArea, coldDataKeys } from "./keys/cleaning.ts";
import {
  clientArea,
  clientKeys,
  filterArea,
  filterKeys,
  offsetArea,
  offsetKeys,
  pullArea,
  pullKeys,
  sendArea,
  sendKeys,
} from "./keys/delivery.ts";
import { flushArea, flushKeys } from "./keys/flushing.ts";
import { formerArea, formerKeys } from "./keys/former.ts";
import { identityArea, identityKeys, roleContradiction } from "./keys/identity.ts";
import { nameServerFileKeys, nameServerKeys, nameServerLookupKeys } from "./keys/name_server.ts";
import { networkArea, networkKeys, portAbove } from "./keys/network.ts";
import { observationArea, observationKeys } from "./keys/observation.ts";
import { popArea, popKeys } from "./keys/pop.ts";
import { registrationArea, registrationKeys } from "./keys/registration.ts";
import { failoverArea, failoverKeys, replicationArea, replicationKeys } from "./keys/replication.ts";
import { rocksdbArea, rocksdbKeys, tieredArea, tieredKeys } from "./keys/rocksdb.ts";
import { accessArea, accessKeys, tlsArea, tlsKeys } from "./keys/security.ts";
import {
  indexArea,
  indexKeys,
  logArea,
  logKeys,
  queueArea,
  queueKeys,
  storePathArea,
  storePathKeys,
} from "./keys/store_files.ts";
import { threadArea, threadKeys, waitingArea, waitingKeys } from "./keys/threads.ts";
import { delayArea, delayKeys, timerArea, timerKeys } from "./keys/timers.ts";
import { topicArea, topicKeys } from "./keys/topics.ts";
import { transactionArea, transactionKeys } from "./keys/transactions.ts";
import { thisMachine } from "./machine.ts";
import { type Role, type Source, textOfKey } from "./resolve.ts";
import { chosenFile, type LoadOptions, sourceOfKey } from "./sources.ts";

/** In the order of the documentation: what operators set first comes first. */
export const brokerAreas: readonly Area[] = [
  identityArea,
  networkArea,
  registrationArea,
  topicArea,
  storePathArea,
  logArea,
  flushArea,
  cleaningArea,
  queueArea,
  indexArea,
  sendArea,
  pullArea,
  filterArea,
  clientArea,
  offsetArea,
  delayArea,
  transactionArea,
  timerArea,
  popArea,
  replicationArea,
  failoverArea,
  accessArea,
  tlsArea,
  observationArea,
  coldDataArea,
  threadArea,
  waitingArea,
  rocksdbArea,
  tieredArea,
  formerArea,
];

export const brokerKeys = {
  ...identityKeys,
  ...networkKeys,
  ...registrationKeys,
  ...topicKeys,
  ...storePathKeys,
  ...logKeys,
  ...flushKeys,
  ...cleaningKeys,
  ...queueKeys,
  ...indexKeys,
  ...sendKeys,
  ...pullKeys,
  ...filterKeys,
  ...clientKeys,
  ...offsetKeys,
  ...delayKeys,
  ...transactionKeys,
  ...timerKeys,
  ...popKeys,
  ...replicationKeys,
  ...failoverKeys,
  ...accessKeys,
  ...tlsKeys,
  ...observationKeys,
  ...coldDataKeys,
  ...threadKeys,
  ...waitingKeys,
  ...rocksdbKeys,
  ...tieredKeys,
  ...formerKeys,
};

type BrokerValues = ValuesOf<typeof brokerKeys>;

const brokerRole: Role<typeof brokerKeys> = {
  title: "brokers",
  keys: brokerKeys,
  foreign: {
    title: "name servers",
    names: Object.keys({ ...nameServerKeys, ...nameServerFileKeys, ...nameServerLookupKeys }).filter((name) =>
      !Object.hasOwn(brokerKeys, name)
    ),
  },
  contradiction: roleContradiction,
};

/** Never changed over the network, whatever `configBlackList` says. */
const UNCHANGEABLE = ["brokerConfigPath", "configBlackList", "rocketmqHome"];

/**
 * A broker's configuration from defaults, the file, and what overrides it. Without a named file the one in the
 * store's directory is read, if an earlier run wrote changed keys there.
 *
 * @returns also the file that was read, if any
 * @throws ConfigError with everything that is wrong; nothing on disk was touched
 */
export function loadBrokerConfiguration(options: LoadOptions = {}): {
  configuration: Configuration<BrokerSettings>;
  readFile: string | undefined;
} {
  const { presets, file: named, overriding = [], machine = thisMachine() } = options;
  const below = presets === undefined ? [] : [presets];
  const storeDirectory = textOfKey(brokerKeys, "storePathRootDir", [...below, ...overriding], machine) ?? "";
  const written = join(absolute(storeDirectory), "config", "broker.properties");
  const fromFile = chosenFile(named, written);
  const file = absolute(named ?? written);
  const configuration = new Configuration({
    role: brokerRole,
    sources: [
      ...below,
      ...(fromFile ? [fromFile] : []),
      ...overriding,
      sourceOfKey("-c", "brokerConfigPath", file),
    ],
    overriding,
    machine,
    file,
    unchangeable: UNCHANGEABLE,
    toSettings: brokerSettings,
  });
  if (named === undefined && fromFile) {
    refuseStrayFile(fromFile, configuration.settings.storeDirectory, storeDirectory);
  }
  return { configuration, readFile: fromFile?.name };
}

/** A file found in one store that names another one would be read only by accident. */
function refuseStrayFile(file: Source, named: string, foundIn: string): void {
  if (absolute(named) === absolute(foundIn)) return;
  const place = `${file.name}:${file.entries.findLast(({ key }) => key === "storePathRootDir")?.line}`;
  const message = `storePathRootDir=${named} names another store than the one in which this file lies.`;
  throw new ConfigError([{ place, key: "storePathRootDir", message }]);
}

/** Apache's values become settings with units in their names; limits that Apache keeps silently are kept here. */
export function brokerSettings(values: BrokerValues): BrokerSettings {
  const { listenPort, haListenPort } = values;
  return {
    clusterName: values.brokerClusterName,
    brokerName: values.brokerName,
    brokerId: values.brokerId,
    brokerRole: values.brokerRole,
    haMasterAddress: values.haMasterAddress || undefined,
    regionId: values.regionId,
    traceOn: values.traceOn,

    bindAddress: values.bindAddress,
    listenPort,
    vipListenPort: Math.max(listenPort - 2, 0),
    haListenPort: haListenPort > 0 ? haListenPort : portAbove(listenPort),
    advertisedHost: values.brokerIP1,
    haAdvertisedHost: values.brokerIP2,
    connectionMaxIdleMs: values.serverChannelMaxIdleTimeSeconds * 1000 || Infinity,

    nameServerAddresses: values.namesrvAddr,
    nameServerLookupUrl: lookupUrl(values),
    registerIntervalMs: between(10_000, values.registerNameServerPeriod, 60_000),
    registerTimeoutMs: values.registerBrokerTimeoutMills,
    forceRegister: values.forceRegister,
    heartbeats: values.enableSlaveActingMaster
      ? {
        intervalMs: values.brokerHeartbeatInterval,
        timeoutMs: values.brokerNotActiveTimeoutMillis,
        asVersionQuery: values.compatibleWithOldNameSrv,
      }
      : undefined,
    singleTopicRegister: values.enableSingleTopicRegister,
    metadataPageCount: values.enableSplitMetadata ? values.splitMetadataSize : undefined,

    brokerPermission: values.brokerPermission,
    autoCreateTopic: values.autoCreateTopicEnable,
    autoCreateGroup: values.autoCreateSubscriptionGroup,
    autoCreatedTopicQueueCount: values.defaultTopicQueueNums,
    clusterTopic: values.clusterTopicEnable,
    brokerTopic: values.brokerTopicEnable,
    traceTopic: values.traceTopicEnable,
    traceTopicName: values.msgTraceTopicName,
    createSystemGroups: values.enableCreateSysGroup,
    mixedMessageType: values.enableMixedMessageType,
    protectSystemTopics: values.validateSystemTopicWhenUpdateTopic,

    acceptSendsFromMs: values.startAcceptSendRequestTimeStamp,
    maxMessageBytes: values.maxMessageSize,
    longPolling: values.longPollingEnable,
    shortPollingMs: values.shortPollingTimeMills,
    slaveReads: values.slaveReadEnable,
    slaveChecksOffsets: values.offsetCheckInSlave,
    inMemoryPercent: values.accessMessageInMemoryMaxRatio,
    litePull: values.litePullMessageEnable,
    rejectPullConsumers: values.rejectPullConsumerEnable,
    propertyFilter: values.enablePropertyFilter,
    filterRetries: values.filterSupportRetry,
    filterBitMaps: values.enableCalcFilterBitMap,
    bloomErrorPercent: values.maxErrorRateOfBloomFilter,
    bloomGroupCount: values.expectConsumerNumUseFilter,
    filterExpiryMs: values.filterDataCleanTimeSpan,
    pullMaxBytesInMemory: values.maxTransferBytesOnMessageInMemory,
    pullMaxCountInMemory: values.maxTransferCountOnMessageInMemory,
    pullMaxBytesOnDisk: values.maxTransferBytesOnMessageInDisk,
    pullMaxCountOnDisk: values.maxTransferCountOnMessageInDisk,
    queryMaxCount: values.defaultQueryMaxNum,
    notifyConsumerIdsChanged: values.notifyConsumerIdsChangedEnable,
    clientExpiryMs: values.channelExpiredTimeout,
    consumerOffsetFlushIntervalMs: values.flushConsumerOffsetInterval,
    serverSideResetOffset: values.useServerSideResetOffset,

    sharesOutQueues: values.serverLoadBalancerEnable,
    defaultRequestMode: values.defaultMessageRequestMode,
    defaultPopShareCount: values.defaultPopShareQueueNum,
    maxHeldPops: values.maxPopPollingSize,
    maxHeldPopsPerQueue: values.popPollingSize,
    maxHeldPopQueues: values.popPollingMapSize,
    popForcedWakeOffsets: values.popLongPollingForceNotifyInterval,
    popWakesWhenOrderFree: values.enableNotifyAfterPopOrderLockRelease,
    reviveQueueCount: values.reviveQueueNum,
    reviveIntervalMs: values.reviveInterval,
    reviveScanMs: values.reviveScanTime,
    popSkipsAfterReputs: values.skipWhenCKRePutReachMaxTimes,
    maxPopsInFlight: values.enablePopMessageThreshold ? values.popInflightMessageThreshold : Infinity,
    popStartsInMemory: values.initPopOffsetByCheckMsgInMem,
    popFromRetryPercent: values.popFromRetryProbability,
    popRetryTopicV2: values.enableRetryTopicV2,
    popReadsRetryTopicV1: values.retrieveMessageFromPopRetryTopicV1,
    popShowsRetryTopic: values.popResponseReturnActualRetryTopic,

    storeDirectory: absolute(values.storePathRootDir),
    commitLogDirectory: absolute(values.storePathCommitLog),
    commitLogFileBytes: values.mappedFileSizeCommitLog,
    consumeQueueFileBytes: Math.ceil(values.mappedFileSizeConsumeQueue / QUEUE_ENTRY_BYTES) *
      QUEUE_ENTRY_BYTES,
    multiDispatch: values.enableMultiDispatch && values.enableLmq,
    lightQueues: values.enableLmq,
    maxLightQueueCount: values.maxLmqConsumeQueueNum,
    consumeQueueExtension: values.enableConsumeQueueExt,
    consumeQueueExtensionFileBytes: values.mappedFileSizeConsumeQueueExt,
    checkCrcOnRecover: values.checkCRCOnRecover,
    appendRecordCrc: values.enabledAppendPropCRC,
    requireRecordCrc: values.forceVerifyPropCRC,
    messageIndex: values.messageIndexEnable,
    indexHashSlotCount: values.maxHashSlotNum,
    indexEntryCount: values.maxIndexNum,
    indexQueryMaxCount: values.maxMsgsNumBatch,

    flushMode: values.flushDiskType === "SYNC_FLUSH" ? "SYNC" : "ASYNC",
    commitLogFlushIntervalMs: values.flushIntervalCommitLog,
    commitLogFlushMinPages: values.flushCommitLogLeastPages,
    commitLogFlushThoroughIntervalMs: values.flushCommitLogThoroughInterval,
    consumeQueueFlushIntervalMs: values.flushIntervalConsumeQueue,
    consumeQueueFlushThoroughIntervalMs: values.flushConsumeQueueThoroughInterval,
    syncFlushTimeoutMs: values.syncFlushTimeout,

    haHeartbeatIntervalMs: values.haSendHeartbeatInterval,
    haHousekeepingIntervalMs: values.haHousekeepingInterval,
    haBatchBytes: values.haTransferBatchSize,
    haMaxBytesPerSecond: values.haFlowControlEnable ? values.maxHaTransferByteInSecond : Infinity,
    haMaxGapBytes: values.haMaxGapNotInSync,
    syncFromLastFile: values.syncFromLastFile,
    slaveTimeoutMs: values.slaveTimeout,
    inSyncReplicas: values.inSyncReplicas,
    minInSyncReplicas: values.minInSyncReplicas,
    autoInSyncReplicas: values.enableAutoInSyncReplicas,
    slaveActingMaster: values.enableSlaveActingMaster,

    metrics: values.metricsExporterType !== "PROM" && values.metricsExporterType !== "2" ? undefined : {
      host: values.metricsPromExporterHost || values.brokerIP1,
      port: values.metricsPromExporterPort,
      labels: values.metricsLabel,
      maxSamples: values.metricsOtelCardinalityLimit,
    },

    deleteAtHours: values.deleteWhen,
    fileReservedHours: values.fileReservedTime,
    cleanIntervalMs: values.cleanResourceInterval,
    commitLogDeletePauseMs: values.deleteCommitLogFilesInterval,
    deleteBatchMaxFiles: values.deleteFileBatchMax,
    cleanForcibly: values.cleanFileForciblyEnable,
    diskMaxUsedPercent: between(10, values.diskMaxUsedSpaceRatio, 95),
    diskCleanForciblyPercent: between(30, values.diskSpaceCleanForciblyRatio, 85),
    diskWarningPercent: between(35, values.diskSpaceWarningLevelRatio, 90),

    delayLevelsMs: values.messageDelayLevel,
    delayOffsetFlushIntervalMs: values.flushDelayOffsetInterval,

    timersEnabled: values.timerWheelEnable,
    timerPrecisionMs: TIMER_PRECISIONS_MS.findLast((known) => known <= values.timerPrecisionMs) ??
      TIMER_PRECISIONS_MS[0],
    timerMaxDelayMs: values.timerMaxDelaySec * 1000,
    timerRollWindowSlots: values.timerRollWindowSlot,
    timerFlushIntervalMs: values.timerFlushIntervalMs,
    timerLogFileBytes: values.mappedFileSizeTimerLog,
    timerSlotMaxMessages: values.timerCongestNumEachSlot,
    timerIntakeStopped: values.timerStopEnqueue,
    timerDeliveryStopped: values.timerStopDequeue,
    recallEnabled: values.recallMessageEnable,
    recallWhenNotWritable: values.allowRecallWhenBrokerNotWriteable,
    recallKeyNamesTopic: values.appendTopicForTimerDeleteKey,
    rejectTransactions: values.rejectTransactionMessage,
    transactionTimeoutMs: values.transactionTimeOut,
    transactionCheckMax: values.transactionCheckMax,
    transactionCheckIntervalMs: Math.max(1, values.transactionCheckInterval),
    opMessageMaxBytes: values.transactionOpMsgMaxSize,
    opBatchIntervalMs: values.transactionOpBatchInterval,
    storeReplies: values.storeReplyMessageEnable,
  };
}

const QUEUE_ENTRY_BYTES = 20;
/** `[RMQ MessageStoreConfig.setTimerPrecisionMs]` */
const TIMER_PRECISIONS_MS = [100, 200, 500, 1000];

/** `[RMQ MixAll.getWSAddr]` */
function lookupUrl(values: BrokerValues): string | undefined {
  if (!values.fetchNamesrvAddrByAddressServer || values.namesrvAddr.length > 0) return undefined;
  const { rmqAddressServerDomain: domain, rmqAddressServerSubGroup: subGroup } = values;
  return `http://${domain.includes(":") ? domain : `${domain}:8080`}/rocketmq/${subGroup}`;
}

function between(min: number, value: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}
