// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Cleaner, type CleanOptions } from "../../src/store/cleaner.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { append, bodyOf, commitLog } from "./parts.ts";

const HOUR_MS = 3_600_000;
const WELL = { cleanNow: false, cleanForcibly: false };

/** A log of four files, all of them durable. */
function newCleaner(given: Partial<CleanOptions> = {}) {
  const clock = new ManualClock(new Date(2026, 0, 5, 12).getTime());
  const files = new MemoryFiles({ nowMs: () => clock.nowMs() });
  const { log } = commitLog(files, 1024);
  for (let count = 0; count < 4; count++) append(log, bodyOf(800));
  log.write();
  log.markFlushed(log.writtenOffset);
  const options = {
    deleteAtHours: [4],
    fileReservedHours: 72,
    deleteBatchMaxFiles: 10,
    cleanForcibly: true,
    ...given,
  };
  return { cleaner: new Cleaner(log, clock, options), log, clock, files };
}

test("files go in the hour that is told, or as soon as the disk fills", () => {
  const { cleaner, clock } = newCleaner({ deleteAtHours: [4, 15] });
  assert.equal(cleaner.isDue(WELL), false);
  assert.equal(cleaner.isDue({ cleanNow: true, cleanForcibly: false }), true);
  assert.equal(cleaner.isDue({ cleanNow: false, cleanForcibly: true }), true);
  clock.advance(3 * HOUR_MS);
  assert.equal(cleaner.isDue(WELL), true);
});

test("after an operator's command, some rounds delete at any hour", () => {
  const { cleaner } = newCleaner();
  cleaner.deleteAtNextRounds();
  for (let round = 0; round < 20; round++) assert.equal(cleaner.isDue(WELL), true);
  assert.equal(cleaner.isDue(WELL), false);
});

test("a file goes when it was not changed for the reserved time, counted in hours", () => {
  const { cleaner, log, clock } = newCleaner();
  clock.advance(72 * HOUR_MS - 1);
  assert.equal(cleaner.deleteOne(WELL, Infinity), false);
  clock.advance(1);
  assert.equal(cleaner.deleteOne(WELL, Infinity), true);
  assert.equal(log.minOffset, 1024);
});

test("files go from the oldest on: a young one keeps those behind it", () => {
  const { cleaner, log, clock, files } = newCleaner();
  clock.advance(100 * HOUR_MS);
  files.setModified(`/log/${"1024".padStart(20, "0")}`, clock.nowMs());
  assert.deepEqual([cleaner.deleteOne(WELL, Infinity), cleaner.deleteOne(WELL, Infinity)], [true, false]);
  assert.equal(log.minOffset, 1024);
});

test("the last file stays, whatever happens", () => {
  const { cleaner, log, clock } = newCleaner();
  clock.advance(1000 * HOUR_MS);
  const full = { cleanNow: true, cleanForcibly: true };
  for (let round = 0; round < 10; round++) cleaner.deleteOne(full, Infinity);
  assert.equal(log.minOffset, 3 * 1024);
});

test("on a full disk young files go too, unless the operator does not want it", () => {
  const full = { cleanNow: true, cleanForcibly: true };
  assert.equal(newCleaner().cleaner.deleteOne(full, Infinity), true);
  assert.equal(newCleaner({ cleanForcibly: false }).cleaner.deleteOne(full, Infinity), false);
});

test("a file whose messages the queues may still need stays", () => {
  const { cleaner, clock } = newCleaner();
  clock.advance(100 * HOUR_MS);
  assert.equal(cleaner.deleteOne(WELL, 1023), false);
  assert.equal(cleaner.deleteOne(WELL, 1024), true);
});

test("a file that can't be deleted is still there, and tried again", () => {
  const { cleaner, log, clock, files } = newCleaner();
  clock.advance(100 * HOUR_MS);
  files.fail({ operation: "remove", code: "EACCES" });
  assert.throws(() => cleaner.deleteOne(WELL, Infinity), { code: "EACCES" });
  assert.equal(log.minOffset, 0);
  assert.equal(cleaner.deleteOne(WELL, Infinity), true);
});
