// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  compareDoubles,
  parseJavaDouble,
  parseJavaInt,
  parseJavaLong,
} from "../../../src/filter/sql/java_number.ts";

describe("numbers as Java reads them", () => {
  test("integers have their range, a sign, leading zeros, and any script's digits", () => {
    for (
      const [text, value] of [["0", 0], ["-0", 0], ["+7", 7], ["-007", -7], [
        "2147483647",
        2147483647,
      ]] as const
    ) {
      assert.ok(Object.is(parseJavaInt(text), value), text);
    }
    assert.equal(parseJavaInt("-2147483648"), -2147483648);
    assert.equal(parseJavaInt("\uff11\uff12"), 12);
    assert.equal(parseJavaLong("\u0661\u0662"), 12n);
    for (
      const text of ["", "+", "-", "--1", " 1", "1 ", "1.0", "1e3", "0x1", "2147483648", "1_0", "\u00bd"]
    ) {
      assert.equal(parseJavaInt(text), undefined, text);
    }
    assert.equal(parseJavaLong("-9223372036854775808"), -9223372036854775808n);
    assert.equal(parseJavaLong("9223372036854775808"), undefined);
    assert.equal(parseJavaLong("0".repeat(5000)), undefined);
  });

  test("decimals may have blanks around, an exponent, a suffix, or be hexadecimal", () => {
    const table: [string, number][] = [
      ["1", 1],
      ["1.", 1],
      [".5", 0.5],
      ["-1.5e-3", -0.0015],
      [" 2\t", 2],
      ["1d", 1],
      ["1F", 1],
      ["1E400", Infinity],
      ["Infinity", Infinity],
      ["-Infinity", -Infinity],
      ["NaN", NaN],
      ["+NaN", NaN],
      ["-0", -0],
      ["0x1p3", 8],
      ["0X1.8P-1", 0.75],
      ["-0x.8p1", -1],
      ["0x1p-1074", 5e-324],
      ["0x1p-1076", 0],
      ["0x1p2000", Infinity],
      ["0x1.fffffffffffff8p0", 2],
      ["0x1.00000000000008p0", 1],
      ["0x1.00000000000018p0", 1.0000000000000004],
    ];
    for (const [text, value] of table) assert.ok(Object.is(parseJavaDouble(text), value), text);
    for (
      const text of ["", ".", "e5", "1e", "infinity", "nan", "1L", "0x1", "0xp1", "1 2", "\u00a01", "1,5"]
    ) {
      assert.equal(parseJavaDouble(text), undefined, text);
    }
  });

  test("what a number is written as is read back (of -0, nothing tells the sign)", () => {
    fc.assert(fc.property(fc.double(), (value) => Object.is(parseJavaDouble(String(value)), value + 0)));
    fc.assert(fc.property(fc.integer(), (value) => parseJavaInt(String(value)) === value + 0));
    fc.assert(fc.property(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      (value) => parseJavaLong(String(value)) === value,
    ));
  });

  test("decimals are ordered with NaN above all and -0 below 0", () => {
    const ordered = [-Infinity, -1, -0, 0, 1, Infinity, NaN];
    for (const [i, left] of ordered.entries()) {
      for (const [j, right] of ordered.entries()) assert.equal(compareDoubles(left, right), Math.sign(i - j));
    }
  });
});
