// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AdminApi } from "../../src/client/admin_api.ts";
import { Consumer, type ReceivedMessage } from "../../src/client/consumer.ts";
import { Producer } from "../../src/client/producer.ts";
import type { Decision } from "../../src/client/transactions.ts";
import { RemotingError } from "../../src/remoting/remoting_error.ts";
import { startTestCluster, type TestCluster } from "../harness/cluster.ts";
import { until } from "../harness/until.ts";

const text = (message: ReceivedMessage) => new TextDecoder().decode(message.body);

describe("producer, consumer and admin calls against a broker", () => {
  let cluster: TestCluster;
  let producer: Producer;
  let admin: AdminApi;

  before(async () => {
    cluster = await startTestCluster(
      "messageDelayLevel=1s 1s 1s 1s 1s 1s",
      "transactionTimeOut=200",
      "transactionCheckInterval=200",
    );
    producer = new Producer({ nameServers: cluster.nameServer.address, group: "pg" });
    admin = new AdminApi(cluster.broker.address);
  });

  after(async () => {
    producer.stop();
    admin.close();
    await cluster.stop();
  });

  function consumer(
    group: string,
    topic: string,
    onMessages: (messages: ReceivedMessage[]) => void,
    tags = "*",
  ) {
    const nameServers = cluster.nameServer.address;
    return new Consumer({ nameServers, group, subscriptions: { [topic]: tags }, from: "first", onMessages });
  }

  test("a send makes the topic, and a consumer gets every message once, in its queue's order", async () => {
    for (let i = 0; i < 40; i++) await producer.send({ topic: "Plain", body: `m${i}`, queueId: i % 4 });
    const received: ReceivedMessage[] = [];
    const one = consumer("plain", "Plain", (messages) => void received.push(...messages));
    await one.start();
    await until(() => received.length >= 40);
    await one.stop();
    assert.deepEqual(new Set(received.map(text)).size, 40);
    for (let queueId = 0; queueId < 4; queueId++) {
      const bodies = received.filter((message) => message.queueId === queueId).map(text);
      assert.deepEqual(bodies, Array.from({ length: 10 }, (_, i) => `m${i * 4 + queueId}`));
    }
  });

  test("a committed group goes on where it was, also after a restart of the broker", async () => {
    await admin.createTopic("Resumed", 2);
    const first: string[] = [];
    const send = (body: string) => producer.send({ topic: "Resumed", body });
    await send("a");
    await send("b");
    const before = consumer("resumed", "Resumed", (messages) => void first.push(...messages.map(text)));
    await before.start();
    await until(() => first.length === 2);
    await before.stop();
    await cluster.restartBroker();
    await send("c");
    const second: string[] = [];
    const later = consumer("resumed", "Resumed", (messages) => void second.push(...messages.map(text)));
    await later.start();
    await until(() => second.length >= 1);
    await later.stop();
    assert.deepEqual(second, ["c"]);
  });

  test("a transaction is delivered when it is committed, by its producer or when that is asked", async () => {
    await admin.createTopic("Transactional", 1);
    const asked: string[] = [];
    const transactional = new Producer({
      nameServers: cluster.nameServer.address,
      group: "tp",
      decide: (message) => {
        asked.push(text(message));
        return "COMMIT";
      },
    });
    const send = (body: string, decision: Decision) =>
      transactional.sendInTransaction({ topic: "Transactional", body, tags: "x" }, () => decision);
    const { result } = await send("committed", "COMMIT");
    await send("rolled back", "ROLLBACK");
    await send("open", "UNKNOWN");
    const received: ReceivedMessage[] = [];
    const one = consumer("transactional", "Transactional", (messages) => void received.push(...messages));
    await one.start();
    await until(() => received.length >= 2);
    await one.stop();
    transactional.stop();
    assert.deepEqual(received.map(text), ["committed", "open"]);
    assert.equal(received[0].messageId, result.messageId);
    assert.equal(received[0].tags, "x");
    assert.deepEqual(asked, ["open"]);
  });

  test("a request gets the reply of the consumer that received it", async () => {
    await admin.createTopic("Questions", 1);
    const one = consumer("repliers", "Questions", async (messages) => {
      for (const message of messages) {
        if (text(message) !== "silence") await producer.reply(message, `answer to ${text(message)}`);
      }
    });
    await one.start();
    const { body, properties } = await producer.request({ topic: "Questions", body: "question" }, 10_000);
    assert.equal(new TextDecoder().decode(body), "answer to question");
    assert.ok(properties.get("CORRELATION_ID"));
    await assert.rejects(
      producer.request({ topic: "Questions", body: "silence" }, 300),
      /no reply within 300 ms/,
    );
    await one.stop();
  });

  test("a batch arrives whole, and tags are filtered", async () => {
    await admin.createTopic("Tagged", 1);
    const sent = await producer.sendBatch(
      ["x", "y", "x"].map((tags, i) => ({ topic: "Tagged", body: `${i}`, tags })),
    );
    assert.equal(sent.queueOffset, 0);
    assert.equal(sent.offsetMessageId.split(",").length, 3);
    const received: string[] = [];
    const one = consumer(
      "tagged",
      "Tagged",
      (messages) => void received.push(...messages.map(text)),
      "x || z",
    );
    await one.start();
    await until(() => received.length === 2);
    await one.stop();
    assert.deepEqual(received, ["0", "2"]);
  });

  test("what a handler refuses comes again with its count of tries", async () => {
    await producer.send({ topic: "Again", body: "once more" });
    const tries: [number, string | undefined][] = [];
    const one = consumer("again", "Again", ([message]) => {
      tries.push([message.reconsumeTimes, message.properties.get("RETRY_TOPIC")]);
      if (tries.length < 2) throw new Error("not yet");
    });
    await one.start();
    await until(() => tries.length === 1);
    // the retry topic is made by the first heartbeat; a route to it is looked up at every rebalance
    await until(() => tries.length === 2, 30_000);
    await one.stop();
    assert.deepEqual(tries, [[0, undefined], [1, "Again"]]);
  });

  test("a delayed message comes later, with its own properties", async () => {
    const sentMs = Date.now();
    await producer.send({ topic: "Late", body: "later", delayLevel: 1, properties: { colour: "red" } });
    const received: ReceivedMessage[] = [];
    const one = consumer("late", "Late", (messages) => void received.push(...messages));
    await one.start();
    await until(() => received.length === 1);
    await one.stop();
    assert.ok(Date.now() - sentMs >= 1000);
    assert.equal(received[0].properties.get("colour"), "red");
    assert.equal(received[0].topic, "Late");
  });

  test("two consumers of a group share its queues, and one takes over when the other leaves", async () => {
    await admin.createTopic("Shared", 4);
    const a = consumer("shared", "Shared", () => {});
    const b = consumer("shared", "Shared", () => {});
    const ofTopic = (one: Consumer) => one.queues.filter((queue) => queue.startsWith("Shared/"));
    await a.start();
    await until(() => ofTopic(a).length === 4);
    await b.start();
    await until(() => ofTopic(a).length === 2 && ofTopic(b).length === 2);
    assert.deepEqual(
      [...ofTopic(a), ...ofTopic(b)].sort(),
      [0, 1, 2, 3].map((id) => `Shared/broker-a/${id}`),
    );
    await b.stop();
    await until(() => ofTopic(a).length === 4);
    await a.stop();
  });

  test("a message is found by its ids and keys", async () => {
    const sent = await producer.send({ topic: "Found", body: "here", keys: ["k-1", "k-2"] });
    assert.equal(text(await admin.viewMessage(sent.offsetMessageId)), "here");
    for (const key of ["k-1", "k-2"]) {
      assert.deepEqual((await admin.queryByKey("Found", key)).map(text), ["here"]);
    }
    assert.equal((await admin.queryByKey("Found", sent.messageId, { isUniqueKey: true })).length, 1);
    assert.deepEqual(await admin.queryByKey("Found", "k-3"), []);
  });

  test("offsets are told by end and by time", async () => {
    await admin.createTopic("Timed", 1);
    await producer.send({ topic: "Timed", body: "1" });
    const betweenMs = Date.now() + 2;
    await until(() => Date.now() > betweenMs);
    await producer.send({ topic: "Timed", body: "2" });
    assert.equal(await admin.minOffset("Timed", 0), 0);
    assert.equal(await admin.maxOffset("Timed", 0), 2);
    assert.equal(await admin.offsetByTime("Timed", 0, betweenMs), 1);
    assert.equal(await admin.offsetByTime("Timed", 0, 0), 0);
    assert.equal(await admin.offsetByTime("Timed", 0, Date.now() + 1e6), 2);
  });

  test("one-way messages are stored in the order in which they were sent", async () => {
    await admin.createTopic("Oneway", 1);
    for (let i = 0; i < 500; i++) await producer.sendOneway({ topic: "Oneway", body: String(i) });
    const received: string[] = [];
    const one = consumer("oneway", "Oneway", (messages) => void received.push(...messages.map(text)));
    await one.start();
    await until(() => received.length === 500);
    await one.stop();
    assert.deepEqual(received, Array.from({ length: 500 }, (_, i) => String(i)));
  });

  test("a message that is too long is refused with MESSAGE_ILLEGAL", async () => {
    const body = new Uint8Array(4 * 1024 * 1024 + 1);
    await assert.rejects(
      () => producer.send({ topic: "Plain", body }),
      (error) => error instanceof RemotingError && error.code === 13,
    );
  });

  test("the broker's configuration is shown and changed", async () => {
    assert.match(await admin.config(), /^brokerName=broker-a$/m);
    await admin.updateConfig("maxMessageSize=1000\n");
    assert.match(await admin.config(), /^maxMessageSize=1000$/m);
    await assert.rejects(
      () => producer.send({ topic: "Plain", body: new Uint8Array(1001) }),
      (error) => error instanceof RemotingError && error.code === 13,
    );
    assert.equal((await admin.runtimeInfo()).get("brokerActive"), "true");
  });
});
