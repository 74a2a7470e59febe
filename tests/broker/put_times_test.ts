// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { PutTimes } from "../../src/broker/put_times.ts";
import { ManualClock } from "../harness/manual_clock.ts";

test("the distribution is that of the last full minute, and the word null before there was one", () => {
  const clock = new ManualClock();
  const times = new PutTimes(clock);
  times.start();
  for (let i = 0; i < 990; i++) times.record(0.2);
  for (let i = 0; i < 9; i++) times.record(30);
  times.record(12_000);
  assert.equal(times.distribution(), "null");
  assert.equal(times.maxMs, 12_000);
  clock.advance(60_000);
  assert.equal(
    times.distribution(),
    "[<=0ms]:990 [0~10ms]:0 [10~50ms]:9 [50~100ms]:0 [100~200ms]:0 [200~500ms]:0 [500ms~1s]:0 [1~2s]:0 " +
      "[2~3s]:0 [3~4s]:0 [4~5s]:0 [5~10s]:0 [10s~]:1 ",
  );
  assert.ok(times.percentile99Ms >= 0.2 && times.percentile99Ms < 0.22, `${times.percentile99Ms}`);
  assert.ok(times.percentile999Ms >= 30 && times.percentile999Ms < 33, `${times.percentile999Ms}`);
  clock.advance(60_000);
  assert.match(times.distribution(), /^\[<=0ms\]:0 .*\[10s~\]:0 $/);
  assert.equal(times.percentile99Ms, 0);
  assert.equal(times.maxMs, 12_000);
  times.stop();
  assert.equal(clock.timerCount, 0);
});
