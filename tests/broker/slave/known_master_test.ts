// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { KnownMaster } from "../../../src/broker/slave/known_master.ts";

const MASTER = { masterAddr: "10.0.0.1:10911", haServerAddr: "10.0.0.1:10912" };

function watched(configured?: string) {
  const master = new KnownMaster(() => "10.0.0.2:10911", configured);
  let changes = 0;
  master.onChange(() => changes++);
  return { master, changes: () => changes };
}

test("the master is where any name server says", () => {
  const { master, changes } = watched();
  assert.equal(master.address, undefined);
  master.answered("n1", {});
  master.answered("n2", MASTER);
  master.answered("n1", {});
  master.answered("n2", MASTER);
  assert.deepEqual([master.address, master.haAddress], ["10.0.0.1:10911", "10.0.0.1:10912"]);
  assert.equal(changes(), 1);
});

test("the master is gone when no name server names it; its log is still expected where it was", () => {
  const { master } = watched();
  master.answered("n1", MASTER);
  master.answered("n2", MASTER);
  master.answered("n1", {});
  assert.equal(master.address, "10.0.0.1:10911");
  master.answered("n2", {});
  assert.deepEqual([master.address, master.haAddress], [undefined, "10.0.0.1:10912"]);
});

test("a master that moves is followed", () => {
  const { master } = watched();
  master.answered("n1", MASTER);
  master.answered("n2", { masterAddr: "10.0.0.9:10911", haServerAddr: "10.0.0.9:10912" });
  assert.deepEqual([master.address, master.haAddress], ["10.0.0.9:10911", "10.0.0.9:10912"]);
});

test("haMasterAddress wins over what name servers say", () => {
  const { master } = watched("192.168.0.1:1000");
  assert.equal(master.haAddress, "192.168.0.1:1000");
  master.answered("n1", MASTER);
  assert.deepEqual([master.address, master.haAddress], ["10.0.0.1:10911", "192.168.0.1:1000"]);
});

test("a slave does not follow itself", () => {
  const { master, changes } = watched();
  master.answered("n1", { masterAddr: "10.0.0.2:10911", haServerAddr: "10.0.0.2:10912" });
  assert.deepEqual([master.address, master.haAddress, changes()], [undefined, undefined, 0]);
});
