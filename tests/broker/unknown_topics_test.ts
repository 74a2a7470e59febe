// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { warnOfUnknownTopics } from "../../src/broker/unknown_topics.ts";
import { logged } from "../harness/logged.ts";

test("topics that have messages, but do not exist, are named", async () => {
  const said = await logged(() =>
    warnOfUnknownTopics(["B", "A", "C"], new Set(["B"]), "/config/topics.json")
  );
  assert.equal(said.length, 1);
  assert.match(said[0], /^\/config\/topics\.json: topics .*\(2\).*: A, C$/);
});

test("nothing is said where all exist", async () => {
  assert.deepEqual(await logged(() => warnOfUnknownTopics(["A"], new Set(["A"]), "/topics.json")), []);
});
