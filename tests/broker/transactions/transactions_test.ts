// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { decodeRecord, type MessageRecord } from "../../../src/protocol/record.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import type { Response } from "../../../src/remoting/command.ts";
import {
  bodyOf,
  BrokerParts,
  type BrokerPartsOptions,
  propertiesOf,
  recordsIn,
} from "../../harness/broker_parts.ts";
import { MessageIllegalError } from "../../../src/store/types.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { bodyBytes, MemoryConnection } from "../../harness/memory_connection.ts";
import type { MemoryFiles } from "../../harness/memory_files.ts";
import { SeededRandom } from "../../harness/seeded_random.ts";

const HALF = "RMQ_SYS_TRANS_HALF_TOPIC";
const OP = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
const GIVEN_UP = "TRANS_CHECK_MAX_TIME_TOPIC";
const GROUP = "CID_RMQ_SYS_TRANS";
const COMMIT = 8;
const ROLLBACK = 12;

let broker: BrokerParts;

async function start(options: BrokerPartsOptions = {}): Promise<void> {
  broker = await BrokerParts.open(options);
  broker.transactions.start();
}

beforeEach(async () => {
  await start();
  broker.createTopic("T", 2);
});
afterEach(() => broker.close());

interface Sent {
  queueOffset: string;
  physicalOffset: string;
}

/** A half message as the Java client sends it. */
async function sendHalf(body: string, given: Record<string, string> = {}, header = {}): Promise<Sent> {
  const answer = await broker.send({
    topic: "T",
    body,
    properties: { TRAN_MSG: "true", PGROUP: "pg", ...given },
    header: { sysFlag: "4", bornTimestamp: String(broker.clock.nowMs()), ...header },
  });
  assert.equal(answer.code, 0, answer.remark);
  return placeOf(answer);
}

function placeOf({ fields }: Response): Sent {
  return { queueOffset: fields!.queueOffset, physicalOffset: String(parseInt(fields!.msgId.slice(16), 16)) };
}

function endFields(sent: Sent, decision: number, given: Record<string, string> = {}) {
  return {
    producerGroup: "pg",
    tranStateTableOffset: sent.queueOffset,
    commitLogOffset: sent.physicalOffset,
    commitOrRollback: String(decision),
    msgId: "ID",
    ...given,
  };
}

function end(sent: Sent, decision: number, given: Record<string, string> = {}): Promise<Response> {
  const fields = endFields(sent, decision, given);
  return broker.connection.ask(broker.dispatch, { code: RequestCode.END_TRANSACTION, fields });
}

/** Lets time pass, with the event loop in between as it would be. */
async function pass(ms: number, stepMs = 1000): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) {
    broker.clock.advance(Math.min(stepMs, left));
    for (let turn = 0; turn < 12; turn++) await setImmediate();
  }
}

/** A producer that is there to be asked. */
function producer(group = "pg"): MemoryConnection {
  const connection = new MemoryConnection();
  broker.clients.registerProducer(group, {
    connection,
    clientId: `p@${connection.id}`,
    language: "JAVA",
    version: 453,
  });
  return connection;
}

interface Question extends Sent {
  fields: Record<string, string>;
  record: MessageRecord;
}

function questionsTo(connection: MemoryConnection): Question[] {
  return connection.notifications.map((notice) => {
    assert.equal(notice.code, RequestCode.CHECK_TRANSACTION_STATE);
    const fields = notice.fields!;
    const record = decodeRecord(bodyBytes({ code: 0, body: notice.body! }));
    if (typeof record === "string") throw new Error(record);
    return {
      fields,
      record,
      queueOffset: fields.tranStateTableOffset,
      physicalOffset: fields.commitLogOffset,
    };
  });
}

/** Ends the process without a word; what comes back is what the next one finds. */
async function restartAfter(endOf: (files: MemoryFiles) => MemoryFiles, options: BrokerPartsOptions = {}) {
  await start({ files: endOf(broker.files), clock: broker.clock, ...options });
}

function offsets(): { half: number; op: number } {
  return { half: broker.offsets.query(GROUP, HALF, 0), op: broker.offsets.query(GROUP, OP, 0) };
}

describe("a half message", () => {
  test("waits where no consumer of its topic sees it, and says where it belongs", async () => {
    const answer = await broker.send({
      topic: "T",
      body: "a",
      properties: { TRAN_MSG: "true", PGROUP: "pg", UNIQ_KEY: "K", TAGS: "x", colour: "red" },
      header: { queueId: "1", sysFlag: "5", flag: "3" },
    });
    assert.equal(answer.code, 0, answer.remark);
    assert.equal(answer.fields!.transactionId, "K");
    assert.equal(answer.fields!.queueId, "1");
    assert.equal(answer.fields!.queueOffset, "0");
    const half = await broker.last(HALF);
    assert.equal(bodyOf(half), "a");
    assert.equal(half.sysFlag, 1, "compressed, but not marked as prepared");
    assert.equal(half.flag, 3);
    const { REAL_TOPIC, REAL_QID, __transactionId__, TRAN_MSG, PGROUP, colour } = propertiesOf(half);
    assert.deepEqual([REAL_TOPIC, REAL_QID, __transactionId__], ["T", "1", "K"]);
    assert.deepEqual([TRAN_MSG, PGROUP, colour], ["true", "pg", "red"]);
    assert.deepEqual(await broker.bodies("T", 1), []);
  });

  test("needs a group to be asked", async () => {
    const answer = await broker.send({ topic: "T", properties: { TRAN_MSG: "true" } });
    assert.equal(answer.code, 13);
    assert.match(answer.remark!, /PGROUP/);
  });

  test("is refused where transactions are not wanted", async () => {
    broker.settings = { ...broker.settings, rejectTransactions: true };
    const answer = await broker.send({ topic: "T", properties: { TRAN_MSG: "true", PGROUP: "pg" } });
    assert.equal(answer.code, 16);
    assert.equal(broker.store.maxOffset(HALF, 0), 0);
  });

  test("can't be told by its sysFlag alone", async () => {
    const answer = await broker.send({ topic: "T", header: { sysFlag: "4" } });
    assert.equal(answer.code, 13);
  });

  test("is not what a consumer sends back", async () => {
    broker.createTopic("%RETRY%g");
    const answer = await broker.send({
      topic: "%RETRY%g",
      properties: { TRAN_MSG: "true", PGROUP: "pg", DELAY: "3" },
      header: { sysFlag: "8", reconsumeTimes: "1" },
    });
    assert.equal(answer.code, 0, answer.remark);
    assert.equal(broker.store.maxOffset(HALF, 0), 0);
  });

  test("can be sent by itself only", async () => {
    const properties = { TRAN_MSG: "true", PGROUP: "pg" };
    assert.equal((await broker.send({ topic: "T", properties, header: { batch: "true" } })).code, 13);
  });

  test("is counted for the topic in which it waits", async () => {
    await sendHalf("a");
    assert.equal(broker.statistics.topicCounts.get(HALF)?.messages, 1);
    assert.equal(broker.statistics.topicCounts.get("T"), undefined);
  });
});

describe("a commit", () => {
  test("delivers the message where it belongs, as it was sent", async () => {
    const sent = await sendHalf("a", { UNIQ_KEY: "K", TAGS: "x", KEYS: "k" }, { queueId: "1", flag: "3" });
    assert.equal((await end(sent, COMMIT)).code, 0);
    const record = await broker.last("T", 1);
    assert.equal(bodyOf(record), "a");
    assert.equal(record.flag, 3);
    assert.equal(record.sysFlag & 12, COMMIT);
    assert.equal(record.preparedTransactionOffset, Number(sent.physicalOffset));
    const { TRAN_MSG, UNIQ_KEY, PGROUP, REAL_TOPIC } = propertiesOf(record);
    assert.deepEqual([TRAN_MSG, UNIQ_KEY, PGROUP, REAL_TOPIC], ["true", "K", "pg", "T"]);
    assert.equal(broker.store.queryByKey("T", "k", 9, 0, Number.MAX_SAFE_INTEGER).records.length, 1);
  });

  test("wakes a consumer that waits", async () => {
    const sent = await sendHalf("a");
    const held = broker.pullLater({ group: "g", topic: "T", header: { sysFlag: "6" } });
    await pass(100, 100);
    assert.equal(held.response, undefined);
    await end(sent, COMMIT);
    await pass(100, 100);
    assert.deepEqual(recordsIn(held.response!).map(bodyOf), ["a"]);
  });

  test("is noted at once, in the form that every broker reads", async () => {
    await sendHalf("a");
    await end(await sendHalf("b"), COMMIT);
    const op = await broker.last(OP);
    assert.equal(bodyOf(op), "1");
    assert.equal(propertiesOf(op).TAGS, "d");
  });

  test("that comes twice delivers once", async () => {
    const sent = await sendHalf("a");
    assert.deepEqual((await Promise.all([end(sent, COMMIT), end(sent, COMMIT)])).map(({ code }) => code), [
      0,
      0,
    ]);
    assert.equal((await end(sent, COMMIT)).code, 0);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("after a rollback delivers nothing", async () => {
    const sent = await sendHalf("a");
    await end(sent, ROLLBACK);
    assert.equal((await end(sent, COMMIT)).code, 0);
    assert.deepEqual(await broker.bodies("T"), []);
  });

  test("of another group, or with other places, is refused", async () => {
    const sent = await sendHalf("a");
    await broker.send({ topic: "T", body: "plain" });
    const plain = await broker.last("T");
    for (
      const [given, remark] of [
        [{ producerGroup: "other" }, /producer group wrong/],
        [{ tranStateTableOffset: "1" }, /state table offset wrong/],
        [{ commitLogOffset: "7" }, /Find prepared/],
        [{ commitLogOffset: String(plain.physicalOffset) }, /Find prepared/],
        [{ commitLogOffset: "9007199254740991" }, /Find prepared/],
        [{ commitLogOffset: "-1" }, /Find prepared/],
      ] as const
    ) {
      const answer = await end(sent, COMMIT, given);
      assert.equal(answer.code, 1);
      assert.match(answer.remark!, remark);
    }
    assert.deepEqual(await broker.bodies("T"), ["plain"]);
  });

  test("of a message with a delay level makes it wait from then on", async () => {
    const sent = await sendHalf("a", { DELAY: "1" });
    broker.delay.start();
    await pass(5000);
    assert.deepEqual(await broker.bodies("T"), []);
    await end(sent, COMMIT);
    await pass(900, 100);
    assert.deepEqual(await broker.bodies("T"), []);
    await pass(200, 100);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("of a message for a moment makes it wait for it, and what can't be is refused before", async () => {
    const sent = await sendHalf("a", { TIMER_DELAY_SEC: "60" });
    assert.equal(broker.store.maxOffset("rmq_sys_wheel_timer", 0), 0);
    await end(sent, COMMIT);
    const waiting = await broker.last("rmq_sys_wheel_timer");
    assert.equal(propertiesOf(waiting).REAL_TOPIC, "T");
    assert.deepEqual(await broker.bodies("T"), []);
    const properties = { TRAN_MSG: "true", PGROUP: "pg", TIMER_DELAY_SEC: "99999999" };
    assert.equal((await broker.send({ topic: "T", properties })).code, 13);
  });

  test("that comes after the time that the producer asked for is refused, unless it was asked", async () => {
    const sent = await sendHalf("a", { CHECK_IMMUNITY_TIME_IN_SECONDS: "10" });
    await pass(10_001, 10_001);
    assert.equal((await end(sent, COMMIT)).code, 604);
    assert.deepEqual(await broker.bodies("T"), []);
    assert.equal((await end(sent, COMMIT, { fromTransactionCheck: "true" })).code, 0);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("that the disk does not take leaves the transaction open", async () => {
    const sent = await sendHalf("a");
    await broker.last(HALF);
    broker.files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/, times: 1 });
    assert.equal((await end(sent, COMMIT)).code, 14);
    await pass(2000);
    assert.equal((await end(sent, COMMIT)).code, 0);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
    assert.deepEqual(await broker.bodies(OP), ["0"]);
  });
});

test("a commit whose note finds no room, and takes the message with it, leaves the transaction open", async () => {
  await broker.close();
  await start({ pairs: ["mappedFileSizeCommitLog=4096"] });
  broker.createTopic("T");
  // from here on the lengths are known
  await end(await sendHalf("a"), COMMIT);
  const finalBytes = (await broker.last("T")).totalBytes;
  const opBytes = (await broker.last(OP)).totalBytes;
  await broker.send({ topic: "T", body: "a" });
  const plainBytes = (await broker.last("T")).totalBytes - 1;
  const sent = await sendHalf("b");
  const room = 4096 - broker.store.maxPhysicalOffset % 4096 - finalBytes - opBytes;
  await broker.send({ topic: "T", body: "f".repeat(room - plainBytes) });
  const full = broker.files.fail({ operation: "create", code: "ENOSPC", path: /commitlog/ });
  assert.equal((await end(sent, COMMIT)).code, 14);
  assert.equal(full.hits, 1);
  await pass(2000);
  await broker.send({ topic: "T", body: "takes its place" });
  await pass(2000);
  assert.equal(broker.transactions.transactions.firstOpen, 1);
  assert.equal((await end(sent, COMMIT)).code, 0);
  assert.equal((await broker.bodies("T")).at(-1), "b");
});

test("a rollback delivers nothing, and is noted", async () => {
  const sent = await sendHalf("a");
  assert.equal((await end(sent, ROLLBACK)).code, 0);
  assert.deepEqual(await broker.bodies(OP), ["0"]);
  assert.deepEqual(await broker.bodies("T"), []);
});

test("a producer that has not decided leaves the transaction open", async () => {
  const sent = await sendHalf("a");
  await end(sent, 0);
  await end(sent, 4);
  assert.equal(broker.transactions.transactions.firstOpen, 0);
  assert.equal(broker.store.maxOffset(OP, 0), 0);
});

test("what is settled may be gathered for one message, as Apache 5 does", async () => {
  broker.settings = { ...broker.settings, opBatchIntervalMs: 3000, opMessageMaxBytes: 10 };
  for (let i = 0; i < 7; i++) await end(await sendHalf(`${i}`), i % 2 ? COMMIT : ROLLBACK);
  assert.deepEqual(await broker.bodies("T"), ["1", "3", "5"]);
  assert.deepEqual(await broker.bodies(OP), ["0,1,2,3,4,"]);
  await pass(3000);
  assert.deepEqual(await broker.bodies(OP), ["0,1,2,3,4,", "5,6,"]);
});

test("what is gathered is written when the broker stops", async () => {
  broker.settings = { ...broker.settings, opBatchIntervalMs: 3000, opMessageMaxBytes: 4096 };
  for (let i = 0; i < 3; i++) await end(await sendHalf(`${i}`), COMMIT);
  await broker.transactions.stop();
  assert.deepEqual(await broker.bodies(OP), ["0,1,2,"]);
  assert.deepEqual(offsets(), { half: 3, op: 1 });
});

describe("a producer that has not decided", () => {
  test("is asked with the message and its new place, and decides by its answer", async () => {
    const asked = producer();
    const sent = await sendHalf("a", { UNIQ_KEY: "K", colour: "red" }, { queueId: "1", flag: "3" });
    await pass(30_000);
    const [question, ...more] = questionsTo(asked);
    assert.equal(more.length, 0);
    assert.deepEqual(question.fields, {
      topic: HALF,
      tranStateTableOffset: "1",
      commitLogOffset: question.physicalOffset,
      msgId: "K",
      transactionId: "K",
      offsetMsgId: question.fields.offsetMsgId,
      bname: "broker-a",
    });
    assert.notEqual(question.physicalOffset, sent.physicalOffset);
    const { record } = question;
    assert.deepEqual([record.topic, record.queueId, bodyOf(record), record.flag], ["T", 1, "a", 3]);
    assert.equal(record.queueOffset, 1);
    assert.equal(String(record.physicalOffset), question.physicalOffset);
    assert.equal(propertiesOf(record).PGROUP, "pg");
    assert.equal(propertiesOf(record).colour, "red");
    assert.equal(propertiesOf(record).TRANSACTION_CHECK_TIMES, "1");
    assert.equal((await end(question, COMMIT, { fromTransactionCheck: "true" })).code, 0);
    assert.deepEqual(await broker.bodies("T", 1), ["a"]);
    await pass(120_000, 10_000);
    assert.equal(questionsTo(asked).length, 1);
    assert.deepEqual(await broker.bodies("T", 1), ["a"]);
  });

  test("is not asked before the timeout", async () => {
    const asked = producer();
    await pass(25_000);
    await sendHalf("a");
    await pass(5000);
    assert.equal(questionsTo(asked).length, 0);
    await pass(30_000);
    assert.equal(questionsTo(asked).length, 1);
  });

  test("is asked again at each round, and after the last question it is given up", async () => {
    broker.settings = { ...broker.settings, transactionCheckMax: 3 };
    const asked = producer();
    await sendHalf("a", { UNIQ_KEY: "K" });
    await pass(90_000, 10_000);
    assert.deepEqual(
      questionsTo(asked).map(({ record }) => propertiesOf(record).TRANSACTION_CHECK_TIMES),
      ["1", "2", "3"],
    );
    assert.equal(broker.store.maxOffset(GIVEN_UP, 0), 0);
    await pass(90_000, 10_000);
    assert.equal(questionsTo(asked).length, 3);
    const givenUp = await broker.last(GIVEN_UP);
    assert.equal(bodyOf(givenUp), "a");
    assert.deepEqual([propertiesOf(givenUp).REAL_TOPIC, propertiesOf(givenUp).UNIQ_KEY], ["T", "K"]);
    assert.equal(broker.topics.get(GIVEN_UP)?.readQueueNums, 1);
    assert.deepEqual(offsets().half, broker.store.maxOffset(HALF, 0));
  });

  test("may commit what was given up", async () => {
    broker.settings = { ...broker.settings, transactionCheckMax: 1 };
    const asked = producer();
    await sendHalf("a");
    await pass(60_000, 10_000);
    assert.equal(broker.store.maxOffset(GIVEN_UP, 0), 1);
    const [question] = questionsTo(asked);
    assert.equal((await end(question, COMMIT, { fromTransactionCheck: "true" })).code, 0);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("may decide with the first place after it was asked with another one; it is delivered once", async () => {
    const asked = producer();
    const sent = await sendHalf("a");
    await pass(60_000, 10_000);
    assert.equal(questionsTo(asked).length, 2);
    assert.equal((await end(sent, COMMIT)).code, 0);
    for (const question of questionsTo(asked)) await end(question, COMMIT, { fromTransactionCheck: "true" });
    await pass(60_000, 10_000);
    assert.equal(questionsTo(asked).length, 2);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("is asked when its own time is over, while others behind it are asked before", async () => {
    const asked = producer();
    await sendHalf("later", { CHECK_IMMUNITY_TIME_IN_SECONDS: "40" });
    await sendHalf("now");
    await pass(30_000);
    assert.deepEqual(questionsTo(asked).map(({ record }) => bodyOf(record)), ["now"]);
    await pass(30_000);
    assert.deepEqual(questionsTo(asked).map(({ record }) => bodyOf(record)).sort(), ["later", "now", "now"]);
  });

  test("shares the questions with the others of its group", async () => {
    const both = [producer(), producer()];
    for (let i = 0; i < 10; i++) await sendHalf(`${i}`);
    await pass(30_000);
    assert.deepEqual(both.map((each) => questionsTo(each).length), [5, 5]);
  });

  test("that does not read is left in peace until it does", async () => {
    const asked = producer();
    asked.unsentBytes = 2 << 20;
    await sendHalf("a");
    await pass(32_000);
    assert.equal(questionsTo(asked).length, 0);
    asked.unsentBytes = 0;
    await pass(1000);
    assert.equal(questionsTo(asked).length, 1);
  });

  test("that is too long to be stored once more is asked about as it is, and so are others", async () => {
    const asked = producer();
    await sendHalf("a", { long: "x" });
    const { length } = (await broker.last(HALF)).properties;
    await sendHalf("a", { long: "x".repeat(32767 - length - 9) });
    await sendHalf("b");
    await pass(30_000);
    assert.deepEqual(questionsTo(asked).map(({ record }) => bodyOf(record)), ["a", "a", "b"]);
    const question = questionsTo(asked).find(({ queueOffset }) => queueOffset === "1")!;
    assert.equal((await end(question, COMMIT, { fromTransactionCheck: "true" })).code, 0);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("that can't be stored at all any more is left where it is in the end", async () => {
    await sendHalf("long ".repeat(10));
    await sendHalf("b");
    broker.settings = { ...broker.settings, transactionCheckMax: 1, fileReservedHours: 1 };
    const { store } = broker;
    const append = store.append.bind(store);
    store.append = (draft) => {
      if (draft.body.length > 10) throw new MessageIllegalError("less is allowed now");
      return append(draft);
    };
    await pass(2 * 3_600_000, 30_000);
    assert.equal(broker.transactions.transactions.openCount, 0);
    assert.deepEqual(await broker.bodies(GIVEN_UP), ["b"]);
  });

  test("whose storing fails while another producer is waited for is asked about later", async () => {
    const asked = producer();
    const slow = producer("slow");
    slow.unsentBytes = 2 << 20;
    await sendHalf("a");
    await sendHalf("b", { PGROUP: "slow" });
    await pass(29_000);
    broker.files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/, times: 1 });
    await pass(1500, 10);
    slow.unsentBytes = 0;
    await pass(31_000);
    assert.equal(questionsTo(asked).length, 1);
    assert.ok(questionsTo(slow).length > 0);
  });

  test("is not asked about what the disk does not take, but later", async () => {
    const asked = producer();
    await sendHalf("a");
    await pass(29_000);
    broker.files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/, times: 1 });
    await pass(1000);
    assert.equal(questionsTo(asked).length, 0);
    await pass(30_000);
    assert.equal(questionsTo(asked).length, 1);
  });
});

describe("a group without live producers", () => {
  test("keeps its transactions, uncounted, until one comes", async () => {
    await sendHalf("a");
    await pass(60 * 60_000, 30_000);
    assert.equal(broker.store.maxOffset(HALF, 0), 1, "nothing is stored meanwhile");
    assert.equal(broker.store.maxOffset(GIVEN_UP, 0), 0);
    const asked = producer();
    await pass(30_000);
    const [question] = questionsTo(asked);
    assert.equal(propertiesOf(question.record).TRANSACTION_CHECK_TIMES, "1");
    await end(question, COMMIT, { fromTransactionCheck: "true" });
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("does not keep others from being asked", async () => {
    await sendHalf("a");
    const other = producer("other");
    await sendHalf("b", { PGROUP: "other" });
    await pass(30_000);
    assert.deepEqual(questionsTo(other).map(({ record }) => bodyOf(record)), ["b"]);
    await end(questionsTo(other)[0], ROLLBACK, { producerGroup: "other" });
    await pass(30_000);
    assert.equal(questionsTo(other).length, 1);
    assert.equal(offsets().half, -1, "the group's offset stays before what is open");
  });

  test("has its transactions given up when they are older than log files are kept", async () => {
    broker.settings = { ...broker.settings, fileReservedHours: 1 };
    await sendHalf("a");
    await pass(3_660_000, 30_000);
    assert.deepEqual(await broker.bodies(GIVEN_UP), ["a"]);
  });
});

describe("an operator", () => {
  test("has the producers asked once more about what was given up", async () => {
    broker.settings = { ...broker.settings, transactionCheckMax: 1 };
    const asked = producer();
    await sendHalf("a");
    await pass(60_000, 10_000);
    const { physicalOffset } = await broker.last(GIVEN_UP);
    const msgId = "0A01020300002A9F" + physicalOffset.toString(16).padStart(16, "0");
    const code = RequestCode.RESUME_CHECK_HALF_MESSAGE;
    assert.equal((await broker.connection.ask(broker.dispatch, { code, fields: { msgId } })).code, 0);
    await pass(30_000);
    const [, again] = questionsTo(asked);
    assert.equal(propertiesOf(again.record).TRANSACTION_CHECK_TIMES, "1");
    await end(again, COMMIT, { fromTransactionCheck: "true" });
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("is told when an id is not that of a half message", async () => {
    await broker.send({ topic: "T" });
    const { physicalOffset } = await broker.last("T");
    const ofPlain = "0A01020300002A9F" + physicalOffset.toString(16).padStart(16, "0");
    for (const msgId of ["x", "0".repeat(32), ofPlain]) {
      const code = RequestCode.RESUME_CHECK_HALF_MESSAGE;
      assert.equal((await broker.connection.ask(broker.dispatch, { code, fields: { msgId } })).code, 1);
    }
  });
});

describe("after the end of the process", () => {
  test("open transactions are asked about, settled ones are not", async () => {
    await sendHalf("open");
    await end(await sendHalf("committed"), COMMIT);
    await end(await sendHalf("rolled back"), ROLLBACK);
    await broker.last(OP);
    await restartAfter((files) => files.kill());
    const asked = producer();
    await pass(30_000);
    assert.deepEqual(questionsTo(asked).map(({ record }) => bodyOf(record)), ["open"]);
    await end(questionsTo(asked)[0], COMMIT, { fromTransactionCheck: "true" });
    assert.deepEqual(await broker.bodies("T"), ["committed", "open"]);
    await pass(60_000, 10_000);
    assert.equal(questionsTo(asked).length, 1);
  });

  test("a producer may still decide by itself", async () => {
    const sent = await sendHalf("a");
    await broker.last(HALF);
    await restartAfter((files) => files.kill());
    assert.equal((await end(sent, COMMIT)).code, 0);
    const asked = producer();
    await pass(30_000);
    assert.equal(questionsTo(asked).length, 0);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("what was gathered and is forgotten is asked about again, and loses nothing", async () => {
    broker.settings = { ...broker.settings, opBatchIntervalMs: 3000, opMessageMaxBytes: 4096 };
    await end(await sendHalf("a"), COMMIT);
    await broker.last("T");
    await restartAfter((files) => files.kill());
    const asked = producer();
    await pass(30_000);
    assert.equal(questionsTo(asked).length, 1);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("questions are counted on", async () => {
    let asked = producer();
    await sendHalf("a");
    await pass(60_000, 10_000);
    assert.equal(questionsTo(asked).length, 2);
    await restartAfter((files) => files.kill());
    asked = producer();
    await pass(30_000);
    assert.deepEqual(
      questionsTo(asked).map(({ record }) => propertiesOf(record).TRANSACTION_CHECK_TIMES),
      ["3"],
    );
  });

  test("after a power cut no commit is forgotten whose half the group's offset has passed", async () => {
    for (let i = 0; i < 20; i++) {
      await end(await sendHalf(`${i}`), COMMIT);
      await pass(5000, 500);
    }
    await sendHalf("last");
    await restartAfter((files) => files.crash(new SeededRandom(3)));
    const delivered = await broker.bodies("T");
    const asked = producer();
    await pass(60_000, 10_000);
    const open = new Set(questionsTo(asked).map(({ record }) => bodyOf(record)));
    for (let i = 0; i < broker.store.maxOffset(HALF, 0); i++) {
      if (i >= 20) break;
      assert.ok(delivered.includes(`${i}`) || open.has(`${i}`), `${i} is neither delivered nor asked about`);
    }
  });
});

test("the group's offsets follow what is settled, once it is flushed", async () => {
  const first = await sendHalf("0");
  for (let i = 1; i < 5; i++) await end(await sendHalf(`${i}`), COMMIT);
  await pass(10_000);
  assert.deepEqual(offsets(), { half: -1, op: -1 });
  await end(first, COMMIT);
  await broker.store.flush();
  await pass(10_000);
  assert.deepEqual(offsets(), { half: 5, op: 5 });
});

test("under SYNC_FLUSH a commit is settled when it is on the disk", async () => {
  await broker.close();
  await start({ pairs: ["flushDiskType=SYNC_FLUSH"] });
  broker.createTopic("T");
  const sent = await sendHalf("a");
  broker.files.fail({ operation: "sync", code: "EIO", path: /commitlog/ });
  assert.equal((await end(sent, COMMIT)).code, 14);
  assert.equal(broker.transactions.transactions.firstOpen, 0);
});

test("thousands of halves without producers are read once", async () => {
  await broker.close();
  await start({ clock: new ManualClock() });
  broker.createTopic("T");
  for (let i = 0; i < 2000; i++) await sendHalf(`${i}`);
  await pass(30_000);
  for (let turn = 0; turn < 200; turn++) await setImmediate();
  let reads = 0;
  const getMessages = broker.store.getMessages.bind(broker.store);
  broker.store.getMessages = (...given) => (reads++, getMessages(...given));
  await pass(120_000, 10_000);
  assert.equal(reads, 0);
});
