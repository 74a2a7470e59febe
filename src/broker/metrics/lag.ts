// SPDX-License-Identifier: Apache-2.0
/**
 * How far consumers are behind: messages stored and not consumed (lag), not yet fetched (ready), fetched and not
 * consumed (in flight), and for how long the oldest of them has waited. Only of groups that are online, which is where
 * somebody asks for them. [RMQ ConsumerLagCalculator]
 */
import type { OnlineGroup } from "../clients.ts";
import type { Family, Labels, Sample } from "./family.ts";

const RETRY_PREFIX = "%RETRY%";

export interface LagOptions {
  groups: () => Iterable<OnlineGroup>;
  readQueueCount: (topic: string) => number | undefined;
  offsets: {
    query(group: string, topic: string, queueId: number): number;
    pulled(group: string, topic: string, queueId: number): number;
  };
  store: {
    minOffset(topic: string, queueId: number): number;
    maxOffset(topic: string, queueId: number): number;
    storeTimestampOf(topic: string, queueId: number, queueOffset: number): number;
  };
  isSystem: (group: string) => boolean;
  nowMs: () => number;
}

interface Lag {
  labels: Labels;
  lag: number;
  inFlight: number;
  ready: number;
  lagMs: number;
  queueingMs: number;
}

export function lagMetrics(options: LagOptions): Family[] {
  let taken: { atMs: number; lags: Lag[] } | undefined;
  // Families are asked one after the other for one page.
  const lags = () => {
    const nowMs = options.nowMs();
    if (taken === undefined || nowMs - taken.atMs > 500) {
      taken = { atMs: nowMs, lags: [...lagsOf(options, nowMs)] };
    }
    return taken.lags;
  };
  const family = (name: string, help: string, of: (lag: Lag) => number): Family => ({
    name: `rocketmq_consumer_${name}`,
    help,
    type: "gauge",
    samples: (): Sample[] => lags().map((lag) => ({ labels: lag.labels, value: of(lag) })),
  });
  return [
    family("lag_messages", "Messages that are not consumed yet", ({ lag }) => lag),
    family(
      "lag_latency_milliseconds",
      "Age of the oldest message that is not consumed yet",
      ({ lagMs }) => lagMs,
    ),
    family("inflight_messages", "Messages fetched and not consumed yet", ({ inFlight }) => inFlight),
    family("ready_messages", "Messages that are not fetched yet", ({ ready }) => ready),
    family(
      "queueing_latency_milliseconds",
      "Age of the oldest message that is not fetched yet",
      (lag) => lag.queueingMs,
    ),
  ];
}

function* lagsOf(options: LagOptions, nowMs: number): Generator<Lag> {
  for (const group of options.groups()) {
    for (const topic of group.subscriptions.keys()) {
      const queueCount = options.readQueueCount(topic);
      if (queueCount === undefined) continue;
      const isRetry = topic === RETRY_PREFIX + group.name;
      const labels = {
        consumer_group: group.name,
        topic,
        is_retry: String(isRetry),
        is_system: String(options.isSystem(group.name)),
      };
      yield lagOf(options, group.name, topic, queueCount, labels, nowMs);
    }
  }
}

function lagOf(
  { store, offsets }: LagOptions,
  group: string,
  topic: string,
  queueCount: number,
  labels: Labels,
  nowMs: number,
): Lag {
  const sum: Lag = { labels, lag: 0, inFlight: 0, ready: 0, lagMs: 0, queueingMs: 0 };
  const ageMs = (queueId: number, offset: number) => {
    const storedMs = store.storeTimestampOf(topic, queueId, offset);
    return storedMs < 0 ? 0 : Math.max(0, nowMs - storedMs);
  };
  for (let queueId = 0; queueId < queueCount; queueId++) {
    const max = store.maxOffset(topic, queueId);
    const min = store.minOffset(topic, queueId);
    const committed = offsets.query(group, topic, queueId);
    // Who has committed nothing yet has not begun: as if all of it were before him.
    const consumed = Math.max(committed < 0 ? max : committed, min);
    const fetched = Math.max(offsets.pulled(group, topic, queueId), consumed);
    sum.lag += Math.max(0, max - consumed);
    sum.inFlight += Math.max(0, Math.min(fetched, max) - consumed);
    sum.ready += Math.max(0, max - fetched);
    if (consumed < max) sum.lagMs = Math.max(sum.lagMs, ageMs(queueId, consumed));
    if (fetched < max) sum.queueingMs = Math.max(sum.queueingMs, ageMs(queueId, fetched));
  }
  return sum;
}
