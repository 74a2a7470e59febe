// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { pullHandlers } from "../../../src/broker/handlers/pull.ts";
import { Subscription } from "../../../src/broker/subscription.ts";
import { javaHashCode } from "../../../src/protocol/java_string.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import type { Response } from "../../../src/remoting/command.ts";
import { bodyOf, BrokerParts, type Pulling, recordsIn } from "../../harness/broker_parts.ts";
import { MemoryConnection } from "../../harness/memory_connection.ts";
import { until } from "../../harness/until.ts";

let broker: BrokerParts;

async function start(...pairs: string[]): Promise<void> {
  await broker?.close();
  broker = await BrokerParts.open({ pairs });
  broker.createTopic("T", 4);
}

beforeEach(() => start());
afterEach(() => broker.close());

/** Bits of a pull's sysFlag. */
const COMMIT = 1, SUSPEND = 2, SUBSCRIPTION = 4;

function pull(header: Pulling["header"] = {}, more: Partial<Pulling> = {}): Promise<Response> {
  return broker.pull({ group: "g", topic: "T", header, ...more });
}

/** A pull that may be held. */
function hold(header: Pulling["header"] = {}, connection?: MemoryConnection) {
  const sysFlag = String(SUSPEND | SUBSCRIPTION);
  return broker.pullLater({ group: "g", topic: "T", header: { sysFlag, ...header } }, connection);
}

async function send(...bodies: string[]): Promise<void> {
  for (const body of bodies) {
    const [text, TAGS] = body.split("#");
    const sent = await broker.send({ topic: "T", body: text, properties: TAGS ? { TAGS } : {} });
    assert.equal(sent.code, 0, sent.remark);
  }
  await broker.bodies("T");
}

/** What was pulled: code, next offset and bodies. */
function told(response: Response | undefined): [code: number, next: number, ...bodies: string[]] {
  assert.ok(response, "the pull is answered");
  return [response.code, Number(response.fields?.nextBeginOffset), ...recordsIn(response).map(bodyOf)];
}

async function refused(
  header: Pulling["header"],
  code: number,
  more: Partial<Pulling> = {},
  forbidden?: number,
) {
  const response = await pull(header, more);
  assert.equal(response.code, code, response.remark);
  assert.equal(response.body, undefined);
  if (forbidden !== undefined) assert.equal(response.fields!.forbiddenType, String(forbidden));
  return response;
}

describe("a pull", () => {
  test("gets the messages from its offset on, and where it goes on", async () => {
    await send("a", "b", "c");
    const response = await pull({ queueOffset: "1" });
    assert.equal(response.code, 0);
    assert.equal(response.remark, "FOUND");
    assert.deepEqual(response.fields, {
      suggestWhichBrokerId: "0",
      nextBeginOffset: "3",
      minOffset: "0",
      maxOffset: "3",
      topicSysFlag: "0",
      groupSysFlag: "0",
    });
    const records = recordsIn(response);
    assert.deepEqual(records.map(bodyOf), ["b", "c"]);
    assert.deepEqual(records.map((record) => record.queueOffset), [1, 2]);
  });

  test("is the same as LITE_PULL_MESSAGE", async () => {
    await send("a");
    assert.deepEqual(told(await pull({}, { code: RequestCode.LITE_PULL_MESSAGE })), [0, 1, "a"]);
  });

  test("gets as many as it wants, at most what the broker gives, and always one", async () => {
    await start("maxTransferCountOnMessageInMemory=3", "maxTransferBytesOnMessageInMemory=1000");
    await send("a", "b", "c", "d", "x".repeat(2000), "e");
    assert.deepEqual(told(await pull({ maxMsgNums: "2" })), [0, 2, "a", "b"]);
    for (const maxMsgNums of ["32", "2147483647"]) {
      assert.deepEqual(told(await pull({ maxMsgNums })), [0, 3, "a", "b", "c"]);
    }
    for (const maxMsgNums of ["0", "-1", "-2147483648"]) {
      assert.deepEqual(told(await pull({ maxMsgNums })), [0, 1, "a"]);
    }
    assert.deepEqual(told(await pull({ queueOffset: "3" })), [0, 4, "d"]);
    assert.deepEqual(told(await pull({ queueOffset: "4" })).slice(0, 2), [0, 5]);
  });

  test("of a queue that has, or had, nothing", async () => {
    assert.deepEqual(told(await pull({ queueId: "1" })), [19, 0]);
    assert.deepEqual(told(await pull({ queueId: "1", queueOffset: "5" })), [21, 0]);
    assert.deepEqual(told(await pull({ queueId: "1", queueOffset: "-1" })), [21, 0]);
  });

  test("at, beyond and before the queue's ends", async () => {
    await send("a", "b");
    const cases: [string, number, number, string][] = [
      ["2", 19, 2, "OFFSET_OVERFLOW_ONE"],
      ["3", 21, 2, "OFFSET_OVERFLOW_BADLY"],
      ["9223372036854775807", 21, 2, "OFFSET_OVERFLOW_BADLY"],
      ["-1", 21, 0, "OFFSET_TOO_SMALL"],
      ["-9223372036854775808", 21, 0, "OFFSET_TOO_SMALL"],
    ];
    for (const [queueOffset, code, next, status] of cases) {
      const response = await pull({ queueOffset });
      assert.deepEqual(told(response), [code, next]);
      assert.equal(response.remark, status);
      assert.equal(response.fields!.minOffset, "0");
      assert.equal(response.fields!.maxOffset, "2");
    }
  });

  describe("with SQL92 filters", () => {
    const properties = (i: number) => ({ i: String(i), color: i % 2 === 0 ? "blue" : "red" });
    const sql = (expression: string) => ({ subscription: expression, expressionType: "SQL92" });
    const sendColored = async (count: number, from = 0) => {
      for (let i = from; i < from + count; i++) {
        assert.equal(
          (await broker.send({ topic: "T", body: `m${i}`, properties: properties(i) })).code,
          0,
        );
      }
    };

    test("gets what the expression that comes with it wants, and goes on behind what it does not", async () => {
      await start("enablePropertyFilter=true");
      await sendColored(7);
      assert.deepEqual(told(await pull(sql("color = 'blue' AND i > 1"))), [0, 7, "m2", "m4", "m6"]);
      assert.deepEqual(told(await pull(sql("color = 'green'"))), [20, 7]);
      assert.deepEqual(told(await pull({ ...sql("i IS NOT NULL"), maxMsgNums: "2" })), [0, 2, "m0", "m1"]);
      assert.deepEqual(told(await pull({ ...sql("color = 'red'"), maxMsgNums: "2" })), [0, 5, "m1", "m3"]);
    });

    test("gets what its group's heartbeat asked for", async () => {
      await start("enablePropertyFilter=true");
      await broker.heartbeat("g", "T", {
        subString: "color = 'red'",
        expressionType: "SQL92",
        subVersion: 7,
      });
      await sendColored(4);
      assert.deepEqual(told(await pull({ sysFlag: "0", subVersion: "7" })), [0, 4, "m1", "m3"]);
    });

    test("is told where an expression goes wrong, by request or by heartbeat", async () => {
      await start("enablePropertyFilter=true");
      await sendColored(1);
      const refused = await pull(sql("color = 'blue' OR"));
      assert.equal(refused.code, 23);
      assert.match(refused.remark!, /at character 18: the expression ends where/);
      await broker.heartbeat("g", "T", { subString: "color >", expressionType: "SQL92", subVersion: 7 });
      const registered = await pull({ sysFlag: "0", subVersion: "7" });
      assert.equal(registered.code, 23);
      assert.match(registered.remark!, /at character 8: /);
    });

    test("is woken by a message that its expression wants, and by no other", async () => {
      await start("enablePropertyFilter=true");
      const later = broker.pullLater({ group: "g", topic: "T", header: { ...sql("i = 2"), sysFlag: "6" } });
      await sendColored(2);
      assert.equal(later.response, undefined);
      await sendColored(1, 2);
      await until(() => later.response !== undefined);
      assert.deepEqual(told(later.response!), [0, 3, "m2"]);
    });

    test("is decided by the bit maps of extended entries, and by messages where those can't tell", async () => {
      await start(
        ...["enablePropertyFilter=true", "enableConsumeQueueExt=true", "enableCalcFilterBitMap=true"],
      );
      await sendColored(2);
      broker.clock.advance(10);
      await broker.heartbeat("g", "T", {
        subString: "color = 'red'",
        expressionType: "SQL92",
        subVersion: 7,
      });
      broker.clock.advance(10);
      await sendColored(4, 2);
      const looked = () =>
        broker.store.getMessages("T", 0, 0, {
          maxCount: 32,
          filter: { matchesEntry: (_tagsCode, extension) => (maps.push(extension!.bitMap), false) },
        });
      const maps: (Uint8Array | undefined)[] = [];
      await looked();
      assert.deepEqual(maps.map((map) => map && map.some((byte) => byte !== 0)), [
        ...[undefined, undefined, false, true, false, true],
      ]);
      assert.deepEqual(told(await pull({ sysFlag: "0", subVersion: "7" })), [0, 6, "m1", "m3", "m5"]);
      assert.deepEqual(told(await pull({ subscription: "*" })).length, 8);
    });
  });

  test("gets messages of light queues, held or not, and light groups have positions there", async () => {
    await start("enableLmq=true", "enableMultiDispatch=true");
    const dispatch = (names: string) => ({ INNER_MULTI_DISPATCH: names });
    await broker.send({ topic: "T", body: "a", properties: dispatch("%LMQ%x,%LMQ%y") });
    const light = { group: "%LMQ%g", topic: "%LMQ%x" };
    assert.deepEqual(told(await pull({}, light)), [0, 1, "a"]);
    const later = broker.pullLater({
      ...light,
      header: { queueOffset: "1", sysFlag: "7", commitOffset: "1" },
    });
    await broker.send({ topic: "T", body: "b", properties: dispatch("%LMQ%y") });
    assert.equal(later.response, undefined);
    await broker.send({ topic: "U", body: "c", properties: dispatch("%LMQ%x") });
    await until(() => later.response !== undefined);
    assert.deepEqual(told(later.response), [0, 2, "c"]);
    assert.equal(broker.offsets.query("%LMQ%g", "%LMQ%x", 0), 1);
    await broker.offsets.flush();
    const stored = JSON.parse(new TextDecoder().decode(
      broker.files.read(`${broker.settings.storeDirectory}/config/lmqConsumerOffset.json`),
    ));
    assert.deepEqual(stored.lmqOffsetTable, { "%LMQ%x@%LMQ%g": 1 });
    await refused({}, 17, { group: "g", topic: "NoSuch" });
  });

  test("moves on over messages that its tags leave out", async () => {
    await send("a#x", "b#y", "c", "d#y");
    assert.deepEqual(told(await pull({ subscription: "y" })), [0, 4, "b", "d"]);
    assert.deepEqual(told(await pull({ subscription: "x || y" })), [0, 4, "a", "b", "d"]);
    assert.deepEqual(told(await pull({ subscription: "z" })), [20, 4]);
    for (const subscription of ["*", "", undefined]) {
      assert.deepEqual(told(await pull({ subscription })), [0, 4, "a", "b", "c", "d"]);
    }
  });

  test("gets messages whose tag has the same hash: clients compare the text", async () => {
    assert.equal(javaHashCode("Aa"), javaHashCode("BB"));
    await send("a#Aa");
    assert.deepEqual(told(await pull({ subscription: "BB" })), [0, 1, "a"]);
  });

  test("is counted, found or not", async () => {
    await send("a");
    await pull();
    await pull({ queueOffset: "1" });
    assert.equal(broker.statistics.getFoundTimes, 1);
    assert.equal(broker.statistics.getMissTimes, 1);
    assert.equal(broker.statistics.got.messages, 1);
  });

  test("is remembered as how far the group has pulled", async () => {
    await send("a", "b");
    await pull({ maxMsgNums: "1" });
    assert.equal(broker.offsets.pulled("g", "T", 0), 1);
  });

  test("of messages that were never flushed gets none under SYNC_FLUSH", async () => {
    await start("flushDiskType=SYNC_FLUSH");
    const syncs = broker.files.holdSyncs();
    const sent = broker.send({ topic: "T", properties: { WAIT: "false" } });
    await sent;
    assert.deepEqual(told(await pull()), [19, 0]);
    syncs.release();
    assert.deepEqual(await broker.bodies("T"), ["hello"]);
    assert.deepEqual(told(await pull()), [0, 1, "hello"]);
  });
});

describe("what a pull is refused for", () => {
  test("a field that is missing or no number", async () => {
    const names = [
      "consumerGroup",
      "topic",
      "queueId",
      "queueOffset",
      "maxMsgNums",
      "sysFlag",
      "commitOffset",
    ];
    for (const name of [...names, "suspendTimeoutMillis", "subVersion"]) {
      assert.match((await refused({ [name]: undefined }, 1)).remark!, new RegExp(`<${name}>`));
    }
    for (const name of ["queueId", "queueOffset", "maxMsgNums", "sysFlag", "subVersion"]) {
      for (const value of ["", "x", "1.5"]) await refused({ [name]: value }, 1);
    }
  });

  test("a broker that may not be read from", async () => {
    broker.settings = { ...broker.settings, brokerPermission: 2 };
    await refused({}, 16, {}, 1);
  });

  test("a broker without lite pull", async () => {
    broker.settings = { ...broker.settings, litePull: false };
    await refused({}, 16, { code: RequestCode.LITE_PULL_MESSAGE }, 1);
    assert.equal((await pull()).code, 19);
  });

  test("a group that is not made by itself, or can't be", async () => {
    await refused({}, 26, { group: "a b" });
    await refused({}, 26, { group: "g".repeat(121) });
    await refused({}, 26, { group: "" });
    await start("autoCreateSubscriptionGroup=false");
    await refused({}, 26);
  });

  test("a group that may not consume", async () => {
    broker.groups.update({ ...broker.groups.find("g")!, consumeEnable: false });
    await refused({}, 16, {}, 2);
  });

  test("a topic that does not exist, or may not be read from", async () => {
    const response = await refused({}, 17, { topic: "No" });
    assert.match(response.remark!, /^topic\[No\] not exist/);
    broker.createTopic("WriteOnly", 1, 2);
    await refused({}, 16, { topic: "WriteOnly" }, 3);
  });

  test("a queue that the topic does not have for reading", async () => {
    broker.topics.update({ ...broker.topics.get("T")!, readQueueNums: 2, writeQueueNums: 4 });
    for (const queueId of ["2", "-1", "2147483647"]) {
      assert.match((await refused({ queueId }, 29)).remark!, /queueId\[.*\] is illegal/);
    }
    assert.equal((await pull({ queueId: "1" })).code, 19);
  });

  test("expressions other than tags, with the sentence that users search for", async () => {
    const sentence = "The broker does not support consumer to filter message by SQL92";
    await send("a");
    const inRequest = await refused({ expressionType: "SQL92", subscription: "a > 1" }, 1);
    assert.equal(inRequest.remark, sentence);
    await broker.heartbeat("sql", "T", { expressionType: "SQL92", subString: "a > 1" });
    const registered = await refused({ sysFlag: "0" }, 1, { group: "sql" });
    assert.equal(registered.remark, sentence);
    const check = await broker.connection.ask(broker.dispatch, {
      code: RequestCode.CHECK_CLIENT_CONFIG,
      body: new TextEncoder().encode(JSON.stringify({
        clientId: "c",
        group: "sql",
        subscriptionData: { topic: "T", subString: "a > 1", expressionType: "SQL92" },
      })),
    });
    assert.deepEqual([check.code, check.remark], [1, sentence]);
    for (const expressionType of ["TAG", "", undefined]) {
      assert.deepEqual(told(await pull({ expressionType })), [0, 1, "a"]);
    }
  });

  test("an expression that names no tag", async () => {
    for (const subscription of ["||", "||||"]) await refused({ subscription }, 23);
  });

  test("a consumer that pulls by itself, where those are not wanted", async () => {
    broker.settings = { ...broker.settings, rejectPullConsumers: true };
    await refused({}, 24);
    for (const group of ["TOOLS_CONSUMER", "SELF_TEST_C_GROUP", "CID_RMQ_SYS_mine", "CID_ONSAPI_PULL"]) {
      assert.equal((await pull({}, { group })).code, 19, group);
    }
    await broker.heartbeat("g", "T");
    assert.equal((await pull()).code, 19);
  });
});

describe("a pull of a registered consumer", () => {
  const registered = { sysFlag: "0" };

  test("gets what the group subscribed to", async () => {
    await send("a#x", "b#y", "c#z");
    await broker.heartbeat("g", "T", {
      subString: "y || z",
      codeSet: [javaHashCode("y"), javaHashCode("z")],
    });
    assert.deepEqual(told(await pull(registered)), [0, 3, "b", "c"]);
    await broker.heartbeat("g", "T", { subString: "x", subVersion: 2, codeSet: [javaHashCode("x")] });
    assert.deepEqual(told(await pull(registered)), [0, 3, "a"]);
    await broker.heartbeat("g", "T", { subString: "*", subVersion: 3 });
    assert.deepEqual(told(await pull(registered)), [0, 3, "a", "b", "c"]);
  });

  test("gets the right messages where the client leaves out the hashes", async () => {
    await send("a#x", "b#y");
    await broker.heartbeat("g", "T", { subString: "y" });
    assert.deepEqual(told(await pull(registered)), [0, 2, "b"]);
  });

  test("gets nothing for an expression without any tag, rather than everything", async () => {
    await send("a#x", "b");
    assert.deepEqual(told(await pull({ subscription: " || " })), [20, 2]);
    await broker.heartbeat("g", "T", { subString: " || " });
    assert.deepEqual(told(await pull(registered)), [20, 2]);
  });

  test("is refused without a heartbeat, for another topic, and with a newer subscription", async () => {
    await refused(registered, 24);
    await broker.heartbeat("g", "Other");
    await refused(registered, 24);
    await broker.heartbeat("g", "T", { subVersion: 5 });
    assert.equal((await pull({ ...registered, subVersion: "5" })).code, 19);
    await refused({ ...registered, subVersion: "6" }, 25);
  });

  test("is refused where the group may not broadcast, or not read this topic", async () => {
    broker.groups.update({ ...broker.groups.find("g")!, consumeBroadcastEnable: false });
    await broker.heartbeat("g", "T", { messageModel: "BROADCASTING" });
    await refused(registered, 16, {}, 4);
    await broker.heartbeat("g", "T", { messageModel: "CLUSTERING" });
    assert.equal((await pull(registered)).code, 19);
    broker.groups.setReadForbidden("g", "T", true);
    await refused(registered, 16, {}, 5);
    assert.equal((await pull()).code, 19, "a pull that brings its subscription is not asked, as on Apache");
  });

  test("goes on when the client that registered it has gone and another is there", async () => {
    const other = new MemoryConnection();
    await broker.heartbeat("g", "T");
    await broker.heartbeat("g", "T", {}, other);
    broker.connection.close();
    const response = await broker.pull({ group: "g", topic: "T", header: registered }, other);
    assert.equal(response.code, 19);
    other.close();
    const late = new MemoryConnection();
    assert.equal((await broker.pull({ group: "g", topic: "T", header: registered }, late)).code, 24);
  });
});

describe("a held pull", () => {
  test("is answered by the next message of its queue", async () => {
    const held = hold();
    await send();
    assert.equal(held.response, undefined);
    assert.equal(broker.hold.count, 1);
    await broker.send({ topic: "T", body: "other queue", header: { queueId: "1" } });
    assert.equal(held.response, undefined);
    await send("a");
    assert.deepEqual(told(held.response), [0, 1, "a"]);
    assert.equal(broker.hold.count, 0);
  });

  test("is answered with all messages of the turn", async () => {
    const held = hold();
    await Promise.all(["a", "b", "c"].map((body) => broker.send({ topic: "T", body })));
    await broker.bodies("T");
    assert.deepEqual(told(held.response), [0, 3, "a", "b", "c"]);
  });

  test("is not woken by what its tags leave out, and gets no message twice", async () => {
    const held = hold({ subscription: "x" });
    await send("a#y", "b");
    assert.equal(held.response, undefined);
    await send("c#x");
    assert.deepEqual(told(held.response), [0, 3, "c"]);
  });

  test("is answered at its deadline that there is nothing", async () => {
    await send("a");
    const held = hold({ queueOffset: "1" });
    broker.clock.advance(14_900);
    await setImmediate();
    assert.equal(held.response, undefined);
    broker.clock.advance(600);
    await setImmediate();
    assert.deepEqual(told(held.response), [19, 1]);
    assert.equal(held.response!.remark, "OFFSET_OVERFLOW_ONE");
  });

  test("moves over messages that its tags leave out within seconds, so that the group's lag goes", async () => {
    const held = hold({ subscription: "x" });
    await send("a#y", "b#y");
    broker.clock.advance(5500);
    await setImmediate();
    assert.deepEqual(told(held.response), [20, 2]);
    assert.equal(broker.offsets.pulled("g", "T", 0), 2);
  });

  test("does not hold up the requests behind it", async () => {
    const connection = new MemoryConnection();
    hold({}, connection);
    await setImmediate();
    assert.equal(connection.releasedCount, 1);
    assert.equal(connection.responses.length, 0);
  });

  test("holds them up where very many pulls wait, so that memory has an end", async () => {
    const held: unknown[] = [];
    const { store, topics, groups, offsets, rules, statistics, clock } = broker;
    const handlers = pullHandlers({
      ...{ store, topics, groups, offsets, rules, statistics, clock },
      hold: { count: 200_000, hold: (pull) => held.push(pull) },
      online: () => undefined,
      parseSubscription: Subscription.parse,
      filterOf: (_group, _topic, subscription) => subscription.filter,
      settings: () => broker.settings,
    });
    const connection = new MemoryConnection();
    const fields = { consumerGroup: "g", topic: "T", queueId: "0", queueOffset: "0", maxMsgNums: "1" };
    const more = { sysFlag: "6", commitOffset: "0", suspendTimeoutMillis: "15000", subVersion: "0" };
    void connection.ask(new Map(handlers), {
      code: RequestCode.PULL_MESSAGE,
      fields: { ...fields, ...more },
    });
    await setImmediate();
    assert.equal(held.length, 1);
    assert.equal(connection.releasedCount, 0);
  });

  test("is forgotten when its connection closes", async () => {
    const connection = new MemoryConnection();
    hold({}, connection);
    connection.close();
    await send("a");
    assert.equal(broker.hold.count, 0);
    assert.equal(connection.responses.length, 0);
  });

  test("is told when its topic goes", async () => {
    const held = hold();
    broker.topics.delete("T");
    broker.hold.wakeTopic("T");
    await setImmediate();
    assert.equal(held.response!.code, 17);
  });

  test("is told of a reset at once", async () => {
    await send("a", "b");
    const held = hold({ queueOffset: "2" });
    broker.offsets.reset("g", "T", 0, 1);
    broker.hold.wakeTopic("T");
    await setImmediate();
    assert.deepEqual(told(held.response), [21, 1]);
  });

  test("waits only as long as the broker allows where long polling is off", async () => {
    broker.settings = { ...broker.settings, longPolling: false, shortPollingMs: 1000 };
    const held = hold();
    broker.clock.advance(1000);
    await setImmediate();
    assert.deepEqual(told(held.response), [19, 0]);
  });

  test("that does not want to wait, or asks to for no time, is not held", async () => {
    assert.equal((await pull({ sysFlag: String(SUBSCRIPTION) })).code, 19);
    for (const suspendTimeoutMillis of ["0", "-1"]) {
      const held = hold({ suspendTimeoutMillis });
      await setImmediate();
      assert.deepEqual(told(held.response), [19, 0]);
    }
  });

  test("that asks to wait for ever is answered after two minutes", async () => {
    const held = hold({ suspendTimeoutMillis: "9223372036854775807" });
    broker.clock.advance(119_000);
    await setImmediate();
    assert.equal(held.response, undefined);
    broker.clock.advance(1500);
    await setImmediate();
    assert.deepEqual(told(held.response), [19, 0]);
  });

  test("beyond the queue's end is corrected at once", async () => {
    const held = hold({ queueOffset: "7" });
    await setImmediate();
    assert.deepEqual(told(held.response), [21, 0]);
  });

  test("is answered when the broker stops", async () => {
    const held = hold();
    broker.hold.stop();
    await setImmediate();
    assert.deepEqual(told(held.response), [19, 0]);
  });
});

describe("the offset that a pull commits", () => {
  test("is stored when the pull comes, also if it is held, and not again when it is woken", async () => {
    await send("a", "b");
    const sysFlag = String(COMMIT | SUSPEND | SUBSCRIPTION);
    const held = hold({ sysFlag, queueOffset: "2", commitOffset: "1" });
    await setImmediate();
    assert.equal(broker.offsets.query("g", "T", 0), 1);
    broker.offsets.commit("g", "T", 0, 2);
    await send("c");
    assert.deepEqual(told(held.response), [0, 3, "c"]);
    assert.equal(broker.offsets.query("g", "T", 0), 2);
  });

  test("is not looked at without its flag", async () => {
    await send("a");
    await pull({ commitOffset: "1" });
    assert.equal(broker.offsets.query("g", "T", 0), -1);
    await pull({ commitOffset: "1", sysFlag: String(COMMIT | SUBSCRIPTION) });
    assert.equal(broker.offsets.query("g", "T", 0), 1);
  });

  test("is not stored by a pull that is refused", async () => {
    const sysFlag = String(COMMIT);
    await refused({ sysFlag, commitOffset: "9" }, 24);
    assert.equal(broker.offsets.query("g", "T", 0), -1);
  });

  test("does not undo a reset that comes while the disk is read", async () => {
    await send("a", "b");
    const { store } = broker;
    const getMessages = store.getMessages.bind(store);
    store.getMessages = async (...given) => (await setImmediate(), getMessages(...given));
    const pulled = pull({ sysFlag: String(COMMIT | SUBSCRIPTION), commitOffset: "2" });
    broker.offsets.reset("g", "T", 0, 0);
    assert.equal((await pulled).code, 0);
    assert.equal(broker.offsets.query("g", "T", 0), 0);
  });

  test("does not undo a reset", async () => {
    await send("a", "b");
    broker.offsets.reset("g", "T", 0, 0);
    const sysFlag = String(COMMIT | SUBSCRIPTION);
    const response = await pull({ sysFlag, queueOffset: "2", commitOffset: "2" });
    assert.deepEqual(told(response), [21, 0]);
    assert.equal(response.remark, "OFFSET_RESET");
    assert.equal(response.fields!.minOffset, "0");
    assert.equal(response.fields!.maxOffset, "2");
    assert.equal(broker.offsets.query("g", "T", 0), 0);
    assert.deepEqual(told(await pull()), [0, 2, "a", "b"], "a reset is told once");
  });
});
