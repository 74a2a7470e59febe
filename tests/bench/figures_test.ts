// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  comparisonTable,
  type Figures,
  median,
  type PeerResults,
  scenarioTable,
  workloadTable,
} from "./figures.ts";
import { chooseWorkloads } from "./workloads.ts";

const MEMORY = { residentBytes: 150e6, anonymousBytes: 100e6 };

function peer(name: string, runs: Record<string, Partial<Figures>>): PeerResults {
  const all = Object.entries(runs).map(([workload, figures]): [string, Figures[]] => [
    workload,
    [{ messagesPerSecond: 0, ...MEMORY, ...figures }],
  ]);
  return { name, runs: new Map(all), lives: [] };
}

/** The cells of a table's line that begins with `first`. */
function cells(table: string, first: string): string[] {
  const line = table.split("\n").find((candidate) => candidate.startsWith(`| ${first} `));
  assert(line !== undefined, `no line ${first} in\n${table}`);
  return line.split("|").slice(1, -1).map((cell) => cell.trim());
}

test("median() is the middle of each figure, also of one that only some runs have", () => {
  const runs: { rate: number; late?: number }[] = [{ rate: 3 }, { rate: 1, late: 7 }, { rate: 2 }];
  assert.deepEqual(median(runs), { rate: 2, late: 7 });
  assert.deepEqual(median([{ rate: 1 }, { rate: 2 }]), { rate: 1.5 });
});

test("workloadTable() shows ratios that are above 1 where the first is better", () => {
  const own = peer("rmq", { "1x1": { messagesPerSecond: 30_000, cpuMicrosPerMessage: 10 } });
  const reference = peer("Apache", { "1x1": { messagesPerSecond: 15_000, cpuMicrosPerMessage: 40 } });
  const row = cells(workloadTable(chooseWorkloads(["1x1"]), own, reference), "1 × 1, 256 B");
  assert.deepEqual(row.slice(1, 7), ["30.0k", "15.0k", "2.0×", "10.0", "40.0", "4.0×"]);
});

test("workloadTable() shows no ratio of messages where the rate was given", () => {
  const figures = { "e2e-5000": { messagesPerSecond: 5000, cpuMicrosPerMessage: 50 } };
  const table = workloadTable(chooseWorkloads(["e2e-5000"]), peer("rmq", figures), peer("Apache", figures));
  assert.deepEqual(cells(table, "end to end at 5000 msgs/s, 256 B").slice(1, 4), ["5000", "5000", ""]);
});

test("workloadTable() shows delays of the event loop and the generator's limit where they are known", () => {
  const own = peer("rmq", {
    "1x1": { messagesPerSecond: 20_000, loopDelayP99Micros: 900, loopDelayMaxMicros: 4200 },
    backlog: { messagesPerSecond: 1e6 },
  });
  const table = workloadTable(
    chooseWorkloads(["1x1", "backlog"]),
    own,
    undefined,
    new Map([["1x1", 40_000]]),
  );
  assert.deepEqual(cells(table, "1 × 1, 256 B").slice(-2), ["900 µs · 4.20 ms", "50 %"]);
  assert.deepEqual(cells(table, "read a backlog, 8 connections, 256 B").slice(-2), ["", ""]);
  assert.doesNotMatch(
    workloadTable(chooseWorkloads(["1x1"]), peer("rmq", { "1x1": {} }), undefined),
    /loop|limit/,
  );
});

test("comparisonTable() has the workloads that both were measured with", () => {
  const own = peer("rmq", {
    "1x1": { messagesPerSecond: 30_000, cpuMicrosPerMessage: 20 },
    backlog: { messagesPerSecond: 1 },
  });
  const nats = peer("NATS", { "1x1": { messagesPerSecond: 20_000, cpuMicrosPerMessage: 30 } });
  const table = comparisonTable(chooseWorkloads(["1x1", "backlog"]), own, nats)!;
  assert.equal(table.split("\n").length, 3);
  const row = ["30.0k", "20.0k", "1.5×", "20.0", "30.0", "1.5×", "150", "150"];
  assert.deepEqual(cells(table, "1 × 1, 256 B").slice(1), row);
  assert.equal(comparisonTable(chooseWorkloads(["backlog"]), own, nats), undefined);
});

test("scenarioTable() leaves cells of peers empty that a scenario doesn't suit", () => {
  const table = scenarioTable([
    { name: "rmq", rows: [{ what: "start", value: "40 ms" }, { what: "groups", value: "5 KB" }] },
    { name: "Apache", rows: [{ what: "start", value: "2 s" }] },
  ]);
  assert.deepEqual(cells(table, "start"), ["start", "40 ms", "2 s"]);
  assert.deepEqual(cells(table, "groups"), ["groups", "5 KB", ""]);
});
