// SPDX-License-Identifier: Apache-2.0
/** What administrators ask a broker about consumer groups and connected clients. */
import {
  decodeConsumerConnection,
  decodeProducerTable,
  type OnlineGroup,
  type ProducerInfo,
} from "../../protocol/bodies/client_connections.ts";
import { encodeRequestMode, type GroupRequestMode } from "../../protocol/bodies/request_mode.ts";
import {
  type ConsumerRunningInfo,
  decodeConsumerRunningInfo,
} from "../../protocol/bodies/consumer_running_info.ts";
import {
  decodeGroupTable,
  encodeGroupConfig,
  type GroupConfig,
} from "../../protocol/bodies/subscription_group.ts";
import { consumerGroupRequest } from "../../protocol/headers/admin_clients.ts";
import { deleteGroupRequest } from "../../protocol/headers/admin_group.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { type AdminPeer, ask, askFor } from "./ask.ts";

/** Creates a group or replaces its settings. */
export async function putGroup(broker: AdminPeer, config: GroupConfig): Promise<void> {
  const code = RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
  await ask(broker, code, undefined, encodeGroupConfig(config));
}

/** @param cleanOffset forget where it stands, too */
export async function deleteGroup(broker: AdminPeer, groupName: string, cleanOffset: boolean): Promise<void> {
  const fields = deleteGroupRequest.encode({ groupName, cleanOffset });
  await ask(broker, RequestCode.DELETE_SUBSCRIPTIONGROUP, fields);
}

export async function groupConfigs(broker: AdminPeer): Promise<ReadonlyMap<string, GroupConfig>> {
  return decodeGroupTable((await ask(broker, RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)).body).groups;
}

/** The consumers of a group that are connected to this broker; undefined where there are none. */
export async function onlineGroup(broker: AdminPeer, group: string): Promise<OnlineGroup | undefined> {
  const fields = consumerGroupRequest.encode({ consumerGroup: group });
  const answer = await askFor(
    broker,
    ResponseCode.CONSUMER_NOT_ONLINE,
    RequestCode.GET_CONSUMER_CONNECTION_LIST,
    fields,
  );
  return answer && decodeConsumerConnection(answer.body);
}

/** Producer groups with the clients that are connected to this broker. */
export async function producers(broker: AdminPeer): Promise<Map<string, ProducerInfo[]>> {
  return decodeProducerTable((await ask(broker, RequestCode.GET_ALL_PRODUCER_INFO)).body);
}

/** Lets clients of 5.x with `clientRebalance=false` pop or pull a topic. Brokers of 4.9 know no such thing. */
export async function setRequestMode(broker: AdminPeer, mode: GroupRequestMode): Promise<void> {
  await ask(broker, RequestCode.SET_MESSAGE_REQUEST_MODE, undefined, encodeRequestMode(mode));
}

/** Brokers wait so long for what a client says of itself; we wait longer. */
const RELAY_TIMEOUT_MS = 12_000;

/** What one consumer says of itself, by way of its broker. @param hasStacks with the stacks of its threads */
export async function consumerRunningInfo(
  broker: AdminPeer,
  group: string,
  clientId: string,
  hasStacks: boolean,
): Promise<ConsumerRunningInfo> {
  const fields = { consumerGroup: group, clientId, jstackEnable: String(hasStacks) };
  const patient = { ...broker, timeoutMs: Math.max(broker.timeoutMs, RELAY_TIMEOUT_MS) };
  const answer = await ask(patient, RequestCode.GET_CONSUMER_RUNNING_INFO, fields);
  return decodeConsumerRunningInfo(answer.body);
}
