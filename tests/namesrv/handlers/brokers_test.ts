// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ORDER_NAMESPACE } from "../../../src/namesrv/kv_table.ts";
import { DataVersion } from "../../../src/protocol/bodies/data_version.ts";
import { encodeRegisterBroker } from "../../../src/protocol/bodies/register_broker.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { MemoryConnection } from "../../harness/memory_connection.ts";
import { broker, identity, MemoryNameServer, topics } from "../memory_name_server.ts";

let server: MemoryNameServer;
before(() => {
  server = new MemoryNameServer();
});
after(() => server.remove());

test("a broker is told the order configuration unless the setting forbids it", async () => {
  const api = server.api();
  assert.equal((await api.registerBroker(broker("a"), topics("T1", "T2"))).orderConfig, undefined);
  await api.putKv(ORDER_NAMESPACE, "T1", "a:4");
  const { orderConfig } = await api.registerBroker(broker("a"), topics("T1", "T2"));
  assert.deepEqual(orderConfig, new Map([["T1", "a:4"]]));
  server.settings = { ...server.settings, orderConfigToBrokers: false };
  assert.equal((await api.registerBroker(broker("a"), topics("T1", "T2"))).orderConfig, undefined);
  server.settings = { ...server.settings, orderConfigToBrokers: true };
});

test("a body whose checksum is another is refused, and one without checksum is read", async () => {
  const connection = new MemoryConnection();
  const fields = {
    brokerName: "c",
    brokerAddr: "c0:1",
    clusterName: "C",
    brokerId: "0",
    haServerAddr: "c0:2",
  };
  const request = { code: RequestCode.REGISTER_BROKER, body: encodeRegisterBroker(topics("T1", "T2")) };
  const wrong = await connection.ask(server.dispatch, { ...request, fields: { ...fields, bodyCrc32: "1" } });
  assert.deepEqual([wrong.code, wrong.remark], [1, "crc32 not match"]);
  assert.equal(server.routes.members("c").size, 0);
  const unchecked = await connection.ask(server.dispatch, { ...request, fields });
  assert.equal(unchecked.code, 0);
  assert.equal(server.routes.members("c").size, 1);
});

test("a question for the version keeps its broker alive; so does a heartbeat; neither makes one known", async () => {
  const api = server.api();
  const { dataVersion } = topics();
  await api.registerBroker({ ...broker("d"), heartbeatTimeoutMillis: 10_000 }, topics("T1", "T2"));
  server.clock.advance(10_000);
  assert.deepEqual(await api.queryDataVersion(identity("d"), dataVersion!), { changed: false, dataVersion });
  server.clock.advance(10_000);
  const fields = { clusterName: "C", brokerAddr: "d0:1" };
  new MemoryConnection().tell(server.dispatch, { code: RequestCode.BROKER_HEARTBEAT, fields });
  server.clock.advance(10_000);
  server.routes.expire();
  assert.equal(server.routes.members("d").size, 1);
  server.clock.advance(1);
  server.routes.expire();
  assert.equal(server.routes.members("d").size, 0);
  const unknown = await server.api().queryDataVersion(identity("d"), dataVersion!);
  assert.deepEqual(unknown, { changed: true, dataVersion: undefined });
});

test("a question with another version is answered with the one that is known", async () => {
  const api = server.api();
  await api.registerBroker(broker("e"), topics("T1", "T2"));
  const answer = await api.queryDataVersion(identity("e"), new DataVersion(0, 1, 99));
  assert.deepEqual(answer, { changed: true, dataVersion: topics().dataVersion });
});
