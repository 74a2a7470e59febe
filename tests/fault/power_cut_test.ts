// SPDX-License-Identifier: Apache-2.0
/**
 * Stores that die at any moment, by a kill or a power cut, also while they are opened, and go on.
 *
 * `SEEDS=5000` tries so many lives; `SEED=7` repeats one, and tells its story.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SeededRandom } from "../harness/seeded_random.ts";
import { eachSeed } from "./campaign.ts";
import { StoreLife } from "./store_life.ts";

async function liveAndDie(life: StoreLife, random: SeededRandom): Promise<void> {
  await life.open();
  for (let deaths = random.between(2, 5); deaths > 0; deaths--) {
    await life.use(random.between(0, 40));
    if (random.next() < 0.3) {
      assert.ok(await life.stop());
      assert.ok(life.wasMarkedClean, "a store that was stopped left its abort file");
      if (random.next() < 0.5) {
        await life.open();
        await life.use(random.between(0, 20));
        await life.die();
      } else {
        life.endAtOnce();
      }
    } else {
      await life.die();
    }
    await life.open(0.3);
    await life.check();
    const ends = life.ends();
    await life.restart();
    assert.deepEqual(life.ends(), ends, "a clean restart changed something");
    await life.check();
  }
  await life.stop();
}

for (const flushMode of ["SYNC", "ASYNC"] as const) {
  test(`under ${flushMode} flush no death loses what was promised, nor brings back what was lost`, {
    timeout: 24 * 3_600_000,
  }, async () => {
    const file = "tests/fault/power_cut_test.ts";
    await eachSeed({ file, filter: `under ${flushMode} flush`, seeds: 150 }, (random) => {
      const life = new StoreLife(random, { flushMode });
      const { story, counts } = life;
      return { story, counts, run: () => liveAndDie(life, random) };
    });
  });
}
