// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "../../../src/base/clock.ts";
import { diskFiles } from "../../../src/store/disk_files.ts";
import type { Files } from "../../../src/store/files.ts";
import { readLayout } from "../../../src/store/inspect/layout.ts";
import { diskReader } from "../../../src/store/inspect/reader.ts";
import {
  isInterrupted,
  rebuild,
  type RebuildOptions,
  type Rebuilt,
  undoInterrupted,
} from "../../../src/store/inspect/rebuild.ts";
import { bodiesOf, draft, openStore, snapshot, temporaryDirectory, visible } from "../../harness/store.ts";
import {
  copyStore,
  fill,
  indexFiles,
  LOG_FILE_BYTES,
  longBytes,
  makeStore,
  patch,
  patchEntry,
  QUEUE_FILE_BYTES,
  queueFile,
  told,
  TOPICS,
  verify,
} from "./planted_store.ts";

const INDEX = { slotCount: 100, entryCount: 400 };

let sound: { path: string; remove(): void };

before(async () => {
  sound = await makeStore();
});

after(() => sound.remove());

/** Builds what a check finds wrong, or what is asked for. */
async function repair(path: string, given: Partial<RebuildOptions> = {}): Promise<Rebuilt> {
  const { verified } = await verify(path);
  const reader = diskReader();
  try {
    return await rebuild({
      reader,
      files: diskFiles,
      clock: systemClock,
      layout: readLayout(reader, path, join(path, "commitlog")),
      queues: verified.queues.filter((queue) => queue.isWrong),
      queueFileBytes: QUEUE_FILE_BYTES,
      index: verified.isIndexWrong ? INDEX : undefined,
      indexTags: false,
      delayLevelsMs: [1000, 5000],
      onProgress: () => Promise.resolve(true),
      ...given,
    });
  } finally {
    reader.close();
  }
}

/** All bodies of all queues, as a consumer gets them from a broker's store. */
async function consumeAll(path: string): Promise<string[]> {
  const store = await openStore(path);
  const bodies: string[] = [];
  for (const topic of TOPICS) {
    for (const queueId of store.queueIdsOf(topic)) bodies.push(...await bodiesOf(store, topic, queueId));
  }
  await store.close();
  return bodies.sort();
}

async function consumeAllOfCopy(path: string): Promise<string[]> {
  const copy = copyStore(path);
  try {
    return await consumeAll(copy.path);
  } finally {
    copy.remove();
  }
}

function logBytes(path: string): [string, number, Uint8Array][] {
  return readdirSync(join(path, "commitlog")).sort().map((name) => {
    const file = join(path, "commitlog", name);
    return [name, statSync(file).mtimeMs, readFileSync(file)];
  });
}

const queueDirectory = (path: string, topic: string, queueId: number) =>
  join(path, "consumequeue", topic, String(queueId));

test("what is broken of queues and index is built again, and a broker finds everything in it", async () => {
  const everything = await consumeAllOfCopy(sound.path);
  const defects: ((path: string) => void)[] = [
    (path) => patchEntry(path, "TopicA", 1, 60, 0, longBytes(99)),
    (path) => patchEntry(path, "SCHEDULE_TOPIC_XXXX", 1, 2, 12, longBytes(7)),
    (path) => rmSync(queueDirectory(path, "TopicB", 0), { recursive: true }),
    (path) => rmSync(join(path, "consumequeue"), { recursive: true }),
    (path) => {
      const directory = queueDirectory(path, "TopicB", 0);
      renameSync(join(directory, "0".repeat(20)), join(directory, `${"0".repeat(18)}10`));
    },
    (path) => patch(indexFiles(path)[0], 40 + 400 + 20 * 9, longBytes(12345)),
    (path) => patch(indexFiles(path)[1], 0, longBytes(-1)),
  ];
  for (const plant of defects) {
    const copy = copyStore(sound.path);
    plant(copy.path);
    assert.ok((await verify(copy.path)).findings.wrongCount > 0);
    const log = logBytes(copy.path);
    await repair(copy.path);
    assert.deepEqual(logBytes(copy.path), log, "the log is only read");
    const { findings } = await verify(copy.path);
    assert.deepEqual(told(copy.path, findings), []);
    assert.deepEqual(await consumeAll(copy.path), everything);
    copy.remove();
  }
});

test("messages are found by key in an index that was built again", async () => {
  const copy = copyStore(sound.path);
  rmSync(join(copy.path, "index"), { recursive: true });
  const { indexedCount } = await repair(copy.path, { index: INDEX });
  assert.equal(indexedCount, 300);
  const store = await openStore(copy.path);
  for (const number of [1, 150, 298]) {
    const { records } = store.queryByKey("TopicA", `more-${number}`, 10, 0, Date.now());
    assert.equal(records.length, number % 3 === 0 ? 0 : 1, String(number));
  }
  await store.close();
  copy.remove();
});

test("queues that are built again have the bytes that the broker wrote", async () => {
  const copy = copyStore(sound.path);
  const { verified } = await verify(copy.path);
  const { queueCount, entryCount } = await repair(copy.path, { queues: verified.queues });
  assert.deepEqual([queueCount, entryCount], [4, 300]);
  for (const name of readdirSync(join(sound.path, "consumequeue"), { recursive: true, encoding: "utf8" })) {
    const path = join("consumequeue", name);
    if (!statSync(join(sound.path, path)).isFile()) continue;
    assert.deepEqual(readFileSync(join(copy.path, path)), readFileSync(join(sound.path, path)), name);
  }
  copy.remove();
});

test("what is replaced is kept, and can be forgotten", async () => {
  const copy = copyStore(sound.path);
  patchEntry(copy.path, "TopicA", 1, 60, 0, longBytes(99));
  const file = queueFile("", "TopicA", 1, 60);
  const damaged = readFileSync(join(copy.path, file));
  const { keptIn } = await repair(copy.path);
  assert.deepEqual(readFileSync(join(keptIn, file)), damaged);
  assert.ok(isInterrupted(diskReader(), copy.path));
  undoInterrupted(diskFiles, copy.path);
  assert.ok(!isInterrupted(diskReader(), copy.path));
  assert.deepEqual(told(copy.path, (await verify(copy.path)).findings), []);
  copy.remove();
});

test("a repair that did not come to its end is undone where nothing took the place", async () => {
  const copy = copyStore(sound.path);
  const moved = join(copy.path, "rmq-repair", "old", "consumequeue", "TopicA", "0");
  mkdirSync(dirname(moved), { recursive: true });
  renameSync(queueDirectory(copy.path, "TopicA", 0), moved);
  mkdirSync(join(copy.path, "rmq-repair", "old", "index"), { recursive: true });
  mkdirSync(join(copy.path, "rmq-repair", "new", "consumequeue", "TopicA", "0"), { recursive: true });
  writeFileSync(join(copy.path, "rmq-repair", "new", "consumequeue", "TopicA", "0", "0".repeat(20)), "half");
  assert.ok((await verify(copy.path)).findings.wrongCount > 0);
  undoInterrupted(diskFiles, copy.path);
  assert.deepEqual(told(copy.path, (await verify(copy.path)).findings), []);
  copy.remove();
});

test("nothing is changed by a repair that is stopped, or for which there is no room", async () => {
  const copy = copyStore(sound.path);
  patchEntry(copy.path, "TopicA", 1, 60, 0, longBytes(99));
  const list = () => {
    const names = readdirSync(copy.path, { recursive: true, encoding: "utf8" }).sort();
    return names.map((name) => [name, statSync(join(copy.path, name))] as const)
      .filter(([, stat]) => stat.isFile()).map(([name, stat]) => [name, stat.mtimeMs]);
  };
  const earlier = list();
  const stopped = await repair(copy.path, { onProgress: () => Promise.resolve(false) });
  assert.ok(stopped.isStopped);
  assert.deepEqual(list(), earlier);
  const full: Files = {
    ...diskFiles,
    syncDirectory: (path) => diskFiles.syncDirectory(path),
    create() {
      throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    },
  };
  await assert.rejects(repair(copy.path, { files: full }), /ENOSPC/);
  assert.deepEqual(list(), earlier);
  copy.remove();
});

test("queues whose first messages have expired begin at the same number", async () => {
  const copy = copyStore(sound.path);
  rmSync(join(copy.path, "commitlog", "0".repeat(20)));
  const before = await verify(copy.path);
  assert.equal(before.findings.wrongCount, 0, told(copy.path, before.findings).join("\n"));
  const rest = await consumeAllOfCopy(copy.path);
  await repair(copy.path, { queues: before.verified.queues });
  const { findings, verified } = await verify(copy.path);
  assert.equal(findings.wrongCount, 0, told(copy.path, findings).join("\n"));
  const bounds = (queues: typeof verified.queues) => {
    return queues.map(({ topic, queueId, minOffset, maxOffset }) => [topic, queueId, minOffset, maxOffset]);
  };
  assert.deepEqual(bounds(verified.queues), bounds(before.verified.queues));
  assert.ok(verified.queues.every(({ minOffset }) => minOffset > 0));
  assert.deepEqual(await consumeAll(copy.path), rest);
  copy.remove();
});

test("a queue of which the log has no message any more keeps its numbers", async () => {
  const directory = temporaryDirectory();
  const store = await openStore(directory.path);
  for (let number = 0; number < 70; number++) store.append(draft("Old", `old ${number}`));
  for (let number = 0; number < 200; number++) store.append(draft("TopicA", `new ${number}`));
  await visible(store);
  await store.close();
  rmSync(join(directory.path, "commitlog", "0".repeat(20)));
  const topics = ["Old", "TopicA"];
  const { verified } = await verify(directory.path, { topics });
  const old = verified.queues.filter(({ topic }) => topic === "Old");
  assert.deepEqual([old[0].minOffset, old[0].maxOffset], [70, 70]);
  patchEntry(directory.path, "Old", 0, 30, 0, longBytes(3));
  await repair(directory.path, { queues: old });
  const again = await openStore(directory.path);
  assert.deepEqual([again.minOffset("Old", 0), again.maxOffset("Old", 0)], [70, 70]);
  assert.equal(again.append(draft("Old", "next")).queueOffset, 70);
  await visible(again);
  await again.close();
  directory.remove();
});

test("of a topic that was made again only its second life is in the queue", async () => {
  const directory = temporaryDirectory();
  const store = await openStore(directory.path);
  await fill(store);
  store.deleteTopic("TopicB");
  for (let number = 0; number < 7; number++) store.append(draft("TopicB", `again ${number}`));
  await visible(store);
  await store.close();
  rmSync(queueDirectory(directory.path, "TopicB", 0), { recursive: true });
  await repair(directory.path);
  assert.equal((await verify(directory.path)).findings.wrongCount, 0);
  const again = await openStore(directory.path);
  assert.deepEqual(
    await bodiesOf(again, "TopicB"),
    Array.from({ length: 7 }, (_, number) => `again ${number}`),
  );
  await again.close();
  directory.remove();
});

test("after a crash the start of a broker keeps an index that was built again", async () => {
  const directory = temporaryDirectory();
  const store = await openStore(directory.path);
  await fill(store);
  const killed = snapshot(directory.path);
  await store.close();
  rmSync(join(killed.path, "index"), { recursive: true });
  await repair(killed.path, { index: INDEX });
  const names = indexFiles(killed.path);
  const again = await openStore(killed.path);
  const { records } = again.queryByKey("TopicA", "key-1", 10, 0, Date.now());
  assert.equal(records.length, 1);
  await again.close();
  assert.deepEqual(indexFiles(killed.path).slice(0, names.length), names);
  killed.remove();
  directory.remove();
});

test("lost messages in the middle of a queue are passed over in the queue built again", async () => {
  const copy = copyStore(sound.path);
  rmSync(join(copy.path, "commitlog", String(LOG_FILE_BYTES).padStart(20, "0")));
  const { verified } = await verify(copy.path);
  await repair(copy.path, { queues: verified.queues });
  const { findings, verified: after } = await verify(copy.path);
  const kinds = new Set(findings.list.map(({ kind }) => kind));
  assert.deepEqual([...kinds].sort(), ["LOG_FILE_MISSING", "QUEUE_OFFSET_GAP"]);
  assert.ok(after.queues.every(({ isWrong }) => !isWrong));
  assert.deepEqual(
    after.queues.map(({ maxOffset }) => maxOffset),
    verified.queues.map(({ maxOffset }) => maxOffset),
  );
  copy.remove();
});
