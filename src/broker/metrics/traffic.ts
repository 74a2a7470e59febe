// SPDX-License-Identifier: Apache-2.0
/** Messages in and out. [RMQ BrokerMetricsManager] */
import type { Statistics } from "../statistics.ts";
import type { Family, Labels, Sample } from "./family.ts";

const TO_NOBODY = /^%(RETRY|DLQ)%/;

export function trafficMetrics(
  statistics: Pick<Statistics, "topicCounts" | "groupCounts">,
  isSystem: (topic: string) => boolean,
): Family[] {
  const into = (of: "messages" | "bytes") => () => stored(statistics, isSystem, of);
  const out = (of: "messages" | "bytes") => () => delivered(statistics, isSystem, of);
  return [
    {
      name: "rocketmq_messages_in_total",
      help: "Messages stored",
      type: "counter",
      samples: into("messages"),
    },
    {
      name: "rocketmq_throughput_in_total",
      help: "Bytes of messages stored",
      type: "counter",
      samples: into("bytes"),
    },
    {
      name: "rocketmq_message_size",
      help: "Bytes of messages stored",
      type: "histogram",
      *samples() {
        for (const [topic, { sizes }] of statistics.topicCounts) {
          yield* sizes.samples({ topic, message_type: "normal", is_system: String(isSystem(topic)) });
        }
      },
    },
    {
      name: "rocketmq_messages_out_total",
      help: "Messages given to consumers",
      type: "counter",
      samples: out("messages"),
    },
    {
      name: "rocketmq_throughput_out_total",
      help: "Bytes of messages given to consumers",
      type: "counter",
      samples: out("bytes"),
    },
    {
      name: "rocketmq_send_to_dlq_messages_total",
      help: "Messages given up, now dead letters",
      type: "counter",
      *samples() {
        for (const [topic, groups] of statistics.groupCounts) {
          for (const [consumer_group, { deadLetters }] of groups) {
            if (deadLetters.times === 0) continue;
            const labels = { consumer_group, topic, is_system: String(isSystem(topic)) };
            yield { labels, value: deadLetters.messages };
          }
        }
      },
    },
  ];
}

function* stored(
  { topicCounts }: Pick<Statistics, "topicCounts">,
  isSystem: (topic: string) => boolean,
  of: "messages" | "bytes",
): Generator<Sample> {
  for (const [topic, counts] of topicCounts) {
    const labels = (message_type: string): Labels => ({
      topic,
      message_type,
      is_system: String(isSystem(topic)),
    });
    let normal = counts[of];
    for (const [kind, some] of counts.byKind) {
      normal -= some[of];
      yield { labels: labels(kind), value: some[of] };
    }
    if (normal > 0 || counts.byKind.size === 0) yield { labels: labels("normal"), value: normal };
  }
}

function* delivered(
  { groupCounts }: Pick<Statistics, "groupCounts">,
  isSystem: (topic: string) => boolean,
  of: "messages" | "bytes",
): Generator<Sample> {
  for (const [topic, groups] of groupCounts) {
    if (TO_NOBODY.test(topic)) continue;
    for (const [consumer_group, counts] of groups) {
      yield { labels: { topic, consumer_group, is_system: String(isSystem(topic)) }, value: counts[of] };
    }
  }
}
