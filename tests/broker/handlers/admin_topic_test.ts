// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { adminTopicHandlers, parseAttributeChanges } from "../../../src/broker/handlers/admin_topic.ts";
import { Topics } from "../../../src/broker/topics.ts";
import {
  type TopicConfig,
  topicConfig,
  topicConfigToJson,
} from "../../../src/protocol/bodies/topic_config.ts";
import type { Fields } from "../../../src/protocol/header.ts";
import { parseJson, stringifyJson } from "../../../src/protocol/java_json.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { ResponseCode } from "../../../src/protocol/response_code.ts";
import { diskFiles } from "../../../src/store/disk_files.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { bodyBytes, MemoryConnection } from "../../harness/memory_connection.ts";

const root = mkdtempSync(join(tmpdir(), "rmq-admin-topic-"));
after(() => rmSync(root, { recursive: true }));

function started(given: { metadataPageCount: number | undefined } = { metadataPageCount: 2000 }) {
  const topics = Topics.open({
    files: diskFiles,
    directory: mkdtempSync(join(root, "config-")),
    clock: new ManualClock(),
    clusterName: "C",
    brokerName: "b",
    autoCreateTopic: true,
    autoCreatedTopicQueueCount: 8,
    clusterTopic: true,
    brokerTopic: true,
    traceTopic: false,
    traceTopicName: "RMQ_SYS_TRACE_TOPIC",
    reviveQueueCount: 8,
    settings: () => ({ autoCreateTopic: true }),
  });
  /** What happened to topics, in order. */
  const events: string[] = [];
  const settings = { protectSystemTopics: true, mixedMessageType: false };
  const handlers = new Map(adminTopicHandlers({
    brokerName: "b",
    topics,
    belongings: {
      groupsOf: (topic) => topic === "T" ? ["G"] : [],
      forget: (topic) => events.push(`forget ${topic} ${topics.has(topic)}`),
    },
    queues: {
      minOffset: (_topic, queueId) => queueId,
      maxOffset: (_topic, queueId) => queueId === 2 ? 0 : 10 + queueId,
      storeTimestampOf: (_topic, queueId, offset) => queueId === 3 ? -1 : 1000 + offset,
    },
    putTps: () => 2.5,
    protectSystemTopics: () => settings.protectSystemTopics,
    mixedMessageType: () => settings.mixedMessageType,
    metadataPageCount: () => given.metadataPageCount,
  }));
  const ask = async (code: number, fields: Fields | null = null, body?: string) => {
    const response = await new MemoryConnection().ask(handlers, {
      code,
      fields,
      body: body === undefined ? null : new TextEncoder().encode(body),
    });
    return { ...response, body: new TextDecoder().decode(bodyBytes(response)) };
  };
  const update = (topic: string, given: Fields = {}) =>
    ask(RequestCode.UPDATE_AND_CREATE_TOPIC, {
      topic,
      defaultTopic: "TBW102",
      readQueueNums: "4",
      writeQueueNums: "4",
      perm: "6",
      topicFilterType: "SINGLE_TAG",
      topicSysFlag: "0",
      order: "false",
      ...given,
    });
  return { topics, events, settings, ask, update };
}

const invalid = (remark: string) => ({ code: ResponseCode.INVALID_PARAMETER, remark, body: "" });
const failed = (remark: string) => ({ code: ResponseCode.SYSTEM_ERROR, remark, body: "" });

test("UPDATE_AND_CREATE_TOPIC makes a topic, and changes it", async () => {
  const { topics, update } = started();
  const made = await update("T", { attributes: "+message.type=FIFO", order: "true", topicSysFlag: "1" });
  assert.equal(made.code, ResponseCode.SUCCESS);
  assert.deepEqual(
    topics.get("T"),
    topicConfig("T", {
      readQueueNums: 4,
      writeQueueNums: 4,
      order: true,
      topicSysFlag: 1,
      attributes: new Map([["message.type", "FIFO"]]),
    }),
  );
  const version = topics.dataVersion;
  await update("T", { order: "true", topicSysFlag: "1" });
  assert.ok(topics.dataVersion.equals(version), "an update that changes nothing is no change");
  await update("T", { readQueueNums: "8", perm: "4", attributes: "-message.type" });
  assert.deepEqual(topics.get("T"), topicConfig("T", { readQueueNums: 8, writeQueueNums: 4, perm: 4 }));
});

test("UPDATE_AND_CREATE_TOPIC refuses what can't be, in Apache's words where tools show them", async () => {
  const { topics, settings, update } = started();
  assert.deepEqual(
    await update("T 1"),
    invalid("The specified topic: T 1, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"),
  );
  assert.deepEqual(await update(""), invalid("The specified topic is blank."));
  assert.deepEqual(await update("TBW102"), invalid("The topic[TBW102] is conflict with system topic."));
  assert.deepEqual(
    await update("T", { attributes: "+message.type=MIXED" }),
    invalid("MIXED message type is not supported."),
  );
  settings.mixedMessageType = true;
  assert.equal((await update("Mixed", { attributes: "+message.type=MIXED" })).code, 0);
  assert.deepEqual(await update("T", { attributes: "+foo=bar" }), failed("unsupported key: foo"));
  assert.deepEqual(
    await update("T", { topicFilterType: "FOO" }),
    failed("topicFilterType = [FOO] value invalid"),
  );
  for (const given of <Fields[]> [{ perm: "8" }, { readQueueNums: "-1" }, { writeQueueNums: "65537" }]) {
    assert.equal((await update("T", given)).code, ResponseCode.INVALID_PARAMETER);
  }
  assert.deepEqual(
    await update("T", { readQueueNums: "x" }),
    failed("the field readQueueNums is not a valid number: x"),
  );
  assert.equal(topics.has("T"), false);
  settings.protectSystemTopics = false;
  assert.equal((await update("TBW102")).code, ResponseCode.SUCCESS);
});

test("attributes are set and removed by their signs", () => {
  assert.deepEqual(parseAttributeChanges(""), new Map());
  assert.deepEqual(
    parseAttributeChanges("+a=1,-b,+c=x=y"),
    new Map([["+a", "1"], ["-b", ""], ["+c", "x=y"]]),
  );
  assert.throws(() => parseAttributeChanges("a=1"), /add\/alter attribute format is wrong: a/);
  assert.throws(() => parseAttributeChanges("+b"), /delete attribute format is wrong: \+b/);
  assert.throws(() => parseAttributeChanges("+a=1,+a=2"), /key duplication/);
});

test("UPDATE_AND_CREATE_TOPIC_LIST changes all topics or none", async () => {
  const { topics, ask, update } = started();
  await update("A");
  const list = (...configs: TopicConfig[]) =>
    ask(
      RequestCode.UPDATE_AND_CREATE_TOPIC_LIST,
      null,
      stringifyJson({ topicConfigList: configs.map(topicConfigToJson) }),
    );
  const same = topicConfig("A", { readQueueNums: 4, writeQueueNums: 4 });
  assert.equal((await list(topicConfig("B 1"), topicConfig("B"))).code, ResponseCode.INVALID_PARAMETER);
  assert.equal(topics.has("B"), false);
  const bad = topicConfig("D", { attributes: new Map([["+foo", "1"]]) });
  assert.equal((await list(topicConfig("B"), bad)).code, ResponseCode.SYSTEM_ERROR);
  assert.equal(topics.has("B"), false);
  // Apache changes nothing where one of the list is as it was already.
  const delayed = topicConfig("B", { attributes: new Map([["+message.type", "DELAY"]]) });
  assert.equal((await list(same, delayed)).code, ResponseCode.SUCCESS);
  assert.deepEqual(topics.get("B")!.attributes, new Map([["message.type", "DELAY"]]));
  assert.equal((await ask(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST)).code, ResponseCode.SYSTEM_ERROR);
});

test("DELETE_TOPIC_IN_BROKER forgets positions and queues before the topic, and its retry topics too", async () => {
  const { topics, events, ask, update } = started();
  for (const topic of ["T", "%RETRY%G_T", "%RETRY%G"]) await update(topic);
  const deleted = await ask(RequestCode.DELETE_TOPIC_IN_BROKER, { topic: "T" });
  assert.equal(deleted.code, ResponseCode.SUCCESS);
  assert.deepEqual(events, ["forget T true", "forget %RETRY%G_T true"]);
  assert.deepEqual(["T", "%RETRY%G_T", "%RETRY%G"].map((topic) => topics.has(topic)), [false, false, true]);

  const again = await ask(RequestCode.DELETE_TOPIC_IN_BROKER, { topic: "T" });
  assert.equal(again.code, ResponseCode.SUCCESS);
  assert.equal(events.at(-1), "forget T false");
  assert.deepEqual(
    await ask(RequestCode.DELETE_TOPIC_IN_BROKER, { topic: "TBW102" }),
    invalid("The topic[TBW102] is conflict with system topic."),
  );
  assert.deepEqual(
    await ask(RequestCode.DELETE_TOPIC_IN_BROKER),
    invalid("The specified topic is blank."),
  );
});

test("GET_ALL_TOPIC_CONFIG gives everything to who does not ask for parts", async () => {
  const { topics, ask } = started();
  const { code, fields, body } = await ask(RequestCode.GET_ALL_TOPIC_CONFIG);
  assert.equal(code, ResponseCode.SUCCESS);
  assert.deepEqual(fields, { totalTopicNum: String(topics.table.size) });
  const table = JSON.parse(body);
  assert.deepEqual(Object.keys(table), [
    "dataVersion",
    "mappingDataVersion",
    "topicConfigTable",
    "topicQueueMappingDetailMap",
    "topicQueueMappingInfoMap",
  ]);
  assert.deepEqual(Object.keys(table.topicConfigTable).sort(), [...topics.table.keys()].sort());
  assert.deepEqual(table.topicConfigTable.TBW102, {
    attributes: {},
    order: false,
    perm: 7,
    readQueueNums: 8,
    topicFilterType: "SINGLE_TAG",
    topicName: "TBW102",
    topicSysFlag: 0,
    writeQueueNums: 8,
  });
});

test("GET_ALL_TOPIC_CONFIG gives parts of the table, sorted by name, as long as it stays the same", async () => {
  const { topics, ask, update } = started();
  const sorted = [...topics.table.keys()].sort();
  const page = async (topicSeq: string, dataVersion: string, maxTopicNum = "3") => {
    const fields = { topicSeq, dataVersion, maxTopicNum };
    const table = JSON.parse((await ask(RequestCode.GET_ALL_TOPIC_CONFIG, fields)).body);
    return { names: Object.keys(table.topicConfigTable), version: JSON.stringify(table.dataVersion) };
  };
  const first = await page("0", "");
  assert.deepEqual(first.names, sorted.slice(0, 3));
  assert.deepEqual((await page("3", first.version)).names, sorted.slice(3, 6));
  assert.deepEqual((await page("1000", first.version)).names, []);
  await update("Z");
  const anew = await page("3", first.version);
  assert.deepEqual(anew.names, sorted.slice(0, 3));
  assert.notEqual(anew.version, first.version);
  assert.deepEqual((await page("3", "no JSON")).names, sorted.slice(0, 3));
});

test("a page is never longer than the operator allows, and parts can be switched off", async () => {
  const fields = { topicSeq: "0", dataVersion: "", maxTopicNum: "5" };
  const count = async (metadataPageCount: number | undefined) => {
    const { body } = await started({ metadataPageCount }).ask(RequestCode.GET_ALL_TOPIC_CONFIG, fields);
    return Object.keys(JSON.parse(body).topicConfigTable).length;
  };
  assert.equal(await count(2), 2);
  assert.equal(await count(undefined), started().topics.table.size);
});

test("GET_TOPIC_CONFIG answers TOPIC_NOT_EXIST, which the tools of 5.x go on after", async () => {
  const { ask } = started();
  const { code, body } = await ask(RequestCode.GET_TOPIC_CONFIG, { topic: "BenchmarkTest", lo: "true" });
  assert.equal(code, ResponseCode.SUCCESS);
  assert.equal(
    body,
    '{"attributes":{},"order":false,"perm":6,"readQueueNums":1024,"topicFilterType":"SINGLE_TAG",' +
      '"topicName":"BenchmarkTest","topicSysFlag":0,"writeQueueNums":1024}',
  );
  assert.deepEqual(await ask(RequestCode.GET_TOPIC_CONFIG, { topic: "nope" }), {
    code: ResponseCode.TOPIC_NOT_EXIST,
    remark: "No topic in this broker. topic: nope",
    body: "",
  });
});

test("GET_TOPIC_STATS_INFO tells every queue that can be read or written", async () => {
  const { ask, update } = started();
  await update("T", { readQueueNums: "4", writeQueueNums: "2" });
  const { body } = await ask(RequestCode.GET_TOPIC_STATS_INFO, { topic: "T" });
  const stats = parseJson(body) as { offsetTable: Record<string, unknown>; topicPutTps: number };
  assert.equal(stats.topicPutTps, 2.5);
  assert.deepEqual(Object.entries(stats.offsetTable), [
    ['{"brokerName":"b","queueId":0,"topic":"T"}', {
      minOffset: 0,
      maxOffset: 10,
      lastUpdateTimestamp: 1009,
    }],
    ['{"brokerName":"b","queueId":1,"topic":"T"}', {
      minOffset: 1,
      maxOffset: 11,
      lastUpdateTimestamp: 1010,
    }],
    ['{"brokerName":"b","queueId":2,"topic":"T"}', { minOffset: 2, maxOffset: 0, lastUpdateTimestamp: 0 }],
    ['{"brokerName":"b","queueId":3,"topic":"T"}', { minOffset: 3, maxOffset: 13, lastUpdateTimestamp: -1 }],
  ]);
  assert.deepEqual(await ask(RequestCode.GET_TOPIC_STATS_INFO, { topic: "nope" }), {
    code: ResponseCode.TOPIC_NOT_EXIST,
    remark: "topic[nope] not exist",
    body: "",
  });
});

test("GET_SYSTEM_TOPIC_LIST_FROM_BROKER names what administrators may not touch", async () => {
  const { ask } = started();
  const { topicList } = JSON.parse((await ask(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER)).body);
  for (const topic of ["TBW102", "C", "b", "SCHEDULE_TOPIC_XXXX", "C_REPLY_TOPIC"]) {
    assert.ok(topicList.includes(topic), topic);
  }
});
