// SPDX-License-Identifier: Apache-2.0
/** Topics as administrators see and change them. [RMQ AdminBrokerProcessor] */
import { getLogger } from "@logtape/logtape";
import { DataVersion } from "../../protocol/bodies/data_version.ts";
import { asArray } from "../../protocol/bodies/json_fields.ts";
import type { MessageQueue } from "../../protocol/bodies/message_queue.ts";
import {
  isValidPerm,
  type TopicConfig,
  topicConfig,
  topicConfigFromJson,
  topicConfigTableToJson,
  topicConfigToJson,
} from "../../protocol/bodies/topic_config.ts";
import { encodeTopicList } from "../../protocol/bodies/topic_list.ts";
import { encodeTopicStats, type TopicOffset } from "../../protocol/bodies/topic_stats.ts";
import {
  allTopicConfigRequest,
  allTopicConfigResponse,
  topicRequest,
  updateTopicRequest,
} from "../../protocol/headers/admin_topic.ts";
import { encodeJson, parseJsonObject } from "../../protocol/java_json.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { formatAddress } from "../../remoting/connection.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";
import { metadataPage } from "../metadata_page.ts";
import { requireTopicName, retryTopicOf } from "../topic_name.ts";

const logger = getLogger(["rmq", "broker"]);

/** The table of topics. */
export interface AdminTopics {
  readonly dataVersion: DataVersion;
  readonly table: ReadonlyMap<string, TopicConfig>;
  get(topic: string): TopicConfig | undefined;
  isSystemTopic(topic: string): boolean;
  systemTopicNames(): string[];
  /** All or none; attributes with their signs. @throws RemotingError */
  update(...wished: readonly TopicConfig[]): void;
  delete(topic: string): boolean;
}

/** What is known of a topic elsewhere, and goes with it. */
export interface TopicBelongings {
  /** Groups that have consumed the topic. */
  groupsOf(topic: string): Iterable<string>;
  /** Forgets positions, queues and counts of a topic. */
  forget(topic: string): void;
}

export interface TopicQueues {
  minOffset(topic: string, queueId: number): number;
  maxOffset(topic: string, queueId: number): number;
  /** -1 where it can't be read. */
  storeTimestampOf(topic: string, queueId: number, queueOffset: number): number;
}

export interface AdminTopicOptions {
  brokerName: string;
  topics: AdminTopics;
  belongings: TopicBelongings;
  queues: TopicQueues;
  /** Messages per second put into a topic. */
  putTps: (topic: string) => number;
  /** Whether system topics are out of an administrator's reach. */
  protectSystemTopics: () => boolean;
  /** Whether topics may be of the type MIXED. */
  mixedMessageType: () => boolean;
  /** Topics in one answer to a peer that asks for parts; undefined: all. */
  metadataPageCount: () => number | undefined;
}

export function adminTopicHandlers(options: AdminTopicOptions): [number, Handler][] {
  return [
    [RequestCode.UPDATE_AND_CREATE_TOPIC, (request) => updateTopic(options, request)],
    [RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, (request) => updateTopicList(options, request)],
    [RequestCode.DELETE_TOPIC_IN_BROKER, (request) => deleteTopic(options, request)],
    [RequestCode.GET_ALL_TOPIC_CONFIG, (request) => allTopicConfig(options, request)],
    [RequestCode.GET_TOPIC_CONFIG, (request) => getTopicConfig(options, request)],
    [RequestCode.GET_TOPIC_STATS_INFO, (request) => topicStats(options, request)],
    [RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER, () => systemTopicList(options)],
  ];
}

const SUCCESS: Response = { code: ResponseCode.SUCCESS };

/** A topic with more queues could not be shown in one frame. */
const MAX_QUEUE_COUNT = 65_536;

function updateTopic(options: AdminTopicOptions, request: Request): Response {
  const header = updateTopicRequest.decode(request.fields);
  if (header.topicFilterType !== "SINGLE_TAG" && header.topicFilterType !== "MULTI_TAG") {
    throw new RemotingError(
      ResponseCode.SYSTEM_ERROR,
      `topicFilterType = [${header.topicFilterType.slice(0, 64)}] value invalid`,
    );
  }
  const config = topicConfig(header.topic, {
    readQueueNums: header.readQueueNums,
    writeQueueNums: header.writeQueueNums,
    perm: header.perm,
    topicFilterType: header.topicFilterType,
    topicSysFlag: header.topicSysFlag,
    order: header.order,
    attributes: parseAttributeChanges(header.attributes),
  });
  requireChangeable(options, config);
  options.topics.update(config);
  logger.info("topic {topic} updated by {peer}", {
    topic: header.topic,
    peer: formatAddress(request.connection.remote),
  });
  return SUCCESS;
}

function updateTopicList(options: AdminTopicOptions, request: Request): Response {
  const configs = asArray(parseJsonObject(request.body).topicConfigList)
    .map((item) => topicConfigFromJson(item));
  for (const config of configs) requireChangeable(options, config);
  options.topics.update(...configs);
  logger.info("{count} topics updated by {peer}", {
    count: configs.length,
    peer: formatAddress(request.connection.remote),
  });
  return SUCCESS;
}

/** Deleting what is not there is a success: what an earlier try left behind is still removed. */
function deleteTopic(options: AdminTopicOptions, request: Request): Response {
  const { topic } = topicRequest.decode(request.fields);
  if (topic.trim() === "") throw invalid("The specified topic is blank.");
  if (options.protectSystemTopics() && options.topics.isSystemTopic(topic)) throw conflict(topic);
  for (const name of [topic, ...popRetryTopicsOf(options, topic)]) {
    // Positions first: left over, they would make groups skip messages of a topic made anew.
    options.belongings.forget(name);
    options.topics.delete(name);
  }
  logger.info("topic {topic} deleted by {peer}", { topic, peer: formatAddress(request.connection.remote) });
  return SUCCESS;
}

/** Topics in which Apache's brokers keep what was popped from this one and not acknowledged. */
function popRetryTopicsOf({ topics, belongings }: AdminTopicOptions, topic: string): string[] {
  return [...belongings.groupsOf(topic)]
    .flatMap((group) => [`${retryTopicOf(group)}_${topic}`, `${retryTopicOf(group)}+${topic}`])
    .filter((name) => topics.get(name) !== undefined);
}

/**
 * Static topics are not built: their tables are empty, and the version of these stands still so that nobody
 * takes them for changed.
 */
function allTopicConfig({ topics, metadataPageCount }: AdminTopicOptions, request: Request): Response {
  const { topicSeq, dataVersion, maxTopicNum } = allTopicConfigRequest.decode(request.fields);
  const asked = { from: topicSeq, dataVersion, maxCount: maxTopicNum };
  const page = metadataPage(topics.table, topics.dataVersion, asked, metadataPageCount());
  return {
    code: ResponseCode.SUCCESS,
    fields: allTopicConfigResponse.encode({ totalTopicNum: topics.table.size }),
    body: encodeJson({
      dataVersion: topics.dataVersion.toJson(),
      mappingDataVersion: DataVersion.ZERO.toJson(),
      topicConfigTable: topicConfigTableToJson(page),
      topicQueueMappingDetailMap: {},
      topicQueueMappingInfoMap: {},
    }),
  };
}

function getTopicConfig({ topics }: AdminTopicOptions, request: Request): Response {
  const { topic } = topicRequest.decode(request.fields);
  const config = topics.get(topic);
  if (config === undefined) {
    throw new RemotingError(ResponseCode.TOPIC_NOT_EXIST, `No topic in this broker. topic: ${topic}`);
  }
  return { code: ResponseCode.SUCCESS, body: encodeJson(topicConfigToJson(config)) };
}

function topicStats({ brokerName, topics, queues, putTps }: AdminTopicOptions, request: Request): Response {
  const { topic } = topicRequest.decode(request.fields);
  const config = topics.get(topic);
  if (config === undefined) {
    throw new RemotingError(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist`);
  }
  const offsetTable: [MessageQueue, TopicOffset][] = [];
  const queueCount = Math.max(config.readQueueNums, config.writeQueueNums);
  for (let queueId = 0; queueId < queueCount; queueId++) {
    const minOffset = Math.max(0, queues.minOffset(topic, queueId));
    const maxOffset = Math.max(0, queues.maxOffset(topic, queueId));
    const lastUpdateTimestamp = maxOffset > 0 ? queues.storeTimestampOf(topic, queueId, maxOffset - 1) : 0;
    offsetTable.push([{ brokerName, queueId, topic }, { minOffset, maxOffset, lastUpdateTimestamp }]);
  }
  const body = encodeTopicStats({ offsetTable, topicPutTps: putTps(topic) });
  return { code: ResponseCode.SUCCESS, body };
}

function systemTopicList({ topics }: AdminTopicOptions): Response {
  return { code: ResponseCode.SUCCESS, body: encodeTopicList({ topicList: topics.systemTopicNames() }) };
}

function requireChangeable(
  { topics, protectSystemTopics, mixedMessageType }: AdminTopicOptions,
  config: TopicConfig,
): void {
  const { topicName, readQueueNums, writeQueueNums, perm } = config;
  requireTopicName(topicName);
  if (protectSystemTopics() && topics.isSystemTopic(topicName)) throw conflict(topicName);
  if (config.attributes.get("+message.type") === "MIXED" && !mixedMessageType()) {
    throw invalid("MIXED message type is not supported.");
  }
  if (!isValidPerm(perm)) {
    throw invalid(`The permission ${perm} of the topic ${topicName} is not one of 0 to 7.`);
  }
  for (const count of [readQueueNums, writeQueueNums]) {
    if (count < 0 || count > MAX_QUEUE_COUNT) {
      throw invalid(`The topic ${topicName} can't have ${count} queues, at most ${MAX_QUEUE_COUNT}.`);
    }
  }
}

/** `+name=value,-name` as a map with the signs left on its keys. @throws RemotingError [RMQ AttributeParser] */
export function parseAttributeChanges(text: string): Map<string, string> {
  const changes = new Map<string, string>();
  if (text === "") return changes;
  for (const item of text.split(",")) {
    const equals = item.indexOf("=");
    const name = equals < 0 ? item : item.slice(0, equals);
    const sign = equals < 0 ? "-" : "+";
    if (!name.startsWith(sign)) {
      const kind = equals < 0 ? "delete" : "add/alter";
      throw refused(`${kind} attribute format is wrong: ${name.slice(0, 128)}`);
    }
    if (changes.has(name)) throw refused(`key duplication: ${name.slice(0, 128)}`);
    changes.set(name, equals < 0 ? "" : item.slice(equals + 1));
  }
  return changes;
}

function refused(remark: string): RemotingError {
  return new RemotingError(ResponseCode.SYSTEM_ERROR, remark);
}

function invalid(remark: string): RemotingError {
  return new RemotingError(ResponseCode.INVALID_PARAMETER, remark);
}

function conflict(topic: string): RemotingError {
  return invalid(`The topic[${topic}] is conflict with system topic.`);
}
