// SPDX-License-Identifier: Apache-2.0
/** What a store makes of another one's log, through its public face. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import { decodeRecord, MAGIC_BLANK, measureRecord, writeRecord } from "../../src/protocol/record.ts";
import { SysFlag } from "../../src/protocol/sys_flag.ts";
import type { MessageStore } from "../../src/store/message_store.ts";
import { ReplicaError, StoreRefusedError } from "../../src/store/types.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { bodiesOf, draft, openStore, visible } from "../harness/store.ts";
import { fill, logBytes } from "../replication/parts.ts";

const FILE_BYTES = 16 * 1024;

function open(files = new MemoryFiles()): Promise<MessageStore> {
  return openStore("/root/store", { files });
}

/** A log of several files. */
async function master(): Promise<{ store: MessageStore; bytes: Buffer }> {
  const store = await open();
  fill(store, 60);
  await store.flush();
  return { store, bytes: await logBytes(store, 0, store.writtenOffset) };
}

/** Hands bytes over in pieces as a slave would: none of them crosses the end of a file. */
function append(store: MessageStore, bytes: Buffer, pieceBytes: () => number, from = 0): void {
  for (let at = from; at < bytes.length;) {
    const end = Math.min(at + pieceBytes(), bytes.length, at - at % FILE_BYTES + FILE_BYTES);
    const piece = Buffer.from(bytes.subarray(at, end));
    store.appendReplicated(at, piece);
    piece.fill(0xee); // the socket's buffer is used again
    at = end;
  }
}

/** One record at an offset, encoded by hand. */
function record(
  offset: number,
  given: { queueOffset?: number; sysFlag?: number; topic?: string; body?: string },
) {
  const message = draft(given.topic ?? "topic", given.body ?? "body", { sysFlag: given.sysFlag ?? 0 });
  const lengths = measureRecord(message);
  const bytes = Buffer.alloc(lengths.totalBytes);
  const place = {
    queueOffset: given.queueOffset ?? 0,
    physicalOffset: offset,
    storeTimestampMs: 1_700_000_000_000,
  };
  writeRecord(bytes, 0, message, lengths, place);
  return bytes;
}

describe("appendReplicated()", () => {
  test("makes the same log and the same queues, however the bytes are cut", async () => {
    const { store, bytes } = await master();
    assert.ok(bytes.length > 3 * FILE_BYTES);
    await visible(store);
    const random = new SeededRandom(7);
    const cuts = [() => 1, () => 7, () => 111, () => 4096, () => FILE_BYTES, () => random.between(1, 3000)];
    for (const pieceBytes of cuts) {
      const copy = await open();
      append(copy, bytes, pieceBytes);
      copy.writeReplicated();
      assert.equal(copy.writtenOffset, bytes.length);
      assert.deepEqual(await logBytes(copy, 0, bytes.length), bytes);
      for (const queueId of [0, 1, 2]) {
        assert.deepEqual(await bodiesOf(copy, "topic", queueId), await bodiesOf(store, "topic", queueId));
        const last = store.maxOffset("topic", queueId) - 1;
        assert.deepEqual(copy.queueEntry("topic", queueId, last), store.queueEntry("topic", queueId, last));
      }
      await copy.close();
    }
    await store.close();
  });

  test("shows nothing of a record that is not whole, and nothing that is not written", async () => {
    const { store, bytes } = await master();
    const copy = await open();
    const first = decodeRecord(bytes);
    assert.ok(typeof first !== "string");
    copy.appendReplicated(0, bytes.subarray(0, first.totalBytes - 1));
    copy.writeReplicated();
    assert.deepEqual([copy.maxPhysicalOffset, copy.writtenOffset], [0, 0]);
    assert.equal(copy.replicatedOffset, first.totalBytes - 1);
    copy.appendReplicated(first.totalBytes - 1, bytes.subarray(first.totalBytes - 1, first.totalBytes + 50));
    assert.equal(copy.maxPhysicalOffset, first.totalBytes);
    assert.equal(copy.writtenOffset, 0);
    assert.equal(copy.maxOffset("topic", 0), 0);
    copy.writeReplicated();
    assert.equal(copy.writtenOffset, first.totalBytes);
    assert.equal(copy.maxOffset("topic", 0), 1);
    copy.dropUnfinished();
    assert.equal(copy.replicatedOffset, first.totalBytes);
    await Promise.all([store.close(), copy.close()]);
  });

  test("begins at the start of any file, and nowhere else", async () => {
    const { store, bytes } = await master();
    const copy = await open();
    assert.throws(() => copy.appendReplicated(FILE_BYTES + 1, bytes.subarray(FILE_BYTES + 1)), ReplicaError);
    append(copy, bytes, () => 1000, FILE_BYTES);
    copy.writeReplicated();
    assert.deepEqual([copy.minPhysicalOffset, copy.writtenOffset], [FILE_BYTES, bytes.length]);
    await visible(store);
    assert.ok(copy.minOffset("topic", 0) > 0);
    assert.equal(copy.maxOffset("topic", 0), store.maxOffset("topic", 0));
    assert.deepEqual(
      await bodiesOf(copy, "topic", 0),
      await bodiesOf(store, "topic", 0, copy.minOffset("topic", 0)),
    );
    await Promise.all([store.close(), copy.close()]);
  });

  test("lets a log that has begun, but holds nothing, begin elsewhere, and its file is gone after a crash", async () => {
    const { store, bytes } = await master();
    const files = new MemoryFiles();
    const copy = await open(files);
    copy.appendReplicated(0, bytes.subarray(0, 1));
    copy.dropUnfinished();
    append(copy, bytes, () => 5000, FILE_BYTES);
    copy.writeReplicated();
    assert.equal(copy.minPhysicalOffset, FILE_BYTES);
    await copy.flush();
    const again = await open(files.crash(new SeededRandom(3)));
    assert.deepEqual([again.minPhysicalOffset, again.maxPhysicalOffset], [FILE_BYTES, bytes.length]);
    await Promise.all([store.close(), again.close()]);
  });

  test("takes bytes only where the log ends", async () => {
    const { store, bytes } = await master();
    const copy = await open();
    append(copy, bytes.subarray(0, 5000), () => 5000);
    for (const offset of [0, 4999, 5001, FILE_BYTES]) {
      assert.throws(() => copy.appendReplicated(offset, bytes.subarray(offset, offset + 10)), ReplicaError);
      // What waited of an unfinished record was forgotten: the master sends it again.
      append(copy, bytes.subarray(0, 5000), () => 5000, copy.replicatedOffset);
    }
    await Promise.all([store.close(), copy.close()]);
  });

  const DAMAGE: [name: string, change: (bytes: Buffer, at: number) => void][] = [
    ["a changed body", (bytes, at) => bytes[at + 95]++],
    ["another place", (bytes, at) => bytes[at + 35]++],
    ["a wrong length", (bytes, at) => bytes.writeInt32BE(bytes.readInt32BE(at) - 1, at)],
    ["no magic number", (bytes, at) => bytes[at + 6]++],
    ["a length beyond the file", (bytes, at) => bytes.writeInt32BE(FILE_BYTES * 2, at)],
    ["a negative length", (bytes, at) => bytes.writeInt32BE(-1, at)],
    ["an impossible queue offset", (bytes, at) => bytes.writeInt32BE(0x00ffffff, at + 20)],
    ["zeros", (bytes, at) => bytes.fill(0, at, at + 200)],
  ];
  for (const [name, change] of DAMAGE) {
    test(`refuses ${name}, and keeps what came before`, async () => {
      const { store, bytes } = await master();
      const second = decodeRecord(bytes.subarray(0));
      assert.ok(typeof second !== "string");
      const at = second.totalBytes;
      const damaged = Buffer.from(bytes);
      change(damaged, at);
      for (const pieceBytes of [1, 60, FILE_BYTES]) {
        const copy = await open();
        assert.throws(() => append(copy, damaged.subarray(0, FILE_BYTES), () => pieceBytes), ReplicaError);
        assert.deepEqual([copy.maxPhysicalOffset, copy.replicatedOffset], [at, at]);
        copy.writeReplicated();
        append(copy, bytes, () => 3000, at);
        copy.writeReplicated();
        assert.deepEqual(await logBytes(copy, 0, bytes.length), bytes);
        await copy.close();
      }
      await store.close();
    });
  }

  test("refuses a log whose files have another length, whichever is longer", async () => {
    const { store, bytes } = await master();
    for (const commitLogFileBytes of [FILE_BYTES / 2, FILE_BYTES * 2]) {
      for (const pieceBytes of [50, 1000, FILE_BYTES]) {
        const copy = await openStore("/root/store", { files: new MemoryFiles(), commitLogFileBytes });
        const isRefused = (error: Error) =>
          error instanceof ReplicaError && /mappedFileSizeCommitLog must be the same/.test(error.message);
        assert.throws(() => append(copy, bytes, () => pieceBytes), isRefused);
        assert.ok(copy.maxPhysicalOffset > 0 && copy.maxPhysicalOffset < FILE_BYTES);
        copy.writeReplicated();
        assert.equal(copy.dispatchedOffset, copy.writtenOffset);
        await copy.close();
      }
    }
    await store.close();
  });

  test("copies what stands in a filler, as Apache may leave older bytes there", async () => {
    const first = record(0, {});
    const bytes = Buffer.alloc(FILE_BYTES);
    first.copy(bytes);
    bytes.writeInt32BE(FILE_BYTES - first.length, first.length);
    bytes.writeInt32BE(MAGIC_BLANK, first.length + 4);
    bytes.fill(0x5a, first.length + 100, first.length + 300);
    const files = new MemoryFiles();
    const copy = await open(files);
    append(copy, bytes, () => 77);
    const next = record(FILE_BYTES, { queueOffset: 1 });
    copy.appendReplicated(FILE_BYTES, next);
    copy.writeReplicated();
    assert.deepEqual(await logBytes(copy, 0, FILE_BYTES), bytes);
    assert.equal(copy.maxOffset("topic", 0), 2);
    const again = await open(files.kill());
    assert.equal(again.maxPhysicalOffset, FILE_BYTES + next.length);
    assert.deepEqual(await logBytes(again, 0, FILE_BYTES), bytes);
    await again.close();
  });

  test("shows no queue what is prepared or rolled back, and begins a topic that was made again at 0", async () => {
    const copy = await open();
    let offset = 0;
    const take = (given: Parameters<typeof record>[1]) => {
      const bytes = record(offset, given);
      copy.appendReplicated(offset, bytes);
      offset += bytes.length;
    };
    take({ queueOffset: 0, body: "a" });
    take({ queueOffset: 1, body: "b" });
    take({ sysFlag: SysFlag.TRANSACTION_PREPARED, body: "no" });
    take({ sysFlag: SysFlag.TRANSACTION_ROLLBACK, body: "no" });
    copy.writeReplicated();
    assert.deepEqual(await bodiesOf(copy, "topic"), ["a", "b"]);
    take({ queueOffset: 0, body: "again" });
    copy.writeReplicated();
    assert.deepEqual(await bodiesOf(copy, "topic"), ["again"]);
    assert.equal(copy.dispatchedOffset, offset);
    await copy.close();
  });

  test("says that a disk is full, forgets what it could not write, and goes on when there is room", async () => {
    const { store, bytes } = await master();
    const files = new MemoryFiles();
    const copy = await open(files);
    append(copy, bytes.subarray(0, 3000), () => 1000);
    copy.writeReplicated();
    const { writtenOffset } = copy;
    const fault = files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/, writtenBytes: 100 });
    append(copy, bytes.subarray(0, 9000), () => 1000, copy.replicatedOffset);
    assert.throws(() => copy.writeReplicated(), StoreRefusedError);
    fault.remove();
    assert.deepEqual([copy.writtenOffset, copy.replicatedOffset], [writtenOffset, writtenOffset]);
    assert.throws(() => append(copy, bytes, () => 1000, writtenOffset), StoreRefusedError);
    await Promise.all([store.close(), copy.close()]);
  });

  test("ends where a record does, at whatever change of the disk its process dies", async () => {
    const { store, bytes } = await master();
    const ends = new Set([0]);
    for (let at = 0; at < bytes.length;) {
      const isBlank = bytes.readInt32BE(at + 4) === MAGIC_BLANK;
      at = isBlank ? at - at % FILE_BYTES + FILE_BYTES : at + bytes.readInt32BE(at);
      ends.add(at);
    }
    for (let change = 0;; change += 2) {
      const files = new MemoryFiles();
      const copy = await open(files);
      const before = files.changeCount;
      files.dieAt(before + change);
      let reported = 0;
      try {
        for (let at = 0; at < bytes.length && !files.isDead;) {
          const end = Math.min(at + 1500, bytes.length, at - at % FILE_BYTES + FILE_BYTES);
          copy.appendReplicated(at, bytes.subarray(at, end));
          copy.writeReplicated();
          reported = copy.writtenOffset;
          at = end;
        }
      } catch (error) {
        if (!files.isDead) throw error;
      }
      const isOver = !files.isDead;
      const again = await open(change % 4 === 0 ? files.kill() : files.crash(new SeededRandom(change)));
      const end = again.maxPhysicalOffset;
      assert.ok(ends.has(end), `it ends at ${end}`);
      if (change % 4 === 0) assert.ok(end >= reported, `it had said ${reported} and has ${end}`);
      assert.deepEqual(await logBytes(again, 0, end), bytes.subarray(0, end));
      append(again, bytes, () => 4000, end);
      again.writeReplicated();
      assert.deepEqual(await logBytes(again, 0, bytes.length), bytes);
      await visible(store);
      assert.deepEqual(await bodiesOf(again, "topic", 1), await bodiesOf(store, "topic", 1));
      await again.close();
      if (isOver) break;
    }
    await store.close();
  });
});
