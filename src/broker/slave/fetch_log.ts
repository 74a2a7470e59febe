// SPDX-License-Identifier: Apache-2.0
import type { Clock, Timer } from "../../base/clock.ts";
import { ReplicationSlave, type ReplicationSlaveOptions } from "../../replication/mod.ts";
import type { SlaveSource } from "../master_return.ts";
import { probeOf } from "./slave.ts";

/** Without a byte more for so long, what is fetched from is taken for gone. */
const STALLED_MS = 30_000;
const LOOK_MS = 100;

/**
 * Follows the log of another broker until this one reaches `endOffset`, and makes it durable. Rejects with a
 * sentence where the logs do not fit, or where nothing comes any more.
 */
export async function fetchLog(
  options: ReplicationSlaveOptions,
  source: SlaveSource,
  endOffset: number,
): Promise<void> {
  const { store, clock } = options;
  const following = new ReplicationSlave(options);
  try {
    const arrived = reached(following, store, clock, endOffset);
    following.follow({ haAddress: source.haAddress, probe: probeOf(() => source.api) });
    await arrived;
  } finally {
    following.close();
  }
  await store.flush();
}

function reached(
  following: ReplicationSlave,
  store: ReplicationSlaveOptions["store"],
  clock: Clock,
  endOffset: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let lastEnd = store.writtenOffset;
    let lastGrowthMs = clock.monotonicMs();
    const timer: Timer = clock.every(LOOK_MS, () => {
      const { phase, problem } = following.state;
      const end = store.writtenOffset;
      if (end > lastEnd) lastGrowthMs = clock.monotonicMs();
      lastEnd = end;
      if (end >= endOffset) settle(resolve);
      else if (phase === "REFUSING") settle(() => reject(new Error(problem)));
      else if (clock.monotonicMs() - lastGrowthMs > STALLED_MS) {
        settle(() => reject(new Error(problem ?? "nothing has come for a while")));
      }
    });
    const settle = (done: () => void) => {
      timer.cancel();
      done();
    };
  });
}
