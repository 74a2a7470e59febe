// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import {
  bytesOfText,
  editProperties,
  parseProperties,
  PropertiesSyntaxError,
  textOfBytes,
  writeProperties,
} from "../../src/config/properties_file.ts";

/** Texts, and what java.util.Properties (Java 17) read from their bytes; null where it threw. */
const fromJava: { text: string; properties: Record<string, string> | null }[] = JSON.parse(
  readFileSync(new URL("java_properties.json", import.meta.url), "utf8"),
);

function read(text: string): Record<string, string> {
  return Object.fromEntries(parseProperties(text).map(({ key, value }) => [key, value]));
}

test("parseProperties() reads what Java reads", () => {
  assert.ok(fromJava.length > 300);
  for (const { text, properties } of fromJava) {
    if (properties === null) {
      assert.throws(() => parseProperties(text), PropertiesSyntaxError, JSON.stringify(text));
    } else {
      assert.deepEqual(read(text), properties, JSON.stringify(text));
    }
  }
});

test("parseProperties() throws nothing but syntax errors, whatever the bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    try {
      parseProperties(textOfBytes(bytes));
    } catch (error) {
      assert.ok(error instanceof PropertiesSyntaxError);
    }
  }));
});

/** Characters that mean something, and some that don't. */
const lively = fc.string({
  unit: fc.constantFrom(..."ab=: \t\f\\\n\r#!u0é你😀\u0000\u007f"),
  maxLength: 12,
});

test("what writeProperties() writes is read as the same", () => {
  fc.assert(fc.property(fc.dictionary(lively, lively), (properties) => {
    const text = writeProperties(Object.entries(properties));
    assert.deepEqual(read(text), { ...properties });
    assert.match(text, /^[\x20-\x7e\n]*$/);
  }));
});

test("comments, blank lines and other line ends change nothing", () => {
  fc.assert(
    fc.property(fc.dictionary(lively, lively), fc.constantFrom("\n", "\r", "\r\n"), (properties, lineEnd) => {
      const lines = writeProperties(Object.entries(properties)).split("\n");
      const text = lines.flatMap((line) => ["# x=1 \\", "", ` \t${line}`]).join(lineEnd);
      assert.deepEqual(read(text), { ...properties });
    }),
  );
});

test("writeProperties() sorts, and escapes no more than needed", () => {
  const text = writeProperties([["b", "C:\\a"], ["a", " 127.0.0.1:9876;x=y "], ["k y", "é"]]);
  assert.equal(text, "a=\\ 127.0.0.1:9876;x=y \nb=C:\\\\a\nk\\ y=\\u00e9\n");
});

test("parseProperties() tells the line on which a key starts", () => {
  const properties = parseProperties("# one\n\na=1\\\n  2\\\n\nb=3\r\nc=4");
  assert.deepEqual(properties.map(({ key, value, line }) => [key, value, line]), [
    ["a", "12", 3],
    ["b", "3", 6],
    ["c", "4", 7],
  ]);
  const { line } = captured(() => parseProperties("a=1\nb=\\u12"));
  assert.equal(line, 2);
});

function captured(action: () => unknown): PropertiesSyntaxError {
  try {
    action();
  } catch (error) {
    if (error instanceof PropertiesSyntaxError) return error;
  }
  throw new assert.AssertionError({ message: "no syntax error" });
}

test("editProperties() keeps comments, order and line ends", () => {
  const text = "# head\r\na = 1\r\n\r\n# about b\r\nb : 2 \\\r\n   3\r\nc=4\r\n";
  const edited = editProperties(text, new Map([["b", "x"], ["z", "new"], ["y", "newer"]]));
  assert.equal(edited, "# head\r\na = 1\r\n\r\n# about b\r\nb=x\r\nc=4\r\ny=newer\nz=new\n");
});

test("editProperties() changes the line that counts when a key stands twice", () => {
  assert.equal(editProperties("a=1\na=2\n", new Map([["a", "3"]])), "a=1\na=3\n");
});

test("after editProperties() a text says the changes, and everything else as before", () => {
  // A lone backslash at the very end is an empty key only as long as nothing follows it.
  const texts = fromJava.filter(({ text, properties }) =>
    properties && !/(^|[\r\n])[ \t\f]*\\[\r\n]?$/.test(text)
  );
  const anyText = fc.constantFrom(...texts.map(({ text }) => text));
  fc.assert(fc.property(anyText, fc.dictionary(lively, lively), (text, changes) => {
    const edited = editProperties(text, new Map(Object.entries(changes)));
    assert.deepEqual(read(edited), { ...read(text), ...changes });
  }));
});

test("bytes and text are the same in both directions", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
  assert.deepEqual(new Uint8Array(bytesOfText(textOfBytes(bytes))), bytes);
});
