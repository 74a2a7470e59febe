// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CheckPoint,
  checkPointKey,
  decodeAck,
  decodeBatchAck,
  decodeCheckPoint,
  encodeAck,
  encodeBatchAck,
  encodeCheckPoint,
} from "../../../src/protocol/bodies/check_point.ts";
import { MalformedError } from "../../../src/protocol/header.ts";

const batch = {
  ...{ topic: "T", group: "G", queueId: 2, startOffset: 100 },
  ...{ popTimeMs: 1_700_000_000_000, brokerName: "broker-a" },
};

const checkPoint: CheckPoint = {
  ...{ ...batch, invisibleMs: 60_000, offsets: [100, 101, 105], acked: 0, rePutTimes: 0 },
};

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (body: Uint8Array) => new TextDecoder().decode(body);

test("a check point is the text that Apache 5.4.0 writes", () => {
  assert.equal(
    text(encodeCheckPoint(checkPoint)),
    '{"bm":0,"bn":"broker-a","c":"G","d":[0,1,5],"it":60000,"n":3,"pt":1700000000000,"q":2,' +
      '"reviveTime":1700000060000,"ro":0,"so":100,"t":"T"}',
  );
  assert.deepEqual(decodeCheckPoint(encodeCheckPoint(checkPoint)), checkPoint);
});

test("a check point that was stored anew counts it", () => {
  const again = { ...checkPoint, rePutTimes: 2 };
  assert.match(text(encodeCheckPoint(again)), /"rp":"2"/);
  assert.deepEqual(decodeCheckPoint(encodeCheckPoint(again)), again);
});

test("a check point without distances has its messages one after the other", () => {
  const body = bytes('{"c":"G","n":3,"q":0,"so":7,"t":"T","pt":1,"it":2,"bn":"b"}');
  assert.deepEqual(decodeCheckPoint(body).offsets, [7, 8, 9]);
});

test("a check point with long names is read", () => {
  const long = '{"bitMap":1,"brokerName":"b","cId":"G","invisibleTime":8,"num":2,"popTime":7,"queueId":1,' +
    '"queueOffsetDiff":[0,2],"reviveOffset":0,"reviveTime":15,"startOffset":9,"topic":"T"}';
  assert.deepEqual(decodeCheckPoint(bytes(long)), {
    ...{ topic: "T", group: "G", queueId: 1, startOffset: 9, popTimeMs: 7, brokerName: "b" },
    ...{ invisibleMs: 8, offsets: [9, 11], acked: 1, rePutTimes: 0 },
  });
});

test("acknowledgements are the texts that Apache 5.4.0 writes", () => {
  const names = '"bn":"broker-a","c":"G","pt":1700000000000,"q":2,"so":100,"t":"T"}';
  assert.equal(text(encodeAck(batch, 101)), `{"ao":101,${names}`);
  assert.equal(text(encodeBatchAck(batch, [100, 105])), `{"ao":-1,"aol":[100,105],${names}`);
  assert.deepEqual(decodeAck(encodeAck(batch, 101)), { ...batch, offsets: [101] });
  assert.deepEqual(decodeBatchAck(encodeBatchAck(batch, [100, 105])), { ...batch, offsets: [100, 105] });
});

test("acknowledgements with long names are read", () => {
  const long = '"startOffset":1,"consumerGroup":"G","topic":"T","queueId":2,"popTime":3,"brokerName":"b"}';
  const names = { topic: "T", group: "G", queueId: 2, startOffset: 1, popTimeMs: 3, brokerName: "b" };
  assert.deepEqual(decodeAck(bytes(`{"ackOffset":5,${long}`)), { ...names, offsets: [5] });
  assert.deepEqual(decodeBatchAck(bytes(`{"ackOffsetList":[5,6],${long}`)), { ...names, offsets: [5, 6] });
});

test("what names no topic or group, or too many messages, is refused", () => {
  for (const body of ["{}", '{"t":"T"}', '{"c":"G"}', '{"t":"T","c":"G","n":33}', "x", ""]) {
    assert.throws(() => decodeCheckPoint(bytes(body)), MalformedError, body);
  }
  assert.throws(() => decodeAck(bytes("{}")), MalformedError);
});

test("a check point and its acknowledgements have the same key, another pop of the messages has not", () => {
  assert.equal(checkPointKey(checkPoint), checkPointKey(decodeAck(encodeAck(batch, 105))));
  assert.notEqual(checkPointKey(checkPoint), checkPointKey({ ...batch, popTimeMs: 1 }));
});
