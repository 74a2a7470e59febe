// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  bool,
  header,
  int,
  long,
  MalformedError,
  optional,
  text,
  withDefault,
} from "../../src/protocol/header.ts";

const sample = header({
  topic: text,
  queueId: int,
  offset: long,
  force: bool,
  note: optional(text),
  count: withDefault(int, 4),
});

describe("header", () => {
  test("decode() converts, fills in defaults and leaves out what is absent", () => {
    const values = sample.decode({ topic: "t", queueId: "-1", offset: "5000000000", force: "TRUE" });
    assert.deepEqual(values, {
      topic: "t",
      queueId: -1,
      offset: 5e9,
      force: true,
      note: undefined,
      count: 4,
    });
  });

  test("encode() writes what decode() reads", () => {
    const values = { topic: "t", queueId: 3, offset: -1, force: false, note: "n", count: 2 };
    assert.deepEqual(sample.decode(sample.encode(values)), values);
    assert.equal("note" in sample.encode({ ...values, note: undefined }), false);
  });

  test("decode() names the field that is missing or no number", () => {
    const good = { topic: "t", queueId: "1", offset: "2" };
    assert.throws(() => sample.decode(null), /<topic> is null/);
    for (const queueId of ["", " 1", "1.5", "0x10", "1e3", "4294967296", "NaN", "9".repeat(400)]) {
      assert.throws(
        () => sample.decode({ ...good, queueId }),
        (error) => error instanceof MalformedError && error.message.includes("queueId"),
      );
    }
  });

  test("a long beyond the safe range becomes the nearest safe number", () => {
    const offsets = ["9223372036854775807", "-9223372036854775808"].map((offset) =>
      sample.decode({ topic: "t", queueId: "1", offset }).offset
    );
    assert.deepEqual(offsets, [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]);
  });

  test("only the word true is true", () => {
    for (const force of ["1", "yes", "true ", "false"]) {
      assert.equal(sample.decode({ topic: "t", queueId: "1", offset: "2", force }).force, false);
    }
  });
});
