// SPDX-License-Identifier: Apache-2.0
import { dirname } from "node:path";
import type { Files } from "./files.ts";

/**
 * Makes a directory with its parents.
 * @param changed gets the directories that hold new names, outermost first, also where this throws half-way: they
 * have to be synced before anything below is durable, since syncing a file makes neither its name durable nor
 * those of the directories above it
 */
export function makeDirectory(files: Files, path: string, changed: Set<string>): void {
  const parent = dirname(path);
  if (files.stat(path) !== undefined || parent === path) return;
  makeDirectory(files, parent, changed);
  changed.add(parent);
  files.makeDirectory(path);
}

/** Makes a directory with its parents; durable on return. */
export function makeDurableDirectory(files: Files, path: string): void {
  const changed = new Set<string>();
  try {
    makeDirectory(files, path, changed);
  } finally {
    for (const directory of changed) files.syncDirectory(directory);
  }
}
