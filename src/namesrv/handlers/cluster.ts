// SPDX-License-Identifier: Apache-2.0
import { encodeBrokerMemberGroup } from "../../protocol/bodies/broker_member_group.ts";
import { encodeClusterInfo } from "../../protocol/bodies/cluster_info.ts";
import { memberGroupRequest } from "../../protocol/headers/name_server.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import type { Handler, HandlerTable, Request } from "../../remoting/request.ts";
import type { RouteTable } from "../route_table.ts";

/** Who is there. Every 5.x broker asks for all of it every five seconds. */
export function clusterHandlers(routes: RouteTable): HandlerTable {
  function handleClusterInfo(): Response {
    return { code: ResponseCode.SUCCESS, body: encodeClusterInfo(routes.clusterInfo()) };
  }

  function handleMemberGroup(request: Request): Response {
    const { clusterName: cluster, brokerName } = memberGroupRequest.decode(request.fields);
    const brokerAddrs = routes.members(brokerName);
    return {
      code: ResponseCode.SUCCESS,
      body: encodeBrokerMemberGroup({ cluster, brokerName, brokerAddrs }),
    };
  }

  return new Map<number, Handler>([
    [RequestCode.GET_BROKER_CLUSTER_INFO, handleClusterInfo],
    [RequestCode.GET_BROKER_MEMBER_GROUP, handleMemberGroup],
  ]);
}
