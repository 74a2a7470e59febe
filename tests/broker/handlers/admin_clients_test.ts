// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Clients } from "../../../src/broker/clients.ts";
import { adminClientsHandlers } from "../../../src/broker/handlers/admin_clients.ts";
import { groupConfig } from "../../../src/protocol/bodies/subscription_group.ts";
import { topicConfig } from "../../../src/protocol/bodies/topic_config.ts";
import type { Fields } from "../../../src/protocol/header.ts";
import { offsetMessageId } from "../../../src/protocol/message_id.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { ResponseCode } from "../../../src/protocol/response_code.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { bodyBytes, MemoryConnection } from "../../harness/memory_connection.ts";

const RECORD = new Uint8Array([1, 2, 3]);

function started() {
  const clock = new ManualClock();
  const clients = new Clients({
    clock,
    settings: () => ({ clientExpiryMs: 120_000, notifyConsumerIdsChanged: true }),
  });
  const handlers = new Map(adminClientsHandlers({
    brokerName: "b",
    clients,
    topics: { get: (topic) => topic === "T" ? topicConfig("T", { topicSysFlag: 1 }) : undefined },
    groups: { get: (group) => group === "G" ? groupConfig("G", { groupSysFlag: 2 }) : undefined },
    store: { readRecord: (physicalOffset) => physicalOffset === 4096 ? RECORD : undefined },
  }));
  const consumer = (clientId: string, version = 493) => {
    const connection = new MemoryConnection({ clock });
    clients.registerConsumer({ connection, clientId, language: "GO", version }, {
      data: {
        groupName: "G",
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
        unitMode: false,
        subscriptionDataSet: [{
          topic: "T",
          subString: "a",
          tagsSet: ["a"],
          codeSet: [97],
          subVersion: 7,
          expressionType: "TAG",
          classFilterMode: false,
        }],
      },
      notifies: false,
    });
    return connection;
  };
  const ask = (code: number, fields: Fields) => new MemoryConnection().ask(handlers, { code, fields });
  const asked = async (code: number, fields: Fields) => {
    const response = await ask(code, fields);
    return {
      code: response.code,
      remark: response.remark,
      body: new TextDecoder().decode(bodyBytes(response)),
    };
  };
  return { clock, clients, consumer, ask, asked };
}

test("a consumer group's members and subscriptions are listed while it is online", async () => {
  const { consumer, asked } = started();
  const fields = { consumerGroup: "G" };
  assert.deepEqual(await asked(RequestCode.GET_CONSUMER_CONNECTION_LIST, fields), {
    code: ResponseCode.CONSUMER_NOT_ONLINE,
    remark: "the consumer group[G] not online",
    body: "",
  });
  const { remote } = consumer("c1");
  const { code, body } = await asked(RequestCode.GET_CONSUMER_CONNECTION_LIST, fields);
  assert.equal(code, ResponseCode.SUCCESS);
  assert.deepEqual(JSON.parse(body), {
    connectionSet: [{ clientAddr: `127.0.0.1:${remote.port}`, clientId: "c1", language: "GO", version: 493 }],
    consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
    consumeType: "CONSUME_PASSIVELY",
    messageModel: "CLUSTERING",
    subscriptionTable: {
      T: {
        classFilterMode: false,
        codeSet: [97],
        expressionType: "TAG",
        subString: "a",
        subVersion: 7,
        tagsSet: ["a"],
        topic: "T",
      },
    },
  });
});

test("producers are listed by group, and all of them", async () => {
  const { clients, clock, asked } = started();
  const fields = { producerGroup: "P" };
  assert.deepEqual(await asked(RequestCode.GET_PRODUCER_CONNECTION_LIST, fields), {
    code: ResponseCode.SYSTEM_ERROR,
    remark: "the producer group[P] not exist",
    body: "",
  });
  const connection = new MemoryConnection();
  clients.registerProducer("P", { connection, clientId: "p1", language: "JAVA", version: 409 });
  const clientAddr = `127.0.0.1:${connection.remote.port}`;
  const one = await asked(RequestCode.GET_PRODUCER_CONNECTION_LIST, fields);
  assert.deepEqual(JSON.parse(one.body), {
    connectionSet: [{ clientAddr, clientId: "p1", language: "JAVA", version: 409 }],
  });
  const all = await asked(RequestCode.GET_ALL_PRODUCER_INFO, {});
  assert.deepEqual(JSON.parse(all.body), {
    data: {
      P: [{
        clientId: "p1",
        language: "JAVA",
        lastUpdateTimestamp: clock.nowMs(),
        remoteIP: `/${clientAddr}`,
        version: 409,
      }],
    },
  });
});

test("a running consumer is asked for its state, and its answer handed back as it is", async () => {
  const { consumer, ask } = started();
  const connection = consumer("c1");
  const fields = { consumerGroup: "G", clientId: "c1", jstackEnable: "true", unheard: "of" };
  const answered = ask(RequestCode.GET_CONSUMER_RUNNING_INFO, fields);
  await setImmediate();
  const [call] = connection.calls;
  assert.equal(call.request.code, RequestCode.GET_CONSUMER_RUNNING_INFO);
  assert.deepEqual(call.request.fields, fields);
  assert.equal(call.timeoutMs, 10_000);
  call.answer({ code: 5, remark: "as it likes", fields: { a: "b" }, body: new Uint8Array([9]) });
  assert.deepEqual(await answered, {
    code: 5,
    remark: "as it likes",
    fields: { a: "b" },
    body: new Uint8Array([9]),
  });
});

test("a consumer that is not there, too old, silent or gone is told apart", async () => {
  const { clock, consumer, asked } = started();
  const connection = consumer("c1");
  consumer("old", 61);
  const info = (clientId: string) =>
    asked(RequestCode.GET_CONSUMER_RUNNING_INFO, { consumerGroup: "G", clientId });
  assert.deepEqual(await info("c2"), {
    code: ResponseCode.SYSTEM_ERROR,
    remark: "The Consumer <G> <c2> not online",
    body: "",
  });
  assert.match((await info("old")).remark!, /Version <61> too low/);
  const silent = info("c1");
  await setImmediate();
  clock.advance(10_000);
  assert.equal((await silent).code, ResponseCode.CONSUME_MSG_TIMEOUT);
  const gone = info("c1");
  await setImmediate();
  connection.close();
  assert.equal((await gone).code, ResponseCode.SYSTEM_ERROR);
});

test("a message to be consumed at once is sent along as it is stored, with what the client needs to know", async () => {
  const { consumer, ask, asked } = started();
  const connection = consumer("c1");
  const msgId = offsetMessageId({ ip: new Uint8Array([10, 0, 0, 1]), port: 10911 }, 4096);
  const fields = { consumerGroup: "G", clientId: "c1", msgId, topic: "T" };
  const answered = ask(RequestCode.CONSUME_MESSAGE_DIRECTLY, fields);
  await setImmediate();
  const [call] = connection.calls;
  assert.deepEqual(call.request, {
    code: RequestCode.CONSUME_MESSAGE_DIRECTLY,
    fields: { ...fields, brokerName: "b", topicSysFlag: "1", groupSysFlag: "2" },
    body: RECORD,
  });
  call.answer({ code: 0 });
  assert.equal((await answered).code, ResponseCode.SUCCESS);

  const missing = offsetMessageId({ ip: new Uint8Array(4), port: 1 }, 1);
  for (const id of [missing, "zz", ""]) {
    const { code, remark } = await asked(RequestCode.CONSUME_MESSAGE_DIRECTLY, { ...fields, msgId: id });
    assert.equal(code, ResponseCode.SYSTEM_ERROR);
    assert.match(remark!, /is not (stored here|the offset message id)/);
  }
});

test("consumers are asked where they stand; those that do not answer are left out", async () => {
  const { clock, consumer, asked } = started();
  const status = (clientAddr?: string) =>
    asked(RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, {
      topic: "T",
      group: "G",
      ...(clientAddr === undefined ? {} : { clientAddr }),
    });
  assert.equal((await status()).remark, "No Any Consumer online in the consumer group: [G]");
  const [first, second, third] = [consumer("c1"), consumer("c2"), consumer("c3")];
  const all = status();
  await setImmediate();
  assert.deepEqual(first.calls[0].request, {
    code: RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT,
    fields: { topic: "T", group: "G" },
  });
  const body = '{"consumerTable":{},"messageQueueTable":{{"brokerName":"b","queueId":0,"topic":"T"}:3}}';
  first.calls[0].answer({ code: 0, body: new TextEncoder().encode(body) });
  second.calls[0].answer({ code: 1, remark: "no" });
  clock.advance(5000);
  assert.equal(third.calls.length, 0);
  assert.equal(
    (await all).body,
    '{"consumerTable":{"c1":{{"brokerName":"b","queueId":0,"topic":"T"}:3}},"messageQueueTable":{}}',
  );
  const one = status("c2");
  await setImmediate();
  assert.equal(first.calls.length, 0);
  second.calls[0].answer({ code: 0, body: new TextEncoder().encode(body) });
  assert.match((await one).body, /^\{"consumerTable":\{"c2":/);
});
