// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { Rmq } from "./rmq.ts";

interface Check {
  check: string;
  state: string;
  finding: string;
  advice: string | null;
}

describe("rmq doctor", () => {
  let cluster: TestCluster;
  let rmq: Rmq;

  before(async () => {
    cluster = await startTestCluster();
    rmq = new Rmq(cluster.nameServer.address);
  });

  after(() => cluster.stop());

  async function checks(...args: string[]): Promise<{ status: number; of(name: string): Check[] }> {
    const { status, out, err } = await rmq.run(["doctor", "--json", ...args]);
    assert.equal(err, "");
    const { checks } = JSON.parse(out);
    return { status, of: (name) => checks.filter((one: Check) => one.check === name) };
  }

  function file(name: string, ...lines: string[]): string {
    const path = join(cluster.directory, name);
    writeFileSync(path, lines.join("\n"));
    return path;
  }

  test("a cluster that works is told as ok, with addresses and versions", async () => {
    const { of } = await checks("-c", file("a.conf", `storePathRootDir=${join(cluster.directory, "store")}`));
    const [nameServer] = of(`name server ${cluster.nameServer.address}`);
    assert.deepEqual([nameServer.state, /knows 1 broker$/.test(nameServer.finding)], ["ok", true]);
    const [broker] = of("broker broker-a");
    assert.equal(broker.state, "ok");
    assert.match(broker.finding, /^127\.0\.0\.1:\d+, version 5\.4\.0, disk \d+%$/);
    assert.match(of("store")[0].finding, /is in use by process \d+/);
    assert.equal(of("version")[0].state, "ok");
  });

  test("without a name server there is a problem, and what to do", async () => {
    const { status, of } = await checks("-n", "127.0.0.1:9");
    assert.equal(status, 1);
    const [nameServer] = of("name server 127.0.0.1:9");
    assert.equal(nameServer.state, "problem");
    assert.match(nameServer.advice!, /Start it there/);
    const { of: local } = await checks("--local", "-n", "127.0.0.1:9");
    assert.deepEqual(local("name server 127.0.0.1:9"), []);
  });

  test("a configuration with which a broker does not start is a problem", async () => {
    const { status, of } = await checks("--local", "-c", file("bad.conf", "flushDiskType=SOMETIMES"));
    assert.equal(status, 1);
    assert.match(of("configuration")[0].finding, /flushDiskType/);
  });

  test("a store that was not stopped properly, an address of nobody, and a port in use are told", async () => {
    const store = join(cluster.directory, "crashed");
    mkdirSync(store);
    writeFileSync(join(store, "abort"), "1");
    const path = file(
      "odd.conf",
      `storePathRootDir=${store}`,
      "brokerIP1=203.0.113.7",
      `listenPort=${cluster.broker.port}`,
    );
    const { of } = await checks("--local", "-c", path);
    assert.match(of("store")[0].finding, /did not stop properly/);
    assert.equal(of("address")[0].state, "warning");
    assert.match(of(`port ${cluster.broker.port}`)[0].finding, /in use, but nobody has the store/);
  });

  test("people get a line for each check, and the advice below it", async () => {
    const { out } = await rmq.run(["doctor", "--local", "-c", file("loop.conf", "brokerIP1=127.0.0.1")]);
    assert.match(out, /^warning {2}address +clients are told 127\.0\.0\.1/m);
    assert.match(out, /^ +Clients of other machines can't reach that: set brokerIP1\.$/m);
    assert.match(out, /\n\n\d+ problems?, \d+ warnings?\.\n$/);
  });
});
