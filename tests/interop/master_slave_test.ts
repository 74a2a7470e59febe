// SPDX-License-Identifier: Apache-2.0
/**
 * Masters and slaves of both makes: the log is the same, byte for byte, and tables follow; then Java consumers go on
 * at the slave when the master is killed, and come back to it.
 *
 * By default each make of Apache is seen once in each role; RMQ_LONG=1 runs all pairs, and waits for the tables of a
 * slave of 5.x, which it copies for the first time a minute after its start.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { parseOffsets } from "../../src/broker/consumer_offsets.ts";
import { parseJsonObject } from "../../src/protocol/java_json.ts";
import { eventually } from "../harness/until.ts";
import type { ApacheVersion } from "./apache.ts";
import { Driver } from "./driver.ts";
import { newPair, type Pair } from "./replica.ts";
import { startNameServer, Workspace } from "./servers.ts";
import { interopTest, lazily, VERSIONS } from "./suite.ts";

const isLong = process.env.RMQ_LONG === "1";

async function startWorld() {
  const workspace = await Workspace.create();
  const nameServer = await startNameServer("rmq", workspace, { supportActingMaster: true });
  return { workspace, nameServer, drivers: new Map<ApacheVersion, Promise<Driver>>() };
}

const world = lazily(startWorld);

async function driverOf(version: ApacheVersion): Promise<Driver> {
  const { drivers, workspace } = await world.get();
  if (!drivers.has(version)) drivers.set(version, Driver.start(version, workspace));
  return await drivers.get(version)!;
}

async function withPair(
  name: string,
  use: (pair: Pair, namesrv: string) => Promise<void>,
  properties: Record<string, string | number | boolean> = {},
): Promise<void> {
  const { workspace, nameServer } = await world.get();
  const pair = await newPair(workspace, { name, cluster: "C", namesrv: nameServer.address, properties });
  try {
    await use(pair, nameServer.address);
  } finally {
    await pair.stop();
  }
}

/** A topic with 4 queues at this broker alone, a group with positions in it. */
async function fill(driver: Driver, namesrv: string, name: string, address: string): Promise<void> {
  await driver.admin("updateTopic", "-n", namesrv, "-b", address, "-t", name, "-r", "4", "-w", "4");
  await driver.mustRun("AwaitQueues", { namesrv, topic: name, count: 4 });
  await driver.mustRun("SendMany", { namesrv, topic: name, prefix: name, count: 20, bytes: 500_000 });
  await driver.mustRun("ConsumeSome", { namesrv, topic: name, group: `g_${name}`, expect: 20 });
}

/** The slave has the master's log from its beginning. */
async function assertSameLog({ master, slave, client }: Pair): Promise<void> {
  const { minOffset, maxOffset } = await slave.api(client).log();
  assert.equal(minOffset, 0);
  const [theirs, ours] = await Promise.all([master.logBytes(maxOffset), slave.logBytes(maxOffset)]);
  assert.ok(theirs.equals(ours));
}

/** What mqadmin prints of a master and its slave; haStatus is of 5.x. */
async function assertShown(driver: Driver, namesrv: string, { master, slave }: Pair): Promise<void> {
  const list = await driver.admin("clusterList", "-n", namesrv);
  for (const [id, { site }] of [master, slave].entries()) {
    assert.match(list, new RegExp(`${site.name} +${id} +${site.address.replaceAll(".", "\\.")} `), list);
    const status = await driver.admin("brokerStatus", "-n", namesrv, "-b", site.address);
    assert.match(status, new RegExp(`brokerActive +: ${id === 0}`), status);
    if (!driver.version.startsWith("5.")) continue;
    const shown = await driver.admin("haStatus", "-n", namesrv, "-b", site.address);
    assert.doesNotMatch(shown, /Exception/);
    if (id === 0) assert.match(shown, /#InSyncSlaveNum\s+1/, shown);
    else assert.match(shown, new RegExp(`#MasterAddr\\s+127\\.0\\.0\\.1:${master.site.port + 1}`), shown);
  }
}

/** The positions of the group in a table of `topic@group` keys. */
function positions(text: string, name: string): [queueId: number, offset: number][] {
  return parseOffsets(parseJsonObject(text))
    .filter(([group, topic]) => group === `g_${name}` && topic === name)
    .map(([, , queueId, offset]): [number, number] => [queueId, offset]).sort((a, b) => a[0] - b[0]);
}

function suffixOf(version: ApacheVersion): string {
  return version.replaceAll(".", "_");
}

for (const version of VERSIONS.filter((version) => isLong || version === "4.9.7")) {
  const name = suffixOf(version);
  interopTest(`a slave of Apache ${version} copies the log and the tables of rmq`, {
    needs: [version],
    onlyRmq: true,
  }, () =>
    withPair(`slave_${name}`, async (pair, namesrv) => {
      const { master, slave } = pair;
      const topic = `Slave_${name}`;
      await master.start("rmq");
      await fill(await driverOf(version), namesrv, topic, master.site.address);
      await slave.start(`apache-${version}`);
      await pair.caughtUp(40_000);
      await assertSameLog(pair);
      if (version.startsWith("5.") && !isLong) return;
      await eventually(async () => {
        const text = await slave.table("consumerOffset.json").catch(() => "{}");
        return positions(text, topic).reduce((sum, [, offset]) => sum + offset, 0) === 20;
      }, 100_000);
      assert.ok((await slave.table("topics.json")).includes(`"${topic}"`));
      await eventually(async () =>
        (await slave.table("subscriptionGroup.json").catch(() => "")).includes(`"g_${topic}"`)
      );
    }));
}

for (const version of VERSIONS.filter((version) => isLong || version === "5.4.0")) {
  const name = suffixOf(version);
  interopTest(`rmq as a slave copies the log and the tables of Apache ${version}`, {
    needs: [version],
    onlyRmq: true,
  }, () =>
    withPair(`master_${name}`, async (pair, namesrv) => {
      const { master, slave } = pair;
      const topic = `Master_${name}`;
      await master.start(`apache-${version}`);
      await fill(await driverOf(version), namesrv, topic, master.site.address);
      await slave.start("rmq");
      await pair.caughtUp();
      await assertSameLog(pair);
      await eventually(async () => {
        const table = JSON.stringify(await slave.api(pair.client).consumerOffsets());
        return positions(table, topic).reduce((sum, [, offset]) => sum + offset, 0) === 20;
      }, 30_000);
      assert.equal((await slave.api(pair.client).topics()).topics.get(topic)!.readQueueNums, 4);
      await eventually(async () => (await slave.api(pair.client).groups()).groups.has(`g_${topic}`));
    }));

  interopTest(`Java ${version} consumers go on at the slave when the master is killed, and come back`, {
    needs: [version],
    onlyRmq: true,
  }, () =>
    withPair(`failover_${name}`, async (pair, namesrv) => {
      const driver = await driverOf(version);
      const { master, slave } = pair;
      const topic = `Failover_${name}`;
      const args = { namesrv, topic, group: `g_${topic}` };
      await master.start("rmq");
      await slave.start("rmq");
      await driver.admin(
        "updateTopic",
        "-n",
        namesrv,
        "-b",
        master.site.address,
        "-t",
        topic,
        "-r",
        "4",
        "-w",
        "4",
      );
      await driver.mustRun("AwaitQueues", { namesrv, topic, count: 4 });
      const sent = await driver.mustRun("SendMany", { ...args, prefix: "m", count: 80 });
      await pair.caughtUp();
      await assertShown(driver, namesrv, pair);
      const consuming = driver.hold("ConsumeSlowly", { ...args, expect: 80, tellAfter: 16 });
      await consuming.printed("REACHED");
      await master.kill();
      const consumed = await consuming.result;
      assert.equal(consumed.failure, undefined);
      const received = consumed.column("RECV", "body");
      assert.deepEqual([...received].sort(), sent.column("SENT", "body").sort(), "each once");

      await master.start("rmq");
      await driver.mustRun("AwaitQueues", { namesrv, topic, count: 4 });
      const committed = await driver.mustRun("Committed", args);
      assert.deepEqual(committed.column("COMMITTED", "offset"), committed.column("COMMITTED", "max"));
      await driver.mustRun("SendMany", { ...args, prefix: "after", count: 8 });
      const rest = await driver.mustRun("ConsumeSome", { ...args, expect: 8 });
      assert.deepEqual(
        rest.column("RECV", "body").sort(),
        Array.from({ length: 8 }, (_, i) => `after ${i}`).sort(),
      );
      await pair.caughtUp();
    }));
}

for (const version of VERSIONS.filter(() => isLong)) {
  const name = suffixOf(version);

  interopTest(`a returning rmq takes the end of its log, and positions, from a slave of Apache ${version}`, {
    needs: [version],
    onlyRmq: true,
  }, () =>
    withPair(`return_${name}`, async (pair, namesrv) => {
      const driver = await driverOf(version);
      const { master, slave, client } = pair;
      const topic = `Return_${name}`;
      const args = { namesrv, topic, prefix: "m" };
      await master.start("rmq");
      await slave.start(`apache-${version}`);
      await driver.admin(
        "updateTopic",
        "-n",
        namesrv,
        "-b",
        master.site.address,
        "-t",
        topic,
        "-r",
        "4",
        "-w",
        "4",
      );
      await driver.mustRun("AwaitQueues", { namesrv, topic, count: 4 });
      await driver.mustRun("SendMany", { ...args, count: 20 });
      await pair.caughtUp(40_000);
      await master.stop();
      await master.keepStore();
      await master.start("rmq");
      await driver.mustRun("AwaitQueues", { namesrv, topic, count: 4 });
      await driver.mustRun("SendMany", { ...args, prefix: "later", count: 20 });
      await pair.caughtUp(40_000);
      const { maxOffset } = await slave.api(client).log();
      await master.kill();
      await master.bringStoreBack();
      await master.start("rmq");
      assert.equal((await master.api(client).log()).maxOffset, maxOffset);
      await driver.mustRun("AwaitQueues", { namesrv, topic, count: 4 });
      await driver.mustRun("SendMany", { ...args, prefix: "after", count: 4 });
      await pair.caughtUp(40_000);
      await assertSameLog(pair);
    }));

  interopTest(
    `name servers of Apache ${version} tell a slave where its master is, and remember it for a master`,
    {
      needs: [version],
      onlyRmq: true,
    },
    async () => {
      const { workspace } = await world.get();
      const nameServer = await startNameServer(`apache-${version}`, workspace);
      const pair = await newPair(workspace, {
        name: `named_${name}`,
        cluster: "C",
        namesrv: nameServer.address,
      });
      try {
        await pair.slave.start("rmq");
        await pair.master.start("rmq");
        const driver = await driverOf(version);
        const args = { namesrv: nameServer.address, topic: `Named_${name}`, prefix: "m", count: 10 };
        await driver.mustRun("SendMany", args);
        await pair.caughtUp();
        await pair.slave.api(pair.client).commitOffset("TOOLS_CONSUMER", `named_${name}`, 0, 0);
        await pair.master.stop();
        await pair.master.start("rmq");
        await eventually(async () =>
          JSON.stringify(await pair.master.api(pair.client).consumerOffsets()).includes("TOOLS_CONSUMER")
        );
      } finally {
        await pair.stop();
        await nameServer.child.stop();
      }
    },
  );

  interopTest(`rmq as a slave hands positions to a master of Apache ${version} that comes back`, {
    needs: [version],
    onlyRmq: true,
  }, () =>
    withPair(`hand_${name}`, async (pair, namesrv) => {
      const { master, slave, client } = pair;
      const topic = `Hand_${name}`;
      await master.start(`apache-${version}`);
      await slave.start("rmq");
      await fill(await driverOf(version), namesrv, topic, master.site.address);
      await pair.caughtUp(40_000);
      const positionAt = async (member: Pair["master"]) =>
        positions(JSON.stringify(await member.api(client).consumerOffsets()), topic)[0]?.[1];
      await eventually(async () => await positionAt(slave) > 0, 30_000);
      const consumed = await positionAt(slave);
      await master.stop();
      // one that is ahead of what the master knows: as if it had consumed on here
      await slave.api(client).commitOffset(`g_${topic}`, topic, 0, consumed + 3);
      await master.start(`apache-${version}`);
      assert.equal(await positionAt(master), consumed);
      await eventually(async () => await positionAt(master) === consumed + 3, 60_000);
      assert.equal(await positionAt(slave), consumed + 3);
    }));

  interopTest(`Java ${version} consumers in order begin at a slave that stands in for its master`, {
    needs: [version],
    onlyRmq: true,
  }, () =>
    withPair(`order_${name}`, async (pair, namesrv) => {
      const driver = await driverOf(version);
      const { master, slave } = pair;
      const topic = `Order_${name}`;
      const args = { namesrv, topic, group: `g_${topic}` };
      await master.start("rmq");
      await slave.start("rmq");
      await driver.admin(
        "updateTopic",
        "-n",
        namesrv,
        "-b",
        master.site.address,
        "-t",
        topic,
        "-r",
        "2",
        "-w",
        "2",
      );
      await driver.mustRun("AwaitQueues", { namesrv, topic, count: 2 });
      const sent = await driver.mustRun("SendMany", { ...args, prefix: "m", count: 40 });
      await pair.caughtUp();
      await eventually(async () => (await slave.api(pair.client).topics()).topics.has(topic));
      await master.kill();
      // it begins only now: without someone in the master's place there is nobody who gives it locks
      const consumed = await driver.mustRun("ConsumeSlowly", { ...args, expect: 40, orderly: 1, pauseMs: 5 });
      for (const queueId of ["0", "1"]) {
        const received = consumed.column("RECV", "queueOffset", { queueId }).map(Number);
        const wanted = sent.all("SENT", { queueId }).length;
        assert.deepEqual([...new Set(received)], Array.from({ length: wanted }, (_, i) => i), "in order");
      }
    }, { enableSlaveActingMaster: true }));
}

interopTest("everything that was started is stopped", { needs: [] }, async () => {
  const started = await world.started();
  if (started === undefined) return;
  for (const driver of started.drivers.values()) await (await driver).stop();
  await started.nameServer.child.stop();
  await started.workspace.remove();
});
