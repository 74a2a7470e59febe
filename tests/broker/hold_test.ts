// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type HeldPull, PullHold } from "../../src/broker/hold.ts";
import { TagFilter } from "../../src/broker/message_filter.ts";
import type { ArrivalListener } from "../../src/store/dispatcher.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryConnection } from "../harness/memory_connection.ts";

/** Queues that only have an end. */
class Queues {
  ends = new Map<string, number>();
  #onArrival: ArrivalListener[] = [];
  #onWatermark: (() => void)[] = [];

  maxOffset(topic: string, queueId: number): number {
    return this.ends.get(`${topic}/${queueId}`) ?? 0;
  }

  onArrival(listener: ArrivalListener): void {
    this.#onArrival.push(listener);
  }

  onWatermark(listener: () => void): void {
    this.#onWatermark.push(listener);
  }

  arrive(topic: string, queueId: number, ...tagsCodes: number[]): void {
    this.arriveWith(topic, queueId, new Map(), ...tagsCodes);
  }

  arriveWith(
    topic: string,
    queueId: number,
    properties: ReadonlyMap<string, string>,
    ...tagsCodes: number[]
  ): void {
    for (const tagsCode of tagsCodes) {
      const queueOffset = this.maxOffset(topic, queueId);
      this.ends.set(`${topic}/${queueId}`, queueOffset + 1);
      for (const listener of this.#onArrival) listener(topic, queueId, queueOffset, tagsCode, 0, properties);
    }
    for (const listener of this.#onWatermark) listener();
  }
}

function setUp() {
  const queues = new Queues();
  const clock = new ManualClock();
  const hold = new PullHold(queues, clock);
  const woken: string[] = [];
  const pull = (name: string, given: Partial<HeldPull> = {}): HeldPull => ({
    topic: "T",
    queueId: 0,
    queueOffset: 0,
    connection: new MemoryConnection(),
    filter: undefined,
    deadlineMs: clock.monotonicMs() + 15_000,
    wake: () => woken.push(name),
    ...given,
  });
  return { queues, clock, hold, woken, pull };
}

describe("held pulls", () => {
  test("a message wakes the pulls of its queue, and no others", () => {
    const { queues, hold, woken, pull } = setUp();
    hold.hold(pull("here"));
    hold.hold(pull("too"));
    hold.hold(pull("other queue", { queueId: 1 }));
    hold.hold(pull("other topic", { topic: "U" }));
    queues.arrive("T", 0, 0);
    assert.deepEqual(woken, ["here", "too"]);
    assert.equal(hold.count, 2);
  });

  test("a pull is woken once by all messages of a turn", () => {
    const { queues, hold, woken, pull } = setUp();
    hold.hold(pull("a"));
    queues.arrive("T", 0, 1, 2, 3);
    assert.deepEqual(woken, ["a"]);
  });

  test("a message that the filter refuses does not wake", () => {
    const { queues, hold, woken, pull } = setUp();
    hold.hold(pull("a", { filter: new TagFilter([7]) }));
    queues.arrive("T", 0, 6);
    assert.deepEqual(woken, []);
    queues.arrive("T", 0, 7);
    assert.deepEqual(woken, ["a"]);
  });

  test("a pull whose queue has grown meanwhile is not held", () => {
    const { queues, hold, woken, pull } = setUp();
    queues.arrive("T", 0, 0);
    hold.hold(pull("a"));
    assert.deepEqual(woken, ["a"]);
    assert.equal(hold.count, 0);
  });

  test("the deadline ends the wait, within half a second", () => {
    const { clock, hold, woken, pull } = setUp();
    hold.hold(pull("a"));
    clock.advance(14_999);
    assert.deepEqual(woken, []);
    clock.advance(501);
    assert.deepEqual(woken, ["a"]);
  });

  test("a pull behind messages that its filter refuses is served now and then, so that its offset moves", () => {
    const { queues, clock, hold, woken, pull } = setUp();
    hold.hold(pull("a", { filter: new TagFilter([]), deadlineMs: clock.monotonicMs() + 60_000 }));
    queues.arrive("T", 0, 1);
    clock.advance(5000);
    assert.deepEqual(woken, ["a"]);
  });

  test("pulls of a closed connection are forgotten", () => {
    const { queues, hold, woken, pull } = setUp();
    const held = pull("gone");
    hold.hold(held);
    held.connection.close();
    queues.arrive("T", 0, 1);
    assert.deepEqual(woken, []);
    assert.equal(hold.count, 0);
  });

  test("stop() serves all and leaves no timer", () => {
    const { clock, hold, woken, pull } = setUp();
    hold.hold(pull("a"));
    hold.hold(pull("b", { topic: "U" }));
    hold.stop();
    assert.deepEqual(woken, ["a", "b"]);
    assert.equal(clock.timerCount, 0);
  });
});
