// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { readLong } from "../../../src/protocol/record.ts";
import { diskFiles } from "../../../src/store/disk_files.ts";
import { QueueWriter } from "../../../src/store/inspect/queue_writer.ts";
import { temporaryDirectory } from "../../harness/store.ts";

const FILE_BYTES = 20 * 50;

let directory: { path: string; remove(): void };
let writer: QueueWriter;

beforeEach(() => {
  directory = temporaryDirectory();
  writer = new QueueWriter(diskFiles, join(directory.path, "consumequeue", "T", "0"), FILE_BYTES);
});

afterEach(() => directory.remove());

/** Files with their entries, as `place/size/tags`; trailing zeros left out. */
function written(): Record<string, string[]> {
  const files: Record<string, string[]> = {};
  for (const name of readdirSync(writer.directory).sort()) {
    const path = join(writer.directory, name);
    assert.equal(statSync(path).size, FILE_BYTES);
    const bytes = readFileSync(path);
    const entries: string[] = [];
    for (let at = 0; at < bytes.length; at += 20) {
      const size = bytes.readInt32BE(at + 8);
      if (size !== 0) entries.push(`${readLong(bytes, at)}/${size}/${readLong(bytes, at + 12)}`);
    }
    files[Number(name)] = entries;
  }
  return files;
}

const FILLER = "0/2147483647/0";

test("entries go on in the next file", async () => {
  for (let number = 0; number < 60; number++) writer.put(number, number * 100, 100, -number);
  await writer.finish();
  const files = written();
  assert.deepEqual(Object.keys(files), ["0", String(FILE_BYTES)]);
  assert.equal(files[0].length, 50);
  assert.equal(files[0][49], "4900/100/-49");
  assert.deepEqual(files[FILE_BYTES][0], "5000/100/-50");
  assert.equal(files[FILE_BYTES].length, 10);
});

test("a queue that begins later begins with its file, filled up to its first message", async () => {
  writer.put(53, 5300, 100, 1);
  writer.put(54, 5400, 100, 1);
  await writer.finish();
  assert.deepEqual(written(), { [FILE_BYTES]: [FILLER, FILLER, FILLER, "5300/100/1", "5400/100/1"] });
});

test("what is missing is filled, across files", async () => {
  writer.put(0, 0, 100, 1);
  assert.equal(writer.put(52, 9000, 100, 1), true);
  await writer.finish();
  const files = written();
  assert.deepEqual(files[0], ["0/100/1", ...Array(49).fill(FILLER)]);
  assert.deepEqual(files[FILE_BYTES], [FILLER, FILLER, "9000/100/1"]);
});

test("a number that can't follow is left out", async () => {
  writer.put(10, 1000, 100, 1);
  assert.equal(writer.put(5, 1100, 100, 1), false);
  assert.equal(writer.put(1_000_000, 1200, 100, 1), false);
  assert.equal(writer.put(-1, 1300, 100, 1), false);
  assert.equal(writer.put(11, 1400, 100, 1), true);
  await writer.finish();
  assert.deepEqual(written()[0].slice(10), ["1000/100/1", "1400/100/1"]);
});

test("a queue that begins again forgets what was before", async () => {
  for (let number = 0; number < 120; number++) writer.put(number, number * 100, 100, 1);
  writer.write();
  writer.put(0, 12_000, 100, 2);
  writer.put(1, 12_100, 100, 2);
  await writer.finish();
  assert.deepEqual(written(), { 0: ["12000/100/2", "12100/100/2"] });
});

test("a queue without messages has no files", async () => {
  await writer.finish();
  assert.ok(writer.isEmpty);
  assert.equal(diskFiles.stat(writer.directory), undefined);
});
