// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MalformedError } from "../../src/protocol/header.ts";
import { ObjectKeyedMap, parseJson, parseJsonObject, stringifyJson } from "../../src/protocol/java_json.ts";

describe("java_json", () => {
  test("parseJson() reads what fastjson writes", () => {
    assert.deepEqual(parseJson('{"brokerAddrs":{0:"127.0.0.1:10911",1:"b:1"}}'), {
      brokerAddrs: { 0: "127.0.0.1:10911", 1: "b:1" },
    });
    assert.deepEqual(parseJson('{"offsetTable":{{"queueId":0,"topic":"T"}:7}}'), {
      offsetTable: { '{"queueId":0,"topic":"T"}': 7 },
    });
    assert.deepEqual(parseJson("{a:'it\\'s \"so\"',b:[1,,2,],c:null,-5:true}"), {
      a: 'it\'s "so"',
      b: [1, 2],
      c: null,
      "-5": true,
    });
    assert.deepEqual(parseJson('{"t":"x\\u0001y",1:2}\n'), { t: "x\u0001y", 1: 2 });
  });

  test("parseJson() reads all plain JSON as JSON.parse does", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      assert.deepEqual(parseJson(text), JSON.parse(text));
    }));
  });

  test("the lenient reader agrees with JSON.parse once a key is unquoted", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      assert.deepEqual((parseJson(`{1:${text}}`) as { 1: unknown })[1], JSON.parse(text));
    }));
  });

  test("parseJson() refuses what is not JSON, and what is nested without end", () => {
    for (
      const text of [
        "",
        "{",
        "[1",
        '{"a"}',
        "{a:}",
        "{1:2}x",
        "'open",
        "@",
        "[".repeat(100_000),
        "{a:".repeat(9999),
      ]
    ) {
      assert.throws(() => parseJson(text), MalformedError);
    }
  });

  test("parseJson() takes any text without another error", () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(..."{}[]:,'\"\\a1 nulltrue-.") }), (text) => {
      try {
        parseJson(text);
      } catch (error) {
        assert.ok(error instanceof MalformedError);
      }
    }));
  });

  test("a key named __proto__ stays a key", () => {
    const parsed = parseJson("{__proto__:{x:1}}") as Record<string, unknown>;
    assert.deepEqual(Object.keys(parsed), ["__proto__"]);
    assert.equal(parsed.x, undefined);
  });

  test("parseJsonObject() refuses other values", () => {
    for (const text of ["[]", "1", "null"]) assert.throws(() => parseJsonObject(text), MalformedError);
    assert.throws(() => parseJsonObject(null), MalformedError);
  });

  test("stringifyJson() leaves out what is null and writes object keys bare", () => {
    assert.equal(stringifyJson({ a: null, b: undefined, c: [1, "x"] }), '{"c":[1,"x"]}');
    assert.equal(stringifyJson(new ObjectKeyedMap([[{ queueId: 0 }, 7]])), '{{"queueId":0}:7}');
    assert.equal(stringifyJson(new Map([[1, "a"]])), '{"1":"a"}');
    assert.equal(stringifyJson(new Set(["a"])), '["a"]');
  });
});
