// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { Checkpoint, type CheckpointValues } from "../../src/store/checkpoint.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";

const PATH = "/store/checkpoint";
const CLOCK = new ManualClock(1_700_000_100_000);

const VALUES: CheckpointValues = {
  physicMsgTimestampMs: 1_700_000_000_001,
  logicsMsgTimestampMs: 1_700_000_000_002,
  indexMsgTimestampMs: 1_700_000_000_003,
  masterFlushedOffset: 5_000_000_000,
  confirmPhysicalOffset: 6_000_000_000,
};
const ZEROS = Object.fromEntries(Object.keys(VALUES).map((name) => [name, 0]));

function newFiles(): MemoryFiles {
  const files = new MemoryFiles();
  files.makeDirectory("/store");
  files.syncDirectory("/");
  return files;
}

/** A file with these longs at its start. */
function put(files: MemoryFiles, longs: readonly bigint[], sizeBytes = 4096): void {
  const bytes = Buffer.alloc(Math.max(sizeBytes, longs.length * 8));
  for (const [index, value] of longs.entries()) bytes.writeBigInt64BE(value, index * 8);
  files.replace(PATH, bytes.subarray(0, sizeBytes));
}

test("a new checkpoint says that nothing is durable", () => {
  const files = newFiles();
  const checkpoint = Checkpoint.open(files, PATH, CLOCK);
  assert.deepEqual(checkpoint.values, ZEROS);
  assert.equal(files.stat(PATH)?.sizeBytes, 4096);
  checkpoint.close();
  assert.deepEqual(files.openPaths, []);
});

test("values stand as longs in Apache's order in a file of 4096 bytes, and are read back", async () => {
  const files = newFiles();
  const checkpoint = Checkpoint.open(files, PATH, CLOCK);
  checkpoint.update(VALUES);
  await checkpoint.flush();
  checkpoint.close();
  const bytes = Buffer.from(files.read(PATH));
  assert.equal(bytes.length, 4096);
  assert.deepEqual([0, 8, 16, 24, 32].map((at) => Number(bytes.readBigInt64BE(at))), Object.values(VALUES));
  assert.ok(bytes.subarray(40).every((byte) => byte === 0));
  assert.deepEqual(Checkpoint.open(files, PATH, CLOCK).values, VALUES);
});

test("the three values of 4.9 are taken, the others are 0", () => {
  const files = newFiles();
  put(files, [1n, 2n, 3n]);
  assert.deepEqual(Checkpoint.open(files, PATH, CLOCK).values, {
    ...ZEROS,
    physicMsgTimestampMs: 1,
    logicsMsgTimestampMs: 2,
    indexMsgTimestampMs: 3,
  });
});

test("values that can't be are taken as 0, each by itself", () => {
  for (const impossible of [-1n, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n]) {
    for (let place = 0; place < 5; place++) {
      const files = newFiles();
      const longs = [1n, 2n, 3n, 4n, 5n];
      longs[place] = impossible;
      put(files, longs);
      const values = Object.values(Checkpoint.open(files, PATH, CLOCK).values);
      assert.deepEqual(values, [1, 2, 3, 4, 5].map((value, index) => index === place ? 0 : value));
    }
  }
});

test("times to come are taken as 0: they would hide what has to be checked", () => {
  const files = newFiles();
  const tomorrow = BigInt(CLOCK.nowMs() + 86_400_000);
  put(files, [tomorrow, tomorrow + 1n, 2n ** 50n, 2n ** 50n, 2n ** 50n]);
  assert.deepEqual(
    Object.values(Checkpoint.open(files, PATH, CLOCK).values),
    [Number(tomorrow), 0, 0, 2 ** 50, 2 ** 50],
  );
});

test("a file that is too short, or of any bytes, is no obstacle", async () => {
  const random = new SeededRandom(5);
  for (const sizeBytes of [0, 1, 7, 8, 20, 39, 40, 100, 4095, 4096, 5000]) {
    const files = newFiles();
    files.replace(PATH, Uint8Array.from({ length: sizeBytes }, () => random.between(0, 255)));
    const checkpoint = Checkpoint.open(files, PATH, CLOCK);
    for (const value of Object.values(checkpoint.values)) {
      assert.ok(Number.isSafeInteger(value) && value >= 0);
    }
    checkpoint.update(VALUES);
    await checkpoint.flush();
    assert.ok(files.stat(PATH)!.sizeBytes >= 4096);
    assert.deepEqual(Checkpoint.open(files, PATH, CLOCK).values, VALUES);
  }
});

test("a power cut leaves all values of one flush", async () => {
  for (let seed = 0; seed < 100; seed++) {
    const files = newFiles();
    const checkpoint = Checkpoint.open(files, PATH, CLOCK);
    checkpoint.update({ physicMsgTimestampMs: 1, logicsMsgTimestampMs: 1, confirmPhysicalOffset: 1 });
    await checkpoint.flush();
    files.holdSyncs();
    checkpoint.update({ physicMsgTimestampMs: 2, logicsMsgTimestampMs: 2, confirmPhysicalOffset: 2 });
    void checkpoint.flush();
    const after = Checkpoint.open(files.crash(new SeededRandom(seed)), PATH, CLOCK).values;
    const { physicMsgTimestampMs } = after;
    assert.ok(physicMsgTimestampMs === 1 || physicMsgTimestampMs === 2);
    assert.equal(after.logicsMsgTimestampMs, physicMsgTimestampMs);
    assert.equal(after.confirmPhysicalOffset, physicMsgTimestampMs);
  }
});

test("flush() tells of a disk that fails", async () => {
  const files = newFiles();
  const checkpoint = Checkpoint.open(files, PATH, CLOCK);
  checkpoint.update(VALUES);
  files.fail({ operation: "write", code: "ENOSPC" });
  await assert.rejects(checkpoint.flush(), { code: "ENOSPC" });
  files.fail({ operation: "sync", code: "EIO" });
  await assert.rejects(checkpoint.flush(), { code: "EIO" });
});
