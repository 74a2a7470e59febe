// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { type FileLock, FileLockedError, lockFile } from "../base/runtime/file_lock.ts";
import { REPAIR_DIRECTORY } from "../store/inspect/layout.ts";
import { describeOptions, parseCommandLine, UsageError } from "./args.ts";
import type { Command } from "./command.ts";
import { checkedFacts, checkStore, describeChecked, statusOf } from "./store_check.ts";
import { directoryOf, openStore, storeOptions } from "./store_open.ts";
import { type Repaired, repairStore } from "./store_repair.ts";

const options = {
  repair: { help: "Build again from the log what is wrong of queues and index, then check again" },
  all: { help: "With --repair: all queues and the index, wrong or not" },
  configFile: {
    short: "c",
    value: "FILE",
    help: "The broker's configuration, for --repair where the files do not tell their sizes",
  },
  ...storeOptions,
} as const;

export const storeVerifyCommand: Command = {
  summary: "Check everything; build queues and index again if asked to",
  help:
    `Checks a whole store: every message of the log, queues, index, consumer offsets, delay offsets, checkpoint and
the tables in config. It says what is wrong, where, what it means and what to do. The exit status is 0 if nothing is
wrong, 1 otherwise. Without --repair it writes nothing, and may be used beside a running broker.

  rmq store verify DIR [options]

${describeOptions(options)}
--repair never changes the log. It refuses while another process has the store, and keeps what it replaces in
DIR/${REPAIR_DIRECTORY} until the second check has found the new files right.
`,
  async run(args, surroundings) {
    const { given, operands } = parseCommandLine(options, args, 1);
    const { print } = surroundings;
    if (given.help) return print(storeVerifyCommand.help), 0;
    const directory = directoryOf(operands);
    const { commitlog, configFile, all } = given;
    if (!given.repair) {
      if (all || configFile !== undefined) throw new UsageError("--all and --configFile go with --repair.");
      const checked = await checkStore({ directory, commitlog, isOurs: false }, surroundings);
      print(given.json ? toJson(checkedFacts(checked)) : describeChecked(checked));
      return statusOf(checked);
    }
    // Nothing is made in a directory that holds no store.
    (await openStore(directory, commitlog)).reader.close();
    const lock = await takeLock(directory);
    try {
      const tell = given.json ? () => {} : print;
      const repaired = await repairStore({ directory, commitlog, configFile, all, tell }, surroundings);
      if (given.json) print(toJson(repairedFacts(repaired)));
      return statusOf(repaired.after);
    } finally {
      lock.release();
    }
  },
};

async function takeLock(directory: string): Promise<FileLock> {
  try {
    return await lockFile(join(directory, "lock"));
  } catch (error) {
    if (!(error instanceof FileLockedError)) throw error;
    throw new Error(`${error.message}. Stop it first; nothing was changed.`, { cause: error });
  }
}

function repairedFacts({ before, queues, rebuilt, after, isKept }: Repaired) {
  return {
    before: checkedFacts(before),
    rebuilt: rebuilt === undefined ? null : {
      queues: queues.map(({ topic, queueId }) => ({ topic, queueId })),
      entryCount: rebuilt.entryCount,
      leftOutCount: rebuilt.leftOutCount,
      indexedCount: rebuilt.indexedCount ?? null,
      keptIn: isKept ? rebuilt.keptIn : null,
    },
    after: checkedFacts(after),
  };
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
