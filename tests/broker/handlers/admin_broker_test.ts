// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { adminBrokerHandlers } from "../../../src/broker/handlers/admin_broker.ts";
import { Statistics } from "../../../src/broker/statistics.ts";
import { Subscription } from "../../../src/broker/subscription.ts";
import { encodeMasterRuntimeInfo } from "../../../src/protocol/bodies/ha_runtime_info.ts";
import { DataVersion } from "../../../src/protocol/bodies/data_version.ts";
import type { Fields } from "../../../src/protocol/header.ts";
import { javaHashCode } from "../../../src/protocol/java_string.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { ResponseCode } from "../../../src/protocol/response_code.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { bodyBytes, MemoryConnection } from "../../harness/memory_connection.ts";

function started() {
  const clock = new ManualClock();
  const statistics = new Statistics({ clock, isSystemTopic: () => false });
  statistics.start();
  const stored = new Set(["T", "gone", "%RETRY%gone", "SYS", "%LMQ%x"]);
  const done: string[] = [];
  const handlers = new Map(adminBrokerHandlers({
    store: {
      maxPhysicalOffset: 8192,
      topics: () => [...stored],
      deleteTopic: (topic) => stored.delete(topic),
      deleteExpiredFiles: () => done.push("delete expired files"),
      queueIdsOf: (topic) => topic === "T" ? [0] : [],
      minOffset: () => 5,
      maxOffset: () => 9,
      queueEntry: (_topic, _queueId, offset) => ({
        physicalOffset: offset * 100,
        size: 100,
        tagsCode: offset === 6 ? 0 : javaHashCode("TagA"),
      }),
    },
    topics: { get: (topic) => topic === "T" ? {} : undefined, isSystemTopic: (topic) => topic === "SYS" },
    clients: {
      subscription: (group, topic) =>
        group === "G" ? Subscription.parse(topic, "TagA || TagB", "TAG", 7) : undefined,
    },
    statistics,
    runtimeInfo: () => new Map([["brokerActive", "true"]]),
    haStatus: () => encodeMasterRuntimeInfo({ commitLogMaxOffset: 8192, slaves: [] }),
    consumerOffsets: () => ({
      dataVersion: new DataVersion(0, 5, 1).toJson(),
      offsetTable: new Map([["T@G", new Map([[0, 3]])]]),
    }),
    delayOffsets: () => ({ dataVersion: new DataVersion(0, 5, 1).toJson(), offsetTable: new Map([[3, 4]]) }),
  }));
  const ask = async (code: number, fields: Fields = {}) => {
    const response = await new MemoryConnection().ask(handlers, { code, fields });
    const text = new TextDecoder().decode(bodyBytes(response));
    return { code: response.code, remark: response.remark, text };
  };
  return { clock, statistics, stored, done, ask };
}

test("GET_BROKER_RUNTIME_INFO answers a table of texts", async () => {
  const { ask } = started();
  assert.equal((await ask(RequestCode.GET_BROKER_RUNTIME_INFO)).text, '{"table":{"brokerActive":"true"}}');
});

test("VIEW_BROKER_STATS_DATA answers SYSTEM_ERROR where nothing was counted", async () => {
  const { clock, statistics, ask } = started();
  const view = () => ask(RequestCode.VIEW_BROKER_STATS_DATA, { statsName: "TOPIC_PUT_NUMS", statsKey: "T" });
  assert.deepEqual(await view(), {
    code: ResponseCode.SYSTEM_ERROR,
    remark: "The stats <TOPIC_PUT_NUMS> <T> not exist",
    text: "",
  });
  statistics.onStored("T", 20, 100);
  clock.advance(10_000);
  assert.equal(
    (await view()).text,
    '{"statsDay":{"avgpt":0,"sum":0,"tps":0},"statsHour":{"avgpt":0,"sum":0,"tps":0},' +
      '"statsMinute":{"avgpt":20,"sum":20,"tps":2}}',
  );
});

test("CLEAN_UNUSED_TOPIC deletes queues of topics that nobody knows, except of system topics and light ones", async () => {
  const { stored, ask } = started();
  assert.equal((await ask(RequestCode.CLEAN_UNUSED_TOPIC)).code, ResponseCode.SUCCESS);
  assert.deepEqual([...stored], ["T", "SYS", "%LMQ%x"]);
});

test("files are deleted when an operator says so", async () => {
  const { done, ask } = started();
  assert.equal((await ask(RequestCode.DELETE_EXPIRED_COMMITLOG)).code, ResponseCode.SUCCESS);
  assert.deepEqual(done, ["delete expired files"]);
  assert.equal((await ask(RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE)).code, ResponseCode.SUCCESS);
});

test("QUERY_CONSUME_QUEUE shows entries, and whether a group would be given them", async () => {
  const { ask } = started();
  const query = async (fields: Fields) => {
    const { text } = await ask(RequestCode.QUERY_CONSUME_QUEUE, {
      topic: "T",
      queueId: "0",
      index: "5",
      ...fields,
    });
    return JSON.parse(text);
  };
  const shown = await query({ count: "3", consumerGroup: "G" });
  const golden = JSON.parse(
    readFileSync(new URL("../../golden/admin/consume_queue.json", import.meta.url), "utf8"),
  );
  assert.deepEqual(Object.keys(shown), Object.keys(golden));
  assert.deepEqual(Object.keys(shown.queueData[0]), Object.keys(golden.queueData[0]));
  assert.deepEqual(shown.subscriptionData, { ...golden.subscriptionData, topic: "T", subVersion: 7 });
  assert.deepEqual([shown.minQueueIndex, shown.maxQueueIndex], [5, 9]);
  assert.deepEqual(
    shown.queueData.map((entry: { eval: boolean; physicOffset: number }) => [entry.eval, entry.physicOffset]),
    [[true, 500], [false, 600], [true, 700]],
  );
  const withoutGroup = await query({ index: "0", count: "100" });
  assert.equal(withoutGroup.queueData.length, 4);
  assert.deepEqual(Object.keys(withoutGroup), ["maxQueueIndex", "minQueueIndex", "queueData"]);
  assert.deepEqual((await query({ index: "9", count: "100" })).queueData, []);
  assert.deepEqual(await ask(RequestCode.QUERY_CONSUME_QUEUE, { topic: "no", queueId: "0", count: "1" }), {
    code: ResponseCode.SYSTEM_ERROR,
    remark: "0@no is not exist!",
    text: "",
  });
});

test("a master without slaves and without a controller says so", async () => {
  const { ask } = started();
  const ha = JSON.parse((await ask(RequestCode.GET_BROKER_HA_STATUS)).text);
  assert.deepEqual([ha.master, ha.masterCommitLogMaxOffset, ha.haConnectionInfo], [true, 8192, []]);
  assert.deepEqual(await ask(RequestCode.GET_BROKER_EPOCH_CACHE), {
    code: ResponseCode.SYSTEM_ERROR,
    remark: "this request only for controllerMode ",
    text: "",
  });
  assert.equal(
    (await ask(RequestCode.RESET_MASTER_FLUSH_OFFSET, { masterFlushOffset: "0" })).code,
    ResponseCode.SUCCESS,
  );
});

test("slaves are given consumer offsets and the progress of delayed messages", async () => {
  const { ask } = started();
  assert.equal(
    (await ask(RequestCode.GET_ALL_CONSUMER_OFFSET)).text,
    '{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":5},"offsetTable":{"T@G":{"0":3}}}',
  );
  assert.equal(
    (await ask(RequestCode.GET_ALL_DELAY_OFFSET)).text,
    '{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":5},"offsetTable":{"3":4}}',
  );
});
