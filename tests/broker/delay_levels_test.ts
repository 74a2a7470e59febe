// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { delayLevelOf, withDelay } from "../../src/broker/delay_levels.ts";
import { parseProperties } from "../../src/protocol/properties.ts";
import { draft } from "../harness/store.ts";

const delayed = (DELAY: string, more: Record<string, string> = {}) =>
  draft("T", "hello", { queueId: 3, propertyMap: new Map(Object.entries({ DELAY, ...more })) });

describe("delayLevelOf()", () => {
  test("reads what Java reads as an int", () => {
    const read = (DELAY: string) => delayLevelOf(new Map([["DELAY", DELAY]]));
    assert.equal(delayLevelOf(new Map()), 0);
    for (const [text, level] of [["0", 0], ["3", 3], ["+3", 3], ["-3", -3], ["007", 7]] as const) {
      assert.equal(read(text), level);
    }
    assert.equal(read("2147483647"), 2147483647);
    assert.equal(read("-2147483648"), -2147483648);
    for (const text of ["", " 3", "3 ", "3.0", "1e1", "x", "+", "2147483648", "1".repeat(400), "３"]) {
      assert.ok(Number.isNaN(read(text)), text);
    }
  });

  test("takes any text", () => {
    fc.assert(fc.property(fc.string(), (DELAY) => {
      const level = delayLevelOf(new Map([["DELAY", DELAY]]));
      assert.ok(Number.isNaN(level) || level === (level | 0));
    }));
  });
});

describe("withDelay()", () => {
  test("leaves a message alone that is not delayed", () => {
    const plain = draft("T", "hello");
    assert.equal(withDelay(plain, 18), plain);
    for (const level of ["0", "-1", "x"]) {
      const message = delayed(level);
      assert.equal(withDelay(message, 18), message);
    }
  });

  test("sends a delayed one to the queue of its level, and keeps where it belongs", () => {
    const { topic, queueId, propertyMap, properties, body } = withDelay(delayed("5", { k: "v" }), 18);
    assert.deepEqual({ topic, queueId }, { topic: "SCHEDULE_TOPIC_XXXX", queueId: 4 });
    assert.equal(propertyMap.get("DELAY"), "5");
    assert.equal(propertyMap.get("REAL_TOPIC"), "T");
    assert.equal(propertyMap.get("REAL_QID"), "3");
    assert.equal(propertyMap.get("k"), "v");
    assert.deepEqual(parseProperties(properties), propertyMap);
    assert.equal(new TextDecoder().decode(body), "hello");
  });

  test("takes the last level where there are fewer", () => {
    const { queueId, propertyMap } = withDelay(delayed("5"), 2);
    assert.equal(queueId, 1);
    assert.equal(propertyMap.get("DELAY"), "2");
  });

  test("does not change the message that it is given", () => {
    const message = delayed("5", { TIMER_DELAY_SEC: "1" });
    const before = new Map(message.propertyMap);
    const { propertyMap } = withDelay(message, 18);
    assert.equal(propertyMap.has("TIMER_DELAY_SEC"), false);
    assert.deepEqual(message.propertyMap, before);
    assert.equal(message.topic, "T");
  });
});
