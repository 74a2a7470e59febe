// SPDX-License-Identifier: Apache-2.0
/** The faults of the disk in memory; what it has in common with the real one is in tests/contract. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { StoreFile } from "../../src/store/files.ts";
import { MemoryFiles } from "./memory_files.ts";
import { SeededRandom } from "./seeded_random.ts";

const PATH = "/store/file";

function newFiles(options?: ConstructorParameters<typeof MemoryFiles>[0]): MemoryFiles {
  const files = new MemoryFiles(options);
  files.makeDirectory("/store");
  files.syncDirectory("/");
  return files;
}

/** A file whose name and size are durable. */
function durableFile(files: MemoryFiles, sizeBytes: number): StoreFile {
  const file = files.create(PATH, sizeBytes);
  file.syncNow();
  files.syncDirectory("/store");
  return file;
}

/** What many power cuts in the same state leave, as text, each once. */
function outcomes(prepare: (files: MemoryFiles) => unknown, look: (files: MemoryFiles) => string): string[] {
  const found = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const files = newFiles({ sectorBytes: 512 });
    prepare(files);
    found.add(look(files.crash(new SeededRandom(seed))));
  }
  return [...found].sort();
}

/** First byte of each sector of the file. */
function sectors(files: MemoryFiles): string {
  return [...files.read(PATH)].filter((_, index) => index % 512 === 0).join("");
}

test("a power cut keeps what was synced, whatever the seed", () => {
  const left = outcomes((files) => {
    const file = durableFile(files, 1024);
    file.writeAt(new Uint8Array(1024).fill(1), 0);
    file.syncNow();
  }, sectors);
  assert.deepEqual(left, ["11"]);
});

test("a power cut may keep or lose each sector of a write by itself", () => {
  const left = outcomes((files) => {
    durableFile(files, 1024).writeAt(new Uint8Array(1024).fill(1), 0);
  }, sectors);
  assert.deepEqual(left, ["00", "01", "10", "11"]);
});

test("a power cut leaves a sector as it was at some moment since the last sync", () => {
  const left = outcomes((files) => {
    const file = durableFile(files, 512);
    file.writeAt(new Uint8Array(512).fill(1), 0);
    file.syncNow();
    file.writeAt(new Uint8Array(512).fill(2), 0);
    file.writeAt(new Uint8Array(512).fill(3), 0);
  }, sectors);
  assert.deepEqual(left, ["1", "2", "3"]);
});

test("a power cut may undo a cut or a growth that was not synced", () => {
  const left = outcomes((files) => {
    const file = durableFile(files, 512);
    file.truncate(1024);
  }, (files) => String(files.stat(PATH)?.sizeBytes));
  assert.deepEqual(left, ["1024", "512"]);
});

test("names are durable after syncDirectory, before it each may vanish, in their order", () => {
  const prepare = (files: MemoryFiles) => {
    files.create("/store/first", 0).close();
    files.syncDirectory("/store");
    files.create("/store/second", 0).close();
    files.create("/store/third", 0).close();
  };
  const left = outcomes(prepare, (files) => files.list("/store").sort().join(" "));
  assert.deepEqual(left, ["first", "first second", "first second third"]);
});

test("a rename happens or not, but never loses the file, within a directory or across", () => {
  for (const target of ["/store/to", "/other/to"]) {
    const left = outcomes((files) => {
      files.makeDirectory("/other");
      files.syncDirectory("/");
      const file = files.create("/store/from", 0);
      file.close();
      files.syncDirectory("/store");
      files.rename("/store/from", target);
    }, (files) => `${files.list("/store")}|${files.list("/other")}`);
    assert.deepEqual(left, target === "/store/to" ? ["from|", "to|"] : ["from|", "|to"]);
  }
});

test("a removed file may come back, with what was durable of it", () => {
  const left = outcomes((files) => {
    const file = durableFile(files, 512);
    file.writeAt(new Uint8Array(512).fill(1), 0);
    file.syncNow();
    files.remove(PATH);
  }, (files) => files.stat(PATH) === undefined ? "gone" : sectors(files));
  assert.deepEqual(left, ["1", "gone"]);
});

test("replace() survives a power cut at every one of its steps: old or new content, never a mixture", () => {
  const text = (value: string) => new TextEncoder().encode(value);
  for (let step = 0;; step++) {
    let isThrough = false;
    const left = outcomes((files) => {
      files.replace(PATH, text("old"));
      const { changeCount } = files;
      files.dieAt(changeCount + step);
      try {
        files.replace(PATH, text("new content"));
        isThrough = true;
      } catch {
        assert.ok(files.isDead);
      }
    }, (files) => new TextDecoder().decode(files.read(PATH)));
    assert.ok(left.every((content) => content === "old" || content === "new content"), `${left}`);
    if (!isThrough) continue;
    assert.deepEqual(left, ["new content"]);
    break;
  }
});

test("the same seed leaves the same", () => {
  const run = () => {
    const files = newFiles();
    const file = durableFile(files, 64 * 512);
    for (let at = 0; at < 64; at++) file.writeAt(new Uint8Array(512).fill(at), at * 512);
    return [...files.crash(new SeededRandom(7)).read(PATH)];
  };
  assert.deepEqual(run(), run());
});

test("kill() keeps everything that was written, and ends the process that wrote it", async () => {
  const files = newFiles();
  const file = files.create(PATH, 3);
  file.writeAt(Uint8Array.of(1, 2, 3), 0);
  const sync = file.sync();
  let ended = false;
  sync.then(() => ended = true, () => ended = true);
  const next = files.kill();
  assert.deepEqual([...next.read(PATH)], [1, 2, 3]);
  assert.throws(() => file.writeAt(Uint8Array.of(9), 0), { code: "ESRCH" });
  assert.throws(() => files.list("/store"), { code: "ESRCH" });
  await next.open(PATH).sync();
  assert.equal(ended, false);
});

test("dieAt() ends the process before the change that it names", () => {
  const files = newFiles();
  const file = files.create(PATH, 2);
  files.dieAt(files.changeCount + 1);
  file.writeAt(Uint8Array.of(1), 0);
  assert.throws(() => file.writeAt(Uint8Array.of(1), 1), { code: "ESRCH" });
  assert.ok(files.isDead);
  assert.deepEqual([...files.kill().read(PATH)], [1, 0]);
});

test("sync() makes durable what was written before it began, even if it ends later", async () => {
  for (let seed = 0; seed < 50; seed++) {
    const files = newFiles();
    const file = durableFile(files, 1024);
    const hold = files.holdSyncs();
    file.writeAt(Uint8Array.of(1), 0);
    const sync = file.sync();
    file.writeAt(Uint8Array.of(2), 512);
    assert.equal(hold.waitingCount, 1);
    hold.release();
    await sync;
    const [first] = files.crash(new SeededRandom(seed)).read(PATH);
    assert.equal(first, 1);
  }
});

test("a held sync that never ends makes nothing durable", () => {
  const left = outcomes((files) => {
    const file = durableFile(files, 512);
    files.holdSyncs();
    file.writeAt(Uint8Array.of(1), 0);
    void file.sync();
  }, sectors);
  assert.deepEqual(left, ["0", "1"]);
});

test("after a failed sync, a later one does not make the lost pages durable", async () => {
  const found = new Set<string>();
  for (let seed = 0; seed < 50; seed++) {
    const files = newFiles();
    const file = durableFile(files, 1024);
    file.writeAt(Uint8Array.of(1), 0);
    const fault = files.fail({ operation: "sync", code: "EIO" });
    await assert.rejects(file.sync(), { code: "EIO" });
    assert.equal(fault.hits, 1);
    file.writeAt(Uint8Array.of(1), 512);
    await file.sync();
    found.add(sectors(files.crash(new SeededRandom(seed))));
  }
  assert.deepEqual([...found].sort(), ["01", "11"]);
});

test("faults hit the calls that they name, as often as told", () => {
  const files = newFiles();
  const file = files.create(PATH, 10);
  const fault = files.fail({
    operation: "write",
    code: "EIO",
    path: /file$/,
    skip: 1,
    times: 2,
    writtenBytes: 1,
  });
  file.writeAt(Uint8Array.of(1, 1), 0);
  assert.throws(() => file.writeAt(Uint8Array.of(2, 2), 2), { code: "EIO" });
  assert.throws(() => file.writeAt(Uint8Array.of(3, 3), 4), { code: "EIO" });
  file.writeAt(Uint8Array.of(4, 4), 6);
  assert.equal(fault.hits, 2);
  assert.deepEqual([...files.read(PATH)], [1, 1, 2, 0, 3, 0, 4, 4, 0, 0]);
  files.fail({ operation: "create", code: "ENOSPC", times: Infinity }).remove();
  files.fail({ operation: "create", code: "ENOSPC" });
  assert.throws(() => files.create("/store/other", 1), { code: "ENOSPC" });
  assert.equal(files.stat("/store/other"), undefined);
});

test("a full disk takes the pages that fit, and again what is removed frees", () => {
  const files = newFiles({ capacityBytes: 3 * 4096 });
  const file = files.create(PATH, 2 ** 30);
  assert.throws(() => file.writeAt(new Uint8Array(5 * 4096).fill(1), 100), { code: "ENOSPC" });
  assert.equal(files.read(PATH).lastIndexOf(1), 3 * 4096 - 1);
  assert.deepEqual(files.space("/store"), { totalBytes: 3 * 4096, freeBytes: 0, usableBytes: 0 });
  file.writeAt(new Uint8Array(4096).fill(2), 4096);
  const other = files.create("/store/other", 0);
  assert.throws(() => other.writeAt(Uint8Array.of(1), 0), { code: "ENOSPC" });
  files.remove(PATH);
  other.writeAt(Uint8Array.of(1), 0);
});

test("a gibibyte of which little is written costs little", () => {
  const files = newFiles();
  const file = files.create(PATH, 2 ** 30);
  file.writeAt(Uint8Array.of(1), 2 ** 30 - 1);
  const { totalBytes, freeBytes } = files.space("/");
  assert.equal(totalBytes - freeBytes, 4096);
});

test("openPaths tells which files were left open", () => {
  const files = newFiles();
  const one = files.create(PATH, 1);
  files.create("/store/other", 1).close();
  assert.deepEqual(files.openPaths, [PATH]);
  one.close();
  assert.deepEqual(files.openPaths, []);
});

test("damage() changes bytes durably", () => {
  const files = newFiles();
  durableFile(files, 4).close();
  files.damage(PATH, 1, Uint8Array.of(0xff));
  assert.deepEqual([...files.crash(new SeededRandom(1)).read(PATH)], [0, 0xff, 0, 0]);
});
