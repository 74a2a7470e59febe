// SPDX-License-Identifier: Apache-2.0
/** When a SYNC_MASTER answers. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Durability, type Outcome } from "../../src/broker/durability.ts";
import { replicaPolicy, type ReplicaSettings } from "../../src/broker/replica_policy.ts";
import { sendAnswer, statusName } from "../../src/broker/put_outcome.ts";
import { RemotingError } from "../../src/remoting/remoting_error.ts";
import { StoreRefusedError } from "../../src/store/types.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { ManualWatermarks } from "../harness/manual_watermarks.ts";

/** Slaves, of which tests say what they have. */
class Slaves {
  acked: number[] = [];
  inSync: number | undefined;
  #listeners: (() => void)[] = [];

  ackedBy(count: number): number {
    return [...this.acked].sort((a, b) => b - a)[count - 1] ?? -1;
  }

  inSyncCount(): number {
    return this.inSync ?? this.acked.length;
  }

  onAcked(listener: () => void): void {
    this.#listeners.push(listener);
  }

  have(...acked: number[]): void {
    this.acked = acked;
    for (const listener of this.#listeners) listener();
  }
}

const SETTINGS: ReplicaSettings = {
  brokerRole: "SYNC_MASTER",
  inSyncReplicas: undefined,
  minInSyncReplicas: 1,
  autoInSyncReplicas: false,
  slaveActingMaster: false,
  slaveTimeoutMs: 3000,
};

function setUp(given: Partial<ReplicaSettings> & { flushMode?: "SYNC" | "ASYNC" } = {}) {
  const { flushMode = "ASYNC", ...settings } = given;
  const store = new ManualWatermarks();
  const slaves = new Slaves();
  const clock = new ManualClock();
  const policy = replicaPolicy({ ...SETTINGS, ...settings });
  const replication = policy && { policy, replicas: slaves };
  const durability = new Durability({ store, clock, flushMode, syncFlushTimeoutMs: 5000, replication });
  const settled: [number, Outcome][] = [];
  const wait = (endOffset: number, mayWait = true) =>
    durability.when(endOffset, mayWait, (outcome) => settled.push([endOffset, outcome]));
  return { store, slaves, clock, durability, settled, wait, policy };
}

describe("a SYNC_MASTER without inSyncReplicas", () => {
  test("answers when one slave has the message and it is written here, whichever comes last", () => {
    const { store, slaves, settled, wait } = setUp();
    slaves.have(0, 0);
    wait(100);
    wait(200);
    store.move({ written: 200 });
    assert.deepEqual(settled, []);
    slaves.have(0, 100);
    assert.deepEqual(settled, [[100, "STORED"]]);
    slaves.have(0, 300);
    assert.deepEqual(settled, [[100, "STORED"], [200, "STORED"]]);
    wait(300);
    assert.equal(settled.length, 2);
    store.move({ written: 300 });
    assert.deepEqual(settled[2], [300, "STORED"]);
  });

  test("tells at once, but not before the message is written, that there is no slave or only one far behind", () => {
    const { store, slaves, settled, wait } = setUp();
    wait(100);
    assert.deepEqual(settled, []);
    store.move({ written: 100 });
    assert.deepEqual(settled, [[100, "SLAVE_NOT_AVAILABLE"]]);
    slaves.have(10);
    slaves.inSync = 0;
    wait(200);
    store.move({ written: 200 });
    assert.deepEqual(settled[1], [200, "SLAVE_NOT_AVAILABLE"]);
  });

  test("gives up after slaveTimeout", () => {
    const { store, slaves, clock, settled, wait } = setUp();
    slaves.have(0);
    wait(100);
    clock.advance(1000);
    wait(200);
    store.move({ written: 200 });
    clock.advance(1999);
    assert.deepEqual(settled, []);
    clock.advance(1);
    assert.deepEqual(settled, [[100, "SLAVE_TIMEOUT"]]);
    clock.advance(1000);
    assert.deepEqual(settled[1], [200, "SLAVE_TIMEOUT"]);
    assert.equal(clock.timerCount, 0);
  });

  test("remembers what a slave had before it left", () => {
    const { store, slaves, settled, wait } = setUp();
    slaves.have(0);
    wait(50);
    store.move({ written: 50 });
    slaves.have(100);
    slaves.have();
    wait(100);
    store.move({ written: 100 });
    assert.deepEqual(settled, [[50, "STORED"], [100, "STORED"]]);
  });

  test("does not keep a sender waiting that says WAIT=false", () => {
    const { store, slaves, settled, wait } = setUp({ flushMode: "SYNC" });
    slaves.have(0);
    wait(100, false);
    assert.deepEqual(settled, []);
    store.move({ written: 100 });
    assert.deepEqual(settled, [[100, "STORED"]]);
  });

  test("under SYNC flush waits for disk and slave at the same time, and tells of the slave if both are late", () => {
    const { store, slaves, clock, settled, wait } = setUp({ flushMode: "SYNC" });
    slaves.have(0);
    wait(100);
    store.move({ written: 100 });
    slaves.have(100);
    assert.deepEqual(settled, []);
    store.move({ flushed: 100 });
    assert.deepEqual(settled, [[100, "STORED"]]);
    wait(200);
    store.move({ written: 200, flushed: 200 });
    clock.advance(3000);
    assert.deepEqual(settled[1], [200, "SLAVE_TIMEOUT"]);
    wait(300);
    slaves.have(300);
    clock.advance(5000);
    assert.deepEqual(settled[2], [300, "FLUSH_TIMEOUT"]);
    wait(400);
    clock.advance(4999);
    assert.equal(settled.length, 3);
    clock.advance(1);
    assert.deepEqual(settled[3], [400, "SLAVE_TIMEOUT"]);
  });

  test("tells who waits for a slave that the message was lost here, and nobody else", () => {
    const { store, slaves, settled, wait } = setUp();
    slaves.have(0);
    wait(100);
    store.move({ written: 100 });
    wait(200);
    const error = new StoreRefusedError("WRITE_FAILED", "no disk");
    store.lose(100, error);
    assert.deepEqual(settled, [[200, error]]);
    wait(150);
    store.move({ written: 150 });
    slaves.have(150);
    assert.deepEqual(settled.slice(1), [[100, "STORED"], [150, "STORED"]]);
  });

  test("answers from what slaves have though a flush of its own failed, if it does not wait for flushes", () => {
    const { store, slaves, settled, wait } = setUp();
    slaves.have(0);
    wait(100);
    store.move({ written: 100 });
    store.lose(0, new StoreRefusedError("SYNC_FAILED", "no disk"));
    slaves.have(100);
    assert.deepEqual(settled, [[100, "STORED"]]);
  });
});

describe("a SYNC_MASTER with inSyncReplicas", () => {
  test("of 1 waits for nobody, as in 5.x", () => {
    assert.equal(setUp({ inSyncReplicas: 1 }).policy, undefined);
  });

  test("of 3 waits for two slaves, also where there is none yet", () => {
    const { store, slaves, clock, settled, wait } = setUp({ inSyncReplicas: 3 });
    wait(100);
    store.move({ written: 200 });
    slaves.have(100);
    assert.deepEqual(settled, []);
    slaves.have(100, 150);
    assert.deepEqual(settled, [[100, "STORED"]]);
    wait(200);
    slaves.have();
    clock.advance(3000);
    assert.deepEqual(settled[1], [200, "SLAVE_TIMEOUT"]);
  });
});

describe("a SYNC_MASTER whose slaves may act for it", () => {
  const ACTING = { slaveActingMaster: true, inSyncReplicas: 3 };

  test("takes nothing while too few members are in sync", () => {
    const { slaves, policy } = setUp(ACTING);
    slaves.have(0);
    assert.throws(() => policy!.requireMembers!(slaves), (error: RemotingError) => {
      assert.equal(error.code, 1);
      assert.equal(error.remark, "in-sync replicas not enough");
      return true;
    });
    slaves.have(0, 0);
    policy!.requireMembers!(slaves);
  });

  test("with enableAutoInSyncReplicas waits for those that are there, but no fewer than minInSyncReplicas", () => {
    const { store, slaves, settled, wait, policy } = setUp({
      ...ACTING,
      autoInSyncReplicas: true,
      minInSyncReplicas: 2,
    });
    slaves.have(0);
    policy!.requireMembers!(slaves);
    wait(100);
    store.move({ written: 100 });
    slaves.have(100);
    assert.deepEqual(settled, [[100, "STORED"]]);
    slaves.have();
    assert.throws(() => policy!.requireMembers!(slaves), RemotingError);
  });
});

test("an ASYNC_MASTER waits for no slave, whatever the other keys say", () => {
  assert.equal(replicaPolicy({ ...SETTINGS, brokerRole: "ASYNC_MASTER", inSyncReplicas: 3 }), undefined);
});

test("what slaves came to has Apache's codes and names, and the answer still says where the message is", () => {
  const stored = { code: 0, fields: { msgId: "id" } };
  const answers = (["SLAVE_NOT_AVAILABLE", "SLAVE_TIMEOUT", "FLUSH_TIMEOUT"] as const)
    .map((outcome) => [sendAnswer(outcome, stored).code, statusName(outcome)]);
  assert.deepEqual(answers, [[11, "SLAVE_NOT_AVAILABLE"], [12, "FLUSH_SLAVE_TIMEOUT"], [
    10,
    "FLUSH_DISK_TIMEOUT",
  ]]);
  assert.deepEqual(sendAnswer("SLAVE_TIMEOUT", stored).fields, { msgId: "id" });
});
