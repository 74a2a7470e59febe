// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../base/clock.ts";
import { type TopicConfig, TopicSysFlag } from "../protocol/bodies/topic_config.ts";
import type { SendRequest } from "../protocol/headers/send.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { RemotingError } from "../remoting/remoting_error.ts";
import { requireServedAttributes } from "./attributes.ts";
import { priorityOf } from "./priority.ts";
import { isForbiddenToSend, isRetryTopic, requireTopicName } from "./topic_name.ts";
import type { NewTopic } from "./topics.ts";

export interface TargetTopics {
  get(topic: string): TopicConfig | undefined;
  createForSend(
    topic: string,
    defaultTopic: string,
    queueCount: number,
    topicSysFlag: number,
  ): TopicConfig | undefined;
  createForSendBack(topic: string, wish: NewTopic): TopicConfig | undefined;
}

export interface TargetSettings {
  readonly brokerPermission: number;
  readonly acceptSendsFromMs: number;
}

const WRITE = 2;

/** Who may send what where. [RMQ AbstractSendMessageProcessor.msgCheck] */
export class SendTarget {
  #topics: TargetTopics;
  #clock: Clock;
  #settings: () => TargetSettings;

  constructor(options: { topics: TargetTopics; clock: Clock; settings: () => TargetSettings }) {
    this.#topics = options.topics;
    this.#clock = options.clock;
    this.#settings = options.settings;
  }

  /**
   * The queue that a send goes to; makes the topic if that is allowed.
   * @param properties of a single message
   * @throws RemotingError
   */
  of(
    send: SendRequest,
    properties?: ReadonlyMap<string, string>,
  ): { queueId: number; isNewTopic: boolean } {
    const { topic } = send;
    const { brokerPermission, acceptSendsFromMs } = this.#settings();
    if (acceptSendsFromMs > this.#clock.nowMs()) {
      throw new RemotingError(
        ResponseCode.SYSTEM_ERROR,
        `the broker does not take messages before ${new Date(acceptSendsFromMs).toISOString()}`,
      );
    }
    if ((brokerPermission & WRITE) === 0) {
      throw new RemotingError(
        ResponseCode.NO_PERMISSION,
        "the broker may not be written to (brokerPermission)",
      );
    }
    let config = this.#topics.get(topic);
    const isNewTopic = config === undefined;
    if (config === undefined || isForbiddenToSend(topic)) {
      requireTopicName(topic);
      if (isForbiddenToSend(topic)) {
        throw new RemotingError(ResponseCode.NO_PERMISSION, `sending to the topic [${topic}] is forbidden`);
      }
      config = this.#createTopic(send);
    }
    if (config.attributes.size > 0) requireServedAttributes(config, properties);
    const queueCount = Math.max(config.readQueueNums, config.writeQueueNums);
    if (send.queueId >= queueCount) {
      throw new RemotingError(
        ResponseCode.INVALID_PARAMETER,
        `request queueId[${send.queueId}] is illegal: the topic ${topic} has ${queueCount} queues`,
      );
    }
    const priority = properties && priorityOf(properties);
    if ((send.queueId < 0 || priority !== undefined) && config.writeQueueNums <= 0) {
      // Apache divides by zero, and says so with the same code. [RMQ SendMessageProcessor.randomQueueId]
      throw new RemotingError(ResponseCode.SYSTEM_ERROR, `the topic ${topic} has no queue to be written to`);
    }
    if (priority !== undefined) return { queueId: Math.min(priority, config.writeQueueNums - 1), isNewTopic };
    const queueId = send.queueId < 0 ? Math.floor(Math.random() * config.writeQueueNums) : send.queueId;
    return { queueId, isNewTopic };
  }

  #createTopic(send: SendRequest): TopicConfig {
    const { topic, defaultTopic, defaultTopicQueueNums, unitMode } = send;
    const isRetry = isRetryTopic(topic);
    const topicSysFlag = !unitMode ? 0 : isRetry ? TopicSysFlag.UNIT_SUB : TopicSysFlag.UNIT;
    const made = this.#topics.createForSend(topic, defaultTopic, defaultTopicQueueNums, topicSysFlag) ??
      (isRetry ? this.#topics.createForSendBack(topic, { queueCount: 1, perm: 6, topicSysFlag }) : undefined);
    if (made !== undefined) return made;
    throw new RemotingError(
      ResponseCode.TOPIC_NOT_EXIST,
      `topic[${topic}] not exist, apply first please! See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.`,
    );
  }
}
