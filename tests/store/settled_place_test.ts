// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { afterEach, beforeEach, describe, test } from "node:test";
import { readLong } from "../../src/protocol/record.ts";
import type { MessageStore, StoreOptions } from "../../src/store/message_store.ts";
import { readSettledPlaces, type SettledPlace, SettledPlaceFile } from "../../src/store/settled_place.ts";
import { logged } from "../harness/logged.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { bodiesOf, draft, openStore, visible } from "../harness/store.ts";
import { copyOf } from "./parts.ts";

const PATH = "/store/rmq/settled";
const LOG_BYTES = 64 * 1024;
const LOG_FILE = `/store/commitlog/${"0".repeat(20)}`;
const QUEUE_FILE = `/store/consumequeue/T/0/${"0".repeat(20)}`;
const THOROUGH_MS = 1000;

describe("after a crash", () => {
  let files: MemoryFiles;
  let clock: ManualClock;
  let store: MessageStore | undefined;

  async function open(given: Partial<StoreOptions> = {}): Promise<MessageStore> {
    return store = await openStore("/store", {
      ...{ files, clock, commitLogFileBytes: LOG_BYTES },
      consumeQueueFlushIntervalMs: 100,
      consumeQueueFlushThoroughIntervalMs: THOROUGH_MS,
      ...given,
    });
  }

  async function append(from: number, count: number): Promise<void> {
    for (let n = from; n < from + count; n++) store!.append(draft("T", `m${n}`.padEnd(200)));
    await visible(store!);
  }

  /** Everything is made durable, and the checkpoint says so. */
  async function settle(): Promise<void> {
    const end = store!.maxPhysicalOffset;
    // Of a checkpoint that is written for the index alone, the end of the log stays behind.
    const settledEnd = () => readLong(Buffer.from(files.read("/store/checkpoint")), 32);
    for (let round = 0; settledEnd() !== end; round++) {
      assert.ok(round < 1000, "the checkpoint is never written");
      clock.advance(100);
      await new Promise<void>((resolve) => setTimeout(resolve));
    }
  }

  /** The files as a process leaves them that is killed; what is left of it moves no clock of ours. */
  function killed(): MemoryFiles {
    clock = new ManualClock(clock.nowMs());
    store = undefined;
    return files = files.kill();
  }

  /** Offsets between which the log is walked when the store opens, and what is said. */
  async function opened(given: Partial<StoreOptions> = {}): Promise<{ bytes: number; notes: string[] }> {
    const notes = await logged(async () => {
      await open(given);
    }, "info");
    const [, bytes] = /unclean stop: ([0-9]+) bytes checked/.exec(notes.join("\n")) ?? [];
    return { bytes: Number(bytes), notes };
  }

  beforeEach(async () => {
    files = new MemoryFiles();
    clock = new ManualClock(1_700_000_000_000);
    await open();
    await append(0, 50);
    await settle();
  });

  afterEach(() => store?.close());

  test("only what came after the checkpoint is walked", async () => {
    const settledEnd = store!.maxPhysicalOffset;
    await append(50, 3);
    const end = store!.maxPhysicalOffset;
    killed();
    const { bytes } = await opened();
    assert.equal(bytes, end - settledEnd);
    assert.equal((await bodiesOf(store!, "T")).length, 53);
    assert.equal(store!.append(draft("T", "next")).queueOffset, 53);
  });

  test("messages before it are found by key", async () => {
    store!.append(draft("T", "with a key", { keys: "K1" }));
    await append(50, 3);
    clock.advance(1);
    await settle();
    store!.append(draft("T", "with another", { keys: "K2" }));
    await visible(store!);
    killed();
    const { bytes } = await opened();
    assert.ok(bytes < 500, String(bytes));
    for (const key of ["K1", "K2"]) {
      assert.equal(store!.queryByKey("T", key, 10, 0, Infinity).records.length, 1);
    }
  });

  test("without new messages nothing is walked, and store times go on", async () => {
    killed();
    const { bytes } = await opened();
    assert.equal(bytes, 0);
    assert.equal((await bodiesOf(store!, "T")).length, 50);
  });

  test("a power cut at any time finds a place or walks more, and loses nothing settled", async () => {
    const places: number[] = [];
    for (let seed = 0; seed < 50; seed++) {
      await append(50 + seed, 1);
      if (seed % 7 === 0) void settle().catch(() => {});
      clock = new ManualClock(clock.nowMs());
      files = files.crash(new SeededRandom(seed));
      const { bytes } = await opened();
      places.push(bytes);
      assert.ok((await bodiesOf(store!, "T")).length >= 50);
    }
    assert.ok(places.every((bytes) => bytes < LOG_BYTES / 4), String(places));
  });

  test("any difference makes the start walk more", async () => {
    const settledEnd = store!.maxPhysicalOffset;
    await append(50, 3);
    const left = killed();
    const differences: [string, () => void][] = [
      ["no place", () => files.remove(PATH)],
      ["no file", () => (files.remove(PATH), files.makeDirectory(PATH))],
      ["a place of which bits have changed", () => {
        const bytes = files.read(PATH);
        for (const at of [20, 4096 + 20]) files.damage(PATH, at, Uint8Array.of(bytes[at] ^ 1));
      }],
      ["a checkpoint that something else has written", () => {
        const [last] = files.read("/store/checkpoint").subarray(7);
        files.damage("/store/checkpoint", 7, Uint8Array.of(last ^ 1));
      }],
      ["a queue that lacks an entry", () => files.damage(QUEUE_FILE, 49 * 20, new Uint8Array(20))],
      ["a queue that is gone", () => files.remove(QUEUE_FILE)],
      ["an index that is gone", () => {
        for (const name of files.list("/store/index")) files.remove(`/store/index/${name}`);
      }],
    ];
    for (const [what, differ] of differences) {
      files = copyOf(left);
      differ();
      const { bytes } = await opened();
      assert.ok(bytes >= settledEnd, `${what}: ${bytes} bytes walked`);
      assert.equal((await bodiesOf(store!, "T")).length, 53, what);
      await store!.close();
      store = undefined;
    }
  });

  test("a damaged message at the place is told, and the log ends before it", async () => {
    await append(50, 3);
    killed();
    const [place] = readSettledPlaces(files, PATH);
    files.damage(LOG_FILE, place.lastRecordOffset + 100, Uint8Array.of(0xff));
    const { notes } = await opened();
    assert.match(
      notes.join("\n"),
      /the log ends at offset [0-9]+; messages stored up to .* had been flushed and are lost/,
    );
    assert.equal((await bodiesOf(store!, "T")).length, 49);
  });

  test("how far it has come is told while it takes longer than a second", async () => {
    killed();
    files.remove(PATH);
    class Slow extends ManualClock {
      override monotonicMs(): number {
        this.advance(1100);
        return super.monotonicMs();
      }
    }
    const { notes } = await opened({ clock: new Slow(clock.nowMs()) });
    assert.ok(
      notes.some((note) => /recovering: [0-9]+ of at most [0-9]+ MB of the log/.test(note)),
      notes.join("\n"),
    );
  });
});

describe("the file of settled places", () => {
  const place = (lastRecordOffset: number): SettledPlace => ({
    ...{ lastRecordOffset, indexEnd: 7, queueCount: 2, queueEnds: 9 },
    ...{ physicMsgTimestampMs: lastRecordOffset + 1, logicsMsgTimestampMs: 5 },
  });

  test("keeps the last two", async () => {
    const files = new MemoryFiles();
    const file = new SettledPlaceFile(files, "/rmq/settled");
    for (const offset of [1, 2, 3]) await file.write(place(offset));
    file.close();
    const kept = () => readSettledPlaces(files, "/rmq/settled").map((it) => it.lastRecordOffset).sort();
    assert.deepEqual(kept(), [2, 3]);
    const next = new SettledPlaceFile(files, "/rmq/settled");
    await next.write(place(4));
    next.close();
    assert.deepEqual(kept(), [3, 4]);
  });

  test("a power cut takes away the one that is being written at most", async () => {
    for (let seed = 0; seed < 30; seed++) {
      const files = new MemoryFiles();
      const file = new SettledPlaceFile(files, "/rmq/settled");
      await file.write(place(1));
      await file.write(place(2));
      void file.write(place(3)).catch(() => {});
      const cut = files.crash(new SeededRandom(seed));
      assert.ok(readSettledPlaces(cut, "/rmq/settled").some((it) => it.lastRecordOffset === 2));
    }
  });

  test("a file of another size is made anew", async () => {
    const files = new MemoryFiles();
    files.makeDirectory("/rmq");
    files.create("/rmq/settled", 3).close();
    const file = new SettledPlaceFile(files, "/rmq/settled");
    await file.write(place(1));
    file.close();
    assert.deepEqual(readSettledPlaces(files, "/rmq/settled"), [place(1)]);
  });
});
