// SPDX-License-Identifier: Apache-2.0
/** What administrators ask a broker about topics. */
import { asTextList } from "../../protocol/bodies/json_fields.ts";
import {
  decodeTopicConfigs,
  type TopicConfig,
  topicConfigFromJson,
} from "../../protocol/bodies/topic_config.ts";
import { decodeTopicList } from "../../protocol/bodies/topic_list.ts";
import { decodeTopicStats, type TopicStatsTable } from "../../protocol/bodies/topic_stats.ts";
import { topicRequest, updateTopicRequest } from "../../protocol/headers/admin_topic.ts";
import { parseJsonObject } from "../../protocol/java_json.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import { type AdminPeer, answerTo, ask, askFor } from "./ask.ts";

/** Creates a topic or replaces its settings. `attributes` holds changes: `+name` to value, `-name`. */
export async function putTopic(
  broker: AdminPeer,
  config: Omit<TopicConfig, "attributes">,
  attributes: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  const fields = updateTopicRequest.encode({
    topic: config.topicName,
    defaultTopic: "TBW102",
    readQueueNums: config.readQueueNums,
    writeQueueNums: config.writeQueueNums,
    perm: config.perm,
    topicFilterType: config.topicFilterType,
    topicSysFlag: config.topicSysFlag,
    order: config.order,
    attributes: [...attributes].map(([name, value]) => name.startsWith("-") ? name : `${name}=${value}`)
      .join(","),
  });
  await ask(broker, RequestCode.UPDATE_AND_CREATE_TOPIC, fields);
}

/** Deletes a topic with its messages; one that is not there is a success. Name servers are not told. */
export async function deleteTopic(broker: AdminPeer, topic: string): Promise<void> {
  await ask(broker, RequestCode.DELETE_TOPIC_IN_BROKER, topicRequest.encode({ topic }));
}

/** All topics of a broker, the ones that it made for itself too. */
export async function topicConfigs(broker: AdminPeer): Promise<Map<string, TopicConfig>> {
  return decodeTopicConfigs((await ask(broker, RequestCode.GET_ALL_TOPIC_CONFIG)).body);
}

/** One topic; undefined where the broker lacks it. Brokers that know no request for one are asked for all. */
export async function topicConfigOf(broker: AdminPeer, topic: string): Promise<TopicConfig | undefined> {
  const answer = await answerTo(broker, RequestCode.GET_TOPIC_CONFIG, topicRequest.encode({ topic }));
  switch (answer.code) {
    case ResponseCode.SUCCESS:
      return topicConfigFromJson(parseJsonObject(answer.body), topic);
    case ResponseCode.TOPIC_NOT_EXIST:
      return undefined;
    case ResponseCode.REQUEST_CODE_NOT_SUPPORTED:
      return (await topicConfigs(broker)).get(topic);
    default:
      throw new RemotingError(answer.code, answer.remark ?? "");
  }
}

/** How far a topic's queues reach; undefined where the broker lacks the topic. */
export async function topicStats(broker: AdminPeer, topic: string): Promise<TopicStatsTable | undefined> {
  const fields = topicRequest.encode({ topic });
  const answer = await askFor(
    broker,
    ResponseCode.TOPIC_NOT_EXIST,
    RequestCode.GET_TOPIC_STATS_INFO,
    fields,
  );
  return answer && decodeTopicStats(answer.body);
}

/** Groups that subscribe to a topic now, or did. */
export async function groupsOfTopic(broker: AdminPeer, topic: string): Promise<string[]> {
  const { body } = await ask(broker, RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, topicRequest.encode({ topic }));
  return asTextList(parseJsonObject(body).groupList);
}

/** Names of the topics that a broker keeps for itself. */
export async function systemTopics(broker: AdminPeer): Promise<string[]> {
  const { body } = await ask(broker, RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER);
  return decodeTopicList(body).topicList;
}
