// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageRecord } from "../../src/protocol/record.ts";
import { bodyOf, faults, Ledger } from "./ledger.ts";

/** Four messages in two queues, all acknowledged, and one more that was not. */
function sample(): { ledger: Ledger; queues: MessageRecord[][] } {
  const ledger = new Ledger("T", 2);
  const queues: MessageRecord[][] = [[], []];
  for (let number = 0; number < 5; number++) {
    const queueId = number % 2;
    const queueOffset = queues[queueId].length;
    const physicalOffset = number * 4000;
    queues[queueId].push({ queueId, queueOffset, physicalOffset, body: bodyOf(number) } as MessageRecord);
    if (number < 4) ledger.acknowledged.push({ number, queueId, queueOffset, physicalOffset });
  }
  ledger.sentCount = 5;
  return { ledger, queues };
}

test("faults() finds none where everything is in its place, an unacknowledged message included", () => {
  const { ledger, queues } = sample();
  assert.deepEqual(faults(ledger, queues), []);
});

test("faults() does not miss an unacknowledged message", () => {
  const { ledger, queues } = sample();
  queues[0].pop();
  assert.deepEqual(faults(ledger, queues), []);
});

test("faults() reports an acknowledged message that is lost", () => {
  const { ledger, queues } = sample();
  queues[1].pop();
  assert.deepEqual(faults(ledger, queues), ["message 3, acknowledged at queue 1, offset 1: lost"]);
});

test("faults() reports a hole, and the messages behind it as moved", () => {
  const { ledger, queues } = sample();
  queues[1].shift();
  assert.deepEqual(faults(ledger, queues), [
    "queue 1, offset 0: a record of offset 1",
    "message 1, acknowledged at queue 1, offset 0: lost",
    "message 3, acknowledged at queue 1, offset 1: queue 1, offset 0",
  ]);
});

test("faults() reports one altered byte", () => {
  const { ledger, queues } = sample();
  queues[0][1].body[7] ^= 1;
  assert.deepEqual(faults(ledger, queues), [
    "queue 0, offset 1: bytes that were never sent",
    "message 2, acknowledged at queue 0, offset 1: lost",
  ]);
});

test("faults() reports a message that is stored twice", () => {
  const { ledger, queues } = sample();
  queues[1].push({ ...queues[1][0], queueOffset: 2 });
  assert.deepEqual(faults(ledger, queues), [
    "queue 1, offset 2: message 1 again, first at queue 1, offset 0",
  ]);
});

test("faults() reports another physical offset than the acknowledged one", () => {
  const { ledger, queues } = sample();
  queues[0][0].physicalOffset += 1;
  assert.deepEqual(faults(ledger, queues), ["message 0: physical offset 1, acknowledged 0"]);
});
