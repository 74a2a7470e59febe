// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Statistics } from "../../src/broker/statistics.ts";
import { ManualClock } from "../harness/manual_clock.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

function started(clock = new ManualClock()) {
  const statistics = new Statistics({ clock, isSystemTopic: (topic) => topic.startsWith("SYS") });
  statistics.start();
  return { clock, statistics };
}

test("an item's minute is what was counted within the last minute", () => {
  const { clock, statistics } = started();
  statistics.onStored("T", 30, 3000);
  statistics.onStored("T", 30, 3000);
  clock.advance(10 * SECOND);
  assert.deepEqual(statistics.view("TOPIC_PUT_NUMS", "T")!.minute, { sum: 60, tps: 6, avgpt: 30 });
  assert.deepEqual(statistics.view("TOPIC_PUT_SIZE", "T")!.minute, { sum: 6000, tps: 600, avgpt: 3000 });
  assert.equal(statistics.topicPutTps("T"), 6);

  clock.advance(50 * SECOND);
  assert.deepEqual(statistics.view("TOPIC_PUT_NUMS", "T")!.minute, { sum: 60, tps: 1, avgpt: 30 });
  clock.advance(10 * SECOND);
  assert.deepEqual(statistics.view("TOPIC_PUT_NUMS", "T")!.minute, { sum: 0, tps: 0, avgpt: 0 });
});

test("hour and day fill by samples of ten minutes and of an hour", () => {
  const { clock, statistics } = started();
  statistics.onStored("T", 3600, 1);
  clock.advance(10 * MINUTE - 1);
  assert.equal(statistics.view("TOPIC_PUT_NUMS", "T")!.hour.sum, 0);
  clock.advance(1);
  assert.deepEqual(statistics.view("TOPIC_PUT_NUMS", "T")!.hour, { sum: 3600, tps: 6, avgpt: 3600 });
  clock.advance(50 * MINUTE);
  assert.deepEqual(statistics.view("TOPIC_PUT_NUMS", "T")!.hour, { sum: 3600, tps: 1, avgpt: 3600 });
  assert.equal(statistics.view("TOPIC_PUT_NUMS", "T")!.day.sum, 3600);
  clock.advance(23 * HOUR);
  assert.equal(statistics.view("TOPIC_PUT_NUMS", "T")!.day.sum, 3600);
  clock.advance(HOUR);
  assert.equal(statistics.view("TOPIC_PUT_NUMS", "T")!.day.sum, 0);
});

test("a group's reads, give-backs and dead letters are items of topic@group", () => {
  const { clock, statistics } = started();
  assert.equal(statistics.view("GROUP_GET_NUMS", "T@G"), undefined);
  statistics.onDelivered("T", "G", 10, 500);
  clock.advance(10 * SECOND);
  assert.deepEqual(statistics.view("GROUP_GET_NUMS", "T@G")!.minute, { sum: 10, tps: 1, avgpt: 10 });
  assert.deepEqual(statistics.view("GROUP_GET_SIZE", "T@G")!.minute, { sum: 500, tps: 50, avgpt: 500 });
  assert.equal(statistics.groupGetTps("T", "G"), 1);
  assert.equal(statistics.view("SNDBCK_PUT_NUMS", "T@G"), undefined);
  statistics.onSentBack("T", "G");
  statistics.onDeadLetter("T", "G");
  clock.advance(10 * SECOND);
  assert.equal(statistics.view("SNDBCK_PUT_NUMS", "T@G")!.minute.sum, 1);
  assert.equal(statistics.view("DLQ_PUT_NUMS", "T@G")!.minute.sum, 1);
});

test("the broker's items leave the average out, and those of users leave system topics out", () => {
  const { clock, statistics } = started();
  statistics.onStored("T", 7, 70);
  statistics.onStored("SYS", 3, 30);
  statistics.onDelivered("SYS", "G", 2, 20);
  clock.advance(10 * SECOND);
  assert.deepEqual(statistics.view("BROKER_PUT_NUMS", "C")!.minute, { sum: 10, tps: 1, avgpt: 0 });
  assert.equal(statistics.view("BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC", "C")!.minute.sum, 7);
  assert.equal(statistics.view("BROKER_GET_NUMS", "C")!.minute.sum, 2);
  assert.equal(statistics.view("BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC", "C")!.minute.sum, 0);
});

test("names that are no items are not found, those of Object's members neither", () => {
  const { statistics } = started();
  for (const name of ["", "X", "constructor", "__proto__"]) {
    assert.equal(statistics.view(name, "T"), undefined);
  }
  for (const key of ["", "@", "T", "constructor"]) {
    assert.equal(statistics.view("GROUP_GET_NUMS", key), undefined);
    assert.equal(statistics.view("TOPIC_PUT_NUMS", key), undefined);
  }
});

test("a removed topic or group has no items", () => {
  const { statistics } = started();
  statistics.onStored("T", 1, 1);
  statistics.onDelivered("T", "G", 1, 1);
  statistics.removeGroup("G");
  assert.equal(statistics.view("GROUP_GET_NUMS", "T@G"), undefined);
  assert.notEqual(statistics.view("TOPIC_PUT_NUMS", "T"), undefined);
  statistics.removeTopic("T");
  assert.equal(statistics.view("TOPIC_PUT_NUMS", "T"), undefined);
});

test("totals of the mornings move at local midnight", () => {
  const noon = new Date(2026, 2, 3, 12).getTime();
  const { clock, statistics } = started(new ManualClock(noon));
  statistics.onStored("T", 5, 1);
  statistics.onDelivered("T", "G", 4, 1);
  assert.deepEqual(statistics.totals(), {
    yesterdayMorning: { put: 0, got: 0 },
    todayMorning: { put: 0, got: 0 },
    now: { put: 5, got: 4 },
  });
  clock.advance(12 * HOUR);
  statistics.onStored("T", 2, 1);
  assert.deepEqual(statistics.totals().todayMorning, { put: 5, got: 4 });
  clock.advance(24 * HOUR);
  const totals = statistics.totals();
  assert.deepEqual(totals.yesterdayMorning, { put: 5, got: 4 });
  assert.deepEqual(totals.todayMorning, { put: 7, got: 4 });
  assert.equal(totals.now.put, 7);
});

test("stop() leaves no timer", () => {
  const { clock, statistics } = started();
  statistics.start();
  assert.equal(clock.timerCount, 3);
  statistics.stop();
  assert.equal(clock.timerCount, 0);
});
