// SPDX-License-Identifier: Apache-2.0
/**
 * The whole broker through kills and power cuts: what was acknowledged is consumed at least once, delayed messages and
 * those that were given back too, no group is ever ahead of the messages that it has seen, and tables, queues, index
 * and progress agree with the log.
 *
 * `SEEDS=2000` tries so many lives; `SEED=7` repeats one, and tells its story.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SeededRandom } from "../harness/seeded_random.ts";
import { BrokerLife } from "./broker_life.ts";
import { eachSeed } from "./campaign.ts";

async function liveAndDie(life: BrokerLife, random: SeededRandom): Promise<void> {
  await life.start();
  for (let deaths = random.between(1, 4); deaths > 0; deaths--) {
    await life.use(random.between(0, 50));
    if (random.next() < 0.25) await life.stop();
    else await life.die();
    await life.start(0.3);
  }
  await life.finish();
  await life.stop();
}

for (const flushDiskType of ["SYNC_FLUSH", "ASYNC_FLUSH"]) {
  const name = `under ${flushDiskType} no death of the broker breaks a promise`;
  test(name, { timeout: 24 * 3_600_000 }, async () => {
    const file = "tests/fault/broker_life_test.ts";
    const totals = await eachSeed({ file, filter: `under ${flushDiskType}`, seeds: 60 }, (random) => {
      const life = new BrokerLife(random, flushDiskType);
      const { story, counts } = life;
      return { story, counts, run: () => liveAndDie(life, random) };
    });
    assert.ok(totals.acknowledged > 0, "nothing was ever acknowledged");
  });
}
