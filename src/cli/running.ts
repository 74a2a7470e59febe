// SPDX-License-Identifier: Apache-2.0
/** How `rmq shutdown` finds the processes of this machine: by locks, which end with their process whatever happens. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { getLogger } from "@logtape/logtape";
import { findLockHolder, lockFile } from "../base/runtime/file_lock.ts";

const logger = getLogger(["rmq", "cli"]);

/** A process that serves, for others to find. */
export interface RunningMark {
  /** Takes the files away again. */
  remove(): void;
}

/** Where a name server leaves its lock and its pid: beside its table of keys, apart by port. */
export function nameServerRunDirectory(kvTableFile: string, port: number): string {
  return join(dirname(kvTableFile), `rmq-namesrv-${port}`);
}

/** Where a broker leaves its pid. Its lock is the store's. */
export function brokerPidFile(storeDirectory: string): string {
  return join(storeDirectory, "rmq", "broker.pid");
}

/**
 * Leaves lock and pid of a name server. It serves without them, too: that it can't be found is only told to the
 * operator.
 */
export async function markNameServer(kvTableFile: string, port: number): Promise<RunningMark> {
  const directory = nameServerRunDirectory(kvTableFile, port);
  try {
    mkdirSync(directory, { recursive: true });
    const lock = await lockFile(join(directory, "lock"));
    writePid(join(directory, "pid"));
    return {
      remove() {
        rmSync(directory, { recursive: true, force: true });
        lock.release();
      },
    };
  } catch (error) {
    logger.warn(
      "{directory} can't be written, so `rmq shutdown namesrv` won't find this name server: {error}",
      {
        directory,
        error,
      },
    );
    return { remove() {} };
  }
}

/** Leaves the pid of a broker, for tools that watch processes. */
export function markBroker(storeDirectory: string): RunningMark {
  const file = brokerPidFile(storeDirectory);
  try {
    mkdirSync(dirname(file), { recursive: true });
    writePid(file);
  } catch (error) {
    logger.warn("the pid file {file} can't be written: {error}", { file, error });
  }
  return { remove: () => rmSync(file, { force: true }) };
}

function writePid(file: string): void {
  writeFileSync(file, `${process.pid}\n`);
}

/** Who holds a lock; undefined where nobody does. */
export async function processOf(lock: string): Promise<number | undefined> {
  return (await findLockHolder(lock))?.pid;
}
