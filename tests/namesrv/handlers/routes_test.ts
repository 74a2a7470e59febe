// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { ORDER_NAMESPACE } from "../../../src/namesrv/kv_table.ts";
import type { NameServerSettings } from "../../../src/namesrv/name_server.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { bodyBytes, MemoryConnection } from "../../harness/memory_connection.ts";
import { broker, MemoryNameServer, topics } from "../memory_name_server.ts";

const servers: MemoryNameServer[] = [];

function start(settings: Partial<NameServerSettings> = {}): MemoryNameServer {
  const server = new MemoryNameServer(settings);
  servers.push(server);
  return server;
}
afterEach(() => servers.splice(0).forEach((server) => server.remove()));

/** The body of a route as it is on the wire. */
async function routeBody(server: MemoryNameServer, topic: string, fields = {}): Promise<Uint8Array> {
  const request = { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, fields: { topic, ...fields } };
  return bodyBytes(await new MemoryConnection().ask(server.dispatch, request));
}

test("routes are refused until the name server may have heard of all brokers", async () => {
  const server = start({ routeHoldMs: 45_000 });
  const api = server.api();
  await api.registerBroker(broker("a"), topics("T1", "T2"));
  const notReady = { code: 1, remark: "name server not ready" };
  await assert.rejects(api.topicRoute("T1"), notReady);
  server.clock.advance(44_999);
  await assert.rejects(api.topicRoute("T1"), notReady);
  server.clock.advance(1);
  assert.ok(await api.topicRoute("T1"));
});

test("a route is encoded once while nothing changes", async () => {
  const server = start();
  await server.api().registerBroker(broker("a"), topics("T1", "T2"));
  const first = await routeBody(server, "T1");
  assert.equal(await routeBody(server, "T1"), first);
  assert.notEqual(await routeBody(server, "T1", { __ZONE_MODE: "true", __ZONE_NAME: "z" }), first);
  assert.equal(await routeBody(server, "T1"), first);
});

test("every change is seen by the next one who asks", async () => {
  const server = start();
  const api = server.api();
  await api.registerBroker(broker("a"), topics("T1", "T2"));
  assert.equal((await api.topicRoute("T1"))!.queueDatas[0].perm, 6);
  await api.wipeWritePerm("a");
  assert.equal((await api.topicRoute("T1"))!.queueDatas[0].perm, 4);
  await server.api().registerBroker(broker("b"), topics("T1", "T3"));
  assert.equal((await api.topicRoute("T1"))!.brokerDatas.length, 2);
  await api.deleteTopic("T1");
  assert.equal(await api.topicRoute("T1"), undefined);
});

test("the order configuration is in routes while the setting says so", async () => {
  const server = start();
  const api = server.api();
  await api.registerBroker(broker("a"), topics("T1", "T2"));
  await api.putKv(ORDER_NAMESPACE, "T1", "a:4");
  assert.equal((await api.topicRoute("T1"))!.orderTopicConf, undefined);
  server.settings = { ...server.settings, orderConfigInRoutes: true };
  assert.equal((await api.topicRoute("T1"))!.orderTopicConf, "a:4");
  await api.putKv(ORDER_NAMESPACE, "T1", "a:8");
  assert.equal((await api.topicRoute("T1"))!.orderTopicConf, "a:8");
  await api.deleteKv(ORDER_NAMESPACE, "T1");
  assert.equal((await api.topicRoute("T1"))!.orderTopicConf, undefined);
});
