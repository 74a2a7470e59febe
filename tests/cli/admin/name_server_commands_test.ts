// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { Rmq } from "./rmq.ts";

describe("rmq kv and rmq config", () => {
  let cluster: TestCluster;
  let rmq: Rmq;

  before(async () => {
    cluster = await startTestCluster();
    rmq = new Rmq(cluster.nameServer.address);
  });

  after(() => cluster.stop());

  test("a key is set, shown, listed and deleted", async () => {
    assert.match(await rmq.fails("kv", "get", "space", "k"), /space has no key k/);
    await rmq.ok("kv", "put", "space", "k", "a value");
    assert.equal(await rmq.ok("kv", "get", "space", "k"), "a value\n");
    assert.deepEqual(await rmq.json("kv", "list", "space"), { namespace: "space", table: { k: "a value" } });
    assert.match(await rmq.fails("kv", "delete", "space", "k"), /Delete k in space\? Nobody can be asked/);
    await rmq.json("kv", "delete", "space", "k", "--yes");
    assert.equal(await rmq.ok("kv", "list", "space"), "There is nothing in space.\n");
  });

  test("the configuration of name servers is shown and changed", async () => {
    const { nameServers } = await rmq.json("config", "get", "scan*", "listenPort");
    assert.deepEqual(Object.keys(nameServers[0].config), ["listenPort", "scanNotActiveBrokerInterval"]);
    assert.match(await rmq.ok("config", "get", "listenPort"), /^listenPort=\d+\n$/);
    assert.match(await rmq.fails("config", "get", "nothing"), /no name server has a key nothing/);
    assert.match(await rmq.fails("config", "set", "nothing=1"), /it has no key nothing; nothing was changed/);
  });
});
