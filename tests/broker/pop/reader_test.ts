// SPDX-License-Identifier: Apache-2.0
/** Reading for pops where the disk is waited for, and what is not given out. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { NO_OFFSET } from "../../../src/broker/consumer_offsets.ts";
import { Popped, PopReader, type PopReaderOptions, type PopWish } from "../../../src/broker/pop/reader.ts";
import { StoreRefusedError } from "../../../src/store/types.ts";
import { draft } from "../../harness/store.ts";
import { measureRecord, writeRecord } from "../../../src/protocol/record.ts";

const wish: PopWish = {
  ...{ topic: "T", group: "G", maxCount: 32, invisibleMs: 60_000, initMode: 0, isOrdered: false },
  ...{ attemptId: undefined, filter: undefined, popTimeMs: 1_700_000_000_000, reviveQueueId: 0 },
};

function recordOf(queueOffset: number, body = "hello"): Uint8Array {
  const fields = draft("T", body);
  const lengths = measureRecord(fields);
  const bytes = Buffer.alloc(lengths.totalBytes);
  writeRecord(bytes, 0, fields, lengths, { queueOffset, physicalOffset: 0, storeTimestampMs: 0 });
  return bytes;
}

function setUp(given: Partial<PopReaderOptions> = {}) {
  const advanced: string[] = [];
  const freed: string[] = [];
  const pending: PromiseWithResolvers<void>[] = [];
  const options: PopReaderOptions = {
    store: {
      async getMessages(_topic, _queueId, offset) {
        const { promise, ...settle } = Promise.withResolvers<void>();
        pending.push({ promise, ...settle });
        await promise;
        const records = [recordOf(offset)];
        const place = { nextBeginOffset: offset + 1, minOffset: 0, maxOffset: 5 };
        return { status: "FOUND", ...place, records, messageCount: 1, byteCount: records[0].length };
      },
      minOffset: () => 0,
      maxOffset: () => 5,
      isHot: () => true,
    },
    offsets: { query: () => NO_OFFSET, commit: () => {}, takeReset: () => undefined },
    positions: {
      next: () => 2,
      advance: (_topic, _group, queueId, next, end) => void advanced.push(`${queueId}: ${next} at ${end}`),
      drop: () => {},
    },
    inFlight: { isFull: () => false, add: () => {}, clear: () => {} },
    order: { isBlocked: () => false, onPopped: () => [], forget: () => {} },
    reviveLog: {
      appendCheckPoint: () => ({ physicalOffset: 0, queueOffset: 0, endOffset: 1000, storeTimestampMs: 0 }),
    },
    statistics: { onDelivered: () => {}, onGetMiss: () => {} },
    onQueueFree: (...place) => void freed.push(place.join("/")),
    brokerName: "broker-a",
    settings: () => ({ popStartsInMemory: true, popShowsRetryTopic: false }),
    ...given,
  };
  return { reader: new PopReader(options), advanced, freed, pending };
}

test("a queue that another pop is reading is passed over, and who waits is told when it is free", async () => {
  const { reader, advanced, freed, pending } = setUp();
  const [first, second] = [new Popped(), new Popped()];
  const reading = reader.read(wish, "T", 0, first);
  assert.ok(reading instanceof Promise);
  assert.equal(reader.read(wish, "T", 0, second), undefined);
  assert.deepEqual([second.messageCount, second.restCount], [0, 3]);
  pending[0].resolve();
  await reading;
  assert.equal(first.messageCount, 1);
  assert.deepEqual(advanced, ["0: 3 at 1000"]);
  assert.deepEqual(freed, ["T/G/0"]);
  assert.ok(reader.read(wish, "T", 0, second) instanceof Promise);
});

test("a queue whose reading has failed is free again", async () => {
  const { reader, advanced, freed, pending } = setUp();
  const reading = reader.read(wish, "T", 0, new Popped());
  pending[0].reject(new Error("EIO"));
  await assert.rejects(async () => await reading, /EIO/);
  assert.deepEqual(advanced, []);
  assert.deepEqual(freed, ["T/G/0"]);
});

test("messages whose check point can't be stored are nobody's", async () => {
  const { reader, advanced, pending } = setUp({
    reviveLog: {
      appendCheckPoint() {
        throw new StoreRefusedError("DISK_FULL", "the disk is full");
      },
    },
  });
  const popped = new Popped();
  const reading = reader.read(wish, "T", 0, popped);
  pending[0].resolve();
  await reading;
  assert.deepEqual([popped.messageCount, popped.records.length, popped.startOffsets.length], [0, 0, 0]);
  assert.equal(popped.restCount, 1);
  assert.deepEqual(advanced, []);
});

test("an answer that is long already is given no further queue", () => {
  const { reader } = setUp();
  const popped = new Popped();
  popped.byteCount = 4 << 20;
  assert.equal(reader.read(wish, "T", 0, popped), undefined);
  assert.equal(popped.restCount, 3);
});
