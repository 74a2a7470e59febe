// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { QueueLocks } from "../../src/broker/queue_locks.ts";
import { ManualClock } from "../harness/manual_clock.ts";

const queue = (queueId: number, topic = "t", brokerName = "b") => ({ brokerName, queueId, topic });

function setUp(maxLocks?: number) {
  const clock = new ManualClock();
  return { clock, locks: new QueueLocks({ clock, maxLocks }) };
}

describe("QueueLocks", () => {
  test("give a queue to the first client of a group", () => {
    const { locks } = setUp();
    assert.deepEqual(locks.lock("g", "c1", [queue(0), queue(1)]), [queue(0), queue(1)]);
    assert.deepEqual(locks.lock("g", "c2", [queue(1), queue(2)]), [queue(2)]);
    assert.deepEqual(locks.lock("g", "c1", [queue(0), queue(2)]), [queue(0)]);
  });

  test("tell groups, topics and brokers apart", () => {
    const { locks } = setUp();
    locks.lock("g", "c1", [queue(0)]);
    assert.equal(locks.lock("other", "c2", [queue(0)]).length, 1);
    assert.equal(locks.lock("g", "c2", [queue(0, "other")]).length, 1);
    assert.equal(locks.lock("g", "c2", [queue(0, "t", "other")]).length, 1);
    assert.equal(locks.lock("g", "c2", [queue(0)]).length, 0);
  });

  test("give a queue to another client 60 s after it was last refreshed", () => {
    const { locks, clock } = setUp();
    locks.lock("g", "c1", [queue(0)]);
    clock.advance(40_000);
    locks.lock("g", "c1", [queue(0)]);
    clock.advance(60_000);
    assert.deepEqual(locks.lock("g", "c2", [queue(0)]), []);
    clock.advance(1);
    assert.deepEqual(locks.lock("g", "c2", [queue(0)]), [queue(0)]);
    assert.deepEqual(locks.lock("g", "c1", [queue(0)]), []);
  });

  test("take a queue back only from its owner", () => {
    const { locks } = setUp();
    locks.lock("g", "c1", [queue(0)]);
    locks.unlock("g", "c2", [queue(0)]);
    locks.unlock("nobody", "c1", [queue(0)]);
    assert.deepEqual(locks.lock("g", "c2", [queue(0)]), []);
    locks.unlock("g", "c1", [queue(0), queue(7)]);
    assert.deepEqual(locks.lock("g", "c2", [queue(0)]), [queue(0)]);
  });

  test("say whether a group consumes in order", () => {
    const { locks, clock } = setUp();
    assert.equal(locks.hasLiveLock("g"), false);
    locks.lock("g", "c1", [queue(0)]);
    assert.equal(locks.hasLiveLock("g"), true);
    clock.advance(60_001);
    assert.equal(locks.hasLiveLock("g"), false);
    locks.lock("g", "c1", [queue(0)]);
    locks.unlock("g", "c1", [queue(0)]);
    assert.equal(locks.hasLiveLock("g"), false);
  });

  test("are bounded in number, and expired ones make room", () => {
    const { locks, clock } = setUp(2);
    assert.deepEqual(locks.lock("g", "c1", [queue(0), queue(1), queue(2)]), [queue(0), queue(1)]);
    clock.advance(50_000);
    locks.lock("g", "c1", [queue(1)]);
    clock.advance(20_000);
    assert.deepEqual(locks.lock("g", "c1", [queue(2)]), []);
    locks.removeExpired();
    assert.deepEqual(locks.lock("g", "c1", [queue(2), queue(3)]), [queue(2)]);
  });

  test("do not remember names of any length", () => {
    const { locks } = setUp();
    assert.deepEqual(locks.lock("g", "c1", [queue(0, "t".repeat(2000))]), []);
    assert.deepEqual(locks.lock("g".repeat(2000), "c1", [queue(0)]), []);
    assert.deepEqual(locks.lock("g", "c".repeat(2000), [queue(0)]), []);
  });
});
