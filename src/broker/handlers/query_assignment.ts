// SPDX-License-Identifier: Apache-2.0
/**
 * QUERY_ASSIGNMENT (400): consumers with `clientRebalance=false` ask the broker which queues are theirs. Since
 * 5.3.3 such a client consumes nothing at a broker that answers an error. They are told, too, whether to pull
 * from them or to pop. [RMQ QueryAssignmentProcessor]
 */
import { decodeAssignmentRequest, encodeAssignments } from "../../protocol/bodies/query_assignment.ts";
import type { GroupRequestMode, RequestMode } from "../../protocol/bodies/request_mode.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import type { Handler, Request } from "../../remoting/request.ts";
import { popShare, STRATEGIES } from "../assignment.ts";
import type { TopicQueueList } from "../cluster_queues.ts";
import { isRetryTopic } from "../topic_name.ts";

export interface QueryAssignmentOptions {
  clients: {
    consumerGroup(group: string): { members: readonly { clientId: string }[] } | undefined;
  };
  /** The topic's queues at all brokers: every broker must give the same answer. */
  queuesOf: (topic: string) => Promise<TopicQueueList>;
  /** How administrators want a group to get a topic's messages. */
  modeOf: (topic: string, group: string) => GroupMode | undefined;
  settings: () => AssignmentSettings;
}

type GroupMode = Pick<GroupRequestMode, "mode" | "popShareQueueNum">;

export interface AssignmentSettings {
  /** Otherwise every client is given every queue. */
  readonly sharesOutQueues: boolean;
  /** For groups of which administrators have said nothing. */
  readonly defaultRequestMode: RequestMode;
  readonly defaultPopShareCount: number;
}

export function queryAssignmentHandlers(options: QueryAssignmentOptions): [number, Handler][] {
  return [[RequestCode.QUERY_ASSIGNMENT, (request) => queryAssignment(options, request)]];
}

/** Where the part of the client is not certain, it is told to keep what it has. */
async function queryAssignment(options: QueryAssignmentOptions, request: Request): Promise<Response> {
  const { topic, consumerGroup, clientId, strategyName, messageModel } = decodeAssignmentRequest(
    request.body,
  );
  const { mode, popShareQueueNum } = modeOf(options, topic, consumerGroup);
  const assigned = (queues: TopicQueueList): Response => ({
    code: ResponseCode.SUCCESS,
    body: encodeAssignments(queues, mode),
  });
  const queues = await options.queuesOf(topic);
  if (messageModel === "BROADCASTING" || !options.settings().sharesOutQueues) return assigned(queues);
  const members = options.clients.consumerGroup(consumerGroup)?.members;
  const strategy = STRATEGIES.get(strategyName);
  if (queues === undefined || members === undefined || strategy === undefined) return assigned(undefined);
  const clientIds = [...new Set(members.map((member) => member.clientId))].sort();
  return assigned(
    mode === "POP"
      ? popShare(strategy, queues, clientIds, clientId, popShareQueueNum)
      : strategy(queues, clientIds, clientId),
  );
}

/** The retry topic of pulling clients is always pulled from. */
function modeOf(options: QueryAssignmentOptions, topic: string, group: string): GroupMode {
  const wanted = options.modeOf(topic, group);
  if (wanted !== undefined) return wanted;
  if (isRetryTopic(topic)) return { mode: "PULL", popShareQueueNum: 0 };
  const { defaultRequestMode, defaultPopShareCount } = options.settings();
  return { mode: defaultRequestMode, popShareQueueNum: defaultPopShareCount };
}
