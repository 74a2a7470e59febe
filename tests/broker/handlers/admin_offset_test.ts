// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ConsumerOffsets } from "../../../src/broker/consumer_offsets.ts";
import { adminOffsetHandlers } from "../../../src/broker/handlers/admin_offset.ts";
import { adminResetHandlers } from "../../../src/broker/handlers/admin_reset.ts";
import { Subscription } from "../../../src/broker/subscription.ts";
import { topicConfig } from "../../../src/protocol/bodies/topic_config.ts";
import type { Fields } from "../../../src/protocol/header.ts";
import { parseJson } from "../../../src/protocol/java_json.ts";
import { LANGUAGES } from "../../../src/protocol/language.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { ResponseCode } from "../../../src/protocol/response_code.ts";
import { diskFiles } from "../../../src/store/disk_files.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { bodyBytes, MemoryConnection } from "../../harness/memory_connection.ts";

const root = mkdtempSync(join(tmpdir(), "rmq-admin-offset-"));
after(() => rmSync(root, { recursive: true }));

/** Topics T (3 queues to read, 2 to write) and O (one, in order); each queue holds offsets 10 to 99, one a second. */
function started() {
  const clock = new ManualClock(200_000);
  const offsets = ConsumerOffsets.open({
    files: diskFiles,
    directory: mkdtempSync(join(root, "config-")),
    clock,
    flushIntervalMs: 5000,
  });
  const topics = new Map([
    ["T", topicConfig("T", { readQueueNums: 3, writeQueueNums: 2 })],
    ["O", topicConfig("O", { readQueueNums: 1, writeQueueNums: 1, order: true })],
  ]);
  const queues = {
    minOffset: () => 10,
    maxOffset: () => 100,
    storeTimestampOf: (_topic: string, _queueId: number, offset: number) =>
      offset >= 10 && offset < 100 ? offset * 1000 : -1,
    earliestTimestampOf: () => 10_000,
    offsetByTime: (_topic: string, _queueId: number, ms: number) =>
      Math.max(10, Math.min(100, Math.ceil(ms / 1000))),
  };
  /** Topics that the members of a group subscribe to; absent: the group is offline. */
  const online = new Map<string, string[]>();
  const members = [{ connection: new MemoryConnection() }, { connection: new MemoryConnection() }];
  const clients = {
    groupsSubscribedTo: (topic: string) =>
      [...online.keys()].filter((group) => online.get(group)!.includes(topic)),
    subscription: (group: string, topic: string) =>
      online.get(group)?.includes(topic) ? Subscription.parse(topic, "a || b", "TAG", 7) : undefined,
    consumerGroup: (group: string) => online.has(group) ? { members } : undefined,
  };
  const settings = { serverSide: true };
  const woken: string[] = [];
  const handlers = new Map([
    ...adminOffsetHandlers({
      clock,
      brokerName: "b",
      brokerAddress: () => "10.0.0.1:10911",
      topics,
      groupNames: () => ["G", "H"],
      offsets,
      clients,
      queues,
      getTps: (topic, group) => topic === "T" && group === "G" ? 1.5 : 0,
    }),
    ...adminResetHandlers({
      brokerName: "b",
      topics,
      groups: { has: (group) => group === "G" || group === "H" },
      offsets,
      clients,
      queues,
      serverSide: () => settings.serverSide,
      wakePulls: (topic) => woken.push(`${topic} ${offsets.pendingReset("G", topic, 0)}`),
    }),
  ]);
  const ask = async (code: number, fields: Fields, language?: number) => {
    const response = await new MemoryConnection().ask(handlers, { code, fields, language });
    const text = new TextDecoder().decode(bodyBytes(response));
    // deno-lint-ignore no-explicit-any
    const body = text === "" ? undefined : parseJson(text) as any;
    return { code: response.code, remark: response.remark, body, text };
  };
  return { offsets, online, members, settings, woken, ask };
}

const queue = (queueId: number, topic = "T") => JSON.stringify({ brokerName: "b", queueId, topic });

test("GET_CONSUME_STATS tells where a group stands in the queues that can be read", async () => {
  const { offsets, ask } = started();
  offsets.commit("G", "T", 0, 40);
  offsets.commit("G", "T", 1, 5);
  offsets.notePulled("G", "T", 0, 60);
  const { body } = await ask(RequestCode.GET_CONSUME_STATS, { consumerGroup: "G" });
  assert.deepEqual(body, {
    consumeTps: 1.5,
    offsetTable: {
      [queue(0)]: { brokerOffset: 100, consumerOffset: 40, lastTimestamp: 39_000, pullOffset: 60 },
      [queue(1)]: { brokerOffset: 100, consumerOffset: 5, lastTimestamp: 0, pullOffset: 5 },
      [queue(2)]: { brokerOffset: 100, consumerOffset: 0, lastTimestamp: 0, pullOffset: 0 },
    },
  });
});

test("GET_CONSUME_STATS leaves out topics that an online group does not subscribe to, unless they are listed", async () => {
  const { offsets, online, ask } = started();
  offsets.commit("G", "T", 0, 40);
  offsets.commit("G", "O", 0, 40);
  const topics = async (fields: Fields) => {
    const { body } = await ask(RequestCode.GET_CONSUME_STATS, { consumerGroup: "G", ...fields });
    return [...new Set(Object.keys(body.offsetTable).map((key) => JSON.parse(key).topic))];
  };
  assert.deepEqual(await topics({}), ["T", "O"]);
  online.set("G", ["T"]);
  assert.deepEqual(await topics({}), ["T"]);
  assert.deepEqual(await topics({ topic: "O" }), []);
  assert.deepEqual(await topics({ topic: "T" }), ["T"]);
  assert.deepEqual(await topics({ topicList: "O;nope;T" }), ["O", "T"]);
});

test("GET_BROKER_CONSUME_STATS sums up what all groups have before them", async () => {
  const { offsets, ask } = started();
  offsets.commit("G", "T", 0, 40);
  offsets.commit("G", "O", 0, 90);
  offsets.notePulled("G", "O", 0, 95);
  const all = await ask(RequestCode.GET_BROKER_CONSUME_STATS, { isOrder: "false" });
  assert.equal(all.body.brokerAddr, "10.0.0.1:10911");
  assert.deepEqual(all.body.consumeStatsList.map((item: object) => Object.keys(item)), [["G"], ["H"]]);
  assert.equal(all.body.totalDiff, 60 + 100 + 10);
  assert.equal(all.body.totalInflightDiff, 5);
  const ordered = await ask(RequestCode.GET_BROKER_CONSUME_STATS, { isOrder: "true" });
  assert.equal(ordered.body.totalDiff, 10);
});

test("groups of a topic are those online and those with positions; topics of a group those with positions", async () => {
  const { offsets, online, ask } = started();
  offsets.commit("H", "T", 0, 1);
  offsets.commit("G", "T", 0, 1);
  online.set("G", ["T"]);
  const groups = await ask(RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, { topic: "T" });
  assert.deepEqual(groups.body, { groupList: ["G", "H"] });
  assert.deepEqual((await ask(RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, { topic: "no" })).body, {
    groupList: [],
  });
  const topics = await ask(RequestCode.QUERY_TOPICS_BY_CONSUMER, { group: "H" });
  assert.equal(topics.text, '{"brokerAddr":"10.0.0.1:10911","topicList":["T"]}');
});

test("QUERY_SUBSCRIPTION_BY_CONSUMER answers what the group wants of the topic, or that it wants nothing", async () => {
  const { online, ask } = started();
  online.set("G", ["T"]);
  const found = await ask(RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER, { group: "G", topic: "T" });
  assert.equal(
    found.text,
    '{"group":"G","subscriptionData":{"classFilterMode":false,"codeSet":[97,98],"expressionType":"TAG",' +
      '"subString":"a || b","subVersion":7,"tagsSet":["a","b"],"topic":"T"},"topic":"T"}',
  );
  const none = await ask(RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER, { group: "G", topic: "O" });
  assert.equal(none.text, '{"group":"G","topic":"O"}');
});

test("QUERY_CONSUME_TIME_SPAN tells how old the next message of each queue is", async () => {
  const { offsets, ask } = started();
  offsets.commit("G", "T", 0, 40);
  offsets.commit("G", "T", 1, 100);
  const { body } = await ask(RequestCode.QUERY_CONSUME_TIME_SPAN, { topic: "T", group: "G" });
  // deno-lint-ignore no-explicit-any
  const spans = body.consumeTimeSpanSet.map((span: any) => [
    span.messageQueue.queueId,
    span.minTimeStamp,
    span.maxTimeStamp,
    span.consumeTimeStamp,
    span.delayTime,
  ]);
  assert.deepEqual(spans, [[0, 10_000, 99_000, 39_000, 160_000], [1, 10_000, 99_000, 99_000, 0]]);
  const other = await ask(RequestCode.QUERY_CONSUME_TIME_SPAN, { topic: "O", group: "H" });
  assert.equal(other.body.consumeTimeSpanSet[0].delayTime, 190_000);
  const missing = await ask(RequestCode.QUERY_CONSUME_TIME_SPAN, { topic: "no", group: "G" });
  assert.equal(missing.code, ResponseCode.TOPIC_NOT_EXIST);
});

test("CLONE_GROUP_OFFSET gives one group the positions of another", async () => {
  const { offsets, online, ask } = started();
  offsets.commit("G", "T", 0, 40);
  offsets.commit("G", "O", 0, 50);
  online.set("G", ["T"]);
  const clone = (fields: Fields) =>
    ask(RequestCode.CLONE_GROUP_OFFSET, { srcGroup: "G", destGroup: "H", ...fields });
  assert.equal((await clone({})).code, ResponseCode.SUCCESS);
  assert.deepEqual([offsets.query("H", "T", 0), offsets.query("H", "O", 0)], [40, -1]);
  await clone({ offline: "true", topic: "O" });
  assert.equal(offsets.query("H", "O", 0), 50);
});

test("a reset is kept for the group's next pulls, without any consumer", async () => {
  const { offsets, woken, ask } = started();
  const reset = (fields: Fields) =>
    ask(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, { topic: "T", group: "G", isForce: "true", ...fields });
  const { text } = await reset({ timestamp: "40000" });
  assert.equal(
    text,
    `{"offsetTable":{${[0, 1, 2].map((id) => `${queue(id)}:40`).join(",")}}}`,
  );
  assert.deepEqual([0, 1, 2].map((id) => offsets.pendingReset("G", "T", id)), [40, 40, 40]);
  assert.equal(offsets.query("G", "T", 2), 40);
  assert.deepEqual(woken, ["T 40"]);
  assert.deepEqual((await reset({ timestamp: "-1" })).body.offsetTable[queue(0)], 100);
  assert.deepEqual((await reset({ queueId: "1", offset: "77", timestamp: "0" })).body, {
    offsetTable: { [queue(1)]: 77 },
  });
  assert.deepEqual((await reset({ queueId: "1", offset: "-1", timestamp: "20000" })).body, {
    offsetTable: { [queue(1)]: 20 },
  });
});

test("a reset outside of the queue, or of what does not exist, changes nothing", async () => {
  const { offsets, ask } = started();
  const reset = (fields: Fields) =>
    ask(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, {
      topic: "T",
      group: "G",
      timestamp: "0",
      isForce: "true",
      ...fields,
    });
  assert.equal((await reset({ topic: "no" })).code, ResponseCode.TOPIC_NOT_EXIST);
  assert.equal((await reset({ group: "no" })).code, ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST);
  for (const offset of ["9", "101"]) {
    const { code, remark } = await reset({ queueId: "0", offset });
    assert.equal(code, ResponseCode.SYSTEM_ERROR);
    assert.equal(remark, `Target offset ${offset} not in consume queue range [10-100]`);
  }
  assert.equal((await reset({ queueId: "3" })).code, ResponseCode.SYSTEM_ERROR);
  assert.deepEqual(offsets.topicsOf("G"), []);
});

test("with useServerSideResetOffset=false the consumers that are online are told", async () => {
  const { offsets, online, members, settings, woken, ask } = started();
  settings.serverSide = false;
  const reset = (isForce: string, language?: number) => {
    const fields = { topic: "T", group: "G", timestamp: "40000", isForce };
    return ask(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, fields, language);
  };
  assert.equal((await reset("true")).remark, "THe consumer group <G> not exist");
  offsets.commit("G", "T", 0, 20);
  offsets.commit("G", "T", 1, 60);
  assert.equal((await reset("true")).code, ResponseCode.CONSUMER_NOT_ONLINE);
  online.set("G", ["T"]);
  const text = `{"offsetTable":{${queue(0)}:20,${queue(1)}:40}}`;
  assert.equal((await reset("false")).text, text);
  for (const { connection } of members) {
    const [told] = connection.notifications.splice(0);
    assert.equal(told.code, RequestCode.RESET_CONSUMER_CLIENT_OFFSET);
    assert.deepEqual(told.fields, { topic: "T", group: "G", timestamp: "40000", isForce: "false" });
    assert.equal(new TextDecoder().decode(told.body), text);
  }
  assert.equal((await reset("true")).body.offsetTable[queue(0)], 40);
  assert.deepEqual(woken, []);
  assert.equal(offsets.pendingReset("G", "T", 0), undefined);
  members[0].connection.notifications.length = 0;
  await reset("true", LANGUAGES.indexOf("CPP"));
  assert.deepEqual(JSON.parse(new TextDecoder().decode(members[0].connection.notifications[0].body)), {
    offsetTable: [
      { brokerName: "b", queueId: 0, topic: "T", offset: 40 },
      { brokerName: "b", queueId: 1, topic: "T", offset: 40 },
    ],
  });
});
