// SPDX-License-Identifier: Apache-2.0
/** What a start makes of the files that it finds, also those that Apache has left. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { afterEach, describe, test } from "node:test";
import { type RecordFields, writeLong } from "../../src/protocol/record.ts";
import { SysFlag } from "../../src/protocol/sys_flag.ts";
import { MessageStore, type StoreOptions } from "../../src/store/message_store.ts";
import { StoreCorruptError } from "../../src/store/types.ts";
import { logged } from "../harness/logged.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";
import { bodiesOf, draft, openStore, visible } from "../harness/store.ts";
import { fields, recordBytes } from "./parts.ts";

const LOG_FILE_BYTES = 4096;
const QUEUE_FILE_BYTES = 20 * 10;
const FIRST_MS = 1_700_000_000_000;
const name = (offset: number) => String(offset).padStart(20, "0");
const LOG_FILE = (start: number) => `/store/commitlog/${name(start)}`;
const QUEUE_FILE = (start: number, topic = "T") => `/store/consumequeue/${topic}/0/${name(start)}`;

interface Made extends Partial<RecordFields> {
  queueOffset: number;
  storeTimestampMs?: number;
}

/** A directory as some broker has left it: records of a second each, by default of queue 0 of topic T. */
class Left {
  readonly files = new MemoryFiles();
  readonly clock = new ManualClock(FIRST_MS + 3_600_000);
  readonly places: number[] = [];
  #end = 0;

  /** Adds a record of `bytes` bytes in all. */
  add(bytes: number, { queueOffset, storeTimestampMs, ...given }: Made): this {
    const number = this.places.length;
    const record = fields(String(number).padEnd(bytes - 92), { queueId: 0, ...given });
    if (this.#end % LOG_FILE_BYTES + bytes + 8 > LOG_FILE_BYTES) this.#endFile();
    const start = this.#end - this.#end % LOG_FILE_BYTES;
    if (this.#end === start) {
      this.files.makeDirectory("/store/commitlog");
      this.files.create(LOG_FILE(start), LOG_FILE_BYTES).close();
    }
    const made = recordBytes(record, {
      queueOffset,
      physicalOffset: this.#end,
      storeTimestampMs: storeTimestampMs ?? FIRST_MS + number * 1000,
    });
    this.files.damage(LOG_FILE(start), this.#end - start, made);
    this.places.push(this.#end);
    this.#end += made.length;
    return this;
  }

  /** Adds `count` records of 1000 bytes, four to a file. */
  addMany(count: number, from = 0): this {
    for (let n = from; n < from + count; n++) this.add(1000, { queueOffset: n });
    return this;
  }

  #endFile(): void {
    const start = this.#end - this.#end % LOG_FILE_BYTES;
    const blank = Buffer.from("00000000cbd43194", "hex");
    blank.writeInt32BE(start + LOG_FILE_BYTES - this.#end, 0);
    this.files.damage(LOG_FILE(start), this.#end - start, blank);
    this.#end = start + LOG_FILE_BYTES;
  }

  /** Queue entries for records, at places in the queue that are as they should be unless told. */
  entries(numbers: readonly number[], topic = "T", from = 0): this {
    this.files.makeDirectory(`/store/consumequeue/${topic}/0`);
    for (const [index, number] of numbers.entries()) {
      const entry = Buffer.alloc(20);
      writeLong(entry, this.places[number], 0);
      entry.writeInt32BE(1000, 8);
      const at = (from + index) * 20;
      const start = at - at % QUEUE_FILE_BYTES;
      const path = QUEUE_FILE(start, topic);
      if (this.files.stat(path) === undefined) this.files.create(path, QUEUE_FILE_BYTES).close();
      this.files.damage(path, at - start, entry);
    }
    return this;
  }

  checkpoint(physicMs: number, logicsMs = physicMs): this {
    const values = Buffer.alloc(4096);
    writeLong(values, physicMs, 0);
    writeLong(values, logicsMs, 8);
    this.files.create("/store/checkpoint", 4096).close();
    this.files.damage("/store/checkpoint", 0, values);
    return this;
  }

  crashed(): this {
    this.files.create("/store/abort", 0).close();
    return this;
  }

  zero(number: number, from = 0, bytes = 8): this {
    const start = this.places[number] - this.places[number] % LOG_FILE_BYTES;
    this.files.damage(LOG_FILE(start), this.places[number] - start + from, new Uint8Array(bytes));
    return this;
  }

  /** Makes it outlive power cuts. */
  settle(directory = "/"): this {
    for (const name of this.files.list(directory)) {
      const path = directory === "/" ? `/${name}` : `${directory}/${name}`;
      if (this.files.stat(path)!.kind === "directory") this.settle(path);
      else this.files.open(path).syncNow();
    }
    this.files.syncDirectory(directory);
    return this;
  }

  open(given: Partial<StoreOptions> = {}): Promise<MessageStore> {
    return openStore("/store", {
      files: this.files,
      clock: this.clock,
      commitLogFileBytes: LOG_FILE_BYTES,
      consumeQueueFileBytes: QUEUE_FILE_BYTES,
      messageIndex: false,
      ...given,
    });
  }
}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n);

describe("recovery", () => {
  let store: MessageStore | undefined;

  afterEach(async () => {
    await store?.close();
    store = undefined;
  });

  async function open(left: Left, given: Partial<StoreOptions> = {}): Promise<MessageStore> {
    return store = await left.open(given);
  }

  async function bodies(topic = "T"): Promise<number[]> {
    return (await bodiesOf(store!, topic)).map((body) => Number(body));
  }

  test("after a crash, queues are built again from the last file whose first message the checkpoint covers", async () => {
    // The first record of the third file has 8 s; the checkpoint's times count 3 s less.
    for (const [checkpointS, entriesKept] of [[10, 4], [11, 8], [100, 12], [0, 0]]) {
      const left = new Left().addMany(14);
      // Entries that can't be told from true ones: what is not kept is built again of the log.
      left.entries(numbers(14)).checkpoint(checkpointS === 0 ? 0 : FIRST_MS + checkpointS * 1000).crashed();
      const torn = Buffer.alloc(8, 0xff);
      for (let n = entriesKept; n < 14; n++) {
        left.files.damage(QUEUE_FILE(n < 10 ? 0 : 200), (n % 10) * 20, torn);
      }
      await open(left);
      assert.deepEqual(await bodies(), numbers(14));
      await store!.close();
    }
  });

  test("after a clean stop, what the queues lack of the last messages is added", async () => {
    await open(new Left().addMany(14).entries(numbers(11)));
    assert.deepEqual(await bodies(), numbers(14));
    assert.equal(store!.append(draft("T", "next")).queueOffset, 14);
  });

  test("without queues, they are built from the start of the log, cleanly stopped or not", async () => {
    for (const isClean of [true, false]) {
      const left = new Left().addMany(14);
      await open(isClean ? left : left.checkpoint(FIRST_MS + 1e6).crashed());
      assert.deepEqual((await bodies()).slice(isClean ? 0 : -2), isClean ? numbers(14) : [12, 13]);
      await store!.close();
    }
  });

  test("a queue that lacks entries which should be durable is built again of the whole log", async () => {
    const left = new Left().addMany(14).entries(numbers(3)).checkpoint(FIRST_MS + 11_000).crashed();
    const warnings = await logged(async () => {
      await open(left);
    });
    assert.deepEqual(await bodies(), numbers(14));
    assert.match(warnings.join(), /entries are missing in "?T"?, queue 0; it is built again/);
  });

  test("damage in the middle of what the checkpoint covers is refused, and the log is left as it is", async () => {
    for (const isClean of [true, false]) {
      const left = new Left().addMany(14).entries(numbers(14)).checkpoint(FIRST_MS + 13_000).zero(12);
      const before = left.files.read(LOG_FILE(12_288));
      await assert.rejects(
        left.open.call(isClean ? left : left.crashed()),
        (error) =>
          error instanceof StoreCorruptError && error.file === LOG_FILE(12_288) &&
          /no whole message at offset 12288 .*follow from offset 13288/.test(error.message),
      );
      assert.deepEqual(left.files.read(LOG_FILE(12_288)), before);
      assert.equal(left.files.stat("/store/abort") === undefined, isClean);
      // The way out that the message names.
      left.files.remove("/store/checkpoint");
      await open(left);
      assert.equal(store!.maxPhysicalOffset, 12_288);
      assert.deepEqual(await bodies(), numbers(12));
      await store!.close();
    }
  });

  test("damage in what the checkpoint does not cover is a torn end", async () => {
    const left = new Left().addMany(14).entries(numbers(14)).checkpoint(FIRST_MS + 11_500).crashed().zero(12);
    await open(left);
    assert.deepEqual(await bodies(), numbers(12));
  });

  test("what Apache has cut off and left there does not look like damage, nor come back", async () => {
    // It crashed after 14, cut at 12, and has stored one shorter record since.
    const left = new Left().addMany(14).entries(numbers(14));
    const later = recordBytes(fields("14".padEnd(500), { queueId: 0 }), {
      queueOffset: 12,
      physicalOffset: 12_288,
      storeTimestampMs: FIRST_MS + 60_000,
    });
    left.files.damage(LOG_FILE(12_288), 0, later);
    const entry = Buffer.alloc(20);
    writeLong(entry, 12_288, 0);
    entry.writeInt32BE(later.length, 8);
    left.files.damage(QUEUE_FILE(200), 40, entry);
    left.checkpoint(FIRST_MS + 60_000);
    await open(left);
    assert.equal(store!.maxPhysicalOffset, 12_288 + later.length);
    assert.deepEqual(await bodies(), [...numbers(12), 14]);
    const rest = left.files.read(LOG_FILE(12_288)).subarray(later.length);
    assert.ok(rest.every((byte) => byte === 0));
    assert.equal(store!.append(draft("T", "next")).queueOffset, 13);
  });

  test("flushed messages that are lost without trace are reported, and the broker goes on", async () => {
    const left = new Left().addMany(8).entries(numbers(8)).checkpoint(FIRST_MS + 60_000).crashed();
    const warnings = await logged(async () => {
      await open(left);
    });
    assert.match(warnings.join(), /the log ends at offset 8096; messages stored up to .* are lost/);
    assert.deepEqual(await bodies(), numbers(8));
  });

  test("entries that point behind the log's end are cut, after a clean stop as well", async () => {
    const left = new Left().addMany(14).entries(numbers(14)).zero(11, 0, 1000).zero(12, 0, 1000).zero(
      13,
      0,
      1000,
    );
    await open(left);
    assert.deepEqual(await bodies(), numbers(11));
    assert.equal(store!.append(draft("T", "next")).queueOffset, 11);
  });

  test("a queue offset that can't be leaves its message out, and does not fill the disk", async () => {
    for (const absurd of [2 ** 50, 2 ** 53, 2 ** 62, -1, -(2 ** 62), 1e9]) {
      const left = new Left().addMany(3).add(1000, { queueOffset: absurd }).addMany(2, 3).crashed();
      const warnings = await logged(async () => {
        await open(left);
      });
      assert.deepEqual(await bodies(), [0, 1, 2, 4, 5], String(absurd));
      assert.match(warnings.join(), /offset 3000 is left out of its queue/);
      assert.ok(left.files.list("/store/consumequeue/T/0").length <= 1);
      await store!.close();
    }
  });

  test("an absurd queue offset as a queue's first one does not make it unusable", async () => {
    for (const absurd of [2 ** 50, 2 ** 62, -5]) {
      await open(new Left().add(1000, { queueOffset: absurd }).addMany(3).crashed());
      assert.deepEqual(await bodies(), [1, 2, 3]);
      await store!.close();
    }
  });

  test("a small gap that the log itself has is passed over by consumers", async () => {
    const left = new Left().addMany(3).addMany(3, 5).crashed();
    const warnings = await logged(async () => {
      await open(left);
    });
    assert.deepEqual(await bodies(), numbers(6));
    assert.equal(store!.maxOffset("T", 0), 8);
    assert.match(warnings.join(), /leaves a gap/);
  });

  test("a record with an earlier queue offset, but 0, leaves the queue as it is", async () => {
    const left = new Left().addMany(6).add(1000, { queueOffset: 2 }).add(1000, { queueOffset: 6 }).crashed();
    await open(left);
    assert.deepEqual(await bodies(), [0, 1, 2, 3, 4, 5, 7]);
  });

  test("a topic that was deleted and made again has the messages of its last life only", async () => {
    await open(new Left().addMany(6).addMany(2).addMany(3).crashed());
    assert.deepEqual(await bodies(), [8, 9, 10]);
    assert.equal(store!.append(draft("T", "next")).queueOffset, 3);
  });

  test("the same record twice in the log is once in its queue", async () => {
    const left = new Left().addMany(4);
    left.addMany(1, 3).crashed();
    await open(left);
    assert.deepEqual(await bodies(), [0, 1, 2, 3]);
  });

  test("prepared and rolled back messages are in no queue, committed ones are", async () => {
    const left = new Left();
    left.add(1000, { queueOffset: 0, sysFlag: SysFlag.TRANSACTION_PREPARED });
    left.add(1000, { queueOffset: 0, sysFlag: SysFlag.TRANSACTION_COMMIT });
    left.add(1000, { queueOffset: 0, sysFlag: SysFlag.TRANSACTION_ROLLBACK });
    left.add(1000, { queueOffset: 1 });
    await open(left.crashed());
    assert.deepEqual(await bodies(), [1, 3]);
  });

  test("messages of a topic that can't be a directory are left out, others not", async () => {
    for (const topic of ["a/b", "..", "x".repeat(300)]) {
      const left = new Left().addMany(2).add(1000, { queueOffset: 0, topic }).addMany(2, 2).crashed();
      const warnings = await logged(async () => {
        await open(left);
      });
      assert.deepEqual(await bodies(), [0, 1, 3, 4]);
      assert.match(warnings.join(), /offset 2000 is left out of its queue/);
      await store!.close();
    }
  });

  test("expired entries are gone, and the queue keeps its numbers", async () => {
    const left = new Left().addMany(14).entries(numbers(14)).checkpoint(FIRST_MS + 13_000);
    left.files.remove(LOG_FILE(0));
    left.files.remove(LOG_FILE(4096));
    await open(left);
    assert.deepEqual([store!.minOffset("T", 0), store!.maxOffset("T", 0)], [8, 14]);
    assert.deepEqual(await bodies(), numbers(6, 8));
  });

  test("a queue of which everything has expired goes on with its next number, after a crash as well", async () => {
    for (const isClean of [true, false]) {
      const left = new Left();
      for (let n = 0; n < 4; n++) left.add(1000, { queueOffset: n, topic: "Old" });
      left.entries(numbers(4), "Old").addMany(9).entries(numbers(9, 4)).checkpoint(FIRST_MS + 12_000);
      left.files.remove(LOG_FILE(0));
      await open(isClean ? left : left.crashed());
      assert.deepEqual([store!.minOffset("Old", 0), store!.maxOffset("Old", 0)], [4, 4]);
      assert.equal(store!.append(draft("Old", "next")).queueOffset, 4);
      await store!.close();
    }
  });

  test("a log that begins behind 0 and loses its only messages goes on there, not at 0", async () => {
    const left = new Left().addMany(8).entries(numbers(8)).crashed();
    left.files.remove(LOG_FILE(0));
    left.zero(4, 0, 4000);
    await open(left);
    assert.equal(store!.maxPhysicalOffset, 4096);
    await store!.close();
    await open(left);
    assert.equal(store!.append(draft("T", "next")).physicalOffset, 4096);
  });

  test("store times go on where the log is, even if the clock was set back since", async () => {
    const left = new Left().add(1000, { queueOffset: 0, storeTimestampMs: FIRST_MS + 3_700_000 });
    await open(left);
    assert.equal(store!.append(draft("T", "a")).storeTimestampMs, FIRST_MS + 3_700_000);
  });

  test("a store time in the far future is not taken for the time", async () => {
    const left = new Left().addMany(2).add(1000, { queueOffset: 2, storeTimestampMs: 9_000_000_000_000 });
    await open(left.crashed());
    assert.equal(store!.append(draft("T", "a")).storeTimestampMs, left.clock.nowMs());
    await visible(store!);
    assert.equal((await bodiesOf(store!, "T")).length, 4);
  });

  test("a crash during recovery, again and again, changes nothing of its result", async () => {
    for (let seed = 0; seed < 40; seed++) {
      const random = new SeededRandom(seed);
      const left = new Left().addMany(14).entries(numbers(14)).checkpoint(FIRST_MS + 8000).crashed();
      left.zero(12, 20, 100).settle();
      let files = left.files;
      for (let death = 0; death < 3; death++) {
        files.dieAt(files.changeCount + random.between(0, 15));
        const opened = await openStore("/store", {
          files,
          clock: left.clock,
          commitLogFileBytes: LOG_FILE_BYTES,
          consumeQueueFileBytes: QUEUE_FILE_BYTES,
        }).catch((error) => {
          if (!files.isDead) throw error;
        });
        void opened;
        files = random.next() < 0.5 ? files.kill() : files.crash(random);
      }
      await open(left, { files });
      assert.deepEqual(await bodies(), numbers(12), `seed ${seed}`);
      assert.equal(store!.maxPhysicalOffset, 12_288);
      await store!.close();
    }
  });
});
