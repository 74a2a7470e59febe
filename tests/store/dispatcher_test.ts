// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConsumeQueue } from "../../src/store/consume_queue.ts";
import { Dispatcher } from "../../src/store/dispatcher.ts";
import { logged } from "../harness/logged.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { consumeQueue } from "./parts.ts";

const SIZE = 100;

function newDispatcher(queue = consumeQueue(new MemoryFiles(), 10_000)) {
  const indexed: number[] = [];
  const arrived: number[] = [];
  const dirty = new Set<ConsumeQueue>();
  const dispatcher = new Dispatcher({
    index: { put: (_topic, _uniqueKey, _keys, physicalOffset) => void indexed.push(physicalOffset) },
    dirty,
    dispatchedOffset: 0,
    dispatchedTimestampMs: 0,
    lastRecordOffset: -1,
  });
  dispatcher.onArrival((_topic, _queueId, queueOffset) => void arrived.push(queueOffset));
  const add = (count: number) => {
    for (; count > 0; count--) {
      const queueOffset = queue.nextOffset++;
      dispatcher.add({
        topic: queue.topic,
        queue,
        queueOffset,
        physicalOffset: queueOffset * SIZE,
        bytes: SIZE,
        tagsCode: 0,
        storeTimestampMs: queueOffset + 1000,
        uniqueKey: undefined,
        keys: undefined,
        properties: new Map(),
      });
    }
  };
  return { dispatcher, queue, indexed, arrived, dirty, add };
}

test("messages are passed on in their order, never beyond what may be seen", () => {
  const { dispatcher, queue, indexed, arrived, dirty, add } = newDispatcher();
  add(5);
  dispatcher.dispatchUpTo(0);
  assert.deepEqual([queue.maxOffset, arrived.length, dirty.size], [0, 0, 0]);
  dispatcher.dispatchUpTo(3 * SIZE - 1);
  assert.deepEqual([queue.maxOffset, arrived, dispatcher.dispatchedOffset], [2, [0, 1], 2 * SIZE]);
  dispatcher.dispatchUpTo(9 * SIZE);
  assert.deepEqual([queue.maxOffset, arrived], [5, [0, 1, 2, 3, 4]]);
  assert.deepEqual(indexed, [0, 100, 200, 300, 400]);
  assert.deepEqual([...dirty], [queue]);
  const { dispatchedOffset, lastRecordOffset, dispatchedTimestampMs } = dispatcher;
  assert.deepEqual([dispatchedOffset, lastRecordOffset, dispatchedTimestampMs], [500, 400, 1004]);
});

test("thousands of messages that wait are passed on in any portions", () => {
  const { dispatcher, arrived, add } = newDispatcher();
  let offset = 0;
  for (let round = 0; round < 100; round++) {
    add(97);
    dispatcher.dispatchUpTo(offset += 41 * SIZE);
  }
  dispatcher.dispatchUpTo(Infinity);
  assert.deepEqual(arrived, Array.from({ length: 9700 }, (_, n) => n));
});

test("drop() forgets what never reached the disk, and its numbers are given again", () => {
  const { dispatcher, queue, arrived, add } = newDispatcher();
  add(6);
  dispatcher.dispatchUpTo(2 * SIZE);
  dispatcher.drop(4 * SIZE);
  assert.equal(queue.nextOffset, 4);
  add(1);
  dispatcher.dispatchUpTo(Infinity);
  assert.deepEqual(arrived, [0, 1, 2, 3, 4]);
  dispatcher.drop(0);
  assert.deepEqual([queue.nextOffset, queue.maxOffset], [5, 5]);
});

test("who listens and fails keeps nobody from the messages that follow", async () => {
  const { dispatcher, queue, arrived, add } = newDispatcher();
  dispatcher.onArrival((_topic, _queueId, queueOffset) => {
    if (queueOffset === 1) throw new Error("a listener's fault");
  });
  add(4);
  const errors = await logged(() => dispatcher.dispatchUpTo(Infinity), "error");
  assert.deepEqual([queue.maxOffset, arrived], [4, [0, 1, 2, 3]]);
  assert.equal(errors.length, 1);
  assert.match(errors[0], /a listener's fault/);
});

test("messages of a topic that was deleted meanwhile go nowhere, and leave no files", () => {
  const files = new MemoryFiles();
  const { dispatcher, queue, add } = newDispatcher(consumeQueue(files, 10));
  add(3);
  queue.destroy();
  dispatcher.dispatchUpTo(Infinity);
  queue.write();
  assert.deepEqual([queue.maxOffset, files.stat("/queue"), dispatcher.dispatchedOffset], [0, undefined, 300]);
});
