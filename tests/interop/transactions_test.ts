// SPDX-License-Identifier: Apache-2.0
/**
 * Transactions, and requests with replies, of stock Java clients of two generations: every outcome, questions, and
 * `kill -9` while transactions are open.
 */
import assert from "node:assert/strict";
import type { ApacheVersion } from "./apache.ts";
import { Driver, type Result } from "./driver.ts";
import {
  type BrokerSite,
  type Make,
  type NameServer,
  newBrokerSite,
  startBroker,
  startNameServer,
  underTest,
  Workspace,
} from "./servers.ts";
import { interopTest, lazily, presentVersions, VERSIONS } from "./suite.ts";

const sorted = (texts: readonly string[]) => [...texts].sort();
const unique = (texts: readonly string[]) => [...new Set(texts)];
const bodies = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix} ${i}`);

/** Short periods, so that questions come within seconds. */
const PROPERTIES = { transactionTimeOut: 1000, transactionCheckInterval: 1000 };

/** Consumers look for their share every second. */
const HURRY = { "rocketmq.client.rebalance.waitInterval": "1000" };

interface World {
  readonly workspace: Workspace;
  readonly nameServer: NameServer;
  readonly drivers: ReadonlyMap<ApacheVersion, Driver>;
}

const world = lazily(async (): Promise<World> => {
  const workspace = await Workspace.create();
  const [nameServer, ...drivers] = await Promise.all([
    startNameServer(underTest, workspace),
    ...presentVersions().map((version) => Driver.start(version, workspace, HURRY)),
  ]);
  return { workspace, nameServer, drivers: new Map(drivers.map((driver) => [driver.version, driver])) };
});

async function newSite(name: string, properties = {}): Promise<BrokerSite> {
  const { workspace, nameServer } = await world.get();
  return await newBrokerSite(workspace, {
    name,
    cluster: `Cluster_${name}`,
    namesrv: nameServer.address,
    properties: { ...PROPERTIES, ...properties },
  });
}

async function open(make: Make, site: BrokerSite) {
  const { workspace, nameServer, drivers } = await world.get();
  const broker = await startBroker(make, site, workspace);
  const [driver] = drivers.values();
  await driver.mustRun("AwaitQueues", { namesrv: nameServer.address, topic: site.name, count: 1 });
  return broker;
}

async function createTopic(driver: Driver, site: BrokerSite, topic: string): Promise<void> {
  const { nameServer } = await world.get();
  await driver.admin(
    "updateTopic",
    "-n",
    nameServer.address,
    "-b",
    site.address,
    "-t",
    topic,
    "-r",
    "2",
    "-w",
    "2",
  );
}

function assertOutcomes(result: Result, delivered: readonly string[]): void {
  assert.equal(result.failure, undefined);
  const halves = result.all("HALF");
  assert.deepEqual(unique(halves.map((half) => half.status)), ["SEND_OK"]);
  for (const half of halves) assert.equal(half.transactionId, half.msgId);
  const received = result.all("RECV").filter(({ body }) => !body.startsWith("plain"));
  assert.deepEqual(sorted(received.map(({ body }) => body)), sorted(delivered));
  for (const { body, msgId, transactionId, color, tags, keys, reconsumeTimes } of received) {
    const half = halves.find((half) => half.body === body)!;
    assert.deepEqual([msgId, transactionId, color, tags, keys, reconsumeTimes], [
      half.msgId,
      half.msgId,
      "red",
      "TagA",
      body.replace(" ", "-"),
      "0",
    ]);
  }
}

// One broker that lives, for clients of both versions

const lived = lazily(async () => {
  const { nameServer, drivers } = await world.get();
  const site = await newSite("broker-tx", { transactionCheckMax: 3 });
  const broker = await open(underTest, site);
  const results = await Promise.all([...drivers].map(async ([version, driver]) => {
    const topic = `Tx_${version.replaceAll(".", "_")}`;
    const args = { namesrv: nameServer.address, topic, group: `group_${topic}` };
    await createTopic(driver, site, topic);
    await createTopic(driver, site, `Rr_${topic}`);
    await createTopic(driver, site, `Up_${topic}`);
    const [outcomes, givenUp, replies, resumed] = await Promise.all([
      driver.run("TransactionRun", {
        ...args,
        prefixes: "commit,rollback,check-commit,check-rollback",
        count: 3,
        expect: 7,
      }),
      driver.run("TransactionRun", {
        ...args,
        group: `group_open_${topic}`,
        transactionGroup: `tp_open_${topic}`,
        prefixes: "open",
        count: 2,
        expect: 1,
        questions: 6,
      }),
      driver.run("RequestReply", { ...args, topic: `Rr_${topic}`, group: `group_rr_${topic}` }),
      driver.run("ResumeTransaction", { ...args, topic: `Up_${topic}`, broker: site.name }),
    ]);
    return [version, { outcomes, givenUp, replies, resumed }] as const;
  }));
  return { broker, site, results: new Map(results) };
});

for (const version of VERSIONS) {
  const livedTest = (
    name: string,
    check: (seen: { outcomes: Result; givenUp: Result; replies: Result; resumed: Result }) => void,
  ) =>
    interopTest(`client ${version}: ${name}`, { needs: [version] }, async () => {
      check((await lived.get()).results.get(version)!);
    });

  livedTest(
    "committed messages are delivered once, with their transaction's id, rolled back ones never",
    (seen) => assertOutcomes(seen.outcomes, [...bodies("commit", 3), ...bodies("check-commit", 3)]),
  );

  livedTest(
    "a producer that has not decided is asked with its message, and decides by its answer",
    ({ outcomes }) => {
      const asked = outcomes.all("CHECKED");
      assert.deepEqual(
        unique(sorted(asked.map(({ body }) => body))),
        sorted([...bodies("check-commit", 3), ...bodies("check-rollback", 3)]),
      );
      for (const { body, transactionId, color, tags, topic } of asked) {
        const half = outcomes.all("HALF", { body })[0];
        assert.deepEqual([transactionId, color, tags], [half.transactionId, "red", "TagA"]);
        assert.match(topic, /^Tx_/);
      }
    },
  );

  livedTest("a producer that never decides is asked transactionCheckMax times about each", ({ givenUp }) => {
    assert.equal(givenUp.failure, undefined);
    for (const body of bodies("open", 2)) {
      assert.deepEqual(givenUp.column("CHECKED", "times", { body }), ["1", "2", "3"]);
    }
    assert.deepEqual(givenUp.column("RECV", "body").filter((body) => body.startsWith("open")), []);
  });

  livedTest(
    "a transaction that was given up is asked about again when an operator wants it",
    ({ resumed }) => {
      assert.equal(resumed.failure, undefined);
      const [{ body, topic, realTopic, times }] = resumed.all("GIVEN_UP");
      assert.deepEqual([body, topic, times], ["open 0", "TRANS_CHECK_MAX_TIME_TOPIC", "3"]);
      assert.match(realTopic, /^Up_Tx_/);
      assert.equal(resumed.value("resumed"), "true");
      assert.deepEqual(resumed.column("CHECKED", "times").slice(0, 4), ["1", "2", "3", "1"]);
      assert.deepEqual(resumed.column("RECV", "body"), ["open 0"]);
    },
  );

  livedTest("replies reach the one who asked, synchronously and asynchronously", ({ replies }) => {
    assert.equal(replies.failure, undefined);
    assert.deepEqual(replies.column("ANSWER", "body"), bodies("answer to question", 6));
    assert.deepEqual(unique(replies.column("ANSWER", "color")), ["green"]);
    const sent = replies.all("SENT").filter(({ body }) => /question \d/.test(body));
    assert.deepEqual(sent.map(({ status }) => status), Array(6).fill("SEND_OK"));
    assert.equal(replies.value("timedOut"), "true");
  });
}

// kill -9 while transactions are open

const killed = lazily(async () => {
  const { nameServer, drivers } = await world.get();
  const site = await newSite("broker-tx-kill");
  let broker = await open(underTest, site);
  const runs = await Promise.all([...drivers].map(async ([version, driver]) => {
    const topic = `TxKill_${version.replaceAll(".", "_")}`;
    await createTopic(driver, site, topic);
    const run = driver.hold("TransactionRun", {
      namesrv: nameServer.address,
      topic,
      group: `group_${topic}`,
      prefixes: "commit,open,rollback",
      count: 4,
      expect: 9,
      held: 1,
      limitSeconds: 100,
    });
    await run.printed("WAITING");
    return { version, run };
  }));
  await broker.kill();
  broker = await open(underTest, site);
  for (const { run } of runs) run.release();
  const results = await Promise.all(
    runs.map(async ({ version, run }) => [version, await run.result] as const),
  );
  await broker.stop();
  return new Map(results);
});

for (const version of VERSIONS) {
  interopTest(`client ${version}: a broker that is killed between half and commit loses neither`, {
    needs: [version],
    onlyRmq: true,
  }, async () => {
    const result = (await killed.get()).get(version)!;
    assert.equal(result.failure, undefined);
    const received = unique(result.column("RECV", "body").filter((body) => !body.startsWith("plain")));
    assert.deepEqual(sorted(received), sorted([...bodies("commit", 4), ...bodies("open", 4)]));
    // decisions are sent one-way: the last ones may have died with the broker, and are asked for
    const asked = new Set(result.column("CHECKED", "body"));
    assert.deepEqual(bodies("open", 4).filter((body) => !asked.has(body)), []);
  });
}

interopTest("the servers of transactions end when they are told to", { needs: VERSIONS }, async () => {
  const started = await world.started();
  if (!started) return;
  for (const driver of started.drivers.values()) await driver.stop();
  await (await lived.started())?.broker.stop();
  await started.nameServer.child.stop();
  await started.workspace.remove();
});
