// SPDX-License-Identifier: Apache-2.0
/**
 * Masters and slaves whose network breaks and whose machines die.
 *
 * `SEEDS=5000` tries so many lives; `SEED=7` repeats one, and tells its story.
 */
import process from "node:process";
import { test } from "node:test";
import { eachSeed } from "./campaign.ts";
import { ReplicationLife } from "./replication_life.ts";

test(
  "what a SYNC_MASTER has acknowledged is on a slave, whatever breaks, and slaves catch up or say why not",
  {
    timeout: 24 * 3_600_000,
  },
  async () => {
    const options = { file: "tests/fault/replication_test.ts", filter: "SYNC_MASTER", seeds: 100 };
    const totals = await eachSeed(options, (random) => {
      const life = new ReplicationLife(random);
      const counts = { acknowledged: 0 };
      const run = async () => {
        await life.live(random.between(20, 150));
        counts.acknowledged = life.acknowledgedCount;
      };
      return { story: life.story, counts, run };
    });
    if (process.env.SEED === undefined && totals.acknowledged === 0) {
      throw new Error("nothing was ever acknowledged");
    }
  },
);
