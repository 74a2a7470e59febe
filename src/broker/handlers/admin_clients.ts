// SPDX-License-Identifier: Apache-2.0
/** Who is connected, and what is handed on to clients. [RMQ AdminBrokerProcessor, Broker2Client] */
import {
  encodeConsumerConnection,
  encodeProducerConnection,
  encodeProducerTable,
} from "../../protocol/bodies/client_connections.ts";
import {
  decodeConsumerStatus,
  encodeConsumerStatuses,
  type QueueOffsets,
} from "../../protocol/bodies/reset_offset.ts";
import { type SubscriptionData, subscriptionDataToJson } from "../../protocol/bodies/subscription_data.ts";
import type { GroupConfig } from "../../protocol/bodies/subscription_group.ts";
import type { TopicConfig } from "../../protocol/bodies/topic_config.ts";
import {
  consumeDirectlyRequest,
  consumerClientRequest,
  consumerGroupRequest,
  consumerStatusRequest,
  producerGroupRequest,
} from "../../protocol/headers/admin_clients.ts";
import { parseOffsetMessageId } from "../../protocol/message_id.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { Version } from "../../protocol/version.ts";
import type { OutgoingRequest, Response } from "../../remoting/command.ts";
import { type Connection, formatAddress } from "../../remoting/connection.ts";
import { RemotingError, RemotingIoError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";

/** A client in a group. */
export interface GroupMember {
  readonly connection: Connection;
  readonly clientId: string;
  readonly language: string;
  readonly version: number;
  readonly lastHeartbeatMs: number;
}

/** A consumer group that is online. */
export interface OnlineConsumers {
  readonly consumeType: string;
  readonly messageModel: string;
  readonly consumeFromWhere: string;
  readonly members: readonly GroupMember[];
  readonly subscriptions: ReadonlyMap<string, SubscriptionData>;
}

export interface AdminClientsOptions {
  brokerName: string;
  clients: {
    consumerGroup(group: string): OnlineConsumers | undefined;
    consumer(group: string, clientId: string): GroupMember | undefined;
    producers(group: string): readonly GroupMember[] | undefined;
    producerGroups(): Iterable<[group: string, members: readonly GroupMember[]]>;
  };
  topics: { get(topic: string): TopicConfig | undefined };
  groups: { get(group: string): GroupConfig | undefined };
  store: { readRecord(physicalOffset: number): Uint8Array | undefined };
}

export function adminClientsHandlers(options: AdminClientsOptions): [number, Handler][] {
  return [
    [RequestCode.GET_CONSUMER_CONNECTION_LIST, (request) => consumerConnections(options, request)],
    [RequestCode.GET_PRODUCER_CONNECTION_LIST, (request) => producerConnections(options, request)],
    [RequestCode.GET_ALL_PRODUCER_INFO, () => allProducers(options)],
    [RequestCode.GET_CONSUMER_RUNNING_INFO, (request) => runningInfo(options, request)],
    [RequestCode.CONSUME_MESSAGE_DIRECTLY, (request) => consumeDirectly(options, request)],
    [RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, (request) => consumerStatus(options, request)],
  ];
}

const RELAY_TIMEOUT_MS = 10_000;
const STATUS_TIMEOUT_MS = 5000;

function consumerConnections({ clients }: AdminClientsOptions, request: Request): Response {
  const { consumerGroup } = consumerGroupRequest.decode(request.fields);
  const group = clients.consumerGroup(consumerGroup);
  if (group === undefined) {
    throw new RemotingError(
      ResponseCode.CONSUMER_NOT_ONLINE,
      `the consumer group[${consumerGroup}] not online`,
    );
  }
  const { members, consumeType, messageModel, consumeFromWhere } = group;
  const subscriptions = new Map(
    [...group.subscriptions].map(([topic, data]) => [topic, subscriptionDataToJson(data)]),
  );
  const connections = members.map(connectionOf);
  return {
    code: ResponseCode.SUCCESS,
    body: encodeConsumerConnection({
      connections,
      consumeType,
      messageModel,
      consumeFromWhere,
      subscriptions,
    }),
  };
}

function producerConnections({ clients }: AdminClientsOptions, request: Request): Response {
  const { producerGroup } = producerGroupRequest.decode(request.fields);
  const members = clients.producers(producerGroup);
  if (members === undefined) throw refused(`the producer group[${producerGroup}] not exist`);
  return { code: ResponseCode.SUCCESS, body: encodeProducerConnection(members.map(connectionOf)) };
}

function allProducers({ clients }: AdminClientsOptions): Response {
  const groups = [...clients.producerGroups()].map(([group, members]) =>
    [
      group,
      members.map(({ clientId, connection, language, version, lastHeartbeatMs }) => ({
        clientId,
        remoteAddress: formatAddress(connection.remote),
        language,
        version,
        lastUpdateTimestampMs: lastHeartbeatMs,
      })),
    ] as const
  );
  return { code: ResponseCode.SUCCESS, body: encodeProducerTable(groups) };
}

function runningInfo({ clients }: AdminClientsOptions, request: Request): Promise<Response> {
  const { consumerGroup, clientId } = consumerClientRequest.decode(request.fields);
  return relay(clients.consumer(consumerGroup, clientId), consumerGroup, clientId, {
    code: RequestCode.GET_CONSUMER_RUNNING_INFO,
    fields: request.fields ?? {},
    body: request.body ?? undefined,
  });
}

/** The message goes along as it is stored; its address in the id is not looked at, as at Apache's. */
function consumeDirectly(options: AdminClientsOptions, request: Request): Promise<Response> {
  const { consumerGroup, clientId, msgId, topic } = consumeDirectlyRequest.decode(request.fields);
  const id = parseOffsetMessageId(msgId);
  if (id === undefined) throw refused(`${msgId.slice(0, 128)} is not the offset message id of a message`);
  const body = options.store.readRecord(id.physicalOffset);
  if (body === undefined) throw refused(`the message ${msgId} is not stored here`);
  const fields = { ...request.fields, brokerName: options.brokerName };
  const topicConfig = topic === undefined ? undefined : options.topics.get(topic);
  if (topicConfig !== undefined) Object.assign(fields, { topicSysFlag: String(topicConfig.topicSysFlag) });
  const group = options.groups.get(consumerGroup);
  if (group !== undefined) Object.assign(fields, { groupSysFlag: String(group.groupSysFlag) });
  const member = options.clients.consumer(consumerGroup, clientId);
  const call = { code: RequestCode.CONSUME_MESSAGE_DIRECTLY, fields, body };
  return relay(member, consumerGroup, clientId, call);
}

/** The client's answer is the answer, whatever it is. */
async function relay(
  member: GroupMember | undefined,
  group: string,
  clientId: string,
  call: OutgoingRequest,
): Promise<Response> {
  if (member === undefined) throw refused(`The Consumer <${group}> <${clientId}> not online`);
  if (member.version < Version.V3_1_8_SNAPSHOT) {
    throw refused(
      `The Consumer <${clientId}> Version <${member.version}> too low to finish, please upgrade it to V3_1_8_SNAPSHOT`,
    );
  }
  try {
    const answer = await member.connection.request(call, RELAY_TIMEOUT_MS);
    return {
      code: answer.code,
      remark: answer.remark ?? undefined,
      fields: answer.fields ?? undefined,
      body: answer.body ?? undefined,
    };
  } catch (error) {
    if (!(error instanceof RemotingIoError)) throw error;
    const code = member.connection.closed ? ResponseCode.SYSTEM_ERROR : ResponseCode.CONSUME_MSG_TIMEOUT;
    throw new RemotingError(code, `consumer <${group}> <${clientId}>: ${error.message}`, { cause: error });
  }
}

/** Clients that can't be asked are left out of the answer. */
async function consumerStatus({ clients }: AdminClientsOptions, request: Request): Promise<Response> {
  const { topic, group, clientAddr } = consumerStatusRequest.decode(request.fields);
  const online = clients.consumerGroup(group);
  if (online === undefined) throw refused(`No Any Consumer online in the consumer group: [${group}]`);
  const asked = online.members.filter(({ clientId }) => !clientAddr || clientId === clientAddr);
  const fields = consumerStatusRequest.encode({ topic, group, clientAddr: undefined });
  const statuses = await Promise.all(asked.map((member) => askStatus(member, fields)));
  const byClientId = new Map<string, QueueOffsets>();
  asked.forEach(({ clientId }, at) => {
    const offsets = statuses[at];
    if (offsets !== undefined) byClientId.set(clientId, offsets);
  });
  return { code: ResponseCode.SUCCESS, body: encodeConsumerStatuses(byClientId) };
}

async function askStatus(
  { connection }: GroupMember,
  fields: Record<string, string>,
): Promise<QueueOffsets | undefined> {
  try {
    const call = { code: RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT, fields };
    const answer = await connection.request(call, STATUS_TIMEOUT_MS);
    return answer.code === ResponseCode.SUCCESS ? decodeConsumerStatus(answer.body) : undefined;
  } catch {
    return undefined;
  }
}

function connectionOf(member: GroupMember): {
  clientId: string;
  clientAddr: string;
  language: string;
  version: number;
} {
  const { clientId, connection, language, version } = member;
  return { clientId, clientAddr: formatAddress(connection.remote), language, version };
}

function refused(remark: string): RemotingError {
  return new RemotingError(ResponseCode.SYSTEM_ERROR, remark);
}
