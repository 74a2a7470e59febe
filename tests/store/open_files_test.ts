// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { OpenFiles } from "../../src/store/open_files.ts";
import { MemoryFiles } from "../harness/memory_files.ts";

function made(limit: number, count: number): { files: MemoryFiles; open: OpenFiles } {
  const files = new MemoryFiles();
  for (let i = 0; i < count; i++) files.create(`/${i}`, 10).close();
  return { files, open: new OpenFiles(files, limit) };
}

test("the file used longest ago is closed first", () => {
  const { files, open } = made(2, 3);
  open.get("/0");
  open.get("/1");
  open.get("/0");
  open.get("/2");
  assert.deepEqual(files.openPaths.sort(), ["/0", "/2"]);
});

test("a file stays the same while it is open", () => {
  const { open } = made(2, 1);
  assert.equal(open.get("/0"), open.get("/0"));
});

test("pinned files stay open, until they are unpinned as often", () => {
  const { files, open } = made(1, 3);
  open.pin("/0");
  open.pin("/0");
  for (const path of ["/0", "/1", "/2"]) open.get(path);
  assert.deepEqual(files.openPaths.sort(), ["/0", "/2"]);
  open.unpin("/0");
  open.get("/1");
  assert.ok(files.openPaths.includes("/0"));
  open.unpin("/0");
  open.get("/2");
  open.get("/1");
  assert.ok(!files.openPaths.includes("/0"));
});

test("a file with a read or sync under way is not closed for another", async () => {
  const { files, open } = made(1, 3);
  open.get("/0").writeAt(Uint8Array.of(1, 2, 3), 0);
  const target = new Uint8Array(3);
  const read = open.readAsync("/0", target, 0);
  const sync = open.sync("/1");
  open.get("/2");
  assert.deepEqual(files.openPaths.sort(), ["/0", "/1", "/2"]);
  assert.equal(await read, 3);
  await sync;
  assert.deepEqual([...target], [1, 2, 3]);
});

test("a file that can't be opened leaves no trace, and is tried again", async () => {
  const { files, open } = made(2, 1);
  files.fail({ operation: "open", code: "EMFILE" });
  await assert.rejects(open.sync("/0"), { code: "EMFILE" });
  await open.sync("/0");
  assert.equal(open.count, 1);
});

test("close() and closeAll() close", () => {
  const { files, open } = made(9, 3);
  for (const path of ["/0", "/1", "/2"]) open.get(path);
  open.close("/1");
  assert.deepEqual(files.openPaths.sort(), ["/0", "/2"]);
  open.closeAll();
  assert.deepEqual([files.openPaths, open.count], [[], 0]);
});
