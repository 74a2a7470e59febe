// SPDX-License-Identifier: Apache-2.0
/** All metrics of a broker, under the names and labels of Apache RocketMQ 5, and the port that shows them. */
import process from "node:process";
import type { Clock } from "../../base/clock.ts";
import type { BrokerSettings } from "../../config/broker_settings.ts";
import type { Dispatch } from "../../remoting/dispatch.ts";
import type { MessageStore } from "../../store/message_store.ts";
import type { Clients } from "../clients.ts";
import type { ConsumerOffsets } from "../consumer_offsets.ts";
import type { Groups } from "../groups.ts";
import type { Statistics } from "../statistics.ts";
import type { Timers } from "../timers/timers.ts";
import type { Topics } from "../topics.ts";
import {
  brokerMetrics,
  connectionMetrics,
  storeMetrics,
  timerMetrics,
  transactionMetrics,
} from "./broker.ts";
import { lagMetrics } from "./lag.ts";
import { requestMetrics } from "./requests.ts";
import { serveMetrics } from "./serve.ts";
import { trafficMetrics } from "./traffic.ts";

export interface MetricsOptions {
  settings: () => BrokerSettings;
  clock: Clock;
  store: MessageStore;
  topics: Topics;
  groups: Groups;
  offsets: ConsumerOffsets;
  clients: Clients;
  statistics: Statistics;
  timers: Pick<Timers, "status">;
  transactions: { readonly openCount: number };
  dispatch: Dispatch;
}

const SYSTEM_GROUP = /^CID_RMQ_SYS_/;

/** @returns undefined where nobody wants metrics */
export async function startMetrics(
  options: MetricsOptions,
): Promise<{ readonly port: number; stop(): Promise<void> } | undefined> {
  const { settings, store, topics, groups, offsets, clients, statistics, dispatch } = options;
  const { metrics: place, clusterName, brokerName } = settings();
  if (place === undefined) return undefined;
  const nowMs = () => options.clock.nowMs();
  const isSystemGroup = (group: string) => SYSTEM_GROUP.test(group);
  const requests = requestMetrics();
  const families = [
    ...brokerMetrics({
      isReady: () => store.refusal === undefined,
      memoryBytes: () => process.memoryUsage.rss(),
      permission: () => settings().brokerPermission,
      topicCount: () => topics.table.size,
      groupCount: () => groups.table.groups.size,
    }),
    ...trafficMetrics(statistics, (topic) => topics.isSystemTopic(topic)),
    ...connectionMetrics(clients, isSystemGroup),
    ...lagMetrics({
      ...{ store, offsets, nowMs },
      groups: () => clients.consumerGroups(),
      readQueueCount: (topic) => topics.get(topic)?.readQueueNums,
      isSystem: isSystemGroup,
    }),
    ...requests.families,
    ...storeMetrics(store, nowMs),
    ...timerMetrics(() => options.timers.status()),
    ...transactionMetrics(options.transactions),
  ];
  const server = await serveMetrics({
    ...{ place, families },
    labels: {
      otel_scope_name: "broker-meter",
      cluster: clusterName,
      node_type: "broker",
      node_id: brokerName,
    },
    unreadiness: () => store.refusal?.message,
  });
  dispatch.observe(requests.observe);
  return server;
}
