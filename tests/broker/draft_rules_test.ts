// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { requireBuiltKind, requirePlain } from "../../src/broker/draft_rules.ts";
import { RemotingError } from "../../src/remoting/remoting_error.ts";

interface Kind {
  properties?: Record<string, string>;
  sysFlag?: number;
  reconsumeTimes?: number;
}

/** 0 where the message is taken. */
function codeFor({ properties = {}, sysFlag = 0, reconsumeTimes = 0 }: Kind): number {
  try {
    requireBuiltKind(sysFlag, reconsumeTimes, new Map(Object.entries(properties)));
    return 0;
  } catch (error) {
    assert.ok(error instanceof RemotingError);
    return error.code;
  }
}

describe("requireBuiltKind()", () => {
  test("takes plain and delayed messages, compressed or with hosts of any kind", () => {
    for (const sysFlag of [0, 0x1, 0x2, 0x10, 0x20, 0x100, 0x701]) assert.equal(codeFor({ sysFlag }), 0);
    assert.equal(codeFor({ properties: { DELAY: "3", TAGS: "a", TRAN_MSG: "false" } }), 0);
  });

  test("takes half messages, by their property", () => {
    for (const TRAN_MSG of ["true", "True", "TRUE"]) {
      assert.equal(codeFor({ properties: { TRAN_MSG }, sysFlag: 4 }), 0);
    }
    for (const sysFlag of [4, 8, 12, 0x14]) assert.equal(codeFor({ sysFlag }), 13);
  });

  test("takes a message of a transaction as a retry only with a delay and a count of tries", () => {
    const retry = { properties: { DELAY: "3" }, sysFlag: 8, reconsumeTimes: 1 };
    assert.equal(codeFor(retry), 0);
    assert.equal(codeFor({ ...retry, reconsumeTimes: 0 }), 13);
    assert.equal(codeFor({ ...retry, properties: {} }), 13);
    assert.equal(codeFor({ ...retry, properties: { DELAY: "0" } }), 13);
  });

  test("refuses several queues and inner batches with MESSAGE_ILLEGAL", () => {
    for (const name of ["INNER_MULTI_DISPATCH", "INNER_NUM"]) {
      assert.equal(codeFor({ properties: { [name]: "1" } }), 13, name);
    }
    for (const sysFlag of [0x40, 0x80]) assert.equal(codeFor({ sysFlag }), 13);
  });

  test("refuses a delay level that is no number with MESSAGE_ILLEGAL", () => {
    assert.equal(codeFor({ properties: { DELAY: "soon" } }), 13);
  });
});

test("requirePlain() refuses delay levels above 0, times of delivery, and half messages", () => {
  const check = (properties: Record<string, string>) => requirePlain(new Map(Object.entries(properties)));
  check({});
  check({ DELAY: "0", TRAN_MSG: "false" });
  check({ DELAY: "-1" });
  assert.throws(() => check({ DELAY: "1" }), RemotingError);
  assert.throws(() => check({ TRAN_MSG: "true" }), RemotingError);
  for (const name of ["TIMER_DELAY_SEC", "TIMER_DELAY_MS", "TIMER_DELIVER_MS"]) {
    assert.throws(() => check({ [name]: "1" }), RemotingError);
  }
});
