// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Registration, type RegistrationOptions } from "../../src/broker/registration.ts";
import { DataVersion } from "../../src/protocol/bodies/data_version.ts";
import { encodeKvTable } from "../../src/protocol/bodies/kv_table.ts";
import { decodeRegisterBroker, registrationCrc32 } from "../../src/protocol/bodies/register_broker.ts";
import { type TopicConfig, topicConfig } from "../../src/protocol/bodies/topic_config.ts";
import { decodeTopicRoute, encodeTopicRoute } from "../../src/protocol/bodies/topic_route.ts";
import { encodeJson } from "../../src/protocol/java_json.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import type { OutgoingRequest, Response } from "../../src/remoting/command.ts";
import { RemotingIoError } from "../../src/remoting/remoting_error.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryConnection } from "../harness/memory_connection.ts";

/** A name server that keeps what it was told; down until it is told to be up. */
class ToldNameServer {
  isUp = true;
  connectCount = 0;
  connection: MemoryConnection | undefined;
  readonly requests: OutgoingRequest[] = [];
  answer: (request: OutgoingRequest) => Response | undefined = () => ({ code: 0 });

  constructor(readonly clock: ManualClock) {}

  connect(): Promise<MemoryConnection> {
    this.connectCount++;
    if (!this.isUp) return Promise.reject(new RemotingIoError("connection refused"));
    this.connection = new MemoryConnection({
      clock: this.clock,
      onRequest: (request) => {
        this.requests.push(request);
        return this.answer(request);
      },
    });
    return Promise.resolve(this.connection);
  }

  /** The topics of each registration since the last call. */
  takeRegistered(): string[][] {
    const registrations = this.requests.splice(0).filter(({ code }) => code === RequestCode.REGISTER_BROKER);
    return registrations.map((request) => {
      const body = decodeRegisterBroker(request.body!, false, 493);
      return [...body.topicConfigTable.keys()];
    });
  }
}

function broker(given: Partial<RegistrationOptions> = {}) {
  const clock = new ManualClock();
  const servers = new Map<string, ToldNameServer>();
  const topics = {
    dataVersion: new DataVersion(0, 1_700_000_000_000, 3),
    table: new Map<string, TopicConfig>(),
  };
  for (const name of ["A", "B"]) {
    topics.table.set(name, topicConfig(name, { readQueueNums: 4, writeQueueNums: 4, topicSysFlag: 1 }));
  }
  const server = (address: string) => {
    if (!servers.has(address)) servers.set(address, new ToldNameServer(clock));
    return servers.get(address)!;
  };
  const registration = new Registration({
    clock,
    clusterName: "C",
    brokerName: "b",
    brokerId: 0,
    brokerAddress: () => "10.0.0.1:10911",
    haAddress: () => "10.0.0.2:10912",
    nameServers: ["n1:9876"],
    registerIntervalMs: 30_000,
    registerTimeoutMs: 24_000,
    forceRegister: true,
    singleTopicRegister: false,
    topics,
    brokerPermission: () => 6,
    connect: (address) => server(address).connect(),
    ...given,
  });
  const advance = async (ms: number) => {
    clock.advance(ms);
    await setImmediate();
  };
  return { clock, topics, registration, server, advance };
}

test("start() registers every topic as a broker of 5.4.0 does", async () => {
  const { registration, server } = broker();
  await registration.start();
  const [request] = server("n1:9876").requests;
  assert.equal(request.code, RequestCode.REGISTER_BROKER);
  const { bodyCrc32, ...fields } = request.fields!;
  assert.deepEqual(fields, {
    brokerName: "b",
    brokerAddr: "10.0.0.1:10911",
    clusterName: "C",
    haServerAddr: "10.0.0.2:10912",
    brokerId: "0",
    enableActingMaster: "false",
    compressed: "false",
  });
  assert.equal(Number(bodyCrc32), registrationCrc32(request.body!));
  const body = decodeRegisterBroker(request.body!, false, 493);
  assert.deepEqual([...body.topicConfigTable.keys()], ["A", "B"]);
  assert.ok(body.dataVersion!.equals(new DataVersion(0, 1_700_000_000_000, 3)));
  assert.deepEqual(registration.nameServers, [{ address: "n1:9876", isRegistered: true }]);
});

test("everything is registered again at every period", async () => {
  const { registration, server, advance } = broker();
  await registration.start();
  server("n1:9876").takeRegistered();
  await advance(29_999);
  assert.deepEqual(server("n1:9876").takeRegistered(), []);
  await advance(1);
  assert.deepEqual(server("n1:9876").takeRegistered(), [["A", "B"]]);
  await advance(30_000);
  assert.deepEqual(server("n1:9876").takeRegistered(), [["A", "B"]]);
});

test("topics changed in one turn are registered together, alone", async () => {
  const { registration, server, topics, advance } = broker();
  await registration.start();
  server("n1:9876").takeRegistered();
  topics.table.set("X", topicConfig("X"));
  topics.table.set("Y", topicConfig("Y"));
  registration.topicsChanged(["X"]);
  registration.topicsChanged(["Y", "X", "gone"]);
  assert.deepEqual(server("n1:9876").takeRegistered(), []);
  await advance(0);
  assert.deepEqual(server("n1:9876").takeRegistered(), [["X", "Y"]]);
  registration.topicsChanged(["gone"]);
  await advance(0);
  assert.deepEqual(server("n1:9876").takeRegistered(), []);
});

test("a change while a registration is under way follows it", async () => {
  const { registration, server, topics, advance } = broker();
  await registration.start();
  const told = server("n1:9876");
  told.takeRegistered();
  told.answer = () => undefined;
  registration.topicsChanged(["A"]);
  await advance(0);
  topics.table.set("X", topicConfig("X"));
  registration.topicsChanged(["X"]);
  await advance(0);
  assert.deepEqual(told.takeRegistered(), [["A"]]);
  told.answer = () => ({ code: 0 });
  told.connection!.calls[0].answer({ code: 0 });
  await setImmediate();
  assert.deepEqual(told.takeRegistered(), [["X"]]);
});

test("a name server that comes back is first of all told everything, within a second", async () => {
  const { registration, server, topics, advance } = broker();
  await registration.start();
  const told = server("n1:9876");
  told.takeRegistered();
  told.isUp = false;
  told.connection!.close();
  topics.table.set("X", topicConfig("X"));
  registration.topicsChanged(["X"]);
  await advance(5000);
  assert.deepEqual(registration.nameServers, [{ address: "n1:9876", isRegistered: false }]);
  assert.deepEqual(told.takeRegistered(), []);
  told.isUp = true;
  await advance(1000);
  assert.deepEqual(told.takeRegistered(), [["A", "B", "X"]]);
  assert.equal(registration.nameServers[0].isRegistered, true);
});

test("a dropped connection is replaced at once, and everything registered over the new one", async () => {
  const { registration, server, advance } = broker();
  await registration.start();
  const told = server("n1:9876");
  told.takeRegistered();
  told.connection!.close();
  await advance(100);
  assert.deepEqual(told.takeRegistered(), [["A", "B"]]);
  assert.equal(told.connectCount, 2);
});

test("a name server that can't be reached holds up neither the start nor the others", async () => {
  const { registration, server, advance } = broker({ nameServers: ["down:1", "up:1"] });
  server("down:1").isUp = false;
  await registration.start();
  assert.deepEqual(server("up:1").takeRegistered(), [["A", "B"]]);
  const tries = server("down:1").connectCount;
  for (let second = 0; second < 10; second++) await advance(1000);
  assert.equal(server("down:1").connectCount - tries, 10);
  await registration.stop();
  await advance(60_000);
  assert.equal(server("down:1").connectCount - tries, 10);
});

test("a name server that does not answer is given up after the timeout, and tried over a new connection", async () => {
  const { registration, server, advance } = broker();
  const told = server("n1:9876");
  told.answer = () => undefined;
  const started = registration.start();
  await setImmediate();
  await advance(24_000);
  await started;
  assert.equal(told.connection!.closed, true);
  told.answer = () => ({ code: 0 });
  await advance(1000);
  assert.equal(registration.nameServers[0].isRegistered, true);
});

test("what a name server refuses is offered again at the next period", async () => {
  const { registration, server, advance } = broker();
  const told = server("n1:9876");
  told.answer = () => ({ code: 1, remark: "register broker failed" });
  await registration.start();
  assert.equal(registration.nameServers[0].isRegistered, false);
  told.takeRegistered();
  await advance(29_000);
  assert.deepEqual(told.takeRegistered(), []);
  told.answer = () => ({ code: 0 });
  await advance(1000);
  assert.deepEqual(told.takeRegistered(), [["A", "B"]]);
  assert.equal(registration.nameServers[0].isRegistered, true);
});

test("a topic that is refused alone is registered with all others", async () => {
  const { registration, server, advance } = broker();
  await registration.start();
  const told = server("n1:9876");
  told.takeRegistered();
  told.answer = (request) => ({
    code: decodeRegisterBroker(request.body!, false, 493).topicConfigTable.size === 1 ? 1 : 0,
  });
  registration.topicsChanged(["A"]);
  await advance(0);
  assert.deepEqual(told.takeRegistered(), [["A"], ["A", "B"]]);
});

test("what the broker may not do, its topics may not either", async () => {
  const { registration, server, topics } = broker({ brokerPermission: () => 4 });
  topics.table.set("W", topicConfig("W", { perm: 2 }));
  await registration.start();
  const body = decodeRegisterBroker(server("n1:9876").requests[0].body!, false, 493);
  assert.deepEqual([...body.topicConfigTable.values()].map(({ perm }) => perm), [4, 4, 0]);
});

test("order topics named by a name server are handed on, once they are ours and not yet in order", async () => {
  const named: string[][] = [];
  const { registration, server, topics, advance } = broker({
    onOrderTopics: (found) => named.push([...found]),
  });
  const told = server("n1:9876");
  const table = new Map([["A", "b:4"], ["elsewhere", "b:4"]]);
  told.answer = () => ({ code: 0, body: encodeKvTable(table) });
  await registration.start();
  assert.deepEqual(named, [["A"]]);
  topics.table.set("A", topicConfig("A", { order: true }));
  await advance(30_000);
  assert.equal(named.length, 1);
  told.answer = () => ({ code: 0, body: new TextEncoder().encode("[") });
  await advance(30_000);
  assert.equal(registration.nameServers[0].isRegistered, true);
});

test("without forceRegister a period only asks, and registers what differs", async () => {
  const { registration, server, topics, advance } = broker({ forceRegister: false });
  await registration.start();
  const told = server("n1:9876");
  told.takeRegistered();
  told.answer = (request) =>
    request.code === RequestCode.QUERY_DATA_VERSION
      ? { code: 0, fields: { changed: "false" }, body: encodeJson(topics.dataVersion.toJson()) }
      : { code: 0 };
  await advance(30_000);
  assert.deepEqual(told.requests.map(({ code }) => code), [RequestCode.QUERY_DATA_VERSION]);
  assert.deepEqual(told.requests[0].fields, {
    brokerName: "b",
    brokerAddr: "10.0.0.1:10911",
    clusterName: "C",
    brokerId: "0",
  });
  told.takeRegistered();
  topics.dataVersion = topics.dataVersion.next(1_700_000_000_001);
  told.answer = (request) =>
    request.code === RequestCode.QUERY_DATA_VERSION
      ? { code: 0, fields: { changed: "false" }, body: encodeJson(new DataVersion(0, 1, 1).toJson()) }
      : { code: 0 };
  await advance(30_000);
  assert.deepEqual(told.takeRegistered(), [["A", "B"]]);
  told.answer = (request) => ({ code: request.code === RequestCode.QUERY_DATA_VERSION ? 3 : 0 });
  await advance(30_000);
  assert.deepEqual(told.takeRegistered(), []);
});

test("with singleTopicRegister changed topics are registered without the broker", async () => {
  const { registration, server, advance } = broker({ singleTopicRegister: true });
  await registration.start();
  const told = server("n1:9876");
  told.takeRegistered();
  registration.topicsChanged(["A"]);
  await advance(0);
  const [request] = told.requests;
  assert.equal(request.code, RequestCode.REGISTER_TOPIC_IN_NAMESRV);
  assert.deepEqual(request.fields, { topic: "A" });
  assert.deepEqual(decodeTopicRoute(request.body!).queueDatas, [
    { brokerName: "b", readQueueNums: 4, writeQueueNums: 4, perm: 6, topicSysFlag: 1 },
  ]);
});

test("stop() unregisters, and nothing is registered afterwards", async () => {
  const { registration, server, advance, clock } = broker();
  await registration.start();
  const told = server("n1:9876");
  told.requests.length = 0;
  await registration.stop();
  assert.deepEqual(told.requests.map(({ code }) => code), [RequestCode.UNREGISTER_BROKER]);
  assert.equal(told.connection!.closed, true);
  registration.topicsChanged(["A"]);
  registration.registerAll();
  await advance(120_000);
  assert.equal(told.requests.length, 1);
  assert.equal(clock.timerCount, 0);
});

test("stop() waits three seconds at most for a name server that hangs", async () => {
  const { registration, server, advance, clock } = broker();
  await registration.start();
  server("n1:9876").answer = () => undefined;
  const stopped = registration.stop();
  await advance(3000);
  await stopped;
  assert.equal(server("n1:9876").connection!.closed, true);
  assert.equal(clock.timerCount, 0);
});

test("setNameServers() registers with those that are new and takes leave of those that are gone", async () => {
  const { registration, server, advance } = broker();
  await registration.start();
  registration.setNameServers(["n2:9876"]);
  await advance(0);
  assert.equal(server("n1:9876").requests.at(-1)!.code, RequestCode.UNREGISTER_BROKER);
  assert.deepEqual(server("n2:9876").takeRegistered(), [["A", "B"]]);
  assert.deepEqual(registration.nameServers.map(({ address }) => address), ["n2:9876"]);
});

test("route() asks a name server that knows this broker, and the next one where that fails", async () => {
  const { registration, server, advance } = broker({ nameServers: ["n1:9876", "n2:9876"] });
  await assert.rejects(registration.route("A"), RemotingIoError);
  await registration.start();
  const route = {
    brokerDatas: [],
    filterServerTable: new Map(),
    queueDatas: [{ brokerName: "b", readQueueNums: 4, writeQueueNums: 4, perm: 6, topicSysFlag: 0 }],
  };
  server("n2:9876").answer = (request) =>
    request.code === RequestCode.GET_ROUTEINFO_BY_TOPIC && request.fields!.topic === "A"
      ? { code: 0, body: encodeTopicRoute(route) }
      : { code: 17 };
  server("n1:9876").answer = () => undefined;
  const asked = registration.route("A");
  await advance(1000);
  await setImmediate();
  assert.deepEqual((await asked)!.queueDatas, route.queueDatas);
  server("n1:9876").connection!.close();
  assert.equal(await registration.route("B"), undefined);
});

test("with heartbeats, name servers get signs of life and are told when to give the broker up", async () => {
  for (const asVersionQuery of [true, false]) {
    const heartbeats = { intervalMs: 1000, timeoutMs: 10_000, asVersionQuery };
    const { registration, server, advance } = broker({ heartbeats });
    await registration.start();
    const told = server("n1:9876");
    const { fields } = told.requests[0];
    assert.equal(fields!.enableActingMaster, "true");
    assert.equal(fields!.heartbeatTimeoutMillis, "10000");
    for (let second = 0; second < 3; second++) await advance(1000);
    const { notifications } = told.connection!;
    const code = asVersionQuery ? RequestCode.QUERY_DATA_VERSION : RequestCode.BROKER_HEARTBEAT;
    assert.deepEqual(notifications.map((request) => request.code), [code, code, code]);
    assert.equal(notifications[0].fields!.brokerAddr, "10.0.0.1:10911");
    await registration.stop();
    await advance(5000);
    assert.equal(notifications.length, 3);
  }
});
