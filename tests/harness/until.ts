// SPDX-License-Identifier: Apache-2.0
import { setImmediate, setTimeout } from "node:timers/promises";

/** Waits until `condition` holds. @throws Error when it does not within `timeoutMs` */
export async function until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`still not so after ${timeoutMs} ms: ${condition}`);
    await setTimeout(2);
  }
}

/** Waits until `value` has not changed for `quietMs`. */
export async function settled(value: () => unknown, quietMs = 100): Promise<void> {
  let last = value();
  for (let sinceMs = performance.now(); performance.now() - sinceMs < quietMs;) {
    await setTimeout(2);
    if (value() === last) continue;
    last = value();
    sinceMs = performance.now();
  }
}

/** The same for a condition that has to ask; asked again 20 ms after each answer. */
export async function eventually(condition: () => Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!await condition()) {
    if (performance.now() > endMs) throw new Error(`still not so after ${timeoutMs} ms: ${condition}`);
    await setTimeout(20);
  }
}

/** Lets the event loop go round so many times. */
export async function turns(count: number): Promise<void> {
  for (; count > 0; count--) await setImmediate();
}
