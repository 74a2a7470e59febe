// SPDX-License-Identifier: Apache-2.0
/** GET_CONSUMER_LIST_BY_GROUP: who shares a group's queues. [RMQ ConsumerManageProcessor.getConsumerListByGroup] */
import { encodeConsumerList } from "../../protocol/bodies/consumer_list.ts";
import { consumerListRequest } from "../../protocol/headers/client.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";
import type { Clients } from "../clients.ts";

export interface GroupMembersOptions {
  readonly clients: Pick<Clients, "consumerGroup">;
}

export function groupMembersHandlers({ clients }: GroupMembersOptions): [number, Handler][] {
  return [[RequestCode.GET_CONSUMER_LIST_BY_GROUP, (request) => handleGetMembers(clients, request)]];
}

/**
 * An empty list would make clients give up all their queues, so nobody is an error. A client that has come
 * back before we noticed that its old connection is gone counts once: it can only take one share.
 */
function handleGetMembers(clients: GroupMembersOptions["clients"], request: Request): Response {
  const { consumerGroup } = consumerListRequest.decode(request.fields);
  const members = clients.consumerGroup(consumerGroup)?.members ?? [];
  if (members.length === 0) {
    throw new RemotingError(
      ResponseCode.SYSTEM_ERROR,
      `no consumer for this group, ${consumerGroup.slice(0, 255)}`,
    );
  }
  const clientIds = new Set(members.map((member) => member.clientId));
  return { code: ResponseCode.SUCCESS, body: encodeConsumerList([...clientIds]) };
}
