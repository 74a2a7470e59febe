// SPDX-License-Identifier: Apache-2.0
/** What `apache_test.ts` can't show: time, connections, notices, and where we differ from Apache on purpose. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type MinBrokerIdChange, type Registration, RouteTable } from "../../src/namesrv/route_table.ts";
import { DataVersion } from "../../src/protocol/bodies/data_version.ts";
import { topicConfig } from "../../src/protocol/bodies/topic_config.ts";
import type { TopicQueueMappingInfo } from "../../src/protocol/bodies/topic_queue_mapping.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryConnection } from "../harness/memory_connection.ts";

type Given = Partial<Omit<Registration, "body">> & {
  topics?: string[];
  version?: DataVersion;
  mappings?: TopicQueueMappingInfo[];
  connection?: MemoryConnection;
};

class Fixture {
  readonly clock = new ManualClock();
  readonly changes: MinBrokerIdChange[] = [];
  readonly table = new RouteTable({
    clock: this.clock,
    onMinBrokerIdChange: (change) => this.changes.push(change),
  });

  register(brokerName: string, brokerId: number, given: Given = {}) {
    const { topics = ["T1", "T2"], version = new DataVersion(0, 1, 1), mappings = [], ...rest } = given;
    return this.table.register({
      cluster: "C",
      brokerName,
      brokerId,
      address: `${brokerName}${brokerId}:1`,
      haServerAddr: `${brokerName}${brokerId}:2`,
      ...rest,
      body: {
        dataVersion: version,
        topicConfigTable: new Map(topics.map((topic) => [topic, topicConfig(topic)])),
        filterServerList: [],
        topicQueueMappingInfoMap: new Map(mappings.map((info) => [info.topic, info])),
      },
    }, given.connection ?? new MemoryConnection());
  }

  addrs(brokerName: string): [number, string][] {
    return [...this.table.members(brokerName)];
  }

  perm(topic: string, brokerName: string): number | undefined {
    return this.table.route(topic)?.queueDatas.find((data) => data.brokerName === brokerName)?.perm;
  }
}

function namesOf(table: RouteTable, topic: string): string[] | undefined {
  return table.route(topic)?.brokerDatas.map(({ brokerName }) => brokerName);
}

test("a silent broker leaves the routes after its own time, 120 seconds unless it says otherwise", () => {
  const fixture = new Fixture();
  const { clock, table } = fixture;
  fixture.register("a", 0);
  fixture.register("b", 0, { heartbeatTimeoutMs: 10_000 });
  clock.advance(10_001);
  table.expire();
  assert.deepEqual(namesOf(table, "T1"), ["a"]);
  clock.advance(110_000);
  table.expire();
  assert.equal(table.route("T1"), undefined);
  assert.equal(table.clusterInfo().clusterAddrTable.size, 0);
});

test("a registration with nothing new is a sign of life, and no change", () => {
  const fixture = new Fixture();
  const { clock, table } = fixture;
  const connection = new MemoryConnection();
  fixture.register("a", 0, { connection });
  const { revision } = table;
  clock.advance(120_000);
  fixture.register("a", 0, { connection });
  clock.advance(120_000);
  table.expire();
  assert.deepEqual(namesOf(table, "T1"), ["a"]);
  assert.equal(table.revision, revision);
});

test("whatever changes an answer raises the revision", () => {
  const fixture = new Fixture();
  const { table } = fixture;
  let before = -1;
  const raised = (what: string) => {
    assert.ok(table.revision > before, what);
    before = table.revision;
  };
  const connection = new MemoryConnection();
  const slave = new MemoryConnection();
  fixture.register("a", 0, { connection });
  raised("a broker");
  fixture.register("a", 1, { connection: slave });
  raised("a slave");
  fixture.register("a", 0, { connection, version: new DataVersion(0, 1, 2) });
  raised("another version");
  fixture.register("a", 0, { connection, version: new DataVersion(0, 1, 2), topics: ["T1", "T2", "T3"] });
  raised("a topic under the same version");
  fixture.register("a", 0, { connection, version: new DataVersion(0, 1, 2), zoneName: "z" });
  raised("a zone");
  fixture.register("a", 1, { connection: slave, address: "other:1" });
  raised("an address");
  table.changePermissions("a", () => 4);
  raised("permissions");
  table.removeTopic("T3");
  raised("a topic less");
  table.addTopic("T4", [{ brokerName: "a", perm: 6, readQueueNums: 1, writeQueueNums: 1, topicSysFlag: 0 }]);
  raised("a single topic");
  table.unregister("C", "a", "other:1");
  raised("a slave less");
  connection.close();
  raised("the end of a connection");
});

test("a refused first registration leaves no trace", () => {
  const fixture = new Fixture();
  const { table } = fixture;
  assert.equal(fixture.register("a", 0, { topics: ["T1"] }), undefined);
  assert.equal(table.clusterInfo().brokerAddrTable.size, 0);
  assert.equal(table.clusterInfo().clusterAddrTable.size, 0);
  assert.equal(table.revision, 0);
});

test("a known member may register one topic, a new one none", () => {
  const fixture = new Fixture();
  const { table } = fixture;
  assert.deepEqual(fixture.register("a", 0, { topics: [] }), {});
  assert.deepEqual(fixture.register("a", 0, { topics: ["T1"], version: new DataVersion(0, 1, 2) }), {});
  assert.deepEqual(table.topics(), ["T1"]);
});

test("a broker without a version counts as changed each time", () => {
  const fixture = new Fixture();
  const { table } = fixture;
  const connection = new MemoryConnection();
  const body = (readQueueNums: number) => ({
    topicConfigTable: new Map([["T1", topicConfig("T1", { readQueueNums })], ["T2", topicConfig("T2")]]),
    topicQueueMappingInfoMap: new Map(),
  });
  const broker = { cluster: "C", brokerName: "a", brokerId: 0, address: "a0:1" };
  table.register({ ...broker, body: body(1) }, connection);
  table.register({ ...broker, body: body(2) }, connection);
  assert.equal(table.route("T1")!.queueDatas[0].readQueueNums, 2);
  assert.equal(fixture.changes.length, 0);
});

test("a slave learns of its master only while that is alive", () => {
  const fixture = new Fixture();
  const { table } = fixture;
  const master = new MemoryConnection();
  fixture.register("a", 0, { connection: master });
  assert.deepEqual(fixture.register("a", 1), { masterAddr: "a0:1", haServerAddr: "a0:2" });
  assert.deepEqual(fixture.register("a", 0, { connection: master }), {});
  master.close();
  assert.deepEqual(fixture.register("a", 1), {});
  assert.deepEqual([...table.members("a")], [[1, "a1:1"]]);
});

test("a broker that comes back over another connection is not lost when the old one ends", () => {
  const fixture = new Fixture();
  const { table } = fixture;
  const first = new MemoryConnection();
  fixture.register("a", 0, { connection: first });
  fixture.register("a", 0);
  first.close();
  assert.deepEqual(namesOf(table, "T1"), ["a"]);
});

test("groups that share an address go together when its connection ends", () => {
  const fixture = new Fixture();
  const { table } = fixture;
  const connection = new MemoryConnection();
  fixture.register("a", 0, { address: "h:1", connection });
  fixture.register("b", 0, { address: "h:1", connection });
  connection.close();
  assert.equal(table.route("T1"), undefined);
  assert.equal(table.clusterInfo().brokerAddrTable.size, 0);
});

test("a group that changed its cluster name leaves no cluster behind", () => {
  const fixture = new Fixture();
  const { table } = fixture;
  fixture.register("a", 0);
  fixture.register("a", 0, { cluster: "D" });
  assert.deepEqual([...table.clusterInfo().clusterAddrTable.keys()], ["C", "D"]);
  table.unregister("D", "a", "a0:1");
  assert.equal(table.clusterInfo().clusterAddrTable.size, 0);
});

test("a registration over a connection that has just ended leaves no trace", () => {
  const fixture = new Fixture();
  const { table } = fixture;
  const connection = new MemoryConnection();
  connection.close();
  fixture.register("a", 1, { connection, enableActingMaster: true });
  assert.equal(table.clusterInfo().brokerAddrTable.size, 0);
  assert.equal(table.route("T1"), undefined);
});

test("a mapping outlives the absence of its broker, but not its topic", () => {
  const fixture = new Fixture();
  const { table } = fixture;
  const info = {
    bname: "a",
    currIdMap: new Map([[0, 0]]),
    dirty: false,
    epoch: 1,
    scope: "s",
    topic: "T1",
    totalQueues: 2,
  };
  fixture.register("a", 0, { mappings: [info] });
  fixture.register("b", 0, { mappings: [{ ...info, bname: "b", currIdMap: new Map([[1, 0]]) }] });
  table.unregister("C", "a", "a0:1");
  assert.deepEqual([...table.route("T1")!.topicQueueMappingByBroker!.keys()], ["a", "b"]);
  table.removeTopic("T1");
  fixture.register("b", 0, { version: new DataVersion(0, 1, 2) });
  assert.equal(table.route("T1")!.topicQueueMappingByBroker, undefined);
});

test("addTopic() lists nothing where one of the brokers is unknown", () => {
  const fixture = new Fixture();
  const { table } = fixture;
  fixture.register("a", 0);
  const queues = { perm: 6, readQueueNums: 1, writeQueueNums: 1, topicSysFlag: 0 };
  assert.equal(table.addTopic("T1", [{ brokerName: "a", ...queues }, { brokerName: "b", ...queues }]), false);
  assert.equal(table.route("T1")!.queueDatas[0].readQueueNums, 16);
  assert.equal(table.addTopic("T1", [{ brokerName: "a", ...queues }]), true);
  assert.equal(table.route("T1")!.queueDatas[0].readQueueNums, 1);
});

test("a new smallest id is reported to those who were there before", () => {
  const fixture = new Fixture();
  fixture.register("a", 2);
  fixture.register("a", 3);
  assert.deepEqual(fixture.changes, []);
  fixture.register("a", 1);
  assert.deepEqual(fixture.changes, [{
    brokerName: "a",
    minBrokerId: 1,
    minBrokerAddr: "a1:1",
    haBrokerAddr: "a1:2",
    receivers: ["a2:1", "a3:1"],
  }]);
});

test("a single member that takes a smaller id is told itself", () => {
  const fixture = new Fixture();
  fixture.register("a", 1, { address: "h:1" });
  fixture.register("a", 0, { address: "h:1" });
  assert.deepEqual(fixture.addrs("a"), [[0, "h:1"]]);
  assert.deepEqual(fixture.changes.map(({ minBrokerId, receivers }) => [minBrokerId, receivers]), [[0, [
    "h:1",
  ]]]);
});

test("the leaving of the smallest id is reported to all who remain, where a slave may act as master", () => {
  for (const enableActingMaster of [true, false]) {
    const fixture = new Fixture();
    for (const id of [0, 1, 2]) fixture.register("a", id, { enableActingMaster });
    fixture.table.unregister("C", "a", "a0:1");
    const expected = {
      brokerName: "a",
      minBrokerId: 1,
      minBrokerAddr: "a1:1",
      offlineBrokerAddr: "a0:1",
      receivers: ["a1:1", "a2:1"],
    };
    assert.deepEqual(fixture.changes, enableActingMaster ? [expected] : []);
  }
});

test("the leaving of another id is not reported", () => {
  const fixture = new Fixture();
  for (const id of [0, 1, 2]) fixture.register("a", id, { enableActingMaster: true });
  fixture.table.unregister("C", "a", "a1:1");
  assert.deepEqual(fixture.changes, []);
});

test("a group that has lost its master can't be written to where a slave may act as master", () => {
  for (const enableActingMaster of [true, false]) {
    const fixture = new Fixture();
    const master = new MemoryConnection();
    fixture.register("a", 0, { enableActingMaster, connection: master });
    fixture.register("a", 1, { enableActingMaster });
    master.close();
    assert.equal(fixture.perm("T1", "a"), enableActingMaster ? 4 : 6);
    fixture.register("a", 0, { enableActingMaster });
    assert.equal(fixture.perm("T1", "a"), 6);
  }
});

test("who leaves a group it is not in changes nothing", () => {
  const fixture = new Fixture();
  fixture.register("a", 1, { enableActingMaster: true });
  fixture.table.changePermissions("a", () => 6);
  const { revision } = fixture.table;
  fixture.table.unregister("C", "a", "other:1");
  assert.equal(fixture.perm("T1", "a"), 6);
  assert.equal(fixture.table.revision, revision);
});
