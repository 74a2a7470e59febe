// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { ResponseCode } from "../../../src/protocol/response_code.ts";
import { groupConfig } from "../../../src/protocol/bodies/subscription_group.ts";
import { bodyOf, BrokerParts, type BrokerPartsOptions, recordsIn } from "../../harness/broker_parts.ts";

/** A broker whose queue T/0 holds these messages. */
async function holding(bodies: readonly string[], options: BrokerPartsOptions = {}) {
  const broker = await BrokerParts.open(options);
  broker.createTopic("T", 1);
  for (const body of bodies) await broker.send({ topic: "T", body });
  await broker.bodies("T");
  return broker;
}

function pull(broker: BrokerParts, queueOffset: number) {
  return broker.pull({ group: "g", topic: "T", header: { queueOffset: String(queueOffset) } });
}

test("a slave serves consumers while its master is gone, and sends them back to it", async () => {
  const broker = await holding(["a", "b"], { isSlave: true });
  const answer = await pull(broker, 0);
  assert.equal(answer.code, ResponseCode.SUCCESS);
  assert.deepEqual(recordsIn(answer).map(bodyOf), ["a", "b"]);
  assert.equal(answer.fields!.suggestWhichBrokerId, "0");
  await broker.close();
});

test("a slave is not read from while its master is there, unless slaveReadEnable says so", async () => {
  for (const slaveReadEnable of [false, true]) {
    const broker = await holding(["a"], { isSlave: true, pairs: [`slaveReadEnable=${slaveReadEnable}`] });
    broker.masterServes = () => true;
    const answer = await pull(broker, 0);
    assert.equal(answer.code, slaveReadEnable ? ResponseCode.SUCCESS : ResponseCode.SYSTEM_BUSY);
    if (!slaveReadEnable) assert.match(answer.remark!, /^\[REJECTREQUEST\]/);
    await broker.close();
  }
});

test("a master with slaveReadEnable sends consumers of old messages to the slave that their group names", async () => {
  const broker = await holding(["old", "x".repeat(5000), "new"], {
    pairs: ["slaveReadEnable=true"],
    inMemoryBytes: 3000,
  });
  broker.groups.update(groupConfig("g", { whichBrokerWhenConsumeSlowly: 2, brokerId: 0 }));
  const pullOne = async (queueOffset: number) => {
    const header = { queueOffset: String(queueOffset), maxMsgNums: "1" };
    return (await broker.pull({ group: "g", topic: "T", header })).fields!.suggestWhichBrokerId;
  };
  assert.equal(await pullOne(0), "2");
  assert.equal(await pullOne(2), "0");
  await broker.close();
});

test("without slaveReadEnable a master keeps consumers of old messages", async () => {
  const broker = await holding(["old", "x".repeat(5000), "new"], { inMemoryBytes: 3000 });
  assert.equal((await pull(broker, 0)).fields!.suggestWhichBrokerId, "0");
  await broker.close();
});

test("a group's brokerId is where its consumers of new messages are sent", async () => {
  const broker = await holding(["a"], { pairs: ["slaveReadEnable=true"] });
  broker.groups.update(groupConfig("g", { brokerId: 1 }));
  assert.equal((await pull(broker, 0)).fields!.suggestWhichBrokerId, "1");
  await broker.close();
});

test("a consumer ahead of its slave waits for what is copied and keeps its place", async () => {
  const broker = await holding(["a"], { isSlave: true });
  const later = broker.pullLater({ group: "g", topic: "T", header: { queueOffset: "3", sysFlag: "6" } });
  await broker.bodies("T");
  assert.equal(later.response, undefined);
  for (const body of ["b", "c", "d"]) await broker.send({ topic: "T", body });
  await broker.bodies("T");
  assert.deepEqual(recordsIn(later.response!).map(bodyOf), ["d"]);
  await broker.close();
});

test("a pull that the slave can't serve ends with the offset that it came with", async () => {
  const broker = await holding(["a"], { isSlave: true });
  const answer = await pull(broker, 9);
  assert.equal(answer.code, ResponseCode.PULL_RETRY_IMMEDIATELY);
  assert.equal(answer.fields!.nextBeginOffset, "9");
  const unknown = await broker.pull({ group: "g", topic: "T", header: { queueOffset: "1", sysFlag: "4" } });
  assert.equal(unknown.code, ResponseCode.PULL_NOT_FOUND);
  await broker.close();
});

test("with offsetCheckInSlave a slave corrects offsets as a master does", async () => {
  const broker = await holding(["a"], { isSlave: true, pairs: ["offsetCheckInSlave=true"] });
  const answer = await pull(broker, 9);
  assert.equal(answer.code, ResponseCode.PULL_OFFSET_MOVED);
  assert.equal(answer.fields!.nextBeginOffset, "1");
  await broker.close();
});
