// SPDX-License-Identifier: Apache-2.0
/** The broker itself, its counts, its files and its metadata. [RMQ AdminBrokerProcessor] */
import { getLogger } from "@logtape/logtape";
import { encodeBrokerStats } from "../../protocol/bodies/broker_stats.ts";
import { encodeKvTable } from "../../protocol/bodies/kv_table.ts";
import { type SubscriptionData, subscriptionDataToJson } from "../../protocol/bodies/subscription_data.ts";
import { brokerStatsRequest, queryConsumeQueueRequest } from "../../protocol/headers/admin_broker.ts";
import { encodeJson } from "../../protocol/java_json.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { formatAddress } from "../../remoting/connection.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";
import type { ItemStats } from "../statistics.ts";
import { isLightName } from "../topic_name.ts";

const logger = getLogger(["rmq", "broker"]);

export interface AdminStore {
  readonly maxPhysicalOffset: number;
  /** Topics that have queues on disk. */
  topics(): string[];
  deleteTopic(topic: string): void;
  deleteExpiredFiles(): void;
  queueIdsOf(topic: string): number[];
  minOffset(topic: string, queueId: number): number;
  maxOffset(topic: string, queueId: number): number;
  queueEntry(
    topic: string,
    queueId: number,
    queueOffset: number,
  ): { physicalOffset: number; size: number; tagsCode: number } | undefined;
}

export interface AdminBrokerOptions {
  store: AdminStore;
  topics: { get(topic: string): unknown; isSystemTopic(topic: string): boolean };
  clients: { subscription(group: string, topic: string): AskedSubscription | undefined };
  statistics: { view(name: string, key: string): ItemStats | undefined };
  /** The answer to GET_BROKER_RUNTIME_INFO. */
  runtimeInfo: () => ReadonlyMap<string, string>;
  /** The answer to GET_BROKER_HA_STATUS. */
  haStatus: () => Uint8Array;
  /** Values for `stringifyJson`: what slaves copy. */
  consumerOffsets: () => unknown;
  delayOffsets: () => unknown;
}

/** What a group wants of a topic. */
export interface AskedSubscription extends SubscriptionData {
  /** Whether a queue entry with this tags code is wanted. */
  matches(tagsCode: number): boolean;
}

export function adminBrokerHandlers(options: AdminBrokerOptions): [number, Handler][] {
  return [
    [RequestCode.GET_BROKER_RUNTIME_INFO, () => success(encodeKvTable(options.runtimeInfo()))],
    [RequestCode.VIEW_BROKER_STATS_DATA, (request) => viewStats(options, request)],
    [RequestCode.CLEAN_UNUSED_TOPIC, (request) => cleanUnusedTopics(options, request)],
    [RequestCode.DELETE_EXPIRED_COMMITLOG, (request) => deleteExpiredLog(options, request)],
    [RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE, () => SUCCESS_BY_ITSELF],
    [RequestCode.QUERY_CONSUME_QUEUE, (request) => queryConsumeQueue(options, request)],
    [RequestCode.GET_BROKER_HA_STATUS, () => success(options.haStatus())],
    [RequestCode.GET_BROKER_EPOCH_CACHE, () => NO_CONTROLLER],
    [RequestCode.RESET_MASTER_FLUSH_OFFSET, () => SUCCESS],
    [RequestCode.GET_ALL_CONSUMER_OFFSET, () => success(encodeJson(options.consumerOffsets()))],
    [RequestCode.GET_ALL_DELAY_OFFSET, () => success(encodeJson(options.delayOffsets()))],
  ];
}

/** Also what a master answers to RESET_MASTER_FLUSH_OFFSET, which concerns slaves. */
const SUCCESS: Response = { code: ResponseCode.SUCCESS };

/** Queues follow the log: what the log has lost is cut off them whenever a log file is deleted. */
const SUCCESS_BY_ITSELF: Response = {
  code: ResponseCode.SUCCESS,
  remark: "queues are cleaned whenever a file of the CommitLog is deleted",
};

/** There is no controller here. The trailing blank is Apache's. */
const NO_CONTROLLER: Response = {
  code: ResponseCode.SYSTEM_ERROR,
  remark: "this request only for controllerMode ",
};

/** Entries in one answer to QUERY_CONSUME_QUEUE. */
const MAX_QUEUE_ENTRIES = 10_000;

function success(body: Uint8Array): Response {
  return { code: ResponseCode.SUCCESS, body };
}

/** SYSTEM_ERROR is what tools and the exporter take for "not counted". */
function viewStats({ statistics }: AdminBrokerOptions, request: Request): Response {
  const { statsName, statsKey } = brokerStatsRequest.decode(request.fields);
  const stats = statistics.view(statsName, statsKey);
  if (stats === undefined) throw refused(`The stats <${statsName}> <${statsKey}> not exist`);
  return success(encodeBrokerStats(stats));
}

/** Removes queues of topics that the table does not know any more. */
function cleanUnusedTopics({ store, topics }: AdminBrokerOptions, request: Request): Response {
  const unused = store.topics()
    .filter((topic) =>
      topics.get(topic) === undefined && !topics.isSystemTopic(topic) && !isLightName(topic)
    );
  for (const topic of unused) store.deleteTopic(topic);
  logger.info("queues of {count} unused topics deleted by {peer}: {unused}", {
    count: unused.length,
    peer: formatAddress(request.connection.remote),
    unused,
  });
  return SUCCESS;
}

function deleteExpiredLog({ store }: AdminBrokerOptions, request: Request): Response {
  store.deleteExpiredFiles();
  logger.info("expired files are deleted now at the wish of {peer}", {
    peer: formatAddress(request.connection.remote),
  });
  return SUCCESS;
}

/** Entries of one queue from `index` on; with a group, whether each would be given to it. */
function queryConsumeQueue({ store, clients }: AdminBrokerOptions, request: Request): Response {
  const { topic, queueId, index, count, consumerGroup } = queryConsumeQueueRequest.decode(request.fields);
  if (!store.queueIdsOf(topic).includes(queueId)) throw refused(`${queueId}@${topic} is not exist!`);
  const minQueueIndex = store.minOffset(topic, queueId);
  const maxQueueIndex = store.maxOffset(topic, queueId);
  const subscription = consumerGroup === "" ? undefined : clients.subscription(consumerGroup, topic);
  const queueData = [];
  const end = Math.min(maxQueueIndex, index + Math.min(Math.max(0, count), MAX_QUEUE_ENTRIES));
  for (let at = Math.max(index, minQueueIndex); at < end; at++) {
    const entry = store.queueEntry(topic, queueId, at);
    if (entry === undefined) break;
    queueData.push({
      eval: subscription?.matches(entry.tagsCode) ?? false,
      physicOffset: entry.physicalOffset,
      physicSize: entry.size,
      tagsCode: entry.tagsCode,
    });
  }
  const subscriptionData = subscription && subscriptionDataToJson(subscription);
  const filterData = subscription && "null";
  return success(encodeJson({ filterData, maxQueueIndex, minQueueIndex, queueData, subscriptionData }));
}

function refused(remark: string): RemotingError {
  return new RemotingError(ResponseCode.SYSTEM_ERROR, remark);
}
