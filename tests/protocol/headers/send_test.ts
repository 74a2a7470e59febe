// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MalformedError } from "../../../src/protocol/header.ts";
import {
  decodeSendV1,
  decodeSendV2,
  encodeSendV2,
  sendBackRequest,
  sendResponse,
} from "../../../src/protocol/headers/send.ts";

/** What headers of Apache 5.4.0 wrote. */
const V1 = {
  batch: "true",
  bornTimestamp: "1600000000000",
  defaultTopic: "TBW102",
  defaultTopicQueueNums: "4",
  flag: "7",
  maxReconsumeTimes: "16",
  producerGroup: "pg",
  properties: "k\x01v\x02",
  queueId: "2",
  reconsumeTimes: "3",
  sysFlag: "1",
  topic: "T",
  unitMode: "true",
};
const V2 = {
  a: "pg",
  b: "T",
  c: "TBW102",
  d: "4",
  e: "2",
  f: "1",
  g: "1600000000000",
  h: "7",
  i: "k\x01v\x02",
  j: "3",
  k: "true",
  l: "16",
  m: "true",
};
const MEANING = {
  producerGroup: "pg",
  topic: "T",
  defaultTopic: "TBW102",
  defaultTopicQueueNums: 4,
  queueId: 2,
  sysFlag: 1,
  bornTimestamp: 1600000000000,
  flag: 7,
  properties: "k\x01v\x02",
  reconsumeTimes: 3,
  unitMode: true,
  maxReconsumeTimes: 16,
  batch: true,
};

describe("headers of sends", () => {
  test("both versions of Java's mean the same", () => {
    assert.deepEqual(decodeSendV1(V1), MEANING);
    assert.deepEqual(decodeSendV2(V2), MEANING);
    assert.deepEqual(encodeSendV2(MEANING), V2);
  });

  test("what Java leaves out has a default", () => {
    const long = {
      bornTimestamp: "1",
      defaultTopic: "TBW102",
      defaultTopicQueueNums: "4",
      flag: "0",
      producerGroup: "pg",
      queueId: "-1",
      sysFlag: "0",
      topic: "T",
    };
    const short = { a: "pg", b: "T", c: "TBW102", d: "4", e: "-1", f: "0", g: "1", h: "0" };
    for (const decoded of [decodeSendV1(long), decodeSendV2(short)]) {
      const { properties, reconsumeTimes, unitMode, maxReconsumeTimes, batch } = decoded;
      assert.deepEqual({ properties, reconsumeTimes, unitMode, maxReconsumeTimes, batch }, {
        properties: "",
        reconsumeTimes: 0,
        unitMode: false,
        maxReconsumeTimes: undefined,
        batch: false,
      });
    }
  });

  test("encodeSendV2() leaves out the maximum of tries where there is none", () => {
    const fields = encodeSendV2({ ...MEANING, maxReconsumeTimes: undefined });
    assert.equal("l" in fields, false);
    assert.equal(decodeSendV2(fields).maxReconsumeTimes, undefined);
  });

  test("no fields at all are refused", () => {
    for (const fields of [null, {}]) {
      assert.throws(() => decodeSendV1(fields), MalformedError);
      assert.throws(() => decodeSendV2(fields), MalformedError);
    }
  });

  test("any texts become numbers of their range, or a MalformedError", () => {
    const value = fc.oneof(
      fc.string(),
      fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
      fc.integer().map(String),
    );
    fc.assert(fc.property(fc.constantFrom(..."defghjl"), value, (name, text) => {
      let decoded;
      try {
        decoded = decodeSendV2({ ...V2, [name]: text });
      } catch (error) {
        assert.ok(error instanceof MalformedError);
        return;
      }
      assert.ok(Number.isSafeInteger(decoded.bornTimestamp));
      for (const number of [decoded.queueId, decoded.sysFlag, decoded.flag, decoded.reconsumeTimes]) {
        assert.equal(number, number | 0);
      }
    }));
  });

  test("the answer has the names that Java reads", () => {
    const answer = { msgId: "0A", queueId: 1, queueOffset: 5, transactionId: "K", recallHandle: "aGk=" };
    const fields = { msgId: "0A", queueId: "1", queueOffset: "5", transactionId: "K", recallHandle: "aGk=" };
    assert.deepEqual(sendResponse.encode(answer), fields);
    assert.deepEqual(sendResponse.decode(fields), answer);
  });

  test("CONSUMER_SEND_MSG_BACK as Java writes it", () => {
    const fields = {
      delayLevel: "3",
      group: "g",
      maxReconsumeTimes: "16",
      offset: "9",
      originMsgId: "O",
      originTopic: "T",
      unitMode: "true",
    };
    assert.deepEqual(sendBackRequest.decode(fields), {
      offset: 9,
      group: "g",
      delayLevel: 3,
      originMsgId: "O",
      originTopic: "T",
      unitMode: true,
      maxReconsumeTimes: 16,
    });
    assert.deepEqual(sendBackRequest.encode(sendBackRequest.decode(fields)), fields);
  });
});
