// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { compare, parseBaseline, ratiosOf } from "./baseline.ts";

test("ratiosOf() says how much better the own figures are", () => {
  const own = { messagesPerSecond: 300, cpuMicrosPerMessage: 5 };
  const reference = { messagesPerSecond: 100, cpuMicrosPerMessage: 20 };
  assert.deepEqual(ratiosOf(own, reference), { messagesPerSecond: 3, cpuPerMessage: 4 });
});

test("ratiosOf() knows no ratio where a figure is missing or 0", () => {
  const none = { messagesPerSecond: undefined, cpuPerMessage: undefined };
  assert.deepEqual(ratiosOf(undefined, { messagesPerSecond: 1, cpuMicrosPerMessage: 1 }), none);
  assert.deepEqual(ratiosOf({ messagesPerSecond: 1 }, { messagesPerSecond: 0 }), none);
});

test("compare() takes ratios down to 0.85 of the recorded ones", () => {
  const verdict = compare({ "8x64": { messagesPerSecond: 2, cpuPerMessage: 4 } }, {
    "8x64": { messagesPerSecond: 1.7, cpuPerMessage: 3.4 },
  });
  assert.equal(verdict.isWorse, false);
  assert.deepEqual(verdict.lines, [
    "8x64, msgs/s to Apache's: 1.70×, recorded 2.00× (85 %)",
    "8x64, Apache's CPU/msg to ours: 3.40×, recorded 4.00× (85 %)",
  ]);
});

test("compare() calls it worse where one ratio of one workload is below 0.85 of the recorded one", () => {
  const recorded = { "1x1": { messagesPerSecond: 2 }, "8x64": { messagesPerSecond: 2, cpuPerMessage: 4 } };
  const verdict = compare(recorded, {
    "1x1": { messagesPerSecond: 3 },
    "8x64": { messagesPerSecond: 2, cpuPerMessage: 3.39 },
  });
  assert.equal(verdict.isWorse, true);
  assert.deepEqual(verdict.lines.filter((line) => line.endsWith("WORSE")).length, 1);
  assert.match(verdict.lines[2], /^8x64, Apache's CPU.*WORSE$/);
});

test("compare() calls a ratio worse that was recorded and can't be had now", () => {
  assert.equal(compare({ "1x1": { cpuPerMessage: 4 } }, { "1x1": {} }).isWorse, true);
});

test("compare() doesn't judge workloads that were not recorded, or not measured now", () => {
  const verdict = compare({ backlog: { messagesPerSecond: 9 } }, { "1x1": { messagesPerSecond: 0.1 } });
  assert.equal(verdict.isWorse, false);
  assert.deepEqual(verdict.lines, ["1x1, msgs/s to Apache's: 0.10×, recorded none"]);
});

test("parseBaseline() reads what was written, and refuses what is no baseline", () => {
  const baseline = { machine: "2 × CPU", recorded: "today", workloads: { "1x1": { messagesPerSecond: 2 } } };
  assert.deepEqual(parseBaseline(JSON.stringify(baseline)), baseline);
  assert.throws(() => parseBaseline("{}"), /not a baseline/);
  assert.throws(() => parseBaseline("null"), /not a baseline/);
});
