// SPDX-License-Identifier: Apache-2.0
/**
 * What a SYNC_MASTER of either make has acknowledged is on its slave of either make when the master is killed; and
 * whichever of them was killed, their logs are the same afterwards, byte for byte.
 *
 * Starts of Apache brokers take their time: pairs with 4.9.7 are tried with RMQ_LONG=1 only.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { Producer } from "../../src/client/producer.ts";
import { eventually, until } from "../harness/until.ts";
import type { ApacheVersion } from "./apache.ts";
import { newPair, type Pair } from "./replica.ts";
import { type Make, startNameServer, Workspace } from "./servers.ts";
import { interopTest, lazily, VERSIONS } from "./suite.ts";

const SENDERS = 8;

const world = lazily(async () => {
  const workspace = await Workspace.create();
  return { workspace, nameServer: await startNameServer("rmq", workspace) };
});

/** Senders that never stop of themselves, and remember what they were told. */
class Load {
  readonly #producer: Producer;
  readonly #topic: string;
  #sentCount = 0;
  #isOver = false;
  #running: Promise<unknown>;
  /** Bodies that were acknowledged as being on a slave. */
  readonly acknowledged: string[] = [];

  constructor(nameServers: string, topic: string) {
    this.#producer = new Producer({ nameServers, group: "load", retries: 0, timeoutMs: 8000 });
    this.#topic = topic;
    this.#running = Promise.all(Array.from({ length: SENDERS }, () => this.#send()));
  }

  async #send(): Promise<void> {
    while (!this.#isOver) {
      const body = `<${this.#topic} ${++this.#sentCount} ${"x".repeat(this.#sentCount % 700)}>`;
      try {
        const { status } = await this.#producer.send({ topic: this.#topic, body });
        if (status === "SEND_OK") this.acknowledged.push(body);
        else await setTimeout(50);
      } catch {
        await setTimeout(50);
      }
      await setTimeout(2);
    }
  }

  /** Resolves when so many more messages were acknowledged. */
  async more(count: number): Promise<void> {
    const target = this.acknowledged.length + count;
    await until(() => this.acknowledged.length >= target, 60_000);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    this.#producer.stop();
    await this.#running;
  }
}

async function withPair(
  makes: { master: Make; slave: Make },
  use: (pair: Pair, load: Load) => Promise<void>,
): Promise<void> {
  const { workspace, nameServer } = await world.get();
  const name = `sync_${makes.master}_${makes.slave}`.replaceAll(/[.-]/g, "_");
  const pair = await newPair(workspace, {
    ...{ name, cluster: "C", namesrv: nameServer.address },
    properties: { registerNameServerPeriod: 10_000 },
    // Without it an Apache master of 5.x waits for nobody.
    master: {
      brokerRole: "SYNC_MASTER",
      ...(makes.master === "apache-5.4.0" ? { inSyncReplicas: 2, totalReplicas: 2 } : {}),
    },
  });
  let load: Load | undefined;
  try {
    await pair.master.start(makes.master);
    await pair.slave.start(makes.slave);
    load = new Load(nameServer.address, `Sync_${name}`);
    await use(pair, load);
  } finally {
    await load?.stop();
    await pair.stop();
  }
}

async function checkAcknowledged(pair: Pair, load: Load): Promise<void> {
  const log = (await pair.slave.logBytes(Infinity)).toString("latin1");
  const there = new Set(log.match(/<Sync_\w+ [0-9]+ x*>/g));
  const missing = load.acknowledged.filter((body) => !there.has(body));
  assert.deepEqual(missing.slice(0, 3), [], `${missing.length} of ${load.acknowledged.length} are missing`);
}

async function checkSameLog(pair: Pair): Promise<void> {
  await pair.caughtUp(60_000);
  const { maxOffset } = await pair.master.api(pair.client).log();
  const [theirs, ours] = await Promise.all([pair.master.logBytes(maxOffset), pair.slave.logBytes(maxOffset)]);
  const at = theirs.findIndex((byte, index) => byte !== ours[index]);
  assert.equal(Buffer.compare(theirs, ours), 0, `the logs differ at ${at}`);
}

function pairing(master: Make, slave: Make, needs: ApacheVersion[]): void {
  interopTest(`what ${master} as SYNC_MASTER has acknowledged is on its slave, ${slave}`, {
    needs,
    onlyRmq: true,
  }, () =>
    withPair({ master, slave }, async (pair, load) => {
      await load.more(200);
      await pair.slave.kill();
      await pair.slave.start(slave);
      await load.more(400);
      await pair.master.kill();
      await checkAcknowledged(pair, load);
      await pair.master.start(master);
      await load.more(200);
      await load.stop();
      await checkAcknowledged(pair, load);
      await checkSameLog(pair);
    }));
}

pairing("rmq", "rmq", []);
for (const version of VERSIONS) {
  if (version === "4.9.7" && process.env.RMQ_LONG !== "1") continue;
  pairing("rmq", `apache-${version}`, [version]);
  pairing(`apache-${version}`, "rmq", [version]);
}

interopTest("a SYNC_MASTER without a slave tells so at once, and stores all the same", {
  needs: [],
  onlyRmq: true,
}, async () => {
  const { workspace, nameServer } = await world.get();
  const namesrv = nameServer.address;
  const properties = { brokerRole: "SYNC_MASTER" };
  const pair = await newPair(workspace, { name: "alone", cluster: "C", namesrv, master: properties });
  const producer = new Producer({ nameServers: namesrv, group: "alone", retries: 0 });
  try {
    await pair.master.start("rmq");
    await eventually(async () => {
      const startMs = performance.now();
      const { status, queueOffset } = await producer.send({ topic: "Alone", body: "x", queueId: 0 });
      assert.equal(status, "SLAVE_NOT_AVAILABLE");
      return queueOffset >= 0 && performance.now() - startMs < 1000;
    }, 10_000);
  } finally {
    producer.stop();
    await pair.stop();
  }
});

interopTest("everything that was started is stopped", { needs: [] }, async () => {
  const started = await world.started();
  await started?.nameServer.child.stop();
  await started?.workspace.remove();
});
