// SPDX-License-Identifier: Apache-2.0
import { Perm, type TopicConfig, topicConfig } from "../protocol/bodies/topic_config.ts";
import { SystemTopic } from "./topic_name.ts";

/** What decides which topics a broker has from the start. */
export interface SystemTopicOptions {
  readonly clusterName: string;
  readonly brokerName: string;
  /** Makes the template that producers name by default, with so many queues. */
  readonly autoCreateTopic: boolean;
  readonly autoCreatedTopicQueueCount: number;
  /** Whether the topic named like the cluster may be used, not only taken as a template. */
  readonly clusterTopic: boolean;
  /** The same for the topic named like the broker. */
  readonly brokerTopic: boolean;
  readonly traceTopic: boolean;
  readonly traceTopicName: string;
  /** Queues of the topic that holds POP's check points. */
  readonly reviveQueueCount: number;
}

/** Levels that SCHEDULE_TOPIC_XXXX has queues for; more levels in the configuration still use these. */
const SCHEDULE_QUEUE_COUNT = 18;
const BENCHMARK_QUEUE_COUNT = 1024;
const CLUSTER_QUEUE_COUNT = 16;
const ALL = Perm.READ | Perm.WRITE | Perm.INHERIT;

/** The topics that a broker has from the start, unless its table says otherwise. [RMQ TopicConfigManager.init] */
export function systemTopics(options: SystemTopicOptions): TopicConfig[] {
  const { clusterName, brokerName } = options;
  const topics = [
    withQueues(SystemTopic.SELF_TEST, 1),
    withQueues(SystemTopic.BENCHMARK, BENCHMARK_QUEUE_COUNT),
    withQueues(clusterName, CLUSTER_QUEUE_COUNT, options.clusterTopic ? ALL : Perm.INHERIT),
    withQueues(brokerName, 1, options.brokerTopic ? ALL : Perm.INHERIT),
    withQueues(SystemTopic.OFFSET_MOVED_EVENT, 1),
    withQueues(SystemTopic.SCHEDULE, SCHEDULE_QUEUE_COUNT),
    withQueues(`${clusterName}_REPLY_TOPIC`, 1),
    withQueues(`rmq_sys_REVIVE_LOG_${clusterName}`, options.reviveQueueCount),
    withQueues(`rmq_sys_SYNC_BROKER_MEMBER_${brokerName}`, 1, Perm.INHERIT),
    withQueues(SystemTopic.TRANS_HALF, 1),
    withQueues(SystemTopic.TRANS_OP_HALF, 1),
    withQueues(SystemTopic.WHEEL_TIMER, 1),
  ];
  if (options.autoCreateTopic) {
    topics.push(withQueues(SystemTopic.AUTO_CREATE, options.autoCreatedTopicQueueCount, ALL));
  }
  if (options.traceTopic) topics.push(withQueues(options.traceTopicName, 1));
  return topics;
}

function withQueues(topic: string, queueCount: number, perm: number = Perm.READ | Perm.WRITE): TopicConfig {
  return topicConfig(topic, { readQueueNums: queueCount, writeQueueNums: queueCount, perm });
}
