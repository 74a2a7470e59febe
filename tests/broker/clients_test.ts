// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Clients, type ClientsSettings } from "../../src/broker/clients.ts";
import type { ConsumerData } from "../../src/protocol/bodies/heartbeat.ts";
import type { SubscriptionData } from "../../src/protocol/bodies/subscription_data.ts";
import type { OutgoingRequest } from "../../src/remoting/command.ts";
import { RemotingError } from "../../src/remoting/remoting_error.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryConnection } from "../harness/memory_connection.ts";

function setUp(settings: Partial<ClientsSettings> = {}) {
  const clock = new ManualClock();
  const current = { clientExpiryMs: 120_000, notifyConsumerIdsChanged: true, ...settings };
  const clients = new Clients({ clock, settings: () => current });
  return { clock, clients, settings: current };
}

const client = (connection: MemoryConnection, clientId = `client-${connection.id}`) => ({
  connection,
  clientId,
  language: "JAVA",
  version: 493,
});

const wants = (topic: string, subString = "*", subVersion = 1): SubscriptionData => ({
  topic,
  subString,
  tagsSet: [],
  codeSet: [],
  subVersion,
  expressionType: "TAG",
  classFilterMode: false,
});

const consumer = (groupName: string, given: Partial<ConsumerData> = {}): ConsumerData => ({
  groupName,
  consumeType: "CONSUME_PASSIVELY",
  messageModel: "CLUSTERING",
  consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
  unitMode: false,
  subscriptionDataSet: [wants("TopicA")],
  ...given,
});

const join = (clients: Clients, connection: MemoryConnection, data = consumer("g"), notifies = true) =>
  clients.registerConsumer(client(connection), { data, notifies });

/** How often each connection was told since the last call. */
const told = (...connections: MemoryConnection[]) =>
  connections.map((connection) => connection.notifications.splice(0).length);

describe("consumer groups", () => {
  test("tell all members, the new one included, when one joins", () => {
    const { clients } = setUp();
    const [a, b] = [new MemoryConnection(), new MemoryConnection()];
    join(clients, a);
    assert.deepEqual(
      a.notifications,
      [{ code: 40, fields: { consumerGroup: "g" } }] satisfies OutgoingRequest[],
    );
    a.notifications.length = 0;
    join(clients, b);
    assert.deepEqual(told(a, b), [1, 1]);
  });

  test("tell nobody at a heartbeat that changes nothing", () => {
    const { clients } = setUp();
    const a = new MemoryConnection();
    join(clients, a);
    told(a);
    join(clients, a);
    assert.deepEqual(told(a), [0]);
  });

  test("tell all members when the set of topics changes, but not for another expression", () => {
    const { clients } = setUp();
    const a = new MemoryConnection();
    join(clients, a);
    told(a);
    join(clients, a, consumer("g", { subscriptionDataSet: [wants("TopicA", "tag", 2)] }));
    assert.deepEqual(told(a), [0]);
    join(clients, a, consumer("g", { subscriptionDataSet: [wants("TopicA", "tag", 2), wants("TopicB")] }));
    assert.deepEqual(told(a), [1]);
    join(clients, a, consumer("g", { subscriptionDataSet: [wants("TopicB")] }));
    assert.deepEqual(told(a), [1]);
  });

  test("tell the others when a connection closes or a client says that it goes", () => {
    const { clients } = setUp();
    const [a, b, c] = [new MemoryConnection(), new MemoryConnection(), new MemoryConnection()];
    for (const connection of [a, b, c]) join(clients, connection);
    told(a, b, c);
    c.close();
    assert.deepEqual(told(a, b), [1, 1]);
    clients.unregisterConsumer("g", b, true);
    assert.deepEqual(told(a, b), [1, 0]);
    assert.deepEqual(clients.consumerGroup("g")!.members.map((member) => member.connection.id), [a.id]);
  });

  test("are left quiet where the group or the broker wants it, except that a closed connection is told", () => {
    const { clients, settings } = setUp();
    const [a, b, c] = [new MemoryConnection(), new MemoryConnection(), new MemoryConnection()];
    join(clients, a, consumer("g"), false);
    join(clients, b, consumer("g"), false);
    join(clients, c, consumer("g"), false);
    clients.unregisterConsumer("g", b, false);
    assert.deepEqual(told(a, b, c), [0, 0, 0]);
    c.close();
    assert.deepEqual(told(a), [1]);
    settings.notifyConsumerIdsChanged = false;
    join(clients, b);
    assert.deepEqual(told(a, b), [0, 0]);
  });

  test("that broadcast are not told", () => {
    const { clients } = setUp();
    const [a, b] = [new MemoryConnection(), new MemoryConnection()];
    join(clients, a, consumer("g", { messageModel: "BROADCASTING" }));
    join(clients, b, consumer("g", { messageModel: "BROADCASTING" }));
    b.close();
    assert.deepEqual(told(a, b), [0, 0]);
    assert.equal(clients.consumerGroup("g")!.isBroadcast, true);
  });

  test("take a newer version of a subscription, not an older one", () => {
    const { clients } = setUp();
    const a = new MemoryConnection();
    join(clients, a, consumer("g", { subscriptionDataSet: [wants("TopicA", "new", 5)] }));
    join(clients, a, consumer("g", { subscriptionDataSet: [wants("TopicA", "old", 4)] }));
    join(clients, a, consumer("g", { subscriptionDataSet: [wants("TopicA", "same", 5)] }));
    assert.equal(clients.subscription("g", "TopicA")!.subString, "new");
    join(clients, a, consumer("g", { subscriptionDataSet: [wants("TopicA", "newer", 6)] }));
    assert.equal(clients.subscription("g", "TopicA")!.subString, "newer");
  });

  test("follow the last heartbeat where members disagree", () => {
    const { clients } = setUp();
    const [a, b] = [new MemoryConnection(), new MemoryConnection()];
    join(clients, a, consumer("g", { subscriptionDataSet: [wants("TopicA")] }));
    join(
      clients,
      b,
      consumer("g", { subscriptionDataSet: [wants("TopicB")], consumeType: "CONSUME_ACTIVELY" }),
    );
    assert.equal(clients.subscription("g", "TopicA"), undefined);
    assert.equal(clients.subscription("g", "TopicB")!.topic, "TopicB");
    assert.equal(clients.consumerGroup("g")!.isActive, true);
  });

  test("are gone with their last member", () => {
    const { clients } = setUp();
    const [a, b] = [new MemoryConnection(), new MemoryConnection()];
    join(clients, a);
    join(clients, b);
    a.close();
    clients.unregisterConsumer("g", b, true);
    assert.equal(clients.consumerGroup("g"), undefined);
    assert.equal(clients.subscription("g", "TopicA"), undefined);
    assert.deepEqual([...clients.consumerGroups()], []);
    assert.deepEqual(clients.groupsSubscribedTo("TopicA"), []);
  });

  test("are found by topic and by client", () => {
    const { clients } = setUp();
    const [a, b] = [new MemoryConnection(), new MemoryConnection()];
    join(clients, a, consumer("g1"));
    join(clients, b, consumer("g2", { subscriptionDataSet: [wants("TopicA"), wants("TopicB")] }));
    assert.deepEqual(clients.groupsSubscribedTo("TopicA"), ["g1", "g2"]);
    assert.deepEqual(clients.groupsSubscribedTo("TopicB"), ["g2"]);
    assert.equal(clients.consumer("g2", `client-${b.id}`)!.connection, b);
    assert.equal(clients.consumer("g1", `client-${b.id}`), undefined);
    assert.equal(clients.consumerGroup("g1")!.hasConnection(a.id), true);
    assert.equal(clients.consumerGroup("g1")!.hasConnection(b.id), false);
  });

  test("know a client by its latest id", () => {
    const { clients } = setUp();
    const a = new MemoryConnection();
    join(clients, a);
    told(a);
    clients.registerConsumer(client(a, "renamed"), { data: consumer("g"), notifies: true });
    assert.deepEqual(clients.consumerGroup("g")!.members.map((member) => member.clientId), ["renamed"]);
    assert.deepEqual(told(a), [0]);
  });
});

describe("heartbeats of version 2", () => {
  const beat = (clients: Clients, connection: MemoryConnection, fingerprint: number, topics?: string[]) =>
    clients.registerConsumer(client(connection), {
      data: consumer("g", { subscriptionDataSet: topics?.map((topic) => wants(topic)) ?? [] }),
      fingerprint,
      keepsSubscriptions: topics === undefined,
      notifies: true,
    });

  test("keep subscriptions that they do not repeat", () => {
    const { clients } = setUp();
    const a = new MemoryConnection();
    assert.equal(beat(clients, a, 11, ["TopicA"]), false);
    assert.equal(beat(clients, a, 11), false);
    assert.equal(clients.subscription("g", "TopicA")!.topic, "TopicA");
    assert.deepEqual(told(a), [1]);
  });

  test("are told once to send subscriptions whose hash is another", () => {
    const { clients } = setUp();
    const a = new MemoryConnection();
    beat(clients, a, 11, ["TopicA"]);
    assert.equal(beat(clients, a, 12), true);
    assert.equal(beat(clients, a, 12), false);
    assert.equal(beat(clients, a, 12, ["TopicB"]), false);
    assert.equal(clients.subscription("g", "TopicB")!.topic, "TopicB");
  });

  test("are told to send subscriptions that we have never seen", () => {
    const { clients } = setUp();
    const a = new MemoryConnection();
    assert.equal(beat(clients, a, 11), true);
    assert.equal(beat(clients, a, 11, ["TopicA"]), false);
    assert.equal(beat(clients, a, 11), false);
  });
});

describe("producers", () => {
  test("are known by group until they say that they go, or their connection closes", () => {
    const { clients } = setUp();
    const [a, b] = [new MemoryConnection(), new MemoryConnection()];
    clients.registerProducer("p", client(a));
    clients.registerProducer("p", client(b));
    assert.deepEqual(clients.producers("p")!.map((member) => member.connection), [a, b]);
    assert.deepEqual([...clients.producerGroups()].map(([group, members]) => [group, members.length]), [[
      "p",
      2,
    ]]);
    clients.unregisterProducer("p", a);
    assert.deepEqual(clients.producers("p")!.map((member) => member.connection), [b]);
    b.close();
    assert.equal(clients.producers("p"), undefined);
    assert.deepEqual([...clients.producerGroups()], []);
  });

  test("are asked about transactions in turn, never over a closed connection", () => {
    const { clients } = setUp();
    const [a, b] = [new MemoryConnection(), new MemoryConnection()];
    assert.equal(clients.nextProducer("p"), undefined);
    clients.registerProducer("p", client(a));
    clients.registerProducer("p", client(b));
    const asked = [1, 2, 3, 4].map(() => clients.nextProducer("p"));
    assert.equal(asked.filter((connection) => connection === a).length, 2);
    assert.notEqual(asked[0], asked[1]);
    a.close();
    assert.equal(clients.nextProducer("p"), b);
    assert.equal(clients.nextProducer("p"), b);
  });

  test("are found by client id for replies, as long as one of their groups is left", () => {
    const { clients } = setUp();
    const a = new MemoryConnection();
    clients.registerProducer("p1", client(a, "me"));
    clients.registerProducer("p2", client(a, "me"));
    assert.equal(clients.connectionOf("me"), a);
    clients.unregisterProducer("p1", a);
    assert.equal(clients.connectionOf("me"), a);
    clients.unregisterProducer("p2", a);
    assert.equal(clients.connectionOf("me"), undefined);
  });

  test("are found by their newest connection and id", () => {
    const { clients } = setUp();
    const [a, b] = [new MemoryConnection(), new MemoryConnection()];
    clients.registerProducer("p", client(a, "me"));
    clients.registerProducer("p", client(b, "me"));
    a.close();
    assert.equal(clients.connectionOf("me"), b);
    clients.registerProducer("p", client(b, "renamed"));
    assert.equal(clients.connectionOf("me"), undefined);
    assert.equal(clients.connectionOf("renamed"), b);
  });
});

describe("removeExpired()", () => {
  test("forgets silent members, closes their connection and tells the others", () => {
    const { clients, clock } = setUp();
    const [a, b] = [new MemoryConnection(), new MemoryConnection()];
    join(clients, a);
    join(clients, b);
    clients.registerProducer("p", client(b));
    clock.advance(60_000);
    join(clients, a);
    told(a, b);
    clock.advance(60_000);
    clients.removeExpired();
    assert.equal(b.closed, false, "120 s are still allowed");
    clock.advance(1);
    clients.removeExpired();
    assert.equal(b.closed, true);
    assert.equal(a.closed, false);
    assert.deepEqual(told(a), [1]);
    assert.equal(clients.producers("p"), undefined);
    assert.deepEqual(clients.consumerGroup("g")!.members.map((member) => member.connection), [a]);
  });

  test("leaves a connection open that is alive in another group", () => {
    const { clients, clock } = setUp();
    const a = new MemoryConnection();
    join(clients, a, consumer("old"));
    join(clients, a, consumer("alive"));
    clock.advance(100_000);
    join(clients, a, consumer("alive"));
    clock.advance(100_000);
    clients.removeExpired();
    assert.equal(a.closed, false);
    assert.equal(clients.consumerGroup("old"), undefined);
    assert.notEqual(clients.consumerGroup("alive"), undefined);
  });
});

describe("Clients", () => {
  test("ignore a heartbeat that comes after its connection has closed", () => {
    const { clients } = setUp();
    const a = new MemoryConnection();
    a.close();
    join(clients, a);
    clients.registerProducer("p", client(a));
    assert.equal(clients.consumerGroup("g"), undefined);
    assert.equal(clients.producers("p"), undefined);
    assert.equal(clients.connectionOf(`client-${a.id}`), undefined);
  });

  test("show what an administrator asks about a member", () => {
    const { clients, clock } = setUp();
    const a = new MemoryConnection();
    join(clients, a);
    const [member] = clients.consumerGroup("g")!.members;
    assert.equal(member.language, "JAVA");
    assert.equal(member.version, 493);
    assert.equal(member.lastHeartbeatMs, clock.nowMs());
    clock.advance(30_000);
    join(clients, a);
    assert.equal(clients.consumerGroup("g")!.members[0].lastHeartbeatMs, clock.nowMs());
  });

  test("refuse to remember a connection in any number of groups", () => {
    const { clients } = setUp();
    const a = new MemoryConnection();
    for (let i = 0; i < 4096; i++) clients.registerProducer(`p${i}`, client(a));
    clients.registerProducer("p0", client(a));
    const isRefusal = (error: unknown) => error instanceof RemotingError && /4096 groups/.test(error.remark);
    assert.throws(() => clients.registerProducer("one more", client(a)), isRefusal);
    assert.throws(() => join(clients, a), isRefusal);
    a.close();
    assert.deepEqual([...clients.producerGroups()], []);
  });
});
