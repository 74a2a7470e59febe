// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import type { MessageStore, StoreOptions } from "../../src/store/message_store.ts";
import {
  type GetResult,
  type MessageFilter,
  MessageIllegalError,
  StoreCorruptError,
  StoreRefusedError,
} from "../../src/store/types.ts";
import {
  bodiesOf,
  draft,
  openStore,
  recordsOf,
  snapshot,
  temporaryDirectory,
  visible,
} from "../harness/store.ts";

/** Place of a message's body in its record. */
const FIRST_BODY_BYTE = 88;

describe("message store", () => {
  let directory: { path: string; remove(): void };
  let store: MessageStore | undefined;

  beforeEach(() => {
    directory = temporaryDirectory();
  });

  afterEach(async () => {
    await store?.close();
    store = undefined;
    directory.remove();
  });

  async function open(given: Partial<StoreOptions> = {}): Promise<MessageStore> {
    return store = await openStore(directory.path, given);
  }

  async function reopen(given: Partial<StoreOptions> = {}): Promise<MessageStore> {
    await store!.close();
    return await open(given);
  }

  /** A store on what a process that dies now would leave. */
  async function afterCrash(
    check: (store: MessageStore) => Promise<void>,
    given: Partial<StoreOptions> = {},
  ) {
    const copy = snapshot(directory.path);
    try {
      const crashed = await openStore(copy.path, given);
      try {
        await check(crashed);
      } finally {
        await crashed.close();
      }
    } finally {
      copy.remove();
    }
  }

  const filler = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `m${from + i}`);

  async function append(bodies: readonly string[], topic = "T", queueId = 0) {
    for (const body of bodies) store!.append(draft(topic, body, { queueId }));
    await visible(store!);
  }

  test("messages are read back in their queue's order, with dense offsets", async () => {
    await open();
    await append(filler(100));
    await append(filler(3), "T", 1);
    assert.equal(store!.maxOffset("T", 0), 100);
    assert.deepEqual(await bodiesOf(store!, "T"), filler(100));
    assert.deepEqual(await bodiesOf(store!, "T", 1), filler(3));
    const result = await store!.getMessages("T", 0, 40, { maxCount: 5 });
    assert.deepEqual(recordsOf(result).map((record) => record.queueOffset), [40, 41, 42, 43, 44]);
    assert.equal(result.nextBeginOffset, 45);
  });

  test("a message that can't be encoded is refused; others are taken as before", async () => {
    await open();
    await append(["a"]);
    const wrong = draft("T", "wrong", { bornHost: { ip: Uint8Array.of(127, 0, 0, 1), port: 2 ** 40 } });
    assert.throws(() => store!.append(wrong), MessageIllegalError);
    assert.equal(store!.refusal, undefined);
    await append(["b"]);
    assert.deepEqual(await bodiesOf(store!, "T"), ["a", "b"]);
    await afterCrash(async (crashed) => assert.deepEqual(await bodiesOf(crashed, "T"), ["a", "b"]));
  });

  test("nothing can be read before it is written", async () => {
    await open();
    store!.append(draft("T", "a"));
    assert.equal(store!.writtenOffset, 0);
    assert.equal(store!.maxOffset("T", 0), 0);
    await visible(store!);
    assert.equal(store!.writtenOffset, store!.maxPhysicalOffset);
    assert.equal(store!.maxOffset("T", 0), 1);
  });

  test("under SYNC flush nothing can be read before it is flushed", async () => {
    await open({ flushMode: "SYNC" });
    const seen: [number, number][] = [];
    store!.onWatermark(() => seen.push([store!.flushedOffset, store!.dispatchedOffset]));
    await append(["a", "b"]);
    assert.ok(seen.every(([flushed, dispatched]) => dispatched <= flushed));
    assert.equal(store!.flushedOffset, store!.maxPhysicalOffset);
  });

  test("log and queue files roll, and everything stays readable over a clean restart", async () => {
    await open();
    const bodies = filler(500);
    await append(bodies);
    assert.ok(readdirSync(join(directory.path, "commitlog")).length > 3);
    assert.deepEqual(await bodiesOf(store!, "T"), bodies);
    await reopen();
    assert.deepEqual(await bodiesOf(store!, "T"), bodies);
    assert.equal(readdirSync(join(directory.path, "consumequeue/T/0")).length, 10);
    await append(["next"]);
    assert.equal(store!.maxOffset("T", 0), 501);
    assert.deepEqual(await bodiesOf(store!, "T", 0, 500), ["next"]);
  });

  test("a process that dies loses nothing that was written", async () => {
    await open();
    const bodies = filler(300);
    await append(bodies);
    await afterCrash(async (crashed) => {
      assert.deepEqual(await bodiesOf(crashed, "T"), bodies);
      assert.equal(crashed.maxPhysicalOffset, store!.maxPhysicalOffset);
      const next = crashed.append(draft("T", "next"));
      assert.equal(next.queueOffset, 300);
    });
  });

  test("after a crash the log ends at the last whole message, and what stood behind never comes back", async () => {
    await open();
    await append(filler(20));
    const lastStart = store!.queueEntry("T", 0, 19)!.physicalOffset;
    const copy = snapshot(directory.path);
    const file = join(copy.path, "commitlog", "0".repeat(20));
    const fd = openSync(file, "r+");
    const torn = store!.queueEntry("T", 0, 10)!;
    writeSync(fd, new Uint8Array(1), 0, 1, torn.physicalOffset + FIRST_BODY_BYTE);
    closeSync(fd);
    const crashed = await openStore(copy.path);
    assert.deepEqual(await bodiesOf(crashed, "T"), filler(10));
    assert.equal(crashed.maxPhysicalOffset, torn.physicalOffset);
    assert.ok(readFileSync(file).subarray(torn.physicalOffset).every((byte) => byte === 0));
    assert.ok(lastStart > torn.physicalOffset);
    assert.equal(crashed.append(draft("T", "again")).queueOffset, 10);
    await crashed.close();
    copy.remove();
  });

  test("queues and index that were deleted are built again from the log", async () => {
    await open();
    const bodies = filler(200);
    for (const body of bodies) store!.append(draft("T", body, { keys: `k-${body}` }));
    await visible(store!);
    await store!.close();
    rmSync(join(directory.path, "consumequeue"), { recursive: true });
    rmSync(join(directory.path, "index"), { recursive: true });
    await open();
    assert.deepEqual(await bodiesOf(store!, "T"), bodies);
    assert.equal(store!.queryByKey("T", "k-m7", 10, 0, Number.MAX_SAFE_INTEGER).records.length, 1);
  });

  test("queues without any log are refused, and left alone", async () => {
    await open();
    await append(["a"]);
    await store!.close();
    store = undefined;
    rmSync(join(directory.path, "commitlog"), { recursive: true });
    await assert.rejects(() => openStore(directory.path), StoreCorruptError);
    assert.ok(existsSync(join(directory.path, "consumequeue/T/0", "0".repeat(20))));
  });

  test("a hole between log files is refused", async () => {
    await open();
    await append(filler(500));
    await store!.close();
    store = undefined;
    const files = readdirSync(join(directory.path, "commitlog")).sort();
    rmSync(join(directory.path, "commitlog", files[1]));
    await assert.rejects(() => openStore(directory.path), /one is missing/);
  });

  test("a second store on the same directory is refused with a sentence", async () => {
    await open();
    await assert.rejects(
      () => openStore(directory.path),
      (error: Error) => error.message.includes(directory.path),
    );
  });

  test("a batch takes consecutive offsets", async () => {
    await open();
    await append(["before"]);
    const appended = store!.appendBatch(filler(5).map((body) => draft("T", body)));
    assert.deepEqual(appended.map(({ queueOffset }) => queueOffset), [1, 2, 3, 4, 5]);
    await visible(store!);
    assert.deepEqual(await bodiesOf(store!, "T"), ["before", ...filler(5)]);
  });

  test("a message that can't be stored leaves nothing behind, nor does a batch with one", async () => {
    await open();
    const long = "x".repeat(8 * 1024 + 1);
    assert.throws(() => store!.append(draft("T", long)), MessageIllegalError);
    assert.throws(() => store!.append(draft("T".repeat(128), "a")), MessageIllegalError);
    const propertyMap = new Map([["a", "y".repeat(32768)]]);
    assert.throws(() => store!.append(draft("T", "a", { propertyMap })), MessageIllegalError);
    assert.throws(() => store!.appendBatch([draft("T", "a"), draft("T", long)]), MessageIllegalError);
    assert.throws(() => store!.append(draft("a/../b", "a")), MessageIllegalError);
    assert.equal(store!.maxPhysicalOffset, 0);
    assert.equal(store!.append(draft("T", "a")).queueOffset, 0);
  });

  test("a read says where its offset stands", async () => {
    await open();
    await append(filler(10));
    const status = async (offset: number, topic = "T") => {
      const result = await store!.getMessages(topic, 0, offset, { maxCount: 1 });
      return [result.status, result.nextBeginOffset];
    };
    assert.deepEqual(await status(0, "Nothing"), ["NO_MATCHED_LOGIC_QUEUE", 0]);
    assert.deepEqual(await status(9), ["FOUND", 10]);
    assert.deepEqual(await status(10), ["OFFSET_OVERFLOW_ONE", 10]);
    assert.deepEqual(await status(11), ["OFFSET_OVERFLOW_BADLY", 10]);
    assert.deepEqual(await status(-1), ["OFFSET_TOO_SMALL", 0]);
  });

  test("a filter skips what it refuses, and the offset moves on", async () => {
    await open();
    for (let i = 0; i < 20; i++) store!.append(draft("T", `m${i}`, { tags: i % 10 === 3 ? "A" : "B" }));
    await visible(store!);
    const code = store!.queueEntry("T", 0, 3)!.tagsCode;
    const wanted = await store!.getMessages("T", 0, 0, {
      maxCount: 32,
      filter: { matchesEntry: (tagsCode) => tagsCode === code },
    });
    assert.deepEqual(recordsOf(wanted).map((record) => record.queueOffset), [3, 13]);
    assert.equal(wanted.nextBeginOffset, 20);
    const none = await store!.getMessages("T", 0, 0, {
      maxCount: 32,
      filter: { matchesEntry: () => false },
    });
    assert.deepEqual([none.status, none.nextBeginOffset], ["NO_MATCHED_MESSAGE", 20]);
  });

  describe("a filter that looks into messages", () => {
    const wants = (tag: string): MessageFilter => ({
      matchesEntry: () => true,
      properties: {
        matches: () => false,
        matchesBytes: (bytes, from, end) =>
          new TextDecoder().decode(bytes.subarray(from, end)).includes(`\u0001${tag}`),
      },
    });
    const bodies = (result: GetResult) => recordsOf(result).map((record) => text(record.body));
    const text = (body: Uint8Array) => new TextDecoder().decode(body);

    test("gives what it takes, and goes on where the answer was full", async () => {
      await open({ pullMaxCountInMemory: 5, pullMaxCountOnDisk: 5 });
      for (let i = 0; i < 300; i++) store!.append(draft("T", `m${i}`, { tags: i % 7 === 0 ? "A" : "B" }));
      await visible(store!);
      const seen: string[] = [];
      for (let next = 0, rounds = 0; next < 300; rounds++) {
        assert.ok(rounds < 20);
        const result = await store!.getMessages("T", 0, next, { maxCount: 32, filter: wants("A") });
        assert.ok(result.messageCount <= 5);
        seen.push(...bodies(result));
        next = result.nextBeginOffset;
      }
      assert.deepEqual(seen, Array.from({ length: 43 }, (_, i) => `m${i * 7}`));
      const none = await store!.getMessages("T", 0, 0, { maxCount: 32, filter: wants("C") });
      assert.deepEqual([none.status, none.nextBeginOffset], ["NO_MATCHED_MESSAGE", 300]);
    });

    test("ends a read that takes long, and goes on from there", async () => {
      let nowMs = 0;
      await open({ clock: { ...systemClock, monotonicMs: () => nowMs += 6 } });
      for (let i = 0; i < 400; i++) store!.append(draft("T", `m${i}`, { tags: i === 350 ? "A" : "B" }));
      await visible(store!);
      const first = await store!.getMessages("T", 0, 0, { maxCount: 32, filter: wants("A") });
      assert.equal(first.status, "NO_MATCHED_MESSAGE");
      assert.ok(first.nextBeginOffset > 0 && first.nextBeginOffset < 350, `${first.nextBeginOffset}`);
      let next = first.nextBeginOffset;
      const seen: string[] = [];
      while (next < 400) {
        const result = await store!.getMessages("T", 0, next, { maxCount: 32, filter: wants("A") });
        seen.push(...bodies(result));
        next = result.nextBeginOffset;
      }
      assert.deepEqual(seen, ["m350"]);
    });
  });

  test("a first message passes whatever its size, further ones only within the limits", async () => {
    await open({ pullMaxBytesInMemory: 1000, pullMaxCountInMemory: 3 });
    await append(["x".repeat(5000), "a", "b", "c", "d", "e"]);
    const count = async (offset: number) =>
      (await store!.getMessages("T", 0, offset, { maxCount: 32 })).messageCount;
    assert.equal(await count(0), 1);
    assert.equal(await count(1), 3);
  });

  test("messages are found by unique key, by each key, and by time", async () => {
    await open();
    const message = draft("T", "a", { keys: "k1 k2" });
    store!.append(message);
    await visible(store!);
    const find = (key: string, beginMs = 0, endMs = Number.MAX_SAFE_INTEGER) =>
      store!.queryByKey("T", key, 10, beginMs, endMs).records.length;
    for (const key of ["k1", "k2", message.propertyMap.get("UNIQ_KEY")!]) assert.equal(find(key), 1);
    assert.equal(find("k3"), 0);
    assert.equal(find("k1", 0, 1000), 0);
    assert.equal(find("k1", Date.now() + 60_000), 0);
  });

  test("the index rolls over files and survives a crash for what was flushed or walked through", async () => {
    await open();
    for (let i = 0; i < 900; i++) store!.append(draft("T", `m${i}`, { keys: `key-${i}` }));
    await visible(store!);
    const found = (of: MessageStore) =>
      [0, 1, 399, 400, 899].map((i) =>
        of.queryByKey("T", `key-${i}`, 10, 0, Number.MAX_SAFE_INTEGER).records.length
      );
    assert.deepEqual(found(store!), [1, 1, 1, 1, 1]);
    assert.ok(readdirSync(join(directory.path, "index")).length >= 4);
    await afterCrash(async (crashed) =>
      assert.deepEqual(await Promise.resolve(found(crashed)), [1, 1, 1, 1, 1])
    );
    await reopen();
    assert.deepEqual(found(store!), [1, 1, 1, 1, 1]);
  });

  test("a queue that is made again after its topic was deleted starts at 0, also after a crash", async () => {
    await open();
    await append(filler(30));
    store!.deleteTopic("T");
    assert.equal(store!.maxOffset("T", 0), 0);
    await append(["new"]);
    assert.deepEqual(await bodiesOf(store!, "T"), ["new"]);
    await afterCrash(async (crashed) => assert.deepEqual(await bodiesOf(crashed, "T"), ["new"]));
  });

  test("expired log files go, and queues and index follow", async () => {
    await open({
      cleanIntervalMs: 5,
      consumeQueueFlushIntervalMs: 5,
      consumeQueueFlushThoroughIntervalMs: 5,
      deleteAtHours: Array.from({ length: 24 }, (_, hour) => hour),
    });
    await append(filler(500));
    const commitLog = join(directory.path, "commitlog");
    const files = readdirSync(commitLog).sort();
    for (const name of files.slice(0, 2)) utimesSync(join(commitLog, name), 1, 1);
    const minPhysicalOffset = 2 * 16 * 1024;
    while (store!.minPhysicalOffset < minPhysicalOffset || store!.minOffset("T", 0) === 0) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const minOffset = store!.minOffset("T", 0);
    assert.ok(store!.queueEntry("T", 0, minOffset)!.physicalOffset >= minPhysicalOffset);
    assert.equal(store!.maxOffset("T", 0), 500);
    const early = await store!.getMessages("T", 0, 0, { maxCount: 1 });
    assert.deepEqual([early.status, early.nextBeginOffset], ["OFFSET_TOO_SMALL", minOffset]);
    await reopen();
    assert.equal(store!.minOffset("T", 0), minOffset);
    assert.equal((await bodiesOf(store!, "T")).length, 500 - minOffset);
  });

  test("a closed store refuses messages", async () => {
    await open();
    await store!.close();
    assert.throws(
      () => store!.append(draft("T", "a")),
      (error) => error instanceof StoreRefusedError && error.reason === "SHUT_DOWN",
    );
  });

  test("the search by time finds the first message at or after it, or the last at or before it", async () => {
    await open();
    await append(["a"]);
    const first = store!.storeTimestampOf("T", 0, 0);
    while (Date.now() <= first) await new Promise((resolve) => setTimeout(resolve, 1));
    await append(["b", "c"]);
    const second = store!.storeTimestampOf("T", 0, 1);
    const search = (timeMs: number, boundary: "LOWER" | "UPPER") =>
      store!.offsetByTime("T", 0, timeMs, boundary);
    assert.equal(search(0, "LOWER"), 0);
    assert.equal(search(first, "LOWER"), 0);
    assert.equal(search(first + 0.5, "LOWER"), 1);
    assert.equal(search(Number.MAX_SAFE_INTEGER, "LOWER"), 3);
    assert.equal(search(first, "UPPER"), 0);
    assert.equal(search(second - 0.5, "UPPER"), 0);
    assert.equal(search(Number.MAX_SAFE_INTEGER, "UPPER"), 2);
    assert.equal(store!.earliestTimestampOf("T", 0), first);
    assert.equal(store!.earliestTimestampOf("T", 5), -1);
  });
});
