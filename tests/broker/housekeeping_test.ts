// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { startHousekeeping } from "../../src/broker/housekeeping.ts";
import { ManualClock } from "../harness/manual_clock.ts";

test("startHousekeeping() lets each forget what has expired every ten seconds, until cancelled", () => {
  const clock = new ManualClock();
  const counts = [0, 0];
  const timer = startHousekeeping(
    clock,
    { removeExpired: () => void counts[0]++ },
    { removeExpired: () => void counts[1]++ },
  );
  clock.advance(9_999);
  assert.deepEqual(counts, [0, 0]);
  clock.advance(1);
  assert.deepEqual(counts, [1, 1]);
  clock.advance(20_000);
  assert.deepEqual(counts, [3, 3]);
  timer.cancel();
  assert.equal(clock.timerCount, 0);
});
