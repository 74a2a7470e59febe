// SPDX-License-Identifier: Apache-2.0
import { hasUnit, hasUnitSub } from "../../protocol/bodies/topic_config.ts";
import { encodeTopicList } from "../../protocol/bodies/topic_list.ts";
import { decodeTopicRoute } from "../../protocol/bodies/topic_route.ts";
import {
  deleteTopicRequest,
  registerTopicRequest,
  topicsByClusterRequest,
} from "../../protocol/headers/name_server.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Response } from "../../remoting/command.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Handler, HandlerTable, Request } from "../../remoting/request.ts";
import type { RouteTable } from "../route_table.ts";

export interface TopicListSettings {
  /** GET_ALL_TOPIC_LIST_FROM_NAMESERVER is served. */
  readonly allTopicList: boolean;
  /** The lists by cluster and by unit are served. */
  readonly topicLists: boolean;
}

const DONE: Response = { code: ResponseCode.SUCCESS };

/** Lists of topics, and single topics that come and go. */
export function topicHandlers(routes: RouteTable, settings: () => TopicListSettings): HandlerTable {
  function handleAllTopics(): Response {
    if (!settings().allTopicList) throw disabled();
    return listOf(routes.topics());
  }

  function handleTopicsByCluster(request: Request): Response {
    if (!settings().topicLists) throw disabled();
    const { cluster } = topicsByClusterRequest.decode(request.fields);
    return listOf(routes.topicsOfCluster(cluster));
  }

  /** Names that no other topic may have, and a broker that knows more of them. */
  function handleSystemTopics(): Response {
    const { brokerAddrTable, clusterAddrTable } = routes.clusterInfo();
    const [group] = brokerAddrTable.values();
    const [brokerAddr] = group?.brokerAddrs.values() ?? [];
    return listOf(new Set([...clusterAddrTable.keys(), ...brokerAddrTable.keys()]), brokerAddr);
  }

  function handleTopicsByFlags(predicate: (topicSysFlag: number) => boolean): Handler {
    return () => {
      if (!settings().topicLists) throw disabled();
      return listOf(routes.topicsByFlags(predicate));
    };
  }

  /** A refused topic is answered like any other: the broker comes back with a full registration. */
  function handleRegisterTopic(request: Request): Response {
    const { topic } = registerTopicRequest.decode(request.fields);
    routes.addTopic(topic, decodeTopicRoute(request.body).queueDatas);
    return DONE;
  }

  function handleDeleteTopic(request: Request): Response {
    const { topic, clusterName } = deleteTopicRequest.decode(request.fields);
    routes.removeTopic(topic, clusterName || undefined);
    return DONE;
  }

  return new Map<number, Handler>([
    [RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER, handleAllTopics],
    [RequestCode.GET_TOPICS_BY_CLUSTER, handleTopicsByCluster],
    [RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS, handleSystemTopics],
    [RequestCode.GET_UNIT_TOPIC_LIST, handleTopicsByFlags(hasUnit)],
    [RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST, handleTopicsByFlags(hasUnitSub)],
    [
      RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST,
      handleTopicsByFlags((flag) => hasUnitSub(flag) && !hasUnit(flag)),
    ],
    [RequestCode.REGISTER_TOPIC_IN_NAMESRV, handleRegisterTopic],
    [RequestCode.DELETE_TOPIC_IN_NAMESRV, handleDeleteTopic],
  ]);
}

function listOf(topicList: Iterable<string>, brokerAddr?: string): Response {
  return { code: ResponseCode.SUCCESS, body: encodeTopicList({ topicList, brokerAddr }) };
}

function disabled(): RemotingError {
  return new RemotingError(ResponseCode.SYSTEM_ERROR, "disable");
}
