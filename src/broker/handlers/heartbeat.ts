// SPDX-License-Identifier: Apache-2.0
/** HEART_BEAT, UNREGISTER_CLIENT, CHECK_CLIENT_CONFIG: clients say who they are. [RMQ ClientManageProcessor] */
import type { Clock } from "../../base/clock.ts";
import {
  type ConsumerData,
  decodeCheckClientRequest,
  decodeHeartbeat,
  type Heartbeat,
} from "../../protocol/bodies/heartbeat.ts";
import { Perm, TopicSysFlag } from "../../protocol/bodies/topic_config.ts";
import { heartbeatResponse, unregisterClientRequest } from "../../protocol/headers/client.ts";
import { LANGUAGES } from "../../protocol/language.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";
import type { ClientIdentity, Clients } from "../clients.ts";
import type { ConsumerFilters } from "../consumer_filters.ts";
import type { Groups } from "../groups.ts";
import { requireServedExpression, Subscription } from "../subscription.ts";
import { retryTopicOf } from "../topic_name.ts";
import type { Topics } from "../topics.ts";

export interface HeartbeatOptions {
  readonly clock: Clock;
  readonly clients: Clients;
  readonly groups: Pick<Groups, "find" | "get">;
  readonly topics: Pick<Topics, "createForSendBack" | "isOrderTopic">;
  readonly filters: Pick<ConsumerFilters, "register">;
  readonly settings: () => HeartbeatSettings;
}

export interface HeartbeatSettings {
  /** Consumers that pull by themselves are not registered. */
  readonly rejectPullConsumers: boolean;
  /** Whether consumers may filter by SQL92 expressions. */
  readonly propertyFilter: boolean;
}

/** What one heartbeat may make us remember; far above what any client sends. */
const MAX_GROUPS = 4096;
const MAX_SUBSCRIPTIONS_PER_GROUP = 4096;
const MAX_TAGS = 4096;
const MAX_NAME_LENGTH = 255;
const MAX_CLIENT_ID_LENGTH = 1024;
const MAX_EXPRESSION_LENGTH = 64 * 1024;

const OK: Response = { code: ResponseCode.SUCCESS };

export function heartbeatHandlers(options: HeartbeatOptions): [number, Handler][] {
  return [
    [RequestCode.HEART_BEAT, (request) => handleHeartbeat(options, request)],
    [RequestCode.UNREGISTER_CLIENT, (request) => handleUnregister(options, request)],
    [RequestCode.CHECK_CLIENT_CONFIG, (request) => handleCheckClient(options, request)],
  ];
}

function handleHeartbeat(options: HeartbeatOptions, request: Request): Response {
  const heartbeat = decodeHeartbeat(request.body, options.clock.nowMs());
  checkSize(heartbeat);
  const client: ClientIdentity = {
    connection: request.connection,
    clientId: heartbeat.clientId,
    language: LANGUAGES[request.command.language] ?? "OTHER",
    version: request.command.version,
  };
  const isVersion2 = heartbeat.fingerprint !== 0;
  let wantsSubscriptions = !isVersion2;
  for (const data of heartbeat.consumers) {
    if (registerConsumer(options, client, data, heartbeat)) wantsSubscriptions = true;
  }
  for (const group of heartbeat.producerGroups) options.clients.registerProducer(group, client);
  return {
    code: ResponseCode.SUCCESS,
    fields: heartbeatResponse.encode({
      IS_SUPPORT_HEART_BEAT_V2: "true",
      IS_SUB_CHANGE: String(wantsSubscriptions),
    }),
  };
}

/** A group that may not be made is passed over without an error, so that the client's other groups live. */
function registerConsumer(
  options: HeartbeatOptions,
  client: ClientIdentity,
  data: ConsumerData,
  heartbeat: Heartbeat,
): boolean {
  const { clients, groups, topics } = options;
  if (options.settings().rejectPullConsumers && data.consumeType === "CONSUME_ACTIVELY") return false;
  const config = groups.find(data.groupName);
  if (config === undefined) return false;
  const isVersion2 = heartbeat.fingerprint !== 0;
  const keepsSubscriptions = isVersion2 && heartbeat.withoutSubscriptions;
  topics.createForSendBack(retryTopicOf(data.groupName), {
    queueCount: config.retryQueueNums,
    perm: Perm.READ | Perm.WRITE,
    order: keepsSubscriptions
      ? undefined
      : data.subscriptionDataSet.some(({ topic }) => topics.isOrderTopic(topic)),
    topicSysFlag: data.unitMode ? TopicSysFlag.UNIT_SUB : 0,
    soon: true,
  });
  if (!keepsSubscriptions && options.settings().propertyFilter) {
    options.filters.register(data.groupName, data.subscriptionDataSet);
  }
  return clients.registerConsumer(client, {
    data,
    fingerprint: isVersion2 ? heartbeat.fingerprint : undefined,
    keepsSubscriptions,
    notifies: config.notifyConsumerIdsChangedEnable,
  });
}

function handleUnregister({ clients, groups }: HeartbeatOptions, request: Request): Response {
  const { producerGroup, consumerGroup } = unregisterClientRequest.decode(request.fields);
  if (producerGroup) clients.unregisterProducer(producerGroup, request.connection);
  if (consumerGroup) {
    const notifies = groups.get(consumerGroup)?.notifyConsumerIdsChangedEnable ?? true;
    clients.unregisterConsumer(consumerGroup, request.connection, notifies);
  }
  return OK;
}

/** Sent before a consumer with an expression other than tags starts; it does not start unless this succeeds. */
function handleCheckClient({ clock, settings }: HeartbeatOptions, request: Request): Response {
  const { subscription } = decodeCheckClientRequest(request.body, clock.nowMs());
  if (subscription === undefined) return OK;
  requireServedExpression(subscription.expressionType, settings().propertyFilter);
  limit(subscription.subString.length, MAX_EXPRESSION_LENGTH, "characters in an expression");
  // Throws where the expression can't be read: the only place at which its author is told.
  void new Subscription(subscription).filter;
  return OK;
}

/** @throws RemotingError INVALID_PARAMETER when a heartbeat says more than can be meant */
function checkSize(heartbeat: Heartbeat): void {
  const { clientId, producerGroups, consumers } = heartbeat;
  limit(clientId.length, MAX_CLIENT_ID_LENGTH, "characters in the client's id");
  limit(producerGroups.length + consumers.length, MAX_GROUPS, "groups");
  for (const group of producerGroups) {
    limit(group.length, MAX_NAME_LENGTH, "characters in the name of a group");
  }
  for (const { groupName, subscriptionDataSet } of consumers) {
    limit(groupName.length, MAX_NAME_LENGTH, "characters in the name of a group");
    limit(subscriptionDataSet.length, MAX_SUBSCRIPTIONS_PER_GROUP, "subscriptions in a group");
    for (const { topic, subString, tagsSet, codeSet, expressionType } of subscriptionDataSet) {
      limit(topic.length, MAX_NAME_LENGTH, "characters in the name of a topic");
      limit(subString.length, MAX_EXPRESSION_LENGTH, "characters in an expression");
      limit(expressionType.length, MAX_NAME_LENGTH, "characters in the type of an expression");
      limit(Math.max(tagsSet.length, codeSet.length), MAX_TAGS, "tags in a subscription");
    }
  }
}

function limit(count: number, max: number, what: string): void {
  if (count <= max) return;
  throw new RemotingError(
    ResponseCode.INVALID_PARAMETER,
    `the heartbeat has ${count} ${what}; ${max} are allowed`,
  );
}
