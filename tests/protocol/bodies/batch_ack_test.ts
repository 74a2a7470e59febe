// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeBatchAckRequest, encodeBatchAckRequest } from "../../../src/protocol/bodies/batch_ack.ts";

const request = {
  brokerName: "b",
  acks: [{
    ...{ group: "g", topic: "t", retry: "0", startOffset: 100, queueId: 1, reviveQueueId: 2 },
    ...{ popTimeMs: 5, invisibleMs: 6, offsets: [100, 107, 109] },
  }],
};

/** As the class of Apache 5.4.0's clients writes it. */
const TEXT =
  '{"acks":[{"b":"gQI=","c":"g","it":6,"pt":5,"q":1,"r":"0","rq":2,"so":100,"t":"t"}],"brokerName":"b"}';

test("a batch of acknowledgements is the text that clients send", () => {
  assert.equal(new TextDecoder().decode(encodeBatchAckRequest(request)), TEXT);
  assert.deepEqual(decodeBatchAckRequest(new TextEncoder().encode(TEXT)), request);
});

test("long names are read as well", () => {
  const long = '{"acks":[{"bitSet":"AQ==","consumerGroup":"g","invisibleTime":6,"popTime":5,"queueId":1,' +
    '"retry":"1","reviveQueueId":2,"startOffset":100,"topic":"t"}],"brokerName":"b"}';
  const [ack] = decodeBatchAckRequest(new TextEncoder().encode(long)).acks;
  assert.deepEqual(ack, { ...request.acks[0], retry: "1", offsets: [100] });
});

test("a bit set without bits acknowledges nothing, and a giant one no more than a few thousand", () => {
  const acks = (b: string) =>
    decodeBatchAckRequest(new TextEncoder().encode(JSON.stringify({ acks: [{ b }] }))).acks;
  assert.deepEqual(acks("")[0].offsets, []);
  assert.ok(acks("/".repeat(1_000_000))[0].offsets.length < 5000);
});
