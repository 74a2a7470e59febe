// SPDX-License-Identifier: Apache-2.0
import type { GroupConfig } from "../../protocol/bodies/subscription_group.ts";
import { isReadable, type TopicConfig } from "../../protocol/bodies/topic_config.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";

const READ = 4;

export interface PopTargetOptions {
  topics: { get(topic: string): TopicConfig | undefined };
  groups: { find(group: string): GroupConfig | undefined };
  settings: () => { readonly brokerPermission: number };
}

export interface PopTarget {
  readonly topic: string;
  readonly consumerGroup: string;
  /** Negative: all queues. */
  readonly queueId: number;
}

/** @throws RemotingError NO_PERMISSION when nobody may read from this broker */
export function requireReadableBroker({ settings }: PopTargetOptions): void {
  if ((settings().brokerPermission & READ) === 0) {
    throw new RemotingError(ResponseCode.NO_PERMISSION, "the broker may not be read from (brokerPermission)");
  }
}

/** What is read by whom. @throws RemotingError when there is no such topic, queue or group, or it may not */
export function requirePopTarget(options: PopTargetOptions, target: PopTarget): TopicConfig {
  const { topic, consumerGroup, queueId } = target;
  const config = requireTopic(options, topic);
  if (!isReadable(config.perm)) {
    throw new RemotingError(ResponseCode.NO_PERMISSION, `the topic[${topic}] peeking message is forbidden`);
  }
  if (queueId >= config.readQueueNums) {
    throw new RemotingError(ResponseCode.INVALID_PARAMETER, illegalQueue(config, queueId));
  }
  const group = options.groups.find(consumerGroup);
  if (group === undefined) {
    throw new RemotingError(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `subscription group [${consumerGroup}] does not exist`,
    );
  }
  if (!group.consumeEnable) {
    throw new RemotingError(ResponseCode.NO_PERMISSION, `subscription group no permission, ${consumerGroup}`);
  }
  return config;
}

/** @throws RemotingError TOPIC_NOT_EXIST */
export function requireTopic({ topics }: Pick<PopTargetOptions, "topics">, topic: string): TopicConfig {
  const config = topics.get(topic);
  if (config !== undefined) return config;
  throw new RemotingError(
    ResponseCode.TOPIC_NOT_EXIST,
    `topic[${topic}] not exist, apply first please! See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.`,
  );
}

/** A queue of which a message is acknowledged. @throws RemotingError TOPIC_NOT_EXIST, MESSAGE_ILLEGAL */
export function requireAckTarget(
  options: Pick<PopTargetOptions, "topics">,
  topic: string,
  queueId: number,
): void {
  const config = requireTopic(options, topic);
  if (queueId < 0 || queueId >= config.readQueueNums) {
    throw new RemotingError(ResponseCode.MESSAGE_ILLEGAL, illegalQueue(config, queueId));
  }
}

function illegalQueue({ topicName, readQueueNums }: TopicConfig, queueId: number): string {
  return `queueId[${queueId}] is illegal, topic:[${topicName}] topicConfig.readQueueNums:[${readQueueNums}]`;
}
