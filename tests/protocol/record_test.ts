// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  decodeRecord,
  frameRecord,
  measureRecord,
  type MessageRecord,
  type RecordFields,
  writeRecord,
} from "../../src/protocol/record.ts";

/** What MessageDecoder.encode of Apache 5.4.0 made of the message below, with IPv4 and with IPv6 hosts. */
const FROM_JAVA = Buffer.from(
  "0000008adaa320a77fab723a0000000300000007000000012a05f2000000000165a0bc00000000000000018bcfe5687b0a010203" +
    "0000d4310000018bcfe569c87f00000100002a9f00000002000000000000004d0000000c68656c6c6f2c20776f726c6409546f" +
    "70696354657374001a6772656574696e670168c3a96c6c6f0254414753015461674102",
  "hex",
);
const FROM_JAVA_V6 = Buffer.from(
  "000000a2daa320a77fab723a0000000300000007000000012a05f2000000000165a0bc00000000300000018bcfe5687b00000000" +
    "000000000000000000000001000000010000018bcfe569c820010db800000000000000000000000500002a9f00000002000000" +
    "000000004d0000000c68656c6c6f2c20776f726c6409546f70696354657374001a6772656574696e670168c3a96c6c6f025441" +
    "4753015461674102",
  "hex",
);
const PLACE = { queueOffset: 5_000_000_000, physicalOffset: 6_000_000_000, storeTimestampMs: 1700000000456 };

function message(): RecordFields {
  return {
    topic: "TopicTest",
    queueId: 3,
    flag: 7,
    sysFlag: 0,
    bornTimestampMs: 1700000000123,
    bornHost: { ip: Uint8Array.of(10, 1, 2, 3), port: 54321 },
    storeHost: { ip: Uint8Array.of(127, 0, 0, 1), port: 10911 },
    reconsumeTimes: 2,
    preparedTransactionOffset: 77,
    body: Buffer.from("hello, world"),
    properties: "greeting\u0001héllo\u0002TAGS\u0001TagA\u0002",
  };
}

function encode(fields: RecordFields): Buffer {
  const lengths = measureRecord(fields);
  const bytes = Buffer.alloc(lengths.totalBytes);
  writeRecord(bytes, 0, fields, lengths, PLACE);
  return bytes;
}

describe("record", () => {
  test("writeRecord() writes what Java writes, with IPv4 hosts", () => {
    assert.equal(encode(message()).toString("hex"), FROM_JAVA.toString("hex"));
  });

  test("a time at the end of what Java can count is read, and can be written again", () => {
    const bytes = encode(message());
    bytes.set(Buffer.from("7fffffffffffffff", "hex"), 40);
    const record = decodeRecord(bytes) as MessageRecord;
    assert.ok(record.bornTimestampMs > Number.MAX_SAFE_INTEGER);
    const again = decodeRecord(encode(record)) as MessageRecord;
    assert.ok(again.bornTimestampMs > Number.MAX_SAFE_INTEGER);
  });

  test("writeRecord() writes what Java writes, with IPv6 hosts", () => {
    const bornIp = new Uint8Array(16);
    bornIp[15] = 1;
    const storeIp = Uint8Array.of(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5);
    const fields = {
      ...message(),
      bornHost: { ip: bornIp, port: 1 },
      storeHost: { ip: storeIp, port: 10911 },
    };
    assert.equal(encode(fields).toString("hex"), FROM_JAVA_V6.toString("hex"));
  });

  test("decodeRecord() reads every field back", () => {
    for (const bytes of [FROM_JAVA, FROM_JAVA_V6]) {
      const record = decodeRecord(bytes) as MessageRecord;
      assert.equal(record.topic, "TopicTest");
      assert.equal(record.queueId, 3);
      assert.equal(record.flag, 7);
      assert.equal(record.queueOffset, PLACE.queueOffset);
      assert.equal(record.physicalOffset, PLACE.physicalOffset);
      assert.equal(record.storeTimestampMs, PLACE.storeTimestampMs);
      assert.equal(record.bornTimestampMs, 1700000000123);
      assert.equal(record.reconsumeTimes, 2);
      assert.equal(record.preparedTransactionOffset, 77);
      assert.equal(Buffer.from(record.body).toString(), "hello, world");
      assert.equal(record.properties, message().properties);
      assert.equal(record.storeHost.port, 10911);
    }
  });

  test("a topic beyond 127 bytes makes a v2 record that reads back", () => {
    const topic = "%RETRY%" + "g".repeat(200);
    const bytes = encode({ ...message(), topic });
    assert.equal(bytes.readInt32BE(4), 0xdaa320ab | 0);
    assert.equal((decodeRecord(bytes) as MessageRecord).topic, topic);
  });

  test("frameRecord() names the defect of what is no record", () => {
    const changed = (change: (bytes: Buffer) => void) => {
      const bytes = Buffer.from(FROM_JAVA);
      change(bytes);
      return frameRecord(bytes, 0, true);
    };
    assert.equal(changed((b) => b.fill(0)), "NO_MAGIC");
    assert.equal(changed((b) => b.writeInt32BE(0xcbd43194 | 0, 4)), "BLANK");
    assert.equal(changed((b) => b.writeInt32BE(b.length + 1, 0)), "TRUNCATED");
    assert.equal(changed((b) => b.writeInt32BE(90, 0)), "LENGTHS");
    assert.equal(changed((b) => b.writeInt32BE(-1, 84)), "LENGTHS");
    assert.equal(changed((b) => b.writeInt32BE(0x7fffffff, 84)), "LENGTHS");
    assert.equal(changed((b) => b.writeInt8(-1, 100)), "LENGTHS");
    assert.equal(changed((b) => b.writeInt32BE(0x30, 36)), "LENGTHS");
    assert.equal(changed((b) => b[90] ^= 1), "BODY_CRC");
    assert.equal(frameRecord(FROM_JAVA.subarray(0, 7), 0, true), "TRUNCATED");
  });

  test("frameRecord() takes any bytes without throwing", () => {
    fc.assert(fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(140),
      fc.boolean(),
      (noise, at, behindMagic) => {
        const bytes = Buffer.from(FROM_JAVA);
        bytes.set(noise.subarray(0, Math.max(0, bytes.length - at)), Math.min(at, bytes.length));
        if (behindMagic) FROM_JAVA.copy(bytes, 0, 0, 8);
        const frame = frameRecord(bytes, 0, true);
        if (typeof frame !== "string") assert.ok(frame.propertiesAt + frame.propertiesBytes <= bytes.length);
      },
    ));
  });

  test("any message reads back as it was written", () => {
    const text = fc.string({ unit: "binary", maxLength: 40 });
    fc.assert(fc.property(
      fc.uint8Array({ maxLength: 300 }),
      text,
      text,
      fc.integer(),
      fc.maxSafeNat(),
      (body, topic, properties, flag, bornTimestampMs) => {
        fc.pre(Buffer.from(topic).toString() === topic && Buffer.from(properties).toString() === properties);
        const fields = { ...message(), body, topic, properties, flag, bornTimestampMs };
        const record = decodeRecord(encode(fields)) as MessageRecord;
        assert.deepEqual(
          [Buffer.from(record.body), record.topic, record.properties, record.flag, record.bornTimestampMs],
          [Buffer.from(body), topic, properties, flag, bornTimestampMs],
        );
      },
    ));
  });
});
