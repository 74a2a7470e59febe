// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, fixed, type KeyTable, notYet } from "../key.ts";
import { bytes, count, decimal, delayLevels, flag, int, long, ms, seconds, text } from "../kinds.ts";

export const delayKeys = {
  messageDelayLevel: acts(
    delayLevels(),
    "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h",
    "Delays of the levels 1, 2, … that a message may ask for. Retries use them from level 3 on.",
  ),
  flushDelayOffsetInterval: acts(
    long("ms", 1),
    10000,
    "How often the positions of the levels are written to disk.",
  ),
  enableScheduleMessageStats: notYet(flag(), true, "Count delayed messages."),
  enableScheduleAsyncDeliver: notYet(
    flag(),
    false,
    "Don't wait for one delayed message before delivering the next.",
  ),
  scheduleAsyncDeliverMaxPendingLimit: notYet(count(), 2000, "How many may be under way then."),
  scheduleAsyncDeliverMaxResendNum2Blocked: notYet(count(), 3, "Failures after which a level waits."),
} satisfies KeyTable;

export const timerKeys = {
  timerWheelEnable: acts(flag(), true, "Take messages that name any moment of delivery."),
  timerPrecisionMs: acts(ms(), 1000, "How exact that moment is: 100, 200, 500 or 1000."),
  timerMaxDelaySec: acts(seconds(), 259200, "How far away it may be.", { live: true }),
  timerRollWindowSlot: acts(
    count(),
    172800,
    "Slots ahead that the wheel holds; later messages go round again.",
  ),
  timerFlushIntervalMs: acts(ms(1), 1000, "How often the wheel is written to disk."),
  timerWheelSnapshotFlush: notYet(flag(), false, "Write it as a whole to a file of its own."),
  timerWheelSnapshotIntervalMs: notYet(ms(), 10000, "How often."),
  mappedFileSizeTimerLog: acts(bytes(68), 104857600, "Size of one file of the timer's log."),
  timerGetMessageThreadNum: notYet(count(), 3, "Threads that read messages that are due."),
  timerPutMessageThreadNum: notYet(count(), 3, "Threads that deliver them."),
  timerStopEnqueue: acts(flag(), false, "Take no more messages into the wheel.", { live: true }),
  timerStopDequeue: acts(flag(), false, "Deliver none of them.", { live: true }),
  timerWarmEnable: notYet(flag(), false, "Shown to tools: read messages before they are due."),
  timerEnableDisruptor: notYet(flag(), false, "Shown to tools: hand messages on through a ring buffer."),
  timerCheckMetricsWhen: notYet(text("hours"), "05", "Shown to tools: hour at which counts are checked."),
  timerEnableCheckMetrics: notYet(flag(), true, "Check the counts of waiting messages."),
  timerInterceptDelayLevel: notYet(flag(), false, "Let the wheel serve delay levels, too."),
  timerSkipUnknownError: notYet(flag(), false, "Go on after a message that fails for no known reason."),
  timerEnableRetryUntilSuccess: notYet(flag(), false, "Try to deliver until it works."),
  timerCongestNumEachSlot: acts(
    count(1),
    2147483647,
    "Messages that one slot takes before it begins to refuse; it refuses all from twice as many on.",
    { live: true },
  ),
  timerMetricSmallThreshold: notYet(
    count(),
    1000000,
    "Topics with fewer waiting messages are counted exactly.",
  ),
  timerProgressLogIntervalMs: notYet(ms(), 10000, "How often progress is logged."),
  appendTopicForTimerDeleteKey: acts(
    flag(),
    false,
    "Name the topic in the key that takes back a message.",
    { live: true },
  ),
  timerRocksDBEnable: fixed(
    flag(),
    false,
    "Keep timed messages in RocksDB.",
    "there is no RocksDB in rmq to keep timed messages",
  ),
  timerRocksDBStopScan: notYet(flag(), false, "Stop delivering from there."),
  timerRocksDBPrecisionMs: notYet(long("ms"), 1000, "How exact the moment of delivery is there."),
  timerRocksDBRollMaxTps: notYet(decimal("messages/s"), "8000.0", "Messages moved to nearer slots there."),
  timerRocksDBTimeExpiredMaxTps: notYet(decimal("messages/s"), "200000.0", "Messages delivered from there."),
  timerRocksDBRollIntervalHours: notYet(int("h"), 1, "How often messages are moved."),
  timerRocksDBRollRangeHours: notYet(int("h"), 2, "How far ahead."),
  timerRecallToTimeWheelEnable: notYet(flag(), true, "Taking back looks into the wheel."),
  timerRecallToTimelineEnable: notYet(flag(), true, "Taking back looks into RocksDB."),
} satisfies KeyTable;

export const delayArea: Area = {
  title: "Delay levels",
  about: "Messages for later, by level.",
  keys: delayKeys,
};

export const timerArea: Area = {
  title: "Timed messages",
  about: "Messages for any moment.",
  keys: timerKeys,
};
