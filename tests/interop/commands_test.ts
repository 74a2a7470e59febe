// SPDX-License-Identifier: Apache-2.0
/**
 * `rmq`'s commands for administrators against name servers and brokers of the real Apache RocketMQ, with stock clients
 * connected. Each version is started once, and gone through in one go.
 */
import assert from "node:assert/strict";
import { Rmq } from "../cli/admin/rmq.ts";
import type { ApacheVersion } from "./apache.ts";
import { Driver } from "./driver.ts";
import { type Make, newBrokerSite, startBroker, startNameServer, Workspace } from "./servers.ts";
import { interopTest, VERSIONS } from "./suite.ts";

const BROKER = "broker-x";
const CLUSTER = "ClusterX";

interface World {
  readonly rmq: Rmq;
  readonly driver: Driver;
  readonly namesrv: string;
  /** Of the broker. */
  readonly storePath: string;
}

async function inWorld(version: ApacheVersion, go: (world: World) => Promise<void>): Promise<void> {
  const workspace = await Workspace.create();
  const ends: (() => Promise<unknown>)[] = [];
  try {
    const [{ namesrv, storePath }, driver] = await Promise.all([
      startServers(`apache-${version}`, workspace, ends),
      Driver.start(version, workspace),
    ]);
    ends.push(() => driver.stop());
    await driver.mustRun("AwaitBrokers", { namesrv, brokers: BROKER });
    await go({ rmq: new Rmq(namesrv), driver, namesrv, storePath });
  } finally {
    await Promise.all(ends.map((end) => end()));
    await workspace.remove();
  }
}

async function startServers(
  make: Make,
  workspace: Workspace,
  ends: (() => Promise<unknown>)[],
): Promise<Pick<World, "namesrv" | "storePath">> {
  const { address: namesrv, child } = await startNameServer(make, workspace);
  ends.push(() => child.kill());
  const properties = { autoCreateTopicEnable: false, traceTopicEnable: true };
  const site = await newBrokerSite(workspace, { name: BROKER, cluster: CLUSTER, namesrv, properties });
  const broker = await startBroker(make, site, workspace);
  ends.push(() => broker.kill());
  return { namesrv, storePath: site.storePath };
}

for (const version of VERSIONS) {
  interopTest(`the commands work against Apache ${version}`, { needs: [version] }, async () => {
    await inWorld(version, async (world) => {
      await brokers(world, version);
      await topics(world, version);
      await groupsAndMessages(world, version);
      await nameServers(world);
      // An orderly end takes Java some ten seconds: one version says it for both.
      if (version === "4.9.7") await shutdown(world);
    });
  });
}

/** Repeats a command until what it answers is right, or time is up. */
async function until<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (isRight(answer) || Date.now() > deadline) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function brokers({ rmq }: World, version: ApacheVersion): Promise<void> {
  // A broker of 4.9 fails when it is asked for its state before it has counted for a second.
  await until(() => rmq.run(["broker", "list"]), ({ status }) => status === 0);
  const { brokers: [broker] } = await rmq.json("broker", "list");
  assert.deepEqual([broker.broker, broker.cluster, broker.id, broker.version], [
    BROKER,
    CLUSTER,
    0,
    `V${version.replaceAll(".", "_")}`,
  ]);
  assert.ok(broker.startedMs > 0 && broker.diskUse > 0);
  assert.match(await rmq.ok("broker", "status", BROKER), /^Role +master$/m);
  const { clusters: [cluster] } = await rmq.json("cluster", "list");
  assert.deepEqual([cluster.cluster, cluster.masters, cluster.slaves], [CLUSTER, 1, 0]);
  await rmq.ok("broker", "config", "set", "-b", BROKER, "fileReservedTime=71");
  assert.equal(await rmq.ok("broker", "config", "get", "fileReservedTime"), "fileReservedTime=71\n");
  for (const what of ["log", "queues", "topics"]) await rmq.ok("broker", "clean", what, "--yes");
  const { out } = await rmq.run(["doctor", "--json"]);
  const check = JSON.parse(out).checks.find((one: { check: string }) => one.check === `broker ${BROKER}`);
  assert.ok(check !== undefined && check.finding !== "", out);
}

async function topics({ rmq }: World, version: ApacheVersion): Promise<void> {
  await rmq.ok("topic", "create", "orders", "--queues", "2");
  const typed = version === "4.9.7" ? [] : ["--type", "FIFO"];
  await rmq.ok("topic", "create", "typed", "--write-queues", "3", "--perm", "w", ...typed);
  await rmq.ok("topic", "update", "typed", "--perm", "rw");
  const { topics: [one] } = await rmq.json("topic", "list", "typed");
  assert.deepEqual([one.brokers[0].writeQueues, one.brokers[0].perm], [3, 6]);
  assert.equal(one.messageType, version === "4.9.7" ? "NORMAL" : "FIFO");
  assert.deepEqual(await rmq.ok("topic", "list", "-q"), "orders\ntyped\n");
  await rmq.ok("topic", "delete", "typed", "--yes");
  assert.match(await rmq.fails("topic", "show", "typed"), /there is no topic typed/);
  assert.match(await rmq.fails("topic", "create", "bad name"), /bad name|illegal|character/i);
}

async function groupsAndMessages({ rmq, driver, namesrv }: World, version: ApacheVersion): Promise<void> {
  await rmq.ok("group", "create", "billing", "--retries", "3");
  const held = driver.hold("Traced", { namesrv, topic: "orders", group: "billing", count: 2 });
  await held.printed("RECV");
  const members = await until(
    () => rmq.json("group", "members", "billing"),
    (answer) => answer.members.length === 1,
  );
  assert.deepEqual([members.consumeType, members.members[0].language, members.members[0].version], [
    "push",
    "JAVA",
    version,
  ]);
  assert.ok(members.subscriptions.some((one: { topic: string; expression: string }) => {
    return one.topic === "orders" && one.expression === "TagA || TagB";
  }));
  const client = await rmq.json("group", "client", "billing", "--threads");
  assert.equal(client.properties.PROP_CLIENT_VERSION, `V${version.replaceAll(".", "_")}`);
  assert.ok(client.queues.filter((one: { topic: string }) => one.topic === "orders").length === 2);
  assert.match(client.jstack, /ConsumeMessageThread/);
  const { producers } = await until(
    () => rmq.json("producer", "list", "p_orders"),
    (answer) => answer.producers.length > 0,
  );
  assert.equal(producers[0].version, version);
  assert.match(await rmq.ok("group", "list", "billing"), /^billing +1 +push +clustering +orders +3 /m);

  const lag = await until(() => rmq.json("group", "lag", "billing"), (answer) => answer.lag === 0);
  assert.equal(lag.lag, 0);
  const { messages: [traced] } = await rmq.json("message", "find", "orders", "traced-0");
  assert.equal(traced.body, "traced 0");
  const { events } = await until(
    () =>
      rmq.run(["message", "trace", traced.messageId, "--json"]).then(({ out }) =>
        out === "" ? { events: [] } : JSON.parse(out)
      ),
    (answer) => answer.events.filter((one: { event: string }) => one.event === "consumed").length > 0,
  );
  assert.deepEqual(events.map((one: Record<string, unknown>) => [one.event, one.group, one.isSuccess]), [
    ["sent", "p_orders", true],
    ["consumed", "billing", true],
  ]);
  held.release();
  await held.result;

  const [sent] = await rmq.jsonLines("message", "send", "orders", "later", "--key", "k", "--queue", "1");
  assert.equal((await rmq.json("message", "get", sent.messageId, "-t", "orders")).body, "later");
  assert.equal((await rmq.json("message", "get", sent.offsetMessageId)).body, "later");
  assert.equal((await rmq.json("message", "at", "orders", "1", String(sent.queueOffset))).body, "later");
  if (version === "4.9.7") {
    const refused = await rmq.fails("message", "send", "orders", "x", "--delay", "10s");
    assert.match(refused, /broker-x is of version 4\.9\.7, which knows delay levels only/);
    assert.match((await rmq.run(["broker", "replication"])).err, /does not know this request/);
    assert.match(
      (await rmq.run(["group", "mode", "billing", "orders", "pop"])).err,
      /does not know this request/,
    );
  } else {
    await rmq.ok("message", "send", "orders", "x", "--delay", "1h");
    await rmq.ok("group", "mode", "billing", "orders", "pull");
    assert.equal((await rmq.json("broker", "replication")).brokers[0].role, "master");
  }
  const tail = await rmq.jsonLines("message", "tail", "orders", "--tags", "TagA");
  assert.deepEqual(tail.map(({ body }) => body), ["traced 0", "traced 1"]);

  const { queues } = await rmq.json("offset", "reset", "billing", "orders", "--to", "earliest", "--yes");
  assert.deepEqual(queues.map((one: { to: number }) => one.to), [0, 0]);
  const again = await rmq.json("offset", "reset", "billing", "orders", "--to", "latest", "--dry-run");
  assert.equal(again.isDryRun, true);
  if (version === "4.9.7") {
    // Nobody is connected, so the positions were written.
    const { queues: positions } = await rmq.json("offset", "show", "billing", "orders");
    assert.deepEqual(positions.map((one: { consumerOffset: number }) => one.consumerOffset), [0, 0]);
  }
  const consumed = await driver.mustRun("ConsumeSome", {
    namesrv,
    topic: "orders",
    group: "billing",
    expect: 3,
  });
  assert.equal(consumed.all("RECV").length >= 3, true);
  await rmq.ok("group", "create", "copy");
  await rmq.ok("offset", "clone", "billing", "copy", "orders", "--yes");
  const top = await rmq.json("top", "--interval", "100ms");
  assert.ok(
    top.topics.some((one: { topic: string; messages: number }) =>
      one.topic === "orders" && one.messages === 3
    ),
  );
  await rmq.ok("group", "delete", "copy", "--yes");
  assert.match(await rmq.fails("group", "show", "copy"), /no group copy/);
}

async function nameServers({ rmq }: World): Promise<void> {
  const drained = await rmq.json("broker", "drain", BROKER, "--yes");
  assert.ok(drained.nameServers[0].topics > 0);
  assert.equal((await rmq.json("topic", "route", "orders")).brokers[0].perm, 4);
  await rmq.ok("broker", "resume", BROKER);
  await rmq.ok("kv", "put", "space", "key", "value");
  assert.equal(await rmq.ok("kv", "get", "space", "key"), "value\n");
  await rmq.ok("kv", "delete", "space", "key", "--yes");
  await rmq.ok("config", "set", "orderMessageEnable=true");
  assert.equal(await rmq.ok("config", "get", "orderMessageEnable"), "orderMessageEnable=true\n");
}

/** Java's brokers lock their stores, too. */
async function shutdown({ rmq, storePath }: World): Promise<void> {
  assert.match(
    await rmq.ok("shutdown", "broker", "--store", storePath),
    /^The broker \(process \d+\) has ended\.\n$/,
  );
  assert.match(await rmq.fails("shutdown", "broker", "--store", storePath), /no broker has the store/);
}
