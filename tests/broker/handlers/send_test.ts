// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { encodeBatch } from "../../../src/protocol/batch_body.ts";
import { parseOffsetMessageId } from "../../../src/protocol/message_id.ts";
import { encodeProperties, parseProperties } from "../../../src/protocol/properties.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { SysFlag } from "../../../src/protocol/sys_flag.ts";
import { Version } from "../../../src/protocol/version.ts";
import type { Response } from "../../../src/remoting/command.ts";
import { bodyOf, BrokerParts, propertiesOf, sendRequest } from "../../harness/broker_parts.ts";
import { MemoryConnection } from "../../harness/memory_connection.ts";

let broker: BrokerParts;

async function start(...pairs: string[]): Promise<BrokerParts> {
  await broker?.close();
  return broker = await BrokerParts.open({ pairs });
}

/** Asks, and sees that the answer has the fields of every send and that the log did not grow. */
async function refused(answer: Promise<Response>, code: number, remark?: RegExp): Promise<Response> {
  const endBefore = broker.store.maxPhysicalOffset;
  const response = await answer;
  assert.equal(response.code, code, response.remark);
  if (remark !== undefined) assert.match(response.remark!, remark);
  assert.deepEqual(response.fields, { MSG_REGION: "DefaultRegion", TRACE_ON: "true" });
  assert.equal(broker.store.maxPhysicalOffset, endBefore);
  return response;
}

function batchOf(
  ...parts: { body: string; properties?: Record<string, string>; flag?: number }[]
): Uint8Array {
  return encodeBatch(parts.map(({ body, properties = {}, flag = 0 }) => ({
    flag,
    body: new TextEncoder().encode(body),
    properties: encodeProperties(Object.entries(properties)),
  })));
}

beforeEach(async () => void await start());
afterEach(async () => await broker.close());

describe("SEND_MESSAGE", () => {
  test("stores the message and says where", async () => {
    broker.createTopic("T", 4);
    const sent = await broker.send({
      topic: "T",
      properties: { TAGS: "a", UNIQ_KEY: "0A0B", colour: "red" },
      header: { queueId: "2", flag: "7", sysFlag: "1", bornTimestamp: "1600000000001" },
    });
    const record = await broker.last("T", 2);
    assert.equal(sent.code, 0);
    assert.equal(sent.remark, undefined);
    const { msgId, ...fields } = sent.fields!;
    assert.deepEqual(fields, {
      MSG_REGION: "DefaultRegion",
      TRACE_ON: "true",
      queueId: "2",
      queueOffset: "0",
      transactionId: "0A0B",
    });
    assert.deepEqual(parseOffsetMessageId(msgId), {
      ip: Uint8Array.of(10, 1, 2, 3),
      port: 10911,
      physicalOffset: record.physicalOffset,
    });
    assert.equal(bodyOf(record), "hello");
    assert.equal(record.flag, 7);
    assert.equal(record.sysFlag, 1);
    assert.equal(record.bornTimestampMs, 1600000000001);
    assert.equal(record.reconsumeTimes, 0);
    assert.equal(record.bornHost.port, broker.connection.remote.port);
    assert.deepEqual(propertiesOf(record), {
      TAGS: "a",
      UNIQ_KEY: "0A0B",
      colour: "red",
      MSG_REGION: "DefaultRegion",
      TRACE_ON: "true",
      CLUSTER: "DefaultCluster",
    });
  });

  test("takes the long names of version 1 and the letters of version 2", async () => {
    broker.createTopic("T");
    for (const code of [RequestCode.SEND_MESSAGE, RequestCode.SEND_MESSAGE_V2]) {
      const sent = await broker.send({ topic: "T", code, properties: { k: String(code) } });
      assert.equal(sent.code, 0, sent.remark);
      assert.equal(propertiesOf(await broker.last("T")).k, String(code));
    }
    assert.equal(broker.store.maxOffset("T", 0), 2);
  });

  test("optional fields may be left out", async () => {
    broker.createTopic("T");
    const header = {
      properties: undefined,
      reconsumeTimes: undefined,
      unitMode: undefined,
      batch: undefined,
      maxReconsumeTimes: undefined,
    };
    for (const code of [RequestCode.SEND_MESSAGE, RequestCode.SEND_MESSAGE_V2]) {
      assert.equal((await broker.send({ topic: "T", code, header })).code, 0);
    }
  });

  test("region and tracing are the broker's, whatever the message says", async () => {
    await start("regionId=there", "traceOn=false");
    broker.createTopic("T");
    const properties = { MSG_REGION: "here", TRACE_ON: "maybe", CLUSTER: "mine", k: "v" };
    const sent = await broker.send({ topic: "T", properties });
    assert.equal(sent.fields!.MSG_REGION, "there");
    assert.equal(sent.fields!.TRACE_ON, "false");
    const record = await broker.last("T");
    const { UNIQ_KEY: _, ...stored } = propertiesOf(record);
    assert.deepEqual(stored, { k: "v", MSG_REGION: "there", TRACE_ON: "false", CLUSTER: "DefaultCluster" });
    for (const name of ["MSG_REGION", "TRACE_ON", "CLUSTER"]) {
      assert.equal(record.properties.split(`${name}\x01`).length, 2, `${name} stands there once`);
    }
  });

  test("a message without unique key gets one, by which it can be found", async () => {
    broker.createTopic("T");
    const sent = await broker.send({ topic: "T" });
    const key = propertiesOf(await broker.last("T")).UNIQ_KEY;
    assert.match(key, /^[0-9A-F]{32}$/);
    assert.equal(sent.fields!.transactionId, key);
    assert.equal(broker.store.queryByKey("T", key, 1, 0, Number.MAX_SAFE_INTEGER).records.length, 1);
  });

  test("the check point of POP does not come in from outside", async () => {
    broker.createTopic("T");
    const properties = "POP_CK\x011 2 3\x02k\x01v\x02POP_CK\x014 5 6";
    await broker.send({ topic: "T", header: { properties } });
    const record = await broker.last("T");
    assert.doesNotMatch(record.properties, /POP_CK/);
    assert.equal(propertiesOf(record).k, "v");
  });

  test("properties that end without a separator are kept apart from those that are added", async () => {
    broker.createTopic("T");
    await broker.send({ topic: "T", header: { properties: "k\x01v" } });
    assert.equal(propertiesOf(await broker.last("T")).k, "v");
  });

  test("messages of a connection get consecutive offsets in the order in which they came", async () => {
    broker.createTopic("T");
    const sent = await Promise.all(
      Array.from({ length: 50 }, (_, i) => broker.send({ topic: "T", body: `${i}` })),
    );
    assert.deepEqual(
      sent.map((answer) => answer.fields!.queueOffset),
      Array.from({ length: 50 }, (_, i) => `${i}`),
    );
    assert.deepEqual(await broker.bodies("T"), Array.from({ length: 50 }, (_, i) => `${i}`));
  });

  test("a one-way message is stored without an answer", async () => {
    broker.createTopic("T");
    const request = broker.connection.tell(broker.dispatch, sendRequest({ topic: "T" }));
    assert.deepEqual(await broker.bodies("T"), ["hello"]);
    assert.equal(request.isAnswered, true);
    assert.equal(broker.connection.responses.length, 0);
  });

  test("a negative queueId means any writable queue", async () => {
    broker.createTopic("T", 4);
    const used = new Set<string>();
    for (let i = 0; i < 60; i++) {
      const sent = await broker.send({ topic: "T", header: { queueId: "-1" } });
      used.add(sent.fields!.queueId);
      assert.equal(broker.store.maxOffset("T", Number(sent.fields!.queueId)) > 0, true);
    }
    assert.deepEqual([...used].sort(), ["0", "1", "2", "3"]);
  });

  test("without any writable queue a negative queueId is refused, so that the client tries another broker", async () => {
    broker.topics.update({ ...topicOf("T"), readQueueNums: 2, writeQueueNums: 0 });
    await refused(
      broker.send({ topic: "T", header: { queueId: "-1" } }),
      1,
      /T has no queue to be written to/,
    );
  });

  test("a queue that is only read, or only written, may be sent to", async () => {
    broker.topics.update({ ...topicOf("T"), readQueueNums: 2, writeQueueNums: 4 });
    assert.equal((await broker.send({ topic: "T", header: { queueId: "3" } })).code, 0);
    broker.topics.update({ ...topicOf("T"), readQueueNums: 8, writeQueueNums: 4 });
    assert.equal((await broker.send({ topic: "T", header: { queueId: "7" } })).code, 0);
    await refused(broker.send({ topic: "T", header: { queueId: "8" } }), 29, /queueId\[8\] is illegal/);
    await refused(broker.send({ topic: "T", header: { queueId: "2147483647" } }), 29);
  });

  test("the topic's own permission is not looked at", async () => {
    broker.createTopic("ReadOnly", 1, 4);
    assert.equal((await broker.send({ topic: "ReadOnly" })).code, 0);
  });

  test("counts what is stored and what is refused", async () => {
    broker.createTopic("T");
    await broker.send({ topic: "T" });
    await broker.send({ topic: "T", header: { queueId: "9" } });
    assert.equal(broker.statistics.put.messages, 1);
    assert.equal(broker.statistics.putFailedTimes, 1);
  });
});

function topicOf(topic: string) {
  broker.createTopic(topic);
  return broker.topics.get(topic)!;
}

describe("what a send is refused for", () => {
  test("a field that is missing or no number: SYSTEM_ERROR that names it", async () => {
    broker.createTopic("T");
    const names = {
      producerGroup: "a",
      topic: "b",
      defaultTopic: "c",
      defaultTopicQueueNums: "d",
      queueId: "e",
      sysFlag: "f",
      bornTimestamp: "g",
      flag: "h",
    };
    for (const [long, letter] of Object.entries(names)) {
      for (const [code, name] of [[RequestCode.SEND_MESSAGE, long], [RequestCode.SEND_MESSAGE_V2, letter]]) {
        const answer = await broker.send({ topic: "T", code: code as number, header: { [long]: undefined } });
        assert.equal(answer.code, 1);
        assert.match(answer.remark!, new RegExp(`<${name}>`));
      }
    }
    for (
      const long of ["queueId", "sysFlag", "bornTimestamp", "flag", "reconsumeTimes", "maxReconsumeTimes"]
    ) {
      for (const value of ["", "x", "1.5", "1e3", " 1", "0x10", "99999999999999999999", "１"]) {
        const answer = await broker.send({ topic: "T", header: { [long]: value } });
        assert.equal(answer.code, 1, `${long}=${value}`);
      }
    }
    assert.equal(broker.store.maxPhysicalOffset, 0);
  });

  test("no body: SYSTEM_ERROR, before anything else is looked at", async () => {
    await refused(broker.send({ topic: "no such topic", body: null }), 1, /no body/);
    await refused(broker.send({ topic: "no such topic", body: null, code: 320 }), 1, /no body/);
  });

  test("a time to come from which messages are taken: SYSTEM_ERROR", async () => {
    broker.createTopic("T");
    broker.settings = { ...broker.settings, acceptSendsFromMs: broker.clock.nowMs() + 1000 };
    await refused(broker.send({ topic: "T" }), 1, /does not take messages before 2023-11-14T22:13:21.000Z/);
    broker.clock.advance(1000);
    assert.equal((await broker.send({ topic: "T" })).code, 0);
  });

  test("a broker that may not be written to: NO_PERMISSION, and no topic is made", async () => {
    broker.settings = { ...broker.settings, brokerPermission: 4 };
    broker.createTopic("T");
    await refused(broker.send({ topic: "T" }), 16, /may not be written to/);
    await refused(broker.send({ topic: "New" }), 16);
    await refused(broker.send({ topic: "T", code: 320, body: batchOf({ body: "a" }) }), 16);
    assert.equal(broker.topics.get("New"), undefined);
  });

  test("a name that no topic can have: INVALID_PARAMETER", async () => {
    const names = [
      "",
      " ",
      "a b",
      "a/b",
      "../x",
      "a\u0000b",
      "日本",
      "a".repeat(128),
      `%RETRY%${"g".repeat(249)}`,
    ];
    for (const topic of names) await refused(broker.send({ topic }), 29, /^The specified topic/);
    assert.equal(broker.topics.get("a b"), undefined);
  });

  test("a topic of the broker's own: NO_PERMISSION", async () => {
    const names = [
      "SCHEDULE_TOPIC_XXXX",
      "RMQ_SYS_TRANS_HALF_TOPIC",
      "RMQ_SYS_TRANS_OP_HALF_TOPIC",
      "TRANS_CHECK_MAX_TIME_TOPIC",
      "SELF_TEST_TOPIC",
      "OFFSET_MOVED_EVENT",
    ];
    for (const topic of names) await refused(broker.send({ topic }), 16, /is forbidden/);
    for (const topic of ["TBW102", "BenchmarkTest"]) {
      assert.equal((await broker.send({ topic })).code, 0, topic);
    }
  });

  test("a topic that does not exist and is not made by itself: TOPIC_NOT_EXIST", async () => {
    await refused(
      broker.send({ topic: "T", header: { defaultTopic: "nothing" } }),
      17,
      /^topic\[T\] not exist/,
    );
    await start("autoCreateTopicEnable=false");
    await refused(broker.send({ topic: "T" }), 17);
    assert.equal(broker.topics.get("T"), undefined);
  });

  test("a body or properties that are too long: MESSAGE_ILLEGAL that names the limit", async () => {
    await start("maxMessageSize=1000");
    broker.createTopic("T");
    await refused(broker.send({ topic: "T", body: "x".repeat(1001) }), 13, /1000/);
    await refused(broker.send({ topic: "T", properties: { k: "x".repeat(40_000) } }), 13, /32767/);
    assert.equal((await broker.send({ topic: "T", body: "x".repeat(1000) })).code, 0);
  });

  test("a delay that is no number: MESSAGE_ILLEGAL, rather than delivered at once", async () => {
    broker.createTopic("T");
    for (const DELAY of ["x", "1.5", " 1", "2147483648", "99999999999"]) {
      await refused(broker.send({ topic: "T", properties: { DELAY } }), 13, /DELAY/);
    }
  });

  test("a store that takes nothing: SERVICE_NOT_AVAILABLE with the reason", async () => {
    broker.createTopic("T");
    const { store } = broker;
    await store.close();
    await refused(broker.send({ topic: "T" }), 14, /shut down/);
    await refused(broker.send({ topic: "T", code: 320, body: batchOf({ body: "a" }) }), 14);
  });

  test("a disk that refuses the write: SERVICE_NOT_AVAILABLE, also to those who were waiting", async () => {
    broker.createTopic("T");
    broker.files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/ });
    const answers = await Promise.all(["a", "b", "c"].map((body) => broker.send({ topic: "T", body })));
    for (const answer of answers) {
      assert.equal(answer.code, 14);
      assert.match(answer.remark!, /full/);
      assert.deepEqual(answer.fields, { MSG_REGION: "DefaultRegion", TRACE_ON: "true" });
    }
    assert.equal(broker.statistics.putFailedTimes, 3);
    assert.deepEqual(await broker.bodies("T"), []);
    broker.clock.advance(2000);
    assert.equal((await broker.send({ topic: "T", body: "d" })).fields!.queueOffset, "0");
    assert.deepEqual(await broker.bodies("T"), ["d"]);
  });
});

describe("topics made by a send", () => {
  test("have as many queues as the client wants, at most those of the template, and its permission", async () => {
    await broker.send({ topic: "Few", header: { defaultTopicQueueNums: "3" } });
    await broker.send({ topic: "Many", header: { defaultTopicQueueNums: "100" } });
    const shape = (topic: string) => {
      const { readQueueNums, writeQueueNums, perm, topicSysFlag, order } = broker.topics.get(topic)!;
      return { readQueueNums, writeQueueNums, perm, topicSysFlag, order };
    };
    assert.deepEqual(shape("Few"), {
      readQueueNums: 3,
      writeQueueNums: 3,
      perm: 6,
      topicSysFlag: 0,
      order: false,
    });
    assert.deepEqual(shape("Many"), {
      readQueueNums: 8,
      writeQueueNums: 8,
      perm: 6,
      topicSysFlag: 0,
      order: false,
    });
  });

  test("take any topic with the inherit permission as a template", async () => {
    for (const defaultTopic of ["DefaultCluster", "broker-a"]) {
      const sent = await broker.send({ topic: `By-${defaultTopic}`, header: { defaultTopic } });
      assert.equal(sent.code, 0, sent.remark);
    }
    broker.createTopic("Plain");
    await refused(broker.send({ topic: "ByPlain", header: { defaultTopic: "Plain" } }), 17);
  });

  test("without a queue are not made", async () => {
    for (const defaultTopicQueueNums of ["0", "-1"]) {
      await refused(broker.send({ topic: "None", header: { defaultTopicQueueNums } }), 17);
    }
    assert.equal(broker.topics.get("None"), undefined);
  });

  test("note the unit mode", async () => {
    await broker.send({ topic: "Unit", header: { unitMode: "true" } });
    assert.equal(broker.topics.get("Unit")!.topicSysFlag, 1);
    await broker.send({ topic: "%RETRY%unit", header: { unitMode: "true" } });
    assert.equal(broker.topics.get("%RETRY%unit")!.topicSysFlag, 2);
  });

  test("are answered when name servers know them, or can't be told", async () => {
    let tell = () => {};
    broker.published = () => new Promise((resolve) => tell = resolve);
    let isAnswered = false;
    const answer = broker.send({ topic: "New" }).finally(() => isAnswered = true);
    assert.deepEqual(await broker.bodies("New"), ["hello"]);
    assert.equal(isAnswered, false);
    tell();
    assert.equal((await answer).code, 0);
    broker.published = () => Promise.reject(new Error("no name server"));
    assert.equal((await broker.send({ topic: "New2" })).code, 0);
  });

  test("are not there when their table can't be written", async () => {
    broker.files.fail({ operation: "create", code: "ENOSPC", path: /topics\.json/ });
    await refused(broker.send({ topic: "New" }), 1, /topics\.json/);
    assert.equal(broker.topics.get("New"), undefined);
    assert.equal((await broker.send({ topic: "New" })).code, 0);
  });
});

describe("a message with a priority", () => {
  const PRIORITY = "_SYS_MSG_PRIORITY_";
  const queueOf = async (properties: Record<string, string>) => {
    const { code, fields } = await broker.send({ topic: "P", properties, header: { queueId: "1" } });
    assert.equal(code, 0);
    return Number(fields!.queueId);
  };

  test("goes to the queue of that number, at most the last one", async () => {
    broker.createTopic("P", 4);
    for (const [priority, queueId] of [["0", 0], ["3", 3], ["9", 3], ["+2", 2]] as const) {
      assert.equal(await queueOf({ [PRIORITY]: priority }), queueId);
    }
    assert.equal(parseProperties((await broker.last("P", 3)).properties).get(PRIORITY), "9");
  });

  test("goes where its sender says if it is of another kind or its priority is no number", async () => {
    broker.createTopic("P", 4);
    assert.equal(await queueOf({ [PRIORITY]: "3", __SHARDINGKEY: "order 7" }), 1);
    assert.equal(parseProperties((await broker.last("P", 1)).properties).has(PRIORITY), false);
    assert.equal(await queueOf({ [PRIORITY]: "high" }), 1);
    assert.equal(parseProperties((await broker.last("P", 1)).properties).get(PRIORITY), "high");
    assert.equal(await queueOf({ [PRIORITY]: "-1" }), 1);
  });
});

describe("kinds of messages that are not built", () => {
  beforeEach(() => broker.createTopic("T"));

  test("half messages that don't say whom to ask, or are none by their property", async () => {
    await refused(broker.send({ topic: "T", properties: { TRAN_MSG: "true" } }), 13, /PGROUP/);
    for (const sysFlag of [4, 8, 12, 5]) {
      await refused(broker.send({ topic: "T", header: { sysFlag: String(sysFlag) } }), 13);
    }
  });

  test("messages of topics whose queues are kept in a way that is not built: MESSAGE_ILLEGAL", async () => {
    const config = broker.topics.get("T")!;
    const table = broker.topics.table as Map<string, typeof config>;
    table.set("T", { ...config, attributes: new Map([["queue.type", "BatchCQ"]]) });
    await refused(broker.send({ topic: "T" }), 13, /queue.type=BatchCQ/);
    await refused(broker.send({ topic: "T", code: 320, body: batchOf({ body: "a" }) }), 13, /BatchCQ/);
    table.set("T", { ...config, attributes: new Map([["cleanup.policy", "COMPACTION"]]) });
    await refused(broker.send({ topic: "T", properties: { KEYS: " " } }), 13, /Required message key/);
    assert.equal((await broker.send({ topic: "T", properties: { KEYS: "k" } })).code, 0);
    table.set("T", { ...config, attributes: new Map([["message.type", "FIFO"]]) });
    assert.equal((await broker.send({ topic: "T" })).code, 0);
  });

  test("dispatch to several queues and inner batches: MESSAGE_ILLEGAL", async () => {
    const properties = { INNER_MULTI_DISPATCH: "%LMQ%a", INNER_MULTI_QUEUE_OFFSET: "0" };
    await refused(broker.send({ topic: "T", properties }), 13, /INNER_MULTI_DISPATCH/);
    await start("enableLmq=true", "enableMultiDispatch=true");
    broker.createTopic("T");
    const notLight = { INNER_MULTI_DISPATCH: "T2", DELAY: "1" };
    await refused(broker.send({ topic: "T", properties: notLight }), 13, /"T2", which is no light queue/);
    await refused(broker.send({ topic: "T", properties: { INNER_NUM: "2" } }), 13, /inner batch/);
    for (const sysFlag of [SysFlag.INNER_BATCH, SysFlag.NEED_UNWRAP]) {
      await refused(broker.send({ topic: "T", header: { sysFlag: String(sysFlag) } }), 13, /inner batch/);
    }
  });

  test("neither do they come in as a part of a batch, nor around one", async () => {
    const cases: [Record<string, string>, number][] = [
      [{ TRAN_MSG: "true" }, 13],
      [{ TIMER_DELAY_SEC: "1" }, 13],
      [{ DELAY: "1", TIMER_DELAY_MS: "1" }, 13],
      [{ DELAY: "1" }, 13],
      [{ DELAY: "one" }, 13],
      [{ INNER_MULTI_DISPATCH: "x" }, 13],
      [{ INNER_NUM: "2" }, 13],
    ];
    for (const [properties, code] of cases) {
      const inside = batchOf({ body: "a" }, { body: "b", properties }, { body: "c" });
      await refused(broker.send({ topic: "T", code: 320, body: inside }), code);
      await refused(broker.send({ topic: "T", code: 320, body: batchOf({ body: "a" }), properties }), code);
    }
    for (const sysFlag of ["4", "8", "12"]) {
      await refused(
        broker.send({ topic: "T", code: 320, body: batchOf({ body: "a" }), header: { sysFlag } }),
        13,
      );
    }
  });

  test("a message that was part of a transaction may be tried again by its consumer", async () => {
    const sent = await broker.send({
      topic: "%RETRY%g",
      properties: { TRAN_MSG: "true", DELAY: "3", RETRY_TOPIC: "T" },
      header: { reconsumeTimes: "1", sysFlag: "8" },
    });
    assert.equal(sent.code, 0, sent.remark);
    const record = await broker.last("SCHEDULE_TOPIC_XXXX", 2);
    assert.equal(record.sysFlag & 0xc, 0);
    assert.equal(propertiesOf(record).TRAN_MSG, "true");
  });
});

describe("a delayed message", () => {
  test("waits in the queue of its level; the answer names the queue that was asked for", async () => {
    broker.createTopic("T", 4);
    await broker.send({ topic: "T", properties: { DELAY: "3" } });
    const sent = await broker.send({
      topic: "T",
      properties: { DELAY: "3", TAGS: "a" },
      header: { queueId: "2" },
    });
    assert.equal(sent.code, 0);
    assert.equal(sent.fields!.queueId, "2");
    assert.equal(sent.fields!.queueOffset, "1");
    assert.equal(broker.store.maxOffset("T", 2), 0);
    const record = await broker.last("SCHEDULE_TOPIC_XXXX", 2);
    const { DELAY, REAL_TOPIC, REAL_QID, TAGS } = propertiesOf(record);
    assert.deepEqual({ DELAY, REAL_TOPIC, REAL_QID, TAGS }, {
      DELAY: "3",
      REAL_TOPIC: "T",
      REAL_QID: "2",
      TAGS: "a",
    });
    assert.equal(
      broker.store.queueEntry("SCHEDULE_TOPIC_XXXX", 2, 1)!.tagsCode,
      record.storeTimestampMs + 10_000,
    );
  });

  test("beyond the last level waits at the last one", async () => {
    broker.createTopic("T");
    for (const DELAY of ["19", "1000", "2147483647"]) {
      assert.equal((await broker.send({ topic: "T", properties: { DELAY } })).code, 0);
      assert.equal(propertiesOf(await broker.last("SCHEDULE_TOPIC_XXXX", 17)).DELAY, "18");
    }
  });

  test("at level 0 or below is not delayed", async () => {
    broker.createTopic("T");
    for (const DELAY of ["0", "-1"]) await broker.send({ topic: "T", properties: { DELAY } });
    assert.equal((await broker.bodies("T")).length, 2);
  });

  test("can't say itself where it belongs", async () => {
    broker.createTopic("T");
    const properties = { DELAY: "+1", REAL_TOPIC: "RMQ_SYS_TRANS_HALF_TOPIC", REAL_QID: "7" };
    await broker.send({ topic: "T", properties });
    const { REAL_TOPIC, REAL_QID } = propertiesOf(await broker.last("SCHEDULE_TOPIC_XXXX", 0));
    assert.deepEqual([REAL_TOPIC, REAL_QID], ["T", "0"]);
  });

  test("leaves out what it says of a delivery time, for the level goes before", async () => {
    broker.createTopic("T");
    const sent = await broker.send({ topic: "T", properties: { DELAY: "1", TIMER_DELIVER_MS: "5" } });
    assert.equal(sent.code, 0);
    assert.equal(propertiesOf(await broker.last("SCHEDULE_TOPIC_XXXX", 0)).TIMER_DELIVER_MS, undefined);
  });
});

describe("batches", () => {
  test("are stored whole, with consecutive offsets, and answered with all ids", async () => {
    broker.createTopic("T", 2);
    for (
      const sending of [{ code: 320 }, { code: 310, header: { batch: "true" } }, {
        code: 10,
        header: { batch: "true" },
      }]
    ) {
      const body = batchOf({ body: "a", flag: 1 }, { body: "b", flag: 2, properties: { TAGS: "x" } }, {
        body: "c",
      });
      const header = { queueId: "1", flag: "9", bornTimestamp: "5", ...sending.header };
      const before = broker.store.maxOffset("T", 1);
      const sent = await broker.send({ topic: "T", body, ...sending, header });
      assert.equal(sent.code, 0, sent.remark);
      assert.equal(sent.fields!.queueId, "1");
      assert.equal(sent.fields!.queueOffset, String(before));
      assert.equal("transactionId" in sent.fields!, false);
      const ids = sent.fields!.msgId.split(",");
      await broker.bodies("T", 1);
      const entries = [0, 1, 2].map((i) => broker.store.queueEntry("T", 1, before + i)!);
      assert.deepEqual(
        ids.map((id) => parseOffsetMessageId(id)!.physicalOffset),
        entries.map((entry) => entry.physicalOffset),
      );
      const records = entries.map((entry) => broker.store.readMessage(entry.physicalOffset)!);
      assert.deepEqual(records.map(bodyOf), ["a", "b", "c"]);
      assert.deepEqual(records.map((record) => record.flag), [1, 2, 0]);
      assert.deepEqual(records.map((record) => record.bornTimestampMs), [5, 5, 5]);
      assert.equal(records[1].properties, "TAGS\x01x\x02");
    }
  });

  test("are refused for delays, retry topics, and bodies that are no batch", async () => {
    broker.createTopic("T");
    const body = batchOf({ body: "a" });
    await refused(broker.send({ topic: "T", code: 320, body, properties: { DELAY: "1" } }), 13, /delayed/);
    await refused(broker.send({ topic: "%RETRY%g", code: 320, body }), 13, /retry/);
    await refused(broker.send({ topic: "%RETRY%" + "g".repeat(130), code: 320, body }), 13);
    await refused(broker.send({ topic: "%DLQ%" + "g".repeat(130), code: 320, body }), 13);
    await refused(broker.send({ topic: "T", code: 320, body: "no batch at all, but some text" }), 1, /batch/);
    await refused(broker.send({ topic: "T", code: 320, body: body.subarray(0, body.length - 1) }), 1);
    await refused(broker.send({ topic: "a b", code: 320, body }), 29);
    await refused(broker.send({ topic: "a".repeat(128), code: 320, body }), 29);
    await refused(broker.send({ topic: "T", code: 320, body, header: { queueId: "5" } }), 29);
  });

  test("are stored as a whole or not at all", async () => {
    await start("mappedFileSizeCommitLog=4096");
    broker.createTopic("T");
    const tooLong = batchOf({ body: "a" }, { body: "b".repeat(5000) });
    await refused(broker.send({ topic: "T", code: 320, body: tooLong }), 13, /longer than a CommitLog file/);
    assert.deepEqual(await broker.bodies("T"), []);
  });

  test("longer than the longest message are refused as a whole", async () => {
    await start("maxMessageSize=1000");
    broker.createTopic("T");
    const part = { body: "x".repeat(300) };
    await refused(broker.send({ topic: "T", code: 320, body: batchOf(part, part, part, part) }), 13, /1000/);
    assert.equal((await broker.send({ topic: "T", code: 320, body: batchOf(part, part, part) })).code, 0);
  });

  test("over the end of a log file, with no room for the next one, leave nothing behind", async () => {
    await start("mappedFileSizeCommitLog=4096");
    broker.createTopic("T");
    const part = { body: "x".repeat(900) };
    broker.files.fail({ operation: "create", code: "ENOSPC", path: /commitlog\/00000000000000004096/ });
    const answer = await broker.send({
      topic: "T",
      code: 320,
      body: batchOf(part, part, part, part, part, part),
    });
    assert.equal(answer.code, 14);
    assert.deepEqual(await broker.bodies("T"), []);
    broker.clock.advance(2000);
    const again = await broker.send({
      topic: "T",
      code: 320,
      body: batchOf(part, part, part, part, part, part),
    });
    assert.equal(again.code, 0, again.remark);
    assert.equal(again.fields!.queueOffset, "0");
    assert.equal((await broker.bodies("T")).length, 6);
  });
});

describe("sends to a retry topic", () => {
  test("wait for their level, with their count of tries", async () => {
    const sent = await broker.send({
      topic: "%RETRY%g",
      properties: { DELAY: "4", RETRY_TOPIC: "T", ORIGIN_MESSAGE_ID: "1" },
      header: { reconsumeTimes: "2" },
    });
    assert.equal(sent.code, 0, sent.remark);
    const record = await broker.last("SCHEDULE_TOPIC_XXXX", 3);
    assert.equal(record.reconsumeTimes, 2);
    assert.equal(propertiesOf(record).REAL_TOPIC, "%RETRY%g");
  });

  test("make the topic with one queue where topics are not made by themselves", async () => {
    await start("autoCreateTopicEnable=false");
    assert.equal((await broker.send({ topic: "%RETRY%g" })).code, 0);
    assert.equal(broker.topics.get("%RETRY%g")!.writeQueueNums, 1);
  });

  test("of a group that does not exist are refused", async () => {
    await start("autoCreateSubscriptionGroup=false");
    await refused(broker.send({ topic: "%RETRY%nobody" }), 26, /nobody/);
  });

  test("go to the dead letters after more tries than the group has, or the client says", async () => {
    broker.groups.update({ ...broker.groups.find("g")!, retryMaxTimes: 3 });
    const send = (reconsumeTimes: number, max?: number, version: number = Version.V5_4_0) =>
      broker.send({
        topic: "%RETRY%g",
        version,
        properties: { DELAY: "1", k: "v" },
        header: { reconsumeTimes: String(reconsumeTimes), maxReconsumeTimes: max?.toString() },
      });
    const dead = async () => (await broker.bodies("%DLQ%g")).length;
    await send(3);
    assert.equal(await dead(), 0);
    const sent = await send(4);
    assert.equal(sent.code, 0);
    assert.equal(sent.fields!.queueId, "0");
    assert.equal(await dead(), 1);
    const record = await broker.last("%DLQ%g");
    assert.equal(record.reconsumeTimes, 4);
    assert.equal(propertiesOf(record).k, "v");
    assert.ok(Number(propertiesOf(record).DELAY ?? 0) <= 0);
    const { perm, writeQueueNums } = broker.topics.get("%DLQ%g")!;
    assert.deepEqual({ perm, writeQueueNums }, { perm: 6, writeQueueNums: 1 });
    await send(4, 5);
    assert.equal(await dead(), 1);
    await send(2, 1);
    assert.equal(await dead(), 2);
    // clients of that age don't mean what they say in this field
    await send(4, 5, 100);
    assert.equal(await dead(), 3);
  });

  test("go to the dead letters at once while the group holds a lock, for it consumes in order", async () => {
    const queue = { topic: "T", brokerName: "broker-a", queueId: 0 };
    broker.locks.lock("g", "client", [queue]);
    await broker.send({ topic: "%RETRY%g", properties: { DELAY: "1" }, header: { reconsumeTimes: "1" } });
    assert.equal((await broker.bodies("%DLQ%g")).length, 1);
    broker.clock.advance(61_000);
    await broker.send({ topic: "%RETRY%g", properties: { DELAY: "1" }, header: { reconsumeTimes: "1" } });
    assert.equal((await broker.bodies("%DLQ%g")).length, 1);
  });
});

describe("when a send is answered", () => {
  test("under ASYNC_FLUSH when it is written", async () => {
    const hold = broker.files.holdSyncs();
    broker.createTopic("T");
    assert.equal((await broker.send({ topic: "T" })).code, 0);
    hold.release();
  });

  test("under SYNC_FLUSH when it is flushed, unless it does not want to wait", async () => {
    await start("flushDiskType=SYNC_FLUSH");
    broker.createTopic("T");
    const hold = broker.files.holdSyncs();
    const answered: string[] = [];
    const waiting = broker.send({ topic: "T", body: "a" }).then((answer) =>
      answered.push(`a ${answer.code}`)
    );
    const batch = broker.send({ topic: "T", code: 320, body: batchOf({ body: "b" }) })
      .then((answer) => answered.push(`b ${answer.code}`));
    await broker.send({ topic: "T", body: "c", properties: { WAIT: "false" } }).then(() =>
      answered.push("c")
    );
    assert.deepEqual(answered, ["c"]);
    assert.equal(broker.store.maxOffset("T", 0), 0, "nobody sees what a power cut can take away");
    hold.release();
    await Promise.all([waiting, batch]);
    assert.deepEqual(answered, ["c", "a 0", "b 0"]);
    assert.deepEqual(await broker.bodies("T"), ["a", "b", "c"]);
  });

  test("a flush that takes too long: FLUSH_DISK_TIMEOUT, with everything that a stored message is told", async () => {
    await start("flushDiskType=SYNC_FLUSH");
    broker.createTopic("T");
    const hold = broker.files.holdSyncs();
    const answer = broker.send({ topic: "T", properties: { UNIQ_KEY: "K" } });
    broker.clock.advance(4999);
    assert.equal(broker.connection.responses.length, 0);
    broker.clock.advance(1);
    const { code, fields } = await answer;
    assert.equal(code, 10);
    assert.deepEqual(Object.keys(fields!).sort(), [
      "MSG_REGION",
      "TRACE_ON",
      "msgId",
      "queueId",
      "queueOffset",
      "transactionId",
    ]);
    hold.release();
    assert.deepEqual(await broker.bodies("T"), ["hello"]);
  });

  test("a flush that fails: SERVICE_NOT_AVAILABLE for all who wait and all who come", async () => {
    await start("flushDiskType=SYNC_FLUSH");
    broker.createTopic("T");
    await broker.send({ topic: "T", body: "before" });
    broker.files.fail({ operation: "sync", code: "EIO", path: /commitlog/ });
    const answers = await Promise.all(["a", "b"].map((body) => broker.send({ topic: "T", body })));
    assert.deepEqual(answers.map((answer) => answer.code), [14, 14]);
    for (const answer of answers) {
      assert.match(answer.remark!, /flush/);
      assert.deepEqual(answer.fields, { MSG_REGION: "DefaultRegion", TRACE_ON: "true" });
    }
    await refused(broker.send({ topic: "T" }), 14);
    const pulled = await broker.pull({ group: "g", topic: "T" });
    assert.equal(pulled.code, 0);
    assert.equal(pulled.fields!.maxOffset, "1");
  });

  test("a connection that has gone is not answered, and its message is stored", async () => {
    broker.createTopic("T");
    const connection = new MemoryConnection();
    void broker.send({ topic: "T" }, connection);
    connection.close();
    assert.deepEqual(await broker.bodies("T"), ["hello"]);
    assert.equal(connection.responses.length, 0);
    assert.equal(connection.releasedCount, 1);
  });
});
