// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { MalformedError } from "../../src/protocol/header.ts";
import {
  decodeOffsetInfo,
  decodeReceipt,
  encodeReceipt,
  joinItems,
  messageOffsetsItem,
  offsetCountItem,
  queueCountItem,
  startOffsetItem,
} from "../../src/protocol/pop_receipt.ts";

test("a receipt is eight words, as clients make it", () => {
  const receipt = {
    ...{ startOffset: 100, popTimeMs: 1_700_000_000_000, invisibleMs: 60_000, reviveQueueId: 3 },
    ...{ retry: "1", brokerName: "broker-a", queueId: 2, queueOffset: 105 },
  };
  const text = "100 1700000000000 60000 3 1 broker-a 2 105";
  assert.equal(encodeReceipt(receipt), text);
  const { queueId: _queueId, queueOffset: _queueOffset, ...name } = receipt;
  assert.deepEqual(decodeReceipt(text), name);
});

test("a receipt may lack what the request says beside it", () => {
  assert.equal(decodeReceipt("1 2 3 4 0 b").brokerName, "b");
});

test("a receipt that can't be read is refused", () => {
  for (
    const text of ["", "1 2 3 4 0", "x 2 3 4 0 b", "1 2 3 99999999999999999999 0 b", "1 2.5 3 4 0 b 0 0"]
  ) {
    assert.throws(() => decodeReceipt(text), MalformedError, text);
  }
});

test("info strings name each queue with its kind of topic", () => {
  assert.equal(joinItems([startOffsetItem("0", 1, 10), startOffsetItem("1", 0, 3)]), "0 1 10;1 0 3");
  assert.equal(messageOffsetsItem("0", 1, [10, 12]), "0 1 10,12");
  assert.equal(queueCountItem("0", 1, 0), "0 1 0");
  assert.equal(offsetCountItem("0", 1, 10, 2), "0 qo1%10 2");
});

test("info strings are read back", () => {
  assert.deepEqual([...decodeOffsetInfo("0 1 10,12;1 0 3")], [["0@1", [10, 12]], ["1@0", [3]]]);
  assert.deepEqual([...decodeOffsetInfo("")], []);
  assert.throws(() => decodeOffsetInfo("0 1"), MalformedError);
});
