// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { decodeRecord, MAGIC_BLANK } from "../../src/protocol/record.ts";
import type { CommitLog } from "../../src/store/commit_log.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { append, bodyOf, commitLog, OVERHEAD_BYTES, readText } from "./parts.ts";

const KIB = 1024;
const MIB = KIB * KIB;
/** How much of the log's end is kept in memory, and how much in one buffer. */
const TAIL_BYTES = 16 * MIB;
const CHUNK_BYTES = MIB;

/** The record at `offset` must have this body, wherever it comes from. */
function assertBody(log: CommitLog, offset: number, body: Uint8Array): void {
  const target = Buffer.alloc(OVERHEAD_BYTES + body.length);
  assert.ok(log.copy(target, 0, offset, target.length), `nothing at ${offset}`);
  const record = decodeRecord(target);
  if (typeof record === "string") throw new Error(`${record} at ${offset}`);
  assert.equal(record.physicalOffset, offset);
  assert.ok(Buffer.compare(record.body, body) === 0, `another body at ${offset}`);
}

/** A record that takes up `bytes` bytes. */
function appendBytes(log: CommitLog, bytes: number, seed = 1): number {
  return append(log, bodyOf(bytes - OVERHEAD_BYTES, seed));
}

test("a record is appended in memory, then written, then flushed", async () => {
  const files = new MemoryFiles();
  const { log } = commitLog(files, KIB);
  append(log, "a");
  const end = OVERHEAD_BYTES + 1;
  assert.deepEqual([log.appendedOffset, log.writtenOffset, log.flushedOffset], [end, 0, 0]);
  log.write();
  assert.deepEqual([log.writtenOffset, log.flushedOffset], [end, 0]);
  await log.sync(end);
  log.markFlushed(end);
  assert.equal(log.flushedOffset, end);
});

test("a record fits if eight bytes are left behind it, for the blank that ends the file", () => {
  const files = new MemoryFiles();
  const { log } = commitLog(files, KIB);
  assert.equal(log.maxRecordBytes, KIB - 8);
  appendBytes(log, 500);
  assert.equal(appendBytes(log, KIB - 8 - 500), 500);
  assert.equal(log.appendedOffset, KIB - 8);
  assert.equal(appendBytes(log, 100), KIB);
  log.write();
  const blank = files.read(`/log/${"0".repeat(20)}`).subarray(KIB - 8);
  assert.equal(Buffer.from(blank).readInt32BE(0), 8);
  assert.equal(Buffer.from(blank).readInt32BE(4), MAGIC_BLANK);
});

test("a record for which one byte is missing goes to the next file, behind a blank that says how long it is", () => {
  const files = new MemoryFiles();
  const { log } = commitLog(files, KIB);
  appendBytes(log, 500);
  assert.equal(appendBytes(log, KIB - 8 - 500 + 1), KIB);
  log.write();
  const blank = Buffer.from(files.read(`/log/${"0".repeat(20)}`).subarray(500));
  assert.deepEqual([blank.readInt32BE(0), blank.readInt32BE(4)], [KIB - 500, MAGIC_BLANK]);
  assert.ok(blank.subarray(8).every((byte) => byte === 0));
  assert.equal(files.stat(`/log/${"0".repeat(20)}`)!.sizeBytes, KIB);
});

test("a record may fill a whole file but for the blank; each one then has its own", () => {
  const { log } = commitLog(new MemoryFiles(), KIB);
  for (const start of [0, KIB, 2 * KIB]) assert.equal(appendBytes(log, KIB - 8), start);
  log.write();
  for (const start of [0, KIB, 2 * KIB]) assertBody(log, start, bodyOf(KIB - 8 - OVERHEAD_BYTES));
});

test("a file that another writer left without room for a blank is left as it is", () => {
  for (const rest of [0, 1, 7]) {
    const files = new MemoryFiles();
    files.makeDirectory("/log");
    files.create(`/log/${"0".repeat(20)}`, KIB).close();
    const { log } = commitLog(files, KIB, KIB - rest);
    assert.equal(appendBytes(log, 100), KIB);
    log.write();
    assert.equal(log.writtenOffset, KIB + 100);
    assert.equal(files.stat(`/log/${"0".repeat(20)}`)!.sizeBytes, KIB);
    assertBody(log, KIB, bodyOf(100 - OVERHEAD_BYTES));
  }
});

test("everything can be read at every moment: appended, written, and long after it has left memory", () => {
  const { log } = commitLog(new MemoryFiles(), 8 * MIB);
  const places: [offset: number, bytes: number, seed: number][] = [];
  let total = 0;
  const check = ([offset, bytes, seed]: typeof places[number]) =>
    assertBody(log, offset, bodyOf(bytes, seed));
  for (let seed = 0; total < 1.5 * TAIL_BYTES; seed++) {
    // Sizes around that of a chunk, and larger ones, which get a buffer of their own.
    const bytes = [700 * KIB, 300 * KIB, CHUNK_BYTES + 5, 3 * MIB, 10][seed % 5];
    places.push([append(log, bodyOf(bytes, seed)), bytes, seed]);
    check(places.at(-1)!);
    total += bytes;
    if (seed % 3 === 2) log.write();
    check(places[Math.floor(places.length / 2)]);
  }
  log.write();
  for (const place of places) check(place);
  assert.ok(!log.isInTail(places[0][0]));
  assert.ok(log.isInTail(places.at(-1)![0]));
});

test("what is not written is never dropped from memory, however much it is", () => {
  const { log } = commitLog(new MemoryFiles(), 64 * MIB);
  const first = append(log, bodyOf(1000, 1));
  for (let count = 0; count < 30; count++) append(log, bodyOf(MIB, count));
  assertBody(log, first, bodyOf(1000, 1));
  log.write();
  assertBody(log, first, bodyOf(1000, 1));
});

test("a read behind the log's end, before its start, or across the end finds nothing", () => {
  const { log } = commitLog(new MemoryFiles(), KIB);
  appendBytes(log, 200);
  assert.equal(readText(log, 0, 201), undefined);
  assert.equal(readText(log, 200, 1), undefined);
  assert.equal(readText(log, -1, 1), undefined);
  assert.equal(readText(log, 5000, 1), undefined);
});

test("a write that failed takes back what was appended; nothing of it is left on the disk", () => {
  for (const writtenBytes of [0, 1, 150, 300]) {
    const files = new MemoryFiles();
    const { log } = commitLog(files, KIB);
    appendBytes(log, 200);
    log.write();
    files.fail({ operation: "write", code: "ENOSPC", writtenBytes });
    appendBytes(log, 300, 2);
    assert.throws(() => log.write(), { code: "ENOSPC" });
    log.dropUnwritten();
    assert.deepEqual([log.appendedOffset, log.writtenOffset], [200, 200]);
    assert.ok(files.read(`/log/${"0".repeat(20)}`).subarray(200).every((byte) => byte === 0));
    assert.equal(appendBytes(log, 250, 3), 200);
    log.write();
    assertBody(log, 200, bodyOf(250 - OVERHEAD_BYTES, 3));
  }
});

test("a write that fails in a later file keeps what came before it", () => {
  const files = new MemoryFiles();
  const { log } = commitLog(files, KIB);
  appendBytes(log, 900);
  appendBytes(log, 900, 2);
  files.fail({ operation: "write", code: "EIO", path: /1024$/ });
  assert.throws(() => log.write(), { code: "EIO" });
  assert.equal(log.writtenOffset, KIB);
  log.dropUnwritten();
  assert.equal(log.appendedOffset, KIB);
  assertBody(log, 0, bodyOf(900 - OVERHEAD_BYTES));
  assert.equal(appendBytes(log, 900, 3), KIB);
  log.write();
  assertBody(log, KIB, bodyOf(900 - OVERHEAD_BYTES, 3));
});

test("a file that can't be made leaves nothing appended, and the log goes on when it can", () => {
  const files = new MemoryFiles();
  const { log } = commitLog(files, KIB);
  appendBytes(log, 900);
  log.write();
  files.fail({ operation: "create", code: "EMFILE" });
  assert.throws(() => appendBytes(log, 500), { code: "EMFILE" });
  assert.equal(log.appendedOffset, 900);
  assert.equal(appendBytes(log, 100), 900);
  assert.equal(appendBytes(log, 500), KIB);
});

test("the oldest file may go only when something behind it is durable", async () => {
  const { log } = commitLog(new MemoryFiles(), KIB);
  const flush = async (offset: number) => {
    await log.sync(offset);
    log.markFlushed(offset);
  };
  appendBytes(log, 900);
  appendBytes(log, 900);
  log.write();
  assert.equal(log.oldestFile(), undefined);
  await flush(900);
  assert.equal(log.oldestFile(), undefined);
  await flush(KIB);
  assert.equal(log.oldestFile(), undefined);
  await flush(KIB + 900);
  assert.equal(log.oldestFile()?.endOffset, KIB);
  log.deleteOldestFile();
  assert.equal(log.minOffset, KIB);
  assert.throws(() => log.deleteOldestFile(), /never deleted/);
});

test("sync() skips files that were deleted meanwhile", async () => {
  const { log } = commitLog(new MemoryFiles(), KIB);
  for (let count = 0; count < 3; count++) appendBytes(log, 900);
  log.write();
  log.deleteOldestFile();
  await log.sync(log.writtenOffset);
});

test("buffers that are used again never show through in what was read before", () => {
  const { log } = commitLog(new MemoryFiles(), 64 * MIB);
  const offset = append(log, bodyOf(1000, 9));
  const target = Buffer.alloc(OVERHEAD_BYTES + 1000);
  log.copy(target, 0, offset, target.length);
  const before = Buffer.from(target);
  for (let count = 0; count < 20; count++) {
    append(log, bodyOf(900 * KIB, count));
    log.write();
  }
  assert.ok(target.equals(before));
  assertBody(log, offset, bodyOf(1000, 9));
});
