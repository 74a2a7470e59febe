// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { halfOffsetsOf, opMessage } from "../../../src/broker/transactions/op_message.ts";
import type { MessageRecord } from "../../../src/protocol/record.ts";

const HOST = { ip: Uint8Array.of(10, 0, 0, 1), port: 10911 };

function read(body: string | Uint8Array, properties = "TAGS\u0001d\u0002"): number[] {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return halfOffsetsOf({ body: bytes, properties } as MessageRecord);
}

function bodyOf(offsets: number[]): string {
  return new TextDecoder().decode(opMessage(offsets, HOST, 0).body);
}

test("one offset is written as 4.9 reads it, several as 5.x writes them", () => {
  assert.equal(bodyOf([123]), "123");
  assert.equal(bodyOf([123, 4]), "123,4,");
  assert.deepEqual(opMessage([1], HOST, 0).propertyMap.get("TAGS"), "d");
});

test("both forms are read", () => {
  assert.deepEqual(read("123"), [123]);
  assert.deepEqual(read("123,"), [123]);
  assert.deepEqual(read("123,0,77,"), [123, 0, 77]);
});

test("what is no offset is left out", () => {
  assert.deepEqual(read("x,-1,5,,99999999999999999999,1e3, 7,"), [5]);
  assert.deepEqual(read(""), []);
  assert.deepEqual(read(Uint8Array.of(0xff, 0xfe, 44, 49)), [1]);
  assert.deepEqual(read("5", "TAGS\u0001x\u0002"), []);
  assert.deepEqual(read("5", ""), []);
});
