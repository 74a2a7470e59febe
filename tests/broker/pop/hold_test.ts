// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { TagFilter } from "../../../src/broker/message_filter.ts";
import { type HeldPop, PopHold, type PopHoldSettings } from "../../../src/broker/pop/hold.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { MemoryConnection } from "../../harness/memory_connection.ts";
import { until } from "../../harness/until.ts";

type Arrive = (topic: string, queueId: number, queueOffset?: number, tagsCode?: number) => void;

function setUp(given: Partial<PopHoldSettings> = {}, wakes: "first" | "last" = "first") {
  const clock = new ManualClock();
  let onArrival: (...arrival: [string, number, number, number, number, Map<string, string>]) => void =
    () => {};
  let onWatermark = () => {};
  const settings = {
    ...{ maxHeldPops: 100, maxHeldPopsPerQueue: 10, maxHeldPopQueues: 10, popForcedWakeOffsets: 0 },
    ...given,
  };
  const hold = new PopHold({
    store: {
      onArrival: (listener) => void (onArrival = listener),
      onWatermark: (listener) => void (onWatermark = listener),
    },
    clock,
    settings: () => settings,
    wakes,
  });
  const woken: string[] = [];
  const pop = (name: string, place: Partial<HeldPop> = {}): HeldPop => ({
    ...{ topic: "T", group: "G", queueId: -1, connection: new MemoryConnection(), filter: undefined },
    deadlineMs: clock.monotonicMs() + 1000,
    ...place,
    wake: () => void woken.push(name),
  });
  const arrive: Arrive = (topic, queueId, queueOffset = 1, tagsCode = 0) => {
    onArrival(topic, queueId, queueOffset, tagsCode, 0, new Map());
    onWatermark();
  };
  return { clock, hold, pop, arrive, woken };
}

test("a message wakes one request of each group", () => {
  const { hold, pop, arrive, woken } = setUp();
  for (const name of ["a", "b"]) assert.equal(hold.hold(pop(name)), "HELD");
  hold.hold(pop("other", { group: "H" }));
  arrive("T", 3);
  assert.deepEqual(woken, ["a", "other"]);
  arrive("T", 3);
  assert.deepEqual(woken, ["a", "other", "b"]);
  assert.equal(hold.count, 0);
});

test("messages of other topics and queues wake nobody", () => {
  const { hold, pop, arrive, woken } = setUp();
  hold.hold(pop("a", { queueId: 2 }));
  arrive("U", 2);
  arrive("T", 1);
  assert.deepEqual(woken, []);
  arrive("T", 2);
  assert.deepEqual(woken, ["a"]);
});

test("the request whose time ends first is woken first, or last where it is asked so", () => {
  for (const wakes of ["first", "last"] as const) {
    const { clock, hold, pop, arrive, woken } = setUp({}, wakes);
    hold.hold(pop("late", { deadlineMs: clock.monotonicMs() + 900 }));
    hold.hold(pop("early", { deadlineMs: clock.monotonicMs() + 500 }));
    arrive("T", 0);
    assert.deepEqual(woken, [wakes === "first" ? "early" : "late"]);
  }
});

test("a message that the filter does not let pass wakes nobody, unless its offset is one that always does", () => {
  const { hold, pop, arrive, woken } = setUp({ popForcedWakeOffsets: 800 });
  hold.hold(pop("a", { filter: new TagFilter([7]) }));
  arrive("T", 0, 1, 8);
  assert.deepEqual(woken, []);
  arrive("T", 0, 800, 8);
  assert.deepEqual(woken, ["a"]);
  hold.hold(pop("b", { filter: new TagFilter([7]) }));
  arrive("T", 0, 1, 7);
  assert.deepEqual(woken, ["a", "b"]);
});

test("at its deadline a request is woken, and held no longer", () => {
  const { clock, hold, pop, woken } = setUp();
  const late = pop("a");
  hold.hold(late);
  clock.advance(999);
  assert.deepEqual(woken, []);
  clock.advance(41);
  assert.deepEqual(woken, ["a"]);
  assert.equal(hold.hold(late), "TIMEOUT");
});

test("nothing ticks while nobody waits", () => {
  const { clock, hold, pop } = setUp();
  hold.hold(pop("a"));
  assert.equal(clock.timerCount, 1);
  clock.advance(2000);
  assert.equal(clock.timerCount, 0);
});

test("requests beyond the limits are told that all is full", () => {
  const perQueue = setUp({ maxHeldPopsPerQueue: 1 });
  assert.deepEqual(["a", "b", "c"].map((name) => perQueue.hold.hold(perQueue.pop(name))), [
    "HELD",
    "HELD",
    "FULL",
  ]);
  const inAll = setUp({ maxHeldPops: 1 });
  assert.deepEqual(["a", "b"].map((name) => inAll.hold.hold(inAll.pop(name))), ["HELD", "FULL"]);
  const queues = setUp({ maxHeldPopQueues: 1 });
  assert.equal(queues.hold.hold(queues.pop("a", { queueId: 0 })), "HELD");
  assert.equal(queues.hold.hold(queues.pop("b", { queueId: 1 })), "FULL");
  assert.equal(queues.hold.hold(queues.pop("c", { queueId: 0 })), "HELD");
});

test("a request whose connection has gone is passed over", () => {
  const { hold, pop, arrive, woken } = setUp();
  const gone = pop("gone");
  hold.hold(gone);
  hold.hold(pop("there"));
  gone.connection.close();
  arrive("T", 0);
  assert.deepEqual(woken, ["there"]);
  assert.equal(hold.count, 0);
});

test("one request can be woken for what was left to it", async () => {
  const { hold, pop, woken } = setUp();
  hold.hold(pop("a"));
  hold.hold(pop("b"));
  hold.hold(pop("c", { queueId: 2 }));
  hold.wakeOneAtAny("T", "G", 2);
  await until(() => woken.length === 2);
  assert.deepEqual(woken, ["a", "c"]);
  hold.wakeOne("T", "H", -1);
  assert.equal(hold.countAt("T", "G", -1), 1);
});

test("a group is woken at each queue where it waits", async () => {
  const { hold, pop, woken } = setUp();
  for (const queueId of [-1, 0, 1]) hold.hold(pop(`q${queueId}`, { queueId }));
  hold.hold(pop("second"));
  hold.wakeGroup("T", "G");
  await until(() => woken.length === 3);
  assert.deepEqual(woken.sort(), ["q-1", "q0", "q1"]);
});

test("a topic that goes wakes all who wait for it, and the end of the broker wakes everybody", () => {
  const { hold, pop, woken } = setUp();
  hold.hold(pop("a"));
  hold.hold(pop("b", { topic: "U" }));
  hold.wakeTopic("T");
  assert.deepEqual(woken, ["a"]);
  hold.stop();
  assert.deepEqual(woken, ["a", "b"]);
  assert.equal(hold.hold(pop("c")), "TIMEOUT");
  assert.equal(hold.count, 0);
});
