// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  decodeLockBatch,
  decodeLockedQueues,
  encodeLockBatch,
  encodeLockedQueues,
} from "../../../src/protocol/bodies/lock_batch.ts";
import { MalformedError } from "../../../src/protocol/header.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const QUEUES = [{ brokerName: "b", queueId: 3, topic: "t" }];

describe("decodeLockBatch()", () => {
  test("gives back what encodeLockBatch() was given", () => {
    const batch = { consumerGroup: "g", clientId: "c", onlyThisBroker: true, queues: QUEUES };
    assert.deepEqual(decodeLockBatch(encodeLockBatch(batch)), batch);
  });

  test("takes a request for nothing, even without names", () => {
    assert.deepEqual(decodeLockBatch(bytes("{}")).queues, []);
    assert.deepEqual(decodeLockBatch(bytes(`{"consumerGroup":"g","clientId":"c","mqSet":null}`)).queues, []);
  });

  test("refuses queues for nobody, and what is no object", () => {
    assert.throws(() => decodeLockBatch(bytes(`{"clientId":"c","mqSet":[{"topic":"t"}]}`)), MalformedError);
    assert.throws(
      () => decodeLockBatch(bytes(`{"consumerGroup":"g","mqSet":[{"topic":"t"}]}`)),
      MalformedError,
    );
    assert.throws(() => decodeLockBatch(null), MalformedError);
  });
});

describe("encodeLockedQueues()", () => {
  test("writes what clients of 5.4.0 are sent", () => {
    const text = new TextDecoder().decode(encodeLockedQueues(QUEUES));
    assert.equal(text, `{"lockOKMQSet":[{"brokerName":"b","queueId":3,"topic":"t"}]}`);
    assert.deepEqual(decodeLockedQueues(bytes(text)), QUEUES);
  });

  test("writes an empty list where nothing is locked", () => {
    assert.equal(new TextDecoder().decode(encodeLockedQueues([])), `{"lockOKMQSet":[]}`);
  });
});
