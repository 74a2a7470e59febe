// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Outcome } from "../../../src/broker/durability.ts";
import { OpLog } from "../../../src/broker/transactions/op_log.ts";
import { type MessageDraft, StoreRefusedError } from "../../../src/store/types.ts";
import { ManualClock } from "../../harness/manual_clock.ts";

const HOST = { ip: Uint8Array.of(10, 0, 0, 1), port: 10911 };
const REFUSED = new StoreRefusedError("DISK_FULL", "full");

let clock: ManualClock;
let log: OpLog;
/** Bodies in the order in which they were stored. */
let stored: string[];
let waiting: ((outcome: Outcome) => void)[];
let isFull: boolean;
let settings: { opMessageMaxBytes: number; opBatchIntervalMs: number };

beforeEach(() => {
  clock = new ManualClock();
  stored = [];
  waiting = [];
  isFull = false;
  settings = { opMessageMaxBytes: 4096, opBatchIntervalMs: 3000 };
  log = new OpLog({
    store: {
      append(draft: MessageDraft) {
        if (isFull) throw REFUSED;
        stored.push(new TextDecoder().decode(draft.body));
        const queueOffset = stored.length - 1;
        return { physicalOffset: 0, endOffset: 1, queueOffset, storeTimestampMs: 0 };
      },
    },
    whenStored: (_endOffset, settle) => void waiting.push(settle),
    clock,
    storeHost: HOST,
    settings: () => settings,
    onStored: () => {},
  }, 0);
});

function settle(outcome: Outcome): void {
  for (const each of waiting.splice(0)) each(outcome);
}

test("what is settled is gathered for an interval", () => {
  log.gather(5);
  clock.advance(2000);
  log.gather(6);
  assert.deepEqual(stored, []);
  clock.advance(1000);
  assert.deepEqual(stored, ["5,6,"]);
  assert.equal(clock.timerCount, 0);
});

test("a full list does not wait, and none is longer than it may be", () => {
  settings.opMessageMaxBytes = 6;
  for (const offset of [1, 2, 3]) log.gather(offset);
  assert.deepEqual(stored, ["1,2,3,"]);
  log.gather(1_000_000_000);
  assert.deepEqual(stored, ["1,2,3,", "1000000000"], "one is written, however long it is");
});

test("what the store refuses is written later, in its order", () => {
  isFull = true;
  log.gather(1);
  clock.advance(3000);
  log.gather(2);
  assert.deepEqual(stored, []);
  isFull = false;
  clock.advance(3000);
  assert.deepEqual(stored, ["1,2,"]);
});

test("what is lost on its way to the disk is written again", () => {
  log.gather(1);
  clock.advance(3000);
  settle(REFUSED);
  clock.advance(1000);
  assert.deepEqual(stored, ["1", "1"]);
  settle("STORED");
  clock.advance(60_000);
  assert.deepEqual(stored.length, 2);
});

test("a stop writes what is gathered, and leaves no timer", () => {
  log.gather(1);
  log.stop();
  assert.deepEqual(stored, ["1"]);
  assert.equal(clock.timerCount, 0);
});

test("without an interval each is written by itself, for every version", () => {
  settings.opBatchIntervalMs = 0;
  assert.equal(log.writesAtOnce, true);
  log.gather(1);
  log.gather(2);
  clock.advance(1000);
  assert.deepEqual(stored, ["1", "2"]);
});

test("op messages have done their service when all that they name, and all before, is settled", () => {
  assert.equal(log.progress(0), 0);
  log.noteStored(0, [3]);
  log.noteStored(1, [1]);
  assert.equal(log.progress(1), 0);
  assert.equal(log.progress(3), 0);
  assert.equal(log.progress(4), 2);
});

test("millions of op messages are passed in steps of a thousand", () => {
  for (let offset = 0; offset < 100_000; offset++) log.noteStored(offset, [offset]);
  for (const firstOpen of [500, 1023, 1024, 50_000, 99_999]) {
    const progress = log.progress(firstOpen);
    assert.ok(progress <= firstOpen && progress > firstOpen - 1025, `${progress} for ${firstOpen}`);
  }
  assert.equal(log.progress(100_000), 100_000);
});
