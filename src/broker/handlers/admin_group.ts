// SPDX-License-Identifier: Apache-2.0
/** Consumer groups as administrators see and change them. [RMQ AdminBrokerProcessor] */
import { getLogger } from "@logtape/logtape";
import {
  decodeGroupConfig,
  decodeGroupConfigList,
  encodeGroupConfig,
  encodeGroupTable,
  type ForbiddenTable,
  type GroupConfig,
  type GroupTable,
} from "../../protocol/bodies/subscription_group.ts";
import {
  allGroupConfigRequest,
  allGroupConfigResponse,
  deleteGroupRequest,
  groupForbiddenRequest,
  groupRequest,
} from "../../protocol/headers/admin_group.ts";
import { encodeJson } from "../../protocol/java_json.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { formatAddress } from "../../remoting/connection.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, Request } from "../../remoting/request.ts";
import { metadataPage } from "../metadata_page.ts";
import { requireGroupName } from "../topic_name.ts";

const logger = getLogger(["rmq", "broker"]);

/** The table of groups. */
export interface AdminGroups {
  readonly table: GroupTable;
  /** The group, made now if it may be. */
  find(group: string): GroupConfig | undefined;
  /** All or none; attributes with their signs. @throws RemotingError */
  update(...wished: readonly GroupConfig[]): void;
  delete(group: string): boolean;
  isReadForbidden(group: string, topic: string): boolean;
  setReadForbidden(group: string, topic: string, isForbidden: boolean): void;
}

export interface AdminGroupOptions {
  groups: AdminGroups;
  /** Forgets a group's positions in all topics. */
  removeOffsets: (group: string) => void;
  /** Forgets what a group has counted. */
  removeStatistics: (group: string) => void;
  /** Groups in one answer to a peer that asks for parts; undefined: all. */
  metadataPageCount: () => number | undefined;
}

export function adminGroupHandlers(options: AdminGroupOptions): [number, Handler][] {
  return [
    [
      RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
      (request) => update(options, request, [decodeGroupConfig(request.body)]),
    ],
    [
      RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
      (request) => update(options, request, decodeGroupConfigList(request.body)),
    ],
    [RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, (request) => allGroupConfig(options, request)],
    [RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, (request) => getGroupConfig(options, request)],
    [RequestCode.DELETE_SUBSCRIPTIONGROUP, (request) => deleteGroup(options, request)],
    [RequestCode.UPDATE_AND_GET_GROUP_FORBIDDEN, (request) => forbid(options, request)],
  ];
}

const SUCCESS: Response = { code: ResponseCode.SUCCESS };

/** As many queues as a topic may have. */
const MAX_RETRY_QUEUES = 65_536;

function update({ groups }: AdminGroupOptions, request: Request, configs: readonly GroupConfig[]): Response {
  for (const { groupName, retryQueueNums } of configs) {
    requireGroupName(groupName);
    if (retryQueueNums > MAX_RETRY_QUEUES) {
      throw new RemotingError(
        ResponseCode.INVALID_PARAMETER,
        `The group ${groupName} can't have ${retryQueueNums} retry queues, at most ${MAX_RETRY_QUEUES}.`,
      );
    }
  }
  groups.update(...configs);
  logger.info("groups {names} updated by {peer}", {
    names: configs.map(({ groupName }) => groupName),
    peer: formatAddress(request.connection.remote),
  });
  return SUCCESS;
}

function allGroupConfig({ groups, metadataPageCount }: AdminGroupOptions, request: Request): Response {
  const { groupSeq, dataVersion, maxGroupNum } = allGroupConfigRequest.decode(request.fields);
  const { table } = groups;
  const asked = { from: groupSeq, dataVersion, maxCount: maxGroupNum };
  const page = metadataPage(table.groups, table.dataVersion, asked, metadataPageCount());
  const forbidden = page === table.groups ? table.forbidden : only(table.forbidden, page);
  return {
    code: ResponseCode.SUCCESS,
    fields: allGroupConfigResponse.encode({ totalGroupNum: table.groups.size }),
    body: encodeGroupTable({ dataVersion: table.dataVersion, groups: page, forbidden }),
  };
}

function only(forbidden: ForbiddenTable, groups: ReadonlyMap<string, unknown>): ForbiddenTable {
  return new Map([...forbidden].filter(([group]) => groups.has(group)));
}

function getGroupConfig({ groups }: AdminGroupOptions, request: Request): Response {
  const { group } = groupRequest.decode(request.fields);
  const config = groups.find(group);
  if (config === undefined) {
    throw new RemotingError(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `No group in this broker. group: ${group}`,
    );
  }
  return { code: ResponseCode.SUCCESS, body: encodeGroupConfig(config) };
}

/** Deleting what is not there is a success: positions that an earlier try left behind are still removed. */
function deleteGroup(options: AdminGroupOptions, request: Request): Response {
  const { groupName, cleanOffset } = deleteGroupRequest.decode(request.fields);
  options.groups.delete(groupName);
  if (cleanOffset) options.removeOffsets(groupName);
  options.removeStatistics(groupName);
  logger.info("group {group} deleted by {peer}", {
    group: groupName,
    peer: formatAddress(request.connection.remote),
  });
  return SUCCESS;
}

function forbid({ groups }: AdminGroupOptions, request: Request): Response {
  const { group, topic, readable } = groupForbiddenRequest.decode(request.fields);
  if (readable !== undefined) {
    requireGroupName(group);
    groups.setReadForbidden(group, topic, !readable);
  }
  return {
    code: ResponseCode.SUCCESS,
    body: encodeJson({ group, readable: !groups.isReadForbidden(group, topic), topic }),
  };
}
