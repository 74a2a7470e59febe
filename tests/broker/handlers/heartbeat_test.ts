// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { Clients } from "../../../src/broker/clients.ts";
import { ConsumerFilters } from "../../../src/broker/consumer_filters.ts";
import { Groups } from "../../../src/broker/groups.ts";
import { heartbeatHandlers } from "../../../src/broker/handlers/heartbeat.ts";
import { Topics } from "../../../src/broker/topics.ts";
import { groupConfig } from "../../../src/protocol/bodies/subscription_group.ts";
import { topicConfig } from "../../../src/protocol/bodies/topic_config.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { MemoryConnection } from "../../harness/memory_connection.ts";
import { MemoryFiles } from "../../harness/memory_files.ts";

function setUp() {
  const clock = new ManualClock();
  const files = new MemoryFiles();
  const directory = "/config";
  files.makeDirectory(directory);
  const settings = {
    autoCreateGroup: true,
    createSystemGroups: true,
    autoCreateTopic: true,
    clientExpiryMs: 120_000,
    notifyConsumerIdsChanged: true,
    rejectPullConsumers: false,
    propertyFilter: false,
  };
  const shared = { clock, files, directory, settings: () => settings };
  const topics = Topics.open({
    ...shared,
    clusterName: "DefaultCluster",
    brokerName: "broker-a",
    autoCreateTopic: true,
    autoCreatedTopicQueueCount: 8,
    clusterTopic: true,
    brokerTopic: true,
    traceTopic: false,
    traceTopicName: "RMQ_SYS_TRACE_TOPIC",
    reviveQueueCount: 8,
  });
  const groups = Groups.open(shared);
  const clients = new Clients(shared);
  const filters = ConsumerFilters.open({
    ...{ ...shared, settings: () => ({ filterExpiryMs: 1000, filterRetries: false }) },
    ...{ bloomErrorPercent: 20, bloomGroupCount: 32, wasStoppedCleanly: true },
    isOnline: (group, topic) => clients.subscription(group, topic) !== undefined,
    lastStoreTimestampMs: () => 0,
  });
  const table = new Map(heartbeatHandlers({ ...shared, clients, groups, topics, filters }));
  const connection = new MemoryConnection();
  const ask = (
    code: number,
    body: unknown,
    given: { fields?: Record<string, string>; language?: number } = {},
  ) =>
    connection.ask(table, {
      code,
      body: body === undefined
        ? null
        : new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body)),
      ...given,
    });
  const beat = (body: unknown, language?: number) => ask(RequestCode.HEART_BEAT, body, { language });
  return { clock, settings, topics, groups, clients, table, connection, ask, beat };
}

const consumer = (groupName: string, more: Record<string, unknown> = {}) => ({
  groupName,
  consumeType: "CONSUME_PASSIVELY",
  messageModel: "CLUSTERING",
  consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
  unitMode: false,
  subscriptionDataSet: [{ topic: "TopicA", subString: "*", subVersion: 1 }],
  ...more,
});
const heartbeat = (consumers: unknown[], more: Record<string, unknown> = {}) => ({
  clientID: "c1",
  producerDataSet: [],
  consumerDataSet: consumers,
  ...more,
});

describe("HEART_BEAT", () => {
  test("of a Java client registers its groups, and makes what they need", async () => {
    const { connection, table, clients, groups, topics } = setUp();
    const body = readFileSync(new URL("../../golden/heartbeat/5.4.0.json", import.meta.url));
    const response = await connection.ask(table, { code: RequestCode.HEART_BEAT, body });
    assert.deepEqual(response, {
      code: 0,
      fields: { IS_SUPPORT_HEART_BEAT_V2: "true", IS_SUB_CHANGE: "true" },
    });
    const [member] = clients.consumerGroup("GroupA")!.members;
    assert.equal(member.clientId, "10.0.0.9@4711#22");
    assert.equal(member.language, "JAVA");
    assert.equal(member.version, 493);
    assert.deepEqual(groups.get("GroupA"), groupConfig("GroupA"));
    assert.deepEqual(
      topics.get("%RETRY%GroupA"),
      topicConfig("%RETRY%GroupA", { readQueueNums: 1, writeQueueNums: 1 }),
    );
    assert.equal(clients.subscription("GroupA", "TopicA")!.matches(2598919), true);
    assert.equal(clients.subscription("GroupA", "TopicA")!.matches(0), false);
    assert.equal(clients.producers("CLIENT_INNER_PRODUCER")!.length, 1);
    assert.equal(clients.connectionOf("10.0.0.9@4711#22"), connection);
    assert.equal(connection.notifications.length, 1);
  });

  test("names the client's language, also one that we don't know", async () => {
    const { beat, clients } = setUp();
    await beat(heartbeat([consumer("g")]), 9);
    assert.equal(clients.consumerGroup("g")!.members[0].language, "GO");
    await beat(heartbeat([consumer("h")]), -1);
    assert.equal(clients.consumerGroup("h")!.members[0].language, "OTHER");
  });

  test("makes the retry topic as the group and its topics want it", async () => {
    const { beat, groups, topics } = setUp();
    groups.update(groupConfig("g", { retryQueueNums: 3 }));
    topics.update(topicConfig("Ordered", { order: true }));
    const ordered = { subscriptionDataSet: [{ topic: "Ordered", subVersion: 1 }] };
    await beat(heartbeat([consumer("g", { ...ordered, unitMode: true })]));
    const config = topics.get("%RETRY%g")!;
    assert.deepEqual(
      [config.readQueueNums, config.writeQueueNums, config.perm, config.order, config.topicSysFlag],
      [3, 3, 6, true, 2],
    );
    await beat(heartbeat([consumer("g")]));
    assert.equal(topics.isOrderTopic("%RETRY%g"), false);
  });

  test("leaves the retry topic's order alone when it does not repeat the subscriptions", async () => {
    const { beat, topics } = setUp();
    topics.update(topicConfig("Ordered", { order: true }));
    const ordered = consumer("g", { subscriptionDataSet: [{ topic: "Ordered", subVersion: 1 }] });
    await beat(heartbeat([ordered], { heartbeatFingerprint: 7, withoutSub: false }));
    await beat(
      heartbeat([consumer("g", { subscriptionDataSet: [] })], { heartbeatFingerprint: 7, withoutSub: true }),
    );
    assert.equal(topics.isOrderTopic("%RETRY%g"), true);
  });

  test("passes over groups that may not be made, and registers the others", async () => {
    const { beat, clients, settings, topics } = setUp();
    assert.equal((await beat(heartbeat([consumer("bad name"), consumer("good")]))).code, 0);
    assert.equal(clients.consumerGroup("bad name"), undefined);
    assert.notEqual(clients.consumerGroup("good"), undefined);
    settings.autoCreateGroup = false;
    assert.equal((await beat(heartbeat([consumer("late")]))).code, 0);
    assert.equal(clients.consumerGroup("late"), undefined);
    assert.equal(topics.has("%RETRY%late"), false);
  });

  test("passes over consumers that pull by themselves where that is not wanted", async () => {
    const { beat, clients, settings } = setUp();
    settings.rejectPullConsumers = true;
    await beat(heartbeat([consumer("pulls", { consumeType: "CONSUME_ACTIVELY" }), consumer("pushed")]));
    assert.equal(clients.consumerGroup("pulls"), undefined);
    assert.notEqual(clients.consumerGroup("pushed"), undefined);
  });

  test("registers subscriptions that are no tags, which pulls will then refuse", async () => {
    const { beat, clients } = setUp();
    const subscriptionDataSet = [{
      topic: "TopicA",
      subString: "a > 1",
      expressionType: "SQL92",
      subVersion: 1,
    }];
    assert.equal((await beat(heartbeat([consumer("g", { subscriptionDataSet })]))).code, 0);
    assert.equal(clients.subscription("g", "TopicA")!.expressionType, "SQL92");
  });

  test("does not notify a group that is not to be notified", async () => {
    const { beat, groups, connection } = setUp();
    groups.update(groupConfig("quiet", { notifyConsumerIdsChangedEnable: false }));
    await beat(heartbeat([consumer("quiet")]));
    assert.deepEqual(connection.notifications, []);
  });

  // In the order in which a 5.4.0 broker answered them; but for the first, see Clients.
  test("of version 2 is answered by whether the subscriptions are wanted", async () => {
    const { beat, clients } = setUp();
    const two = async (fingerprint: number, topics?: string[]) => {
      const subscriptionDataSet = topics?.map((topic) => ({ topic, subVersion: 1 })) ?? [];
      const response = await beat(heartbeat([consumer("g", { subscriptionDataSet })], {
        heartbeatFingerprint: fingerprint,
        withoutSub: topics === undefined,
      }));
      return response.fields!.IS_SUB_CHANGE;
    };
    assert.equal(await two(11), "true");
    assert.equal(await two(11, ["TopicA"]), "false");
    assert.equal(await two(11), "false");
    assert.equal(clients.subscription("g", "TopicA")!.topic, "TopicA");
    assert.equal(await two(12), "true");
    assert.equal(await two(12), "false");
    assert.equal(await two(12, ["TopicB"]), "false");
    assert.equal(clients.subscription("g", "TopicA"), undefined);
  });

  test("drops subscriptions that a heartbeat of version 1 does not repeat, whatever it says", async () => {
    const { beat, clients } = setUp();
    await beat(heartbeat([consumer("g")]));
    await beat(heartbeat([consumer("g", { subscriptionDataSet: [] })], { withoutSub: true }));
    assert.equal(clients.subscription("g", "TopicA"), undefined);
  });

  test("is refused where it is none, and registers nothing then", async () => {
    const { beat, clients } = setUp();
    for (
      const body of [undefined, "[]", "{{{", heartbeat([consumer("g"), {}]), {
        producerDataSet: [{ groupName: "p" }],
      }]
    ) {
      const response = await beat(body);
      assert.equal(response.code, 1);
    }
    assert.equal(clients.consumerGroup("g"), undefined);
    assert.equal((await beat("{}")).code, 0);
  });

  test("is refused where it would have us remember too much", async () => {
    const { beat, clients } = setUp();
    const subscriptions = (topic: string, more = {}) => ({
      subscriptionDataSet: [{ topic, subVersion: 1, ...more }],
    });
    const many = <T>(count: number, item: (i: number) => T) =>
      Array.from({ length: count }, (_, i) => item(i));
    const tooMuch: [string, unknown][] = [
      ["id", heartbeat([consumer("g")], { clientID: "x".repeat(1025) })],
      ["name of a group", heartbeat([consumer("g".repeat(256))])],
      ["name of a group", heartbeat([consumer("g")], { producerDataSet: [{ groupName: "p".repeat(256) }] })],
      [
        "groups",
        heartbeat([consumer("g")], { producerDataSet: many(4096, (i) => ({ groupName: `p${i}` })) }),
      ],
      ["name of a topic", heartbeat([consumer("g", subscriptions("t".repeat(256)))])],
      ["expression", heartbeat([consumer("g", subscriptions("t", { subString: "x".repeat(70_000) }))])],
      ["type", heartbeat([consumer("g", subscriptions("t", { expressionType: "x".repeat(256) }))])],
      ["tags", heartbeat([consumer("g", subscriptions("t", { codeSet: many(4097, (i) => i) }))])],
      [
        "subscriptions",
        heartbeat([consumer("g", { subscriptionDataSet: many(4097, (i) => ({ topic: `t${i}` })) })]),
      ],
    ];
    for (const [what, body] of tooMuch) {
      const { code, remark } = await beat(body);
      assert.equal(code, 29, what);
      assert.match(remark!, new RegExp(what));
    }
    assert.equal(clients.consumerGroup("g"), undefined);
  });
});

describe("UNREGISTER_CLIENT", () => {
  test("removes the connection from the groups it names", async () => {
    const { ask, beat, clients } = setUp();
    await beat(
      heartbeat([consumer("g"), consumer("h")], {
        producerDataSet: [{ groupName: "p" }, { groupName: "q" }],
      }),
    );
    const fields = { clientID: "c1", producerGroup: "p", consumerGroup: "g" };
    assert.deepEqual(await ask(RequestCode.UNREGISTER_CLIENT, undefined, { fields }), { code: 0 });
    assert.equal(clients.consumerGroup("g"), undefined);
    assert.notEqual(clients.consumerGroup("h"), undefined);
    assert.equal(clients.producers("p"), undefined);
    assert.notEqual(clients.producers("q"), undefined);
  });

  test("succeeds for groups that are not there, empty and absent ones, and makes none", async () => {
    const { ask, groups } = setUp();
    const some: Record<string, string>[] = [
      {},
      { clientID: "c1" },
      { clientID: "c1", producerGroup: "", consumerGroup: "" },
      { clientID: "c1", producerGroup: "nothing", consumerGroup: "nothing" },
    ];
    for (const fields of some) {
      assert.deepEqual(await ask(RequestCode.UNREGISTER_CLIENT, undefined, { fields }), { code: 0 });
    }
    assert.equal(groups.has("nothing"), false);
  });

  test("does not notify a group that is not to be notified", async () => {
    const { ask, beat, groups, table } = setUp();
    groups.update(groupConfig("quiet", { notifyConsumerIdsChangedEnable: false }));
    const other = new MemoryConnection();
    const body = new TextEncoder().encode(JSON.stringify(heartbeat([consumer("quiet"), consumer("g")])));
    await other.ask(table, { code: RequestCode.HEART_BEAT, body });
    await beat(heartbeat([consumer("quiet"), consumer("g")]));
    other.notifications.length = 0;
    await ask(RequestCode.UNREGISTER_CLIENT, undefined, {
      fields: { clientID: "c1", consumerGroup: "quiet" },
    });
    await ask(RequestCode.UNREGISTER_CLIENT, undefined, { fields: { clientID: "c1", consumerGroup: "g" } });
    assert.deepEqual(other.notifications.map((request) => request.fields), [{ consumerGroup: "g" }]);
  });
});

describe("CHECK_CLIENT_CONFIG", () => {
  const check = (expressionType?: string | null) => ({
    clientId: "c1",
    group: "g",
    subscriptionData: { topic: "t", subString: "a", expressionType },
  });

  test("takes tags, and requests without subscription", async () => {
    const { ask } = setUp();
    for (const body of [check("TAG"), check(), check(null), check(""), { clientId: "c1" }, undefined]) {
      assert.deepEqual(await ask(RequestCode.CHECK_CLIENT_CONFIG, body), { code: 0 });
    }
  });

  test("refuses other expressions in Apache's words", async () => {
    const { ask } = setUp();
    for (const type of ["SQL92", "XX"]) {
      assert.deepEqual(await ask(RequestCode.CHECK_CLIENT_CONFIG, check(type)), {
        code: 1,
        remark: `The broker does not support consumer to filter message by ${type}`,
      });
    }
  });

  test("takes SQL92 where it is on, and tells where an expression goes wrong", async () => {
    const { ask, settings } = setUp();
    settings.propertyFilter = true;
    const sql = (subString: string) => ({
      clientId: "c1",
      group: "g",
      subscriptionData: { topic: "t", subString, expressionType: "SQL92" },
    });
    assert.deepEqual(await ask(RequestCode.CHECK_CLIENT_CONFIG, sql("a > 5 AND b = 'x'")), { code: 0 });
    const refused = await ask(RequestCode.CHECK_CLIENT_CONFIG, sql("a > 'five'"));
    assert.equal(refused.code, 23);
    assert.match(refused.remark!, /at character 5: strings have no order/);
    assert.equal((await ask(RequestCode.CHECK_CLIENT_CONFIG, check("XX"))).code, 1);
  });
});
