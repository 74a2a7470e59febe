// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterQueues } from "../../src/broker/cluster_queues.ts";
import type { QueueData, TopicRouteData } from "../../src/protocol/bodies/topic_route.ts";
import { RemotingIoError } from "../../src/remoting/remoting_error.ts";
import { ManualClock } from "../harness/manual_clock.ts";

function route(...queueDatas: QueueData[]): TopicRouteData {
  return { queueDatas, brokerDatas: [], filterServerTable: new Map() };
}

function at(brokerName: string, readQueueNums: number, perm = 6): QueueData {
  return { brokerName, readQueueNums, writeQueueNums: 1, perm, topicSysFlag: 0 };
}

test("queues that may be read, broker by broker", async () => {
  const queues = new ClusterQueues(
    new ManualClock(),
    () => Promise.resolve(route(at("b2", 1), at("b1", 2), at("b3", 4, 2))),
  );
  assert.deepEqual(await queues.of("T"), [
    { brokerName: "b1", queueId: 0, topic: "T" },
    { brokerName: "b1", queueId: 1, topic: "T" },
    { brokerName: "b2", queueId: 0, topic: "T" },
  ]);
});

test("a topic is asked for once in a while, however many want to know at the same time", async () => {
  const clock = new ManualClock();
  let asked = 0;
  const queues = new ClusterQueues(clock, () => Promise.resolve(route(at("b", ++asked))));
  const both = await Promise.all([queues.of("T"), queues.of("T")]);
  assert.deepEqual(both.map((list) => list!.length), [1, 1]);
  clock.advance(4999);
  assert.equal((await queues.of("T"))!.length, 1);
  clock.advance(1);
  assert.equal((await queues.of("T"))!.length, 2);
});

test("what no name server knows or tells is not known", async () => {
  const clock = new ManualClock();
  let answer: Promise<TopicRouteData | undefined> = Promise.resolve(undefined);
  const queues = new ClusterQueues(clock, () => answer);
  assert.equal(await queues.of("T"), undefined);
  answer = Promise.reject(new RemotingIoError("no name server is connected"));
  clock.advance(5000);
  assert.equal(await queues.of("T"), undefined);
});

test("names of topics that nobody asks for any more are forgotten", async () => {
  const clock = new ManualClock();
  let asked = 0;
  const queues = new ClusterQueues(clock, () => Promise.resolve(route(at(`asked ${++asked}`, 1))));
  for (let i = 0; i <= 10_000; i++) await queues.of(`T${i}`);
  assert.equal((await queues.of("T10000"))![0].brokerName, "asked 10001");
  assert.equal((await queues.of("T0"))![0].brokerName, "asked 10002", "the oldest made room");
});
