// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, type KeyTable, notYet } from "../key.ts";
import { count, decimal, flag, hours, hoursOfDay, long, ms, percent } from "../kinds.ts";

export const cleaningKeys = {
  fileReservedTime: acts(
    hours(),
    72,
    "A log file not written to for so long has expired and may be deleted.",
    {
      important: true,
      live: true,
    },
  ),
  deleteWhen: acts(hoursOfDay(), "04", "Hours of the day, local time, at which expired files are deleted.", {
    important: true,
    live: true,
  }),
  diskMaxUsedSpaceRatio: acts(
    percent(),
    75,
    "With more of the disk used, expired files are deleted at any hour. Held between 10 and 95.",
    { live: true },
  ),
  diskSpaceCleanForciblyRatio: acts(
    percent(),
    85,
    "With more of it used, the oldest files are deleted even before they expire. Held between 30 and 85.",
    { live: true },
  ),
  diskSpaceWarningLevelRatio: acts(
    percent(),
    90,
    "With more of it used, no message is taken any more. Held between 35 and 90.",
    { live: true },
  ),
  cleanFileForciblyEnable: acts(flag(), true, "Whether files may be deleted before they expire.", {
    important: true,
    live: true,
  }),
  cleanResourceInterval: acts(ms(1), 10000, "Pause between looks at what may be deleted."),
  deleteCommitLogFilesInterval: acts(ms(), 100, "Pause between two log files deleted."),
  deleteFileBatchMax: acts(count(1), 10, "Log files deleted in one round.", { important: true }),
  deleteConsumeQueueFilesInterval: notYet(ms(), 100, "Pause between two queue files deleted."),
  maxBatchDeleteFilesNum: notYet(count(), 50, "Files deleted in one round on an operator's demand."),
  destroyMapedFileIntervalForcibly: notYet(ms(), 120000, "A file still being read is deleted after so long."),
  redeleteHangedFileInterval: notYet(ms(), 120000, "How often deleting the first file is tried again."),
  logicalDiskSpaceCleanForciblyThreshold: notYet(
    decimal("share"),
    0.8,
    "Share of a broker's space, with several on one disk, above which files go before they expire.",
  ),
  enableCleanExpiredOffset: notYet(flag(), false, "Forget positions in topics that are gone.", {
    important: true,
  }),
  mappedFileSwapEnable: notYet(flag(), true, "Give back the memory of files that nobody reads."),
  commitLogSwapMapInterval: notYet(long("ms"), 3600000, "A log file nobody read for so long is given back."),
  commitLogForceSwapMapInterval: notYet(long("ms"), 43200000, "And after so long in any case."),
  commitLogSwapMapReserveFileNum: notYet(count(), 100, "Newest log files that are kept."),
  logicQueueSwapMapInterval: notYet(
    long("ms"),
    3600000,
    "The same for queue files: nobody read it for so long.",
  ),
  logicQueueForceSwapMapInterval: notYet(long("ms"), 43200000, "In any case."),
  logicQueueSwapMapReserveFileNum: notYet(count(), 20, "Newest files of a queue that are kept."),
  cleanSwapedMapInterval: notYet(long("ms"), 300000, "When what was given back is really unmapped."),
} satisfies KeyTable;

export const coldDataKeys = {
  coldDataFlowControlEnable: notYet(flag(), false, "Slow down groups that read old messages from disk."),
  coldDataScanEnable: notYet(flag(), false, "Look how much of the log is in memory."),
  dataReadAheadEnable: notYet(flag(), true, "Let the system read ahead."),
  timerColdDataCheckIntervalMs: notYet(ms(), 60000, "How often it is looked."),
  coldCtrStrategyEnable: notYet(flag(), false, "Adapt the limits below by themselves."),
  usePIDColdCtrStrategy: notYet(flag(), true, "By a PID controller."),
  cgColdReadThreshold: notYet(long("bytes"), 3145728, "Old bytes that a group may read in a second."),
  globalColdReadThreshold: notYet(long("bytes"), 104857600, "Old bytes that all groups may."),
} satisfies KeyTable;

export const cleaningArea: Area = {
  title: "Old files",
  about:
    "How long messages are kept, and what happens when the disk fills. Ratios count the used part of the disk.",
  keys: cleaningKeys,
};

export const coldDataArea: Area = {
  title: "Cold data",
  about: "Protection from groups that read from disk.",
  keys: coldDataKeys,
};
