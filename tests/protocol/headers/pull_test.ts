// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MalformedError } from "../../../src/protocol/header.ts";
import { pullRequest, pullResponse } from "../../../src/protocol/headers/pull.ts";

/** What a header of Apache 5.4.0 wrote. */
const FIELDS = {
  commitOffset: "4",
  consumerGroup: "g",
  expressionType: "TAG",
  maxMsgNums: "32",
  queueId: "1",
  queueOffset: "5",
  subVersion: "6",
  subscription: "a || b",
  suspendTimeoutMillis: "15000",
  sysFlag: "7",
  topic: "T",
};

describe("headers of pulls", () => {
  test("are read as Java means them", () => {
    const decoded = {
      consumerGroup: "g",
      topic: "T",
      queueId: 1,
      queueOffset: 5,
      maxMsgNums: 32,
      sysFlag: 7,
      commitOffset: 4,
      suspendTimeoutMillis: 15000,
      subscription: "a || b",
      subVersion: 6,
      expressionType: "TAG",
    };
    assert.deepEqual(pullRequest.decode(FIELDS), decoded);
    assert.deepEqual(pullRequest.encode(decoded), FIELDS);
  });

  test("may lack the expression and its type, and nothing else", () => {
    const { subscription: _1, expressionType: _2, ...needed } = FIELDS;
    assert.equal(pullRequest.decode(needed).subscription, undefined);
    for (const name of Object.keys(needed)) {
      const fields = Object.fromEntries(Object.entries(needed).filter(([other]) => other !== name));
      assert.throws(() => pullRequest.decode(fields), MalformedError, name);
    }
  });

  test("keep offsets beyond all queues comparable", () => {
    const decoded = pullRequest.decode({ ...FIELDS, queueOffset: "9223372036854775807", commitOffset: "-1" });
    assert.equal(decoded.queueOffset, Number.MAX_SAFE_INTEGER);
    assert.equal(decoded.commitOffset, -1);
  });

  test("are answered with the names that Java reads", () => {
    const answer = {
      suggestWhichBrokerId: 0,
      nextBeginOffset: 8,
      minOffset: 1,
      maxOffset: 9,
      topicSysFlag: 0,
      groupSysFlag: 0,
      forbiddenType: 1,
    };
    const fields = {
      forbiddenType: "1",
      groupSysFlag: "0",
      maxOffset: "9",
      minOffset: "1",
      nextBeginOffset: "8",
      suggestWhichBrokerId: "0",
      topicSysFlag: "0",
    };
    assert.deepEqual(pullResponse.encode(answer), fields);
    assert.deepEqual(pullResponse.decode(fields), answer);
    assert.equal("forbiddenType" in pullResponse.encode({ ...answer, forbiddenType: undefined }), false);
  });
});
