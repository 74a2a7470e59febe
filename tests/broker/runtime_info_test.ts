// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PutTimes } from "../../src/broker/put_times.ts";
import { RateSampler } from "../../src/broker/rates.ts";
import { runtimeInfo, type RuntimeInfoOptions } from "../../src/broker/runtime_info.ts";
import { Statistics } from "../../src/broker/statistics.ts";
import { ManualClock } from "../harness/manual_clock.ts";

const GIB = 1024 ** 3;

function options(given: Partial<RuntimeInfoOptions> = {}) {
  const clock = new ManualClock();
  const statistics = new Statistics({ clock, isSystemTopic: () => false });
  const rates = new RateSampler(clock, () => ({
    put: statistics.put.messages,
    found: statistics.getFoundTimes,
    missed: statistics.getMissTimes,
    transferred: statistics.got.messages,
  }));
  rates.start();
  const all: RuntimeInfoOptions = {
    isActive: true,
    clock,
    statistics,
    rates,
    putTimes: new PutTimes(clock),
    store: {
      minPhysicalOffset: 0,
      maxPhysicalOffset: 5000,
      flushedOffset: 3000,
      dispatchedOffset: 4900,
      earliestTimestamp: () => 1_700_000_000_000,
      diskUse: () => ({ commitLogPercent: 12.3, consumeQueuePercent: 40 }),
    },
    storeDirectory: "/data/store",
    commitLogDirectory: "/data/store/commitlog",
    space: () => ({ totalBytes: 251.94 * GIB, usableBytes: 78.9 * GIB }),
    acceptSendsFromMs: () => 0,
    delayProgress: () => [{ level: 3, offset: 5, maxOffset: 9 }, { level: 4, offset: 0, maxOffset: 0 }],
    timerStatus: () => ({
      readBehindMs: 1999,
      offsetBehind: 7,
      pendingCount: 12,
      enqueueTps: 1.5,
      dequeueTps: 0,
    }),
    ...given,
  };
  return { clock, statistics, rates, all };
}

test("every key that an Apache broker of 5.4.0 serves is there, and those that older tools need", () => {
  const golden = JSON.parse(
    readFileSync(new URL("../golden/admin/runtime_info.json", import.meta.url), "utf8"),
  );
  const served = Object.keys(golden.table).map((key) =>
    key.replace(/^commitLogDiskRatio_.*/, "commitLogDiskRatio")
  );
  const info = runtimeInfo(options().all);
  assert.deepEqual(served.filter((key) => !info.has(key)), []);
  for (const key of ["getTransferedTps", "getTransferredTps", "brokerVersion"]) assert.ok(info.has(key), key);
  assert.equal(info.get("brokerVersion"), "493");
  assert.equal(info.get("brokerVersionDesc"), "V5_4_0");
});

test("what readers parse as numbers are numbers", () => {
  const info = runtimeInfo(options().all);
  for (
    const key of [
      "earliestMessageTimeStamp",
      "commitLogDiskRatio",
      "putMessageTimesTotal",
      "pageCacheLockTimeMills",
    ]
  ) {
    assert.ok(Number.isFinite(Number(info.get(key))), `${key} is ${info.get(key)}`);
  }
  for (
    const key of [
      "putTps",
      "getFoundTps",
      "getMissTps",
      "getTotalTps",
      "getTransferredTps",
      "getTransferedTps",
    ]
  ) {
    assert.match(info.get(key)!, /^[0-9]+\.[0-9]+ [0-9]+\.[0-9]+ [0-9]+\.[0-9]+$/);
  }
});

/** What rocketmq-exporter reads, by how it parses it: one that fails drops all of a broker's metrics. */
const READ_BY_EXPORTER: [pattern: RegExp, keys: string][] = [
  [/^-?\d+$/, "msgPutTotalTodayNow msgPutTotalTodayMorning msgPutTotalYesterdayMorning msgGetTotalTodayNow"],
  [/^-?\d+$/, "msgGetTotalTodayMorning msgGetTotalYesterdayMorning dispatchBehindBytes dispatchMaxBuffer"],
  [/^-?\d+$/, "putMessageSizeTotal putMessageTimesTotal putMessageEntireTimeMax getMessageEntireTimeMax"],
  [/^-?\d+$/, "earliestMessageTimeStamp startAcceptSendRequestTimeStamp pageCacheLockTimeMills"],
  [
    /^-?\d+$/,
    "commitLogMinOffset commitLogMaxOffset bootTimestamp remainTransientStoreBufferNumbs brokerVersion",
  ],
  [/^-?\d+$/, "sendThreadPoolQueueSize sendThreadPoolQueueCapacity sendThreadPoolQueueHeadWaitTimeMills"],
  [/^-?\d+$/, "pullThreadPoolQueueSize pullThreadPoolQueueCapacity pullThreadPoolQueueHeadWaitTimeMills"],
  [/^-?\d+$/, "queryThreadPoolQueueSize queryThreadPoolQueueCapacity queryThreadPoolQueueHeadWaitTimeMills"],
  [
    /^-?\d+(\.\d+)?$/,
    "putMessageAverageSize commitLogDiskRatio consumeQueueDiskRatio putLatency99 putLatency999",
  ],
  [/^\d+\.\d+ \d+\.\d+ \d+\.\d+$/, "putTps getFoundTps getMissTps getTotalTps getTransferedTps"],
  [/^(null|(\[\S+\]:\d+ ){13})$/, "putMessageDistributeTime"],
  [/^\d+(\.\d+)? [KMGTP]?i?B$/, "remainHowManyDataToFlush"],
  [/^Total : \d+(\.\d+)? \w+, Free : \d+(\.\d+)? \w+\.$/, "commitLogDirCapacity"],
  [/^V\d_\d+_\d+$/, "brokerVersionDesc"],
  [/^\[ [\d,]+ days, \d+ hours, \d+ minutes, \d+ seconds \]$/, "runtime"],
];

test("rocketmq-exporter can parse all that it reads, of a broker that has just started and of a busy one", () => {
  const { clock, statistics, all } = options();
  all.putTimes.start();
  for (const state of ["started", "busy"]) {
    const info = runtimeInfo(all);
    assert.equal(info.get("putMessageDistributeTime") === "null", state === "started");
    for (const [pattern, keys] of READ_BY_EXPORTER) {
      for (const key of keys.split(" ")) assert.match(info.get(key) ?? "absent", pattern, `${state}: ${key}`);
    }
    statistics.onStored("T", 7, 1e9);
    all.putTimes.record(3);
    clock.advance(90_000);
  }
});

test("counts and speeds are those of the statistics", () => {
  const { clock, statistics, all } = options();
  for (let second = 0; second < 10; second++) {
    statistics.onStored("T", 30, 6000);
    statistics.onDelivered("T", "G", 15, 3000);
    statistics.onGetMiss();
    statistics.onGetTime(2.7);
    clock.advance(1000);
  }
  const info = runtimeInfo(all);
  assert.equal(info.get("putMessageTimesTotal"), "300");
  assert.equal(info.get("putMessageSizeTotal"), "60000");
  assert.equal(info.get("putMessageAverageSize"), "200");
  assert.equal(info.get("putTps"), "30.0 30.0 30.0");
  assert.equal(info.get("getTotalTps"), "2.0 2.0 2.0");
  assert.equal(info.get("getTransferredTps"), "15.0 15.0 15.0");
  assert.equal(info.get("msgPutTotalTodayNow"), "300");
  assert.equal(info.get("msgGetTotalTodayNow"), "150");
  assert.equal(info.get("getMessageEntireTimeMax"), "2");
  assert.equal(info.get("runtime"), "[ 0 days, 0 hours, 0 minutes, 10 seconds ]");
});

test("the store's state is told in Apache's units", () => {
  const { clock, rates, all } = options();
  rates.stop();
  clock.advance(((1234 * 24 + 5) * 60 + 6) * 60_000);
  const info = runtimeInfo(all);
  assert.equal(info.get("runtime"), "[ 1,234 days, 5 hours, 6 minutes, 0 seconds ]");
  assert.equal(info.get("dispatchBehindBytes"), "100");
  assert.equal(info.get("remainHowManyDataToFlush"), "2.0 KiB");
  assert.equal(info.get("commitLogDiskRatio"), "0.13");
  assert.equal(info.get("commitLogDiskRatio_/data/store/commitlog"), "0.13");
  assert.equal(info.get("consumeQueueDiskRatio"), "0.4");
  assert.equal(info.get("commitLogDirCapacity"), "Total : 251.9 GiB, Free : 78.9 GiB.");
  assert.equal(info.get("scheduleMessageOffset_3"), "5,9");
  assert.equal(info.has("scheduleMessageOffset_4"), false);
});

test("a disk that can't be asked does not spoil the answer", () => {
  const fails = () => {
    throw new Error("EIO");
  };
  const info = runtimeInfo(options({ space: fails }).all);
  assert.equal(info.get("commitLogDirCapacity"), "Total : 0 B, Free : 0 B.");
  assert.equal(info.get("commitLogDiskRatio"), "0.13");
});
