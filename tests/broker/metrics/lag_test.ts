// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OnlineGroup } from "../../../src/broker/clients.ts";
import { lagMetrics, type LagOptions } from "../../../src/broker/metrics/lag.ts";

const NOW_MS = 1_000_000;

/** Two queues with offsets 10 to 20 and 0 to 5; a message is stored each second. */
function options(committed: readonly number[], pulled: readonly number[]): LagOptions {
  const group = { name: "g", subscriptions: new Map([["T", {}], ["%RETRY%g", {}], ["gone", {}]]) };
  const [min, max] = [[10, 0], [20, 5]];
  const isT = (topic: string) => topic === "T";
  return {
    groups: () => [group as unknown as OnlineGroup],
    readQueueCount: (topic) => isT(topic) ? 2 : topic === "%RETRY%g" ? 1 : undefined,
    offsets: {
      query: (_group, topic, queueId) => isT(topic) ? committed[queueId] : -1,
      pulled: (_group, topic, queueId) => isT(topic) ? pulled[queueId] : -1,
    },
    store: {
      minOffset: (topic, queueId) => isT(topic) ? min[queueId] : 0,
      maxOffset: (topic, queueId) => isT(topic) ? max[queueId] : 0,
      storeTimestampOf: (_topic, _queueId, offset) => offset * 1000,
    },
    isSystem: () => false,
    nowMs: () => NOW_MS,
  };
}

function values(given: LagOptions, topic: string): Record<string, number> {
  return Object.fromEntries(
    lagMetrics(given).map(({ name, samples }) => {
      const sample = [...samples()].find(({ labels }) => labels.topic === topic)!;
      return [name.replace("rocketmq_consumer_", ""), sample.value];
    }),
  );
}

test("lag, in flight and ready are the sums over the queues, ages those of the oldest", () => {
  assert.deepEqual(values(options([12, 5], [15, 5]), "T"), {
    lag_messages: 8,
    inflight_messages: 3,
    ready_messages: 5,
    lag_latency_milliseconds: NOW_MS - 12_000,
    queueing_latency_milliseconds: NOW_MS - 15_000,
  });
});

test("offsets of messages that are gone, or that nobody has pulled, count from what is there", () => {
  const { lag_messages, ready_messages, inflight_messages } = values(options([3, 0], [-1, -1]), "T");
  assert.deepEqual([lag_messages, ready_messages, inflight_messages], [15, 15, 0]);
});

test("who has not begun is not behind; topics that are gone are left out", () => {
  assert.equal(values(options([-1, -1], [-1, -1]), "T").lag_messages, 0);
  const [lag] = lagMetrics(options([12, 5], [15, 5]));
  const labels = [...lag.samples()].map((sample) => [sample.labels.topic, sample.labels.is_retry]);
  assert.deepEqual(labels, [["T", "false"], ["%RETRY%g", "true"]]);
});
