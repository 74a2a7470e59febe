// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { editDistance, nearestName } from "../../src/config/near_name.ts";

const KEYS = ["flushDiskType", "fileReservedTime", "brokerName", "brokerId", "listenPort"];

test("editDistance() counts letters added, removed and replaced", () => {
  assert.equal(editDistance("", ""), 0);
  assert.equal(editDistance("abc", ""), 3);
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(editDistance("brokerName", "brokrName"), 1);
});

test("nearestName() finds what was meant", () => {
  assert.equal(nearestName("flushDiskTyp", KEYS), "flushDiskType");
  assert.equal(nearestName("FILERESERVEDTIME", KEYS), "fileReservedTime");
  assert.equal(nearestName("brokerid", KEYS), "brokerId");
  assert.equal(nearestName("lisenPort", KEYS), "listenPort");
});

test("nearestName() says nothing when nothing is near", () => {
  assert.equal(nearestName("something", KEYS), undefined);
  assert.equal(nearestName("", KEYS), undefined);
  assert.equal(nearestName("x", []), undefined);
});
