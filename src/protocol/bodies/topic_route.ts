// SPDX-License-Identifier: Apache-2.0
/**
 * Where a topic lives: the body of GET_ROUTEINFO_BY_TOPIC and REGISTER_TOPIC_IN_NAMESRV.
 *
 * Apache writes the numeric keys of `brokerAddrs` unquoted to clients older than 4.9.4. We always quote them:
 * every known reader takes both. No white space may stand inside `brokerAddrs` (Go clients cut it by hand),
 * and an absent `orderTopicConf` must be left out, for an empty one changes what Java clients do.
 */
import { encodeJson, type Json, parseJsonObject } from "../java_json.ts";
import { asArray, asBoolean, asInteger, asObject, asText, asTextList, isObject } from "./json_fields.ts";
import {
  type TopicQueueMappingInfo,
  topicQueueMappingInfoFromJson,
  topicQueueMappingInfoToJson,
} from "./topic_queue_mapping.ts";

/** The id under which a broker group's master is registered. */
export const MASTER_ID = 0;

/** A topic's queues on one broker group. */
export interface QueueData {
  readonly brokerName: string;
  readonly readQueueNums: number;
  readonly writeQueueNums: number;
  readonly perm: number;
  readonly topicSysFlag: number;
}

/** One broker group: the master and its slaves. */
export interface BrokerData {
  readonly cluster: string;
  readonly brokerName: string;
  /** brokerId to `host:port`. */
  readonly brokerAddrs: ReadonlyMap<number, string>;
  readonly zoneName?: string;
  readonly enableActingMaster: boolean;
}

export interface TopicRouteData {
  /** `brokerName:queues;…` of an order topic. */
  readonly orderTopicConf?: string;
  readonly queueDatas: readonly QueueData[];
  readonly brokerDatas: readonly BrokerData[];
  /** Broker address to the addresses of its filter servers. */
  readonly filterServerTable: ReadonlyMap<string, readonly string[]>;
  /** brokerName to mapping; only of static topics. */
  readonly topicQueueMappingByBroker?: ReadonlyMap<string, TopicQueueMappingInfo>;
}

export function encodeTopicRoute(route: TopicRouteData): Uint8Array {
  const mappings = route.topicQueueMappingByBroker;
  return encodeJson({
    brokerDatas: route.brokerDatas.map(brokerDataToJson),
    filterServerTable: route.filterServerTable,
    orderTopicConf: route.orderTopicConf,
    queueDatas: route.queueDatas.map(queueDataToJson),
    topicQueueMappingByBroker: mappings &&
      new Map([...mappings].map(([name, info]) => [name, topicQueueMappingInfoToJson(info)])),
  });
}

/** @throws MalformedError when it is no JSON object; absent members are empty. */
export function decodeTopicRoute(body: Uint8Array | null): TopicRouteData {
  const object = parseJsonObject(body);
  const filterServerTable = new Map<string, string[]>();
  for (const [address, servers] of Object.entries(asObject(object.filterServerTable))) {
    filterServerTable.set(address, asTextList(servers));
  }
  return {
    orderTopicConf: asText(object.orderTopicConf),
    queueDatas: asArray(object.queueDatas).filter(isObject).map(queueDataFromJson),
    brokerDatas: asArray(object.brokerDatas).filter(isObject).map(brokerDataFromJson),
    filterServerTable,
    topicQueueMappingByBroker: isObject(object.topicQueueMappingByBroker)
      ? new Map(
        Object.entries(object.topicQueueMappingByBroker)
          .map(([name, info]) => [name, topicQueueMappingInfoFromJson(info)]),
      )
      : undefined,
  };
}

function queueDataToJson(queueData: QueueData): Record<string, unknown> {
  return {
    brokerName: queueData.brokerName,
    perm: queueData.perm,
    readQueueNums: queueData.readQueueNums,
    topicSysFlag: queueData.topicSysFlag,
    writeQueueNums: queueData.writeQueueNums,
  };
}

/** Releases before 4.9 spell the flag `topicSynFlag`. */
function queueDataFromJson(value: Json): QueueData {
  const object = asObject(value);
  return {
    brokerName: asText(object.brokerName, ""),
    readQueueNums: asInteger(object.readQueueNums, 0),
    writeQueueNums: asInteger(object.writeQueueNums, 0),
    perm: asInteger(object.perm, 0),
    topicSysFlag: asInteger(object.topicSysFlag ?? object.topicSynFlag, 0),
  };
}

/** The value for `stringifyJson`. */
export function brokerDataToJson(brokerData: BrokerData): Record<string, unknown> {
  return {
    brokerAddrs: brokerData.brokerAddrs,
    brokerName: brokerData.brokerName,
    cluster: brokerData.cluster,
    enableActingMaster: brokerData.enableActingMaster,
    zoneName: brokerData.zoneName,
  };
}

export function brokerDataFromJson(value: Json | undefined): BrokerData {
  const object = asObject(value);
  return {
    cluster: asText(object.cluster, ""),
    brokerName: asText(object.brokerName, ""),
    brokerAddrs: brokerAddrsFromJson(object.brokerAddrs),
    zoneName: asText(object.zoneName),
    enableActingMaster: asBoolean(object.enableActingMaster, false),
  };
}

/** Entries whose key is no number or whose address is no text are left out. */
export function brokerAddrsFromJson(value: Json | undefined): Map<number, string> {
  const addrs = new Map<number, string>();
  for (const [id, addr] of Object.entries(asObject(value))) {
    const brokerId = asInteger(id, NaN);
    if (!Number.isNaN(brokerId) && typeof addr === "string") addrs.set(brokerId, addr);
  }
  return addrs;
}
