// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_OFFSET } from "../../../src/broker/consumer_offsets.ts";
import { PopPositions } from "../../../src/broker/pop/positions.ts";

function setUp() {
  const committed = new Map<string, number>();
  const resets = new Set<string>();
  const listeners: { watermark: () => void; loss: () => void } = { watermark: () => {}, loss: () => {} };
  const store = {
    flushedOffset: 0,
    onWatermark: (listener: () => void) => void (listeners.watermark = listener),
    onLoss: (listener: () => void) => void (listeners.loss = listener),
  };
  const key = (group: string, topic: string, queueId: number) => `${topic}/${group}/${queueId}`;
  const positions = new PopPositions({
    store,
    offsets: {
      query: (group, topic, queueId) => committed.get(key(group, topic, queueId)) ?? NO_OFFSET,
      commit: (group, topic, queueId, offset) => void committed.set(key(group, topic, queueId), offset),
      pendingReset: (group, topic, queueId) => resets.has(key(group, topic, queueId)) ? 0 : undefined,
    },
  });
  const flush = (offset: number) => {
    store.flushedOffset = offset;
    listeners.watermark();
  };
  return { positions, committed, resets, flush, lose: () => listeners.loss() };
}

test("a position is ahead at once, and committed when its check point is flushed", () => {
  const { positions, committed, flush } = setUp();
  positions.advance("T", "G", 0, 10, 1000);
  positions.advance("T", "G", 0, 20, 2000);
  assert.equal(positions.next("T", "G", 0), 20);
  assert.equal(committed.get("T/G/0"), undefined);
  flush(1500);
  assert.equal(committed.get("T/G/0"), 10);
  assert.equal(positions.next("T", "G", 0), 20);
  flush(2000);
  assert.equal(committed.get("T/G/0"), 20);
  assert.equal(positions.count, 0);
});

test("what was passed over is committed behind the check points before it", () => {
  const { positions, committed, flush } = setUp();
  positions.advance("T", "G", 0, 10, 1000);
  positions.advance("T", "G", 0, 50);
  assert.equal(committed.get("T/G/0"), undefined);
  flush(1000);
  assert.equal(committed.get("T/G/0"), 50);
});

test("what was passed over with nothing before it is committed at once", () => {
  const { positions, committed } = setUp();
  positions.advance("T", "G", 0, 50);
  assert.equal(committed.get("T/G/0"), 50);
  assert.equal(positions.count, 0);
});

test("a loss of check points takes positions back to what is committed", () => {
  const { positions, committed, flush, lose } = setUp();
  positions.advance("T", "G", 0, 10, 1000);
  flush(1000);
  positions.advance("T", "G", 0, 20, 2000);
  lose();
  assert.equal(positions.next("T", "G", 0), 10);
  flush(9000);
  assert.equal(committed.get("T/G/0"), 10);
  positions.advance("T", "G", 0, 12, 1100);
  flush(9001);
  assert.equal(committed.get("T/G/0"), 12);
});

test("a dropped position does not overwrite what was set in its place", () => {
  const { positions, committed, flush } = setUp();
  positions.advance("T", "G", 0, 10, 1000);
  positions.drop("T", "G", 0);
  committed.set("T/G/0", 3);
  flush(1000);
  assert.equal(committed.get("T/G/0"), 3);
  assert.equal(positions.next("T", "G", 0), 3);
});

test("a reset that waits is not overwritten", () => {
  const { positions, committed, resets, flush } = setUp();
  positions.advance("T", "G", 0, 10, 1000);
  committed.set("T/G/0", 2);
  resets.add("T/G/0");
  flush(1000);
  assert.equal(committed.get("T/G/0"), 2);
});

test("a committed offset that is further is not taken back", () => {
  const { positions, committed, flush } = setUp();
  positions.advance("T", "G", 0, 10, 1000);
  committed.set("T/G/0", 30);
  assert.equal(positions.next("T", "G", 0), 30);
  flush(1000);
  assert.equal(committed.get("T/G/0"), 30);
});

test("a topic or group that goes leaves no positions", () => {
  const { positions, committed, flush } = setUp();
  positions.advance("T", "G", 0, 10, 1000);
  positions.advance("T", "H", 0, 10, 1000);
  positions.advance("U", "H", 0, 10, 1000);
  positions.forgetTopic("T");
  positions.forgetGroup("H");
  assert.equal(positions.count, 0);
  flush(1000);
  assert.equal(committed.size, 0);
});
