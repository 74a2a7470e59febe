// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { requireServedExpression, Subscription } from "../../src/broker/subscription.ts";
import type { SubscriptionData } from "../../src/protocol/bodies/subscription_data.ts";
import { RemotingError } from "../../src/remoting/remoting_error.ts";

const parse = (expression: string | undefined, type?: string) => Subscription.parse("t", expression, type, 9);
const data = (given: Partial<SubscriptionData>): SubscriptionData => ({
  topic: "t",
  subString: "*",
  tagsSet: [],
  codeSet: [],
  subVersion: 1,
  expressionType: "TAG",
  classFilterMode: false,
  ...given,
});
const hash = { TagA: 2598919, TagB: 2598920, "Ärger": 184508518 };

describe("Subscription.parse()", () => {
  test("takes everything for *, an empty and an absent expression", () => {
    for (const expression of ["*", "", undefined]) {
      const subscription = parse(expression);
      assert.equal(subscription.subString, "*");
      assert.equal(subscription.filter, undefined);
      assert.equal(subscription.matches(0), true);
      assert.equal(subscription.matches(-5), true);
    }
  });

  test("splits tags at ||, trims them and drops empty and doubled ones", () => {
    const subscription = parse(" TagA ||TagB|| || TagA||Ärger");
    assert.deepEqual(subscription.tagsSet, ["TagA", "TagB", "Ärger"]);
    assert.deepEqual(subscription.codeSet, Object.values(hash));
    assert.equal(subscription.subVersion, 9);
    for (const code of Object.values(hash)) assert.equal(subscription.matches(code), true);
    for (const code of [0, 1, -1]) assert.equal(subscription.matches(code), false);
  });

  test("matches only its tag where there is one", () => {
    const subscription = parse("TagA");
    assert.equal(subscription.matches(hash.TagA), true);
    assert.equal(subscription.matches(hash.TagB), false);
    assert.equal(subscription.matches(0), false);
  });

  test("matches the signed hash of long tags", () => {
    // "polygenelubricants".hashCode() is Integer.MIN_VALUE
    assert.equal(parse("polygenelubricants").matches(-2147483648), true);
  });

  test("refuses an expression that names no tag", () => {
    for (const expression of ["||", "||||"]) {
      assert.throws(() => parse(expression), (error) => error instanceof RemotingError && error.code === 23);
    }
  });

  test("matches nothing for blanks, as at Apache's", () => {
    assert.equal(parse(" ").matches(0), false);
  });

  test("refuses other languages in Apache's words", () => {
    const refusal = (type: string) => ({
      code: 1,
      remark: `The broker does not support consumer to filter message by ${type}`,
    });
    assert.throws(() => requireServedExpression("SQL92", false), refusal("SQL92"));
    for (const isOn of [false, true]) {
      assert.throws(() => requireServedExpression("XX", isOn), refusal("XX"));
      for (const type of [undefined, "", "TAG"]) requireServedExpression(type, isOn);
    }
    requireServedExpression("SQL92", true);
  });

  test("looks into messages for an SQL92 expression", () => {
    const { filter } = parse("color = 'blue' AND weight > 3", "SQL92");
    const matches = (given: Record<string, string>) =>
      filter!.properties!.matches(new Map(Object.entries(given)));
    assert.equal(filter!.matchesEntry(12345), true);
    assert.equal(matches({ color: "blue", weight: "4" }), true);
    assert.equal(matches({ color: "blue", weight: "3" }), false);
    assert.equal(matches({ color: "blue" }), false);
  });

  test("tells where an SQL92 expression goes wrong, each time it is asked", () => {
    const broken = parse("color = 'blue' AND AND x", "SQL92");
    const refusal = (error: unknown) =>
      error instanceof RemotingError && error.code === 23 && /at character 20: "AND"/.test(error.message);
    for (let i = 0; i < 2; i++) assert.throws(() => broken.filter, refusal);
    assert.throws(() => parse("a > 1", "XX").filter, { code: 23 });
    for (const absent of [undefined, ""]) {
      assert.throws(() => parse(absent, "SQL92").filter, { code: 23 });
    }
  });
});

describe("a Subscription of a heartbeat", () => {
  test("matches by the codes that the client gives", () => {
    const subscription = new Subscription(data({ subString: "a||b", tagsSet: ["a", "b"], codeSet: [1, -2] }));
    assert.equal(subscription.matches(1), true);
    assert.equal(subscription.matches(-2), true);
    assert.equal(subscription.matches(97), false);
  });

  test("works out the codes that a client leaves out", () => {
    assert.deepEqual(new Subscription(data({ subString: "TagA||TagB" })).codeSet, [hash.TagA, hash.TagB]);
    assert.deepEqual(new Subscription(data({ subString: "x", tagsSet: ["TagB"] })).codeSet, [hash.TagB]);
  });

  test("takes everything for * and for class filters", () => {
    assert.equal(new Subscription(data({})).filter, undefined);
    assert.equal(new Subscription(data({ subString: "com.Filter", classFilterMode: true })).matches(7), true);
  });

  test("is kept as it is when it is no tag expression", () => {
    const sql = data({ subString: "a > 1", expressionType: "SQL92" });
    const subscription = new Subscription(sql);
    assert.deepEqual({ ...subscription }, sql);
    assert.equal(subscription.matches(0), true);
  });
});
