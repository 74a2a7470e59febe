// SPDX-License-Identifier: Apache-2.0
/** Over real sockets. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { NameServerApi } from "../../src/client/name_server_api.ts";
import { type NameServer, type NameServerSettings, startNameServer } from "../../src/namesrv/name_server.ts";
import { minBrokerIdChange } from "../../src/protocol/headers/register_broker.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { RemotingClient } from "../../src/remoting/client.ts";
import type { Command } from "../../src/remoting/command.ts";
import { Dispatch } from "../../src/remoting/dispatch.ts";
import { RemotingIoError } from "../../src/remoting/remoting_error.ts";
import { LATER } from "../../src/remoting/request.ts";
import { RemotingServer } from "../../src/remoting/server.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { broker, DEFAULT_SETTINGS, topics } from "./memory_name_server.ts";

let directory: string;
let clients: RemotingClient[];
let server: NameServer | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rmq-namesrv-"));
  clients = [];
  server = undefined;
});
afterEach(async () => {
  for (const client of clients) client.close();
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function start(settings: Partial<NameServerSettings> = {}, clock?: ManualClock): Promise<NameServer> {
  const kvTableFile = join(directory, "kvConfig.json");
  return server = await startNameServer({ ...DEFAULT_SETTINGS, kvTableFile, ...settings }, { clock });
}

/** Another process that talks to the name server, over a connection of its own. */
function connect(): { api: NameServerApi; client: RemotingClient } {
  const client = new RemotingClient();
  clients.push(client);
  return { client, api: NameServerApi.at(client, server!.address) };
}

/** Asks again until the answer is as wanted: for effects of which nobody is told. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!await isSo()) await new Promise((resolve) => setTimeout(resolve, 2));
}

test("brokers that register are found by others until their connection ends", async () => {
  await start();
  const master = connect();
  const slave = connect();
  assert.equal((await master.api.registerBroker(broker("a"), topics("T1", "T2"))).masterAddr, undefined);
  const { masterAddr, haServerAddr } = await slave.api.registerBroker(broker("a", 1), topics("T1", "T2"));
  assert.deepEqual([masterAddr, haServerAddr], ["a0:1", "a0:2"]);

  const { api } = connect();
  assert.deepEqual(await api.topics(), ["T1", "T2"]);
  assert.deepEqual((await api.memberGroup("C", "a")).brokerAddrs, new Map([[0, "a0:1"], [1, "a1:1"]]));
  slave.client.close();
  await until(async () => (await api.memberGroup("C", "a")).brokerAddrs.size === 1);
  master.client.close();
  await until(async () => await api.topicRoute("T1") === undefined);
  assert.equal((await api.clusterInfo()).brokerAddrTable.size, 0);
});

test("a broker that unregisters is gone when it is answered", async () => {
  await start();
  const { api } = connect();
  await api.registerBroker(broker("a"), topics("T1", "T2"));
  await api.unregisterBroker({ clusterName: "C", brokerName: "a", brokerId: 0, brokerAddr: "a0:1" });
  assert.equal(await api.topicRoute("T1"), undefined);
});

test("silent brokers are looked for at every period", async () => {
  const clock = new ManualClock();
  await start({ brokerScanIntervalMs: 5000, connectionMaxIdleMs: 1_000_000 }, clock);
  const { api } = connect();
  await api.registerBroker({ ...broker("a"), heartbeatTimeoutMillis: 7000 }, topics("T1", "T2"));
  clock.advance(9_999);
  assert.ok(await api.topicRoute("T1"));
  clock.advance(1);
  const other = connect();
  await until(async () => await other.api.topicRoute("T1") === undefined);
});

test("members of a group are told of the smallest id while the setting says so", async () => {
  const heard: Command[] = [];
  let onHeard = () => {};
  const dispatch = new Dispatch(
    new Map([[RequestCode.NOTIFY_MIN_BROKER_ID_CHANGE, (request) => {
      heard.push(request.command);
      onHeard();
      return request.isOneway ? LATER : { code: 0 };
    }]]),
  );
  const slave = await RemotingServer.listen({ host: "127.0.0.1", port: 0, dispatch });
  const slaveAddr = `127.0.0.1:${slave.port}`;
  const isHeard = new Promise<void>((resolve) => onHeard = resolve);
  const nameServer = await start();
  const settings = { ...DEFAULT_SETTINGS, kvTableFile: join(directory, "kvConfig.json") };

  const { api } = connect();
  await api.registerBroker({ ...broker("a", 2), brokerAddr: slaveAddr }, topics("T1", "T2"));
  await api.registerBroker(broker("a", 1), topics("T1", "T2"));
  nameServer.applySettings({ ...settings, notifyMinBrokerIdChanged: true });
  await api.registerBroker(broker("a", 0), topics("T1", "T2"));
  await isHeard;
  assert.equal(heard.length, 1);
  assert.deepEqual(minBrokerIdChange.decode(heard[0].fields), {
    minBrokerId: 0,
    minBrokerAddr: "a0:1",
    offlineBrokerAddr: undefined,
    haBrokerAddr: "a0:2",
  });
  await slave.close();
});

test("settings take effect for the next one who asks", async () => {
  const nameServer = await start();
  const { api } = connect();
  assert.deepEqual(await api.topics(), []);
  nameServer.applySettings({ ...DEFAULT_SETTINGS, allTopicList: false });
  await assert.rejects(api.topics(), { code: 1, remark: "disable" });
});

test("the key-value table outlives the process", async () => {
  await start();
  await connect().api.putKv("N", "k", "é");
  await server!.stop();
  await start();
  assert.equal(await connect().api.getKv("N", "k"), "é");
});

test("after stop() nobody is connected and nobody can connect", async () => {
  const nameServer = await start();
  const { api, client } = connect();
  await api.topics();
  const connection = await client.connection(nameServer.address);
  const ended = new Promise<void>((resolve) => connection.onClose(resolve));
  await nameServer.stop();
  await ended;
  await assert.rejects(api.topics(), RemotingIoError);
});

test("a port that is taken is an error of the start", async () => {
  const { port } = await start();
  const settings = { ...DEFAULT_SETTINGS, kvTableFile: join(directory, "other.json"), listenPort: port };
  await assert.rejects(startNameServer(settings), { code: "EADDRINUSE" });
});
