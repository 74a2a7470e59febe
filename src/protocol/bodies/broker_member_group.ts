// SPDX-License-Identifier: Apache-2.0
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asObject, asText } from "./json_fields.ts";
import { brokerAddrsFromJson } from "./topic_route.ts";

/** The members of one broker group that are alive, the answer to GET_BROKER_MEMBER_GROUP. */
export interface BrokerMemberGroup {
  readonly cluster: string;
  readonly brokerName: string;
  /** brokerId to `host:port`. */
  readonly brokerAddrs: ReadonlyMap<number, string>;
}

/** `{"brokerMemberGroup":{"brokerAddrs":{"0":"a:1"},"brokerName":"broker-a","cluster":"C"}}` */
export function encodeBrokerMemberGroup(group: BrokerMemberGroup): Uint8Array {
  const { brokerAddrs, brokerName, cluster } = group;
  return encodeJson({ brokerMemberGroup: { brokerAddrs, brokerName, cluster } });
}

/** @throws MalformedError when it is no JSON object; absent members are empty. */
export function decodeBrokerMemberGroup(body: Uint8Array | null): BrokerMemberGroup {
  const group = asObject(parseJsonObject(body).brokerMemberGroup);
  return {
    cluster: asText(group.cluster, ""),
    brokerName: asText(group.brokerName, ""),
    brokerAddrs: brokerAddrsFromJson(group.brokerAddrs),
  };
}
