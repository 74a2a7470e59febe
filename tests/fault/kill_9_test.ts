// SPDX-License-Identifier: Apache-2.0
/**
 * The broker's process is killed with SIGKILL in the middle of its work, again and again on the same store. After each
 * start every message that was ever acknowledged must be at its place, with its bytes.
 *
 * By default a few kills under the load of a small sender. `KILLS=50` makes a campaign of it, with the native load
 * generator (built with cargo) as sender and verifier. `KILL_SEED` repeats the moments, as far as time repeats.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { generator, runLoad } from "../bench/generator.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import type { Child } from "../interop/child.ts";
import { type BrokerSite, newBrokerSite, startBroker, underTest, Workspace } from "../interop/servers.ts";
import { report } from "./campaign.ts";
import { faults, Ledger, readQueue, sendUntilGone } from "./ledger.ts";

const KILLS = 3;
const QUEUES = 4;
const campaign = process.env.KILLS === undefined ? undefined : Number(process.env.KILLS);

for (const flushDiskType of ["ASYNC_FLUSH", "SYNC_FLUSH"]) {
  if (campaign === undefined) {
    const name = `every message acknowledged under ${flushDiskType} survives ${KILLS} kills of the process`;
    test(name, { timeout: 180_000 }, () => withSite(flushDiskType, killUnderSmallLoad));
  } else {
    const name =
      `every message acknowledged under ${flushDiskType} survives ${campaign} kills under full load`;
    const timeout = 60_000 + campaign * 30_000;
    test(name, { timeout }, () => withSite(flushDiskType, (...site) => killUnderFullLoad(campaign, ...site)));
  }
}

/** Log files so small that many a kill comes while one is full and the next one made. */
const SMALL_FILES = { mappedFileSizeCommitLog: 1 << 20, mappedFileSizeConsumeQueue: 20 * 500 };

async function withSite(
  flushDiskType: string,
  use: (site: BrokerSite, workspace: Workspace, random: SeededRandom) => Promise<void>,
): Promise<void> {
  const seed = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 32));
  console.log(`${flushDiskType}: KILL_SEED=${seed}`);
  const workspace = await Workspace.create();
  try {
    const properties = { flushDiskType, ...(campaign === undefined ? SMALL_FILES : {}) };
    const site = await newBrokerSite(workspace, {
      name: "ledger",
      cluster: "fault",
      namesrv: "",
      properties,
    });
    await use(site, workspace, new SeededRandom(seed));
  } finally {
    await workspace.remove();
  }
}

/** Waits for something that another process brings about, as long as the broker lives. */
async function waitUntil(condition: () => boolean, broker: Child): Promise<void> {
  while (!condition()) {
    assert.ok(broker.isRunning, `the broker ended by itself\n${broker.tail()}`);
    await delay(5);
  }
}

async function killUnderSmallLoad(
  site: BrokerSite,
  workspace: Workspace,
  random: SeededRandom,
): Promise<void> {
  const ledger = new Ledger("Ledger", QUEUES);
  let broker = await startBroker(underTest, site, workspace);
  try {
    for (let kill = 1; kill <= KILLS; kill++) {
      const before = ledger.acknowledged.length;
      const sending = sendUntilGone(site.address, ledger, 16);
      await waitUntil(() => ledger.acknowledged.length > before, broker);
      await Promise.race([sending, delay(random.between(0, 800))]);
      assert.ok(broker.isRunning, `the broker ended by itself\n${broker.tail()}`);
      await broker.kill();
      await sending;
      assert.ok(existsSync(join(site.storePath, "abort")), "a killed broker leaves its abort file");

      broker = await startBroker(underTest, site, workspace);
      const reads = Array.from(
        { length: QUEUES },
        (_, queueId) => readQueue(site.address, ledger.topic, queueId),
      );
      const found = faults(ledger, await Promise.all(reads));
      assert.deepEqual(found.slice(0, 10), [], `${found.length} faults after kill ${kill}\n${broker.tail()}`);
    }
    report("tests/fault/kill_9_test.ts", { kills: KILLS, acknowledged: ledger.acknowledged.length });
    console.log(`${KILLS} kills, ${ledger.acknowledged.length} messages acknowledged, none lost`);
  } finally {
    await broker.stop();
  }
  assert.ok(
    !existsSync(join(site.storePath, "abort")),
    "a broker that was stopped takes its abort file away",
  );
}

async function killUnderFullLoad(
  kills: number,
  site: BrokerSite,
  workspace: Workspace,
  random: SeededRandom,
): Promise<void> {
  const program = await generator();
  const target = ["--addr", site.address];
  const ledgers: string[] = [];
  let acknowledged = 0;
  let broker = await startBroker(underTest, site, workspace);
  const verify = async (ledger: string, when: string) => {
    const report = await runLoad(program, ["verify", ...target, "--ledger", ledger]);
    assert.ok(report.succeeded && report.sound, `${when}: ${JSON.stringify(report)}\n${broker.tail()}`);
  };
  try {
    for (let kill = 1; kill <= kills; kill++) {
      const ledger = join(workspace.path, `ledger-${kill}`);
      const shape = ["--conns", `${random.between(1, 16)}`, "--window", `${random.between(1, 64)}`];
      const size = ["--size", `${random.between(44, 4000)}`];
      const load = ["--topic", "Ledger", "--queues", `${QUEUES}`, "--duration", "60", "--ledger", ledger];
      const sending = runLoad(program, ["send", ...target, ...load, ...shape, ...size]);
      await waitUntil(() => existsSync(ledger), broker);
      await Promise.race([sending, delay(random.between(0, 1500))]);
      assert.ok(broker.isRunning, `the broker ended by itself\n${broker.tail()}`);
      await broker.kill();
      const sent = (await sending).send!.acked;
      acknowledged += sent;

      broker = await startBroker(underTest, site, workspace);
      if (sent === 0) continue; // killed before the first answer
      ledgers.push(ledger);
      await verify(ledger, `kill ${kill}`);
    }
    for (const ledger of ledgers) await verify(ledger, `${ledger} after all kills`);
    assert.ok(acknowledged > 0, "nothing was ever acknowledged");
    report("tests/fault/kill_9_test.ts", { kills, acknowledged });
    console.log(`${kills} kills, ${acknowledged} messages acknowledged, none lost`);
  } finally {
    await broker.stop();
  }
}
