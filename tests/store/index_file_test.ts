// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { javaHashCode } from "../../src/protocol/java_string.ts";
import { IndexFile, indexFileBytes } from "../../src/store/index_file.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";

interface Golden {
  slotCount: number;
  entryCount: number;
  puts: { key: string; physicalOffset: number; storeTimestampMs: number }[];
  files: string[];
  queries: { file: number; key: string; found: number[] }[];
}

const golden: Golden = JSON.parse(
  readFileSync(new URL("../golden/index_files.json", import.meta.url), "utf8"),
);

const SHAPE = { slotCount: 7, entryCount: 1000 };
const PATH = "/index/20231114221320000";
const SLOTS_AT = 40;

function newFiles(): MemoryFiles {
  const files = new MemoryFiles();
  files.makeDirectory("/index");
  return files;
}

/** As MessageIndex flushes, in one go. */
function flush(file: IndexFile): void {
  const header = file.beginFlush();
  for (const _ of file.writeSlots());
  file.writeHeader(header);
  file.endFlush(header);
}

function hashOf(key: string): number {
  const hash = javaHashCode(key);
  return hash === -(2 ** 31) ? 0 : Math.abs(hash);
}

function find(file: IndexFile, keyHash: number, beginMs = 0, endMs = Infinity, maxCount = 64): number[] {
  const found: number[] = [];
  file.collect(keyHash, beginMs, endMs, maxCount, found);
  return found;
}

test("two files that follow each other have, byte by byte, what Apache writes for the same keys", () => {
  const files = newFiles();
  let next = 0;
  let previous: IndexFile | undefined;
  for (const [number, bytes] of golden.files.entries()) {
    const path = `${PATH}${number}`;
    const file = IndexFile.create(files, path, golden, previous);
    while (!file.isFull && next < golden.puts.length) {
      const { key, physicalOffset, storeTimestampMs } = golden.puts[next++];
      file.put(hashOf(key), physicalOffset, storeTimestampMs);
    }
    flush(file);
    assert.equal(Buffer.from(files.read(path)).toString("hex"), bytes);
    previous = file;
  }
});

test("in files that Apache wrote, the same is found as by Apache", () => {
  const files = newFiles();
  for (const { file: number, key, found } of golden.queries) {
    files.replace(PATH, Buffer.from(golden.files[number], "hex"));
    const file = IndexFile.open(files, PATH, golden)!;
    assert.deepEqual(find(file, hashOf(key)), found, key);
    file.close();
  }
});

test("entries are found before and after they are written, flushed, and read by another process", () => {
  const random = new SeededRandom(1);
  const files = newFiles();
  const file = IndexFile.create(files, PATH, SHAPE, undefined);
  const expected = new Map<number, number[]>();
  for (let offset = 0; !file.isFull; offset += 100) {
    const keyHash = random.between(0, 40);
    file.put(keyHash, offset, 1_700_000_000_000 + offset);
    if (!expected.has(keyHash)) expected.set(keyHash, []);
    expected.get(keyHash)!.unshift(offset);
    if (random.next() < 0.1) flush(file);
    if (random.next() > 0.1) continue;
    for (const [hash, offsets] of expected) assert.deepEqual(find(file, hash, 0, Infinity, 1000), offsets);
  }
  flush(file);
  const other = IndexFile.open(files, PATH, SHAPE)!;
  for (const [hash, offsets] of expected) assert.deepEqual(find(other, hash, 0, Infinity, 1000), offsets);
});

test("a query takes the newest of the time that it asks for", () => {
  const file = IndexFile.create(newFiles(), PATH, SHAPE, undefined);
  const startMs = 1_700_000_000_000;
  for (let second = 0; second < 100; second++) file.put(3, second, startMs + second * 1000);
  assert.deepEqual(find(file, 3, 0, Infinity, 3), [99, 98, 97]);
  assert.deepEqual(find(file, 3, startMs + 50_000, startMs + 52_000), [52, 51, 50, 49]);
  assert.deepEqual(find(file, 3, startMs + 99_001, startMs + 200_000), [99]);
  assert.deepEqual(find(file, 3, 0, startMs - 1), []);
  assert.deepEqual(find(file, 10), [], "of another hash in the same slot");
});

test("a chain that has been damaged ends, and never runs in circles", () => {
  const random = new SeededRandom(7);
  for (let round = 0; round < 300; round++) {
    const files = newFiles();
    const file = IndexFile.create(files, PATH, SHAPE, undefined);
    for (let offset = 0; offset < 50; offset++) file.put(offset % 20, offset, 1_700_000_000_000);
    flush(file);
    file.close();
    for (let count = random.between(1, 8); count > 0; count--) {
      const bytes = Uint8Array.from({ length: random.between(1, 30) }, () => random.between(0, 255));
      files.damage(PATH, random.between(32, SLOTS_AT + 28 + 51 * 20), bytes);
    }
    const opened = IndexFile.open(files, PATH, SHAPE);
    if (opened === undefined) continue;
    for (let keyHash = 0; keyHash < 20; keyHash++) assert.ok(find(opened, keyHash).length <= 1000);
    opened.repair();
    if (!opened.isFull) opened.put(5, 1000, 1_700_000_000_000);
  }
});

test("an impossible header is refused, each field by itself", () => {
  const impossible: [number, bigint | number][] = [
    [0, -1n],
    [0, 2n ** 60n],
    [8, -1n],
    [16, -1n],
    [24, 1n],
    [24, 2n ** 62n],
    [32, -1],
    [36, SHAPE.entryCount + 1],
    [36, 2 ** 31 - 1],
  ];
  for (const [at, value] of impossible) {
    const files = newFiles();
    const file = IndexFile.create(files, PATH, SHAPE, undefined);
    file.put(1, 500, 1_700_000_000_000);
    flush(file);
    file.close();
    const bytes = Buffer.alloc(typeof value === "bigint" ? 8 : 4);
    if (typeof value === "bigint") bytes.writeBigInt64BE(value);
    else bytes.writeInt32BE(value);
    files.damage(PATH, at, bytes);
    assert.equal(IndexFile.open(files, PATH, SHAPE), undefined, `${value} at ${at}`);
    assert.deepEqual(files.openPaths, []);
  }
});

test("slots on disk never name entries that the header does not count", () => {
  const shape = { slotCount: 400_000, entryCount: 50_000 };
  const random = new SeededRandom(3);
  const files = newFiles();
  const file = IndexFile.create(files, PATH, shape, undefined);
  let offset = 0;
  const put = () => file.put(random.between(0, 2 ** 31 - 1), offset++, 1_700_000_000_000);
  for (let flushes = 0; flushes < 5; flushes++) {
    for (let count = 0; count < 2000; count++) put();
    const header = file.beginFlush();
    for (const _ of file.writeSlots()) for (let count = 0; count < 300; count++) put();
    file.writeHeader(header);
    file.endFlush(header);
    assert.ok(file.isUnflushed);
    const bytes = Buffer.from(files.read(PATH));
    const entryCount = bytes.readInt32BE(36);
    for (let slot = 0; slot < shape.slotCount; slot++) {
      const index = bytes.readInt32BE(SLOTS_AT + slot * 4);
      assert.ok(index < entryCount, `slot ${slot} names entry ${index} of ${entryCount}`);
    }
    const copy = IndexFile.open(files, PATH, shape)!;
    for (let index = 1; index < entryCount; index++) {
      const entryAt = SLOTS_AT + shape.slotCount * 4 + index * 20;
      const keyHash = bytes.readInt32BE(entryAt);
      assert.ok(find(copy, keyHash).includes(Number(bytes.readBigInt64BE(entryAt + 4))));
      index += 50;
    }
    copy.close();
  }
});

test("repair() finds what differs on disk wherever it is in a large table", () => {
  const shape = { slotCount: 200_000, entryCount: 1000 };
  const files = newFiles();
  const file = IndexFile.create(files, PATH, shape, undefined);
  for (let offset = 0; offset < 500; offset++) file.put(offset * 401, offset, 1_700_000_000_000);
  flush(file);
  file.close();
  const before = files.read(PATH);
  for (const slot of [0, 65_535, 65_536, 131_072, 199_999]) {
    files.damage(PATH, SLOTS_AT + slot * 4, Uint8Array.of(0, 0, 3, 0xe7));
  }
  const opened = IndexFile.open(files, PATH, shape)!;
  opened.repair();
  flush(opened);
  assert.deepEqual(files.read(PATH), before);
});

test("a file of a time when the clock was set back is opened", () => {
  const files = newFiles();
  const file = IndexFile.create(files, PATH, SHAPE, undefined);
  file.put(1, 100, 1_700_000_000_000);
  file.put(1, 200, 1_600_000_000_000);
  flush(file);
  assert.deepEqual(find(IndexFile.open(files, PATH, SHAPE)!, 1), [200, 100]);
});

test("repair() makes slots and their number of the entries that the header counts", () => {
  const files = newFiles();
  const file = IndexFile.create(files, PATH, SHAPE, undefined);
  for (let offset = 0; offset < 100; offset++) file.put(offset % 5, offset, 1_700_000_000_000);
  flush(file);
  file.close();
  const before = files.read(PATH);
  files.damage(PATH, SLOTS_AT, Uint8Array.from({ length: 28 }, (_, index) => index));
  const opened = IndexFile.open(files, PATH, SHAPE)!;
  opened.repair();
  assert.ok(opened.isUnflushed);
  for (let keyHash = 0; keyHash < 5; keyHash++) assert.equal(find(opened, keyHash).length, 20);
  flush(opened);
  assert.deepEqual(files.read(PATH), before);
});

test("entries wait in memory while the disk takes none, and are found there", () => {
  const shape = { slotCount: 100, entryCount: 30_000 };
  const files = newFiles();
  const file = IndexFile.create(files, PATH, shape, undefined);
  const fault = files.fail({ operation: "write", code: "ENOSPC", times: Infinity });
  for (let offset = 0; offset < 20_000; offset++) file.put(offset, offset, 1_700_000_000_000);
  assert.ok(fault.hits > 0);
  assert.throws(() => file.beginFlush(), { code: "ENOSPC" });
  assert.deepEqual(find(file, 12_345), [12_345]);
  fault.remove();
  flush(file);
  assert.ok(!file.isUnflushed);
  const other = IndexFile.open(files, PATH, shape)!;
  for (const offset of [0, 12_345, 19_999]) assert.deepEqual(find(other, offset), [offset]);
});

test("a flush that failed half way leaves its slots to the next one", () => {
  const shape = { slotCount: 200_000, entryCount: 1000 };
  const files = newFiles();
  const file = IndexFile.create(files, PATH, shape, undefined);
  for (let offset = 0; offset < 500; offset++) file.put(offset * 401, offset, 1_700_000_000_000);
  files.fail({ operation: "write", code: "ENOSPC", skip: 2 });
  assert.throws(() => flush(file), { code: "ENOSPC" });
  for (let offset = 500; offset < 600; offset++) file.put(offset * 401, offset, 1_700_000_000_000);
  flush(file);
  const other = IndexFile.open(files, PATH, shape)!;
  for (let offset = 0; offset < 600; offset++) assert.deepEqual(find(other, offset * 401), [offset]);
});

test("a slot that can't be written before it changes fails the flush, not the put", () => {
  const shape = { slotCount: 200_000, entryCount: 1000 };
  const files = newFiles();
  const file = IndexFile.create(files, PATH, shape, undefined);
  for (let offset = 0; offset < 500; offset++) file.put(offset * 401, offset, 1_700_000_000_000);
  file.beginFlush();
  const steps = file.writeSlots();
  steps.next();
  files.fail({ operation: "write", code: "ENOSPC" });
  file.put(499 * 401, 500, 1_700_000_000_000);
  assert.throws(() => steps.next(), { code: "ENOSPC" });
  flush(file);
  const other = IndexFile.open(files, PATH, shape)!;
  assert.deepEqual(find(other, 499 * 401), [500, 499]);
});

test("a file has the size that Apache gives it", () => {
  assert.equal(indexFileBytes({ slotCount: 5_000_000, entryCount: 20_000_000 }), 420_000_040);
});
