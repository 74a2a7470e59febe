// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";

let known: number | undefined;

/**
 * How many files and sockets this process may have open (`ulimit -n`); Infinity where the system does not
 * tell. A process that runs out of them can't accept connections, and Deno never accepts again.
 */
export function descriptorLimit(): number {
  return known ??= readLimit();
}

function readLimit(): number {
  try {
    const line = /^Max open files\s+([0-9]+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    return line === null ? Infinity : Number(line[1]);
  } catch {
    return Infinity;
  }
}
