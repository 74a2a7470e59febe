// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { ConsumerOffsets } from "../../../src/broker/consumer_offsets.ts";
import { DelayDelivery } from "../../../src/broker/delay_delivery.ts";
import { Groups } from "../../../src/broker/groups.ts";
import { JsonFile } from "../../../src/broker/json_file.ts";
import { copySteps, MetadataCopy } from "../../../src/broker/slave/metadata_copy.ts";
import { RequestModes } from "../../../src/broker/request_modes.ts";
import { CopiedTimers } from "../../../src/broker/timers/copied_timers.ts";
import { Topics } from "../../../src/broker/topics.ts";
import { MasterApi } from "../../../src/client/master_api.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { decodeTimerCheckpoint, encodeTimerCheckpoint } from "../../../src/store/timer/timer_checkpoint.ts";
import type { OutgoingRequest } from "../../../src/remoting/command.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { MemoryConnection } from "../../harness/memory_connection.ts";
import { MemoryFiles } from "../../harness/memory_files.ts";

/** What a master of 5.4.0 answers; keys that are numbers come without quotes. */
const ANSWERS: Record<number, string> = {
  [RequestCode.GET_ALL_TOPIC_CONFIG]:
    `{"dataVersion":{"counter":7,"stateVersion":0,"timestamp":1700000000007},"topicConfigTable":{"T":{"attributes":{},"order":true,"perm":6,"readQueueNums":3,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":3}}}`,
  [RequestCode.GET_ALL_CONSUMER_OFFSET]:
    `{"dataVersion":{"counter":3,"stateVersion":0,"timestamp":1700000000003},"groupTopicMap":{},"offsetTable":{"T@g":{0:12,1:7}}}`,
  [RequestCode.GET_ALL_DELAY_OFFSET]: `{"dataVersion":{"counter":9},"offsetTable":{1:5,2:9}}`,
  [RequestCode.GET_ALL_MESSAGE_REQUEST_MODE]:
    `{"messageRequestModeMap":{"T":{"g":{"consumerGroup":"g","mode":"POP","popShareQueueNum":2,"topic":"T"}}}}`,
  [RequestCode.GET_BROKER_RUNTIME_INFO]: `{"table":{"commitLogMinOffset":"0","commitLogMaxOffset":"500"}}`,
  [RequestCode.GET_TIMER_METRICS]:
    `{"dataVersion":{"counter":2},"timingCount":{"T":{"count":3,"timeStamp":5}}}`,
  [RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG]:
    `{"dataVersion":{"counter":4},"forbiddenTable":{"g":{"T":4}},"subscriptionGroupTable":{"g":{"groupName":"g","retryMaxTimes":3}}}`,
};

const CHECKPOINT = encodeTimerCheckpoint({
  ...{ readTimeMs: 1_700_000_001_000, logFlushPosition: 520, queueOffset: 10, masterQueueOffset: 10 },
  dataVersion: { stateVersion: 0, timestampMs: 5, counter: 6 },
});

function newSlave(answers: Record<number, string>) {
  const clock = new ManualClock();
  const files = new MemoryFiles({ nowMs: () => clock.nowMs() });
  const log = { writtenOffset: 500, flush: () => Promise.resolve() };
  files.makeDirectory("/config");
  const common = { files, clock, directory: "/config" };
  const settings = () => ({ autoCreateTopic: true, autoCreateGroup: true, createSystemGroups: true });
  const open = () => ({
    topics: Topics.open({
      ...common,
      settings,
      ...{ clusterName: "C", brokerName: "b", autoCreateTopic: true, autoCreatedTopicQueueCount: 8 },
      ...{
        clusterTopic: true,
        brokerTopic: true,
        traceTopic: false,
        traceTopicName: "trace",
        reviveQueueCount: 8,
      },
    }),
    groups: Groups.open({ ...common, settings }),
    offsets: ConsumerOffsets.open({ ...common, flushIntervalMs: 5000, isCopy: true }),
    delay: new DelayDelivery({
      clock,
      store: noStore,
      file: new JsonFile(files, clock, "/config/delayOffset.json"),
      delayLevelsMs: [1000, 5000],
      delayOffsetFlushIntervalMs: 10_000,
      whenStored: () => {},
    }),
    modes: new RequestModes(new JsonFile(files, clock, "/config/messageRequestMode.json")),
    timers: new CopiedTimers(files, "/", new JsonFile(files, clock, "/config/timermetrics")),
    log,
  });
  const tables = open();
  const asked: OutgoingRequest[] = [];
  const connection = new MemoryConnection({
    onRequest(request) {
      asked.push(request);
      const text = answers[request.code];
      if (request.code === RequestCode.GET_TIMER_CHECK_POINT) return { code: 0, body: CHECKPOINT };
      if (text === undefined) return { code: request.code === RequestCode.UPDATE_CONSUMER_OFFSET ? 0 : 1 };
      return { code: 0, body: new TextEncoder().encode(text) };
    },
  });
  const copy = new MetadataCopy({
    clock,
    master: () => new MasterApi(connection),
    steps: copySteps(tables),
  });
  return { ...tables, log, open, copy, asked, answers, clock };
}

/** Long enough queues for the progress that the master tells. */
const noStore = {
  writtenOffset: 0,
  flushedOffset: 0,
  flush: () => Promise.resolve(),
  minOffset: () => 0,
  maxOffset: () => 100,
  queueEntry: () => undefined,
  readMessage: () => undefined,
  append: () => {
    throw new Error("a slave appends nothing");
  },
};

test("copy() takes topics, positions, progress of delays and groups as a master of 5.4.0 answers them", async () => {
  const { topics, groups, offsets, delay, copy, open } = newSlave({ ...ANSWERS });
  await copy.copy();
  assert.deepEqual([topics.get("T")!.readQueueNums, topics.get("T")!.order], [3, true]);
  assert.equal(topics.dataVersion.counter, 7);
  assert.ok(topics.has("TBW102"), "system topics stay");
  assert.deepEqual([0, 1].map((queueId) => offsets.query("g", "T", queueId)), [12, 7]);
  assert.deepEqual(delay.progress().map(({ offset }) => offset), [5, 9]);
  assert.equal(groups.get("g")!.retryMaxTimes, 3);
  assert.ok(groups.isReadForbidden("g", "T"));
  assert.ok(groups.has("TOOLS_CONSUMER"), "built-in groups stay");
  await offsets.close();
  const again = open();
  assert.equal(again.modes.get("T", "g")!.popShareQueueNum, 2);
  // the wheel is made anew of the messages, less those that the master has delivered
  const { readTimeMs, logFlushPosition, queueOffset, masterQueueOffset } = decodeTimerCheckpoint(
    again.timers.checkpoint()!,
  );
  assert.deepEqual(
    [readTimeMs, logFlushPosition, queueOffset, masterQueueOffset],
    [1_700_000_001_000, 0, 0, 10],
  );
  assert.equal(again.topics.get("T")!.readQueueNums, 3);
  assert.equal(again.groups.get("g")!.retryMaxTimes, 3);
  assert.equal(again.offsets.query("g", "T", 0), 12);
  assert.deepEqual(again.delay.progress().map(({ offset }) => offset), [5, 9]);
});

test("copy() tells of timed messages that were delivered only when the log here holds them", async () => {
  const { timers, log, copy } = newSlave({ ...ANSWERS });
  log.writtenOffset = 499;
  await copy.copy();
  assert.equal(timers.checkpoint(), undefined);
  log.writtenOffset = 500;
  await copy.copy();
  assert.equal(decodeTimerCheckpoint(timers.checkpoint()!).masterQueueOffset, 10);
});

test("copy() follows what the master deletes, and forgets the positions with a topic", async () => {
  const { topics, offsets, copy, answers } = newSlave({
    ...ANSWERS,
    [RequestCode.GET_ALL_TOPIC_CONFIG]:
      `{"dataVersion":{"counter":1},"topicConfigTable":{"T":{"topicName":"T"},"U":{"topicName":"U"}}}`,
    [RequestCode.GET_ALL_CONSUMER_OFFSET]: `{"offsetTable":{"T@g":{0:1},"U@g":{0:1}}}`,
  });
  await copy.copy();
  assert.ok(topics.has("U"));
  assert.equal(offsets.query("g", "U", 0), 1);
  answers[RequestCode.GET_ALL_TOPIC_CONFIG] =
    `{"dataVersion":{"counter":2},"topicConfigTable":{"T":{"topicName":"T"}}}`;
  answers[RequestCode.GET_ALL_CONSUMER_OFFSET] = `{"offsetTable":{"T@g":{0:1}}}`;
  await copy.copy();
  assert.ok(!topics.has("U"));
  assert.equal(offsets.query("g", "U", 0), -1);
});

test("a position may go back where the master's has", async () => {
  const { offsets, copy, answers } = newSlave({ ...ANSWERS });
  await copy.copy();
  answers[RequestCode.GET_ALL_CONSUMER_OFFSET] = `{"dataVersion":{"counter":4},"offsetTable":{"T@g":{0:2}}}`;
  await copy.copy();
  assert.equal(offsets.query("g", "T", 0), 2);
});

test("a position committed at the slave that is further goes to the master and is not set back", async () => {
  const { offsets, copy, asked, answers } = newSlave({ ...ANSWERS });
  await copy.copy();
  offsets.commit("g", "T", 0, 40);
  offsets.commit("g", "T", 1, 3);
  await copy.copy();
  assert.deepEqual([0, 1].map((queueId) => offsets.query("g", "T", queueId)), [40, 7]);
  const told = asked.filter(({ code }) => code === RequestCode.UPDATE_CONSUMER_OFFSET);
  assert.deepEqual(told.map(({ fields }) => fields), [{
    consumerGroup: "g",
    topic: "T",
    queueId: "0",
    commitOffset: "40",
  }]);
  answers[RequestCode.GET_ALL_CONSUMER_OFFSET] = `{"dataVersion":{"counter":5},"offsetTable":{"T@g":{0:30}}}`;
  await copy.copy();
  assert.equal(offsets.query("g", "T", 0), 30, "the master has had it, and another one since");
});

test("an empty master takes nothing away", async () => {
  const { topics, groups, offsets, copy, answers } = newSlave({ ...ANSWERS });
  await copy.copy();
  assert.ok(copy.hasCopied);
  answers[RequestCode.GET_ALL_TOPIC_CONFIG] =
    `{"dataVersion":{"counter":1},"topicConfigTable":{"TBW102":{"topicName":"TBW102"}}}`;
  answers[RequestCode.GET_ALL_CONSUMER_OFFSET] = `{"dataVersion":{"counter":1},"offsetTable":{}}`;
  answers[RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG] =
    `{"dataVersion":{"counter":1},"subscriptionGroupTable":{"TOOLS_CONSUMER":{"groupName":"TOOLS_CONSUMER"}}}`;
  await copy.copy();
  assert.ok(topics.has("T"));
  assert.ok(groups.has("g"));
  assert.equal(offsets.query("g", "T", 0), 12);
});

test("a step that fails leaves the others alone", async () => {
  const answers = { ...ANSWERS };
  delete answers[RequestCode.GET_ALL_CONSUMER_OFFSET];
  answers[RequestCode.GET_ALL_DELAY_OFFSET] = "no JSON";
  const { topics, groups, copy } = newSlave(answers);
  await copy.copy();
  assert.ok(topics.has("T"));
  assert.ok(groups.has("g"));
  assert.ok(!copy.hasCopied);
});

test("start() copies at once and every ten seconds, until stop()", async () => {
  const { copy, asked, clock } = newSlave({ ...ANSWERS });
  const topicsAsked = () => asked.filter(({ code }) => code === RequestCode.GET_ALL_TOPIC_CONFIG).length;
  copy.start();
  await copy.copy();
  assert.equal(topicsAsked(), 1);
  clock.advance(10_000);
  await copy.copy();
  assert.equal(topicsAsked(), 2);
  await copy.stop();
  clock.advance(60_000);
  assert.equal(topicsAsked(), 2);
});

test("progress that tells of messages is believed when they are here; consumers' positions at once", async () => {
  const { log, offsets, delay, copy, answers } = newSlave({ ...ANSWERS });
  await copy.copy();
  answers[RequestCode.GET_ALL_CONSUMER_OFFSET] =
    `{"dataVersion":{"counter":4},"offsetTable":{"T@g":{0:13},"H@CID_RMQ_SYS_TRANS":{0:8}}}`;
  answers[RequestCode.GET_ALL_DELAY_OFFSET] = `{"dataVersion":{"counter":10},"offsetTable":{1:6,2:9}}`;
  log.writtenOffset = 499;
  await copy.copy();
  assert.equal(offsets.query("g", "T", 0), 13);
  assert.equal(offsets.query("CID_RMQ_SYS_TRANS", "H", 0), -1);
  assert.deepEqual(delay.progress().map(({ offset }) => offset), [5, 9]);
  log.writtenOffset = 500;
  await copy.copy();
  assert.equal(offsets.query("CID_RMQ_SYS_TRANS", "H", 0), 8);
  assert.deepEqual(delay.progress().map(({ offset }) => offset), [6, 9]);
});
