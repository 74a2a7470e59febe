// SPDX-License-Identifier: Apache-2.0
/** What a store does when its disk, or somebody who listens, fails. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { MessageStore, StoreOptions } from "../../src/store/message_store.ts";
import { StoreCorruptError, StoreRefusedError } from "../../src/store/types.ts";
import { logged } from "../harness/logged.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { bodiesOf, draft, openStore } from "../harness/store.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function turns(count = 12): Promise<void> {
  for (; count > 0; count--) await turn();
}

describe("a store on a failing disk", () => {
  let files: MemoryFiles;
  let clock: ManualClock;
  let store: MessageStore;
  let lost: [fromOffset: number, reason: string][];

  async function open(given: Partial<StoreOptions> = {}): Promise<MessageStore> {
    store = await openStore("/store", {
      files,
      clock,
      commitLogFileBytes: 4096,
      consumeQueueFlushIntervalMs: 1000,
      consumeQueueFlushThoroughIntervalMs: 5000,
      cleanIntervalMs: 10_000,
      ...given,
    });
    lost = [];
    store.onLoss((fromOffset, { reason }) => lost.push([fromOffset, reason]));
    return store;
  }

  async function append(...bodies: string[]): Promise<void> {
    for (const body of bodies) store.append(draft("T", body));
    await turns();
  }

  async function pass(ms: number, step = 1000): Promise<void> {
    for (; ms > 0; ms -= step) {
      clock.advance(Math.min(ms, step));
      await turns();
    }
  }

  const refusedWith = (reason: string) => (error: unknown) =>
    error instanceof StoreRefusedError && error.reason === reason;
  const abort = () => files.stat("/store/abort") && new TextDecoder().decode(files.read("/store/abort"));

  beforeEach(() => {
    clock = new ManualClock();
    files = new MemoryFiles({ nowMs: () => clock.nowMs() });
  });

  afterEach(async () => {
    await store.close();
  });

  test("a full disk refuses messages, keeps none of the turn, and takes them again when there is room", async () => {
    await open();
    await append("a");
    const fault = files.fail({
      operation: "write",
      code: "ENOSPC",
      path: /commitlog/,
      times: 2,
      writtenBytes: 50,
    });
    const end = store.writtenOffset;
    const { queueOffset } = store.append(draft("T", "lost"));
    store.append(draft("T", "lost too"));
    await turns();
    assert.deepEqual(lost, [[end, "DISK_FULL"]]);
    assert.throws(() => store.append(draft("T", "x")), refusedWith("DISK_FULL"));
    assert.deepEqual(await bodiesOf(store, "T"), ["a"]);
    await pass(1000);
    await append("lost again");
    assert.throws(() => store.append(draft("T", "x")), refusedWith("DISK_FULL"));
    await pass(1000);
    assert.equal(store.append(draft("T", "b")).queueOffset, queueOffset);
    await turns();
    assert.deepEqual(await bodiesOf(store, "T"), ["a", "b"]);
    assert.equal(fault.hits, 2);
  });

  test("a disk that is really full takes messages again when files were removed", async () => {
    files.makeDirectory("/other");
    const other = files.create("/other/file", 0);
    other.writeAt(new Uint8Array(100_000).fill(1), 0);
    other.close();
    await open({ messageIndex: false });
    const { totalBytes, freeBytes } = files.space("/");
    files.capacityBytes = totalBytes - freeBytes + 40_000;
    let count = 0;
    try {
      for (; count < 1000; count++) await append("x".repeat(1000));
      assert.fail("the disk was never full");
    } catch (error) {
      assert.ok(refusedWith("DISK_FULL")(error), String(error));
    }
    const stored = (await bodiesOf(store, "T")).length;
    assert.ok(stored > 10 && stored <= count);
    files.remove("/other/file");
    await pass(2000);
    await append("again");
    assert.equal((await bodiesOf(store, "T")).length, stored + 1);
    await store.close();
    await open({ messageIndex: false });
    assert.equal((await bodiesOf(store, "T")).length, stored + 1);
  });

  test("a next log file that can't be made for want of descriptors is made a second later", async () => {
    await open();
    await append("x".repeat(3000));
    files.fail({ operation: "create", code: "EMFILE", path: /commitlog/ });
    assert.throws(() => store.append(draft("T", "y".repeat(3000))), refusedWith("WRITE_FAILED"));
    await pass(1000);
    await append("y".repeat(3000));
    assert.equal((await bodiesOf(store, "T")).length, 2);
  });

  test("a batch that does not fit on the disk is not stored at all", async () => {
    await open();
    await append("a");
    files.fail({ operation: "create", code: "ENOSPC", path: /commitlog/ });
    const batch = ["1", "2", "3", "4"].map((body) => draft("T", body.padEnd(1000)));
    assert.throws(() => store.appendBatch(batch), refusedWith("DISK_FULL"));
    await pass(1000);
    assert.deepEqual(await bodiesOf(store, "T"), ["a"]);
    assert.deepEqual(store.appendBatch(batch).map(({ queueOffset }) => queueOffset), [1, 2, 3, 4]);
  });

  test("after a write error that is no want of space, only a restart helps, and it is an unclean one", async () => {
    await open();
    await append("a");
    files.fail({ operation: "write", code: "EIO", path: /commitlog/ });
    await append("lost");
    await pass(20_000);
    assert.throws(() => store.append(draft("T", "x")), refusedWith("WRITE_FAILED"));
    assert.deepEqual(await bodiesOf(store, "T"), ["a"]);
    await store.close();
    assert.ok(abort());
    await open();
    assert.deepEqual(await bodiesOf(store, "T"), ["a"]);
    assert.equal(store.append(draft("T", "b")).queueOffset, 1);
  });

  test("after a failed sync nothing is acknowledged or taken, not even by way of a full disk", async () => {
    await open({ flushMode: "SYNC" });
    await append("a");
    const flushed = store.flushedOffset;
    files.fail({ operation: "sync", code: "EIO", path: /commitlog/ });
    const hold = files.holdSyncs();
    await append("b");
    const written = store.writtenOffset;
    files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/ });
    await append("c");
    hold.release();
    await turns();
    assert.deepEqual(lost, [[written, "DISK_FULL"], [flushed, "SYNC_FAILED"]]);
    for (let round = 0; round < 20; round++) {
      assert.throws(() => store.append(draft("T", "x")), refusedWith("SYNC_FAILED"));
      await pass(1000);
    }
    assert.equal(store.flushedOffset, flushed);
    assert.deepEqual(await bodiesOf(store, "T"), ["a"]);
    await store.close();
    assert.match(abort()!, new RegExp(`^[0-9]+ not synced from ${flushed}\n`));
    await open({ flushMode: "SYNC" });
    assert.match(abort()!, /^[0-9]+$/);
    assert.deepEqual(await bodiesOf(store, "T"), ["a", "b"]);
    await append("c");
    assert.equal(store.flushedOffset, store.maxPhysicalOffset);
  });

  test("a log that can't be cut after a failed write is not synced any more", async () => {
    await open({ flushMode: "SYNC" });
    await append("a");
    const flushed = store.flushedOffset;
    files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/, writtenBytes: 10 });
    files.fail({ operation: "truncate", code: "EIO", path: /commitlog/ });
    await append("b");
    assert.throws(() => store.append(draft("T", "x")), refusedWith("SYNC_FAILED"));
    await pass(20_000);
    assert.equal(store.flushedOffset, flushed);
    await store.close();
    await open({ flushMode: "SYNC" });
    assert.deepEqual(await bodiesOf(store, "T"), ["a"]);
  });

  test("queues that can't be written are read from memory; after a while nothing more is taken, until they can be", async () => {
    await open();
    const fault = files.fail({ operation: "create", code: "ENOSPC", path: /consumequeue/, times: Infinity });
    await append("a", "b");
    const errors = await logged(() => pass(29_000), "error");
    assert.equal(errors.length, 1, "the same error is told once");
    await append("c");
    await pass(3000);
    assert.throws(() => store.append(draft("T", "x")), refusedWith("WRITE_FAILED"));
    assert.deepEqual(await bodiesOf(store, "T"), ["a", "b", "c"]);
    fault.remove();
    await pass(2000);
    await append("d");
    await store.close();
    assert.equal(abort(), undefined);
    await open();
    assert.deepEqual(await bodiesOf(store, "T"), ["a", "b", "c", "d"]);
  });

  test("one queue's trouble keeps no other from the disk", async () => {
    await open();
    files.fail({ operation: "create", code: "EIO", path: /consumequeue\/A\//, times: Infinity });
    for (const topic of ["A", "B", "C"]) store.append(draft(topic, topic));
    await pass(3000);
    assert.deepEqual(files.list("/store/consumequeue").sort(), ["A", "B", "C"]);
    assert.equal(files.list("/store/consumequeue/A/0").length, 0);
    for (const topic of ["B", "C"]) assert.equal(files.list(`/store/consumequeue/${topic}/0`).length, 1);
  });

  test("after a queue's failed sync the checkpoint stays, and the next start does it all again", async () => {
    await open({ messageIndex: false });
    await append("a");
    files.fail({ operation: "sync", code: "EIO", path: /consumequeue/ });
    await pass(30_000);
    assert.ok(files.read("/store/checkpoint").every((byte) => byte === 0));
    await append("b");
    await store.close();
    assert.ok(abort());
    await open({ messageIndex: false });
    assert.deepEqual(await bodiesOf(store, "T"), ["a", "b"]);
    await pass(6000);
    assert.ok(files.read("/store/checkpoint").some((byte) => byte !== 0));
  });

  test("who listens and fails keeps the store and others from nothing", async () => {
    await open({ flushMode: "SYNC" });
    const seen: number[] = [];
    store.onWatermark(() => {
      throw new Error("a listener's fault");
    });
    store.onWatermark(() => seen.push(store.flushedOffset));
    await logged(() => append("a"), "error");
    await logged(() => append("b"), "error");
    assert.equal(store.refusal, undefined);
    assert.equal(seen.at(-1), store.maxPhysicalOffset);
    assert.deepEqual(await bodiesOf(store, "T"), ["a", "b"]);
  });

  test("messages that wait for the flush while their topic is deleted don't get into its next life", async () => {
    await open({ flushMode: "SYNC" });
    await append("old");
    const hold = files.holdSyncs();
    store.append(draft("T", "on its way"));
    await turns();
    store.deleteTopic("T");
    assert.equal(store.append(draft("T", "new")).queueOffset, 0);
    hold.release();
    await turns();
    assert.deepEqual(await bodiesOf(store, "T"), ["new"]);
    await pass(10_000);
    await store.close();
    assert.equal(abort(), undefined);
    await open({ flushMode: "SYNC" });
    assert.deepEqual(await bodiesOf(store, "T"), ["new"]);
    assert.equal(store.append(draft("T", "newer")).queueOffset, 1);
  });

  test("a store that is refused is left as it was: cleanly stopped, with nothing open", async () => {
    await open();
    await append("a");
    await store.close();
    files.create("/store/consumequeue/T/0/00000000000000000001", 5).close();
    await assert.rejects(open(), StoreCorruptError);
    assert.equal(abort(), undefined);
    assert.deepEqual(files.openPaths, []);
    files.remove("/store/consumequeue/T/0/00000000000000000001");
    await open();
    assert.deepEqual(await bodiesOf(store, "T"), ["a"]);
  });

  test("a start that fails closes what it has opened, and the next one succeeds", async () => {
    await open();
    await append("a", "b");
    files = files.kill();
    for (let skip = 0; skip < 12; skip++) {
      const fault = files.fail({ operation: "read", code: "EIO", skip });
      const opened = await openStore("/store", { files, clock, commitLogFileBytes: 4096 }).catch(() =>
        undefined
      );
      await opened?.close();
      fault.remove();
      assert.deepEqual(files.openPaths, [], `read ${skip} failed`);
    }
    await open();
    assert.deepEqual(await bodiesOf(store, "T"), ["a", "b"]);
  });

  test("close() may be called by several, who all wait for its end", async () => {
    await open();
    await append("a");
    const first = store.close();
    assert.equal(store.close(), first);
    await first;
    assert.equal(abort(), undefined);
  });

  test("a log file that expired is gone for good before its messages leave their queue", async () => {
    const given = { fileReservedHours: 1, deleteAtHours: Array.from({ length: 24 }, (_, hour) => hour) };
    for (let seed = 1; seed <= 8; seed++) {
      files = new MemoryFiles({ nowMs: () => clock.nowMs() });
      await open(given);
      for (let count = 0; count < 20; count++) await append("x".repeat(1000));
      await pass(6000);
      clock.advance(3_600_000);
      await pass(11_000);
      const { minPhysicalOffset } = store;
      assert.ok(minPhysicalOffset > 0 && store.minOffset("T", 0) > 0);
      files = files.crash(new SeededRandom(seed));
      await open(given);
      assert.equal(store.minPhysicalOffset, minPhysicalOffset);
      await store.close();
    }
  });

  test("a log file that can't be deleted keeps no queue from following those that were", async () => {
    await open({ fileReservedHours: 1, deleteAtHours: Array.from({ length: 24 }, (_, hour) => hour) });
    for (let count = 0; count < 20; count++) await append("x".repeat(1000));
    await pass(6000);
    files.fail({ operation: "remove", code: "EACCES", path: /commitlog/, skip: 1, times: Infinity });
    clock.advance(3_600_000);
    await pass(11_000);
    assert.equal(store.minPhysicalOffset, 4096);
    const first = store.minOffset("T", 0);
    assert.ok(first > 0 && store.queueEntry("T", 0, first)!.physicalOffset >= 4096);
  });

  test("messages that expire stay as long as their queue is not durable", async () => {
    await open({ deleteAtHours: [...Array(24).keys()], fileReservedHours: 1, cleanIntervalMs: 1000 });
    const fault = files.fail({ operation: "sync", code: "EIO", path: /consumequeue/, times: Infinity });
    for (let n = 0; n < 8; n++) await append(String(n).padEnd(1000));
    store.append(draft("Other", "x".repeat(3000)));
    await turns();
    await pass(3_600_000 * 2, 600_000);
    assert.equal(store.minPhysicalOffset, 0);
    fault.remove();
    await store.close();
    await open({ deleteAtHours: [...Array(24).keys()], fileReservedHours: 1, cleanIntervalMs: 1000 });
    await pass(20_000);
    assert.ok(store.minPhysicalOffset > 0);
    assert.equal(store.maxOffset("T", 0), 8);
  });
});
