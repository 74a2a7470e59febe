// SPDX-License-Identifier: Apache-2.0
/** Who is connected, as GET_CONSUMER_CONNECTION_LIST and its like answer. */
import { encodeJson, type Json, parseJsonObject } from "../java_json.ts";
import { asArray, asInteger, asObject, asText } from "./json_fields.ts";
import { type SubscriptionData, subscriptionDataFromJson } from "./subscription_data.ts";

/** One client of a group. [RMQ Connection] */
export interface ClientConnection {
  readonly clientId: string;
  /** `host:port` */
  readonly clientAddr: string;
  /** By name; readers fail on names they don't know. */
  readonly language: string;
  readonly version: number;
}

/** A consumer group that is online. [RMQ ConsumerConnection] */
export interface ConsumerConnection {
  readonly connections: Iterable<ClientConnection>;
  readonly consumeType: string;
  readonly messageModel: string;
  readonly consumeFromWhere: string;
  /** Topic to subscription, as values for `stringifyJson`. */
  readonly subscriptions: ReadonlyMap<string, unknown>;
}

/** One client of a producer group. [RMQ ProducerInfo] */
export interface ProducerInfo {
  readonly clientId: string;
  /** `host:port`; written with a slash before it, as Java prints addresses. */
  readonly remoteAddress: string;
  readonly language: string;
  readonly version: number;
  readonly lastUpdateTimestampMs: number;
}

export function encodeConsumerConnection(group: ConsumerConnection): Uint8Array {
  return encodeJson({
    connectionSet: [...group.connections].map(connectionToJson),
    consumeFromWhere: group.consumeFromWhere,
    consumeType: group.consumeType,
    messageModel: group.messageModel,
    subscriptionTable: group.subscriptions,
  });
}

export function encodeProducerConnection(connections: Iterable<ClientConnection>): Uint8Array {
  return encodeJson({ connectionSet: [...connections].map(connectionToJson) });
}

/** The answer to GET_ALL_PRODUCER_INFO: producer groups and their clients. */
export function encodeProducerTable(
  groups: Iterable<readonly [group: string, producers: readonly ProducerInfo[]]>,
): Uint8Array {
  const data = new Map([...groups].map(([group, producers]) => [group, producers.map(producerToJson)]));
  return encodeJson({ data });
}

function connectionToJson(connection: ClientConnection): Record<string, unknown> {
  return {
    clientAddr: connection.clientAddr,
    clientId: connection.clientId,
    language: connection.language,
    version: connection.version,
  };
}

function producerToJson(producer: ProducerInfo): Record<string, unknown> {
  return {
    clientId: producer.clientId,
    language: producer.language,
    lastUpdateTimestamp: producer.lastUpdateTimestampMs,
    remoteIP: `/${producer.remoteAddress}`,
    version: producer.version,
  };
}

/** What a broker says of a consumer group that is online. */
export interface OnlineGroup {
  readonly connections: readonly ClientConnection[];
  readonly consumeType: string;
  readonly messageModel: string;
  readonly consumeFromWhere: string;
  readonly subscriptions: ReadonlyMap<string, SubscriptionData>;
}

/** @throws MalformedError when it is no JSON object */
export function decodeConsumerConnection(body: Uint8Array | null): OnlineGroup {
  const object = parseJsonObject(body);
  return {
    connections: asArray(object.connectionSet).map(connectionFromJson),
    consumeType: asText(object.consumeType, ""),
    messageModel: asText(object.messageModel, ""),
    consumeFromWhere: asText(object.consumeFromWhere, ""),
    subscriptions: new Map(
      Object.entries(asObject(object.subscriptionTable)).map(([topic, data]) => [
        topic,
        subscriptionDataFromJson(data, 0),
      ]),
    ),
  };
}

/** @throws MalformedError when it is no JSON object */
export function decodeProducerConnection(body: Uint8Array | null): ClientConnection[] {
  return asArray(parseJsonObject(body).connectionSet).map(connectionFromJson);
}

/** Producer groups and their clients. @throws MalformedError when it is no JSON object */
export function decodeProducerTable(body: Uint8Array | null): Map<string, ProducerInfo[]> {
  const data = asObject(parseJsonObject(body).data);
  return new Map(
    Object.entries(data).map(([group, producers]) => [group, asArray(producers).map(producerFromJson)]),
  );
}

function connectionFromJson(value: Json): ClientConnection {
  const object = asObject(value);
  return {
    clientId: asText(object.clientId, ""),
    clientAddr: asText(object.clientAddr, ""),
    language: asText(object.language, ""),
    version: asInteger(object.version, 0),
  };
}

function producerFromJson(value: Json): ProducerInfo {
  const object = asObject(value);
  return {
    clientId: asText(object.clientId, ""),
    remoteAddress: asText(object.remoteIP, "").replace(/^\//, ""),
    language: asText(object.language, ""),
    version: asInteger(object.version, 0),
    lastUpdateTimestampMs: asInteger(object.lastUpdateTimestamp, 0),
  };
}
