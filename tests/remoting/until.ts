// SPDX-License-Identifier: Apache-2.0
import { setTimeout } from "node:timers/promises";

/** Waits until `condition` holds. @throws Error when it does not within `timeoutMs` */
export async function until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`still not so after ${timeoutMs} ms: ${condition}`);
    await setTimeout(2);
  }
}
