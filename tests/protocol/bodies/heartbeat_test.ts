// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import {
  decodeCheckClientRequest,
  decodeHeartbeat,
  encodeCheckClientRequest,
  encodeHeartbeat,
  type Heartbeat,
} from "../../../src/protocol/bodies/heartbeat.ts";
import { MalformedError } from "../../../src/protocol/header.ts";
import { parseJsonObject } from "../../../src/protocol/java_json.ts";

const NOW = 1_700_000_000_000;
const bytes = (text: string) => new TextEncoder().encode(text);
const decode = (text: string) => decodeHeartbeat(bytes(text), NOW);

const FULL: Heartbeat = {
  clientId: "10.0.0.9@1",
  producerGroups: ["p"],
  consumers: [{
    groupName: "c",
    consumeType: "CONSUME_ACTIVELY",
    messageModel: "BROADCASTING",
    consumeFromWhere: "CONSUME_FROM_TIMESTAMP",
    unitMode: true,
    subscriptionDataSet: [{
      topic: "t",
      subString: "a||b",
      tagsSet: ["a", "b"],
      codeSet: [97, 98],
      subVersion: 7,
      expressionType: "TAG",
      classFilterMode: false,
    }],
  }],
  fingerprint: -12,
  withoutSubscriptions: true,
};

describe("decodeHeartbeat()", () => {
  test("gives back what encodeHeartbeat() was given", () => {
    assert.deepEqual(decodeHeartbeat(encodeHeartbeat(FULL), NOW), FULL);
  });

  test("uses the names that Java clients read", () => {
    const object = parseJsonObject(encodeHeartbeat(FULL));
    assert.deepEqual(Object.keys(object).sort(), [
      "clientID",
      "consumerDataSet",
      "heartbeatFingerprint",
      "producerDataSet",
      "withoutSub",
    ]);
  });

  test("reads what Java clients of 5.4.0 and 4.9.7 send", () => {
    for (const version of ["5.4.0", "4.9.7"]) {
      const body = readFileSync(new URL(`../../golden/heartbeat/${version}.json`, import.meta.url));
      assert.deepEqual(decodeHeartbeat(body, NOW), {
        clientId: "10.0.0.9@4711#22",
        producerGroups: ["CLIENT_INNER_PRODUCER"],
        consumers: [{
          groupName: "GroupA",
          consumeType: "CONSUME_PASSIVELY",
          messageModel: "CLUSTERING",
          consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
          unitMode: false,
          subscriptionDataSet: [
            {
              topic: "TopicA",
              subString: "TagA || TagB||polygenelubricants",
              tagsSet: ["TagA", "polygenelubricants", "TagB"],
              codeSet: [2598919, -2147483648, 2598920],
              subVersion: 1795263511646,
              expressionType: "TAG",
              classFilterMode: false,
            },
            {
              topic: "%RETRY%GroupA",
              subString: "*",
              tagsSet: [],
              codeSet: [],
              subVersion: 1795263511645,
              expressionType: "TAG",
              classFilterMode: false,
            },
          ],
        }],
        fingerprint: 0,
        withoutSubscriptions: false,
      });
    }
  });

  test("takes ordinals for enums, versions as strings and absent sets, as C++ clients send them", () => {
    const { consumers } = decode(
      `{"clientID":"c","consumerDataSet":[{"groupName":"g","consumeType":1,"messageModel":0,"consumeFromWhere":4,` +
        `"subscriptionDataSet":[{"topic":"t","subString":"*","subVersion":"123"}]}],"producerDataSet":[]}\n`,
    );
    assert.equal(consumers[0].consumeType, "CONSUME_PASSIVELY");
    assert.equal(consumers[0].messageModel, "BROADCASTING");
    assert.equal(consumers[0].consumeFromWhere, "CONSUME_FROM_FIRST_OFFSET");
    assert.equal(consumers[0].unitMode, false);
    assert.deepEqual(consumers[0].subscriptionDataSet, [{
      topic: "t",
      subString: "*",
      tagsSet: [],
      codeSet: [],
      subVersion: 123,
      expressionType: "TAG",
      classFilterMode: false,
    }]);
  });

  test("takes names of enums in any case, and a usual value for what it does not know", () => {
    const { consumers } = decode(
      `{"clientID":"c","consumerDataSet":[{"groupName":"g","consumeType":"consume_pop","messageModel":9,` +
        `"consumeFromWhere":"SOMEWHERE"}]}`,
    );
    assert.equal(consumers[0].consumeType, "CONSUME_POP");
    assert.equal(consumers[0].messageModel, "CLUSTERING");
    assert.equal(consumers[0].consumeFromWhere, "CONSUME_FROM_LAST_OFFSET");
    assert.deepEqual(consumers[0].subscriptionDataSet, []);
  });

  test("gives a subscription without version the present time", () => {
    const { consumers } = decode(
      `{"clientID":"c","consumerDataSet":[{"groupName":"g","subscriptionDataSet":[{"topic":"t"}]}]}`,
    );
    assert.equal(consumers[0].subscriptionDataSet[0].subVersion, NOW);
  });

  test("keeps tags codes as signed 32-bit integers", () => {
    const { consumers } = decode(
      `{"clientID":"c","consumerDataSet":[{"groupName":"g","subscriptionDataSet":[{"topic":"t",` +
        `"codeSet":[-2147483648,"2147483647",4294967295]}]}]}`,
    );
    assert.deepEqual(consumers[0].subscriptionDataSet[0].codeSet, [-2147483648, 2147483647, -1]);
  });

  test("takes a client that is in no group", () => {
    assert.deepEqual(decode("{}").consumers, []);
    assert.deepEqual(decode(`{"producerDataSet":null,"consumerDataSet":null}`).producerGroups, []);
  });

  test("refuses what can't be registered", () => {
    assert.throws(() => decodeHeartbeat(null, NOW), MalformedError);
    assert.throws(() => decode("[]"), MalformedError);
    assert.throws(() => decode("{{{"), MalformedError);
    assert.throws(() => decode(`{"producerDataSet":[{"groupName":"p"}]}`), /clientID/);
    assert.throws(() => decode(`{"clientID":"c","producerDataSet":[{}]}`), /groupName/);
    assert.throws(() => decode(`{"clientID":"c","consumerDataSet":[null]}`), /groupName/);
  });
});

describe("decodeCheckClientRequest()", () => {
  test("gives back what encodeCheckClientRequest() was given", () => {
    const request = { clientId: "c", group: "g", subscription: FULL.consumers[0].subscriptionDataSet[0] };
    assert.deepEqual(decodeCheckClientRequest(encodeCheckClientRequest(request), NOW), request);
  });

  test("takes a request without body or subscription", () => {
    assert.equal(decodeCheckClientRequest(null, NOW).subscription, undefined);
    assert.equal(decodeCheckClientRequest(bytes(`{"group":"g"}`), NOW).subscription, undefined);
  });
});
