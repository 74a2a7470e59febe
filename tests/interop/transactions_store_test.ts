// SPDX-License-Identifier: Apache-2.0
/**
 * Store directories with open transactions that change hands between brokers of both makes: what is settled stays
 * so, what is open is asked about by the one who has the directory now.
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

/** The first broker must not ask: it would be a matter of luck how often. */
const SILENT = { transactionCheckInterval: 3_600_000 };
const ASKING = { transactionTimeOut: 1000, transactionCheckInterval: 1000 };

interface Handover {
  readonly left: Result;
  readonly decided: Result;
}

async function handOver(
  from: Make,
  to: Make,
  version: ApacheVersion,
  end: "stop" | "kill",
): Promise<Handover> {
  const { workspace, nameServer, drivers } = await world.get();
  const driver = drivers.get(version)!;
  const namesrv = nameServer.address;
  const name = `tx-${from}-${to}`.replaceAll(".", "_");
  const site = await newBrokerSite(workspace, { name, cluster: `C_${name}`, namesrv, properties: SILENT });
  const topic = `T_${name}`;
  const args = { namesrv, topic, producerGroup: `tp_${name}`, broker: name };
  const first = await open(from, site, driver);
  await driver.admin("updateTopic", "-n", namesrv, "-b", site.address, "-t", topic, "-r", "2", "-w", "2");
  const left = await driver.run("LeaveTransactions", { ...args, prefix: "left", count: 3 });
  await (end === "stop" ? first.stop() : first.kill());
  const second = await open(to, { ...site, properties: { ...site.properties, ...ASKING } }, driver);
  const decided = await driver.run("DecideTransactions", { ...args, questions: 3, expect: 6 });
  await second.stop();
  return { left, decided };
}

async function open(make: Make, site: BrokerSite, driver: Driver) {
  const { workspace, nameServer } = await world.get();
  const broker = await startBroker(make, site, workspace);
  await driver.mustRun("AwaitQueues", { namesrv: nameServer.address, topic: site.name, count: 1 });
  return broker;
}

/** Both ways for one version, one after the other: each has an Apache broker of its own. */
const handovers = new Map(VERSIONS.map((version) => [
  version,
  lazily(async () => {
    const apache: Make = `apache-${version}`;
    const from = await handOver(apache, underTest, version, "stop");
    const to = await handOver(underTest, apache, version, "kill");
    return { from, to };
  }),
]));

for (const version of VERSIONS) {
  for (
    const [way, name] of [
      ["from", `transactions that Apache ${version} has left open are asked about here, others are not`],
      ["to", `transactions that we have left open are asked about by Apache ${version}, others are not`],
    ] as const
  ) {
    interopTest(name, { needs: [version], onlyRmq: true }, async () => {
      for (const each of presentVersions()) handovers.get(each)!.get().catch(() => {});
      const { left, decided } = (await handovers.get(version)!.get())[way];
      assert.equal(left.failure, undefined);
      assert.equal(decided.failure, undefined);
      assert.deepEqual(sorted(unique(decided.column("CHECKED", "body"))), bodies("open-left", 3));
      for (const { body, transactionId } of decided.all("CHECKED")) {
        assert.equal(transactionId, left.all("HALF", { body })[0].msgId);
      }
      assert.deepEqual(
        sorted(unique(decided.column("RECV", "body"))), // a slow answer is asked for twice
        sorted([...bodies("commit-left", 3), ...bodies("open-left", 3)]),
      );
    });
  }
}

interopTest(
  "the servers of handed over transactions end when they are told to",
  { needs: VERSIONS },
  async () => {
    const started = await world.started();
    if (!started) return;
    for (const driver of started.drivers.values()) await driver.stop();
    await started.nameServer.child.stop();
    await started.workspace.remove();
  },
);
