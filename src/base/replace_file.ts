// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

/**
 * Replaces a small file so that a crash leaves the old or the new content, never a mixture: writes a
 * neighbour, syncs it, renames it over, syncs the directory (made if it is missing). Durable on return.
 * @param backup where the old content is kept, if there was any
 * @throws the errors of `node:fs`; the file is then as it was
 */
export function replaceFile(path: string, content: Uint8Array | string, backup?: string): void {
  const directory = dirname(path);
  mkdirSync(directory, { recursive: true });
  const neighbour = `${path}.tmp`;
  try {
    writeSynced(neighbour, content);
    if (backup !== undefined && existsSync(path)) copyFileSync(path, backup);
    renameSync(neighbour, path);
  } catch (error) {
    rmSync(neighbour, { force: true });
    throw error;
  }
  syncDirectory(directory);
}

function writeSynced(path: string, content: Uint8Array | string): void {
  const file = openSync(path, "w");
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncDirectory(directory: string): void {
  const handle = openSync(directory, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
