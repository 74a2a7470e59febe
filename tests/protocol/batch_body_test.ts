// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decodeBatch, encodeBatch } from "../../src/protocol/batch_body.ts";
import { MalformedError } from "../../src/protocol/header.ts";

/** What MessageDecoder.encodeMessages of Apache 5.4.0 made of two messages. */
const FROM_JAVA = Buffer.from(
  "0000003700000000000000000000000000000005626f647930001c4b455953016b300257414954017472756502544147530154616741" +
    "020000003700000000000000000000000100000005626f647931001c4b455953016b310257414954017472756502544147530154" +
    "61674102",
  "hex",
);

describe("batch body", () => {
  test("decodeBatch() reads what Java writes, and encodeBatch() writes the same", () => {
    const parts = decodeBatch(FROM_JAVA);
    assert.deepEqual(parts.map((part) => Buffer.from(part.body).toString()), ["body0", "body1"]);
    assert.deepEqual(parts.map((part) => part.flag), [0, 1]);
    assert.equal(parts[1].properties, "KEYS\x01k1\x02WAIT\x01true\x02TAGS\x01TagA\x02");
    assert.deepEqual(encodeBatch(parts), FROM_JAVA);
  });

  test("a batch whose lengths don't fit is refused", () => {
    for (const at of [0, 16, 25]) {
      for (const value of [-1, 0, 0x7fffffff]) {
        const bytes = Buffer.from(FROM_JAVA);
        bytes.writeInt32BE(value, at);
        assert.throws(() => decodeBatch(bytes), MalformedError);
      }
    }
    assert.throws(() => decodeBatch(FROM_JAVA.subarray(0, FROM_JAVA.length - 1)), MalformedError);
  });

  test("encodeBatch() takes properties up to what their length can tell, and says where there are more", () => {
    const part = (bytes: number) => ({ flag: 0, body: new Uint8Array(1), properties: "k".repeat(bytes) });
    const [decoded] = decodeBatch(encodeBatch([part(32767)]));
    assert.equal(decoded.properties.length, 32767);
    assert.throws(() => encodeBatch([part(1), part(32768)]), /message 1 of the batch has 32768 bytes/);
  });

  test("decodeBatch() takes any bytes without another error", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), (noise, at) => {
      const bytes = Buffer.from(FROM_JAVA);
      bytes.set(noise.subarray(0, bytes.length - at), at);
      try {
        decodeBatch(bytes);
      } catch (error) {
        assert.ok(error instanceof MalformedError);
      }
    }));
  });
});
