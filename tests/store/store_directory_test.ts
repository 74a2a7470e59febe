// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { configure, type LogRecord, reset } from "@logtape/logtape";
import { diskFiles } from "../../src/store/disk_files.ts";
import type { Files } from "../../src/store/files.ts";
import { StoreDirectory } from "../../src/store/store_directory.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";

function take(files: Files, storeDirectory = "/store"): Promise<StoreDirectory> {
  return StoreDirectory.take({
    files,
    storeDirectory,
    commitLogDirectory: join(storeDirectory, "commitlog"),
  });
}

function text(files: Files, path: string): string {
  return new TextDecoder().decode(files.read(path));
}

/** Makes a file with something in it, and the directories above. */
function put(files: Files, path: string): void {
  files.makeDirectory(join(path, ".."));
  files.replace(path, Uint8Array.of(1));
}

test("a new directory counts as cleanly stopped, and is marked with the process while it is used", async () => {
  const files = new MemoryFiles();
  const directory = await take(files, "/a/b/store");
  assert.equal(directory.wasStoppedCleanly, true);
  assert.equal(text(files, directory.abort), String(process.pid));
  assert.deepEqual(files.list("/a/b/store").sort(), ["abort", "commitlog", "consumequeue", "index", "rmq"]);
  assert.equal(directory.checkpoint, "/a/b/store/checkpoint");
  assert.deepEqual(files.openPaths, []);
});

test("a process that ends without markClean() leaves the mark; abort.bak means nothing", async () => {
  let files = new MemoryFiles();
  const first = await take(files);
  first.markClean();
  first.release();
  put(files, "/store/abort.bak");
  const second = await take(files);
  assert.equal(second.wasStoppedCleanly, true);
  files = files.kill();
  assert.equal((await take(files)).wasStoppedCleanly, false);
});

test("the directory and its mark are durable before anything is written to the store", async () => {
  for (let seed = 0; seed < 50; seed++) {
    const files = new MemoryFiles();
    await take(files, "/data/store");
    const after = files.crash(new SeededRandom(seed));
    assert.deepEqual(after.list("/data/store").sort(), [
      "abort",
      "commitlog",
      "consumequeue",
      "index",
      "rmq",
    ]);
    assert.equal((await take(after, "/data/store")).wasStoppedCleanly, false);
  }
});

test("an abort that something else removes is put back; a kill before that does not look like a clean stop", async () => {
  let files = new MemoryFiles();
  const first = await take(files);
  files.remove(first.abort);
  first.keepMarked();
  assert.equal(text(files, first.abort), String(process.pid));
  files.remove(first.abort);
  files = files.kill();
  const second = await take(files);
  assert.equal(second.wasStoppedCleanly, false);
  second.markClean();
  second.release();
  assert.equal((await take(files)).wasStoppedCleanly, true);
});

test("what can't be served is refused by name, before anything is changed", async () => {
  const refused: [string, RegExp][] = [
    ["batchconsumequeue/topic/0/00000000000000000000", /BatchCQ/],
    ["consumequeue/CURRENT", /RocksDB/],
    ["kvStore/CURRENT", /POP/],
    ["config/topics/CURRENT", /topics in RocksDB/],
    ["config/subscriptionGroups/CURRENT", /RocksDB/],
    ["config/consumerOffsets/CURRENT", /RocksDB/],
    ["config/rdb/CURRENT", /configManagerVersion/],
    ["dledger-n0/data/00000000000000000000", /DLedger/],
  ];
  for (const [path, message] of refused) {
    const files = new MemoryFiles();
    put(files, join("/store", path));
    const { changeCount } = files;
    await assert.rejects(take(files), (error: Error) => {
      assert.equal(error.name, "StoreCorruptError");
      assert.match(error.message, message);
      assert.match(error.message, new RegExp(`/store/${path.split("/")[0]}`));
      return true;
    });
    assert.equal(files.changeCount, changeCount);
  }
});

test("empty directories and files of the default Apache broker are no reason to refuse or to warn", async () => {
  const files = new MemoryFiles();
  for (const path of ["batchconsumequeue", "kvStore", "compaction", "config/topics", "timerlog"]) {
    files.makeDirectory(join("/store", path));
  }
  for (const path of ["timerwheel", "lock", "checkpoint", "config/topics.json", "rocksdbstore/CURRENT"]) {
    put(files, join("/store", path));
  }
  assert.deepEqual(await warningsOf(() => take(files)), []);
});

test("the operator is told what rests until an Apache broker is back", async () => {
  const files = new MemoryFiles();
  put(files, "/store/consumequeue/rmq_sys_REVIVE_LOG_DefaultCluster/3/00000000000000000000");
  put(files, "/store/config/tieredStoreMetadata.json");
  const warnings = await warningsOf(() => take(files));
  assert.deepEqual(
    warnings.map((line) => line.split(":")[0]).sort(),
    [
      "/store/config/tieredStoreMetadata.json",
      "/store/consumequeue/rmq_sys_REVIVE_LOG_DefaultCluster",
    ],
  );
});

test("on a disk, the directory is this process's until it is released", async () => {
  const root = mkdtempSync(join(tmpdir(), "rmq-directory-"));
  try {
    const path = join(root, "store");
    const directory = await take(diskFiles, path);
    await assert.rejects(take(diskFiles, path), /in use/);
    directory.markClean();
    directory.release();
    directory.release();
    const next = await take(diskFiles, path);
    assert.equal(next.wasStoppedCleanly, true);
    next.release();
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("a directory that is refused is not kept locked", async () => {
  const root = mkdtempSync(join(tmpdir(), "rmq-directory-"));
  try {
    put(diskFiles, join(root, "kvStore", "CURRENT"));
    await assert.rejects(take(diskFiles, root), /POP/);
    diskFiles.remove(join(root, "kvStore", "CURRENT"));
    (await take(diskFiles, root)).release();
  } finally {
    rmSync(root, { recursive: true });
  }
});

/** What is logged as a warning while `run` runs. */
async function warningsOf(run: () => Promise<unknown>): Promise<string[]> {
  const records: LogRecord[] = [];
  await configure({
    sinks: { list: (record) => void records.push(record) },
    loggers: [
      { category: "rmq", sinks: ["list"], lowestLevel: "warning" },
      { category: "logtape", sinks: [] },
    ],
  });
  try {
    await run();
  } finally {
    await reset();
  }
  return records.map(({ message }) => message.join(""));
}
