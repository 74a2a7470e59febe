// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { test } from "node:test";
import { Checkpoint } from "../../src/store/checkpoint.ts";
import type { ConsumeQueue } from "../../src/store/consume_queue.ts";
import { DerivedFlusher, eachSliced } from "../../src/store/derived_flusher.ts";
import { Dispatcher } from "../../src/store/dispatcher.ts";
import { LogFlusher } from "../../src/store/log_flusher.ts";
import { SettledPlaceFile } from "../../src/store/settled_place.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { append, bodyOf, commitLog, consumeQueue } from "./parts.ts";

function newDerived(index?: { flush(): Promise<void>; lastUpdatePhysicalOffset: number }) {
  const files = new MemoryFiles();
  const clock = new ManualClock();
  const { log } = commitLog(files, 1 << 20);
  const queue = consumeQueue(files, 100);
  const dirty = new Set<ConsumeQueue>();
  const dispatcher = new Dispatcher({
    index: undefined,
    dirty,
    dispatchedOffset: 0,
    dispatchedTimestampMs: 0,
    lastRecordOffset: -1,
  });
  const checkpoint = Checkpoint.open(files, "/checkpoint", clock);
  const options = {
    flushMode: "ASYNC" as const,
    commitLogFlushIntervalMs: 500,
    commitLogFlushMinPages: 4,
    commitLogFlushThoroughIntervalMs: 10_000,
  };
  const flusher = new LogFlusher(log, clock, options, () => {}, () => {});
  const derived = new DerivedFlusher({
    ...{ clock, dispatcher, flusher, checkpoint, dirty, index },
    placeFile: new SettledPlaceFile(files, "/rmq/settled"),
    totals: () => ({ queueCount: 1, queueEnds: queue.maxOffset }),
    thoroughIntervalMs: 5000,
    settledOffset: 0,
  });
  let stored = 0;
  /** A message that is written and in its queue. @returns its end */
  const store = (): number => {
    const physicalOffset = append(log, bodyOf(100));
    log.write();
    const bytes = log.writtenOffset - physicalOffset;
    dispatcher.add({
      ...{
        topic: queue.topic,
        queue,
        physicalOffset,
        bytes,
        tagsCode: 0,
        uniqueKey: undefined,
        keys: undefined,
        properties: new Map(),
      },
      queueOffset: stored++,
      storeTimestampMs: clock.nowMs(),
    });
    dispatcher.dispatchUpTo(log.writtenOffset);
    return log.writtenOffset;
  };
  const durable = () => {
    const { physicMsgTimestampMs, logicsMsgTimestampMs } =
      Checkpoint.open(files, "/checkpoint", clock).values;
    return [physicMsgTimestampMs, logicsMsgTimestampMs];
  };
  return { files, clock, log, queue, derived, store, durable };
}

test("queues are written each time, made durable after a while, and then the checkpoint says so", async () => {
  const { files, clock, log, derived, store, durable } = newDerived();
  const end = store();
  const storedMs = clock.nowMs();
  await derived.flush();
  assert.equal(files.list("/queue").length, 1);
  assert.deepEqual([derived.settledOffset, durable()], [0, [0, 0]]);
  clock.advance(5000);
  await derived.flush();
  assert.deepEqual([derived.settledOffset, log.flushedOffset, durable()], [end, end, [storedMs, storedMs]]);
});

test("what comes while it is made durable counts next time", async () => {
  const { derived, store } = newDerived({
    lastUpdatePhysicalOffset: 0,
    flush() {
      if (!isLate) late = store();
      isLate = true;
      return Promise.resolve();
    },
  });
  let isLate = false;
  let late = 0;
  const end = store();
  await derived.flush(true);
  assert.equal(derived.settledOffset, end);
  await derived.flush(true);
  assert.equal(derived.settledOffset, late);
});

test("where index, queue or log can't be made durable, the checkpoint stays", async () => {
  const faults = [/queue/, /log/];
  for (const path of faults) {
    const { files, derived, store, durable } = newDerived();
    store();
    files.fail({ operation: "sync", code: "EIO", path });
    await assert.rejects(derived.flush(true));
    await assert.rejects(derived.flush(true), "a later sync says nothing of what this one has lost");
    assert.deepEqual([derived.settledOffset, durable()], [0, [0, 0]]);
  }
  const { derived, store, durable } = newDerived({
    lastUpdatePhysicalOffset: 0,
    flush: () => Promise.reject(new Error("no index")),
  });
  store();
  await assert.rejects(derived.flush(true), /no index/);
  assert.deepEqual([derived.settledOffset, durable(), derived.isStuck], [0, [0, 0], false]);
});

test("rounds in which a queue can't be written are counted, until one succeeds", async () => {
  const { files, queue, derived, store } = newDerived();
  store();
  files.fail({ operation: "create", code: "ENOSPC", path: /queue/, times: 3 });
  for (let round = 1; round <= 3; round++) {
    await assert.rejects(derived.flush(), { code: "ENOSPC" });
    assert.deepEqual([derived.failedRounds, derived.isStuck], [round, true]);
  }
  await derived.flush(true);
  assert.deepEqual([derived.failedRounds, derived.isStuck, queue.isUnsynced], [0, false, false]);
});

test("deleted queues are forgotten", async () => {
  const { files, queue, derived, store } = newDerived();
  store();
  derived.forget([queue]);
  await derived.flush();
  assert.deepEqual(files.list("/queue"), []);
});

test("work over many items lets the loop have its turn, when it has taken a while", async () => {
  for (const isLong of [true, false]) {
    const clock = new ManualClock();
    const seen: unknown[] = [];
    setImmediate(() => seen.push("turn"));
    await eachSliced(clock, [1, 2, 3], (item) => {
      seen.push(item);
      if (isLong) clock.advance(5);
    });
    assert.deepEqual(seen, isLong ? [1, "turn", 2, 3] : [1, 2, 3]);
  }
});
