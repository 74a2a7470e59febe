// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import process from "node:process";
import { afterEach, beforeEach, describe, test } from "node:test";
import { writeLong } from "../../src/protocol/record.ts";
import type { MessageStore, StoreOptions } from "../../src/store/message_store.ts";
import type { GetLimits, GetResult } from "../../src/store/types.ts";
import { logged } from "../harness/logged.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { draft, openStore, recordsOf, visible } from "../harness/store.ts";
import { bodyOf, commitLog, consumeQueue, fields, V6_HOSTS } from "./parts.ts";
import { measureRecord } from "../../src/protocol/record.ts";
import { QueueReader } from "../../src/store/queue_reader.ts";

const LOG_FILE = `/store/commitlog/${"0".repeat(20)}`;
const QUEUE_FILE = `/store/consumequeue/T/0/${"0".repeat(20)}`;
const ALL: GetLimits = { maxCount: 32 };

describe("reading a queue", () => {
  let files: MemoryFiles;
  let store: MessageStore;

  /** A store whose messages all come from files: it was opened again. */
  async function open(given: Partial<StoreOptions> = {}): Promise<void> {
    store = await openStore("/store", {
      files,
      commitLogFileBytes: 64 * 1024,
      messageIndex: false,
      ...given,
    });
  }

  async function append(...bodies: string[]): Promise<void> {
    for (const body of bodies) store.append(draft("T", body));
    await visible(store);
  }

  async function reopen(given: Partial<StoreOptions> = {}): Promise<void> {
    await store.close();
    await open(given);
  }

  const get = async (offset: number, limits = ALL): Promise<GetResult> =>
    await store.getMessages("T", 0, offset, limits);
  const bodies = (result: GetResult) => recordsOf(result).map(({ body }) => new TextDecoder().decode(body));
  const placeOf = (n: number) => store.queueEntry("T", 0, n)!.physicalOffset;

  beforeEach(async () => {
    files = new MemoryFiles();
    await open();
    await append("a", "b", "c", "d", "e");
  });

  afterEach(() => store.close());

  test("a damaged message is passed over, and reported once with file and offset", async () => {
    await reopen();
    files.damage(LOG_FILE, placeOf(2) + 88, Uint8Array.of(1));
    const reports = await logged(async () => {
      for (let round = 0; round < 3; round++) {
        const result = await get(0);
        assert.deepEqual([result.status, result.nextBeginOffset, result.messageCount], ["FOUND", 5, 4]);
        assert.deepEqual(bodies(result), ["a", "b", "d", "e"]);
      }
    });
    assert.equal(reports.length, 1);
    assert.ok(reports[0].includes(LOG_FILE) && reports[0].includes(`offset ${placeOf(2)}`), reports[0]);
  });

  test("where all that was asked for is damaged, the offset moves on behind it", async () => {
    await reopen();
    for (const n of [1, 2]) files.damage(LOG_FILE, placeOf(n), new Uint8Array(80));
    const result = await get(1, { maxCount: 2 });
    assert.deepEqual([result.status, result.nextBeginOffset], ["MESSAGE_WAS_REMOVING", 3]);
    assert.deepEqual(bodies(await get(3)), ["d", "e"]);
  });

  test("no damage of a message comes through: head, body, length, place", async () => {
    await reopen();
    const place = placeOf(2);
    const whole = files.read(LOG_FILE).slice(place, placeOf(3));
    for (let at = 0; at < whole.length; at++) {
      // Flags, hosts, times and the like have no checksum: clients get them as they are.
      const isChecked = at < 12 || (at >= 28 && at < 36) || (at >= 84 && at < 90);
      if (!isChecked) continue;
      files.damage(LOG_FILE, place + at, Uint8Array.of(whole[at] ^ 0x40));
      await reopen();
      assert.deepEqual(bodies(await get(0)), ["a", "b", "d", "e"], `byte ${at}`);
      files.damage(LOG_FILE, place, whole);
    }
    await reopen();
    assert.equal((await get(0)).messageCount, 5);
  });

  test("damaged entries are passed over, and reported once; no memory is taken for their sizes", async () => {
    await reopen();
    const entry = (physicalOffset: number, size: number) => {
      const bytes = Buffer.alloc(20);
      writeLong(bytes, physicalOffset, 0);
      bytes.writeInt32BE(size, 8);
      return bytes;
    };
    const size = store.queueEntry("T", 0, 2)!.size;
    const cases = [
      entry(0, 0),
      entry(placeOf(2), 0x7ffffffe),
      entry(placeOf(2), -5),
      entry(-(2 ** 40), size),
      entry(2 ** 40, size),
      entry(2 ** 52, size),
      entry(store.maxPhysicalOffset, size),
      entry(placeOf(2), size - 1),
      entry(placeOf(2), size + 1),
      entry(placeOf(2) + 1, size),
    ];
    const before = process.memoryUsage().arrayBuffers;
    for (const damaged of cases) {
      files.damage(QUEUE_FILE, 40, damaged);
      const result = await get(0);
      assert.deepEqual(bodies(result), ["a", "b", "d", "e"], damaged.toString("hex"));
      assert.equal(result.nextBeginOffset, 5);
    }
    assert.ok(process.memoryUsage().arrayBuffers - before < 64 << 20);
    await reopen();
    files.damage(QUEUE_FILE, 40, cases[1]);
    const reports = await logged(async () => {
      for (let round = 0; round < 3; round++) await get(0);
    });
    assert.equal(reports.length, 1);
    assert.match(reports[0], /entry 2 is damaged/);
  });

  test("while the disk can't be read, nothing is passed over", async () => {
    await reopen();
    const fault = files.fail({ operation: "read", code: "EIO", path: /commitlog/, times: 100 });
    await assert.rejects(get(0), { code: "EIO" });
    fault.remove();
    assert.equal((await get(0)).messageCount, 5);
  });

  test("what was read before the disk failed is an answer; the rest comes with the next read", async () => {
    files = new MemoryFiles();
    const commitLogFileBytes = 1 << 20;
    await open({ commitLogFileBytes });
    await append("a", "b", "c", "d", "e");
    // Records that lie far apart take a read each.
    for (const body of ["f", "g"]) {
      for (let n = 0; n < 20; n++) store.append(draft("Other", "between".repeat(1000)));
      store.append(draft("T", body));
    }
    await visible(store);
    await reopen({ commitLogFileBytes });
    const fault = files.fail({ operation: "read", code: "EIO", path: /commitlog/, skip: 1 });
    const first = await get(0);
    assert.deepEqual(bodies(first), ["a", "b", "c", "d", "e"]);
    assert.equal(first.nextBeginOffset, 5);
    assert.equal(fault.hits, 1);
    assert.deepEqual(bodies(await get(first.nextBeginOffset)), ["f", "g"]);
  });

  test("a file that can't be opened for want of descriptors hides nothing", async () => {
    await reopen({ maxOpenFiles: 1 });
    files.fail({ operation: "open", code: "EMFILE", path: /commitlog/ });
    await assert.rejects(get(0), { code: "EMFILE" });
    assert.equal((await get(0)).messageCount, 5);
  });

  test("records beside each other take one read of the file", async () => {
    await reopen();
    const second = files.fail({ operation: "read", code: "EIO", path: /commitlog/, skip: 1 });
    assert.equal((await get(0)).messageCount, 5);
    assert.equal(second.hits, 0);
  });

  test("a count of 0, or of millions, is no way to pass over messages or to take memory", async () => {
    assert.deepEqual(bodies(await get(0, { maxCount: 0 })), ["a"]);
    assert.equal((await get(0, { maxCount: 2 ** 31 - 1 })).messageCount, 5);
  });

  test("by physical offset, only the beginning of a message is a message", async () => {
    for (const isFromFile of [false, true]) {
      if (isFromFile) await reopen();
      for (let offset = 0; offset < store.maxPhysicalOffset; offset++) {
        const isBeginning = [0, 1, 2, 3, 4].some((n) => placeOf(n) === offset);
        assert.equal(store.readRecord(offset) !== undefined, isBeginning, `at ${offset}`);
      }
      for (const offset of [-1, store.maxPhysicalOffset, 2 ** 40, 2 ** 53 - 1]) {
        assert.equal(store.readRecord(offset), undefined);
      }
    }
  });

  test("bytes of a body that look like the head of a long message take no memory", async () => {
    const place = store.maxPhysicalOffset + 88;
    const head = Buffer.alloc(200, 1);
    head.writeInt32BE(900 << 20, 0);
    head.writeInt32BE(0xdaa320a7 | 0, 4);
    writeLong(head, place, 28);
    head.writeInt32BE(0, 36);
    head.writeInt32BE((900 << 20) - 1000, 84);
    store.append({ ...draft("T", ""), body: head });
    await visible(store);
    const before = process.memoryUsage().arrayBuffers;
    assert.equal(store.readRecord(place), undefined);
    assert.ok(process.memoryUsage().arrayBuffers - before < 8 << 20);
  });

  test("under SYNC flush a message that is not flushed can't be read by its offset either", async () => {
    await reopen({ flushMode: "SYNC" });
    const hold = files.holdSyncs();
    const { physicalOffset } = store.append(draft("T", "f"));
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(store.writtenOffset, store.maxPhysicalOffset);
    assert.equal(store.readRecord(physicalOffset), undefined);
    assert.equal(store.maxOffset("T", 0), 5);
    hold.release();
    await visible(store);
    assert.ok(store.readRecord(physicalOffset));
  });
});

describe("reading what lies far back", () => {
  const FAR_BYTES = 300 << 20;
  const OPTIONS = {
    pullMaxBytesInMemory: 1 << 20,
    pullMaxCountInMemory: 100,
    pullMaxBytesOnDisk: 1 << 20,
    pullMaxCountOnDisk: 100,
    inMemoryBytes: 1 << 30,
    maxMessageBytes: 1 << 20,
    clock: new ManualClock(),
  };

  /** One old message, much that is nobody's, and then messages of this queue up to the end of the log. */
  function farApart(tailCount: number) {
    const files = new MemoryFiles();
    const fileBytes = FAR_BYTES + (64 << 20);
    const queue = consumeQueue(files, 100_000);
    let entries = 0;
    const put = (log: ReturnType<typeof commitLog>["log"], bodyBytes: number, given = {}) => {
      const record = fields(bodyOf(bodyBytes, entries), given);
      const lengths = measureRecord(record);
      const physicalOffset = log.append(record, lengths, entries, 2000);
      queue.put(entries++, physicalOffset, lengths.totalBytes, 0);
    };
    const early = commitLog(files, fileBytes);
    for (let n = 0; n < 3; n++) put(early.log, 100 + n);
    early.log.write();
    // The log goes on far behind, as if others had written meanwhile.
    const { log } = commitLog(files, fileBytes, FAR_BYTES);
    for (let n = 0; n < tailCount; n++) put(log, 9000, n % 7 === 0 ? V6_HOSTS : {});
    log.write();
    return { files, queue, log, entries, reader: new QueueReader(log, OPTIONS) };
  }

  test("it is read without blocking, in one answer with what is in memory, across its buffers", async () => {
    const { queue, reader, entries } = farApart(400);
    let next = 0;
    let isFirst = true;
    while (next < entries) {
      const result = reader.get(queue, next, { maxCount: 100 });
      if (isFirst) assert.ok(result instanceof Promise);
      isFirst = false;
      const { status, nextBeginOffset, messageCount, records } = await result;
      assert.equal(status, "FOUND");
      assert.equal(nextBeginOffset, next + messageCount);
      for (const record of recordsOf({ records } as unknown as GetResult)) {
        assert.equal(record.queueOffset, next++);
      }
    }
  });

  test("a failed read is an error for the first message, and ends the answer before any other", async () => {
    const { files, queue, reader } = farApart(10);
    files.fail({ operation: "read", code: "EIO", path: /log/ });
    await assert.rejects(Promise.resolve(reader.get(queue, 0, { maxCount: 100 })), { code: "EIO" });
    assert.equal((await reader.get(queue, 0, { maxCount: 100 })).messageCount, 13);
  });

  test("damage there is passed over as anywhere", async () => {
    const { files, queue, reader } = farApart(10);
    files.damage(`/log/${"0".repeat(20)}`, queue.entry(1)!.physicalOffset + 90, Uint8Array.of(0));
    const result = await reader.get(queue, 0, { maxCount: 100 });
    assert.deepEqual([result.messageCount, result.nextBeginOffset], [12, 13]);
  });

  test("store times are read from anywhere, and are -1 where no message begins", () => {
    const { queue, reader, entries } = farApart(10);
    for (let n = 0; n < entries; n++) {
      assert.equal(reader.storeTimestampAt(queue.entry(n)!.physicalOffset), 2000);
    }
    assert.equal(reader.storeTimestampAt(queue.entry(0)!.physicalOffset + 1), -1);
    assert.equal(reader.storeTimestampAt(2 ** 50), -1);
    assert.equal(reader.storeTimestampAt(5000), -1);
  });
});
