// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ENTRY_BYTES } from "../../src/store/consume_queue.ts";
import {
  ConsumeQueueExtension,
  extensionAddress,
  extensionOffset,
  readTagsCode,
  writeTagsCode,
} from "../../src/store/consume_queue_extension.ts";
import { OpenFiles } from "../../src/store/open_files.ts";
import { SegmentFiles } from "../../src/store/segment_files.ts";
import type { MessageFilter, QueueExtension } from "../../src/store/types.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { draft, openStore, recordsOf, visible } from "../harness/store.ts";

const FILE_BYTES = 256;
const MAP = Uint8Array.of(1, 2, 3, 4);

function setUp(files = new MemoryFiles(), fileBytes = FILE_BYTES) {
  const open = new OpenFiles(files, 16);
  files.makeDirectory("/ext");
  const segments = SegmentFiles.load({ directory: "/ext/T/0", fileBytes, files, open });
  return { files, extension: new ConsumeQueueExtension(segments, true) };
}

const place = (address: number) => extensionOffset(address)!;

describe("the code of an entry", () => {
  test("is a hash, a time, or a place, and never mixed up on the disk", () => {
    const bytes = Buffer.alloc(8);
    const code = fc.oneof(
      fc.integer(),
      fc.constantFrom(0, -1, 0x7fffffff, -0x80000000),
      fc.integer({ min: 1_600_000_000_000, max: 2 ** 45 }),
      fc.maxSafeNat().map(extensionAddress),
    );
    fc.assert(fc.property(code, (code) => {
      writeTagsCode(bytes, code, 0);
      assert.equal(readTagsCode(bytes, 0), code);
    }));
    assert.equal(extensionOffset(-0x80000000), undefined);
    assert.equal(extensionOffset(extensionAddress(0)), 0);
  });

  test("is the least long plus the place, as Apache has it", () => {
    const bytes = Buffer.alloc(8);
    for (const offset of [0, 34, 0xffffffff, 0x100000000, 2 ** 40 + 5]) {
      writeTagsCode(bytes, extensionAddress(offset), 0);
      assert.equal(bytes.readBigInt64BE(0), -(2n ** 63n) + BigInt(offset));
    }
  });
});

describe("extensions of queue entries", () => {
  test("are laid out as Apache's, and never cross a file's end", () => {
    const { files, extension } = setUp();
    const offsets = Array.from({ length: 12 }, (_, i) => place(extension.put(i - 5, 1000 + i, MAP)));
    // 24 bytes each; 4 bytes stay free: ten in a file of 256.
    assert.deepEqual(offsets, [...Array.from({ length: 10 }, (_, i) => i * 24), 256, 280]);
    extension.write();
    const first = Buffer.from(files.read("/ext/T/0/00000000000000000000"));
    assert.equal(first.length, FILE_BYTES);
    assert.equal(
      first.toString("hex", 24, 48),
      "0018" + "fffffffffffffffc" + "00000000000003e9" + "0004" + "01020304",
    );
    assert.equal(first.readInt16BE(240), -1);
    for (const [i, offset] of offsets.entries()) {
      const unit = extension.read(offset)!;
      assert.deepEqual([unit.tagsCode, unit.storeTimestampMs, [...unit.bitMap!]], [i - 5, 1000 + i, [
        ...MAP,
      ]]);
    }
  });

  test("are read from memory and from files alike, bit map or not, and not where there is none", () => {
    const { extension } = setUp();
    const offsets: number[] = [];
    for (let i = 0; i < 40; i++) {
      offsets.push(place(extension.put(i, 7, i % 2 === 0 ? undefined : MAP)));
      if (i % 7 === 0) extension.write();
      for (const [at, offset] of offsets.entries()) {
        const unit = extension.read(offset)!;
        assert.deepEqual([unit.tagsCode, unit.bitMap === undefined], [at, at % 2 === 0]);
      }
    }
    for (const offset of [3, 5000, offsets[39] + 24]) assert.equal(extension.read(offset), undefined);
  });

  test("that are too long are left out, and their entry keeps the tags code", () => {
    const { extension } = setUp();
    assert.equal(extension.put(77, 1, new Uint8Array(300)), 77);
    assert.equal(place(extension.put(78, 1, undefined)), 0);
  });

  test("go on behind the last one that the queue names", async () => {
    const { files, extension } = setUp();
    const offsets = Array.from({ length: 14 }, (_, i) => place(extension.put(i, 1, MAP)));
    extension.write();
    await extension.sync();
    for (const last of [13, 10, 9, 3]) {
      const again = setUp(files).extension;
      again.recover(offsets[last], last + 1);
      assert.equal(again.read(offsets[last])!.tagsCode, last);
      assert.equal(place(again.put(99, 1, MAP)), last === 9 ? 256 : offsets[last] + 24);
    }
    const bytes = Buffer.from(files.read("/ext/T/0/00000000000000000000"));
    assert.ok(bytes.subarray(offsets[3] + 24).every((byte) => byte === 0));
  });

  test("have no file on the disk behind one that may not be there", async () => {
    for (let seed = 0; seed < 30; seed++) {
      const { files, extension } = setUp();
      for (let i = 0; i < 25; i++) extension.put(i, 1, MAP);
      extension.write();
      // Killed: the pages are there, but nothing is durable. No entry names a unit, so that a new file is begun.
      const killed = files.kill();
      const next = setUp(killed).extension;
      next.recover(undefined, 0);
      next.put(99, 1, MAP);
      next.write();
      await next.sync();
      setUp(killed.crash(new SeededRandom(seed)));
    }
  });

  test("never take a place that an entry may name, if their files are gone", () => {
    const gone = setUp().extension;
    gone.recover(5000, 100);
    assert.equal(place(gone.put(1, 1, MAP)), 5120);
    const unnamed = setUp().extension;
    unnamed.recover(undefined, 100);
    assert.equal(place(unnamed.put(1, 1, MAP)), 6400);
    const young = setUp().extension;
    young.recover(undefined, 0);
    assert.equal(place(young.put(1, 1, MAP)), 0);
  });
});

const EXTENDED = { consumeQueueExtension: true };

describe("a store with extended entries", () => {
  const memory = async (files: MemoryFiles, given = {}) =>
    await openStore("/store", { files, ...EXTENDED, ...given });

  async function withStore(work: (files: MemoryFiles) => Promise<void>): Promise<void> {
    const files = new MemoryFiles();
    files.makeDirectory("/store");
    await work(files);
  }

  const codes = (read: (number | undefined)[]): MessageFilter => ({
    matchesEntry(_tagsCode, extension?: QueueExtension) {
      read.push(extension?.bitMap?.[0]);
      return true;
    },
  });

  test("filters by tags, tells tags codes and bit maps, also after stops and crashes", async () => {
    await withStore(async (files) => {
      let store = await memory(files);
      store.calculateBitMaps((topic, properties) =>
        topic === "T" ? Uint8Array.of(properties.get("TAGS")!.charCodeAt(0)) : undefined
      );
      for (let i = 0; i < 120; i++) store.append(draft("T", `m${i}`, { tags: i % 3 === 0 ? "A" : "B" }));
      await visible(store);
      const check = async (isMapped: (i: number) => boolean) => {
        for (const i of [0, 1, 60, 119]) {
          assert.equal(store.queueEntry("T", 0, i)!.tagsCode, i % 3 === 0 ? 65 : 66);
        }
        const wanted = await store.getMessages("T", 0, 0, {
          maxCount: 20,
          filter: { matchesEntry: (tagsCode) => tagsCode === 65 },
        });
        const offsets = recordsOf(wanted).map((record) => record.queueOffset);
        assert.deepEqual(
          offsets,
          [...Array(20).keys()].map((i) => i * 3).filter((i) => i < wanted.nextBeginOffset),
        );
        const maps: (number | undefined)[] = [];
        await store.getMessages("T", 0, 0, { maxCount: 32, filter: codes(maps) });
        assert.ok(maps.length > 10);
        assert.deepEqual(maps, maps.map((_, i) => isMapped(i) ? (i % 3 === 0 ? 65 : 66) : undefined));
      };
      await check(() => true);
      await store.close();
      store = await memory(files);
      await check(() => true);
      store.append(draft("T", "more", { tags: "B" }));
      await visible(store);
      assert.equal(store.queueEntry("T", 0, 120)!.tagsCode, 66);
      await store.close();
      // Without the switch entries are plain again, and extended ones are still read.
      store = await memory(files, { consumeQueueExtension: false });
      await check(() => true);
      store.append(draft("T", "plain", { tags: "A" }));
      await visible(store);
      assert.equal(store.queueEntry("T", 0, 121)!.tagsCode, 65);
      await store.close();
    });
  });

  test("gives every message where extensions are lost, since their tags are not known", async () => {
    await withStore(async (files) => {
      let store = await memory(files);
      for (let i = 0; i < 10; i++) store.append(draft("T", `m${i}`, { tags: "A" }));
      await visible(store);
      await store.close();
      files.remove("/store/consumequeue_ext/T/0/00000000000000000000");
      store = await memory(files);
      const found = await store.getMessages("T", 0, 0, {
        maxCount: 32,
        filter: { matchesEntry: () => false },
      });
      assert.equal(found.messageCount, 10);
      assert.equal(store.queueEntry("T", 0, 3)!.tagsCode, 65);
      store.append(draft("T", "new", { tags: "B" }));
      await visible(store);
      assert.equal(store.queueEntry("T", 0, 9)!.tagsCode, 65);
      assert.equal(store.queueEntry("T", 0, 10)!.tagsCode, 66);
      await store.close();
    });
  });

  test("deletes a topic's extensions with its queues", async () => {
    await withStore(async (files) => {
      const store = await memory(files);
      store.append(draft("T", "m", { tags: "A" }));
      await visible(store);
      store.deleteTopic("T");
      assert.deepEqual(files.list("/store/consumequeue_ext/T"), []);
      store.append(draft("T", "m", { tags: "B" }));
      await visible(store);
      assert.equal(store.queueEntry("T", 0, 0)!.tagsCode, 66);
      await store.close();
      assert.equal(
        files.read("/store/consumequeue/T/0/00000000000000000000").subarray(0, ENTRY_BYTES)[12],
        0x80,
      );
    });
  });
});
