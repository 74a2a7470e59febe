// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { ConsumerOffsets } from "../../src/broker/consumer_offsets.ts";
import { Groups } from "../../src/broker/groups.ts";
import { JsonFile } from "../../src/broker/json_file.ts";
import { type MasterReturnOptions, returnToService } from "../../src/broker/master_return.ts";
import { OffsetResets } from "../../src/broker/offset_resets.ts";
import { Topics } from "../../src/broker/topics.ts";
import { topicConfig } from "../../src/protocol/bodies/topic_config.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import type { Command, OutgoingRequest } from "../../src/remoting/command.ts";
import { RemotingIoError } from "../../src/remoting/remoting_error.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryConnection } from "../harness/memory_connection.ts";
import { MemoryFiles } from "../harness/memory_files.ts";

const SLAVE = "10.0.0.2:10911";

/** What a slave answers; absent: nothing at all. */
interface SlaveTells {
  log?: [minOffset: number, maxOffset: number];
  offsets?: string;
}

function master(ownEnd: number, given: Partial<MasterReturnOptions> = {}) {
  const clock = new ManualClock();
  const files = new MemoryFiles({ nowMs: () => clock.nowMs() });
  files.makeDirectory("/config");
  const common = { files, clock, directory: "/config" };
  const settings = () => ({ autoCreateTopic: false, autoCreateGroup: true, createSystemGroups: true });
  const topics = Topics.open({
    ...{ ...common, settings, clusterName: "C", brokerName: "b", autoCreateTopic: false },
    ...{ autoCreatedTopicQueueCount: 8, clusterTopic: true, brokerTopic: true, traceTopic: false },
    traceTopicName: "trace",
    reviveQueueCount: 8,
  });
  topics.update(topicConfig("T", { readQueueNums: 4, writeQueueNums: 4 }));
  const groups = Groups.open({ ...common, settings });
  const resets = new OffsetResets(new JsonFile(files, clock, "/config/resets.json"), clock);
  const offsets = ConsumerOffsets.open({
    ...{ ...common, flushIntervalMs: 5000 },
    onReset: (...moved) => resets.note(...moved),
  });
  const slaves = new Map<string, SlaveTells>();
  const fetched: number[] = [];
  const store = { maxPhysicalOffset: ownEnd, maxOffset: () => 100 };
  const answer = (tells: SlaveTells, { code }: OutgoingRequest) => {
    const text = code === RequestCode.GET_BROKER_RUNTIME_INFO
      ? JSON.stringify({
        table: { commitLogMinOffset: `${tells.log![0]}`, commitLogMaxOffset: `${tells.log![1]}` },
      })
      : code === RequestCode.GET_ALL_CONSUMER_OFFSET
      ? tells.offsets ?? "{}"
      : code === RequestCode.GET_BROKER_CONFIG
      ? "brokerIP2=10.0.0.2\nhaListenPort=10912\n"
      : "{}";
    return { code: 0, body: new TextEncoder().encode(text) };
  };
  const options: MasterReturnOptions = {
    ...{ clock, store, topics, groups, offsets, resets, slaves: [SLAVE] },
    client: {
      request(address, request): Promise<Command> {
        const tells = slaves.get(address);
        if (tells === undefined) return Promise.reject(new RemotingIoError(`can't connect to ${address}`));
        const connection = new MemoryConnection({ onRequest: (request) => answer(tells, request) });
        return connection.request(request, 1000);
      },
    },
    delayFile: new JsonFile(files, clock, "/config/delayOffset.json"),
    modesFile: new JsonFile(files, clock, "/config/messageRequestMode.json"),
    timers: { adoptCheckpoint() {}, adoptMetrics() {} },
    fetchLog(source, endOffset) {
      assert.equal(source.haAddress, "10.0.0.2:10912");
      fetched.push(endOffset);
      store.maxPhysicalOffset = endOffset;
      return Promise.resolve();
    },
    givesUpSlaveLog: false,
    mayLackEnd: false,
    ...given,
  };
  return { options, slaves, fetched, clock, offsets, resets, close: () => offsets.close() };
}

test("the end of the log that a slave has is fetched", async () => {
  const { options, slaves, fetched } = master(1000);
  slaves.set(SLAVE, { log: [0, 1500] });
  await returnToService(options);
  assert.deepEqual(fetched, [1500]);
});

test("a slave that has no more is only asked for positions", async () => {
  const { options, slaves, fetched, offsets } = master(1000);
  offsets.commit("g", "T", 0, 10);
  offsets.commit("g", "T", 1, 10);
  slaves.set(SLAVE, {
    log: [0, 900],
    offsets: `{"offsetTable":{"T@g":{0:30,1:5},"gone@g":{0:3},"T@h":{2:7,3:101}}}`,
  });
  await returnToService(options);
  assert.deepEqual(fetched, []);
  assert.deepEqual([0, 1].map((queueId) => offsets.query("g", "T", queueId)), [30, 10]);
  assert.deepEqual(
    [2, 3].map((queueId) => offsets.query("h", "T", queueId)),
    [7, -1],
    "none beyond its queue",
  );
  assert.equal(offsets.query("g", "gone", 0), -1);
});

test("a position that was reset here stays where the slave does not know of it", async () => {
  const { options, slaves, offsets } = master(1000);
  offsets.commit("g", "T", 0, 50);
  const before = offsets.dataVersion;
  offsets.reset("g", "T", 0, 5);
  const after = offsets.dataVersion;
  const table = (version: typeof before) =>
    `{"dataVersion":${JSON.stringify(version.toJson())},"offsetTable":{"T@g":{0:60}}}`;
  slaves.set(SLAVE, { log: [0, 900], offsets: table(before) });
  await returnToService(options);
  assert.equal(offsets.query("g", "T", 0), 5);
  slaves.set(SLAVE, { log: [0, 900], offsets: `{"offsetTable":{"T@g":{0:60}}}` });
  await returnToService(options);
  assert.equal(offsets.query("g", "T", 0), 5, "4.9 tells no version");
  slaves.set(SLAVE, { log: [0, 900], offsets: table(after) });
  await returnToService(options);
  assert.equal(offsets.query("g", "T", 0), 60, "what the group has consumed since");
});

test("what can't be fetched stops the start, with the command that goes on without it", async () => {
  const fetchLog = () => Promise.reject(new Error("the slave is gone"));
  const { options, slaves } = master(1000, { fetchLog });
  slaves.set(SLAVE, { log: [0, 1500] });
  await assert.rejects(returnToService(options), (error: Error) => {
    assert.match(error.message, /10\.0\.0\.2:10911 has 500 bytes of messages that this master lacks/);
    assert.match(error.message, /the slave is gone/);
    assert.match(error.message, /--give-up-slave-log/);
    return true;
  });
  const older = master(1000);
  older.slaves.set(SLAVE, { log: [1200, 1500] });
  await assert.rejects(returnToService(older.options), /its log begins at 1200/);
});

test("with --give-up-slave-log nothing is fetched", async () => {
  const { options, slaves, fetched } = master(1000, { givesUpSlaveLog: true });
  slaves.set(SLAVE, { log: [0, 1500] });
  await returnToService(options);
  assert.deepEqual(fetched, []);
});

test("a slave that does not answer is waited for only after the machine was restarted", async () => {
  const killed = master(1000);
  await returnToService(killed.options);

  const { options, slaves, fetched, clock } = master(1000, { mayLackEnd: true });
  let isDone = false;
  const returning = returnToService(options).then(() => isDone = true);
  for (let second = 0; second < 5; second++) {
    await setImmediate();
    clock.advance(1000);
  }
  assert.equal(isDone, false);
  slaves.set(SLAVE, { log: [0, 1500] });
  while (!isDone) {
    clock.advance(1000);
    await setImmediate();
  }
  await returning;
  assert.deepEqual(fetched, [1500]);
});

test("a slave that never answers is given up after half a minute", async () => {
  const { options, clock, fetched } = master(1000, { mayLackEnd: true });
  let isDone = false;
  const returning = returnToService(options).then(() => isDone = true);
  const startMs = clock.monotonicMs();
  while (!isDone) {
    await setImmediate();
    clock.advance(1000);
  }
  await returning;
  const tookMs = clock.monotonicMs() - startMs;
  assert.ok(tookMs >= 29_000 && tookMs <= 32_000, `${tookMs} ms`);
  assert.deepEqual(fetched, []);
});
