// SPDX-License-Identifier: Apache-2.0
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asObject, asTextList, isObject } from "./json_fields.ts";
import { type BrokerData, brokerDataFromJson, brokerDataToJson } from "./topic_route.ts";

/** All brokers and clusters, the answer to GET_BROKER_CLUSTER_INFO. Readers need both tables, even empty. */
export interface ClusterInfo {
  /** brokerName to its group. */
  readonly brokerAddrTable: ReadonlyMap<string, BrokerData>;
  /** Cluster to its brokerNames. */
  readonly clusterAddrTable: ReadonlyMap<string, Iterable<string>>;
}

export function encodeClusterInfo(info: ClusterInfo): Uint8Array {
  return encodeJson({
    brokerAddrTable: new Map([...info.brokerAddrTable].map(([name, data]) => [name, brokerDataToJson(data)])),
    clusterAddrTable: new Map([...info.clusterAddrTable].map(([cluster, names]) => [cluster, [...names]])),
  });
}

/** @throws MalformedError when it is no JSON object; absent tables are empty. */
export function decodeClusterInfo(body: Uint8Array | null): ClusterInfo {
  const object = parseJsonObject(body);
  const brokerAddrTable = new Map<string, BrokerData>();
  for (const [name, data] of Object.entries(asObject(object.brokerAddrTable))) {
    if (isObject(data)) brokerAddrTable.set(name, brokerDataFromJson(data));
  }
  const clusterAddrTable = new Map<string, string[]>();
  for (const [cluster, names] of Object.entries(asObject(object.clusterAddrTable))) {
    clusterAddrTable.set(cluster, asTextList(names));
  }
  return { brokerAddrTable, clusterAddrTable };
}
