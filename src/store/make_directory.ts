// SPDX-License-Identifier: Apache-2.0
import { dirname } from "node:path";
import type { Files } from "./files.ts";

/**
 * Makes a directory with its parents.
 * @returns the directories that hold new names, outermost first: they have to be synced before anything below
 * is durable, since syncing a file makes neither its name durable nor those of the directories above it
 */
export function makeDirectory(files: Files, path: string): string[] {
  const parent = dirname(path);
  if (files.stat(path) !== undefined || parent === path) return [];
  const changed = makeDirectory(files, parent);
  files.makeDirectory(path);
  return [...changed, parent];
}

/** Makes a directory with its parents; durable on return. */
export function makeDurableDirectory(files: Files, path: string): void {
  for (const changed of makeDirectory(files, path)) files.syncDirectory(changed);
}
