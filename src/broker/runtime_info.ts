// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import { CURRENT_VERSION, versionName } from "../protocol/version.ts";
import type { PutTimes } from "./put_times.ts";
import type { Rates, Triple } from "./rates.ts";
import type { Statistics } from "./statistics.ts";

const logger = getLogger(["rmq", "broker"]);

/** What is asked of the store. */
export interface RuntimeStore {
  readonly minPhysicalOffset: number;
  readonly maxPhysicalOffset: number;
  readonly flushedOffset: number;
  readonly dispatchedOffset: number;
  /** Store time of the oldest message; -1 in an empty log. */
  earliestTimestamp(): number;
  diskUse(): { commitLogPercent: number; consumeQueuePercent: number };
}

export interface RuntimeInfoOptions {
  /** Whether it does what only a master does: delays, checks of transactions, … */
  isActive: boolean;
  clock: Clock;
  statistics: Statistics;
  rates: { rates(): Rates };
  putTimes: PutTimes;
  store: RuntimeStore;
  storeDirectory: string;
  commitLogDirectory: string;
  /** Of the file system that holds a path. */
  space: (path: string) => { totalBytes: number; usableBytes: number };
  acceptSendsFromMs: () => number;
  /** Per level of delay: where delivery stands, and where the level's queue ends. */
  delayProgress: () => Iterable<{ level: number; offset: number; maxOffset: number }>;
  timerStatus: () => {
    readBehindMs: number;
    offsetBehind: number;
    pendingCount: number;
    enqueueTps: number;
    dequeueTps: number;
  };
}

/** Pools whose queues tools want to see. Here a request waits in no queue: it is served in the turn it came in. */
const POOLS = ["send", "pull", "litePull", "query", "ack"];
const NO_TRANSIENT_POOL = "2147483647";

/**
 * The answer to GET_BROKER_RUNTIME_INFO: what operators' tools show of a broker, all as text. Every key that
 * some version of Apache's tools or the exporter reads is there, in old spellings too: most of them fail on
 * one that is missing. [RMQ AdminBrokerProcessor.prepareRuntimeInfo, StoreStatsService, DefaultMessageStore]
 */
export function runtimeInfo(options: RuntimeInfoOptions): Map<string, string> {
  const { store, statistics } = options;
  const info = new Map<string, string>();
  const set = (key: string, value: string | number) => info.set(key, String(value));

  set("brokerActive", String(options.isActive));
  set("brokerVersion", CURRENT_VERSION);
  set("brokerVersionDesc", versionName(CURRENT_VERSION));
  set("bootTimestamp", statistics.startedAtMs);
  set("runtime", durationText(options.clock.nowMs() - statistics.startedAtMs));
  set("startAcceptSendRequestTimeStamp", options.acceptSendsFromMs());

  addPuts(set, options);
  addRates(set, options.rates.rates());
  addTotals(set, statistics);
  addDisks(set, options);

  set("commitLogMinOffset", store.minPhysicalOffset);
  set("commitLogMaxOffset", store.maxPhysicalOffset);
  set("earliestMessageTimeStamp", store.earliestTimestamp());
  set("dispatchBehindBytes", store.maxPhysicalOffset - store.dispatchedOffset);
  set("dispatchMaxBuffer", 0);
  set("remainHowManyDataToFlush", bytesText(store.maxPhysicalOffset - store.flushedOffset));
  set("remainTransientStoreBufferNumbs", NO_TRANSIENT_POOL);
  set("pageCacheLockTimeMills", 0);

  for (const { level, offset, maxOffset } of options.delayProgress()) {
    if (maxOffset > 0) set(`scheduleMessageOffset_${level}`, `${offset},${maxOffset}`);
  }
  const timers = options.timerStatus();
  set("timerReadBehind", Math.floor(timers.readBehindMs / 1000));
  set("timerOffsetBehind", timers.offsetBehind);
  set("timerCongestNum", timers.pendingCount);
  set("timerEnqueueTps", decimal(timers.enqueueTps));
  set("timerDequeueTps", decimal(timers.dequeueTps));

  for (const pool of POOLS) {
    set(`${pool}ThreadPoolQueueSize`, 0);
    set(`${pool}ThreadPoolQueueCapacity`, 0);
    set(`${pool}ThreadPoolQueueHeadWaitTimeMills`, 0);
  }
  set("EndTransactionQueueSize", 0);
  set("EndTransactionThreadPoolQueueCapacity", 0);
  return info;
}

type Setter = (key: string, value: string | number) => void;

function addPuts(set: Setter, options: RuntimeInfoOptions): void {
  const { statistics, putTimes } = options;
  // Tools divide by this.
  const putTimesTotal = Math.max(1, statistics.put.messages);
  set("putMessageTimesTotal", putTimesTotal);
  set("putMessageSizeTotal", statistics.put.bytes);
  set("putMessageAverageSize", statistics.put.bytes / putTimesTotal);
  set("putMessageFailedTimes", statistics.putFailedTimes);
  set("putMessageEntireTimeMax", Math.floor(putTimes.maxMs));
  set("putMessageDistributeTime", putTimes.distribution());
  set("putLatency99", putTimes.percentile99Ms.toFixed(2));
  set("putLatency999", putTimes.percentile999Ms.toFixed(2));
  set("getMessageEntireTimeMax", Math.floor(statistics.getTimeMaxMs));
}

function addRates(set: Setter, rates: Rates): void {
  set("putTps", triple(rates.put));
  set("getFoundTps", triple(rates.found));
  set("getMissTps", triple(rates.missed));
  set("getTotalTps", triple(rates.total));
  // Renamed in 5.x; the tools of 4.9 and the exporter fail without the old name.
  set("getTransferredTps", triple(rates.transferred));
  set("getTransferedTps", triple(rates.transferred));
}

function addTotals(set: Setter, statistics: Statistics): void {
  const { yesterdayMorning, todayMorning, now } = statistics.totals();
  set("msgPutTotalYesterdayMorning", yesterdayMorning.put);
  set("msgPutTotalTodayMorning", todayMorning.put);
  set("msgPutTotalTodayNow", now.put);
  set("msgGetTotalYesterdayMorning", yesterdayMorning.got);
  set("msgGetTotalTodayMorning", todayMorning.got);
  set("msgGetTotalTodayNow", now.got);
}

/** Ratios are fractions; where the disk can't be asked, they are -1 and its capacity is 0 B. */
function addDisks(set: Setter, options: RuntimeInfoOptions): void {
  let commitLogRatio = -1;
  let consumeQueueRatio = -1;
  let space = { totalBytes: 0, usableBytes: 0 };
  try {
    const use = options.store.diskUse();
    commitLogRatio = Math.ceil(use.commitLogPercent) / 100;
    consumeQueueRatio = Math.ceil(use.consumeQueuePercent) / 100;
    space = options.space(options.storeDirectory);
  } catch (error) {
    logger.warn("the disk can't be asked how full it is: {error}", { error });
  }
  const { totalBytes, usableBytes } = space;
  set("commitLogDirCapacity", `Total : ${bytesText(totalBytes)}, Free : ${bytesText(usableBytes)}.`);
  set(`commitLogDiskRatio_${options.commitLogDirectory}`, commitLogRatio);
  set("commitLogDiskRatio", commitLogRatio);
  set("consumeQueueDiskRatio", consumeQueueRatio);
}

function triple(rates: Triple): string {
  return rates.map(decimal).join(" ");
}

/** No exponent: not every reader of these numbers takes one. */
function decimal(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : value.toFixed(4);
}

/** `[ 0 days, 1 hours, 2 minutes, 3 seconds ]` */
function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    `${Math.floor(seconds / 86_400).toLocaleString("en-US")} days`,
    `${Math.floor(seconds / 3600) % 24} hours`,
    `${Math.floor(seconds / 60) % 60} minutes`,
    `${seconds % 60} seconds`,
  ];
  return `[ ${parts.join(", ")} ]`;
}

/** `0 B`, `1.5 KiB`, `78.9 GiB`. [RMQ MixAll.humanReadableByteCount] */
function bytesText(bytes: number): string {
  let value = bytes;
  let unit = "";
  for (const prefix of ["Ki", "Mi", "Gi", "Ti", "Pi"]) {
    if (value < 1024) break;
    value /= 1024;
    unit = prefix;
  }
  return unit === "" ? `${bytes} B` : `${value.toFixed(1)} ${unit}B`;
}
