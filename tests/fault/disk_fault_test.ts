// SPDX-License-Identifier: Apache-2.0
/**
 * Stores on disks that fail now and then: full, broken, out of descriptors, at every kind of call.
 *
 * `SEEDS=5000` tries so many lives; `SEED=7` repeats one, and tells its story.
 */
import { test } from "node:test";
import type { SeededRandom } from "../harness/seeded_random.ts";
import { eachSeed } from "./campaign.ts";
import { StoreLife } from "./store_life.ts";

async function liveWithFaults(life: StoreLife, random: SeededRandom): Promise<void> {
  await life.open();
  for (let lives = random.between(1, 4); lives > 0; lives--) {
    await life.use(random.between(5, 40));
    life.mend();
    await life.checkAlive();
    if (random.next() < 0.3) await life.use(random.between(0, 10));
    if (random.next() < 0.4) {
      await life.stop();
      life.mend();
      if (random.next() < 0.5) life.endAtOnce();
    } else {
      await life.die();
      life.mend();
    }
    await life.open();
    await life.check();
  }
  await life.stop();
}

for (const flushMode of ["SYNC", "ASYNC"] as const) {
  test(`under ${flushMode} flush no fault of the disk loses what was promised, and most pass`, {
    timeout: 24 * 3_600_000,
  }, async () => {
    const file = "tests/fault/disk_fault_test.ts";
    await eachSeed({ file, filter: `under ${flushMode} flush`, seeds: 150 }, (random) => {
      const life = new StoreLife(random, { flushMode, faultOdds: 0.1 });
      const { story, counts } = life;
      return { story, counts, run: () => liveWithFaults(life, random) };
    });
  });
}
