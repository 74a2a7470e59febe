// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { brokerState, shortVersion } from "../../../src/cli/admin/broker_state.ts";
import { changeText, chosenSettings, parseSettings } from "../../../src/cli/admin/settings.ts";
import { sentenceOf } from "../../../src/cli/admin/sentences.ts";
import {
  byName,
  formatAge,
  formatDuration,
  formatRate,
  latestRate,
  matcher,
} from "../../../src/cli/admin/text.ts";
import { kindOfTopic } from "../../../src/cli/admin/topic_facts.ts";
import { addLag, behindMs, lagOf, NO_LAG } from "../../../src/cli/admin/group_facts.ts";
import { parseTrace } from "../../../src/cli/admin/trace_data.ts";
import { RemotingError } from "../../../src/remoting/remoting_error.ts";

test("rates, durations and ages are short", () => {
  assert.deepEqual([0, 0.04, 12.34, 99.96, 100, 1234.5].map(formatRate), [
    "0",
    "0.0",
    "12.3",
    "100.0",
    "100",
    "1235",
  ]);
  assert.deepEqual(
    [0, 119_999, 120_000, 7_200_000, 172_800_000, undefined].map(formatDuration),
    ["0s", "119s", "2m", "2h", "2d", "-"],
  );
  assert.deepEqual([formatAge(0, 9), formatAge(1000, 6000), formatAge(7000, 6000)], ["-", "5s", "0s"]);
});

test("names are sorted as people do it", () => {
  assert.deepEqual(["q10", "q2", "A", "a", "b"].sort(byName), ["a", "A", "b", "q2", "q10"]);
});

test("a pattern has wildcards, or is part of the name", () => {
  assert.ok(matcher(undefined)("anything"));
  assert.ok(matcher("DER")("orders"));
  assert.ok(matcher("ord?rs*")("orders-eu"));
  assert.ok(!matcher("ord?rs")("orders-eu"));
  assert.ok(matcher("a.b*")("a.bc") && !matcher("a.b*")("axbc"));
  assert.ok(matcher("%RETRY%*")("%RETRY%g"));
});

test("of a broker's three rates the first counts, and there may be none", () => {
  assert.deepEqual(["1.5 2 3", "  ", undefined, "x"].map(latestRate), [1.5, 0, 0, 0]);
});

test("runtime information is read in the spellings of 4.9 and 5.x", () => {
  const of = (...entries: [string, string][]) => brokerState(new Map(entries));
  assert.equal(of(["getTransferedTps", "7.5 1 1"]).outPerSecond, 7.5);
  assert.equal(of(["getTransferredTps", "8.5 1 1"]).outPerSecond, 8.5);
  assert.equal(of(["msgPutTotalTodayNow", "9"], ["msgPutTotalTodayMorning", "4"]).inToday, 5);
  assert.equal(of(["commitLogDiskRatio", "-1"]).diskUse, undefined);
  assert.deepEqual([shortVersion("V4_9_7"), shortVersion("")], ["4.9.7", "-"]);
});

test("settings are read as they are, and changed as properties files are written", () => {
  const settings = parseSettings("a=1\nb=x=y\nc=\nnoise\n");
  assert.deepEqual([...settings], [["a", "1"], ["b", "x=y"], ["c", ""]]);
  assert.deepEqual([...chosenSettings(settings, ["b", "[?]"])], [["b", "x=y"]]);
  assert.equal(changeText(["a=C:\\x", "b= y", "c=\u00e4\n"]), "a=C:\\\\x\nb=\\ y\nc=\\u00e4\\u000a\n");
});

test("an error of a peer is a sentence with its code", () => {
  assert.equal(sentenceOf(new RemotingError(17, " no topic\n")), "no topic (TOPIC_NOT_EXIST, code 17)");
  assert.equal(sentenceOf(new RemotingError(4711, "")), "it gave no reason (code 4711)");
  assert.match(
    sentenceOf(new RemotingError(3, " request type 9 not supported")),
    /does not know this request/,
  );
  assert.equal(sentenceOf(new Error("plain")), "plain");
});

test("topics are of users, of groups, or of brokers", () => {
  const reserved = new Set(["broker-a", "DefaultCluster"]);
  const kinds = ["orders", "%RETRY%g", "%DLQ%g", "broker-a", "rmq_sys_x", "C_REPLY_TOPIC", "TBW102"]
    .map((topic) => kindOfTopic(topic, reserved));
  assert.deepEqual(kinds, ["user", "retry", "dlq", "system", "system", "system", "system"]);
});

test("of two lags the older time counts, where there is something to consume", () => {
  const at = (brokerOffset: number, lastTimestamp: number) =>
    lagOf({ brokerOffset, consumerOffset: 5, pullOffset: 7, lastTimestamp });
  const both = addLag(addLag(NO_LAG, at(10, 3000)), addLag(at(5, 1000), at(8, 2000)));
  assert.deepEqual(both, { lag: 8, inFlight: 6, lastConsumedMs: 2000 });
  assert.equal(behindMs(both, 2500), 500);
  assert.equal(behindMs(at(5, 1000), 2500), undefined);
  assert.equal(behindMs(at(9, 0), 2500), undefined);
});

test("traces of old and new clients are read, and what is none is left out", () => {
  const id = "ID";
  const pub = ["Pub", 1, "r", "g", "t", id, "", "", "h", 5, 3, 0];
  const text = [
    [...pub, true],
    [...pub, "off", false],
    [...pub, "off", true, "10.0.0.9"],
    ["SubAfter", "r1", id, 7, true, ""],
    ["EndTransaction", 1, "r", "g", "t", id, "", "", "h", 2, "tx", "COMMIT_MESSAGE", false],
    ["Nonsense", 1],
  ].map((fields) => fields.join("\x01")).join("\x02");
  const events = parseTrace(`${text}\x02`);
  assert.deepEqual(events.map(({ event, isSuccess, clientHost }) => [event, isSuccess, clientHost]), [
    ["sent", true, null],
    ["sent", false, null],
    ["sent", true, "10.0.0.9"],
    ["consumed", true, null],
    ["transaction ended", true, null],
  ]);
  assert.deepEqual(parseTrace(""), []);
});
