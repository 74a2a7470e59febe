// SPDX-License-Identifier: Apache-2.0
/** The broker, its store and who is connected. [RMQ BrokerMetricsManager, DefaultStoreMetricsManager] */
import { versionName } from "../../protocol/version.ts";
import type { Clients } from "../clients.ts";
import { type Family, gauge } from "./family.ts";

const ON_DISK = { storage_type: "local", storage_medium: "disk" };

export interface MeteredBroker {
  isReady: () => boolean;
  /** Resident memory of the process. */
  memoryBytes: () => number;
  permission: () => number;
  topicCount: () => number;
  groupCount: () => number;
}

export function brokerMetrics(
  { permission, topicCount, groupCount, isReady, memoryBytes }: MeteredBroker,
): Family[] {
  return [
    gauge("rocketmq_broker_permission", "What the broker lets do: 4 read, 2 write", permission),
    gauge("rocketmq_topic_number", "Topics", topicCount),
    gauge("rocketmq_consumer_group_number", "Consumer groups", groupCount),
    gauge("rmq_ready", "1 while the broker takes messages", () => Number(isReady())),
    gauge("rmq_resident_memory_bytes", "Memory of the broker's process", memoryBytes),
  ];
}

export interface MeteredStore {
  readonly minPhysicalOffset: number;
  readonly maxPhysicalOffset: number;
  readonly flushedOffset: number;
  readonly dispatchedOffset: number;
  earliestTimestamp(): number;
}

export function storeMetrics(store: MeteredStore, nowMs: () => number): Family[] {
  const of = (name: string, help: string, value: () => number) => gauge(name, help, value, ON_DISK);
  return [
    of(
      "rocketmq_storage_size_bytes",
      "Bytes of the CommitLog",
      () => store.maxPhysicalOffset - store.minPhysicalOffset,
    ),
    of(
      "rocketmq_storage_flush_behind_bytes",
      "Bytes of the CommitLog that are not durable yet",
      () => store.maxPhysicalOffset - store.flushedOffset,
    ),
    of(
      "rocketmq_storage_dispatch_behind_bytes",
      "Bytes of the CommitLog that are not in queues yet",
      () => store.maxPhysicalOffset - store.dispatchedOffset,
    ),
    of(
      "rocketmq_storage_message_reserve_time_milliseconds",
      "Age of the oldest message",
      () => {
        const earliestMs = store.earliestTimestamp();
        return earliestMs < 0 ? 0 : nowMs() - earliestMs;
      },
    ),
  ];
}

/** Messages that wait for their moment. [RMQ TimerMessageStore] */
export function timerMetrics(
  status: () => { readBehindMs: number; offsetBehind: number; pendingCount: number },
): Family[] {
  const of = (name: string, help: string, value: () => number) => gauge(name, help, value, ON_DISK);
  return [
    of(
      "rocketmq_timer_enqueue_lag",
      "Timed messages that are not in the wheel yet",
      () => status().offsetBehind,
    ),
    of(
      "rocketmq_timer_dequeue_latency_milliseconds",
      "How late timed messages are",
      () => status().readBehindMs,
    ),
    of(
      "rmq_timer_pending_messages",
      "Timed messages that wait for their moment",
      () => status().pendingCount,
    ),
  ];
}

/** Transactions on which no producer has decided. [RMQ BrokerMetricsManager] */
export function transactionMetrics(transactions: { readonly openCount: number }): Family[] {
  return [gauge("rocketmq_half_messages", "Transactions that are open", () => transactions.openCount)];
}

export function connectionMetrics(
  clients: Pick<Clients, "consumerGroups" | "producerGroups">,
  isSystemGroup: (group: string) => boolean,
): Family[] {
  return [
    {
      name: "rocketmq_producer_connections",
      help: "Producers that are connected",
      type: "gauge",
      *samples() {
        const counts = new Map<string, number>();
        for (const [, members] of clients.producerGroups()) {
          for (const { language, version } of members) count(counts, language, version);
        }
        for (const [key, value] of counts) {
          const [language, version] = key.split(" ");
          yield { labels: { language, version, protocol_type: "remoting" }, value };
        }
      },
    },
    {
      name: "rocketmq_consumer_connections",
      help: "Consumers that are connected",
      type: "gauge",
      *samples() {
        for (const { name, consumeType, members } of clients.consumerGroups()) {
          const counts = new Map<string, number>();
          for (const { language, version } of members) count(counts, language, version);
          const consume_mode = CONSUME_MODES.get(consumeType) ?? "push";
          for (const [key, value] of counts) {
            const [language, version] = key.split(" ");
            const client = { language, version, consume_mode, protocol_type: "remoting" };
            yield {
              labels: { consumer_group: name, ...client, is_system: String(isSystemGroup(name)) },
              value,
            };
          }
        }
      },
    },
  ];
}

const CONSUME_MODES: ReadonlyMap<string, string> = new Map([
  ["CONSUME_ACTIVELY", "pull"],
  ["CONSUME_PASSIVELY", "push"],
  ["CONSUME_POP", "pop"],
]);

function count(counts: Map<string, number>, language: string, version: number): void {
  const key = `${language.toLowerCase()} ${versionName(version).toLowerCase()}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
