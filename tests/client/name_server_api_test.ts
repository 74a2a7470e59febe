// SPDX-License-Identifier: Apache-2.0
/** Every call against the real handlers of a name server. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { NameServerApi } from "../../src/client/name_server_api.ts";
import { MalformedError } from "../../src/protocol/header.ts";
import { MemoryConnection } from "../harness/memory_connection.ts";
import { broker, identity, MemoryConfig, MemoryNameServer, topics } from "../namesrv/memory_name_server.ts";

let server: MemoryNameServer;
let api: NameServerApi;

beforeEach(() => {
  server = new MemoryNameServer({}, new MemoryConfig({ a: "1" }));
  api = server.api();
});
afterEach(() => server.remove());

test("a slave is told its master when it registers", async () => {
  await api.registerBroker(broker("a"), topics("T1", "T2"));
  const answer = await api.registerBroker(broker("a", 1), topics("T1", "T2"));
  assert.deepEqual(answer, { masterAddr: "a0:1", haServerAddr: "a0:2", orderConfig: undefined });
});

test("registration, questions for the version and leaving", async () => {
  const body = topics("T1", "T2");
  await api.registerBroker(broker("a"), body);
  assert.equal((await api.queryDataVersion(identity("a"), body.dataVersion!)).changed, false);
  await api.unregisterBroker(identity("a"));
  assert.equal((await api.queryDataVersion(identity("a"), body.dataVersion!)).changed, true);
});

test("routes, clusters and members", async () => {
  await api.registerBroker(broker("a"), topics("T1", "T2"));
  assert.deepEqual((await api.topicRoute("T1"))!.brokerDatas[0].brokerAddrs, new Map([[0, "a0:1"]]));
  assert.equal(await api.topicRoute("T9"), undefined);
  assert.deepEqual([...(await api.clusterInfo()).clusterAddrTable], [["C", ["a"]]]);
  assert.deepEqual(await api.memberGroup("C", "a"), {
    cluster: "C",
    brokerName: "a",
    brokerAddrs: new Map([[0, "a0:1"]]),
  });
});

test("lists of topics", async () => {
  await api.registerBroker(broker("a"), topics("T1", "T2"));
  assert.deepEqual(await api.topics(), ["T1", "T2"]);
  assert.deepEqual(await api.topicsByCluster("C"), ["T1", "T2"]);
  assert.deepEqual(await api.topicsByCluster("D"), []);
  assert.deepEqual(await api.systemTopics(), { topicList: ["C", "a"], brokerAddr: "a0:1" });
});

test("a single topic comes and goes", async () => {
  await api.registerBroker(broker("a"), topics("T1", "T2"));
  const queues = { brokerName: "a", perm: 6, readQueueNums: 1, writeQueueNums: 2, topicSysFlag: 0 };
  await api.registerTopic("T3", [queues]);
  assert.deepEqual((await api.topicRoute("T3"))!.queueDatas, [queues]);
  await api.deleteTopic("T3", "D");
  assert.ok(await api.topicRoute("T3"));
  await api.deleteTopic("T3", "C");
  assert.equal(await api.topicRoute("T3"), undefined);
  await api.deleteTopic("T1");
  assert.equal(await api.topicRoute("T1"), undefined);
});

test("writing is taken from a broker and given back", async () => {
  await api.registerBroker(broker("a"), topics("T1", "T2"));
  assert.equal(await api.wipeWritePerm("a"), 2);
  assert.equal((await api.topicRoute("T1"))!.queueDatas[0].perm, 4);
  assert.equal(await api.addWritePerm("a"), 2);
  assert.equal((await api.topicRoute("T1"))!.queueDatas[0].perm, 6);
});

test("keys and values", async () => {
  assert.equal(await api.getKv("N", "k"), undefined);
  assert.equal(await api.listKv("N"), undefined);
  await api.putKv("N", "k", "v");
  assert.equal(await api.getKv("N", "k"), "v");
  assert.deepEqual(await api.listKv("N"), new Map([["k", "v"]]));
  await api.deleteKv("N", "k");
  assert.deepEqual(await api.listKv("N"), new Map());
});

test("the configuration is read and changed as text", async () => {
  assert.equal(await api.config(), "a=1\n");
  await api.updateConfig("a=2\n");
  assert.equal(await api.config(), "a=2\n");
});

test("an answer that is no success is an error with its code and remark", async () => {
  await assert.rejects(api.registerBroker(broker("a"), topics("T1")), {
    name: "RemotingError",
    code: 1,
    remark: "register broker failed",
  });
});

test("an answer without the body it should have is malformed", async () => {
  const connection = new MemoryConnection({ onRequest: () => ({ code: 0 }) });
  await assert.rejects(new NameServerApi(connection).clusterInfo(), MalformedError);
});
