// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import stringWidth from "string-width";
import { cutMiddle, cutTo, layOut, printable, type Table } from "../../../src/cli/admin/columns.ts";

const plain = (text: string) => text;

const table: Table = {
  columns: [{ head: "NAME", isFlexible: true }, { head: "N", isNumber: true }, {
    head: "MORE",
    isOptional: true,
  }],
  rows: [["a", 1, "x"], ["a-much-longer-name-than-that", 1000, "y"]],
};

test("columns are aligned, numbers to the right, without blanks at the end", () => {
  assert.equal(
    layOut(table, undefined, plain),
    "NAME                             N  MORE\n" +
      "a                                1  x\n" +
      "a-much-longer-name-than-that  1000  y\n",
  );
});

test("where it is narrow, optional columns are left out before names become too short", () => {
  const name = `orders-${"x".repeat(30)}-production`;
  const long: Table = { ...table, rows: [[name, 1000, "more"]] };
  const at = (columns: number) => layOut(long, columns, plain).trimEnd().split("\n");
  assert.match(at(80)[1], /^orders-x+-production {2}1000 {2}more$/);
  assert.match(at(50)[1], /^orders-x+…x*-production {2}1000 {2}more$/);
  assert.match(at(40)[1], /^orders-x+…x*-?production {2}1000$/);
  assert.match(at(30)[1], /^orders-x+…[a-z]*uction {2}1000$/);
  for (const columns of [80, 50, 40, 30]) {
    assert.ok(at(columns).every((line) => line.length <= columns), at(columns).join("\n"));
  }
});

test("what is cut out of a name is its middle", () => {
  assert.equal(cutMiddle("orders-of-europe", 16), "orders-of-europe");
  assert.equal(cutMiddle("orders-of-europe", 10), "orders…ope");
  assert.ok(stringWidth(cutMiddle("订单订单订单订单", 9)) <= 9);
});

test("wide characters count as what they take", () => {
  const wide = layOut(
    { columns: [{ head: "K" }, { head: "V" }], rows: [["订单", "x"], ["ab", "y"]] },
    undefined,
    plain,
  );
  assert.equal(wide, "K     V\n订单  x\nab    y\n");
  assert.equal(cutTo("订单订单", 5), "订单…");
  assert.ok(stringWidth(cutTo("订单订单", 6)) <= 6);
  assert.equal(cutTo("e\u0301e\u0301", 2), "e\u0301e\u0301");
});

test("colours do not count, and nothing in a cell can move the cursor", () => {
  const paint = (text: string) => `<${text}>`;
  const row: Table = {
    columns: [{ head: "A" }, { head: "B" }],
    rows: [[{ text: "x", colour: "red" }, "\x1b[2J\n"]],
  };
  assert.equal(layOut(row, undefined, paint), "<A>  <B>\n<x>  \\u001b[2J\\n\n");
  assert.equal(printable("a\tb\u202fc\u2028"), "a\\tb\u202fc\\u2028");
});
