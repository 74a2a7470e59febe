// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { CommitLog } from "../../src/store/commit_log.ts";
import { BLOCK_BYTES, LogBlocks } from "../../src/store/log_blocks.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { append, bodyOf, segmentFiles } from "./parts.ts";

/** No multiple of a block. */
const FILE_BYTES = 3 * BLOCK_BYTES + 1000;
const FILES = 20;

/** A log of several files that no one has in memory any more, and its bytes. */
function coldLog() {
  const files = new MemoryFiles();
  const segments = segmentFiles(files, FILE_BYTES);
  const content = Buffer.concat(Array.from({ length: FILES }, (_, n) => Buffer.from(bodyOf(FILE_BYTES, n))));
  for (let at = 0; at < content.length; at += FILE_BYTES) {
    segments.add(at);
    segments.write(content.subarray(at, at + FILE_BYTES), at);
  }
  const log = new CommitLog(segments, content.length);
  return { files, log, content, blocks: new LogBlocks(log) };
}

/** Any stretch of one file. */
function stretch(random: SeededRandom): { offset: number; bytes: number } {
  const file = random.between(0, FILES - 1);
  const from = random.between(0, FILE_BYTES - 2);
  const bytes = random.between(1, Math.min(FILE_BYTES - from - 1, random.next() < 0.5 ? 500 : 300_000));
  return { offset: file * FILE_BYTES + from, bytes };
}

test("every stretch is as it is in the files, whichever blocks are kept", () => {
  const { content, blocks } = coldLog();
  const random = new SeededRandom(1);
  const target = Buffer.alloc(FILE_BYTES + 10);
  for (let round = 0; round < 500; round++) {
    const { offset, bytes } = stretch(random);
    assert.equal(blocks.copy(target, 7, offset, bytes), true);
    assert.ok(target.subarray(7, 7 + bytes).equals(content.subarray(offset, offset + bytes)));
  }
});

test("many readers at once get what is in the files, without blocking", async () => {
  const { content, blocks } = coldLog();
  const random = new SeededRandom(2);
  await Promise.all(Array.from({ length: 300 }, async (_, reader) => {
    for (let round = 0; round < 5; round++) {
      const { offset, bytes } = stretch(random);
      const target = Buffer.alloc(bytes);
      const isSync = reader % 10 === 0;
      const isThere = isSync
        ? blocks.copy(target, 0, offset, bytes)
        : await blocks.copyAsync(target, 0, offset, bytes);
      assert.equal(isThere, true);
      assert.ok(target.equals(content.subarray(offset, offset + bytes)), `${offset} ${bytes}`);
    }
  }));
});

test("bytes beside each other are read once", () => {
  const { files, blocks } = coldLog();
  const target = Buffer.alloc(100);
  blocks.copy(target, 0, 0, 100);
  const reads = files.fail({ operation: "read", code: "EIO", path: /log/ });
  for (let offset = 0; offset + 100 <= BLOCK_BYTES; offset += 100) blocks.copy(target, 0, offset, 100);
  assert.equal(reads.hits, 0);
});

test("readers who wait for the same block share one read", async () => {
  const { files, blocks } = coldLog();
  const second = files.fail({ operation: "read", code: "EIO", path: /log/, skip: 1 });
  await Promise.all(Array.from({ length: 20 }, (_, n) => blocks.copyAsync(Buffer.alloc(10), 0, n * 10, 10)));
  assert.equal(second.hits, 0);
});

test("what is written into a block after it was read is found", () => {
  const files = new MemoryFiles();
  const segments = segmentFiles(files, 1 << 20);
  const log = new CommitLog(segments, 0);
  const first = append(log, bodyOf(1000));
  log.write();
  // As after a start: nothing is in memory.
  const cold = new LogBlocks(new CommitLog(segments, log.writtenOffset));
  assert.equal(cold.copy(Buffer.alloc(1000), 0, first, 1000), true);
  assert.equal(cold.copy(Buffer.alloc(10), 0, log.writtenOffset - 5, 10), false);
  const grown = new CommitLog(segments, log.writtenOffset);
  const blocks = new LogBlocks(grown);
  blocks.copy(Buffer.alloc(10), 0, 0, 10);
  const next = append(grown, bodyOf(2000));
  grown.write();
  const target = Buffer.alloc(2000);
  assert.equal(blocks.copy(target, 0, next, 2000), true);
  const expected = Buffer.alloc(2000);
  segments.read(expected, next);
  assert.ok(target.equals(expected));
});

test("what the log does not have is not there", () => {
  const { blocks, content } = coldLog();
  assert.equal(blocks.copy(Buffer.alloc(10), 0, content.length - 5, 10), false);
  assert.equal(blocks.copy(Buffer.alloc(10), 0, content.length + FILE_BYTES, 10), false);
});

test("a read that fails is told to all who wait, and tried again", async () => {
  const { files, content, blocks } = coldLog();
  files.fail({ operation: "read", code: "EIO", path: /log/ });
  const both = await Promise.allSettled([1, 2].map(() => blocks.copyAsync(Buffer.alloc(9), 0, 0, 9)));
  assert.deepEqual(both.map(({ status }) => status), ["rejected", "rejected"]);
  const target = Buffer.alloc(9);
  assert.equal(await blocks.copyAsync(target, 0, 0, 9), true);
  assert.ok(target.equals(content.subarray(0, 9)));
  files.fail({ operation: "read", code: "EIO", path: /log/ });
  assert.throws(() => blocks.copy(target, 0, 2 * FILE_BYTES, 9), { code: "EIO" });
  assert.equal(blocks.copy(target, 0, 2 * FILE_BYTES, 9), true);
});
