// SPDX-License-Identifier: Apache-2.0
/** The dialect is held against Apache's own classes in tests/interop/filter_verdicts_test.ts; here is what needs no Java. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SqlFilter } from "../../../src/filter/sql/sql_filter.ts";
import { encodeProperties } from "../../../src/protocol/properties.ts";

const matches = (expression: string, properties: Record<string, string> = {}) =>
  new SqlFilter(expression).matches(new Map(Object.entries(properties)));

/** [expression, properties that fulfil it, properties that don't] */
const TABLE: [string, Record<string, string>[], Record<string, string>[]][] = [
  ["a = 'x'", [{ a: "x" }], [{ a: "X" }, {}, { b: "x" }]],
  ["a <> 'x'", [{ a: "y" }], [{ a: "x" }, {}]],
  ["a > 5", [{ a: "6" }, { a: "+06" }], [{ a: "5" }, { a: "5.5" }, { a: "six" }, { a: " 6" }, {
    a: "99999999999",
  }, {}]],
  ["a > 5.0", [{ a: "5.5" }, { a: " 6 " }, { a: "99999999999" }], [{ a: "5" }, { a: "x" }]],
  ["a >= b", [{ a: "10", b: "9" }, { a: "1e2", b: "100" }], [{ a: "9", b: "10" }, { a: "x", b: "y" }, {
    a: "1",
  }]],
  ["a BETWEEN 1 AND 3", [{ a: "1" }, { a: "3" }], [{ a: "0" }, { a: "4" }, {}]],
  ["a NOT BETWEEN 1 AND 3", [{ a: "0" }, { a: "4" }], [{ a: "1" }, {}]],
  ["a IN ('x', 'y')", [{ a: "y" }], [{ a: "z" }, {}]],
  ["a NOT IN ('x', 'y')", [{ a: "z" }], [{ a: "x" }, {}]],
  ["a IS NULL", [{}, { b: "1" }], [{ a: "x" }]],
  ["a IS NOT NULL", [{ a: "x" }], [{}]],
  ["a CONTAINS 'bc'", [{ a: "abcd" }], [{ a: "acbd" }, {}]],
  ["a NOT CONTAINS 'bc'", [{ a: "x" }], [{ a: "abcd" }, {}]],
  ["a STARTSWITH 'ab' AND a ENDSWITH 'cd'", [{ a: "abcd" }], [{ a: "cdab" }]],
  ["a = TRUE", [{ a: "true" }, { a: "TRUE" }], [{ a: "1" }, {}]],
  ["a = FALSE", [{ a: "false" }, { a: "whatever" }], [{ a: "true" }, {}]],
  ["NOT (a = 1)", [{ a: "2" }], [{ a: "1" }, {}, { a: "x" }]],
  ["a = 1 OR b = 1", [{ a: "1" }, { b: "1" }, { a: "1", b: "x" }], [{ a: "2" }, { a: "x", b: "1" }]],
  ["a = 1 AND b = 1 OR c = 1", [{ a: "1", b: "1" }, { c: "1", a: "2" }], [{ a: "1" }]],
  ["A = 'x' and b = 'it''s'", [{ A: "x", b: "it's" }], [{ a: "x", b: "it's" }]],
];

describe("an SQL92 filter", () => {
  for (const [expression, fulfilling, others] of TABLE) {
    test(`decides ${expression}`, () => {
      for (const set of fulfilling) assert.equal(matches(expression, set), true, JSON.stringify(set));
      for (const set of others) assert.equal(matches(expression, set), false, JSON.stringify(set));
    });
  }

  test("takes the last of two properties with one name, as the map of a message does", () => {
    const stored = new TextEncoder().encode("a\u00011\u0002a\u00012\u0002");
    assert.equal(new SqlFilter("a = 2").matchesBytes(stored, 0, stored.length), true);
    assert.equal(new SqlFilter("a = 1").matchesBytes(stored, 0, stored.length), false);
  });

  test("reads properties between two places only, with or without an end at the last", () => {
    const stored = new TextEncoder().encode("zzb\u00011\u0002a\u0001\u4e2d\u6587");
    const filter = new SqlFilter("a = '\u4e2d\u6587' AND b = 1");
    assert.equal(filter.matchesBytes(stored, 2, stored.length), true);
    assert.equal(filter.matchesBytes(stored, 0, stored.length), false);
    assert.equal(filter.matchesBytes(stored, 2, stored.length - 1), false);
  });

  test("finds its properties among many, whether it names few or many", () => {
    const names = Array.from({ length: 40 }, (_, i) => `p${i}`);
    const stored = new TextEncoder().encode(encodeProperties(names.map((name, i) => [name, String(i)])));
    for (const count of [1, 8, 9, 40]) {
      const expression = names.slice(0, count).map((name, i) => `${name} = ${i}`).join(" AND ");
      assert.equal(new SqlFilter(expression).matchesBytes(stored, 0, stored.length), true);
    }
  });

  test("decides stored bytes as it decides the map that they stand for", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 })
      .filter((value) => !value.includes("\u0001") && !value.includes("\u0002"));
    const name = fc.constantFrom("a", "b", "aa", "TAGS", "_x");
    const expression = fc.constantFrom(
      "a = b",
      "a IS NULL OR b > 1",
      "aa CONTAINS 'e'",
      "TAGS <> _x",
      "NOT (a = '1')",
    );
    fc.assert(
      fc.property(expression, fc.array(fc.tuple(name, text), { maxLength: 6 }), (expression, items) => {
        const filter = new SqlFilter(expression);
        const stored = new TextEncoder().encode(encodeProperties(items));
        assert.equal(filter.matchesBytes(stored, 0, stored.length), filter.matches(new Map(items)));
      }),
    );
  });

  test("takes any bytes for properties", () => {
    const filter = new SqlFilter("a = 1 OR b CONTAINS 'x' OR c IS NULL");
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      assert.equal(typeof filter.matchesBytes(bytes, 0, bytes.length), "boolean");
    }));
  });

  test("finds a long text in a hostile one without trying every place", () => {
    const filter = new SqlFilter(`a CONTAINS 'b${"a".repeat(15_000)}'`);
    const properties = new Map([["a", "a".repeat(32_000)]]);
    for (let i = 0; i < 100; i++) assert.equal(filter.matches(properties), false);
    properties.set("a", `xxb${"a".repeat(15_000)}`);
    assert.equal(filter.matches(properties), true);
  });
});
