// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { RateSampler } from "../../src/broker/rates.ts";
import { ManualClock } from "../harness/manual_clock.ts";

test("three numbers from the start on: the time since start, until the window is full", () => {
  const clock = new ManualClock();
  const counts = { put: 0, found: 0, missed: 0, transferred: 0 };
  const sampler = new RateSampler(clock, () => counts);
  assert.deepEqual(sampler.rates().total, [0, 0, 0]);
  sampler.start();
  assert.deepEqual(sampler.rates().put, [0, 0, 0]);
  for (let second = 0; second < 20; second++) {
    counts.put += 100;
    counts.found += 10;
    counts.missed += 1;
    counts.transferred += 320;
    clock.advance(1000);
  }
  const rates = sampler.rates();
  assert.deepEqual(rates.put, [100, 100, 100]);
  assert.deepEqual(rates.total, [11, 11, 11]);
  assert.deepEqual(rates.transferred, [320, 320, 320]);
  clock.advance(40_000);
  assert.deepEqual(sampler.rates().put, [0, 2000 / 60, 2000 / 60]);
  clock.advance(600_000);
  assert.deepEqual(sampler.rates().put, [0, 0, 0]);
  sampler.stop();
  assert.equal(clock.timerCount, 0);
});
