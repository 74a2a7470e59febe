// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonFile } from "../../../src/broker/json_file.ts";
import { PopOrder } from "../../../src/broker/pop/order.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { MemoryFiles } from "../../harness/memory_files.ts";
import { until } from "../../harness/until.ts";

const queue = { topic: "T", group: "G", queueId: 0 };

function setUp(files = new MemoryFiles(), clock = new ManualClock()) {
  const free: string[] = [];
  files.makeDirectory("/config");
  const order = new PopOrder({
    file: new JsonFile(files, clock, "/config/consumerOrderInfo.json"),
    clock,
    flushIntervalMs: 5000,
    queueCountOf: (topic) => topic === "T" ? 4 : 0,
    hasGroup: (group) => group === "G",
    onFree: (...place) => void free.push(place.join("/")),
  });
  order.start();
  const pop = (offsets: number[], given: { attemptId?: string; queueId?: number } = {}) => {
    const popTimeMs = clock.nowMs();
    const { attemptId, queueId = 0 } = given;
    const items = order.onPopped({ ...queue, queueId }, {
      attemptId,
      popTimeMs,
      invisibleMs: 60_000,
      offsets,
    });
    return { popTimeMs, items };
  };
  return { files, clock, order, free, pop };
}

test("a queue is blocked until its batch is acknowledged", () => {
  const { order, pop } = setUp();
  assert.equal(order.isBlocked("T", "G", 0, undefined), false);
  const { popTimeMs } = pop([10, 11]);
  assert.equal(order.isBlocked("T", "G", 0, undefined), true);
  assert.equal(order.isBlocked("T", "G", 1, undefined), false);
  assert.equal(order.ack("T", "G", 0, 11, popTimeMs), 10);
  assert.equal(order.ack("T", "G", 0, 10, popTimeMs), 12);
  assert.equal(order.isBlocked("T", "G", 0, undefined), false);
});

test("a queue is free when the invisible time is over, which is told", () => {
  const { clock, order, free, pop } = setUp();
  pop([10]);
  clock.advance(59_999);
  assert.equal(order.isBlocked("T", "G", 0, undefined), true);
  assert.deepEqual(free, []);
  clock.advance(1);
  assert.equal(order.isBlocked("T", "G", 0, undefined), false);
  assert.deepEqual(free, ["T/G/0"]);
});

test("an acknowledged batch is not told of again", () => {
  const { clock, order, free, pop } = setUp();
  const { popTimeMs } = pop([10]);
  order.ack("T", "G", 0, 10, popTimeMs);
  clock.advance(120_000);
  assert.deepEqual(free, []);
});

test("the same attempt is not blocked by its own batch, nor counted as another try", () => {
  const { clock, order, pop } = setUp();
  pop([10, 11], { attemptId: "a" });
  assert.equal(order.isBlocked("T", "G", 0, "a"), false);
  assert.equal(order.isBlocked("T", "G", 0, "b"), true);
  assert.deepEqual(pop([10, 11], { attemptId: "a" }).items, ["0 0 0"]);
  clock.advance(60_000);
  assert.deepEqual(pop([10, 11], { attemptId: "b" }).items, ["0 qo0%10 1", "0 qo0%11 1", "0 0 1"]);
});

test("messages count how often they were given out; new ones in the batch make the queue's count 0", () => {
  const { pop } = setUp();
  assert.deepEqual(pop([10, 11]).items, ["0 0 0"]);
  assert.deepEqual(pop([11, 12]).items, ["0 qo0%11 1", "0 0 0"]);
  assert.deepEqual(pop([11, 12]).items, ["0 qo0%11 2", "0 qo0%12 1", "0 0 1"]);
});

test("an acknowledgement of an older batch is late, one of another message is a mistake", () => {
  const { clock, order, pop } = setUp();
  const { popTimeMs } = pop([10]);
  clock.advance(1);
  const again = pop([10]);
  assert.equal(order.ack("T", "G", 0, 10, popTimeMs), "STALE");
  assert.equal(order.ack("T", "G", 0, 15, again.popTimeMs), "UNKNOWN");
  assert.equal(order.ack("T", "G", 3, 15, 0), "FORGOTTEN");
});

test("a message can be made visible earlier or later", () => {
  const { clock, order, free, pop } = setUp();
  const { popTimeMs } = pop([10, 11]);
  order.ack("T", "G", 0, 10, popTimeMs);
  order.setVisibleAt("T", "G", 0, 11, popTimeMs, clock.nowMs() + 5000);
  clock.advance(4999);
  assert.equal(order.isBlocked("T", "G", 0, undefined), true);
  clock.advance(1);
  assert.equal(order.isBlocked("T", "G", 0, undefined), false);
  assert.deepEqual(free, ["T/G/0"]);
});

test("what was popped in order is read again after a stop and after a crash", async () => {
  const { files, clock, order, pop } = setUp();
  const { popTimeMs } = pop([10, 11]);
  order.ack("T", "G", 0, 10, popTimeMs);
  await order.stop();
  const next = setUp(files, clock);
  assert.equal(next.order.isBlocked("T", "G", 0, undefined), true);
  assert.equal(next.order.ack("T", "G", 0, 11, popTimeMs), 12);
  next.clock.advance(5000);
  await until(() => !files.list("/config").some((name) => name.endsWith(".tmp")));
  const last = setUp(files, clock);
  assert.equal(last.order.isBlocked("T", "G", 0, undefined), false);
  assert.equal(last.order.ack("T", "G", 0, 11, popTimeMs), 12);
});

test("a batch that waited over a restart is told of when it is free", async () => {
  const { files, clock, order, pop } = setUp();
  pop([10]);
  await order.stop();
  const next = setUp(files, clock);
  clock.advance(60_000);
  assert.deepEqual(next.free, ["T/G/0"]);
});

test("what nobody needs any more is forgotten", () => {
  const { clock, order, pop } = setUp();
  const { popTimeMs } = pop([10], { queueId: 7 });
  pop([10]);
  clock.advance(5000);
  assert.equal(order.ack("T", "G", 7, 10, popTimeMs + 1), "FORGOTTEN");
  order.forgetTopic("T");
  assert.equal(order.isBlocked("T", "G", 0, undefined), false);
  pop([10]);
  order.forgetGroup("G");
  assert.equal(order.isBlocked("T", "G", 0, undefined), false);
});
