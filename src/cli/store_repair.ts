// SPDX-License-Identifier: Apache-2.0
import { setImmediate } from "node:timers/promises";
import { systemClock } from "../base/clock.ts";
import { loadBrokerConfiguration } from "../config/broker_config.ts";
import type { BrokerSettings } from "../config/broker_settings.ts";
import { sourceOfKey } from "../config/sources.ts";
import { diskFiles } from "../store/disk_files.ts";
import { indexFileBytes, type IndexShape } from "../store/index_file.ts";
import type { QueueCheck } from "../store/inspect/queue_check.ts";
import { diskReader } from "../store/inspect/reader.ts";
import {
  forgetReplaced,
  isInterrupted,
  rebuild,
  type Rebuilt,
  undoInterrupted,
} from "../store/inspect/rebuild.ts";
import { SCHEDULE_TOPIC } from "../store/queue_tags.ts";
import type { Surroundings } from "./command.ts";
import { type Checked, checkStore, describeChecked } from "./store_check.ts";
import { Progress } from "./store_progress.ts";
import { counted } from "./store_text.ts";

export interface RepairOptions {
  readonly directory: string;
  readonly commitlog: string | undefined;
  readonly configFile: string | undefined;
  /** All queues and the index, not only what is wrong. */
  readonly all: boolean;
  /** Told as it goes on; absent: nothing is. */
  readonly tell: (text: string) => void;
}

/** What was there, what was done, what is there now. */
export interface Repaired {
  readonly before: Checked;
  readonly queues: readonly { topic: string; queueId: number }[];
  /** Undefined where there was nothing to build, or where it was stopped before anything was changed. */
  readonly rebuilt: Rebuilt | undefined;
  readonly after: Checked;
  /** Whether what was replaced is kept, as something is still wrong with what took its place. */
  readonly isKept: boolean;
}

/** Checks, builds what is wrong, and checks again. The caller has the store's lock. @throws where it can't be done */
export async function repairStore(options: RepairOptions, surroundings: Surroundings): Promise<Repaired> {
  const { directory, commitlog, tell } = options;
  if (isInterrupted(diskReader(), directory)) {
    undoInterrupted(diskFiles, directory);
    tell("A repair had not come to its end: what it had not replaced yet is in its place again.\n\n");
  }
  const before = await checkStore({ directory, commitlog, isOurs: true }, surroundings);
  tell(`${describeChecked(before)}\n`);
  const { verified, store } = before;
  const queues = verified.queues.filter((queue) => options.all ? queue.isExpected : queue.isWrong);
  // Without a file nobody knows whether there is to be an index, and of which size.
  const isIndexKnown = store.layout.index.length > 0 || options.configFile !== undefined;
  const isIndexWanted = verified.isIndexWrong || (options.all && isIndexKnown);
  if (verified.isStopped || (queues.length === 0 && !isIndexWanted)) {
    return { before, queues: [], rebuilt: undefined, after: before, isKept: false };
  }
  const { configuration } = loadBrokerConfiguration({
    file: options.configFile,
    overriding: [sourceOfKey("DIR", "storePathRootDir", directory)],
  });
  const { settings } = configuration;
  const isConfigured = options.configFile !== undefined;
  const progress = new Progress("building", surroundings);
  const reader = diskReader();
  let rebuilt: Rebuilt;
  try {
    rebuilt = await rebuild({
      reader,
      files: diskFiles,
      clock: systemClock,
      layout: store.layout,
      queues,
      queueFileBytes: queueFileBytes(before, settings, isConfigured),
      index: isIndexWanted ? indexShape(before, settings, isConfigured) : undefined,
      indexTags: verified.hasIndexedTags,
      delayLevelsMs: delayLevels(before, queues, settings, isConfigured),
      async onProgress(done, total) {
        await setImmediate();
        return progress.report(done, total);
      },
    });
  } finally {
    progress.end();
    reader.close();
  }
  if (rebuilt.isStopped) {
    tell("Stopped; nothing was changed.\n");
    return { before, queues, rebuilt: undefined, after: before, isKept: false };
  }
  tell(`${describeRebuilt(queues, rebuilt)}\n\n`);
  const after = await checkStore({ directory, commitlog, isOurs: true, isAfterRepair: true }, surroundings);
  const isKept = after.verified.isStopped || after.verified.isIndexWrong ||
    after.verified.queues.some((queue) => queue.isWrong);
  if (!isKept) forgetReplaced(diskFiles, directory);
  tell(describeChecked(after));
  if (isKept) tell(`\nWhat was replaced is kept in ${rebuilt.keptIn}.\n`);
  return { before, queues, rebuilt, after, isKept };
}

/** What can't be told from the files, and must not be guessed: a broker would not start with it, or not find things. */
function unknown(what: string): Error {
  return new Error(
    `${what}: give the broker's configuration with --configFile (an empty file stands for the defaults). Nothing was ` +
      "changed.",
  );
}

/** Size of the files to be made: what the files say, if two of them agree; else what is configured. */
function queueFileBytes({ store }: Checked, settings: BrokerSettings, isConfigured: boolean): number {
  const { queues, queueFileBytes: found } = store.layout;
  const sizes = queues.flatMap(({ segments }) => segments.files.map(({ sizeBytes }) => sizeBytes));
  const isTold = sizes.filter((size) => size === found).length > 1 && found % 20 === 0;
  const configured = settings.consumeQueueFileBytes;
  if (isTold) return found;
  if (isConfigured || found === configured) return configured;
  if (sizes.length === 0) throw unknown("there is no queue file to tell the size of others");
  throw unknown(`a single queue file of ${found} bytes does not tell the size of others`);
}

/** Numbers of slots and entries: what the files say; else what is configured. */
function indexShape(
  { store, verified }: Checked,
  settings: BrokerSettings,
  isConfigured: boolean,
): IndexShape {
  if (verified.indexShape !== undefined) return verified.indexShape;
  const configured = { slotCount: settings.indexHashSlotCount, entryCount: settings.indexEntryCount };
  const isLikely = store.layout.index.some(({ sizeBytes }) => sizeBytes === indexFileBytes(configured));
  if (isConfigured || isLikely) return configured;
  throw unknown("no index file tells how many slots it has");
}

/** Delays of the levels: as the entries that are there have them; else what is configured. */
function delayLevels(
  { verified }: Checked,
  built: readonly QueueCheck[],
  settings: BrokerSettings,
  isConfigured: boolean,
): number[] {
  const levels = [...settings.delayLevelsMs];
  for (const { topic, queueId, delayMs } of verified.queues) {
    if (topic === SCHEDULE_TOPIC && delayMs !== undefined && queueId < levels.length) {
      levels[queueId] = delayMs;
    }
  }
  const untold = built.find(({ topic, delayMs }) => topic === SCHEDULE_TOPIC && delayMs === undefined);
  if (untold === undefined || isConfigured) return levels;
  throw unknown(`no entry tells how long messages of delay level ${untold.queueId + 1} wait`);
}

export function describeRebuilt(queues: Repaired["queues"], rebuilt: Rebuilt): string {
  const parts: string[] = [];
  if (queues.length > 0) {
    const names = queues.slice(0, 10).map(({ topic, queueId }) => `${topic} ${queueId}`).join(", ");
    const more = queues.length > 10 ? ", …" : "";
    const entries = counted(rebuilt.entryCount, "entry", "entries");
    parts.push(`${counted(queues.length, "queue")} with ${entries} (${names}${more})`);
  }
  if (rebuilt.indexedCount !== undefined) {
    parts.push(`the index of ${counted(rebuilt.indexedCount, "message")}`);
  }
  const leftOut = rebuilt.leftOutCount === 0
    ? ""
    : ` ${counted(rebuilt.leftOutCount, "message")} with a place that can't be left out.`;
  return `Built from the log: ${parts.join("; ")}.${leftOut}`;
}
