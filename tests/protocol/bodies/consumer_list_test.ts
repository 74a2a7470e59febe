// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeConsumerList, encodeConsumerList } from "../../../src/protocol/bodies/consumer_list.ts";

test("a consumer list is written as 5.4.0 writes it, and read again", () => {
  const body = encodeConsumerList(["c1", "c2"]);
  assert.equal(new TextDecoder().decode(body), `{"consumerIdList":["c1","c2"]}`);
  assert.deepEqual(decodeConsumerList(body), ["c1", "c2"]);
});
