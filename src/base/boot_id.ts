// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";

/**
 * Names the run of the machine: another one after each start of its system, the same for all processes in between.
 * Undefined where the system does not tell.
 */
export function bootId(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}
