// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { type ConsumeQueue, type EntryCheck, readEntry } from "../../src/store/consume_queue.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { consumeQueue } from "./parts.ts";

const SIZE = 100;
const ALL_TRUE: EntryCheck = () => true;
const UNKNOWN: EntryCheck = () => undefined;
const FILE = (start: number) => `/queue/${String(start).padStart(20, "0")}`;

/** Entry n points to byte n × 1000. */
function put(queue: ConsumeQueue, from: number, to: number): void {
  for (let n = from; n < to; n++) queue.put(n, n * 1000, SIZE, n + 7);
}

function physicalOffsets(queue: ConsumeQueue): number[] {
  const places: number[] = [];
  for (let n = queue.minOffset; n < queue.maxOffset; n++) places.push(queue.entry(n)?.physicalOffset ?? -1);
  return places;
}

const upTo = (count: number, from = 0) => Array.from({ length: count - from }, (_, n) => (from + n) * 1000);

/** A queue of so many entries on the disk, opened again. */
function written(count: number, entriesPerFile = 10) {
  const files = new MemoryFiles();
  const queue = consumeQueue(files, entriesPerFile);
  put(queue, 0, count);
  queue.write();
  return { files, queue, again: () => consumeQueue(files, entriesPerFile) };
}

test("entries can be read before and after they are written, up to the end of a file at a time, and on from there into memory", () => {
  const queue = consumeQueue(new MemoryFiles(), 10);
  put(queue, 0, 15);
  queue.write();
  put(queue, 15, 18);
  assert.deepEqual(physicalOffsets(queue), upTo(18));
  assert.deepEqual([queue.minOffset, queue.maxOffset, queue.nextOffset], [0, 18, 18]);
  const count = (from: number, wanted: number) => queue.read(from, wanted).length / 20;
  assert.deepEqual([count(0, 5), count(8, 5), count(13, 5), count(15, 5), count(17, 1), count(18, 1)], [
    5,
    2,
    5,
    3,
    1,
    0,
  ]);
  assert.deepEqual(readEntry(queue.read(16, 1), 0), { physicalOffset: 16_000, size: SIZE, tagsCode: 23 });
  const across = queue.read(13, 4);
  const places = Array.from({ length: 4 }, (_, n) => readEntry(across, n * 20).physicalOffset);
  assert.deepEqual(places, upTo(17, 13), "from the file on into memory");
  assert.equal(count(-1, 5), 0);
});

test("tags codes keep their sign, and times their length", () => {
  const queue = consumeQueue(new MemoryFiles(), 10);
  for (const [n, code] of [-1, -2147483648, 1_800_000_000_000].entries()) queue.put(n, n, SIZE, code);
  queue.write();
  assert.deepEqual([0, 1, 2].map((n) => queue.entry(n)!.tagsCode), [-1, -2147483648, 1_800_000_000_000]);
});

test("thousands of entries don't wait in memory for the next write", () => {
  const files = new MemoryFiles();
  const queue = consumeQueue(files, 1000);
  put(queue, 0, 5000);
  assert.ok(files.list("/queue").length >= 4);
  assert.deepEqual(physicalOffsets(queue).length, 5000);
});

test("while the disk takes nothing, entries wait in memory, and can be read", () => {
  const files = new MemoryFiles();
  const fault = files.fail({ operation: "create", code: "ENOSPC", times: Infinity });
  const queue = consumeQueue(files, 1000);
  put(queue, 0, 5000);
  assert.throws(() => queue.write(), { code: "ENOSPC" });
  assert.deepEqual(physicalOffsets(queue), upTo(5000));
  fault.remove();
  queue.write();
  const again = consumeQueue(files, 1000);
  again.recover(Infinity, true, ALL_TRUE);
  assert.deepEqual(physicalOffsets(again), upTo(5000));
});

test("a write that broke off is done again as a whole", () => {
  const { files, queue } = written(5);
  put(queue, 5, 25);
  files.fail({ operation: "write", code: "EIO", skip: 1, writtenBytes: 33 });
  assert.throws(() => queue.write(), { code: "EIO" });
  put(queue, 25, 27);
  queue.write();
  const again = consumeQueue(files, 10);
  again.recover(Infinity, true, ALL_TRUE);
  assert.deepEqual(physicalOffsets(again), upTo(27));
});

test("recover() finds the end, wherever it lies in a file", () => {
  for (const count of [0, 1, 9, 10, 11, 20, 25, 30]) {
    const queue = written(count).again();
    queue.recover(Infinity, true, ALL_TRUE);
    assert.deepEqual([queue.minOffset, queue.maxOffset, queue.nextOffset], [0, count, count]);
    assert.equal(queue.lastPhysicalEnd, count === 0 ? 0 : (count - 1) * 1000 + SIZE);
    put(queue, count, count + 3);
    assert.deepEqual(physicalOffsets(queue), upTo(count + 3));
  }
});

test("recover() cuts what points behind the log's end, so that it never comes back", async () => {
  for (const end of [0, 1, 999, 5000, 5099, 5100, 9100, 10_100, 19_100, 24_100]) {
    const { files, queue: before, again } = written(25);
    await before.sync();
    const queue = again();
    queue.recover(end, false, ALL_TRUE);
    const left = Math.floor((end + 1000 - SIZE) / 1000);
    assert.deepEqual(physicalOffsets(queue), upTo(left), `the log ends at ${end}`);
    await queue.sync();
    const after = consumeQueue(files.crash(new SeededRandom(end)), 10);
    after.recover(Infinity, false, ALL_TRUE);
    assert.equal(after.maxOffset, left);
  }
});

test("a queue that is cut to nothing keeps its numbers", () => {
  const files = new MemoryFiles();
  const queue = consumeQueue(files, 10);
  queue.put(37, 5000, SIZE, 0);
  queue.write();
  const again = consumeQueue(files, 10);
  again.recover(4000, false, ALL_TRUE);
  assert.deepEqual([again.maxOffset, again.nextOffset, again.isYoung], [37, 37, false]);
  assert.equal(consumeQueue(files, 10).isYoung, false);
});

test("a damaged stretch in the middle is not taken for the end", () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = new SeededRandom(seed);
    const count = random.between(30, 200);
    const { files, again } = written(count, 50);
    const from = random.between(0, count - 2);
    const length = random.between(1, Math.min(20, count - 1 - from));
    for (let n = from; n < from + length; n++) {
      files.damage(FILE(Math.floor(n / 50) * 1000), (n % 50) * 20, new Uint8Array(20));
    }
    const queue = again();
    queue.recover(Infinity, true, ALL_TRUE);
    assert.equal(queue.maxOffset, count, `${length} lost from ${from} on, of ${count}`);
  }
});

test("entries at the end that the log does not confirm are cut off: torn ones, and those that Apache left there", () => {
  const { files, again } = written(20, 50);
  const torn = Buffer.alloc(20);
  torn.writeInt32BE(SIZE, 8);
  files.damage(FILE(0), 20 * 20, torn);
  const isInLog: EntryCheck = ({ physicalOffset }) => physicalOffset > 0;
  for (const isClean of [true, false]) {
    const queue = again();
    queue.recover(19_100, isClean, isInLog);
    assert.equal(queue.maxOffset, 20);
    assert.deepEqual(queue.read(20, 1).length, 0);
  }
  assert.ok(files.read(FILE(0)).subarray(400).every((byte) => byte === 0));
});

test("where the log has expired, entries must at least point further and further", () => {
  const { files, again } = written(20, 50);
  const torn = Buffer.alloc(20);
  torn.writeInt32BE(3000, 4);
  torn.writeInt32BE(SIZE, 8);
  files.damage(FILE(0), 20 * 20, torn);
  const queue = again();
  queue.recover(Infinity, false, UNKNOWN);
  assert.equal(queue.maxOffset, 20);
});

test("a young queue may begin anywhere; fillers stand before its first entry, for nobody to read", () => {
  const files = new MemoryFiles();
  const queue = consumeQueue(files, 10);
  queue.put(1234, 5000, SIZE, 0);
  assert.deepEqual([queue.minOffset, queue.maxOffset], [1234, 1235]);
  queue.write();
  assert.deepEqual(files.list("/queue"), [FILE(1230 * 20).slice(7)]);
  assert.equal(queue.entry(1233), undefined);
  const again = consumeQueue(files, 10);
  again.recover(Infinity, true, ALL_TRUE);
  again.correctMinOffset(0);
  assert.deepEqual([again.minOffset, again.maxOffset], [1234, 1235]);
  assert.equal(files.read(FILE(1230 * 20)).subarray(8, 12).join(), "127,255,255,255");
});

test("a gap is filled with fillers, but never more of them than a file holds", () => {
  const queue = consumeQueue(new MemoryFiles(), 10);
  put(queue, 0, 2);
  queue.put(5, 5000, SIZE, 0);
  assert.deepEqual(physicalOffsets(queue), [0, 1000, -1, -1, -1, 5000]);
  assert.throws(() => queue.put(17, 17_000, SIZE, 0), /after 6 entries comes 17/);
  assert.throws(() => queue.put(3, 3000, SIZE, 0), /after 6 entries comes 3/);
  assert.equal(queue.maxOffset, 6);
});

test("restartAt() makes room for a queue that begins again", () => {
  for (const [count, pending] of [[25, 0], [25, 3], [0, 5], [3, 0]] as const) {
    const { files, queue } = written(count);
    put(queue, count, count + pending);
    queue.restartAt(0);
    assert.deepEqual([queue.minOffset, queue.maxOffset, queue.nextOffset, queue.lastPhysicalEnd], [
      0,
      0,
      0,
      0,
    ]);
    for (let n = 0; n < 4; n++) queue.put(n, 90_000 + n * 1000, SIZE, 0);
    queue.write();
    const again = consumeQueue(files, 10);
    again.recover(Infinity, true, ALL_TRUE);
    assert.deepEqual(physicalOffsets(again), [90_000, 91_000, 92_000, 93_000]);
  }
});

test("restartAt() in the middle keeps what is before, on disk and in memory", () => {
  for (const at of [3, 12, 20, 22]) {
    const { queue } = written(20);
    put(queue, 20, 24);
    queue.restartAt(at);
    assert.deepEqual(physicalOffsets(queue), upTo(at));
    assert.equal(queue.lastPhysicalEnd, (at - 1) * 1000 + SIZE);
  }
});

test("correctMinOffset() moves the start to the first message that the log still has", () => {
  const { queue } = written(25);
  put(queue, 25, 28);
  for (
    const [minPhysicalOffset, expected] of [[0, 0], [1, 1], [9000, 9], [9001, 10], [26_500, 27], [27_000, 27]]
  ) {
    queue.correctMinOffset(minPhysicalOffset);
    assert.equal(queue.minOffset, expected);
  }
  queue.correctMinOffset(99_000);
  assert.deepEqual([queue.minOffset, queue.maxOffset, queue.nextOffset], [28, 28, 28]);
  put(queue, 28, 29);
  assert.deepEqual([queue.minOffset, queue.maxOffset], [28, 29]);
});

test("the start is found beside fillers and damaged entries, which stand for no message", () => {
  const { files, queue } = written(20, 100);
  queue.put(60, 60_000, SIZE, 0);
  queue.write();
  files.damage(FILE(0), 5 * 20, new Uint8Array(13 * 20));
  for (
    const [minPhysicalOffset, expected] of [[0, 0], [3000, 3], [4001, 18], [18_000, 18], [19_001, 60], [
      60_001,
      61,
    ]]
  ) {
    const again = consumeQueue(files, 100);
    again.recover(Infinity, true, ALL_TRUE);
    again.correctMinOffset(minPhysicalOffset);
    assert.equal(again.minOffset, expected, `the log begins at ${minPhysicalOffset}`);
  }
});

test("files of which no entry is left go, but never the last durable one", async () => {
  const { files, queue } = written(25);
  queue.correctMinOffset(99_000);
  queue.deleteExpiredFiles();
  assert.equal(files.list("/queue").length, 3);
  await queue.sync();
  queue.deleteExpiredFiles();
  assert.deepEqual(files.list("/queue"), [FILE(400).slice(7)]);
  for (let seed = 0; seed < 20; seed++) {
    put(queue, 25 + seed, 26 + seed);
    queue.write();
    queue.correctMinOffset(99_000);
    queue.deleteExpiredFiles();
  }
  const after = consumeQueue(files.crash(new SeededRandom(1)), 10);
  after.recover(24_100, false, ALL_TRUE);
  assert.equal(after.nextOffset, 25);
});

test("a destroyed queue is gone from the disk, and takes nothing more", () => {
  const { files, queue } = written(25);
  put(queue, 25, 28);
  queue.destroy();
  assert.equal(files.stat("/queue"), undefined);
  put(queue, 28, 30);
  queue.write();
  assert.deepEqual([queue.maxOffset, files.stat("/queue")], [0, undefined]);
});

test("a sync that failed leaves the file unsynced", async () => {
  const { files, queue } = written(25);
  files.fail({ operation: "sync", code: "EIO" });
  await assert.rejects(queue.sync(), { code: "EIO" });
  assert.ok(queue.isUnsynced);
});
