// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { warmth } from "./page_cache.ts";

test("warmth() says nothing about a log that is on the disk only", () => {
  assert.equal(warmth(true, 0), undefined);
  assert.equal(warmth(true, 0.05), undefined);
});

test("warmth() tells of a log that is still in memory, or may be", () => {
  assert.equal(warmth(true, 0.5), "warm: 50 % in the page cache");
  assert.match(warmth(false, 0.5)!, /^warm: nothing here can drop/);
  assert.match(warmth(true, undefined)!, /unknown/);
});
