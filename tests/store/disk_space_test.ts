// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { DiskSpace } from "../../src/store/disk_space.ts";
import type { Files } from "../../src/store/files.ts";
import { MemoryFiles } from "../harness/memory_files.ts";

const LIMITS = {
  storeDirectory: "/store",
  commitLogDirectory: "/log",
  diskMaxUsedPercent: 75,
  diskCleanForciblyPercent: 85,
  diskWarningPercent: 90,
};

interface Space {
  totalBytes: number;
  freeBytes: number;
  usableBytes: number;
}

/** A disk of 1000 bytes of which nothing is kept from us. */
function used(bytes: number): Space {
  return { totalBytes: 1000, freeBytes: 1000 - bytes, usableBytes: 1000 - bytes };
}

function diskSpace(log: Space, store = log): DiskSpace {
  const files: Files = new MemoryFiles();
  files.space = (path) => path === "/log" ? log : store;
  return new DiskSpace(files, LIMITS);
}

test("limits are exceeded by more than themselves, counting whole percents upwards", () => {
  const states = [740, 750, 751, 850, 851, 900, 901, 1000].map((bytes) => {
    const { cleanNow, cleanForcibly, isFull } = diskSpace(used(bytes)).check();
    return [bytes, cleanNow, cleanForcibly, isFull];
  });
  assert.deepEqual(states, [
    [740, false, false, false],
    [750, false, false, false],
    [751, true, false, false],
    [850, true, false, false],
    [851, true, true, false],
    [900, true, true, false],
    [901, true, true, true],
    [1000, true, true, true],
  ]);
});

test("what the system keeps for itself counts neither as used nor as free", () => {
  const disk = diskSpace({ totalBytes: 1000, freeBytes: 600, usableBytes: 100 });
  assert.deepEqual(disk.use(), { commitLogPercent: 80, consumeQueuePercent: 80 });
});

test("the fuller one of log and queues decides, and both are told", () => {
  for (const disk of [diskSpace(used(100), used(920)), diskSpace(used(920), used(100))]) {
    assert.equal(disk.check().isFull, true);
    assert.match(disk.check().message, /92 % full; above 90 %/);
  }
  assert.deepEqual(diskSpace(used(101), used(920)).use(), { commitLogPercent: 11, consumeQueuePercent: 92 });
});

test("a disk that can't tell does not stop the broker", () => {
  const files: Files = new MemoryFiles();
  const disk = new DiskSpace(files, LIMITS);
  assert.deepEqual(disk.use(), { commitLogPercent: 0, consumeQueuePercent: 0 });
  assert.equal(diskSpace({ totalBytes: 0, freeBytes: 0, usableBytes: 0 }).check().isFull, false);
});
