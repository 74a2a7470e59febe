// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { halfOf } from "../../../src/broker/transactions/half.ts";
import { isTooLate, judge, nextLookMs } from "../../../src/broker/transactions/judge.ts";
import { encodeProperties } from "../../../src/protocol/properties.ts";
import type { MessageRecord } from "../../../src/protocol/record.ts";

const NOW_MS = 1_700_000_000_000;
const SETTINGS = {
  transactionTimeoutMs: 6000,
  transactionCheckMax: 15,
  transactionCheckIntervalMs: 30_000,
  fileReservedHours: 72,
};

function half(ageMs: number, properties: Record<string, string> = {}, storedAgeMs = ageMs) {
  const all = { REAL_TOPIC: "T", REAL_QID: "0", PGROUP: "g", ...properties };
  return halfOf({
    bornTimestampMs: NOW_MS - ageMs,
    storeTimestampMs: NOW_MS - storedAgeMs,
    properties: encodeProperties(Object.entries(all)),
  } as MessageRecord)!;
}

const verdict = (...of: Parameters<typeof half>) => judge(half(...of), NOW_MS, SETTINGS, () => true);

test("a half is asked about when it is older than the timeout", () => {
  assert.equal(verdict(6000), "YOUNG");
  assert.equal(verdict(6001), "ASK");
});

test("a half without live producers waits, however often it is looked at", () => {
  assert.equal(judge(half(3_600_000), NOW_MS, SETTINGS, () => false), "WAIT");
});

test("a half is given up after the last question, or when it is older than log files are kept", () => {
  assert.equal(verdict(60_000, { TRANSACTION_CHECK_TIMES: "14" }), "ASK");
  assert.equal(verdict(60_000, { TRANSACTION_CHECK_TIMES: "15" }), "GIVE_UP");
  assert.equal(verdict(60_000, { TRANSACTION_CHECK_TIMES: "what" }), "ASK");
  assert.equal(verdict(72 * 3_600_000 + 1), "GIVE_UP");
  assert.equal(judge(half(72 * 3_600_000 + 1), NOW_MS, SETTINGS, () => false), "GIVE_UP");
});

test("every half is asked about once, whatever the maximum", () => {
  const settings = { ...SETTINGS, transactionCheckMax: 0 };
  assert.equal(judge(half(1000), NOW_MS, settings, () => true), "YOUNG");
  assert.equal(judge(half(7000), NOW_MS, settings, () => true), "ASK");
  assert.equal(judge(half(7000, { TRANSACTION_CHECK_TIMES: "1" }), NOW_MS, settings, () => true), "GIVE_UP");
});

test("a producer may want to be asked sooner or later than others", () => {
  assert.equal(verdict(9000, { CHECK_IMMUNITY_TIME_IN_SECONDS: "10" }), "WAIT");
  assert.equal(verdict(10_001, { CHECK_IMMUNITY_TIME_IN_SECONDS: "10" }), "ASK");
  assert.equal(verdict(1001, { CHECK_IMMUNITY_TIME_IN_SECONDS: "1" }), "ASK");
  for (const none of ["-1", "soon", ""]) {
    assert.equal(verdict(5000, { CHECK_IMMUNITY_TIME_IN_SECONDS: none }), "YOUNG");
    assert.equal(verdict(7000, { CHECK_IMMUNITY_TIME_IN_SECONDS: none }), "ASK");
  }
});

test("a producer whose clock is ahead is asked as late as others", () => {
  assert.equal(verdict(-3_600_000, {}, 1000), "YOUNG");
  assert.equal(verdict(-3_600_000, {}, 7000), "ASK");
});

test("a half that waits is looked at again when its time is over, or before it has to be given up", () => {
  assert.equal(
    nextLookMs(half(1000, { CHECK_IMMUNITY_TIME_IN_SECONDS: "10" }), NOW_MS, SETTINGS),
    NOW_MS + 9001,
  );
  assert.equal(nextLookMs(half(7000), NOW_MS, SETTINGS), NOW_MS - 7000 + 72 * 3_600_000 + 1);
});

test("a decision is too late after the time that the producer asked for, at least the timeout", () => {
  const late = (ageMs: number, immunity?: string) =>
    isTooLate(
      half(ageMs, immunity === undefined ? {} : { CHECK_IMMUNITY_TIME_IN_SECONDS: immunity }),
      NOW_MS,
      6000,
    );
  assert.equal(late(3_600_000), false, "without a time of its own never");
  assert.equal(late(10_000, "10"), false);
  assert.equal(late(10_001, "10"), true);
  assert.equal(late(5999, "1"), false);
  assert.equal(late(6001, "1"), true);
  assert.equal(late(6001, "soon"), true);
});
