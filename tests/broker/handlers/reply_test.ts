// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { parseProperties } from "../../../src/protocol/properties.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import type { Response } from "../../../src/remoting/command.ts";
import { RemotingIoError } from "../../../src/remoting/remoting_error.ts";
import { bodyOf, BrokerParts, propertiesOf } from "../../harness/broker_parts.ts";
import { MemoryConnection } from "../../harness/memory_connection.ts";
import { turns } from "../../harness/until.ts";

const TOPIC = "DefaultCluster_REPLY_TOPIC";

let broker: BrokerParts;
let requester: MemoryConnection;

beforeEach(async () => {
  broker = await BrokerParts.open();
  requester = new MemoryConnection();
  broker.clients.registerProducer("pg", {
    connection: requester,
    clientId: "10.0.0.9@1",
    language: "JAVA",
    version: 453,
  });
});
afterEach(() => broker.close());

function reply(given: Record<string, string> = {}, sending = {}): Promise<Response> {
  return broker.send({
    topic: TOPIC,
    body: "answer",
    properties: { CORRELATION_ID: "c-1", REPLY_TO_CLIENT: "10.0.0.9@1", MSG_TYPE: "reply", ...given },
    code: RequestCode.SEND_REPLY_MESSAGE_V2,
    ...sending,
  });
}

test("a reply is pushed to the client that asked, and kept", async () => {
  const answered = reply({}, { header: { queueId: "0", flag: "7", bornTimestamp: "55" } });
  await turns(6);
  const [{ request, timeoutMs, answer }] = requester.calls;
  assert.equal(request.code, RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT);
  assert.equal(timeoutMs, 10_000);
  const { properties, bornHost, storeHost, storeTimestamp, ...fields } = request.fields!;
  assert.deepEqual(fields, {
    producerGroup: "pg",
    topic: TOPIC,
    defaultTopic: "TBW102",
    defaultTopicQueueNums: "4",
    queueId: "0",
    sysFlag: "0",
    bornTimestamp: "55",
    flag: "7",
    reconsumeTimes: "0",
    unitMode: "false",
  });
  assert.deepEqual([bornHost, storeHost], [
    `127.0.0.1:${broker.connection.remote.port}`,
    "10.1.2.3:10911",
  ]);
  assert.equal(storeTimestamp, String(broker.clock.nowMs()));
  const pushed = parseProperties(properties);
  assert.equal(pushed.get("CORRELATION_ID"), "c-1");
  assert.equal(pushed.get("PUSH_REPLY_TIME"), String(broker.clock.nowMs()));
  assert.equal(new TextDecoder().decode(request.body as Uint8Array), "answer");

  answer({ code: 0 });
  const { code, fields: place } = await answered;
  assert.equal(code, 0);
  const kept = await broker.last(TOPIC);
  assert.equal(place!.queueOffset, "0");
  assert.match(place!.msgId, /^0A010203/);
  assert.equal(place!.MSG_REGION, "DefaultRegion");
  assert.equal(bodyOf(kept), "answer");
  assert.deepEqual(propertiesOf(kept), {
    CORRELATION_ID: "c-1",
    REPLY_TO_CLIENT: "10.0.0.9@1",
    MSG_TYPE: "reply",
  });
});

test("the older form of the request is understood", async () => {
  const answered = reply({}, { code: RequestCode.SEND_REPLY_MESSAGE });
  await turns(6);
  requester.calls[0].answer({ code: 0 });
  assert.equal((await answered).code, 0);
});

test("replies are not kept where the operator does not want it", async () => {
  broker.settings = { ...broker.settings, storeReplies: false };
  const answered = reply();
  await turns(6);
  requester.calls[0].answer({ code: 0 });
  const { code, fields } = await answered;
  assert.equal(code, 0);
  assert.deepEqual([fields!.msgId, fields!.queueOffset], ["0", "0"]);
  assert.equal(broker.store.maxOffset(TOPIC, 0), 0);
});

test("a reply to a client that has gone is kept, and its sender is told", async () => {
  requester.close();
  const answer = await reply();
  assert.equal(answer.code, 1);
  assert.match(answer.remark!, /channel of <10\.0\.0\.9@1> not found/);
  assert.deepEqual(await broker.bodies(TOPIC), ["answer"]);
});

test("a reply that the client does not take is an error", async () => {
  const refused = reply();
  await turns(6);
  requester.calls[0].answer({ code: 1, remark: "no such request" });
  assert.equal((await refused).code, 1);
  const lost = reply();
  await turns(6);
  requester.calls[0].fail(new RemotingIoError("the connection was closed"));
  const answer = await lost;
  assert.equal(answer.code, 1);
  assert.match(answer.remark!, /10\.0\.0\.9@1/);
});

test("a reply must say whom it is for", async () => {
  const answer = await broker.send({
    topic: TOPIC,
    properties: {},
    code: RequestCode.SEND_REPLY_MESSAGE_V2,
  });
  assert.equal(answer.code, 1);
  assert.match(answer.remark!, /REPLY_TO_CLIENT/);
});

test("an empty reply is pushed as such", async () => {
  const answered = reply({}, { body: "" });
  await turns(6);
  assert.equal((requester.calls[0].request.body as Uint8Array).length, 0);
  requester.calls[0].answer({ code: 0 });
  assert.equal((await answered).code, 0);
  assert.deepEqual(await broker.bodies(TOPIC), [""]);
});

test("a reply to a topic that can't be is refused before anything is pushed", async () => {
  broker.settings = { ...broker.settings, brokerPermission: 4 };
  const answer = await reply();
  assert.equal(answer.code, 16);
  assert.equal(answer.fields!.TRACE_ON, "true");
  assert.equal(requester.calls.length, 0);
});

test("a reply that the store stumbles over is an error, and only that", async () => {
  broker.store.append = () => {
    throw new RangeError("unforeseen");
  };
  const answered = reply();
  await turns(6);
  requester.calls[0].answer({ code: 0 });
  const { code, remark } = await answered;
  assert.equal(code, 1);
  assert.match(remark!, /unforeseen/);
});

test("a reply that the disk does not take is pushed all the same", async () => {
  broker.files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/, times: 1 });
  const answered = reply();
  await turns(6);
  requester.calls[0].answer({ code: 0 });
  const { code, fields } = await answered;
  assert.deepEqual([code, fields!.msgId], [0, "0"]);
});
