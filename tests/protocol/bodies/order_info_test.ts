// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { orderTableFromJson, orderTableToJson } from "../../../src/protocol/bodies/order_info.ts";
import { MalformedError } from "../../../src/protocol/header.ts";
import { parseJsonObject, stringifyJson } from "../../../src/protocol/java_json.ts";

/** As Apache 5.4.0 writes it: numbers as keys, the first offset and then distances. */
const TEXT = '{"table":{"T@g":{0:{"a":"attempt","cm":1,"i":60000,"l":1700000000200,"o":[10,1,2],' +
  '"oc":{10:1,11:1},"ot":{11:1700000009000},"popTime":1700000000100}}}}';

const entry = {
  ...{ topic: "T", group: "g", queueId: 0 },
  info: {
    ...{ attemptId: "attempt", popTimeMs: 1_700_000_000_100, invisibleMs: 60_000, offsets: [10, 11, 12] },
    ...{ acked: 1, updatedMs: 1_700_000_000_200 },
    counts: new Map([[10, 1], [11, 1]]),
    visibleAtMs: new Map([[11, 1_700_000_009_000]]),
  },
};

test("what Apache wrote of pops in order is read", () => {
  assert.deepEqual(orderTableFromJson(parseJsonObject(TEXT)), [entry]);
});

test("what we write says the same, with quoted keys", () => {
  const written = stringifyJson(orderTableToJson([entry]));
  assert.equal(written, TEXT.replace(/([{,])([0-9]+):/g, '$1"$2":'));
});

test("all 32 bits of acknowledgements are a positive number", () => {
  const offsets = Array.from({ length: 32 }, (_, index) => index);
  const full = { ...entry, info: { ...entry.info, offsets, acked: -1 } };
  const written = stringifyJson(orderTableToJson([full]));
  assert.match(written, /"cm":4294967295/);
  assert.equal(orderTableFromJson(parseJsonObject(written))[0].info.acked, -1);
});

test("a table with keys or offsets that can't be is refused", () => {
  for (const text of ['{"table":{"T":{}}}', '{"table":{"T@g":{"0":{"o":["x"]}}}}']) {
    assert.throws(() => orderTableFromJson(parseJsonObject(text)), MalformedError, text);
  }
});
