// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, type KeyTable, notYet } from "../key.ts";
import { count, flag, ms, oneOf } from "../kinds.ts";

export const flushKeys = {
  flushDiskType: acts(
    oneOf("ASYNC_FLUSH", "SYNC_FLUSH"),
    "ASYNC_FLUSH",
    "When a send is answered: once the operating system has the message, or once the disk has it.",
    { important: true },
  ),
  syncFlushTimeout: acts(
    ms(1),
    5000,
    "How long a send waits for the disk; the message stays stored in any case.",
  ),
  flushIntervalCommitLog: acts(ms(1), 500, "Pause between flushes of the log under ASYNC_FLUSH.", {
    important: true,
  }),
  flushCommitLogLeastPages: acts(
    count(),
    4,
    "With fewer pages of 4 KiB to flush, the log waits for the thorough interval.",
  ),
  flushCommitLogThoroughInterval: acts(
    ms(),
    10000,
    "After so long the log is flushed, however little there is.",
  ),
  flushIntervalConsumeQueue: acts(ms(1), 1000, "Pause between flushes of the queues."),
  flushConsumeQueueThoroughInterval: acts(ms(), 60000, "After so long all queues are flushed."),
  flushConsumeQueueLeastPages: notYet(count(), 2, "With fewer pages to flush a queue waits for that."),
  flushCommitLogTimed: notYet(flag(), true, "Keep exactly to the interval instead of waking early.", {
    important: true,
  }),
  wakeFlushWhenPutMessage: notYet(flag(), false, "Flush as soon as a message is stored, under ASYNC_FLUSH.", {
    important: true,
  }),
  wakeCommitWhenPutMessage: notYet(flag(), true, "The same for transientStorePoolEnable.", {
    important: true,
  }),
  commitIntervalCommitLog: notYet(ms(), 200, "Pause between writes out of that memory.", { important: true }),
  commitCommitLogLeastPages: notYet(count(), 4, "With fewer pages there they wait."),
  commitCommitLogThoroughInterval: notYet(ms(), 200, "After so long everything there is written."),
  enableRunningFlagsInFlush: notYet(flag(), false, "Note failed flushes in the store's flags.", {
    important: true,
  }),
} satisfies KeyTable;

export const flushArea: Area = {
  title: "Flushing",
  about: "When what is written survives a power cut.",
  keys: flushKeys,
};
