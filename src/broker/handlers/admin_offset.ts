// SPDX-License-Identifier: Apache-2.0
/** Where groups stand in topics, and moving them. [RMQ AdminBrokerProcessor, Broker2Client] */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import {
  type ConsumeStats,
  encodeConsumeStats,
  encodeConsumeStatsList,
  type GroupPosition,
} from "../../protocol/bodies/consume_stats.ts";
import { encodeConsumeTimeSpans, type QueueTimeSpan } from "../../protocol/bodies/consume_time_span.ts";
import type { MessageQueue } from "../../protocol/bodies/message_queue.ts";
import { type SubscriptionData, subscriptionDataToJson } from "../../protocol/bodies/subscription_data.ts";
import type { TopicConfig } from "../../protocol/bodies/topic_config.ts";
import { encodeTopicList } from "../../protocol/bodies/topic_list.ts";
import { groupRequest } from "../../protocol/headers/admin_group.ts";
import {
  brokerConsumeStatsRequest,
  cloneOffsetRequest,
  consumeStatsRequest,
  topicAndGroupRequest,
} from "../../protocol/headers/admin_offset.ts";
import { topicRequest } from "../../protocol/headers/admin_topic.ts";
import { encodeJson } from "../../protocol/java_json.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";

const logger = getLogger(["rmq", "broker"]);

/** Positions of groups; -1 where there is none. */
export interface AdminOffsets {
  query(group: string, topic: string, queueId: number): number;
  pulled(group: string, topic: string, queueId: number): number;
  topicsOf(group: string): Iterable<string>;
  groupsOf(topic: string): Iterable<string>;
  clone(fromGroup: string, toGroup: string, topic: string): void;
}

export interface AdminOffsetOptions {
  clock: Clock;
  brokerName: string;
  /** `host:port` that clients are given. */
  brokerAddress: () => string;
  topics: { get(topic: string): TopicConfig | undefined };
  groupNames: () => Iterable<string>;
  offsets: AdminOffsets;
  clients: {
    groupsSubscribedTo(topic: string): Iterable<string>;
    subscription(group: string, topic: string): SubscriptionData | undefined;
    consumerGroup(group: string): unknown;
  };
  queues: {
    minOffset(topic: string, queueId: number): number;
    maxOffset(topic: string, queueId: number): number;
    storeTimestampOf(topic: string, queueId: number, queueOffset: number): number;
    earliestTimestampOf(topic: string, queueId: number): number;
  };
  /** Messages per second that a group gets from a topic. */
  getTps: (topic: string, group: string) => number;
}

export function adminOffsetHandlers(options: AdminOffsetOptions): [number, Handler][] {
  const admin = new OffsetAdmin(options);
  return [
    [RequestCode.GET_CONSUME_STATS, (request) => admin.consumeStats(request)],
    [RequestCode.GET_BROKER_CONSUME_STATS, (request) => admin.allConsumeStats(request)],
    [RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, (request) => admin.groupsOfTopic(request)],
    [RequestCode.QUERY_TOPICS_BY_CONSUMER, (request) => admin.topicsOfGroup(request)],
    [RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER, (request) => admin.subscription(request)],
    [RequestCode.QUERY_CONSUME_TIME_SPAN, (request) => admin.timeSpan(request)],
    [RequestCode.CLONE_GROUP_OFFSET, (request) => admin.cloneOffset(request)],
  ];
}

class OffsetAdmin {
  readonly #options: AdminOffsetOptions;

  constructor(options: AdminOffsetOptions) {
    this.#options = options;
  }

  /** Topics that are named in a list are all shown; others only if the group still subscribes to them. */
  consumeStats(request: Request): Response {
    const { consumerGroup, topic, topicList } = consumeStatsRequest.decode(request.fields);
    const named = topicList.split(";").filter((name) => name !== "");
    const topics = named.length > 0
      ? new Set(named)
      : [...topic === "" ? this.#options.offsets.topicsOf(consumerGroup) : [topic]]
        .filter((name) => this.#isStillSubscribed(consumerGroup, name));
    let consumeTps = 0;
    const offsetTable: [MessageQueue, GroupPosition][] = [];
    for (const name of topics) {
      const config = this.#options.topics.get(name);
      if (config === undefined) continue;
      for (let queueId = 0; queueId < config.readQueueNums; queueId++) {
        offsetTable.push([this.#queue(name, queueId), this.#position(consumerGroup, name, queueId)]);
      }
      consumeTps += this.#options.getTps(name, consumerGroup);
    }
    return { code: ResponseCode.SUCCESS, body: encodeConsumeStats({ consumeTps, offsetTable }) };
  }

  allConsumeStats(request: Request): Response {
    const { isOrder } = brokerConsumeStatsRequest.decode(request.fields);
    const groups: [string, ConsumeStats[]][] = [];
    let totalDiff = 0;
    let totalInflightDiff = 0;
    for (const group of this.#options.groupNames()) {
      const byTopic = this.#consumeStatsByTopic(group, isOrder);
      groups.push([group, byTopic]);
      for (const [, position] of byTopic.flatMap(({ offsetTable }) => offsetTable)) {
        totalDiff += position.brokerOffset - position.consumerOffset;
        totalInflightDiff += position.pullOffset - position.consumerOffset;
      }
    }
    const { brokerAddress } = this.#options;
    const body = encodeConsumeStatsList({
      brokerAddr: brokerAddress(),
      groups,
      totalDiff,
      totalInflightDiff,
    });
    return { code: ResponseCode.SUCCESS, body };
  }

  groupsOfTopic(request: Request): Response {
    const { topic } = topicRequest.decode(request.fields);
    const { clients, offsets } = this.#options;
    const groupList = new Set([...clients.groupsSubscribedTo(topic), ...offsets.groupsOf(topic)]);
    return { code: ResponseCode.SUCCESS, body: encodeJson({ groupList }) };
  }

  topicsOfGroup(request: Request): Response {
    const { group } = groupRequest.decode(request.fields);
    const { offsets, brokerAddress } = this.#options;
    const body = encodeTopicList({ brokerAddr: brokerAddress(), topicList: offsets.topicsOf(group) });
    return { code: ResponseCode.SUCCESS, body };
  }

  subscription(request: Request): Response {
    const { group, topic } = topicAndGroupRequest.decode(request.fields);
    const data = this.#options.clients.subscription(group, topic);
    const subscriptionData = data && subscriptionDataToJson(data);
    return { code: ResponseCode.SUCCESS, body: encodeJson({ group, subscriptionData, topic }) };
  }

  timeSpan(request: Request): Response {
    const { topic, group } = topicAndGroupRequest.decode(request.fields);
    const config = this.#options.topics.get(topic);
    if (config === undefined) {
      throw new RemotingError(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist`);
    }
    const spans: QueueTimeSpan[] = [];
    for (let queueId = 0; queueId < config.writeQueueNums; queueId++) {
      spans.push(this.#timeSpanOf(topic, group, queueId));
    }
    return { code: ResponseCode.SUCCESS, body: encodeConsumeTimeSpans(spans) };
  }

  cloneOffset(request: Request): Response {
    const { srcGroup, destGroup, topic, offline } = cloneOffsetRequest.decode(request.fields);
    const { offsets } = this.#options;
    for (const name of topic === "" ? offsets.topicsOf(srcGroup) : [topic]) {
      if (this.#options.topics.get(name) === undefined) continue;
      if (!offline && !this.#isStillSubscribed(srcGroup, name)) continue;
      offsets.clone(srcGroup, destGroup, name);
      logger.info("positions of {srcGroup} in {topic} cloned to {destGroup}", {
        srcGroup,
        destGroup,
        topic: name,
      });
    }
    return { code: ResponseCode.SUCCESS };
  }

  #consumeStatsByTopic(group: string, isOrder: boolean): ConsumeStats[] {
    const byTopic: ConsumeStats[] = [];
    for (const topic of this.#options.offsets.topicsOf(group)) {
      const config = this.#options.topics.get(topic);
      if (config === undefined || (isOrder && !config.order)) continue;
      if (!this.#isStillSubscribed(group, topic)) continue;
      const offsetTable: [MessageQueue, GroupPosition][] = [];
      for (let queueId = 0; queueId < config.writeQueueNums; queueId++) {
        offsetTable.push([this.#queue(topic, queueId), this.#position(group, topic, queueId)]);
      }
      byTopic.push({ consumeTps: this.#options.getTps(topic, group), offsetTable });
    }
    return byTopic;
  }

  #position(group: string, topic: string, queueId: number): GroupPosition {
    const { queues, offsets } = this.#options;
    const consumerOffset = Math.max(0, offsets.query(group, topic, queueId));
    const lastTimestamp = consumerOffset > 0
      ? queues.storeTimestampOf(topic, queueId, consumerOffset - 1)
      : 0;
    return {
      brokerOffset: Math.max(0, queues.maxOffset(topic, queueId)),
      consumerOffset,
      lastTimestamp: Math.max(0, lastTimestamp),
      pullOffset: Math.max(consumerOffset, offsets.pulled(group, topic, queueId)),
    };
  }

  #timeSpanOf(topic: string, group: string, queueId: number): QueueTimeSpan {
    const { queues, offsets, clock } = this.#options;
    const minTimestampMs = queues.earliestTimestampOf(topic, queueId);
    const maxOffset = queues.maxOffset(topic, queueId);
    const consumerOffset = offsets.query(group, topic, queueId);
    const at = (offset: number) => queues.storeTimestampOf(topic, queueId, offset);
    // A group that has nothing stored stands before the first message.
    const nextOffset = Math.max(consumerOffset, queues.minOffset(topic, queueId));
    return {
      queue: this.#queue(topic, queueId),
      minTimestampMs,
      maxTimestampMs: at(maxOffset - 1),
      consumeTimestampMs: consumerOffset > 0 ? at(consumerOffset - 1) : minTimestampMs,
      delayMs: nextOffset < maxOffset ? clock.nowMs() - at(nextOffset) : 0,
    };
  }

  /** A group that is offline counts as subscribed to all that it has consumed. */
  #isStillSubscribed(group: string, topic: string): boolean {
    const { clients } = this.#options;
    return clients.consumerGroup(group) === undefined || clients.subscription(group, topic) !== undefined;
  }

  #queue(topic: string, queueId: number): MessageQueue {
    return { brokerName: this.#options.brokerName, queueId, topic };
  }
}
