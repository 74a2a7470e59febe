// SPDX-License-Identifier: Apache-2.0
import type { Clock, Timer } from "../base/clock.ts";

/** [RMQ ClientHousekeepingService] */
const PERIOD_MS = 10_000;

/** Something that forgets what nobody has refreshed: `Clients`, `QueueLocks`. */
export interface Expiring {
  removeExpired(): void;
}

/** Lets each forget what has expired, every ten seconds until cancelled. */
export function startHousekeeping(clock: Clock, ...expiring: readonly Expiring[]): Timer {
  return clock.every(PERIOD_MS, () => {
    for (const each of expiring) each.removeExpired();
  });
}
