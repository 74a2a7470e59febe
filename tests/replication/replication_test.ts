// SPDX-License-Identifier: Apache-2.0
/** Master and slave together, over real sockets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bodiesOf, visible } from "../harness/store.ts";
import { until } from "../harness/until.ts";
import { assertEqualLogs, fill, masterToFollow, Parts } from "./parts.ts";

async function withParts(use: (parts: Parts) => Promise<void>): Promise<void> {
  const parts = new Parts();
  try {
    await use(parts);
  } finally {
    await parts.close();
  }
}

for (const flushMode of ["ASYNC", "SYNC"] as const) {
  test(`a slave under ${flushMode} flush gets what is there and what comes, and shows it to consumers`, () =>
    withParts(async (parts) => {
      const store = await parts.store();
      fill(store, 100);
      await store.flush();
      const copy = await parts.store({ flushMode });
      const master = await parts.master(store);
      const slave = parts.slave(copy, { flushMode });
      slave.follow(masterToFollow(master, store));
      await until(() => copy.maxPhysicalOffset === store.maxPhysicalOffset);
      const end = fill(store, 50);
      await until(() => master.ackedBy(1) >= end);
      assert.ok((flushMode === "SYNC" ? copy.flushedOffset : copy.writtenOffset) >= end);
      assert.equal(slave.state.phase, "FOLLOWING");
      await assertEqualLogs(copy, store);
      await visible(copy);
      await visible(store);
      for (const queueId of [0, 1, 2]) {
        assert.equal(copy.maxOffset("topic", queueId), store.maxOffset("topic", queueId));
        assert.deepEqual(await bodiesOf(copy, "topic", queueId), await bodiesOf(store, "topic", queueId));
      }
    }));
}

test("a slave comes back and goes on where it was", () =>
  withParts(async (parts) => {
    const store = await parts.store();
    const copy = await parts.store();
    const master = await parts.master(store);
    const first = parts.slave(copy);
    first.follow(masterToFollow(master, store));
    const before = fill(store, 40);
    await until(() => master.ackedBy(1) >= before);
    first.close();
    await until(() => master.slaves().length === 0);
    assert.equal(master.ackedBy(1), -1);
    const after = fill(store, 40);
    parts.slave(copy).follow(masterToFollow(master, store));
    await until(() => master.ackedBy(1) >= after);
    await assertEqualLogs(copy, store);
  }));

test("a slave that is ahead of its master is not followed by, and does not follow, and keeps what it has", () =>
  withParts(async (parts) => {
    const store = await parts.store();
    const copy = await parts.store();
    fill(store, 10);
    const end = fill(copy, 20);
    await store.flush();
    const master = await parts.master(store);
    const slave = parts.slave(copy);
    slave.follow(masterToFollow(master, store));
    await until(() => slave.state.phase === "REFUSING");
    assert.match(slave.state.problem!, /ends at offset \d+, its master's at/);
    assert.equal(copy.maxPhysicalOffset, end);
  }));
