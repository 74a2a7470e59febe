// SPDX-License-Identifier: Apache-2.0
/** A master and a slave over real sockets: one is killed, comes back, or loses its disk. */
import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Consumer, messagesOf } from "../../../src/client/consumer.ts";
import { Producer } from "../../../src/client/producer.ts";
import { parseOffsets } from "../../../src/broker/consumer_offsets.ts";
import { type BrokerSet, type Member, newBrokerSet } from "../../harness/broker_set.ts";
import { NameServerApi } from "../../../src/client/name_server_api.ts";
import { encodeJson } from "../../../src/protocol/java_json.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { RemotingClient } from "../../../src/remoting/client.ts";
import { ResponseCode } from "../../../src/protocol/response_code.ts";
import { decodeTimerCheckpoint } from "../../../src/store/timer/timer_checkpoint.ts";
import { eventually, until } from "../../harness/until.ts";

/** Generous: a busy machine. */
const TIMEOUT_MS = 60_000;

async function withSet(run: (set: BrokerSet) => Promise<void>, ...pairs: string[]): Promise<void> {
  const set = await newBrokerSet(...pairs);
  try {
    await run(set);
  } finally {
    await set.stop();
  }
}

async function send(set: BrokerSet, topic: string, ...bodies: string[]): Promise<void> {
  const producer = new Producer({ nameServers: set.nameServer.address, group: "p" });
  for (const body of bodies) {
    const { status } = await producer.send({ topic, body, queueId: 0 });
    assert.equal(status, "SEND_OK");
  }
  producer.stop();
}

/** Runs `work` on the master and then takes it all back: what a power cut does to a disk that was not synced. */
async function lostAgain(set: BrokerSet, work: () => Promise<void>): Promise<void> {
  const { master } = set;
  const kept = join(set.directory, "kept");
  await master.stop();
  cpSync(master.store, kept, { recursive: true });
  await master.start();
  await work();
  await master.stop();
  rmSync(master.store, { recursive: true });
  cpSync(kept, master.store, { recursive: true });
}

/** What is said of a pull from T/0. */
async function pull(set: BrokerSet, member: Member, queueOffset = 0) {
  return await set.pull(member, "g", "T", queueOffset);
}

/** All messages of T/0. */
async function bodiesAt(set: BrokerSet, member: Member): Promise<string[]> {
  const bodies: string[] = [];
  for (;;) {
    const { code, body } = await pull(set, member, bodies.length);
    if (code !== ResponseCode.SUCCESS) return bodies;
    bodies.push(...messagesOf(body!).map((message) => new TextDecoder().decode(message.body)));
  }
}

/** Has the slave copy the master's tables now: it does when a message of an unknown topic comes. */
async function copyTables(set: BrokerSet): Promise<void> {
  const topic = `New_${Date.now()}`;
  await send(set, topic, "new");
  await eventually(async () => (await set.slave.api.topics()).topics.has(topic));
}

async function positionAt(member: Member, topic: string, group: string): Promise<number> {
  const found = parseOffsets(await member.api.consumerOffsets()).find(([g, t, queueId]) =>
    g === group && t === topic && queueId === 0
  );
  return found?.[3] ?? -1;
}

test(
  "a slave has its master's messages, topics, groups and positions",
  { timeout: TIMEOUT_MS },
  () =>
    withSet(async (set) => {
      const { master, slave } = set;
      await master.start();
      await master.admin.createTopic("T", 3);
      await send(set, "T", "a", "b", "c");
      const producer = new Producer({ nameServers: set.nameServer.address, group: "p" });
      await producer.send({ topic: "T", body: "tomorrow", delayMs: 86_400_000 });
      producer.stop();
      await slave.start();
      await set.caughtUp();
      await eventually(async () => (await slave.api.topics()).topics.has("T"));
      assert.equal((await slave.api.topics()).topics.get("T")!.readQueueNums, 3);
      assert.equal(await slave.admin.maxOffset("T", 0), 3);
      await send(set, "U", "later");
      await eventually(async () => (await slave.api.topics()).topics.has("U"));

      await eventually(async () => {
        const checkpoint = await slave.api.timerCheckpoint().catch(() => new Uint8Array());
        return checkpoint.length > 0 &&
          decodeTimerCheckpoint(Buffer.from(checkpoint)).masterQueueOffset === 1;
      });
      const status = await set.haStatus(master);
      assert.equal(status.master, true);
      assert.equal(status.haConnectionInfo.length, 1);
      assert.equal((await set.haStatus(slave)).master, false);
      assert.equal(
        (await set.haStatus(slave)).haClientRuntimeInfo.masterAddr,
        `127.0.0.1:${master.port + 1}`,
      );
      assert.equal((await slave.api.runtimeInfo()).get("brokerActive"), "false");
    }),
);

test("positions committed at the slave while the master was away are the master's when it is back", {
  timeout: TIMEOUT_MS,
}, () =>
  withSet(async (set) => {
    const { master, slave } = set;
    await master.start();
    await send(set, "T", "a", "b", "c");
    await slave.start();
    await set.caughtUp();
    await master.makeGroup("g");
    await master.api.commitOffset("g", "T", 0, 1);
    await copyTables(set);
    await eventually(async () => await positionAt(slave, "T", "g") === 1);
    await master.stop();
    await slave.api.commitOffset("g", "T", 0, 3);
    await master.start();
    assert.equal(await positionAt(master, "T", "g"), 3);
    assert.equal(await positionAt(slave, "T", "g"), 3);
  }));

test(
  "what a master has lost it takes back from its slave before it serves anybody",
  { timeout: TIMEOUT_MS },
  () =>
    withSet(async (set) => {
      const { master, slave } = set;
      await master.start();
      await slave.start();
      await send(set, "T", "a", "b");
      await set.caughtUp();
      await lostAgain(set, async () => {
        await send(set, "T", "c", "d");
        await set.caughtUp();
      });
      const end = await slave.logEnd();
      await master.start();
      assert.equal(await master.logEnd(), end);
      assert.equal(await master.admin.maxOffset("T", 0), 4);
      await send(set, "T", "e");
      await set.caughtUp();
      assert.equal(await slave.admin.maxOffset("T", 0), 5);
    }),
);

test("a master that has lost its disk is filled from its slave, with topics, groups and positions", {
  timeout: TIMEOUT_MS,
}, () =>
  withSet(async (set) => {
    const { master, slave } = set;
    await master.start();
    await slave.start();
    await master.admin.createTopic("T", 2);
    await send(set, "T", "a", "b", "c");
    await master.makeGroup("g");
    await master.api.commitOffset("g", "T", 0, 2);
    await copyTables(set);
    await set.caughtUp();
    await eventually(async () => await positionAt(slave, "T", "g") === 2);
    await eventually(async () => (await slave.api.groups()).groups.has("g"));
    await master.stop();
    master.loseStore();
    await master.start();
    assert.equal(await master.logEnd(), await slave.logEnd());
    assert.equal(await master.admin.maxOffset("T", 0), 3);
    assert.equal((await master.api.topics()).topics.get("T")!.readQueueNums, 2);
    assert.ok((await master.api.groups()).groups.has("g"));
    assert.equal(await positionAt(master, "T", "g"), 2);
  }));

test(
  "an empty master takes nothing away from a slave that it did not know of",
  { timeout: TIMEOUT_MS },
  () =>
    withSet(async (set) => {
      const { master, slave } = set;
      await master.start();
      await slave.start();
      await send(set, "T", "a", "b", "c");
      await set.caughtUp();
      await eventually(async () => (await slave.api.topics()).topics.has("T"));
      const end = await slave.logEnd();
      await slave.stop();
      await master.stop();
      master.loseStore();
      await master.start();
      await slave.start();
      await eventually(async () => (await set.haStatus(slave)).haClientRuntimeInfo.masterAddr !== undefined);
      await eventually(async () => (await pull(set, slave)).code === ResponseCode.SYSTEM_BUSY);
      assert.equal(await slave.logEnd(), end);
      assert.ok((await slave.api.topics()).topics.has("T"));
      assert.equal((await set.haStatus(master)).haConnectionInfo.length, 0);
    }),
);

test("a slave that has lost its disk copies everything while its master takes messages", {
  timeout: TIMEOUT_MS,
}, () =>
  withSet(async (set) => {
    const { master, slave } = set;
    await master.start();
    await slave.start();
    const body = "x".repeat(10_000);
    await send(set, "T", ...Array.from({ length: 150 }, () => body));
    await set.caughtUp();
    await slave.stop();
    slave.loseStore();
    const sending = send(set, "T", ...Array.from({ length: 150 }, () => body));
    await slave.start();
    await sending;
    await set.caughtUp();
    assert.equal(await slave.admin.maxOffset("T", 0), 300);
    assert.equal(await slave.admin.minOffset("T", 0), 0);
  }));

test("a master may be told to give up what its slave has; the slave then does not follow, nor serve", {
  timeout: TIMEOUT_MS,
}, () =>
  withSet(async (set) => {
    const { master, slave } = set;
    await master.start();
    await slave.start();
    await send(set, "T", "a");
    await set.caughtUp();
    await lostAgain(set, async () => {
      await send(set, "T", "b");
      await set.caughtUp();
    });
    const end = await slave.logEnd();
    await master.start({ givesUpSlaveLog: true });
    assert.ok(await master.logEnd() < end);
    await eventually(async () => (await pull(set, slave)).code === ResponseCode.SYSTEM_BUSY);
    assert.equal(await slave.logEnd(), end);
    await slave.stop();
    slave.loseStore();
    await slave.start();
    await set.caughtUp();
  }));

test("a slave refuses what only its master may do", { timeout: TIMEOUT_MS }, () =>
  withSet(async (set) => {
    const { master, slave } = set;
    await master.start();
    await slave.start();
    await send(set, "T", "a");
    await set.caughtUp();
    await assert.rejects(slave.admin.createTopic("X"), { code: ResponseCode.SYSTEM_ERROR });
    const refused = await set.send(slave, "T");
    assert.equal(refused.code, ResponseCode.SERVICE_NOT_AVAILABLE);
    assert.equal(await slave.logEnd(), await master.logEnd());
  }));

test(
  "consumers go on at the slave when the master is gone, and come back to it",
  { timeout: TIMEOUT_MS },
  () =>
    withSet(async (set) => {
      const { master, slave, nameServer } = set;
      await master.start();
      await slave.start();
      const bodies = (from: number, count: number) => Array.from({ length: count }, (_, i) => `m${from + i}`);
      await send(set, "T", ...bodies(0, 40));
      await set.caughtUp();
      const received: string[] = [];
      const consumer = new Consumer({
        ...{ nameServers: nameServer.address, group: "g", subscriptions: { T: "*" }, from: "first" },
        batchCount: 5,
        async onMessages(messages) {
          for (const { body } of messages) received.push(new TextDecoder().decode(body));
          if (received.length === 10) await master.stop();
        },
      });
      await consumer.start();
      await until(() => received.length >= 40, 20_000);
      assert.deepEqual(received, bodies(0, 40));
      await consumer.stop();
      assert.equal(await positionAt(slave, "T", "g"), 40);
      await master.start();
      assert.equal(await positionAt(master, "T", "g"), 40);
      await send(set, "T", "after");
      await set.caughtUp();
    }),
);

test(
  "a topic that the master had no time to tell of can be read at the slave",
  { timeout: TIMEOUT_MS },
  () =>
    withSet(async (set) => {
      const { master, slave } = set;
      await master.start();
      await slave.start();
      await send(set, "Before", "a");
      await set.caughtUp();
      await eventually(async () => (await slave.api.topics()).topics.has("Before"));
      await send(set, "T", "b", "c");
      await set.caughtUp();
      await master.stop();
      await eventually(async () => (await pull(set, slave)).code === ResponseCode.SUCCESS);
      assert.deepEqual(await bodiesAt(set, slave), ["b", "c"]);
      await master.start();
      await set.caughtUp();
      await eventually(async () => (await slave.api.topics()).topics.get("T")?.readQueueNums === 4);
    }),
);

test("SYNC_MASTER answers when its slave has the message, and says so where there is none", {
  timeout: TIMEOUT_MS,
}, () =>
  withSet(async (set) => {
    const { master, slave } = set;
    await master.start({}, "brokerRole=SYNC_MASTER");
    assert.equal((await set.send(master, "T")).code, ResponseCode.SLAVE_NOT_AVAILABLE);
    await slave.start();
    await set.caughtUp();
    await eventually(async () => (await set.send(master, "T")).code === ResponseCode.SUCCESS);
    for (let i = 0; i < 20; i++) {
      assert.equal((await set.send(master, "T")).code, ResponseCode.SUCCESS);
      assert.equal(await slave.logEnd(), await master.logEnd());
    }
    await slave.stop();
    await eventually(async () => (await set.send(master, "T")).code === ResponseCode.SLAVE_NOT_AVAILABLE);
  }));

test("with enableSlaveActingMaster a slave stands in for its master, and makes way for it", {
  timeout: TIMEOUT_MS,
}, () =>
  withSet(
    async (set) => {
      const { master, slave, nameServer } = set;
      await master.start();
      await slave.start();
      await send(set, "T", "a");
      await set.caughtUp();
      await eventually(async () => (await slave.api.topics()).topics.has("T"));
      const client = new RemotingClient();
      const route = async () => (await NameServerApi.at(client, nameServer.address).topicRoute("T"))!;
      const masterInRoute = async () => (await route()).brokerDatas[0].brokerAddrs.get(0);
      const isActive = async () => (await slave.api.runtimeInfo()).get("brokerActive") === "true";
      assert.equal(await masterInRoute(), master.address);
      assert.equal(await isActive(), false);

      await master.stop();
      await eventually(async () => await masterInRoute() === slave.address);
      assert.equal((await route()).queueDatas[0].perm, 4, "nobody is to send there");
      await eventually(isActive);
      const body = encodeJson({
        ...{ clientId: "c", consumerGroup: "g", onlyThisBroker: false },
        mqSet: [{ brokerName: "broker-a", queueId: 0, topic: "T" }],
      });
      const locked = await client.request(slave.address, { code: RequestCode.LOCK_BATCH_MQ, body }, 3000);
      assert.match(new TextDecoder().decode(locked.body!), /"queueId":0/);

      await master.start();
      await eventually(async () => await masterInRoute() === master.address);
      await eventually(async () => !await isActive());
      await send(set, "T", "b");
      await set.caughtUp();
      client.close();
    },
    "enableSlaveActingMaster=true",
    "brokerHeartbeatInterval=100",
    "brokerNotActiveTimeoutMillis=1000",
  ));

test("a slave can be made the master: what waited is delivered, what was delivered is not", {
  timeout: TIMEOUT_MS,
}, () =>
  withSet(
    async (set) => {
      const { master, slave, nameServer } = set;
      await master.start();
      await slave.start();
      const producer = new Producer({ nameServers: nameServer.address, group: "p" });
      const send = (body: string, more: object = {}) =>
        producer.send({ topic: "T", body, queueId: 0, ...more });
      await send("plain");
      await send("delayed, over", { delayLevel: 1 });
      await send("timed, over", { delayMs: 1000 });
      await eventually(async () => await master.admin.maxOffset("T", 0) === 3);
      const dueMs = Date.now() + 6000;
      await send("delayed", { delayLevel: 2 });
      await send("timed", { deliverAtMs: dueMs });
      await set.caughtUp();
      await eventually(async () => {
        await copyTables(set);
        const [delays, timers] = await Promise.all([slave.api.delayOffsets(), slave.api.timerCheckpoint()]);
        return JSON.stringify(delays.offsetTable) === '{"1":1}' &&
          decodeTimerCheckpoint(Buffer.from(timers)).masterQueueOffset === 2;
      }, 40_000);
      await master.stop();
      await slave.stop();

      await slave.start({}, "brokerRole=ASYNC_MASTER", "brokerId=0");
      await eventually(async () => await slave.admin.maxOffset("T", 0) === 5, 20_000);
      assert.deepEqual((await bodiesAt(set, slave)).sort(), [
        "delayed",
        "delayed, over",
        "plain",
        "timed",
        "timed, over",
      ]);
      await send("to the new master");
      producer.stop();

      // The former master becomes a slave of its slave; it had nothing that was not copied.
      await master.start({}, "brokerRole=SLAVE", "brokerId=1");
      await eventually(async () => await master.logEnd() === await slave.logEnd());
    },
    "messageDelayLevel=1s 6s",
  ));
