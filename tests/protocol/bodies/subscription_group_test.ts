// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import {
  decodeGroupConfig,
  decodeGroupConfigList,
  decodeGroupTable,
  encodeGroupConfig,
  encodeGroupTable,
  groupConfig,
  groupConfigFromJson,
  groupConfigToJson,
} from "../../../src/protocol/bodies/subscription_group.ts";
import { MalformedError } from "../../../src/protocol/header.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const golden = (version: string) =>
  readFileSync(new URL(`../../golden/config/${version}/subscriptionGroup.json`, import.meta.url));

describe("groupConfig()", () => {
  test("has Apache's defaults, which an empty object means too", () => {
    assert.deepEqual(groupConfigFromJson({}, "g"), groupConfig("g"));
    assert.deepEqual(groupConfigToJson(groupConfig("g")), {
      groupName: "g",
      consumeEnable: true,
      consumeFromMinEnable: true,
      consumeBroadcastEnable: true,
      consumeMessageOrderly: false,
      retryQueueNums: 1,
      retryMaxTimes: 16,
      groupRetryPolicy: { type: "CUSTOMIZED" },
      brokerId: 0,
      whichBrokerWhenConsumeSlowly: 1,
      notifyConsumerIdsChangedEnable: true,
      groupSysFlag: 0,
      consumeTimeoutMinute: 15,
      attributes: new Map(),
    });
  });

  test("keeps members that it does not know", () => {
    const text = `{"groupName":"g","liteBindTopic":"x","subscriptionDataSet":[{"topic":"t"}],"gone":null}`;
    const config = decodeGroupConfig(bytes(text));
    const again = decodeGroupConfig(encodeGroupConfig(config));
    assert.deepEqual(again.unknown, { liteBindTopic: "x", subscriptionDataSet: [{ topic: "t" }] });
    assert.deepEqual(again, config);
  });
});

describe("decodeGroupTable()", () => {
  test("reads the file of 5.4.0", () => {
    const { dataVersion, groups, forbidden } = decodeGroupTable(golden("5.4.0"));
    assert.equal(dataVersion.counter, 4);
    assert.equal(groups.size, 11);
    assert.equal(groups.get("GroupA")!.retryMaxTimes, 5);
    assert.equal(groups.get("GroupA")!.retryQueueNums, 2);
    assert.equal(groups.get("GroupA")!.consumeBroadcastEnable, false);
    assert.equal(groups.get("GroupExp")!.consumeMessageOrderly, true);
    assert.deepEqual(groups.get("GroupExp")!.groupRetryPolicy, {
      exponentialRetryPolicy: { initial: 1000, max: 60000, multiplier: 3 },
      type: "EXPONENTIAL",
    });
    assert.deepEqual(forbidden, new Map([["GroupA", new Map([["TopicA", 4]])]]));
  });

  test("reads the file of 4.9.7, which has fewer members", () => {
    const { dataVersion, groups, forbidden } = decodeGroupTable(golden("4.9.7"));
    assert.equal(dataVersion.counter, 3);
    assert.equal(dataVersion.stateVersion, 0);
    assert.equal(groups.get("GroupA")!.retryMaxTimes, 5);
    assert.equal(groups.get("GroupA")!.consumeTimeoutMinute, 15);
    assert.equal(forbidden.size, 0);
  });

  test("reads what encodeGroupTable() wrote", () => {
    for (const version of ["5.4.0", "4.9.7"]) {
      const table = decodeGroupTable(golden(version));
      assert.deepEqual(decodeGroupTable(encodeGroupTable(table)), table);
    }
  });

  test("refuses tables that are none", () => {
    assert.throws(() => decodeGroupTable(bytes(`{"subscriptionGroupTable":[]}`)), MalformedError);
    assert.throws(() => decodeGroupTable(bytes(`{"forbiddenTable":7}`)), MalformedError);
  });
});

describe("decodeGroupConfigList()", () => {
  test("reads every group", () => {
    const list = decodeGroupConfigList(bytes(`{"groupConfigList":[{"groupName":"a"},{"groupName":"b"}]}`));
    assert.deepEqual(list, [groupConfig("a"), groupConfig("b")]);
  });

  test("refuses a body without list", () => {
    assert.throws(() => decodeGroupConfigList(bytes("{}")), MalformedError);
  });
});
