// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { isNearStart, isWide, Waiting } from "../../../src/broker/transactions/waiting.ts";

const place = (firstOpen: number, maxOffset: number, openCount: number) => ({
  ...{ firstOpen, maxOffset, openCount },
  minPhysicalOffset: 0,
  maxPhysicalOffset: 0,
});

test("what waits is stored anew when far more than it lies behind, so that each is not for long", () => {
  assert.equal(isWide(place(0, 1_000_000, 1)), false);
  assert.equal(isWide(place(0, 1_000_010, 1)), true);
  assert.equal(isWide(place(0, 5_000_000, 5_000_000)), false, "all of them wait");
  assert.equal(isWide(place(0, 20_000_000, 5_000_000)), false);
  assert.equal(isWide(place(0, 21_000_001, 5_000_000)), true);
});

test("what waits is stored anew before its log file has to go", () => {
  const log = { ...place(0, 0, 0), minPhysicalOffset: 8000, maxPhysicalOffset: 16_000 };
  assert.equal(isNearStart(log, 8999), true);
  assert.equal(isNearStart(log, 9000), false);
  assert.equal(isNearStart({ ...log, minPhysicalOffset: 0 }, 0), false, "nothing has gone yet");
});

test("too many groups are not remembered", () => {
  const waiting = new Waiting(0);
  for (let i = 0; i < 1000; i++) waiting.add(`g${i}`, 100 + i, 50 + i);
  assert.ok(waiting.isKept);
  assert.deepEqual([waiting.count, waiting.wakeAtMs, waiting.minPhysicalOffset], [1000, 100, 50]);
  waiting.add("one more", 10, 5);
  assert.ok(!waiting.isKept);
});
