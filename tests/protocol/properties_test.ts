// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  appendProperty,
  encodeProperties,
  parseProperties,
  PropertyText,
  removeProperty,
} from "../../src/protocol/properties.ts";

describe("properties", () => {
  test("parseProperties() reads with and without the last separator", () => {
    const expected = [["a", "1"], ["b", "2"]];
    assert.deepEqual([...parseProperties("a\x011\x02b\x012\x02")], expected);
    assert.deepEqual([...parseProperties("a\x011\x02b\x012")], expected);
    assert.deepEqual([...parseProperties("")], []);
  });

  test("parseProperties() drops pairs without name, value or separator", () => {
    assert.deepEqual([...parseProperties("\x011\x02b\x01\x02c\x02\x02d\x014")], [["d", "4"]]);
  });

  test("parseProperties() splits a pair at its first separator", () => {
    assert.deepEqual([...parseProperties("a\x011\x012\x02")], [["a", "1\x012"]]);
  });

  test("encodeProperties() writes what parseProperties() reads", () => {
    const properties = new Map([["KEYS", "k1 k2"], ["grüße", "höhe"]]);
    assert.deepEqual(parseProperties(encodeProperties(properties)), properties);
  });

  test("appendProperty() separates from an item that lacks its end", () => {
    assert.equal(appendProperty("a\x011", "b", "2"), "a\x011\x02b\x012\x02");
    assert.equal(appendProperty("", "b", "2"), "b\x012\x02");
  });

  test("removeProperty() removes by the whole name only", () => {
    assert.equal(
      removeProperty("POP_CK_OFFSET\x011\x02POP_CK\x012\x02x\x013", "POP_CK"),
      "POP_CK_OFFSET\x011\x02x\x013\x02",
    );
    assert.equal(removeProperty("a\x011", "b"), "a\x011");
  });
});

test("PropertyText says what the parsed map says, for any text", () => {
  const part = fc.constantFrom("\u0001", "\u0002", "A", "AB", "B", "value", "");
  fc.assert(fc.property(fc.array(part, { maxLength: 14 }), (parts) => {
    const text = parts.join("");
    const map = parseProperties(text);
    const lazy = new PropertyText(text);
    for (const name of ["A", "AB", "B", "value", "AA"]) {
      assert.equal(lazy.get(name), map.get(name), JSON.stringify([text, name]));
      assert.equal(lazy.has(name), map.has(name));
    }
    assert.deepEqual([...new PropertyText(text)], [...map]);
    assert.equal(new PropertyText(text).size, map.size);
  }));
});
