// SPDX-License-Identifier: Apache-2.0
import { type BrokerMemberGroup, decodeBrokerMemberGroup } from "../protocol/bodies/broker_member_group.ts";
import { type ClusterInfo, decodeClusterInfo } from "../protocol/bodies/cluster_info.ts";
import { DataVersion } from "../protocol/bodies/data_version.ts";
import { decodeKvTable } from "../protocol/bodies/kv_table.ts";
import {
  encodeRegisterBroker,
  type RegisterBrokerBody,
  registrationCrc32,
} from "../protocol/bodies/register_broker.ts";
import { decodeTopicList } from "../protocol/bodies/topic_list.ts";
import {
  decodeTopicRoute,
  encodeTopicRoute,
  type QueueData,
  type TopicRouteData,
} from "../protocol/bodies/topic_route.ts";
import type { Fields } from "../protocol/header.ts";
import {
  addWritePermResponse,
  brokerNameRequest,
  deleteTopicRequest,
  getKvResponse,
  kvKeyRequest,
  kvListRequest,
  memberGroupRequest,
  putKvRequest,
  registerTopicRequest,
  topicsByClusterRequest,
  wipeWritePermResponse,
} from "../protocol/headers/name_server.ts";
import {
  type BrokerIdentityRequest,
  brokerIdentityRequest,
  queryDataVersionResponse,
  type RegisterBrokerRequest,
  registerBrokerRequest,
  type RegisterBrokerResponse,
  registerBrokerResponse,
} from "../protocol/headers/register_broker.ts";
import { encodeJson, parseJsonObject } from "../protocol/java_json.ts";
import { RequestCode } from "../protocol/request_code.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import type { RemotingClient } from "../remoting/client.ts";
import type { Command, OutgoingRequest } from "../remoting/command.ts";
import { RemotingError } from "../remoting/remoting_error.ts";

/** One that can be asked: a `Connection`, or a client bound to an address. */
export interface Peer {
  request(request: OutgoingRequest, timeoutMs: number): Promise<Command>;
}

/** What a broker says of itself; the rest of the header follows from the body. */
export type BrokerIntroduction = Omit<RegisterBrokerRequest, "compressed" | "bodyCrc32">;

/**
 * Requests to one name server. All throw RemotingError with the code and remark of an answer that is no
 * success, and RemotingIoError when none came.
 */
export class NameServerApi {
  readonly #peer: Peer;
  readonly #timeoutMs: number;

  constructor(peer: Peer, timeoutMs = 3000) {
    this.#peer = peer;
    this.#timeoutMs = timeoutMs;
  }

  /** Over a client's connection to `address`, opened when it is needed. */
  static at(client: RemotingClient, address: string, timeoutMs?: number): NameServerApi {
    return new NameServerApi(
      { request: (request, timeoutMs) => client.request(address, request, timeoutMs) },
      timeoutMs,
    );
  }

  /** @returns what a slave needs of its master, and the order configuration if the name server has one */
  async registerBroker(
    broker: BrokerIntroduction,
    body: RegisterBrokerBody,
  ): Promise<RegisterBrokerResponse & { orderConfig?: Map<string, string> }> {
    const bytes = encodeRegisterBroker(body);
    const fields = registerBrokerRequest.encode({
      ...broker,
      compressed: false,
      bodyCrc32: registrationCrc32(bytes),
    });
    const answer = await this.#call(RequestCode.REGISTER_BROKER, fields, bytes);
    return {
      ...registerBrokerResponse.decode(answer.fields),
      orderConfig: answer.body === null ? undefined : decodeKvTable(answer.body),
    };
  }

  async unregisterBroker(broker: BrokerIdentityRequest): Promise<void> {
    await this.#call(RequestCode.UNREGISTER_BROKER, brokerIdentityRequest.encode(broker));
  }

  /** @returns whether the name server has another version, and which it has, if any */
  async queryDataVersion(
    broker: BrokerIdentityRequest,
    version: DataVersion,
  ): Promise<{ changed: boolean; dataVersion?: DataVersion }> {
    const fields = brokerIdentityRequest.encode(broker);
    const answer = await this.#call(RequestCode.QUERY_DATA_VERSION, fields, encodeJson(version.toJson()));
    return {
      ...queryDataVersionResponse.decode(answer.fields),
      dataVersion: answer.body === null ? undefined : DataVersion.fromJson(parseJsonObject(answer.body)),
    };
  }

  /** @returns undefined where the topic is unknown */
  async topicRoute(topic: string): Promise<TopicRouteData | undefined> {
    const request = { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, fields: { topic } };
    const answer = await this.#peer.request(request, this.#timeoutMs);
    if (answer.code === ResponseCode.TOPIC_NOT_EXIST) return undefined;
    return decodeTopicRoute(successful(answer).body);
  }

  async clusterInfo(): Promise<ClusterInfo> {
    return decodeClusterInfo((await this.#call(RequestCode.GET_BROKER_CLUSTER_INFO)).body);
  }

  async memberGroup(clusterName: string, brokerName: string): Promise<BrokerMemberGroup> {
    const fields = memberGroupRequest.encode({ clusterName, brokerName });
    return decodeBrokerMemberGroup((await this.#call(RequestCode.GET_BROKER_MEMBER_GROUP, fields)).body);
  }

  async topics(): Promise<string[]> {
    return decodeTopicList((await this.#call(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER)).body).topicList;
  }

  async topicsByCluster(cluster: string): Promise<string[]> {
    const fields = topicsByClusterRequest.encode({ cluster });
    return decodeTopicList((await this.#call(RequestCode.GET_TOPICS_BY_CLUSTER, fields)).body).topicList;
  }

  /** Names of clusters and brokers, and a broker that knows further system topics. */
  async systemTopics(): Promise<{ topicList: string[]; brokerAddr?: string }> {
    return decodeTopicList((await this.#call(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS)).body);
  }

  /** Lists a topic at brokers that are registered; refused silently where one is not. */
  async registerTopic(topic: string, queueDatas: readonly QueueData[]): Promise<void> {
    const body = encodeTopicRoute({ queueDatas, brokerDatas: [], filterServerTable: new Map() });
    await this.#call(RequestCode.REGISTER_TOPIC_IN_NAMESRV, registerTopicRequest.encode({ topic }), body);
  }

  /** Without a cluster: everywhere. */
  async deleteTopic(topic: string, clusterName?: string): Promise<void> {
    await this.#call(RequestCode.DELETE_TOPIC_IN_NAMESRV, deleteTopicRequest.encode({ topic, clusterName }));
  }

  /** @returns the number of topics that the broker has */
  async wipeWritePerm(brokerName: string): Promise<number> {
    const answer = await this.#call(
      RequestCode.WIPE_WRITE_PERM_OF_BROKER,
      brokerNameRequest.encode({ brokerName }),
    );
    return wipeWritePermResponse.decode(answer.fields).wipeTopicCount;
  }

  /** @returns the number of topics that the broker has */
  async addWritePerm(brokerName: string): Promise<number> {
    const answer = await this.#call(
      RequestCode.ADD_WRITE_PERM_OF_BROKER,
      brokerNameRequest.encode({ brokerName }),
    );
    return addWritePermResponse.decode(answer.fields).addTopicCount;
  }

  async putKv(namespace: string, key: string, value: string): Promise<void> {
    await this.#call(RequestCode.PUT_KV_CONFIG, putKvRequest.encode({ namespace, key, value }));
  }

  /** @returns undefined where there is no such key */
  async getKv(namespace: string, key: string): Promise<string | undefined> {
    const answer = await this.#find(RequestCode.GET_KV_CONFIG, kvKeyRequest.encode({ namespace, key }));
    return answer && getKvResponse.decode(answer.fields).value;
  }

  async deleteKv(namespace: string, key: string): Promise<void> {
    await this.#call(RequestCode.DELETE_KV_CONFIG, kvKeyRequest.encode({ namespace, key }));
  }

  /** @returns undefined where nothing was ever put into the namespace */
  async listKv(namespace: string): Promise<Map<string, string> | undefined> {
    const answer = await this.#find(RequestCode.GET_KVLIST_BY_NAMESPACE, kvListRequest.encode({ namespace }));
    return answer && decodeKvTable(answer.body);
  }

  /** All keys as lines `key=value`. */
  async config(): Promise<string> {
    return new TextDecoder().decode(
      (await this.#call(RequestCode.GET_NAMESRV_CONFIG)).body ?? new Uint8Array(),
    );
  }

  /** @param text lines `key=value` in Java's properties format */
  async updateConfig(text: string): Promise<void> {
    await this.#call(RequestCode.UPDATE_NAMESRV_CONFIG, undefined, new TextEncoder().encode(text));
  }

  async #call(code: number, fields?: Fields, body?: Uint8Array): Promise<Command> {
    return successful(await this.#peer.request({ code, fields, body }, this.#timeoutMs));
  }

  /** Undefined where the answer is QUERY_NOT_FOUND. */
  async #find(code: number, fields: Fields): Promise<Command | undefined> {
    const answer = await this.#peer.request({ code, fields }, this.#timeoutMs);
    return answer.code === ResponseCode.QUERY_NOT_FOUND ? undefined : successful(answer);
  }
}

function successful(answer: Command): Command {
  if (answer.code !== ResponseCode.SUCCESS) throw new RemotingError(answer.code, answer.remark ?? "");
  return answer;
}
