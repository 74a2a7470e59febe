// SPDX-License-Identifier: Apache-2.0
/**
 * Brokers and name servers of all makes together: every broker registers with every name server, and clients find every
 * broker through each of them. Then one after the other goes away.
 */
import assert from "node:assert/strict";
import type { ApacheVersion } from "./apache.ts";
import type { Child } from "./child.ts";
import { Driver } from "./driver.ts";
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
import { interopTest, lazily, VERSIONS } from "./suite.ts";

/** Two of the server under test, and one of each Apache version. */
const NAME_SERVERS: readonly (readonly [name: string, make: Make])[] = [
  ["first", underTest],
  ["second", underTest],
  ["apache-5.4.0", "apache-5.4.0"],
  ["apache-4.9.7", "apache-4.9.7"],
];

const BROKERS: readonly (readonly [name: string, make: Make])[] = [
  ["broker-tested", underTest],
  ["broker-apache5", "apache-5.4.0"],
  ["broker-apache4", "apache-4.9.7"],
];

const NEEDS: readonly ApacheVersion[] = VERSIONS;

interface World {
  readonly workspace: Workspace;
  readonly driver: Driver;
  readonly nameServers: ReadonlyMap<string, NameServer>;
  readonly sites: ReadonlyMap<string, BrokerSite>;
  readonly brokers: Map<string, Child>;
}

async function startWorld(): Promise<World> {
  const workspace = await Workspace.create();
  const [driver, ...started] = await Promise.all([
    Driver.start("5.4.0", workspace),
    ...NAME_SERVERS.map(([, make]) => startNameServer(make, workspace)),
  ]);
  const nameServers = new Map(NAME_SERVERS.map(([name], i) => [name, started[i]]));
  const namesrv = started.map((nameServer) => nameServer.address).join(";");
  const sites = new Map<string, BrokerSite>();
  const brokers = new Map<string, Child>();
  await Promise.all(BROKERS.map(async ([name, make]) => {
    const site = await newBrokerSite(workspace, { name, cluster: "ClusterN", namesrv });
    sites.set(name, site);
    brokers.set(name, await startBroker(make, site, workspace));
  }));
  return { workspace, driver, nameServers, sites, brokers };
}

const world = lazily(startWorld);

/** Waits until a name server knows these brokers and no others. */
async function assertKnows(started: World, nameServer: string, brokers: readonly string[]): Promise<void> {
  const { address } = started.nameServers.get(nameServer)!;
  const result = await started.driver.run("AwaitBrokers", { namesrv: address, brokers: brokers.join(",") });
  assert.equal(result.failure, undefined, `${nameServer} knows ${result.value("known")}`);
}

for (const [nameServer] of NAME_SERVERS) {
  interopTest(`brokers of all makes register with name server ${nameServer}`, { needs: NEEDS }, async () => {
    await assertKnows(await world.get(), nameServer, BROKERS.map(([name]) => name));
  });
}

for (const [nameServer] of NAME_SERVERS) {
  interopTest(
    `topics made through name server ${nameServer} are known to all of them`,
    { needs: NEEDS },
    async () => {
      const { driver, nameServers, sites } = await world.get();
      const topic = `Made_through_${nameServer.replaceAll(".", "_")}`;
      const made = await driver.admin(
        "updateTopic",
        ...["-n", nameServers.get(nameServer)!.address, "-c", "ClusterN", "-t", topic, "-r", "2", "-w", "2"],
      );
      for (const site of sites.values()) {
        assert.ok(made.includes(`create topic to ${site.address} success.`), made);
      }
      for (const [other, { address }] of nameServers) {
        const queues = await driver.run("AwaitQueues", { namesrv: address, topic, count: 6 });
        assert.equal(queues.failure, undefined, `${other} knows ${queues.value("queues")} queues`);
      }
    },
  );

  interopTest(
    `a client that knows only name server ${nameServer} uses every broker`,
    { needs: NEEDS },
    async () => {
      const { driver, nameServers } = await world.get();
      const args = {
        namesrv: nameServers.get(nameServer)!.address,
        topic: `Made_through_${nameServer.replaceAll(".", "_")}`,
        group: `group_through_${nameServer.replaceAll(".", "_")}`,
      };
      const sent = await driver.mustRun("SendMany", { ...args, prefix: nameServer, count: 12 });
      assert.deepEqual(sent.column("SENT", "status"), Array(12).fill("SEND_OK"));
      const brokers = new Set(sent.column("SENT", "brokerName"));
      assert.deepEqual([...brokers].sort(), BROKERS.map(([name]) => name).sort());
      const consumed = await driver.mustRun("ConsumeSome", { ...args, expect: 12 });
      assert.deepEqual(
        [...new Set(consumed.column("RECV", "body"))].sort(),
        sent.column("SENT", "body").sort(),
      );
    },
  );
}

interopTest(
  "clients of several name servers go on when one ends",
  { needs: NEEDS },
  async () => {
    const { driver, nameServers } = await world.get();
    const [first, second] = [nameServers.get("first")!, nameServers.get("second")!];
    const held = driver.hold("SendAround", {
      namesrv: `${first.address};${second.address}`,
      topic: "Made_through_first",
      otherTopic: "Made_through_second",
    });
    await held.printed("HALFWAY");
    await first.child.stop();
    held.release();
    const result = await held.result;
    assert.equal(result.failure, undefined);
    const bodies = (word: string) => result.column("SENT", "body").filter((body) => body.startsWith(word));
    assert.deepEqual([bodies("before").length, bodies("after").length], [6, 6]);
  },
);

interopTest("brokers stay registered with the name servers that are left", { needs: NEEDS }, async () => {
  const started = await world.get();
  for (const name of ["second", "apache-5.4.0", "apache-4.9.7"]) {
    await assertKnows(started, name, BROKERS.map(([broker]) => broker));
  }
});

for (const [gone, ...left] of [BROKERS.map(([name]) => name), BROKERS.slice(1).map(([name]) => name)]) {
  interopTest(`${gone} takes itself off every name server when it ends`, { needs: NEEDS }, async () => {
    const started = await world.get();
    await started.brokers.get(gone)!.stop();
    started.brokers.delete(gone);
    for (const name of ["second", "apache-5.4.0", "apache-4.9.7"]) await assertKnows(started, name, left);
  });
}

interopTest("a killed broker is forgotten when its connections break", { needs: NEEDS }, async () => {
  const started = await world.get();
  await started.brokers.get("broker-apache4")!.kill();
  started.brokers.delete("broker-apache4");
  for (const name of ["second", "apache-5.4.0", "apache-4.9.7"]) await assertKnows(started, name, []);
});

interopTest("the name servers and brokers end when they are told to", { needs: NEEDS }, async () => {
  const started = await world.started();
  if (!started) return;
  await started.driver.stop();
  await Promise.all([...started.brokers.values()].map((broker) => broker.stop()));
  await Promise.all(
    [...started.nameServers.values()].filter(({ child }) => child.isRunning).map(({ child }) => child.stop()),
  );
  await started.workspace.remove();
});
