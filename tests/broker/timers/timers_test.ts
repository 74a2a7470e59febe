// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { decodeRecallHandle, encodeRecallHandle } from "../../../src/broker/timers/recall_handle.ts";
import { parseJsonObject } from "../../../src/protocol/java_json.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { decodeTimerCheckpoint } from "../../../src/store/timer/timer_checkpoint.ts";
import { asBuffer } from "../../../src/protocol/record.ts";
import { bodyOf, BrokerParts, type BrokerPartsOptions, propertiesOf } from "../../harness/broker_parts.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { bodyBytes } from "../../harness/memory_connection.ts";
import type { MemoryFiles } from "../../harness/memory_files.ts";
import { SeededRandom } from "../../harness/seeded_random.ts";
import { turns } from "../../harness/until.ts";

const TIMER = "rmq_sys_wheel_timer";
/** A whole second. */
const START_MS = 1_700_000_000_000;

let broker: BrokerParts;

async function start(options: BrokerPartsOptions = {}): Promise<void> {
  broker = await BrokerParts.open(options);
  broker.timers.start();
}

beforeEach(async () => {
  await start({ clock: new ManualClock(START_MS), pairs: ["recallMessageEnable=true"] });
  broker.createTopic("T", 2);
});
afterEach(() => broker.close());

async function send(properties: Record<string, string | number>, body = "a", header = {}) {
  const given = Object.entries(properties).map(([name, value]) => [name, String(value)]);
  return await broker.send({ topic: "T", body, properties: Object.fromEntries(given), header });
}

/** Due at so many milliseconds after the start. */
async function sendAt(ms: number, body: string, more: Record<string, string> = {}): Promise<void> {
  const sent = await send({ TIMER_DELIVER_MS: START_MS + ms, ...more }, body);
  assert.equal(sent.code, 0, sent.remark);
}

/** Lets time pass, with the event loop in between as it would be. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 100) {
    broker.clock.advance(Math.min(100, left));
    for (let turn = 0; turn < 12; turn++) await setImmediate();
  }
}

/** Ends the process without a word; what comes back is what the next one finds. */
async function restartAfter(end: (files: MemoryFiles) => MemoryFiles, pairs: string[] = []): Promise<void> {
  const { files, clock } = broker;
  await start({ files: end(files), clock: new ManualClock(clock.nowMs()), pairs });
}

function checkpointInFile() {
  return decodeTimerCheckpoint(asBuffer(broker.files.read("/store/config/timercheck")));
}

describe("a timed message", () => {
  test("comes at the first whole second that is not before its time", async () => {
    await sendAt(2500, "a");
    await sendAt(2000, "b");
    await pass(1900);
    assert.deepEqual(await broker.bodies("T"), []);
    await pass(100);
    assert.deepEqual(await broker.bodies("T"), ["b"]);
    await pass(900);
    assert.deepEqual(await broker.bodies("T"), ["b"]);
    await pass(100);
    assert.deepEqual(await broker.bodies("T"), ["b", "a"]);
    await pass(10_000);
    assert.deepEqual(await broker.bodies("T"), ["b", "a"], "once");
  });

  test("may say its delay in seconds or milliseconds, of which the seconds count first", async () => {
    await send({ TIMER_DELAY_MS: 1500 }, "ms");
    await send({ TIMER_DELAY_SEC: 3, TIMER_DELAY_MS: 1, TIMER_DELIVER_MS: 1 }, "s");
    await pass(1900);
    assert.deepEqual(await broker.bodies("T"), []);
    await pass(1000);
    assert.deepEqual(await broker.bodies("T"), ["ms"]);
    await pass(1000);
    assert.deepEqual(await broker.bodies("T"), ["ms", "s"]);
  });

  test("comes to the queue that it was sent to, as it was sent, and says when it waited", async () => {
    const sent = await send(
      { TIMER_DELIVER_MS: START_MS + 1500, TAGS: "x", KEYS: "k", colour: "red", UNIQ_KEY: "K" },
      "a",
      { queueId: "1", flag: "3", sysFlag: "1", bornTimestamp: "5" },
    );
    assert.equal(sent.fields?.queueId, "1");
    await turns(30);
    const waiting = await broker.last(TIMER);
    assert.equal(propertiesOf(waiting).TIMER_OUT_MS, String(START_MS + 1000));
    assert.equal(propertiesOf(waiting).REAL_TOPIC, "T");
    assert.equal(propertiesOf(waiting).REAL_QID, "1");
    await pass(2000);
    const record = await broker.last("T", 1);
    assert.equal(bodyOf(record), "a");
    assert.equal(record.flag, 3);
    assert.equal(record.sysFlag, 1);
    assert.equal(record.bornTimestampMs, 5);
    assert.deepEqual(record.bornHost, waiting.bornHost);
    assert.deepEqual(propertiesOf(record), {
      ...propertiesOf(waiting),
      TIMER_ENQUEUE_MS: String(START_MS),
      TIMER_DEQUEUE_MS: String(START_MS + 2000),
    });
  });

  test("whose time is over is stored as any other", async () => {
    await sendAt(0, "now");
    await send({ TIMER_DELAY_MS: -5 }, "before");
    assert.deepEqual(await broker.bodies("T"), ["now", "before"]);
    assert.equal(broker.store.maxOffset(TIMER, 0), 0);
  });

  test("that has a delay level waits for that", async () => {
    await sendAt(60_000, "a", { DELAY: "1" });
    assert.equal(broker.store.maxOffset(TIMER, 0), 0);
    const waiting = await broker.last("SCHEDULE_TOPIC_XXXX");
    assert.equal(propertiesOf(waiting).TIMER_DELIVER_MS, undefined);
  });

  test("that has waited before does not wait again", async () => {
    await sendAt(60_000, "a", { TIMER_OUT_MS: "5" });
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("keeps its place among those of its second, however many there are", async () => {
    const bodies: string[] = [];
    for (let i = 0; i < 1500; i++) {
      await sendAt(2500, `${i}`);
      bodies.push(`${i}`);
    }
    await pass(3000);
    await turns(200);
    assert.deepEqual(await broker.bodies("T"), bodies);
  });
});

describe("what can't be", () => {
  for (
    const [name, properties] of [
      ["a time that is no number", { TIMER_DELIVER_MS: "soon" }],
      ["a delay that is no number", { TIMER_DELAY_SEC: "1.5" }],
      ["more than timerMaxDelaySec", { TIMER_DELAY_SEC: 259_201 }],
      ["taking back at a time that is over", { TIMER_DELAY_MS: -1, TIMER_DEL_UNIQKEY: "K" }],
    ] as [string, Record<string, string | number>][]
  ) {
    test(`${name} is MESSAGE_ILLEGAL`, async () => {
      const { code, remark } = await send(properties);
      assert.equal(code, 13);
      assert.match(
        remark!,
        /^timer message illegal, the delay time should not be bigger than the max delay 259200000ms/,
      );
    });
  }

  test("a slot with twice as many messages as allowed refuses more", async () => {
    broker.settings = { ...broker.settings, timerSlotMaxMessages: 2 };
    for (let i = 0; i < 2; i++) await sendAt(5000, "a");
    await pass(100);
    await sendAt(5000, "a");
    broker.settings = { ...broker.settings, timerSlotMaxMessages: 1 };
    await pass(100);
    const { code, remark } = await send({ TIMER_DELIVER_MS: START_MS + 5000 });
    assert.equal(code, 1);
    assert.match(remark!, /under flow control, max num limit is 2 or/);
    await sendAt(9000, "another second");
  });

  test("a broker without timers says so", async () => {
    broker.settings = { ...broker.settings, timersEnabled: false };
    const { code, remark } = await send({ TIMER_DELAY_SEC: 1 });
    assert.equal(code, 1);
    assert.equal(remark, "accurate timer message is not enabled, timerWheelEnable is false");
  });
});

describe("a message far away", () => {
  test("goes round until it is near enough, and comes in time", async () => {
    await broker.close();
    await start({
      clock: new ManualClock(START_MS),
      pairs: ["timerRollWindowSlot=6", "timerPrecisionMs=100"],
    });
    broker.createTopic("T");
    await sendAt(2350, "far");
    await pass(2300);
    assert.deepEqual(await broker.bodies("T"), []);
    await pass(100);
    const record = await broker.last("T");
    assert.equal(bodyOf(record), "far");
    assert.equal(propertiesOf(record).TIMER_ROLL_TIMES, "3");
    assert.equal(propertiesOf(record).TIMER_OUT_MS, String(START_MS + 2300));
    assert.equal(broker.timers.metrics()!.countOf("T"), 0);
  });
});

describe("taking back", () => {
  const recall = (recallHandle: string, topic = "T") =>
    broker.connection.ask(broker.dispatch, {
      code: RequestCode.RECALL_MESSAGE,
      fields: { producerGroup: "pg", topic, recallHandle },
    });

  async function handleOf(ms: number, body: string): Promise<string> {
    const { fields } = await send({ TIMER_DELIVER_MS: START_MS + ms }, body);
    return fields!.recallHandle;
  }

  for (const isLong of [false, true]) {
    test(`removes the message, and no other${isLong ? ", by a key with its topic" : ""}`, async () => {
      broker.settings = { ...broker.settings, recallKeyNamesTopic: isLong };
      const first = await handleOf(3000, "a");
      await handleOf(3000, "b");
      const { uniqueKey, ...handle } = decodeRecallHandle(first)!;
      assert.deepEqual(handle, { topic: "T", brokerName: "broker-a", timeMs: START_MS + 2001 });
      await pass(500);
      const answer = await recall(first);
      assert.equal(answer.code, 0, answer.remark);
      assert.equal(answer.fields?.msgId, uniqueKey);
      await pass(500);
      assert.equal(broker.timers.metrics()!.countOf("T"), 1);
      await pass(5000);
      assert.deepEqual(await broker.bodies("T"), ["b"]);
      assert.equal(broker.timers.metrics()!.countOf("T"), 0);
    });
  }

  test("what is not there changes nothing", async () => {
    await handleOf(3000, "b");
    const handle = { topic: "T", brokerName: "broker-a", timeMs: START_MS + 2001, uniqueKey: "NONE" };
    assert.equal((await recall(encodeRecallHandle(handle))).code, 0);
    await pass(5000);
    assert.deepEqual(await broker.bodies("T"), ["b"]);
    assert.equal(broker.timers.metrics()!.countOf("T"), 0);
  });

  test("a message far away takes back one that goes round, too", async () => {
    await broker.close();
    const pairs = ["timerRollWindowSlot=6", "timerPrecisionMs=100", "recallMessageEnable=true"];
    await start({ clock: new ManualClock(START_MS), pairs });
    broker.createTopic("T");
    const handle = await handleOf(2350, "far");
    await handleOf(2350, "other");
    assert.equal((await recall(handle)).code, 0);
    await pass(3000);
    assert.deepEqual(await broker.bodies("T"), ["other"]);
    assert.equal(broker.timers.metrics()!.countOf("T"), 0);
  });

  test("is refused with the codes and words of Apache", async () => {
    const handle = await handleOf(3000, "a");
    const given = { topic: "T", brokerName: "broker-a", timeMs: START_MS + 2001, uniqueKey: "K" };
    const answers = async (...args: Parameters<typeof recall>) => {
      const { code, remark } = await recall(...args);
      return `${code} ${remark}`;
    };
    assert.equal(await answers(handle, "Unknown"), "17 recall failed, the topic[Unknown] not exist");
    assert.equal(await answers("***"), "604 recall handle is invalid");
    assert.equal(await answers("djI="), "604 recall handle is invalid");
    const other = (change: object) => encodeRecallHandle({ ...given, ...change });
    assert.equal(await answers(other({ topic: "U" })), "604 recall failed, topic not match");
    assert.equal(
      await answers(other({ brokerName: "b" })),
      "604 recall failed, broker service not available",
    );
    assert.equal(await answers(other({ timeMs: START_MS })), "604 recall failed, timestamp invalid");
    assert.equal(await answers(other({ timeMs: START_MS + 3e8 })), "604 recall failed, timestamp invalid");
    broker.settings = { ...broker.settings, brokerPermission: 4, recallWhenNotWritable: false };
    assert.equal(await answers(handle), "14 recall failed, broker service not available");
    broker.settings = { ...broker.settings, recallWhenNotWritable: true };
    assert.equal(await answers(handle), "0 undefined");
    broker.settings = { ...broker.settings, recallEnabled: false };
    assert.equal(await answers(handle), "16 recall failed, operation is forbidden");
  });
});

describe("after a restart", () => {
  const ends: [string, (files: MemoryFiles) => MemoryFiles][] = [
    ["a kill", (files) => files.kill()],
    ["a power cut", (files) => files.crash(new SeededRandom(1))],
  ];

  test("what waits comes at its time, and what was due meanwhile at once, in its order", async () => {
    await sendAt(9000, "late");
    await sendAt(3000, "second");
    await sendAt(2000, "first");
    await sendAt(3000, "third");
    await pass(200);
    const { files } = broker;
    await broker.close();
    await start({ files, clock: new ManualClock(START_MS + 6000) });
    await turns(30);
    assert.deepEqual(await broker.bodies("T"), ["first", "second", "third"]);
    await pass(3000);
    assert.deepEqual(await broker.bodies("T"), ["first", "second", "third", "late"]);
  });

  test("that was proper nothing comes twice, and nothing is put twice", async () => {
    await sendAt(1500, "a");
    await sendAt(5000, "b");
    await pass(2000);
    const { files, clock } = broker;
    await broker.close();
    await start({ files, clock: new ManualClock(clock.nowMs()) });
    await pass(4000);
    assert.deepEqual(await broker.bodies("T"), ["a", "b"]);
    assert.equal(broker.timers.status().pendingCount, 0);
  });

  for (const [name, end] of ends) {
    test(`by ${name} nothing is lost that was flushed`, async () => {
      await sendAt(1500, "a");
      await sendAt(5000, "b");
      await pass(2600);
      await sendAt(6000, "c");
      await pass(1100);
      await restartAfter(end);
      await pass(4000);
      assert.deepEqual(await broker.bodies("T"), ["a", "b", "c"]);
    });
  }

  test("by a kill between put and flush the wheel learns of it from the timer log", async () => {
    await sendAt(5000, "a");
    await sendAt(5000, "b");
    await pass(200);
    assert.equal(broker.files.stat("/store/timerwheel"), undefined);
    await restartAfter((files) => files.kill());
    await turns(30);
    assert.equal(broker.timers.status().pendingCount, 2);
    await pass(6000);
    assert.deepEqual(await broker.bodies("T"), ["a", "b"]);
  });

  const damages: [string, (files: MemoryFiles) => void][] = [
    ["without wheel", (files) => files.remove("/store/timerwheel")],
    ["without timer log", (files) => files.remove("/store/timerlog/00000000000000000000")],
    ["with a wheel of another size", (files) => files.open("/store/timerwheel").truncate(64)],
    ["with a timer log that ends too early", (files) => {
      files.damage("/store/timerlog/00000000000000000000", 52, new Uint8Array(52));
    }],
  ];
  for (const [name, damage] of damages) {
    test(`${name} what waits comes all the same, and what was delivered does not come again`, async () => {
      await sendAt(1500, "a");
      for (const body of ["b", "c", "d"]) await sendAt(6000, body);
      await pass(3500);
      assert.equal(broker.files.stat("/store/timerwheel")?.sizeBytes, 320_000);
      const { files, clock } = broker;
      await broker.close();
      damage(files);
      await start({ files, clock: new ManualClock(clock.nowMs()) });
      await pass(4000);
      assert.deepEqual(await broker.bodies("T"), ["a", "b", "c", "d"]);
      assert.equal(broker.timers.metrics()!.countOf("T"), 0);
    });
  }

  test("a unit whose message is another one now does not bring that one too early", async () => {
    await sendAt(3500, "soon");
    await sendAt(9500, "late");
    await pass(1500);
    const { files, clock } = broker;
    await broker.close();
    // both units point to the second message
    const log = files.open("/store/timerlog/00000000000000000000");
    const place = new Uint8Array(12);
    log.readAt(place, 52 + 28);
    log.close();
    files.damage("/store/timerlog/00000000000000000000", 28, place);
    await start({ files, clock: new ManualClock(clock.nowMs()) });
    await pass(4000);
    assert.deepEqual(await broker.bodies("T"), ["soon"]);
    await pass(6000);
    assert.deepEqual(await broker.bodies("T"), ["soon", "late"]);
  });

  for (const [from, to] of [[1000, 100], [100, 1000]]) {
    test(`with a precision of ${to} after ${from} ms nothing is lost`, async () => {
      await broker.close();
      await start({ clock: new ManualClock(START_MS), pairs: [`timerPrecisionMs=${from}`] });
      broker.createTopic("T");
      await sendAt(1500, "a");
      await sendAt(6200, "b");
      await sendAt(7700, "c");
      await pass(3500);
      const { files, clock } = broker;
      await broker.close();
      await start({ files, clock: new ManualClock(clock.nowMs()), pairs: [`timerPrecisionMs=${to}`] });
      await pass(2700);
      const early = to === 100 ? ["a", "b"] : ["a"];
      assert.deepEqual(await broker.bodies("T"), early);
      await pass(3000);
      assert.deepEqual(await broker.bodies("T"), ["a", "b", "c"]);
    });
  }

  test("with the clock set back messages come at their time, though some of them again", async () => {
    await sendAt(1500, "a");
    await sendAt(8000, "b");
    await pass(3000);
    const { files } = broker;
    await broker.close();
    await start({ files, clock: new ManualClock(START_MS + 500) });
    await sendAt(2500, "new");
    await pass(1500);
    assert.deepEqual(await broker.bodies("T"), ["a", "a"]);
    await pass(1000);
    assert.deepEqual(await broker.bodies("T"), ["a", "a", "new"]);
    await pass(6000);
    assert.deepEqual(await broker.bodies("T"), ["a", "a", "new", "b"]);
  });

  test("the messages that wait are counted again, whatever was written of them", async () => {
    await sendAt(1500, "a");
    await sendAt(60_000, "b");
    await sendAt(61_000, "c");
    await broker.send({ topic: "Other", body: "x", properties: { TIMER_DELAY_SEC: "600" } });
    await pass(5000);
    await sendAt(62_000, "d");
    await pass(1100);
    await restartAfter((files) => files.kill());
    assert.equal(broker.timers.metrics()!.countOf("T"), 3);
    assert.equal(broker.timers.metrics()!.countOf("Other"), 1);
    const { files, clock } = broker;
    await broker.close();
    const wrong = files.open("/store/config/timermetrics");
    const text = new TextDecoder().decode(files.read("/store/config/timermetrics"));
    wrong.writeAt(new TextEncoder().encode(text.replace('"count":3', '"count":7')), 0);
    wrong.close();
    await start({ files, clock: new ManualClock(clock.nowMs()) });
    assert.equal(broker.timers.metrics()!.countOf("T"), 3);
  });

  test("with counts that can't be read it counts from 0", async () => {
    const { files } = broker;
    await sendAt(1500, "a");
    await pass(3000);
    await broker.close();
    for (const name of ["timermetrics", "timermetrics.bak"]) {
      files.remove(`/store/config/${name}`);
      const file = files.create(`/store/config/${name}`, 0);
      file.writeAt(new TextEncoder().encode("{"), 0);
      file.close();
    }
    await start({ files, clock: new ManualClock(START_MS + 4000) });
    assert.equal(broker.timers.metrics()!.countOf("T"), 0);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });
});

test("a message that names a queue which can't be is left out, and does no harm", async () => {
  const properties = { REAL_TOPIC: "T", REAL_QID: "9999999999", TIMER_OUT_MS: "1" };
  broker.createTopic("rmq_sys_wheel_timer");
  assert.equal((await broker.send({ topic: "rmq_sys_wheel_timer", properties })).code, 0);
  await sendAt(1500, "a");
  await pass(3000);
  assert.deepEqual(await broker.bodies("T"), ["a"]);
});

describe("a disk that fails", () => {
  test("holds up messages, and loses none", async () => {
    await sendAt(1500, "a");
    await pass(500);
    const full = broker.files.fail({
      operation: "write",
      code: "ENOSPC",
      path: /commitlog/,
      times: Infinity,
    });
    await pass(3000);
    assert.deepEqual(await broker.bodies("T"), []);
    full.remove();
    await pass(3000);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("keeps a message that is due when it is first seen until it can be stored", async () => {
    broker.settings = { ...broker.settings, timerIntakeStopped: true };
    await sendAt(1500, "a");
    await pass(2500);
    broker.files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/, times: Infinity });
    broker.settings = { ...broker.settings, timerIntakeStopped: false };
    await pass(3000);
    await restartAfter((files) => files.kill());
    await pass(1000);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
  });

  test("that can't keep the timer log is asked again", async () => {
    const full = broker.files.fail({ operation: "write", code: "ENOSPC", path: /timerlog/, times: Infinity });
    await sendAt(1500, "a");
    await sendAt(9000, "b");
    await pass(1000);
    assert.equal(broker.files.stat("/store/config/timercheck"), undefined);
    full.remove();
    await pass(3000);
    assert.deepEqual(await broker.bodies("T"), ["a"]);
    assert.equal(checkpointInFile().queueOffset, 2);
    await restartAfter((files) => files.kill());
    await pass(8000);
    assert.deepEqual(await broker.bodies("T"), ["a", "b"]);
  });
});

describe("tools and slaves", () => {
  test("are told the checkpoint, and how many messages wait", async () => {
    await sendAt(1500, "a");
    await sendAt(60_000, "b");
    await pass(5100);
    const ask = (code: number) => broker.connection.ask(broker.dispatch, { code });
    const answer = await ask(RequestCode.GET_TIMER_CHECK_POINT);
    const { queueOffset, masterQueueOffset, readTimeMs } = decodeTimerCheckpoint(asBuffer(bodyBytes(answer)));
    assert.deepEqual([queueOffset, masterQueueOffset, readTimeMs], [2, 2, START_MS + 5000]);
    const metrics = parseJsonObject(bodyBytes(await ask(RequestCode.GET_TIMER_METRICS)));
    assert.deepEqual(metrics.timingCount, { T: { count: 1, timeStamp: START_MS + 2000 } });
    const { pendingCount, offsetBehind, readBehindMs } = broker.timers.status();
    assert.deepEqual([pendingCount, offsetBehind, readBehindMs], [1, 0, 100]);
    assert.ok(broker.files.stat("/store/config/timermetrics") !== undefined);
  });

  test("timerStopDequeue holds up what is due, timerStopEnqueue what comes", async () => {
    await sendAt(1500, "a");
    await pass(200);
    broker.settings = { ...broker.settings, timerDeliveryStopped: true, timerIntakeStopped: true };
    await sendAt(2500, "b");
    await pass(4000);
    assert.equal(broker.timers.status().offsetBehind, 1);
    assert.deepEqual(await broker.bodies("T"), []);
    broker.settings = { ...broker.settings, timerDeliveryStopped: false, timerIntakeStopped: false };
    await pass(500);
    assert.deepEqual((await broker.bodies("T")).sort(), ["a", "b"]);
  });
});
