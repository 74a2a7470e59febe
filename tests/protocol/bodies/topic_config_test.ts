// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  hasUnit,
  hasUnitSub,
  isInheritable,
  isReadable,
  isValidPerm,
  isWritable,
  permText,
  topicConfig,
  topicConfigFromJson,
  topicConfigTableFromJson,
  topicConfigTableToJson,
  topicConfigToJson,
} from "../../../src/protocol/bodies/topic_config.ts";
import { parseJson, stringifyJson } from "../../../src/protocol/java_json.ts";

test("a configuration has Apache's defaults for what is not given", () => {
  assert.deepEqual(topicConfig("T", { perm: 4 }), {
    topicName: "T",
    readQueueNums: 16,
    writeQueueNums: 16,
    perm: 4,
    topicFilterType: "SINGLE_TAG",
    topicSysFlag: 0,
    order: false,
    attributes: new Map(),
  });
});

test("JSON has the members as Apache orders them and gives the same back", () => {
  const config = topicConfig("T", {
    readQueueNums: 4,
    writeQueueNums: 8,
    perm: 7,
    topicFilterType: "MULTI_TAG",
    topicSysFlag: 3,
    order: true,
    attributes: new Map([["message.type", "FIFO"]]),
  });
  const text = stringifyJson(topicConfigToJson(config));
  assert.equal(
    text,
    '{"attributes":{"message.type":"FIFO"},"order":true,"perm":7,"readQueueNums":4,' +
      '"topicFilterType":"MULTI_TAG","topicName":"T","topicSysFlag":3,"writeQueueNums":8}',
  );
  assert.deepEqual(topicConfigFromJson(parseJson(text)), config);
});

test("topicConfigFromJson() reads what 4.9 writes, strings for numbers, nulls and unknown filter types", () => {
  const { attributes, perm, readQueueNums, topicFilterType, order } = topicConfigFromJson({
    topicName: "T",
    perm: "4",
    readQueueNums: null,
    topicFilterType: "OTHER",
    order: "true",
  });
  assert.deepEqual([attributes, perm, readQueueNums, topicFilterType, order], [
    new Map(),
    4,
    16,
    "SINGLE_TAG",
    true,
  ]);
});

test("a table names its topics by key where a value does not, and leaves nulls out", () => {
  const table = topicConfigTableFromJson(parseJson('{"A":{"perm":4},"B":null,"__proto__":{"perm":2}}'));
  assert.deepEqual([...table.keys()], ["A", "__proto__"]);
  assert.equal(table.get("A")!.topicName, "A");
  assert.equal(table.get("__proto__")!.perm, 2);
  assert.deepEqual(topicConfigTableFromJson(parseJson(stringifyJson(topicConfigTableToJson(table)))), table);
});

test("permissions are bits, shown as RWX", () => {
  assert.deepEqual([0, 1, 2, 4, 6, 7].map(permText), ["---", "--X", "-W-", "R--", "RW-", "RWX"]);
  assert.deepEqual([isReadable(4), isWritable(4), isInheritable(4)], [true, false, false]);
  assert.deepEqual([isReadable(3), isWritable(3), isInheritable(3)], [false, true, true]);
  assert.deepEqual([-1, 0, 7, 8, 1.5].map(isValidPerm), [false, true, true, false, false]);
});

test("system flags tell unit topics from unit subscriptions", () => {
  assert.deepEqual([0, 1, 2, 3].map(hasUnit), [false, true, false, true]);
  assert.deepEqual([0, 1, 2, 3].map(hasUnitSub), [false, false, true, true]);
});
