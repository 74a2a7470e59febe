// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseWorkloads, describe, hasLimit, NATS_WORKLOADS, WORKLOADS } from "./workloads.ts";

test("names and descriptions of workloads are their own", () => {
  assert.equal(new Set(WORKLOADS.map(({ name }) => name)).size, WORKLOADS.length);
  assert.equal(new Set(WORKLOADS.map(describe)).size, WORKLOADS.length);
});

test("a workload that starts the server again is the last of its flush mode", () => {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"]) {
    const ofMode = WORKLOADS.filter((workload) => workload.flush === flush);
    assert.deepEqual(ofMode.slice(0, -1).filter(({ cold }) => cold), []);
  }
});

test("chooseWorkloads() keeps the table's order and refuses names that there are not", () => {
  assert.deepEqual(chooseWorkloads(["8x64", "1x1"]).map(({ name }) => name), ["1x1", "8x64"]);
  assert.deepEqual(chooseWorkloads([]), []);
  assert.deepEqual(chooseWorkloads(undefined), WORKLOADS);
  assert.throws(() => chooseWorkloads(["1x1", "2x2"]), /no workload 2x2; there are 1x1,/);
});

test("the shapes that NATS is compared at are workloads whose limit can be found", () => {
  assert.deepEqual(chooseWorkloads(NATS_WORKLOADS).filter((workload) => !hasLimit(workload)), []);
});

test("describe() tells a backlog on the disk from one in memory", () => {
  const [warm, cold] = chooseWorkloads(["backlog", "backlog-disk"]).map(describe);
  assert.equal(warm, "read a backlog, 8 connections, 256 B");
  assert.equal(cold, "read a backlog that is only on the disk, 8 connections, 256 B");
});
