// SPDX-License-Identifier: Apache-2.0
import { join, resolve } from "node:path";
import { findLockHolder, type LockHolder } from "../base/runtime/file_lock.ts";
import type { Findings } from "../store/inspect/findings.ts";
import { readLayout, type StoreLayout } from "../store/inspect/layout.ts";
import type { StoreState } from "../store/inspect/queue_check.ts";
import { diskReader, type StoreReader } from "../store/inspect/reader.ts";
import { type Option, UsageError } from "./args.ts";

/** Options of all commands that look into a store. */
export const storeOptions = {
  commitlog: { value: "DIR", help: "Where the log is, if not in DIR/commitlog (storePathCommitLog)" },
  json: { help: "JSON instead of text" },
  help: { short: "h", help: "Print this text" },
} as const satisfies Record<string, Option>;

/** A store that is looked at. */
export interface OpenedStore {
  readonly reader: StoreReader;
  readonly layout: StoreLayout;
  readonly state: StoreState;
  /** Who has it now; undefined for nobody. */
  readonly holder: LockHolder | undefined;
}

/** The directory that a command is about. @throws UsageError without one */
export function directoryOf(operands: readonly string[]): string {
  if (operands.length === 0) throw new UsageError("the directory of the store is missing.");
  return resolve(operands[0]);
}

/**
 * Sees which files there are and who has them. Nothing is changed.
 * @param options findings: gets what is wrong with the files' names and sizes. isOurs: we have the store's lock
 * @throws where there is no store
 */
export async function openStore(
  directory: string,
  commitlog: string | undefined,
  options: { findings?: Findings; isOurs?: boolean } = {},
): Promise<OpenedStore> {
  const reader = diskReader();
  if (reader.stat(directory)?.kind !== "directory") throw new Error(`there is no directory ${directory}.`);
  const commitLogDirectory = commitlog === undefined ? join(directory, "commitlog") : resolve(commitlog);
  const holder = options.isOurs ? undefined : await findLockHolder(join(directory, "lock"));
  const layout = readLayout(reader, directory, commitLogDirectory, options.findings);
  const hasLog = reader.stat(commitLogDirectory)?.kind === "directory";
  if (!hasLog && (commitlog !== undefined || layout.queues.length > 0)) {
    throw new Error(
      `there is no log in ${commitLogDirectory}. If storePathCommitLog is set, tell it with --commitlog.`,
    );
  }
  if (!hasLog && !reader.list(directory).includes("checkpoint")) {
    throw new Error(`${directory} holds no store: neither a commitlog directory nor a checkpoint.`);
  }
  const state = holder !== undefined ? "in use" : layout.abort !== undefined ? "unclean" : "clean";
  return { reader, layout, state, holder };
}

/** How the last process left the store, or who has it, as a sentence. */
export function describeState({ state, holder, layout }: OpenedStore): string {
  switch (state) {
    case "in use":
      return `in use by ${holder!.description}; the last second or so may not be on the disk yet`;
    case "unclean":
      return `not in use; the last process${
        pidNote(layout.abort!)
      } did not stop properly, the next start checks the log`;
    case "clean":
      return "not in use, stopped properly";
  }
}

function pidNote(abort: string): string {
  return /^[0-9]+$/.test(abort) ? ` (${abort})` : "";
}
