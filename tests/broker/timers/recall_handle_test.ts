// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeRecallHandle,
  encodeRecallHandle,
  recallHandleOf,
} from "../../../src/broker/timers/recall_handle.ts";

/** Made by RecallMessageHandle of Apache 5.4.0. */
const HANDLE = "djEgVCBicm9rZXItYSAxNzAwMDAwMDAyMDAxIDdGMDAwMDAxPz8-";
const FIELDS = { topic: "T", brokerName: "broker-a", timeMs: 1_700_000_002_001, uniqueKey: "7F000001??>" };

test("a handle is what Apache makes, and is read back", () => {
  assert.equal(encodeRecallHandle(FIELDS), HANDLE);
  assert.deepEqual(decodeRecallHandle(HANDLE), FIELDS);
  const padded = { ...FIELDS, uniqueKey: "7F0" };
  assert.match(encodeRecallHandle(padded), /=$/);
  assert.deepEqual(decodeRecallHandle(encodeRecallHandle(padded)), padded);
});

test("anything else is no handle", () => {
  const base64 = (text: string) => btoa(text);
  for (const text of ["", "*", "djE", base64("v2 T b 1 K"), base64("v1 T b 1"), `${HANDLE} `]) {
    assert.equal(decodeRecallHandle(text), undefined, text);
  }
  assert.ok(Number.isNaN(decodeRecallHandle(base64("v1 T b soon K"))!.timeMs));
});

test("a message that waits has a handle that names the moment after its slot's, a retry has none", () => {
  const properties = new Map([["REAL_TOPIC", "T"], ["TIMER_OUT_MS", "1700000002000"], [
    "UNIQ_KEY",
    "7F000001??>",
  ]]);
  assert.equal(recallHandleOf(properties, "broker-a"), HANDLE);
  assert.equal(recallHandleOf(new Map([...properties, ["REAL_TOPIC", "%RETRY%g"]]), "broker-a"), undefined);
});
