// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { test } from "node:test";
import { LogFlusher } from "../../src/store/log_flusher.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { append, bodyOf, commitLog } from "./parts.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function turns(): Promise<void> {
  for (let count = 0; count < 5; count++) await turn();
}

function newFlusher(flushMode: "SYNC" | "ASYNC", minPages = 4) {
  const files = new MemoryFiles();
  const clock = new ManualClock();
  const { log } = commitLog(files, 1 << 20);
  const flushed: number[] = [];
  const failures: unknown[] = [];
  const flusher = new LogFlusher(
    log,
    clock,
    {
      flushMode,
      commitLogFlushIntervalMs: 500,
      commitLogFlushMinPages: minPages,
      commitLogFlushThoroughIntervalMs: 10_000,
    },
    () => void flushed.push(log.flushedOffset),
    (error) => void failures.push(error),
  );
  const write = (bytes = 100) => {
    append(log, bodyOf(bytes));
    log.write();
    return log.writtenOffset;
  };
  return { files, clock, log, flusher, flushed, failures, write };
}

test("what is written while a sync runs makes the next group", async () => {
  const { files, flusher, log, flushed, write } = newFlusher("SYNC");
  const hold = files.holdSyncs();
  const first = write();
  flusher.request();
  for (let count = 0; count < 10; count++) {
    write();
    flusher.request();
  }
  await turns();
  assert.deepEqual([hold.waitingCount, log.flushedOffset], [1, 0]);
  hold.release();
  await turns();
  assert.deepEqual(flushed, [first, log.writtenOffset]);
});

test("a sync that ends says nothing of what was written after it began", async () => {
  const { files, flusher, log, write } = newFlusher("SYNC");
  const first = write();
  const hold = files.holdSyncs();
  flusher.request();
  await turn();
  write();
  hold.release();
  await turns();
  assert.equal(log.flushedOffset, first);
});

test("under ASYNC flush a little waits long, much waits one interval", async () => {
  const { clock, log, write } = newFlusher("ASYNC");
  write(100);
  for (let ms = 0; ms < 9500; ms += 500) {
    clock.advance(500);
    await turns();
    assert.equal(log.flushedOffset, 0);
  }
  clock.advance(500);
  await turns();
  assert.equal(log.flushedOffset, log.writtenOffset);
  write(5 * 4096);
  clock.advance(500);
  await turns();
  assert.equal(log.flushedOffset, log.writtenOffset);
});

test("under SYNC flush even what nobody waits for is flushed at the next interval", async () => {
  const { clock, log, write } = newFlusher("SYNC");
  write(1);
  clock.advance(500);
  await turns();
  assert.equal(log.flushedOffset, log.writtenOffset);
});

test("a failed sync is told once, and never tried again", async () => {
  const { files, clock, log, flusher, flushed, failures, write } = newFlusher("SYNC");
  write();
  files.fail({ operation: "sync", code: "EIO" });
  flusher.request();
  await turns();
  assert.deepEqual([failures.length, flushed, log.flushedOffset], [1, [], 0]);
  write();
  flusher.request();
  clock.advance(60_000);
  await turns();
  assert.deepEqual([failures.length, flushed, log.flushedOffset], [1, [], 0]);
  await assert.rejects(flusher.flushed(), /had failed/);
  await assert.rejects(flusher.stop(), /had failed/);
});

test("after giveUp() even a sync that succeeds counts for nothing", async () => {
  const { files, flusher, log, flushed, write } = newFlusher("SYNC");
  const hold = files.holdSyncs();
  write();
  flusher.request();
  await turn();
  flusher.giveUp();
  hold.release();
  await turns();
  assert.deepEqual([flushed, log.flushedOffset, flusher.hasFailed], [[], 0, true]);
  await assert.rejects(flusher.flushed(), /had failed/);
});

test("flushed() waits for what is written when it is called", async () => {
  const { flusher, log, write } = newFlusher("ASYNC");
  const target = write();
  await flusher.flushed();
  assert.ok(log.flushedOffset >= target);
  await flusher.flushed();
});

test("stop() flushes everything, and leaves no timer", async () => {
  const { clock, flusher, log, write } = newFlusher("ASYNC");
  write();
  await flusher.stop();
  assert.equal(log.flushedOffset, log.writtenOffset);
  assert.equal(clock.timerCount, 0);
});
