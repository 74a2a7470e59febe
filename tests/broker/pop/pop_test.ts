// SPDX-License-Identifier: Apache-2.0
/** What is popped, acknowledged, and comes again: from requests to the store and back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { Subscription } from "../../../src/broker/subscription.ts";
import { ResponseCode } from "../../../src/protocol/response_code.ts";
import { MemoryFiles } from "../../harness/memory_files.ts";
import { until } from "../../harness/until.ts";
import { bodiesOf, messagesOf, PopParts } from "./parts.ts";

const SECOND = 1000;

/** A broker with a topic T of one queue, unless told. */
async function broker(options: { queueCount?: number; pairs?: string[] } = {}): Promise<PopParts> {
  const parts = await PopParts.open({ pairs: options.pairs });
  parts.parts.createTopic("T", options.queueCount ?? 1);
  return parts;
}

test("a message is given to one member, and to nobody else while it is invisible", async () => {
  const parts = await broker();
  await parts.send("T", ["a", "b"]);
  assert.deepEqual(bodiesOf(await parts.popNow()), ["a", "b"]);
  assert.deepEqual(await parts.popNow(), []);
  await parts.pass(59 * SECOND);
  assert.deepEqual(await parts.popNow(), []);
  await parts.close();
});

test("the answer has what a client makes receipts of", async () => {
  const parts = await broker();
  await parts.send("T", ["a", "b", "c"]);
  const answer = await parts.popRaw({ header: { maxMsgNums: "2" } });
  assert.equal(answer.code, ResponseCode.SUCCESS);
  assert.equal(answer.remark, "FOUND");
  assert.deepEqual(answer.fields, {
    popTime: String(parts.parts.clock.nowMs()),
    invisibleTime: "60000",
    reviveQid: "0",
    restNum: "1",
    startOffsetInfo: "0 0 0",
    msgOffsetInfo: "0 0 0,1",
  });
  const next = await parts.popRaw();
  assert.deepEqual(
    [next.fields?.reviveQid, next.fields?.startOffsetInfo, next.fields?.msgOffsetInfo],
    ["1", "0 0 2", "0 0 2"],
  );
  await parts.close();
});

test("an acknowledged message does not come again, others do and say how often", async () => {
  const parts = await broker();
  await parts.send("T", ["a", "b", "c"]);
  const popped = await parts.popNow({ header: { invisibleTime: "10000" } });
  assert.equal((await parts.ack(popped[1])).code, ResponseCode.SUCCESS);
  await parts.pass(14 * SECOND);
  const again = await parts.popNow();
  assert.deepEqual(bodiesOf(again), ["a", "c"]);
  for (const message of again) {
    assert.equal(message.topic, "T");
    assert.equal(message.reconsumeTimes, 1);
    assert.equal(message.properties["1ST_POP_TIME"], popped[0].receipt.split(" ")[1]);
    assert.equal(message.properties.ORIGIN_GROUP, "G");
  }
  for (const message of again) assert.equal((await parts.ack(message)).code, ResponseCode.SUCCESS);
  await parts.pass(70 * SECOND);
  assert.deepEqual(await parts.popNow(), []);
  await parts.close();
});

test("a message that comes again and is not acknowledged comes a third time", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  const [first] = await parts.popNow({ header: { invisibleTime: "10000" } });
  await parts.pass(14 * SECOND);
  const [second] = await parts.popNow({ header: { invisibleTime: "10000" } });
  await parts.pass(14 * SECOND);
  const [third] = await parts.popNow();
  assert.deepEqual([first, second, third].map((message) => message.reconsumeTimes), [0, 1, 2]);
  assert.equal(third.properties["1ST_POP_TIME"], first.receipt.split(" ")[1]);
  await parts.close();
});

test("messages of one answer are acknowledged together", async () => {
  const parts = await broker();
  await parts.send("T", ["a", "b", "c"]);
  const answer = await parts.popRaw({ header: { invisibleTime: "10000" } });
  const { popTime, reviveQid } = answer.fields!;
  const code = (await parts.batchAck([{
    ...{
      group: "G",
      topic: "T",
      retry: "0",
      queueId: 0,
      reviveQueueId: Number(reviveQid),
      invisibleMs: 10_000,
    },
    ...{ popTimeMs: Number(popTime), startOffset: 0, offsets: [0, 2, 77] },
  }])).code;
  assert.equal(code, ResponseCode.SUCCESS);
  await parts.pass(14 * SECOND);
  assert.deepEqual(bodiesOf(await parts.popNow()), ["b"]);
  await parts.close();
});

test("an invisible time can be made longer, and the old receipt no longer counts", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  const [message] = await parts.popNow({ header: { invisibleTime: "10000" } });
  await parts.pass(SECOND);
  const changed = await parts.changeInvisibleTime(message, 30_000);
  assert.equal(changed.code, ResponseCode.SUCCESS);
  assert.deepEqual(changed.fields, {
    ...{ popTime: String(parts.parts.clock.nowMs()), invisibleTime: "30000", reviveQid: "0" },
  });
  await parts.pass(20 * SECOND);
  assert.deepEqual(await parts.popNow(), []);
  assert.equal((await parts.ack(message)).code, ResponseCode.SUCCESS);
  await parts.pass(14 * SECOND);
  assert.deepEqual(bodiesOf(await parts.popNow()), ["a"]);
  await parts.close();
});

test("an invisible time that is changed at the moment of the pop is a check point of its own", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  const [message] = await parts.popNow({ header: { invisibleTime: "10000" } });
  await parts.changeInvisibleTime(message, 5000);
  await parts.pass(20 * SECOND);
  assert.deepEqual(bodiesOf(await parts.popNow()), ["a"]);
  await parts.close();
});

test("a message whose invisible time was changed is acknowledged by its new receipt", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  const [message] = await parts.popNow({ header: { invisibleTime: "10000" } });
  const { fields } = await parts.changeInvisibleTime(message, 5000);
  const receipt = `0 ${fields!.popTime} ${fields!.invisibleTime} ${fields!.reviveQid} 0 broker-a 0 0`;
  assert.equal((await parts.ack({ ...message, receipt })).code, ResponseCode.SUCCESS);
  await parts.pass(20 * SECOND);
  assert.deepEqual(await parts.popNow(), []);
  await parts.close();
});

test("all queues are popped, or the one that is named", async () => {
  const parts = await broker({ queueCount: 3 });
  for (const queueId of ["0", "1", "2"]) {
    await parts.parts.send({ topic: "T", body: `q${queueId}`, header: { queueId } });
  }
  await parts.settled();
  assert.deepEqual(bodiesOf(await parts.popNow({ header: { queueId: "1" } })), ["q1"]);
  assert.deepEqual(bodiesOf(await parts.popNow()).sort(), ["q0", "q2"]);
  await parts.close();
});

test("groups don't take messages from each other", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  assert.deepEqual(bodiesOf(await parts.popNow({ group: "G" })), ["a"]);
  assert.deepEqual(bodiesOf(await parts.popNow({ group: "H" })), ["a"]);
  await parts.close();
});

test("only messages with a wanted tag are given, and the group goes past the others", async () => {
  const parts = await broker();
  for (const [body, tag] of [["a", "x"], ["b", "y"], ["c", "x"], ["d", "y"]]) {
    await parts.send("T", [body], { TAGS: tag });
  }
  const answer = await parts.popRaw({ header: { exp: "x" } });
  assert.deepEqual(bodiesOf(messagesOf(answer)), ["a", "c"]);
  assert.equal(answer.fields?.msgOffsetInfo, "0 0 0,2");
  assert.deepEqual(await parts.popNow({ header: { exp: "y" } }), []);
  await parts.close();
});

test("messages are chosen by their properties", async () => {
  const parts = await broker();
  await parts.send("T", ["a"], { amount: "5" });
  await parts.send("T", ["b"], { amount: "50" });
  const header = { expType: "SQL92", exp: "amount > 10" };
  assert.deepEqual(bodiesOf(await parts.popNow({ header })), ["b"]);
  const bad = await parts.popRaw({ header: { expType: "SQL92", exp: "amount >" } });
  assert.equal(bad.code, ResponseCode.SUBSCRIPTION_PARSE_FAILED);
  await parts.close();
});

test("messages are chosen by the bit maps of extended entries, where those were made for the group", async () => {
  const parts = await broker({ pairs: ["enableConsumeQueueExt=true", "enableCalcFilterBitMap=true"] });
  const subscription = Subscription.parse("T", "amount > 10", "SQL92", 1);
  parts.parts.filters.register("G", [subscription]);
  await parts.pass(10);
  for (const amount of ["5", "50", "6", "60"]) await parts.send("T", [amount], { amount });
  const filter = parts.parts.filters.filterOf("G", "T", subscription)!;
  const looked = await parts.parts.store.getMessages("T", 0, 0, {
    maxCount: 32,
    filter: { matchesEntry: (tagsCode, extension) => filter.matchesEntry(tagsCode, extension) },
  });
  assert.equal(looked.messageCount, 2);
  const header = { expType: "SQL92", exp: "amount > 10" };
  assert.deepEqual(bodiesOf(await parts.popNow({ header })), ["50", "60"]);
  await parts.close();
});

test("a filtered message that was not acknowledged comes again, others are no matter", async () => {
  const parts = await broker();
  await parts.send("T", ["a"], { TAGS: "x" });
  await parts.send("T", ["b"], { TAGS: "y" });
  await parts.send("T", ["c"], { TAGS: "x" });
  const header = { exp: "x", invisibleTime: "10000" };
  const popped = await parts.popNow({ header });
  await parts.ack(popped[0]);
  await parts.pass(14 * SECOND);
  assert.deepEqual(bodiesOf(await parts.popNow({ header })), ["c"]);
  await parts.close();
});

test("a long run of unwanted messages is passed over while the request waits", async () => {
  const parts = await broker();
  for (let n = 0; n < 900; n++) {
    void parts.parts.send({ topic: "T", body: `${n}`, properties: { TAGS: "y" } });
  }
  await parts.send("T", ["wanted"], { TAGS: "x" });
  const later = parts.popLater({ header: { exp: "x" } });
  await until(() => later.response !== undefined);
  assert.deepEqual(bodiesOf(messagesOf(later.response!)), ["wanted"]);
  await parts.close();
});

test("a pop that finds nothing waits for a message", async () => {
  const parts = await broker();
  const later = parts.popLater();
  await parts.pass(5 * SECOND);
  assert.equal(later.response, undefined);
  assert.equal(parts.pop.hold.count, 1);
  await parts.send("T", ["a"]);
  await until(() => later.response !== undefined);
  assert.deepEqual(bodiesOf(messagesOf(later.response!)), ["a"]);
  await parts.close();
});

test("a pop that waits in vain is told so when its time ends", async () => {
  const parts = await broker();
  const later = parts.popLater();
  await parts.pass(15 * SECOND);
  assert.equal(later.response?.code, ResponseCode.POLLING_TIMEOUT);
  assert.equal(later.response?.remark, "NO_MESSAGE_IN_QUEUE");
  assert.equal(later.response?.fields?.restNum, "0");
  await parts.close();
});

test("a group that does not acknowledge is given nothing more, where that is limited", async () => {
  const parts = await broker({ pairs: ["enablePopMessageThreshold=true", "popInflightMessageThreshold=2"] });
  await parts.send("T", ["a", "b", "c", "d"]);
  const header = { maxMsgNums: "3", invisibleTime: "20000" };
  const popped = await parts.popNow({ header });
  assert.deepEqual(bodiesOf(popped), ["a", "b", "c"]);
  const later = parts.popLater({ header });
  await parts.settled();
  assert.equal(later.response, undefined);
  assert.deepEqual(bodiesOf(await parts.popNow({ group: "H" })), ["a", "b", "c", "d"]);
  await parts.ack(popped[0]);
  await until(() => later.response !== undefined);
  assert.deepEqual(bodiesOf(messagesOf(later.response!)), ["d"]);
  assert.equal(parts.pop.inFlight.countOf("T", "G", 0), 3);
  await parts.pass(24 * SECOND);
  assert.equal(parts.pop.inFlight.countOf("T", "G", 0), 0);
  await parts.close();
});

test("two pops that wait share what comes", async () => {
  const parts = await broker();
  const laters = [1, 2].map(() => parts.popLater({ header: { maxMsgNums: "1" } }));
  await parts.send("T", ["a", "b"]);
  await until(() => laters.every(({ response }) => response !== undefined));
  assert.deepEqual(laters.flatMap(({ response }) => bodiesOf(messagesOf(response!))).sort(), ["a", "b"]);
  await parts.close();
});

test("a pop that waits is given a message that comes again", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  await parts.popNow({ header: { invisibleTime: "5000" } });
  const later = parts.popLater();
  await parts.pass(9 * SECOND);
  assert.deepEqual(bodiesOf(messagesOf(later.response!)), ["a"]);
  await parts.close();
});

test("nothing is read for a client that has gone", async () => {
  const parts = await broker();
  const later = parts.popLater();
  await parts.settled();
  later.connection.close();
  await parts.send("T", ["a"]);
  assert.deepEqual(bodiesOf(await parts.popNow()), ["a"]);
  await parts.close();
});

test("a new group that wants the newest begins with the first in memory, else with the last", async () => {
  const parts = await broker();
  await parts.send("T", ["a", "b"]);
  assert.deepEqual(bodiesOf(await parts.popNow({ group: "A", header: { initMode: "1" } })), ["a", "b"]);
  await parts.close();
  const other = await broker({ pairs: ["initPopOffsetByCheckMsgInMem=false"] });
  await other.send("T", ["a", "b"]);
  assert.deepEqual(bodiesOf(await other.popNow({ group: "B", header: { initMode: "1" } })), ["b"]);
  assert.deepEqual(bodiesOf(await other.popNow({ group: "C", header: { initMode: "0" } })), ["a", "b"]);
  await other.close();
});

test("a group that an administrator resets pops from there", async () => {
  const parts = await broker();
  await parts.send("T", ["a", "b", "c"]);
  await parts.popNow();
  parts.parts.offsets.reset("G", "T", 0, 1);
  assert.deepEqual(bodiesOf(await parts.popNow()), ["b", "c"]);
  await parts.close();
});

test("what was popped is committed when its check point is flushed", async () => {
  const parts = await broker();
  await parts.send("T", ["a", "b"]);
  await parts.popNow();
  assert.equal(parts.parts.offsets.query("G", "T", 0), 0);
  await parts.parts.store.flush();
  assert.equal(parts.parts.offsets.query("G", "T", 0), 2);
  await parts.close();
});

test("an offset outside the queue is corrected", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  parts.parts.offsets.commit("G", "T", 0, 99);
  assert.deepEqual(await parts.popNow(), []);
  await parts.send("T", ["b"]);
  assert.deepEqual(bodiesOf(await parts.popNow()), ["b"]);
  await parts.close();
});

test("retry topics have names of the new form where that is wanted, and old ones are still read", async () => {
  const parts = await broker({ pairs: ["popFromRetryProbability=0"] });
  await parts.send("T", ["a", "b"]);
  const header = { invisibleTime: "5000", maxMsgNums: "1" };
  await parts.popNow({ header });
  await parts.pass(9 * SECOND);
  assert.ok(parts.parts.topics.has("%RETRY%G_T"));
  parts.parts.settings = { ...parts.parts.settings, popRetryTopicV2: true };
  await parts.popNow({ header });
  await parts.pass(9 * SECOND);
  assert.ok(parts.parts.topics.has("%RETRY%G+T"));
  const seen = new Map<string, string>();
  for (let n = 0; n < 200 && seen.size < 2; n++) {
    for (const message of await parts.popNow()) {
      seen.set(message.body, message.receipt.split(" ")[4]);
      assert.equal((await parts.ack(message)).code, ResponseCode.SUCCESS);
    }
  }
  assert.deepEqual([...seen].sort(), [["a", "1"], ["b", "2"]]);
  await parts.close();
});

test("messages that come again can show the retry topic", async () => {
  const parts = await broker({ pairs: ["popResponseReturnActualRetryTopic=true"] });
  await parts.send("T", ["a"]);
  await parts.popNow({ header: { invisibleTime: "5000" } });
  await parts.pass(9 * SECOND);
  const answer = await parts.popRaw();
  const [message] = messagesOf(answer);
  assert.equal(message.topic, "%RETRY%G_T");
  assert.equal(message.properties.POP_CK, undefined);
  assert.equal(answer.fields?.startOffsetInfo, "1 0 0");
  await parts.close();
});

test("what is not acknowledged of a topic or group that is gone is forgotten", async () => {
  const parts = await broker();
  parts.parts.createTopic("U");
  await parts.send("T", ["a"]);
  await parts.send("U", ["b"]);
  await parts.popNow({ header: { invisibleTime: "5000" } });
  await parts.popNow({ topic: "U", header: { invisibleTime: "5000" } });
  parts.parts.topics.delete("T");
  parts.pop.forgetTopic("T");
  await parts.pass(9 * SECOND);
  assert.equal(parts.parts.topics.has("%RETRY%G_T"), false);
  assert.equal(parts.parts.topics.has("%RETRY%G_U"), true);
  await parts.close();
});

test("requests that can't be served are refused with Apache's codes", async () => {
  const parts = await broker();
  parts.parts.createTopic("closed", 1, 2);
  const codeOf = async (header: Record<string, string | undefined>, topic = "T") =>
    (await parts.popRaw({ topic, header })).code;
  assert.equal(await codeOf({ maxMsgNums: "33" }), ResponseCode.INVALID_PARAMETER);
  assert.equal(await codeOf({ queueId: "1" }), ResponseCode.INVALID_PARAMETER);
  assert.equal(await codeOf({}, "none"), ResponseCode.TOPIC_NOT_EXIST);
  assert.equal(await codeOf({}, "closed"), ResponseCode.NO_PERMISSION);
  assert.equal(await codeOf({ exp: "||" }), ResponseCode.SUBSCRIPTION_PARSE_FAILED);
  assert.equal(await codeOf({ consumerGroup: "not legal" }), ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST);
  const late = String(parts.parts.clock.nowMs() - 10_000);
  assert.equal(await codeOf({ bornTime: late, pollTime: "9000" }), ResponseCode.POLLING_TIMEOUT);
  parts.parts.settings = { ...parts.parts.settings, timersEnabled: false };
  assert.equal(await codeOf({}), ResponseCode.SYSTEM_ERROR);
  parts.parts.settings = { ...parts.parts.settings, brokerPermission: 2 };
  assert.equal(await codeOf({}), ResponseCode.NO_PERMISSION);
  await parts.close();
});

test("acknowledgements that name nothing are refused with Apache's codes", async () => {
  const parts = await broker();
  await parts.send("T", ["a"]);
  const ack = async (given: Record<string, string>) =>
    (await parts.ask(RequestCode.ACK_MESSAGE, {
      ...{ consumerGroup: "G", topic: "T", queueId: "0", offset: "0" },
      ...{ extraInfo: `0 ${parts.parts.clock.nowMs()} 60000 0 0 broker-a 0 0` },
      ...given,
    })).code;
  assert.equal(await ack({}), ResponseCode.SUCCESS);
  assert.equal(await ack({ topic: "none" }), ResponseCode.TOPIC_NOT_EXIST);
  assert.equal(await ack({ queueId: "7" }), ResponseCode.MESSAGE_ILLEGAL);
  assert.equal(await ack({ queueId: "-1" }), ResponseCode.MESSAGE_ILLEGAL);
  assert.equal(await ack({ offset: "2" }), ResponseCode.NO_MESSAGE);
  assert.equal(await ack({ extraInfo: "0 1 2" }), ResponseCode.SYSTEM_ERROR);
  assert.equal(await ack({ extraInfo: "0 1 2 70 0 broker-a 0 0" }), ResponseCode.MESSAGE_ILLEGAL);
  assert.equal((await parts.batchAck([])).code, ResponseCode.NO_MESSAGE);
  await parts.close();
});

test("who asks is told how many wait, whether there is a message, and which", async () => {
  const parts = await broker();
  const later = parts.popLater();
  await parts.settled();
  const place = { consumerGroup: "G", topic: "T", queueId: "-1" };
  assert.deepEqual((await parts.ask(RequestCode.POLLING_INFO, place)).fields, { pollingNum: "1" });
  const asked = { ...place, consumerGroup: "H", pollTime: "0", bornTime: "0" };
  const none = await parts.ask(RequestCode.NOTIFICATION, asked);
  assert.deepEqual(none.fields, { hasMsg: "false", pollingFull: "false" });
  const waiting = parts.ask(RequestCode.NOTIFICATION, { ...asked, pollTime: "15000" });
  await parts.send("T", ["a"]);
  assert.deepEqual((await waiting).fields, { hasMsg: "true", pollingFull: "false" });
  await until(() => later.response !== undefined);
  const peek = await parts.ask(RequestCode.PEEK_MESSAGE, { ...place, consumerGroup: "H", maxMsgNums: "5" });
  assert.equal(peek.code, ResponseCode.SUCCESS);
  assert.deepEqual(bodiesOf(messagesOf(peek)), ["a"]);
  const nothing = await parts.ask(RequestCode.PEEK_MESSAGE, { ...place, maxMsgNums: "5" });
  assert.equal(nothing.code, ResponseCode.PULL_NOT_FOUND);
  await parts.close();
});

/** A broker whose last batch in order is known to its client only, as after a crash. */
async function withForgottenBatch() {
  const files = new MemoryFiles();
  const parts = await PopParts.open({ files });
  parts.parts.createTopic("T");
  await parts.send("T", ["a", "b", "c"]);
  const popped = await parts.popNow({ header: { order: "true" } });
  assert.deepEqual(bodiesOf(popped), ["a", "b", "c"]);
  await parts.close();
  files.remove("/store/config/consumerOrderInfo.json");
  return { parts: await PopParts.open({ files, clock: parts.parts.clock }), popped };
}

test("after a crash an acknowledgement in order does not pass over messages before its own", async () => {
  const { parts, popped } = await withForgottenBatch();
  assert.equal((await parts.ack(popped[2])).code, 0);
  assert.equal(parts.parts.offsets.query("G", "T", 0), 0);
  assert.deepEqual(bodiesOf(await parts.popNow({ header: { order: "true", maxMsgNums: "1" } })), ["a"]);
  await parts.close();
});

test("after a crash acknowledgements that come in their order go on", async () => {
  const { parts, popped } = await withForgottenBatch();
  for (const message of popped.slice(0, 2)) await parts.ack(message);
  assert.equal(parts.parts.offsets.query("G", "T", 0), 2);
  assert.deepEqual(bodiesOf(await parts.popNow({ header: { order: "true" } })), ["c"]);
  await parts.close();
});
