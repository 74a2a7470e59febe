// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { NameServerApi } from "../../../src/client/name_server_api.ts";
import { DataVersion } from "../../../src/protocol/bodies/data_version.ts";
import { EMPTY_REGISTRATION } from "../../../src/protocol/bodies/register_broker.ts";
import { topicConfig } from "../../../src/protocol/bodies/topic_config.ts";
import { RemotingClient } from "../../../src/remoting/client.ts";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { Rmq, terminal } from "./rmq.ts";

/** Nothing listens there: ports below 1024 are not given to tests. */
const DEAD_ADDRESS = "127.0.0.1:9";

/** Makes a name server believe in a broker, of which nothing but this is there. @returns what ends it */
async function register(nameServer: string, brokerName: string, brokerId: number, address: string) {
  const client = new RemotingClient();
  await NameServerApi.at(client, nameServer).registerBroker(
    {
      brokerName,
      brokerAddr: address,
      clusterName: "DefaultCluster",
      haServerAddr: "127.0.0.1:10",
      brokerId,
      heartbeatTimeoutMillis: undefined,
      enableActingMaster: undefined,
      __ZONE_NAME: undefined,
    },
    {
      ...EMPTY_REGISTRATION,
      dataVersion: DataVersion.initial(Date.now()),
      topicConfigTable: new Map(["ghost", "other"].map((name) => [name, topicConfig(name)])),
    },
  );
  return () => client.close();
}

describe("rmq broker and rmq cluster", () => {
  let cluster: TestCluster;
  let rmq: Rmq;

  before(async () => {
    cluster = await startTestCluster();
    rmq = new Rmq(cluster.nameServer.address);
  });

  after(() => cluster.stop());

  test("list shows brokers, cluster list what they do together", async () => {
    await rmq.ok("topic", "create", "counted");
    await rmq.ok("message", "send", "counted", "x", "--repeat", "3");
    const { brokers } = await rmq.json("broker", "list");
    assert.equal(brokers.length, 1);
    const [one] = brokers;
    assert.deepEqual([one.broker, one.id, one.address, one.inToday], [
      "broker-a",
      0,
      cluster.broker.address,
      3,
    ]);
    assert.ok(one.logMaxOffset > 0 && one.startedMs > 0);
    assert.match(await rmq.ok("broker", "list"), /^DefaultCluster +broker-a +0 +127\.0\.0\.1:\d+ +5\.4\.0 /m);
    const { clusters: [all] } = await rmq.json("cluster", "list");
    assert.deepEqual([all.cluster, all.brokers, all.masters, all.slaves, all.inToday], [
      "DefaultCluster",
      ["broker-a"],
      1,
      0,
      3,
    ]);
    assert.match(await rmq.ok("cluster", "list"), /^DefaultCluster +1 +0 +\d+ /m);
  });

  test("a narrow terminal gets fewer columns, never longer lines", async () => {
    const { out } = await rmq.run(["broker", "list"], terminal(70));
    assert.ok(out.split("\n").every((line) => line.length <= 70), out);
    assert.match(out, /^BROKER +ID +ADDRESS +VERSION +IN\/S +OUT\/S .*DISK +UP$/m);
  });

  test("status tells what matters in words, --all everything", async () => {
    const out = await rmq.ok("broker", "status", "broker-a");
    assert.match(out, /^Role +master$/m);
    assert.match(out, /^Messages in +\S+ per second, \d+ today$/m);
    assert.match(await rmq.ok("broker", "status", "--all"), /^commitLogDiskRatio +0\.\d+$/m);
    const { brokers: [{ runtime }] } = await rmq.json("broker", "status", cluster.broker.address);
    assert.equal(runtime.brokerActive, "true");
    assert.match(await rmq.fails("broker", "status", "broker-b"), /no broker broker-b; there is broker-a/);
  });

  test("config get takes patterns, config set changes and says what waits for the next start", async () => {
    assert.equal(await rmq.ok("broker", "config", "get", "brokerName"), "brokerName=broker-a\n");
    assert.match(
      await rmq.ok("broker", "config", "get", "flush*"),
      /^flushCommitLogLeastPages=.*\n(flush.*\n)+$/,
    );
    assert.match(await rmq.fails("broker", "config", "get", "nothing"), /no broker has a key nothing/);
    assert.equal(
      await rmq.ok("broker", "config", "set", "-b", "broker-a", "maxMessageSize=1000"),
      "broker-a: changed.\n",
    );
    const { brokers: [{ config }] } = await rmq.json("broker", "config", "get", "maxMessageSize");
    assert.deepEqual(config, { maxMessageSize: "1000" });
    assert.match(
      await rmq.ok("broker", "config", "set", "-c", "DefaultCluster", "listenPort=10999"),
      /^broker-a: changed\. From the next start: listenPort\.\n$/,
    );
    assert.match(
      await rmq.fails("broker", "config", "set", "maxMessageSize=1"),
      /say which brokers with --broker/,
    );
    assert.match(await rmq.fails("broker", "config", "set", "-b", "broker-a", "x"), /x is no KEY=VALUE/);
    assert.match(
      await rmq.fails("broker", "config", "set", "-b", "broker-a", "nothing=1"),
      /broker-a \(.*\): it has no key nothing; nothing was changed/,
    );
    assert.match(
      await rmq.fails("broker", "config", "set", "-b", "broker-a", "maxMessageSize=many"),
      /broker-a \(.*\): .*maxMessageSize/,
    );
  });

  test("drain takes producers away, waits until the broker is empty, and resume lets them back", async () => {
    await rmq.ok("topic", "create", "drained");
    assert.match(
      await rmq.fails("broker", "drain", "broker-a"),
      /Send all producers away from broker-a\? Nobody/,
    );
    const drained = await rmq.json("broker", "drain", "broker-a", "--yes", "--wait");
    assert.equal(drained.isEmpty, true);
    assert.equal(drained.nameServers[0].address, cluster.nameServer.address);
    assert.equal((await rmq.json("topic", "route", "drained")).brokers[0].perm, 4);
    assert.match(
      await rmq.ok("broker", "resume", "broker-a"),
      /: \d+ topics of broker-a can be written again\.\n$/,
    );
    assert.equal((await rmq.json("topic", "route", "drained")).brokers[0].perm, 6);
  });

  test("replication tells which slaves follow a master", async () => {
    const { brokers: [one] } = await rmq.json("broker", "replication");
    assert.deepEqual([one.broker, one.role, one.slaves], ["broker-a", "master", []]);
    assert.match(
      await rmq.ok("broker", "replication", "broker-a"),
      /^broker-a +0 +master +no slave +- +- +-$/m,
    );
  });

  test("clean asks, and knows what it can clean", async () => {
    assert.match(
      await rmq.fails("broker", "clean", "everything"),
      /it cleans log, queues or topics, not everything/,
    );
    assert.match(
      await rmq.fails("broker", "clean", "log"),
      /Delete files of the log .* on broker-a\? Nobody can be/,
    );
    for (const what of ["log", "queues", "topics"]) {
      assert.match(await rmq.ok("broker", "clean", what, "--yes"), /^broker-a: asked to delete /);
    }
  });

  test("`rmq broker` and its options run a broker, a word behind it asks brokers", async () => {
    assert.match(await rmq.ok("broker", "--help"), /^Runs a broker/);
    assert.match(await rmq.ok("broker", "list", "--help"), /^List brokers with what they do now\./);
    assert.match(await rmq.fails("broker", "stauts"), /Is `rmq broker status` meant\?/);
  });
});

test("where there are several clusters, what is made needs to be told in which", async () => {
  const one = await startTestCluster();
  const other = await startTestCluster(
    "brokerClusterName=Other",
    "brokerName=broker-o",
    `namesrvAddr=${one.nameServer.address}`,
  );
  const rmq = new Rmq(one.nameServer.address);
  try {
    for (const family of ["topic", "group"]) {
      assert.match(
        await rmq.fails(family, "create", "new"),
        /there are several clusters: DefaultCluster, Other\. Say which one with --cluster\./,
      );
      assert.match(await rmq.ok(family, "create", "new", "-c", "Other"), /on broker-o\.$/m);
    }
    assert.match(await rmq.ok("cluster", "list"), /^DefaultCluster +1 +0 .*\nOther +1 +0 /m);
    assert.match(await rmq.ok("topic", "list", "new"), /^new +NORMAL +8 +RW +broker-o$/m);
    await rmq.ok("topic", "create", "new", "-c", "DefaultCluster", "--queues", "2");
    assert.match(await rmq.ok("topic", "list", "new"), /^new +NORMAL +2\.\.8 +RW +broker-a,broker-o$/m);
    await rmq.ok("topic", "delete", "new", "-c", "Other", "--yes");
    assert.deepEqual(
      (await rmq.json("topic", "show", "new")).brokers.map((each: { broker: string }) => each.broker),
      [
        "broker-a",
      ],
    );
  } finally {
    await other.stop();
    await one.stop();
  }
});

test("where a master is away its slave is asked, and nothing is changed there", async () => {
  const cluster = await startTestCluster();
  const rmq = new Rmq(cluster.nameServer.address);
  await rmq.ok("topic", "create", "kept");
  await rmq.ok("group", "create", "keepers");
  // The master tells of topics; then it goes.
  const loseMaster = await register(cluster.nameServer.address, "broker-s", 0, DEAD_ADDRESS);
  const unregister = await register(cluster.nameServer.address, "broker-s", 1, cluster.broker.address);
  loseMaster();
  while ("0" in (await rmq.json("topic", "route", "ghost")).brokers[0].addresses) await setTimeout(2);
  try {
    const ofSlave = ["-b", "broker-s"];
    assert.match(await rmq.ok("topic", "list", ...ofSlave), /^kept +NORMAL +8 +RW +broker-s$/m);
    assert.match(await rmq.ok("group", "list", ...ofSlave), /^keepers +0 /m);
    const sentence = /the master of broker-s is away: nothing can be changed there until it is back\./;
    assert.match(await rmq.fails("topic", "update", "kept", "--perm", "r", ...ofSlave), sentence);
    assert.match(await rmq.fails("topic", "delete", "kept", "--yes"), sentence);
    assert.match(await rmq.fails("group", "update", "keepers", "--consume", "off", ...ofSlave), sentence);
    assert.match(await rmq.fails("group", "mode", "keepers", "kept", "pop"), sentence);
    assert.match(await rmq.fails("offset", "clone", "keepers", "others", "--yes"), sentence);
    assert.match(
      await rmq.fails("message", "send", "ghost", "x"),
      /the topic ghost has no queue that can be written/,
    );
    assert.equal(await rmq.ok("topic", "list", "ghost", "-q"), "");
    assert.match(await rmq.fails("topic", "create", "new", ...ofSlave), /broker-s: no master is registered/);
    const { out } = await rmq.run(["doctor", "--json"]);
    const check = JSON.parse(out).checks.find((one: { check: string }) => one.check === "broker broker-s");
    assert.match(check.finding, /its master is not registered/);
  } finally {
    unregister();
    await cluster.stop();
  }
});

describe("a cluster of which something is down", () => {
  let unregister = () => {};
  let cluster: TestCluster;
  let rmq: Rmq;

  before(async () => {
    cluster = await startTestCluster();
    rmq = new Rmq(cluster.nameServer.address);
    unregister = await register(cluster.nameServer.address, "broker-dead", 0, DEAD_ADDRESS);
  });

  after(async () => {
    unregister();
    await cluster.stop();
  });

  test("what the others say is shown, the failure told, and the exit status is 1", async () => {
    const listed = await rmq.run(["broker", "list"]);
    assert.equal(listed.status, 1);
    assert.match(listed.out, /^DefaultCluster +broker-a /m);
    assert.match(
      listed.err,
      /^rmq broker list: broker-dead \(127\.0\.0\.1:9\): can't connect to 127\.0\.0\.1:9: .*\n$/,
    );
    const asJson = await rmq.run(["topic", "create", "partly", "--json"]);
    assert.equal(asJson.status, 1);
    const { brokers, failures } = JSON.parse(asJson.out);
    assert.deepEqual(brokers.map((one: { broker: string }) => one.broker), ["broker-a"]);
    assert.deepEqual(failures.map((one: { peer: string; address: string }) => [one.peer, one.address]), [
      ["broker-dead", DEAD_ADDRESS],
    ]);
  });

  test("where nobody answers there is no table", async () => {
    const { status, out, err } = await rmq.run(["topic", "list", "-b", "broker-dead"]);
    assert.deepEqual([status, out], [1, ""]);
    assert.match(err, /^rmq topic list: broker-dead \(127\.0\.0\.1:9\): can't connect/);
  });

  test("a name server that does not answer is passed over by questions, and told by changes", async () => {
    const both = ["-n", `${DEAD_ADDRESS};${cluster.nameServer.address}`];
    assert.equal(await rmq.ok("topic", "list", "-b", "broker-a", ...both, "-q", "no*"), "");
    const put = await rmq.run(["kv", "put", "space", "key", "value", ...both]);
    assert.equal(put.status, 1);
    assert.equal(put.out, `Set key in space at ${cluster.nameServer.address}.\n`);
    assert.match(put.err, /^rmq kv put: 127\.0\.0\.1:9: can't connect/);
  });

  test("a broker is asked at its address without any name server", async () => {
    const alone = ["-b", cluster.broker.address, "-n", DEAD_ADDRESS];
    assert.match(await rmq.ok("broker", "status", ...alone), /^Role +master$/m);
    await rmq.ok("topic", "create", "alone", ...alone);
    assert.equal(await rmq.ok("topic", "list", "alone", "-q", ...alone), "alone\n");
    assert.match(
      await rmq.fails("broker", "status", "-b", DEAD_ADDRESS, "-n", DEAD_ADDRESS),
      /127\.0\.0\.1:9: can't/,
    );
  });

  test("without any name server it says what to do", async () => {
    const { status, out, err } = await rmq.run(["topic", "list", "-n", DEAD_ADDRESS]);
    assert.deepEqual([status, out], [1, ""]);
    assert.match(
      err,
      /no name server answers at 127\.0\.0\.1:9 \(.*\)\. Say where one is with -n or NAMESRV_ADDR\.\n$/,
    );
  });

  test("doctor tells which broker can't be reached", async () => {
    const { status, out } = await rmq.run(["doctor", "--json"]);
    assert.equal(status, 1);
    const dead = JSON.parse(out).checks.find((one: { check: string }) => one.check === "broker broker-dead");
    assert.deepEqual([dead.state, dead.finding.includes("can't connect")], ["problem", true]);
  });
});
