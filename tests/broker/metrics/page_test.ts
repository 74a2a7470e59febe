// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Buckets } from "../../../src/broker/metrics/buckets.ts";
import { gauge } from "../../../src/broker/metrics/family.ts";
import { metricsPage } from "../../../src/broker/metrics/page.ts";
import { logged } from "../../harness/logged.ts";

test("values are counted up to each bound", () => {
  const buckets = new Buckets([1, 10]);
  for (const value of [0.5, 1, 2, 11]) buckets.add(value);
  buckets.add(5, 3);
  assert.deepEqual(
    [...buckets.samples({ a: "b" })].map(({ labels, value, suffix }) => [suffix, labels.le, value]),
    [
      ["_bucket", 1, 2],
      ["_bucket", 10, 6],
      ["_bucket", "+Inf", 7],
      ["_sum", undefined, 29.5],
      ["_count", undefined, 7],
    ],
  );
});

test("names that clients choose can't break the page, nor fill it", async () => {
  const samples = Array.from({ length: 100 }, (_, n) => ({ labels: { topic: `"\\\n${n}` }, value: n }));
  const page = await metricsPage({
    families: [{ name: "many", help: "Many", type: "gauge", samples: () => samples }],
    labels: { node: "a" },
    maxSamples: 7,
  });
  const lines = (await page.text()).split("\n").filter((line) => line.startsWith("many"));
  assert.equal(lines.length, 7);
  assert.equal(lines[3], 'many{topic="\\"\\\\\\n3",node="a"} 3');
});

test("a metric that can't be told leaves the others", async () => {
  const page = await metricsPage({
    families: [
      gauge("broken", "Broken", () => {
        throw new Error("no disk");
      }),
      gauge("whole", "Whole", () => 5),
      gauge("unknown", "Unknown", () => NaN),
    ],
    labels: {},
    maxSamples: 10,
  });
  let text = "";
  const notes = await logged(async () => {
    text = await page.text();
  });
  assert.match(text, /^whole 5$/m);
  assert.doesNotMatch(text, /^(broken|unknown) /m);
  assert.match(notes.join(), /broken can't be told: .*no disk/);
});
