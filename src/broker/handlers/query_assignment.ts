// SPDX-License-Identifier: Apache-2.0
/**
 * QUERY_ASSIGNMENT (400): consumers with `clientRebalance=false` ask the broker which queues are theirs. Since
 * 5.3.3 such a client consumes nothing at a broker that answers an error. Queues are only ever given to be
 * pulled from: POP is not built. [RMQ QueryAssignmentProcessor]
 */
import { decodeAssignmentRequest, encodeAssignments } from "../../protocol/bodies/query_assignment.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import type { Handler, Request } from "../../remoting/request.ts";
import { STRATEGIES } from "../assignment.ts";
import type { TopicQueueList } from "../cluster_queues.ts";

export interface QueryAssignmentOptions {
  clients: {
    consumerGroup(group: string): { members: readonly { clientId: string }[] } | undefined;
  };
  /** The topic's queues at all brokers: every broker must give the same answer. */
  queuesOf: (topic: string) => Promise<TopicQueueList>;
}

export function queryAssignmentHandlers(options: QueryAssignmentOptions): [number, Handler][] {
  return [[RequestCode.QUERY_ASSIGNMENT, (request) => queryAssignment(options, request)]];
}

/** Where the part of the client is not certain, it is told to keep what it has. */
async function queryAssignment(options: QueryAssignmentOptions, request: Request): Promise<Response> {
  const { topic, consumerGroup, clientId, strategyName, messageModel } = decodeAssignmentRequest(
    request.body,
  );
  const queues = await options.queuesOf(topic);
  if (messageModel === "BROADCASTING") return assigned(queues);
  const members = options.clients.consumerGroup(consumerGroup)?.members;
  const strategy = STRATEGIES.get(strategyName);
  if (queues === undefined || members === undefined || strategy === undefined) return assigned(undefined);
  const clientIds = [...new Set(members.map((member) => member.clientId))].sort();
  return assigned(strategy(queues, clientIds, clientId));
}

function assigned(queues: TopicQueueList): Response {
  return { code: ResponseCode.SUCCESS, body: encodeAssignments(queues) };
}
