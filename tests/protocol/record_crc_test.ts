// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { decodeRecord, measureRecord, type RecordFields, writeRecord } from "../../src/protocol/record.ts";
import { isRecordCrcRight } from "../../src/protocol/record_crc.ts";

const HOST = { ip: Uint8Array.of(127, 0, 0, 1), port: 10911 };

function encode(properties: string, at = 0): { bytes: Buffer; totalBytes: number } {
  const fields: RecordFields = {
    ...{ topic: "T", queueId: 1, flag: 0, sysFlag: 0, bornTimestampMs: 1, bornHost: HOST, storeHost: HOST },
    ...{ reconsumeTimes: 0, preparedTransactionOffset: 0, body: Buffer.from("body"), properties },
  };
  const lengths = measureRecord(fields, true);
  const bytes = Buffer.alloc(at + lengths.totalBytes);
  writeRecord(bytes, at, fields, lengths, { queueOffset: 5, physicalOffset: 7, storeTimestampMs: 9 });
  return { bytes, totalBytes: lengths.totalBytes };
}

test("the checksum is the last property, its digits backwards, over all before it", () => {
  for (const properties of ["", "a\u00011\u0002", "a\u00011"]) {
    const { bytes, totalBytes } = encode(properties);
    const record = decodeRecord(bytes);
    assert.ok(typeof record === "object");
    const item = record.properties.slice(-20);
    assert.ok(item.startsWith("__CRC32#\u0001") && item.endsWith("\u0002"), JSON.stringify(item));
    const digits = Number([...item.slice(9, 19)].reverse().join(""));
    assert.equal(digits, crc32(bytes.subarray(0, totalBytes - 20)) & 0x7fffffff);
    const before = record.properties.slice(0, -20);
    assert.equal(before, properties === "a\u00011" ? `${properties}\u0002` : properties);
    assert.equal(isRecordCrcRight(bytes, 0, totalBytes), true);
  }
});

test("no changed bit of a record goes unseen", () => {
  const { bytes, totalBytes } = encode("a\u00011\u0002", 3);
  for (let bit = 0; bit < totalBytes * 8; bit++) {
    const at = 3 + (bit >> 3);
    bytes[at] ^= 1 << (bit & 7);
    assert.notEqual(isRecordCrcRight(bytes, 3, totalBytes), true, `bit ${bit}`);
    bytes[at] ^= 1 << (bit & 7);
  }
  assert.equal(isRecordCrcRight(bytes, 3, totalBytes), true);
});

test("a record without the item has none, however short it is", () => {
  assert.equal(isRecordCrcRight(Buffer.alloc(100), 0, 100), undefined);
  assert.equal(isRecordCrcRight(Buffer.alloc(10), 0, 10), undefined);
});
