// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { offsetMessageId } from "../../../src/protocol/message_id.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { Version } from "../../../src/protocol/version.ts";
import type { Response } from "../../../src/remoting/command.ts";
import { bodyOf, BrokerParts, propertiesOf } from "../../harness/broker_parts.ts";
import { draft } from "../../harness/store.ts";

let broker: BrokerParts;

async function start(...pairs: string[]): Promise<void> {
  await broker?.close();
  broker = await BrokerParts.open({ pairs });
}

beforeEach(() => start());
afterEach(() => broker.close());

/** A message of topic T that has been tried so often, and its place in the log. */
function stored(reconsumeTimes = 0, properties: Record<string, string> = {}): number {
  const propertyMap = new Map(Object.entries(properties));
  const message = draft("T", "hello", { reconsumeTimes, flag: 5, bornTimestampMs: 7, propertyMap });
  return broker.store.append(message).physicalOffset;
}

function back(
  offset: number,
  given: Record<string, string | undefined> = {},
  version: number = Version.V5_4_0,
): Promise<Response> {
  const fields = { offset: String(offset), group: "g", delayLevel: "0", originTopic: "T", ...given };
  return broker.connection.ask(broker.dispatch, {
    code: RequestCode.CONSUMER_SEND_MSG_BACK,
    version,
    fields: JSON.parse(JSON.stringify(fields)),
  });
}

async function refused(answer: Promise<Response>, code: number, remark: RegExp): Promise<void> {
  const endBefore = broker.store.maxPhysicalOffset;
  const response = await answer;
  assert.equal(response.code, code, response.remark);
  assert.match(response.remark!, remark);
  assert.equal(broker.store.maxPhysicalOffset, endBefore);
}

const SCHEDULE = "SCHEDULE_TOPIC_XXXX";

describe("a message that is sent back", () => {
  test("waits, one level longer with every try, and then goes to the group's retry topic", async () => {
    for (let tries = 0; tries < 4; tries++) {
      assert.deepEqual(await back(stored(tries)), { code: 0 });
      const record = await broker.last(SCHEDULE, 2 + tries);
      assert.equal(record.reconsumeTimes, tries + 1);
      assert.equal(propertiesOf(record).DELAY, String(3 + tries));
      assert.equal(propertiesOf(record).REAL_TOPIC, "%RETRY%g");
    }
    broker.delay.start();
    broker.clock.advance(10_000);
    const record = await broker.last("%RETRY%g");
    assert.equal(record.reconsumeTimes, 1);
    assert.equal(bodyOf(record), "hello");
  });

  test("keeps what it is, and says where it comes from", async () => {
    const offset = stored(0, { TAGS: "a", KEYS: "k" });
    const origin = broker.store.readMessage(offset)!;
    await back(offset);
    const record = await broker.last(SCHEDULE, 2);
    assert.equal(record.flag, 5);
    assert.equal(record.bornTimestampMs, 7);
    assert.deepEqual(record.bornHost, origin.bornHost);
    const properties = propertiesOf(record);
    assert.equal(properties.TAGS, "a");
    assert.equal(properties.UNIQ_KEY, propertiesOf(origin).UNIQ_KEY);
    assert.equal(properties.RETRY_TOPIC, "T");
    assert.equal(
      properties.ORIGIN_MESSAGE_ID,
      offsetMessageId({ ip: Uint8Array.of(10, 1, 2, 3), port: 10911 }, offset),
    );
  });

  test("keeps topic and id of its first time through all retries", async () => {
    await back(stored(1, { RETRY_TOPIC: "First", ORIGIN_MESSAGE_ID: "0A" }));
    const properties = propertiesOf(await broker.last(SCHEDULE, 3));
    assert.equal(properties.RETRY_TOPIC, "First");
    assert.equal(properties.ORIGIN_MESSAGE_ID, "0A");
  });

  test("waits at the level that the consumer names, at most the last one", async () => {
    for (const [named, level] of [["1", 1], ["18", 18], ["19", 18], ["2147483647", 18]] as const) {
      assert.equal((await back(stored(0), { delayLevel: named })).code, 0);
      assert.equal(propertiesOf(await broker.last(SCHEDULE, level - 1)).DELAY, String(level), named);
    }
    await back(stored(15));
    assert.equal(propertiesOf(await broker.last(SCHEDULE, 17)).DELAY, "18");
  });

  test("takes no part in a transaction any more", async () => {
    const propertyMap = new Map([["TRAN_MSG", "true"], ["PGROUP", "p"]]);
    const { physicalOffset } = broker.store.append(
      draft("T", "committed", { sysFlag: 0x8 | 0x1, propertyMap }),
    );
    assert.equal((await back(physicalOffset)).code, 0);
    const record = await broker.last(SCHEDULE, 2);
    assert.equal(record.sysFlag, 0x1);
  });

  test("finds its way over all queues that the group's retry topic has", async () => {
    broker.groups.update({ ...broker.groups.find("g")!, retryQueueNums: 3 });
    for (let i = 0; i < 40; i++) await back(stored(0));
    assert.equal(broker.topics.get("%RETRY%g")!.readQueueNums, 3);
    const used = new Set<string>();
    await broker.bodies(SCHEDULE, 2);
    for (let i = 0; i < 40; i++) {
      const { physicalOffset } = broker.store.queueEntry(SCHEDULE, 2, i)!;
      used.add(propertiesOf(broker.store.readMessage(physicalOffset)!).REAL_QID);
    }
    assert.deepEqual([...used].sort(), ["0", "1", "2"]);
  });

  test("never goes to a queue that the retry topic does not have, though the group wants more", async () => {
    broker.createTopic("%RETRY%g", 1);
    broker.groups.update({ ...broker.groups.find("g")!, retryQueueNums: 50 });
    for (let i = 0; i < 10; i++) {
      await back(stored(0));
      assert.equal(propertiesOf(await broker.last(SCHEDULE, 2)).REAL_QID, "0");
    }
  });

  test("is counted", async () => {
    await back(stored(0));
    await back(stored(0), { delayLevel: "-1" });
    assert.equal(broker.statistics.put.messages, 2);
  });
});

describe("a message that is sent back too often", () => {
  async function isDead(): Promise<boolean> {
    const deadBefore = deadCount;
    deadCount = (await broker.bodies("%DLQ%g")).length;
    return deadCount > deadBefore;
  }
  let deadCount = 0;
  beforeEach(() => deadCount = 0);

  test("goes to the dead letters, without delay", async () => {
    await back(stored(15));
    assert.equal(await isDead(), false);
    assert.deepEqual(await back(stored(16, { DELAY: "18" })), { code: 0 });
    assert.equal(await isDead(), true);
    const record = await broker.last("%DLQ%g");
    assert.equal(record.reconsumeTimes, 17);
    assert.equal(propertiesOf(record).RETRY_TOPIC, "T");
    assert.ok(Number(propertiesOf(record).DELAY ?? 0) <= 0);
    const { perm, readQueueNums } = broker.topics.get("%DLQ%g")!;
    assert.deepEqual({ perm, readQueueNums }, { perm: 6, readQueueNums: 1 });
  });

  test("the group says how often; the client, if it is new enough, knows better", async () => {
    broker.groups.update({ ...broker.groups.find("g")!, retryMaxTimes: 2 });
    await back(stored(1));
    assert.equal(await isDead(), false);
    await back(stored(2));
    assert.equal(await isDead(), true);
    await back(stored(2), { maxReconsumeTimes: "3" });
    assert.equal(await isDead(), false);
    await back(stored(0), { maxReconsumeTimes: "0" });
    assert.equal(await isDead(), true);
    await back(stored(2), { maxReconsumeTimes: "3" }, Version.V3_4_9 - 1);
    assert.equal(await isDead(), true);
  });

  test("or with a level below 0, goes there at once", async () => {
    await back(stored(0), { delayLevel: "-1" });
    assert.equal(await isDead(), true);
  });
});

describe("sending back is refused", () => {
  test("for a group that does not exist", async () => {
    await start("autoCreateSubscriptionGroup=false");
    await refused(back(stored(0)), 26, /^subscription group not exist, g/);
  });

  test("for a group whose name can't be", async () => {
    await refused(back(stored(0), { group: "a b" }), 26, /a b/);
  });

  test("where the broker, or the retry topic, may not be written to", async () => {
    broker.settings = { ...broker.settings, brokerPermission: 4 };
    await refused(back(stored(0)), 16, /brokerPermission/);
    broker.settings = { ...broker.settings, brokerPermission: 6 };
    broker.createTopic("%RETRY%g", 1, 4);
    await refused(back(stored(0)), 16, /%RETRY%g/);
  });

  test("for a message that is not there", async () => {
    const offset = stored(0);
    for (const other of [offset + 1, offset + 1_000_000, -1]) {
      await refused(back(other), 1, /^look message by offset failed/);
    }
  });

  test("for fields that are missing or no numbers", async () => {
    const offset = stored(0);
    for (const name of ["offset", "group", "delayLevel"]) {
      await refused(back(offset, { [name]: undefined }), 1, new RegExp(`<${name}>`));
    }
    for (const name of ["offset", "delayLevel", "maxReconsumeTimes"]) {
      await refused(back(offset, { [name]: "many" }), 1, new RegExp(name));
    }
  });

  test("by a store that takes nothing", async () => {
    const offset = stored(0);
    await broker.bodies("T");
    broker.files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/ });
    const answer = await back(offset);
    assert.equal(answer.code, 1);
    assert.match(answer.remark!, /full/);
    await refused(back(offset), 14, /full/);
  });
});

test("a group without retry queues gives nothing back, and is told that all is well", async () => {
  broker.groups.update({ ...broker.groups.find("g")!, retryQueueNums: 0 });
  const offset = stored(0);
  const endBefore = broker.store.maxPhysicalOffset;
  assert.deepEqual(await back(offset), { code: 0 });
  assert.equal(broker.store.maxPhysicalOffset, endBefore);
});

test("under SYNC_FLUSH the consumer is told when the copy is flushed, or that it can't be known", async () => {
  await start("flushDiskType=SYNC_FLUSH");
  const offset = stored(0);
  await broker.bodies("T");
  const hold = broker.files.holdSyncs();
  const answers: Response[] = [];
  const first = back(offset).then((answer) => answers.push(answer));
  broker.clock.advance(5000);
  await first;
  assert.deepEqual(answers[0], { code: 1, remark: "FLUSH_DISK_TIMEOUT" });
  const second = back(offset).then((answer) => answers.push(answer));
  hold.release();
  await second;
  assert.deepEqual(answers[1], { code: 0 });
});
