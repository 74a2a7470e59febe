// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ExpressionError } from "../../../src/filter/sql/expression_error.ts";
import { MAX_EXPRESSION_CHARACTERS, parseExpression } from "../../../src/filter/sql/parser.ts";
import { SqlFilter } from "../../../src/filter/sql/sql_filter.ts";

const refusal = (text: string): string => {
  try {
    parseExpression(text);
  } catch (error) {
    assert.ok(error instanceof ExpressionError, String(error));
    return error.message;
  }
  return "accepted";
};

describe("parseExpression()", () => {
  test("tells at which character an expression goes wrong, and what is wrong there", () => {
    const table: [string, RegExp][] = [
      ["", /^at character 1: the expression ends where a property, a value/],
      ["a = ", /^at character 5: the expression ends/],
      ["a = 'x", /^at character 5: the string that begins here has no end$/],
      ["a = 1 AND # b", /^at character 11: "#" can't stand in an expression$/],
      ["a = NULL", /^at character 5: nothing equals NULL; write IS NULL$/],
      ["a > 'x'", /^at character 5: strings have no order/],
      ["a > 1 > 0", /^at character 1: truth values have no order$/],
      ["a BETWEEN 5 AND 1", /^at character 11: the range's lower limit is above/],
      ["a BETWEEN 1, 5", /^at character 12: "," stands where AND is expected$/],
      ["a IN (1)", /^at character 7: "1" stands where a string in single quotes is expected$/],
      ["1 IN ('1')", /^at character 1: IN takes a property at its left$/],
      ["'x'", /^at character 1: what begins here is neither true nor false$/],
      ["a = 1 OR 5", /^at character 10: what begins here is neither true nor false$/],
      ["a = 99999999999999999999", /^at character 5: the number is too large$/],
      ["a > 0.0", /^at character 5: the number is too small/],
      ["a NOT 5", /^at character 7: "5" stands where BETWEEN, IN, CONTAINS/],
      ["(a = 1", /^at character 7: the expression ends where \) is expected$/],
      ["a IS 5", /^at character 6: "5" stands where NULL is expected$/],
    ];
    for (const [expression, message] of table) assert.match(refusal(expression), message, expression);
  });

  test("ignores what follows a complete expression, as Apache does", () => {
    assert.equal(new SqlFilter("a = 1 b = 2").matches(new Map([["a", "1"]])), true);
    assert.match(refusal("a = 1 @"), /at character 7/);
  });

  test("refuses what is too long or too deep, and never overflows the stack", () => {
    assert.match(refusal("a".repeat(MAX_EXPRESSION_CHARACTERS + 1)), /65537 characters; 65536 are allowed/);
    for (const begin of ["(", "NOT ", "-", "+", "- ("]) {
      assert.match(refusal(begin.repeat(10_000) + "a = 1"), /nested deeper than 200 levels/, begin);
    }
    for (const step of [" = a", " IS NULL", " CONTAINS 'x'"]) {
      assert.match(refusal("a" + step.repeat(5_000)), /nested deeper than 200 levels/, step);
    }
  });

  test("takes long rows of AND, OR and IN", () => {
    const row = (word: string, part: string) => Array.from({ length: 5_000 }, () => part).join(word);
    assert.equal(new SqlFilter(row(" OR ", "a = 1")).matches(new Map([["a", "1"]])), true);
    assert.equal(new SqlFilter(row(" AND ", "a = 1")).matches(new Map([["a", "1"]])), true);
    assert.equal(new SqlFilter(`a IN ('x', ${row(", ", "'y'")})`).matches(new Map([["a", "y"]])), true);
    assert.equal(refusal(`${"(".repeat(150)}a = 1${")".repeat(150)}`), "accepted");
  });

  test("takes any text at all, or says where it goes wrong", () => {
    const word = fc.constantFrom(
      ...[
        "a",
        "b",
        "NOT ",
        " AND ",
        " OR ",
        "(",
        ")",
        "=",
        "<>",
        ">",
        " IS NULL",
        " IN ('x')",
        " BETWEEN 1 AND 2",
        "'",
        "1",
        "1.5",
        "-",
      ],
      ...[
        " CONTAINS 'x'",
        "--",
        "\n",
        "/*",
        "*/",
        ",",
        " ",
        "TRUE",
        "NULL",
        "@",
        "\ud83d\ude00",
        "\ud800",
        "E5",
        "L",
        ".",
      ],
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(word, { maxLength: 20 }).map((words) => words.join("")),
    );
    fc.assert(
      fc.property(text, (text) => {
        const message = refusal(text);
        const place = /^at character ([0-9]+): /.exec(message);
        assert.ok(message === "accepted" || (Number(place![1]) >= 1 && Number(place![1]) <= text.length + 1));
      }),
      { numRuns: 2000 },
    );
  });

  test("reads back what it would be written as", () => {
    const leaf = fc.constantFrom("a = 1", "b > 2.5", "c IN ('x')", "d IS NULL", "e CONTAINS 'y'", "f");
    const tree = fc.letrec<{ node: string }>((tie) => ({
      node: fc.oneof(
        { depthSize: "small" },
        leaf,
        tie("node").map((node) => `NOT (${node})`),
        fc.tuple(tie("node"), tie("node")).map(([left, right]) => `(${left}) AND (${right})`),
        fc.tuple(tie("node"), tie("node")).map(([left, right]) => `(${left}) OR (${right})`),
      ),
    })).node;
    fc.assert(fc.property(tree, (text) => {
      assert.deepEqual(parseExpression(`((${text}))`), parseExpression(text));
      assert.deepEqual(parseExpression(text.replaceAll(" ", " /* blank */ \t")), parseExpression(text));
    }));
  });
});
