// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers";
import { javaHashCode } from "../../src/protocol/java_string.ts";
import { indexFileBytes } from "../../src/store/index_file.ts";
import { MessageIndex, type MessageIndexOptions } from "../../src/store/message_index.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";

const DIRECTORY = "/store/index";
const SHAPE = { slotCount: 50, entryCount: 100 };
const START_MS = 1_700_000_000_000;

class Setup {
  files = new MemoryFiles();
  clock = new ManualClock(START_MS);
  /** As the store's checkpoint has it. */
  durableTimestampMs = 0;

  constructor() {
    this.files.makeDirectory(DIRECTORY);
    this.files.syncDirectory("/");
    this.files.syncDirectory("/store");
  }

  open(given: Partial<MessageIndexOptions> = {}): MessageIndex {
    return MessageIndex.open({
      ...SHAPE,
      directory: DIRECTORY,
      files: this.files,
      clock: this.clock,
      isClean: true,
      durableTimestampMs: this.durableTimestampMs,
      onDurable: (endTimestampMs) => {
        this.durableTimestampMs = endTimestampMs;
        return Promise.resolve();
      },
      ...given,
    });
  }

  /** The index as it is after the process was killed. */
  openAfterKill(): MessageIndex {
    this.files = this.files.kill();
    return this.open({ isClean: false });
  }

  names(): string[] {
    return this.files.list(DIRECTORY).sort();
  }
}

function all(index: MessageIndex, topic: string, key: string): number[] {
  return index.query(topic, key, 1000, 0, Number.MAX_SAFE_INTEGER);
}

/** Puts messages of one key each at `offset × 100`, a second apart. */
function fill(index: MessageIndex, from: number, to: number): void {
  for (let offset = from; offset < to; offset++) {
    index.put("topic", `key${offset}`, undefined, offset * 100, START_MS + offset * 1000);
  }
}

function assertFound(index: MessageIndex, from: number, to: number): void {
  for (let offset = from; offset < to; offset++) {
    assert.ok(all(index, "topic", `key${offset}`).includes(offset * 100), `key${offset}`);
  }
}

test("a message is found by its unique key and by each of its keys", () => {
  const index = new Setup().open();
  index.put("topic", "unique", " a  bb a ", 1000, START_MS);
  index.put("topic", undefined, "bb", 2000, START_MS);
  index.put("other", "unique", undefined, 3000, START_MS);
  index.put("topic", undefined, undefined, 4000, START_MS);
  assert.deepEqual(all(index, "topic", "unique"), [1000]);
  assert.deepEqual(all(index, "topic", "a"), [1000], "once, although it has the key twice");
  assert.deepEqual(all(index, "topic", "bb"), [1000, 2000]);
  assert.deepEqual(all(index, "topic", ""), []);
  assert.deepEqual(all(index, "other", "unique"), [3000]);
  assert.equal(index.lastUpdatePhysicalOffset, 3000);
  assert.equal(index.lastUpdateTimestampMs, START_MS);
});

test("an index without messages has no files and finds nothing", async () => {
  const setup = new Setup();
  const index = setup.open();
  assert.deepEqual(all(index, "topic", "key"), []);
  assert.equal(index.lastUpdatePhysicalOffset, 0);
  assert.equal(index.lastUpdateTimestampMs, 0);
  await index.close();
  assert.deepEqual(setup.names(), []);
});

test("files are named by local time, also after the clock was set back", () => {
  const setup = new Setup();
  setup.clock = new ManualClock(new Date(2024, 1, 29, 23, 59, 58, 7).getTime());
  const index = setup.open();
  fill(index, 0, 99);
  assert.deepEqual(setup.names(), ["20240229235958007"]);
  fill(index, 99, 100);
  setup.clock = new ManualClock(0);
  assert.deepEqual(setup.names(), ["20240229235958007", "20240229235958008"]);
});

test("the messages of many files are found, newest ones first where too many match", async () => {
  const setup = new Setup();
  const index = setup.open();
  for (let offset = 0; offset < 400; offset++) {
    setup.clock.advance(10);
    index.put("topic", `key${offset}`, "shared", offset * 100, START_MS + offset * 1000);
  }
  assert.ok(setup.names().length > 5);
  assertFound(index, 0, 400);
  assert.deepEqual(
    index.query("topic", "shared", 3, 0, Number.MAX_SAFE_INTEGER),
    [39_700, 39_800, 39_900],
  );
  // To the second, as entries know their time.
  assert.deepEqual(
    index.query("topic", "shared", 64, START_MS + 100_000, START_MS + 101_999),
    [9900, 10_000, 10_100],
  );
  await index.close();
  const reopened = setup.open();
  assertFound(reopened, 0, 400);
  assert.equal(reopened.lastUpdatePhysicalOffset, 39_900);
  await reopened.close();
  assert.deepEqual(setup.files.openPaths, []);
});

test("a query finds exactly what was put, hash collisions included", async () => {
  const random = new SeededRandom(42);
  const setup = new Setup();
  let index = setup.open();
  const byHash = new Map<number, number[]>();
  const keys = Array.from({ length: 60 }, (_, at) => `k${at % 2 ? "Aa" : "BB"}${at >> 1}`);
  for (let offset = 0; offset < 3000; offset++) {
    setup.clock.advance(1);
    const topic = `topic${random.between(0, 2)}`;
    const used = new Set([random.between(0, 59), random.between(0, 59)].map((at) => keys[at]));
    index.put(topic, undefined, [...used].join(" "), offset, START_MS + offset);
    for (const hash of new Set([...used].map((key) => Math.abs(javaHashCode(`${topic}#${key}`))))) {
      if (!byHash.has(hash)) byHash.set(hash, []);
      byHash.get(hash)!.push(offset);
    }
    if (random.next() < 0.02) await index.flush();
    if (random.next() < 0.003) {
      await index.close();
      index = setup.open();
    }
  }
  for (const topic of ["topic0", "topic1", "topic2"]) {
    for (const key of keys) {
      const expected = byHash.get(Math.abs(javaHashCode(`${topic}#${key}`))) ?? [];
      assert.deepEqual(all(index, topic, key), expected, `${topic}#${key}`);
    }
  }
  await index.close();
});

test("a message that was indexed is not indexed again", () => {
  const index = new Setup().open();
  fill(index, 0, 50);
  fill(index, 0, 50);
  for (let offset = 0; offset < 50; offset++) {
    assert.deepEqual(all(index, "topic", `key${offset}`), [offset * 100]);
  }
});

test("cutAt() forgets messages from there on, whatever files they are in, and others take their places", async () => {
  for (const end of [0, 1, 50, 98, 99, 100, 197, 198, 230, 249, 250]) {
    for (const isReopened of [false, true]) {
      const setup = new Setup();
      let index = setup.open();
      fill(index, 0, 250);
      if (isReopened) {
        await index.close();
        index = setup.open();
      }
      index.cutAt(end * 100);
      assert.equal(index.lastUpdatePhysicalOffset, Math.max(0, end - 1) * 100);
      assert.equal(index.lastUpdateTimestampMs > 0, end > 0);
      assertFound(index, 0, end);
      for (let offset = end; offset < 250; offset++) {
        assert.deepEqual(all(index, "topic", `key${offset}`), [], `key${offset}`);
        index.put("topic", `new${offset}`, undefined, offset * 100, START_MS + offset * 1000);
      }
      await index.close();
      const next = setup.open();
      assertFound(next, 0, end);
      for (let offset = end; offset < 250; offset++) {
        assert.deepEqual(all(next, "topic", `new${offset}`), [offset * 100]);
      }
      await next.close();
      assert.deepEqual(setup.files.openPaths, []);
    }
  }
});

test("deleteBefore() removes files of which no message is left, but never the last one", async () => {
  const setup = new Setup();
  const index = setup.open();
  fill(index, 0, 350);
  await index.flush();
  assert.equal(setup.names().length, 4);
  index.deleteBefore(9800);
  assert.equal(setup.names().length, 4);
  index.deleteBefore(9801);
  assert.equal(setup.names().length, 3);
  assertFound(index, 99, 350);
  index.deleteBefore(1_000_000);
  assert.equal(setup.names().length, 1);
  assert.deepEqual(setup.files.openPaths.length, 1);
  await index.close();
});

test("deleteBefore() leaves a file alone while it is flushed", async () => {
  const setup = new Setup();
  const index = setup.open();
  const hold = setup.files.holdSyncs();
  fill(index, 0, 250);
  index.deleteBefore(1_000_000);
  assert.equal(setup.names().length, 3);
  hold.release();
  await index.flush();
  index.deleteBefore(1_000_000);
  assert.equal(setup.names().length, 1);
  await index.close();
});

test("after a kill the index holds what was flushed, and takes the rest again", async () => {
  const setup = new Setup();
  const index = setup.open();
  fill(index, 0, 30);
  await index.flush();
  fill(index, 30, 60);
  const next = setup.openAfterKill();
  assert.equal(next.lastUpdatePhysicalOffset, 2900);
  assertFound(next, 0, 30);
  fill(next, 0, 60);
  assertFound(next, 0, 60);
  await next.close();
});

test("whenever the power is cut, messages put again from the end of the index on are all found once", {
  timeout: 60_000,
}, async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new SeededRandom(seed);
    const setup = new Setup();
    let count = 0;
    for (let life = 0; life < 3; life++) {
      const index = setup.open({ isClean: life === 0 });
      fill(index, Math.floor(index.lastUpdatePhysicalOffset / 100), count);
      if (random.next() < 0.7) setup.files.dieAt(setup.files.changeCount + random.between(0, 60));
      const flushes: Promise<void>[] = [];
      for (let round = random.between(1, 20); round > 0 && !setup.files.isDead; round--) {
        setup.clock.advance(random.between(1, 1000));
        const next = count + random.between(0, 40);
        fill(index, count, next);
        count = next;
        if (random.next() < 0.3) flushes.push(index.flush().catch(() => {}));
        if (random.next() < 0.7) await new Promise<void>((resolve) => setImmediate(resolve));
      }
      setup.files = random.next() < 0.7 ? setup.files.crash(random) : setup.files.kill();
      const next = setup.open({ isClean: false });
      fill(next, Math.floor(next.lastUpdatePhysicalOffset / 100), count);
      for (let offset = 0; offset < count; offset++) {
        const found = all(next, "topic", `key${offset}`).filter((other) => other === offset * 100);
        assert.deepEqual(found, [offset * 100], `seed ${seed}, life ${life}: key${offset} of ${count}`);
      }
      await next.close();
      assert.deepEqual(setup.files.openPaths, []);
    }
  }
});

test("after a crash a file of which the end was not durable is removed; the others stay", async () => {
  const setup = new Setup();
  const index = setup.open();
  fill(index, 0, 150);
  await index.close();
  // As a Java broker leaves it: the newest file was never flushed.
  setup.durableTimestampMs = START_MS + 98_000;
  const next = setup.openAfterKill();
  assert.equal(setup.names().length, 1);
  assert.equal(next.lastUpdatePhysicalOffset, 9800);
  assertFound(next, 0, 99);
  assert.deepEqual(all(next, "topic", "key120"), []);
});

test("files of another size and files with a senseless header are put aside", () => {
  const setup = new Setup();
  const put = (name: string, content: Uint8Array) => setup.files.replace(`${DIRECTORY}/${name}`, content);
  const header = new Uint8Array(indexFileBytes(SHAPE)).fill(0xff, 0, 40);
  put("20240101000000000", new Uint8Array(100));
  put("20240102000000000", header);
  put("20240103000000000", new Uint8Array(0));
  put("notes.txt", new Uint8Array(3));
  setup.files.makeDirectory(`${DIRECTORY}/20240104000000000`);
  const index = setup.open();
  fill(index, 0, 10);
  assertFound(index, 0, 10);
  assert.deepEqual(
    setup.names().filter((name) => !/^2023/.test(name)),
    [
      "20240101000000000.damaged",
      "20240102000000000.damaged",
      "20240104000000000.damaged",
      "notes.txt",
    ],
  );
});

test("a full disk delays the index; when there is room again nothing is missing", async () => {
  const setup = new Setup();
  const index = setup.open();
  fill(index, 0, 10);
  const fault = setup.files.fail({ operation: "write", code: "ENOSPC", times: Infinity });
  await assert.rejects(index.flush(), { code: "ENOSPC" });
  fill(index, 10, 50);
  fault.remove();
  await index.flush();
  const next = setup.openAfterKill();
  assertFound(next, 0, 50);
  await next.close();
});

test("after a failed sync every flush fails, and the next start gets the chance to add what is missing", async () => {
  const setup = new Setup();
  const index = setup.open();
  fill(index, 0, 10);
  await index.flush();
  fill(index, 10, 20);
  setup.files.fail({ operation: "sync", code: "EIO" });
  await assert.rejects(index.flush(), { code: "EIO" });
  await assert.rejects(index.flush(), { code: "EIO" });
  fill(index, 20, 30);
  assert.equal(index.lastUpdatePhysicalOffset, 1900);
  assertFound(index, 0, 20);
  await assert.rejects(index.close(), { code: "EIO" });
  assert.deepEqual(setup.files.openPaths, []);
  const next = setup.open({ isClean: false });
  assert.equal(next.lastUpdatePhysicalOffset, 900);
  fill(next, 0, 30);
  assertFound(next, 0, 30);
  await next.close();
});

test("a new file that can't be made ends indexing until the next start, not the broker", async () => {
  const setup = new Setup();
  const index = setup.open();
  setup.files.fail({ operation: "create", code: "ENOSPC" });
  fill(index, 0, 10);
  assert.deepEqual(all(index, "topic", "key5"), []);
  await assert.rejects(index.close(), { code: "ENOSPC" });
  const next = setup.open({ isClean: false });
  fill(next, 0, 10);
  assertFound(next, 0, 10);
  await next.close();
});

test("a header is written only when who keeps the checkpoint knows of it", async () => {
  const setup = new Setup();
  let told = 0;
  let tellIt = (): void => {};
  const index = setup.open({
    onDurable: (endTimestampMs) => {
      told = endTimestampMs;
      return new Promise((resolve) => tellIt = resolve);
    },
  });
  fill(index, 0, 10);
  const flushed = index.flush();
  while (told === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  assert.equal(told, START_MS + 9000);
  const [name] = setup.names();
  const header = () => setup.files.read(`${DIRECTORY}/${name}`).subarray(0, 40);
  assert.ok(header().every((byte) => byte === 0));
  tellIt();
  await flushed;
  assert.equal(header()[39], 11);
  await index.close();
});
