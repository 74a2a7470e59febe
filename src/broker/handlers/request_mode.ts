// SPDX-License-Identifier: Apache-2.0
/**
 * SET_MESSAGE_REQUEST_MODE (401): whether a group pops a topic or pulls it; GET_ALL_MESSAGE_REQUEST_MODE (402),
 * by which slaves learn of it. [RMQ QueryAssignmentProcessor, AdminBrokerProcessor]
 */
import { decodeRequestMode, type GroupRequestMode } from "../../protocol/bodies/request_mode.ts";
import { encodeJson } from "../../protocol/java_json.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";
import { isRetryTopic } from "../topic_name.ts";

export interface RequestModeOptions {
  modes: { set(mode: GroupRequestMode): void; toJson(): Record<string, unknown> };
  topics: { has(topic: string): boolean };
  groups: { find(group: string): unknown };
}

export function requestModeHandlers(options: RequestModeOptions): [number, Handler][] {
  return [
    [RequestCode.SET_MESSAGE_REQUEST_MODE, (request) => handleSet(options, request)],
    [RequestCode.GET_ALL_MESSAGE_REQUEST_MODE, () => ({
      code: ResponseCode.SUCCESS,
      body: encodeJson(options.modes.toJson()),
    })],
  ];
}

function handleSet({ modes, topics, groups }: RequestModeOptions, request: Request): Response {
  const mode = decodeRequestMode(request.body);
  if (isRetryTopic(mode.topic)) {
    throw new RemotingError(ResponseCode.NO_PERMISSION, "retry topic is not allowed to set mode");
  }
  if (!topics.has(mode.topic)) {
    throw new RemotingError(ResponseCode.TOPIC_NOT_EXIST, `topic[${mode.topic}] not exist`);
  }
  if (groups.find(mode.consumerGroup) === undefined) {
    throw new RemotingError(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, "subscription group does not exist");
  }
  modes.set(mode);
  return { code: ResponseCode.SUCCESS };
}
