// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Consumer } from "../../../src/client/consumer.ts";
import { encodeHeartbeat } from "../../../src/protocol/bodies/heartbeat.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { RemotingClient } from "../../../src/remoting/client.ts";
import { Dispatch } from "../../../src/remoting/dispatch.ts";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { until } from "../../harness/until.ts";
import { Rmq, terminal } from "./rmq.ts";

describe("rmq group and rmq producer", () => {
  let cluster: TestCluster;
  let rmq: Rmq;

  before(async () => {
    cluster = await startTestCluster();
    rmq = new Rmq(cluster.nameServer.address);
  });

  after(() => cluster.stop());

  /** Sends `count` messages to a topic of its own and lets a group consume all of them; then its consumer leaves. */
  async function consumed(topic: string, group: string, count: number): Promise<void> {
    await rmq.ok("topic", "create", topic, "--queues", "2");
    await rmq.ok("message", "send", topic, "x", "--repeat", String(count));
    let received = 0;
    const consumer = consumerOf(topic, group, (messages) => void (received += messages.length));
    await consumer.start();
    await until(() => received === count);
    await consumer.stop();
  }

  function consumerOf(topic: string, group: string, onMessages: (messages: unknown[]) => void) {
    const nameServers = cluster.nameServer.address;
    return new Consumer({
      nameServers,
      group,
      subscriptions: { [topic]: "*" },
      from: "first",
      onMessages,
    });
  }

  test("create makes a group with settings, and refuses to make it twice", async () => {
    const made = await rmq.json(
      "group",
      "create",
      "billing",
      "--retries",
      "3",
      "--orderly",
      "on",
      "--consume",
      "off",
    );
    assert.deepEqual(made.brokers, [{
      cluster: "DefaultCluster",
      broker: "broker-a",
      consumeEnable: false,
      consumeBroadcastEnable: true,
      consumeFromMinEnable: true,
      consumeMessageOrderly: true,
      retryQueueNums: 1,
      retryMaxTimes: 3,
    }]);
    assert.deepEqual((await rmq.json("group", "show", "billing")).brokers, made.brokers);
    assert.match(
      await rmq.fails("group", "create", "billing"),
      /billing exists on broker-a\. Change it with/,
    );
    assert.equal(await rmq.ok("group", "create", "billing", "--replace"), "Created billing on broker-a.\n");
    assert.equal((await rmq.json("group", "show", "billing")).brokers[0].retryMaxTimes, 16);
  });

  test("update changes what is said and nothing else", async () => {
    await rmq.ok("group", "create", "updated", "--retries", "3");
    await rmq.ok("group", "update", "updated", "--consume", "off");
    const [config] = (await rmq.json("group", "show", "updated")).brokers;
    assert.deepEqual([config.consumeEnable, config.retryMaxTimes], [false, 3]);
    assert.match(await rmq.ok("group", "list", "updated"), /^updated +0 +disabled/m);
    assert.match(
      await rmq.fails("group", "update", "updated", "--consume", "no"),
      /--consume takes on or off, not no/,
    );
    assert.match(await rmq.fails("group", "update", "nobody"), /there is no group nobody/);
  });

  test("members and list show who is connected and what is subscribed to", async () => {
    await rmq.ok("topic", "create", "watched");
    assert.match(await rmq.fails("group", "members", "watchers"), /there is no group watchers/);
    const consumer = consumerOf("watched", "watchers", () => {});
    await consumer.start();
    const members = await rmq.json("group", "members", "watchers");
    assert.equal(members.consumeType, "push");
    assert.equal(members.messageModel, "CLUSTERING");
    assert.deepEqual(members.members.map((one: { brokers: string[] }) => one.brokers), [["broker-a"]]);
    assert.deepEqual(members.subscriptions, [
      { topic: "%RETRY%watchers", expressionType: "TAG", expression: "*" },
      { topic: "watched", expressionType: "TAG", expression: "*" },
    ]);
    const out = await rmq.ok("group", "members", "watchers");
    assert.match(out, /^Consumes +push$/m);
    assert.match(out, /^watched +TAG +\*$/m);
    assert.match(
      await rmq.ok("group", "list", "watchers"),
      /^watchers +1 +push +clustering +watched +16 +broker-a$/m,
    );
    await consumer.stop();
    assert.equal(await rmq.ok("group", "members", "watchers"), "No consumer of watchers is connected.\n");
  });

  test("client shows what a consumer says of itself", async () => {
    await rmq.ok("topic", "create", "asked");
    await rmq.ok("group", "create", "talkers");
    assert.match(await rmq.fails("group", "client", "talkers"), /no consumer of talkers is connected/);
    const one = await talker("talkers", "one@1");
    const { queues, topics, properties, jstack } = await rmq.json("group", "client", "talkers", "--threads");
    assert.deepEqual(
      queues.map((queue: Record<string, unknown>) => [queue.queueId, queue.commitOffset, queue.isLocked]),
      [
        [0, 5, false],
        [1, 7, true],
      ],
    );
    assert.deepEqual([topics[0].topic, topics[0].consumeMs, topics[0].failed], ["asked", 1.5, 3]);
    assert.deepEqual([properties.PROP_CLIENT_VERSION, jstack], ["V5_4_0", "main\n  at x"]);
    const out = await rmq.ok("group", "client", "talkers", "one@1");
    assert.match(out, /^asked +broker-a +1 +7 +2 +\d+s +-$/m);
    assert.match(out, /^asked +0 +1\.5 +0 +0\.2 +3$/m);
    const two = await talker("talkers", "two@2");
    assert.match(
      await rmq.fails("group", "client", "talkers"),
      /has several consumers: say one of one@1, two@2/,
    );
    assert.match(
      await rmq.fails("group", "client", "talkers", "six"),
      /talkers has no consumer six: say one of one@1/,
    );
    one.close();
    two.close();
  });

  /** A consumer as a broker sees it, which answers what administrators want to know as a Java client does. */
  async function talker(group: string, clientId: string): Promise<RemotingClient> {
    const queue = (queueId: number) => `{"brokerName":"broker-a","queueId":${queueId},"topic":"asked"}`;
    const answer = (jstack: string) =>
      `{"jstack":${jstack},"mqTable":{${queue(1)}:{"cachedMsgCount":2,"commitOffset":7,"droped":false,` +
      `"lastConsumeTimestamp":0,"lastPullTimestamp":${Date.now()},"locked":true},${
        queue(0)
      }:{"commitOffset":5}},` +
      `"properties":{"PROP_CLIENT_VERSION":"V5_4_0","PROP_CONSUMER_START_TIMESTAMP":"${Date.now()}"},` +
      `"statusTable":{"asked":{"consumeFailedMsgs":3,"consumeFailedTPS":0.2,"consumeRT":1.5,"pullRT":0.0}}}`;
    const dispatch = new Dispatch(
      new Map([[RequestCode.GET_CONSUMER_RUNNING_INFO, (request) => ({
        code: 0,
        body: new TextEncoder().encode(
          answer(request.fields?.jstackEnable === "true" ? '"main\\n  at x"' : "null"),
        ),
      })]]),
    );
    const client = new RemotingClient({ dispatch });
    const body = encodeHeartbeat({
      clientId,
      producerGroups: [],
      consumers: [{
        groupName: group,
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
        unitMode: false,
        subscriptionDataSet: [],
      }],
      fingerprint: 0,
      withoutSubscriptions: false,
    });
    const heard = await client.request(cluster.broker.address, { code: RequestCode.HEART_BEAT, body }, 5000);
    assert.equal(heard.code, 0);
    return client;
  }

  test("lag tells how far a group is behind, by group, topic and queue", async () => {
    await consumed("lagging", "laggards", 4);
    assert.equal((await rmq.json("group", "lag", "laggards")).lag, 0);
    await rmq.ok("message", "send", "lagging", "x", "--repeat", "3", "--queue", "1");
    const one = await rmq.json("group", "lag", "laggards");
    assert.equal(one.lag, 3);
    const topic = one.topics.find((each: { topic: string }) => each.topic === "lagging");
    assert.equal(topic.lag, 3);
    assert.ok(topic.behindMs >= 0);
    assert.deepEqual(
      one.queues.filter((queue: { topic: string }) => queue.topic === "lagging")
        .map((queue: Record<string, number>) => [queue.queueId, queue.lag]),
      [[0, 0], [1, 3]],
    );
    const all = await rmq.json("group", "lag");
    const { members, lag } = all.groups.find((each: { group: string }) => each.group === "laggards");
    assert.deepEqual([members, lag], [0, 3]);
    assert.match(await rmq.ok("group", "lag"), /^laggards +0 +3 +\d+s/m);
    assert.match(await rmq.ok("group", "lag", "laggards"), /\n3 messages behind, /);
    assert.match(
      await rmq.ok("group", "lag", "laggards", "--queues"),
      /^lagging +broker-a +1 +2 +5 +3 +\d+s$/m,
    );
  });

  test("a group that lags without any consumer is shown in red", async () => {
    await consumed("abandoned", "leavers", 1);
    await rmq.ok("message", "send", "abandoned", "x");
    const { out } = await rmq.run(["group", "lag"], terminal(100, true));
    assert.ok(out.includes("\x1b[31m0\x1b[39m"), out);
  });

  test("delete tells who is connected, and takes the retry topic along", async () => {
    await consumed("left", "parting", 1);
    const asked: string[] = [];
    const ask = (question: string) => (asked.push(question), Promise.resolve("y"));
    const { status, out } = await rmq.run(["group", "delete", "parting"], { ask });
    assert.deepEqual([status, out], [0, "Deleted parting on broker-a.\n"]);
    assert.deepEqual(asked, ["Delete the group parting on broker-a? [y/N] "]);
    assert.match(await rmq.fails("group", "show", "parting"), /no group parting/);
    assert.match(await rmq.fails("topic", "show", "%RETRY%parting"), /no topic %RETRY%parting/);
  });

  test("mode lets a group pop a topic, or pull it", async () => {
    await rmq.ok("topic", "create", "popped");
    await rmq.ok("group", "create", "poppers");
    assert.equal(
      await rmq.ok("group", "mode", "poppers", "popped", "pop"),
      "poppers will pop popped on broker-a.\n",
    );
    assert.equal((await rmq.json("group", "mode", "poppers", "popped", "pull")).mode, "PULL");
    assert.match(await rmq.fails("group", "mode", "poppers", "popped", "push"), /can pop or pull, not push/);
    assert.match(await rmq.fails("group", "mode", "nobody", "popped", "pop"), /there is no group nobody/);
  });

  test("producer list shows who sends", async () => {
    await rmq.ok("topic", "create", "sent-to");
    const { Producer } = await import("../../../src/client/producer.ts");
    const producer = new Producer({ nameServers: cluster.nameServer.address, group: "senders" });
    await producer.send({ topic: "sent-to", body: "x" });
    try {
      const { producers } = await rmq.json("producer", "list", "senders");
      assert.deepEqual(producers.map((one: Record<string, unknown>) => [one.group, one.brokers]), [
        ["senders", ["broker-a"]],
      ]);
      assert.match(await rmq.ok("producer", "list"), /^senders +\S+ +127\.0\.0\.1:\d+ /m);
    } finally {
      producer.stop();
    }
    assert.equal(await rmq.ok("producer", "list", "nobody"), "No such producer is connected.\n");
  });
});
