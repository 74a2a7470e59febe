// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Durability, type Outcome } from "../../src/broker/durability.ts";
import { StoreRefusedError } from "../../src/store/types.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { ManualWatermarks } from "../harness/manual_watermarks.ts";

function setUp(flushMode: "SYNC" | "ASYNC") {
  const store = new ManualWatermarks();
  const clock = new ManualClock();
  const durability = new Durability({ store, clock, flushMode, syncFlushTimeoutMs: 5000 });
  const settled: [number, Outcome][] = [];
  const wait = (endOffset: number, mayWait = true) =>
    durability.when(endOffset, mayWait, (outcome) => settled.push([endOffset, outcome]));
  return { store, clock, durability, settled, wait };
}

describe("durability", () => {
  test("under ASYNC flush a message is acknowledged when it is written, not before", () => {
    const { store, settled, wait } = setUp("ASYNC");
    wait(100);
    wait(200);
    assert.deepEqual(settled, []);
    store.move({ written: 199 });
    assert.deepEqual(settled, [[100, "STORED"]]);
    store.move({ written: 200 });
    assert.deepEqual(settled, [[100, "STORED"], [200, "STORED"]]);
  });

  test("under SYNC flush a message is acknowledged when it is flushed, not when it is written", () => {
    const { store, settled, wait } = setUp("SYNC");
    wait(100);
    store.move({ written: 100 });
    assert.deepEqual(settled, []);
    store.move({ flushed: 100 });
    assert.deepEqual(settled, [[100, "STORED"]]);
  });

  test("under SYNC flush a message that does not want to wait is acknowledged when it is written", () => {
    const { store, settled, wait } = setUp("SYNC");
    wait(100, false);
    assert.deepEqual(settled, []);
    store.move({ written: 100 });
    assert.deepEqual(settled, [[100, "STORED"]]);
  });

  test("a message that is already as safe as asked is acknowledged at once", () => {
    const { store, settled, wait } = setUp("SYNC");
    store.move({ written: 300, flushed: 300 });
    wait(300);
    assert.deepEqual(settled, [[300, "STORED"]]);
  });

  test("a flush that takes too long is told as such, for each message at its own time", () => {
    const { store, clock, settled, wait } = setUp("SYNC");
    wait(100);
    clock.advance(3000);
    wait(200);
    clock.advance(1999);
    assert.deepEqual(settled, []);
    clock.advance(1);
    assert.deepEqual(settled, [[100, "FLUSH_TIMEOUT"]]);
    store.move({ flushed: 200 });
    assert.deepEqual(settled, [[100, "FLUSH_TIMEOUT"], [200, "STORED"]]);
    clock.advance(60_000);
    assert.equal(settled.length, 2);
    assert.equal(clock.timerCount, 0);
  });

  test("what could not be written is refused, what was written before is acknowledged", () => {
    const { store, settled, wait } = setUp("ASYNC");
    wait(100);
    wait(200);
    const error = new StoreRefusedError("DISK_FULL", "full");
    store.lose(100, error);
    assert.deepEqual(settled, [[200, error]]);
    store.move({ written: 100 });
    assert.deepEqual(settled, [[200, error], [100, "STORED"]]);
  });

  test("a failed sync refuses who waits for it, and leaves alone who waits for the write", () => {
    const { store, settled, wait } = setUp("SYNC");
    wait(100);
    wait(200, false);
    const error = new StoreRefusedError("SYNC_FAILED", "EIO");
    store.lose(0, error);
    assert.deepEqual(settled, [[100, error]]);
    store.move({ written: 200 });
    assert.deepEqual(settled[1], [200, "STORED"]);
  });

  test("thousands of waiters are released in order", () => {
    const { store, settled, wait } = setUp("ASYNC");
    for (let end = 1; end <= 10_000; end++) wait(end);
    for (let written = 0; written <= 10_000; written += 7) store.move({ written });
    store.move({ written: 10_000 });
    assert.deepEqual(settled.map(([end]) => end), Array.from({ length: 10_000 }, (_, index) => index + 1));
  });
});
