// SPDX-License-Identifier: Apache-2.0
/**
 * Masters and slaves whose network breaks and whose machines die.
 *
 * `SEEDS=5000` tries so many lives; `SEED=7` repeats one, and tells its story.
 */
import process from "node:process";
import { test } from "node:test";
import { SeededRandom } from "../harness/seeded_random.ts";
import { ReplicationLife } from "./replication_life.ts";

const SEEDS = Number(process.env.SEEDS ?? 100);
const ONLY_SEED = process.env.SEED === undefined ? undefined : Number(process.env.SEED);

test(
  "what a SYNC_MASTER has acknowledged is on a slave, whatever breaks, and slaves catch up or say why not",
  {
    timeout: 24 * 3_600_000,
  },
  async () => {
    const first = ONLY_SEED ?? 1;
    let acknowledgedCount = 0;
    for (let seed = first; seed < first + (ONLY_SEED === undefined ? SEEDS : 1); seed++) {
      const random = new SeededRandom(seed);
      const life = new ReplicationLife(random);
      try {
        await life.live(random.between(20, 150));
      } catch (error) {
        const command = `SEED=${seed} deno test -A tests/fault/replication_test.ts`;
        throw new Error(`seed ${seed}; repeat with: ${command}\n${life.story.join("\n")}`, { cause: error });
      }
      acknowledgedCount += life.acknowledgedCount;
    }
    if (ONLY_SEED === undefined && acknowledgedCount === 0) throw new Error("nothing was ever acknowledged");
  },
);
