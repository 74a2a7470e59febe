// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { StoreCorruptError } from "../../src/store/types.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { segmentFiles } from "./parts.ts";

const name = (offset: number) => String(offset).padStart(20, "0");
const bytes = (length: number, value = 7) => new Uint8Array(length).fill(value);

function read(segments: ReturnType<typeof segmentFiles>, offset: number, length: number): number[] {
  const target = new Uint8Array(length);
  return [...target.subarray(0, segments.read(target, offset))];
}

/** Three files of 100 bytes, full of sevens. */
function full(files = new MemoryFiles()) {
  const segments = segmentFiles(files, 100);
  for (const start of [0, 100, 200]) {
    segments.add(start);
    segments.write(bytes(100), start);
  }
  return { files, segments };
}

test("files follow each other, named by the offset of their first byte", () => {
  const { files, segments } = full();
  assert.deepEqual(files.list("/log").sort(), [name(0), name(100), name(200)]);
  assert.deepEqual([segments.minOffset, segments.endOffset, segments.fileCount], [0, 300, 3]);
  assert.throws(() => segments.add(400), /the next file starts at 300/);
  assert.deepEqual(read(segments, 199, 1), [7]);
  assert.deepEqual(read(segments, 300, 1), []);
  const again = segmentFiles(files, 100);
  assert.deepEqual([again.minOffset, again.endOffset], [0, 300]);
});

test("the first file may begin anywhere; the sequence goes on there", () => {
  const files = new MemoryFiles();
  const segments = segmentFiles(files, 100);
  segments.add(1234);
  assert.deepEqual([segments.minOffset, segments.endOffset], [1200, 1300]);
  assert.equal(segmentFiles(files, 100).minOffset, 1200);
});

test("cut() removes later files, and what was behind reads as zeros for ever", () => {
  const { files, segments } = full();
  segments.cut(150);
  assert.deepEqual(files.list("/log").sort(), [name(0), name(100)]);
  assert.deepEqual(read(segments, 149, 3), [7, 0, 0]);
  assert.equal(files.stat(`/log/${name(100)}`)!.sizeBytes, 100);
  segments.add(200);
  assert.deepEqual(read(segments, 200, 1), [0]);
});

test("cut() at a file's start removes that file, but never the first one, whose name tells where the log is", () => {
  const { files, segments } = full();
  segments.cut(100);
  assert.deepEqual(files.list("/log"), [name(0)]);
  assert.deepEqual(read(segments, 99, 1), [7]);
  segments.removeFirst();
  segments.add(100);
  segments.write(bytes(5), 100);
  segments.cut(100);
  assert.deepEqual(files.list("/log"), [name(100)]);
  assert.deepEqual(read(segments, 100, 5), [0, 0, 0, 0, 0]);
  assert.equal(segmentFiles(files, 100).minOffset, 100);
});

test("no power cut during or after cut() leaves a directory that does not load", async () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = new SeededRandom(seed);
    const { files, segments } = full();
    for (const start of [0, 100, 200]) await segments.sync(start);
    files.dieAt(files.changeCount + random.between(0, 6));
    try {
      segments.cut(50);
      segments.syncFrom(0);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "ESRCH");
    }
    const after = segmentFiles(files.crash(random), 100);
    assert.deepEqual(read(after, 0, 50), [...bytes(50)]);
  }
});

test("names and data are durable after sync(), with the directories above", async () => {
  for (let seed = 0; seed < 50; seed++) {
    const files = new MemoryFiles();
    const segments = segmentFiles(files, 100, { directory: "/a/b/c" });
    segments.add(0);
    segments.write(bytes(100), 0);
    await segments.sync(0);
    const after = segmentFiles(files.crash(new SeededRandom(seed)), 100, { directory: "/a/b/c" });
    assert.deepEqual(read(after, 0, 100), [...bytes(100)]);
  }
});

test("a short last file is made longer, empty ones at the end are removed, as a crash leaves them", () => {
  const { files } = full();
  const open = (start: number) => files.open(`/log/${name(start)}`);
  open(200).truncate(30);
  files.create(`/log/${name(300)}`, 0).close();
  files.create(`/log/${name(400)}`, 0).close();
  const segments = segmentFiles(files, 100);
  assert.equal(segments.endOffset, 300);
  assert.deepEqual(read(segments, 229, 2), [7, 0]);
  assert.equal(files.stat(`/log/${name(200)}`)!.sizeBytes, 100);
  assert.deepEqual(files.list("/log").sort(), [name(0), name(100), name(200)]);
});

test("files that have no place are refused with their name, and left alone", () => {
  const cases: [(files: MemoryFiles) => void, RegExp][] = [
    [(files) => files.remove(`/log/${name(100)}`), /one is missing/],
    [(files) => files.open(`/log/${name(100)}`).truncate(99), /has 99 bytes, not the configured 100/],
    [(files) => files.open(`/log/${name(200)}`).truncate(101), /has 101 bytes/],
    [(files) => files.create(`/log/${name(350)}`, 100).close(), /no multiple of the file size/],
  ];
  for (const [damage, message] of cases) {
    const { files } = full();
    damage(files);
    const before = files.list("/log").sort();
    assert.throws(
      () => segmentFiles(files, 100),
      (error) => error instanceof StoreCorruptError && message.test(error.message),
    );
    assert.deepEqual(files.list("/log").sort(), before);
  }
});

test("names of other files and directories are passed over", () => {
  const { files } = full();
  files.create("/log/.DS_Store", 5).close();
  files.makeDirectory(`/log/${name(300)}`);
  assert.equal(segmentFiles(files, 100).endOffset, 300);
});

test("rewrite() brings to the disk what a failed sync has lost", async () => {
  for (const isRewritten of [false, true]) {
    const kept: boolean[] = [];
    for (let seed = 0; seed < 30; seed++) {
      const { files, segments } = full();
      files.fail({ operation: "sync", code: "EIO", times: 3 });
      for (const start of [0, 100, 200]) await assert.rejects(segments.sync(start));
      if (isRewritten) segments.rewrite(0, 300);
      segments.syncFrom(0);
      const after = files.crash(new SeededRandom(seed)).read(`/log/${name(100)}`);
      kept.push(after.every((byte) => byte === 7));
    }
    assert.equal(kept.every((isKept) => isKept), isRewritten);
  }
});

test("no more files are open than allowed, but for those that have something to sync", async () => {
  const files = new MemoryFiles();
  const segments = segmentFiles(files, 100, { maxOpenFiles: 2, keepsUnsyncedOpen: true });
  for (let start = 0; start < 600; start += 100) {
    segments.add(start);
    segments.write(bytes(1), start);
  }
  assert.equal(files.openPaths.length, 6);
  for (let start = 0; start < 600; start += 100) await segments.sync(start);
  for (let start = 0; start < 600; start += 100) assert.deepEqual(read(segments, start, 1), [7]);
  assert.ok(files.openPaths.length <= 2 + 1, `${files.openPaths.length} are open`);
});
