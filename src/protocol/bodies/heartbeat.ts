// SPDX-License-Identifier: Apache-2.0
/**
 * What a client says of itself every 30 seconds: the body of HEART_BEAT, and of CHECK_CLIENT_CONFIG.
 * [RMQ HeartbeatData, CheckClientRequestBody]
 *
 * ```
 * {"clientID":"10.0.0.9@1","producerDataSet":[{"groupName":"p"}],"consumerDataSet":[{"groupName":"c",
 *   "consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET",
 *   "unitMode":false,"subscriptionDataSet":[{…}]}],"heartbeatFingerprint":0,"withoutSub":false}
 * ```
 */
import { MalformedError } from "../header.ts";
import { encodeJson, type Json, parseJsonObject } from "../java_json.ts";
import { asArray, asBoolean, asInteger, asObject, asText, isObject } from "./json_fields.ts";
import {
  type SubscriptionData,
  subscriptionDataFromJson,
  subscriptionDataToJson,
} from "./subscription_data.ts";

/** Names in the order of their ordinals, which C++ clients send. */
export const CONSUME_TYPES = ["CONSUME_ACTIVELY", "CONSUME_PASSIVELY", "CONSUME_POP"] as const;
export const MESSAGE_MODELS = ["BROADCASTING", "CLUSTERING"] as const;
export const CONSUME_FROM_WHERES = [
  "CONSUME_FROM_LAST_OFFSET",
  "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
  "CONSUME_FROM_MIN_OFFSET",
  "CONSUME_FROM_MAX_OFFSET",
  "CONSUME_FROM_FIRST_OFFSET",
  "CONSUME_FROM_TIMESTAMP",
] as const;

export type ConsumeType = typeof CONSUME_TYPES[number];
export type MessageModel = typeof MESSAGE_MODELS[number];
export type ConsumeFromWhere = typeof CONSUME_FROM_WHERES[number];

/** What a client says of one of its consumers. */
export interface ConsumerData {
  readonly groupName: string;
  readonly consumeType: ConsumeType;
  readonly messageModel: MessageModel;
  readonly consumeFromWhere: ConsumeFromWhere;
  readonly unitMode: boolean;
  readonly subscriptionDataSet: readonly SubscriptionData[];
}

export interface Heartbeat {
  readonly clientId: string;
  readonly producerGroups: readonly string[];
  readonly consumers: readonly ConsumerData[];
  /** Hash of the client's subscriptions; 0 from clients that don't know this (version 1). */
  readonly fingerprint: number;
  /** The subscriptions are left out, because they are those of the heartbeat before. */
  readonly withoutSubscriptions: boolean;
}

export interface CheckClientRequest {
  readonly clientId: string;
  readonly group: string;
  /** Absent from a client that has nothing to check. */
  readonly subscription?: SubscriptionData;
}

/**
 * @param nowMs stands for the version of subscriptions that have none
 * @throws MalformedError when it is no object, the client has no id, or a group has no name
 */
export function decodeHeartbeat(body: Uint8Array | null, nowMs: number): Heartbeat {
  const object = parseJsonObject(body);
  const producerGroups = asArray(object.producerDataSet).map((item) => nameOf(asObject(item), "groupName"));
  const consumers = asArray(object.consumerDataSet).map((item) => consumerFromJson(item, nowMs));
  const named = producerGroups.length > 0 || consumers.length > 0;
  return {
    clientId: named ? nameOf(object, "clientID") : asText(object.clientID, ""),
    producerGroups,
    consumers,
    fingerprint: asInteger(object.heartbeatFingerprint, 0),
    withoutSubscriptions: asBoolean(object.withoutSub, false),
  };
}

export function encodeHeartbeat(heartbeat: Heartbeat): Uint8Array {
  return encodeJson({
    clientID: heartbeat.clientId,
    consumerDataSet: heartbeat.consumers.map(consumerToJson),
    heartbeatFingerprint: heartbeat.fingerprint,
    producerDataSet: heartbeat.producerGroups.map((groupName) => ({ groupName })),
    withoutSub: heartbeat.withoutSubscriptions,
  });
}

/** An absent body asks nothing. @throws MalformedError when it is no object */
export function decodeCheckClientRequest(body: Uint8Array | null, nowMs: number): CheckClientRequest {
  if (body === null) return { clientId: "", group: "" };
  const object = parseJsonObject(body);
  return {
    clientId: asText(object.clientId, ""),
    group: asText(object.group, ""),
    subscription: isObject(object.subscriptionData)
      ? subscriptionDataFromJson(object.subscriptionData, nowMs)
      : undefined,
  };
}

export function encodeCheckClientRequest(request: CheckClientRequest): Uint8Array {
  return encodeJson({
    clientId: request.clientId,
    group: request.group,
    subscriptionData: request.subscription && subscriptionDataToJson(request.subscription),
  });
}

function consumerFromJson(value: Json, nowMs: number): ConsumerData {
  const object = asObject(value);
  return {
    groupName: nameOf(object, "groupName"),
    consumeType: enumOf(object.consumeType, CONSUME_TYPES, "CONSUME_PASSIVELY"),
    messageModel: enumOf(object.messageModel, MESSAGE_MODELS, "CLUSTERING"),
    consumeFromWhere: enumOf(object.consumeFromWhere, CONSUME_FROM_WHERES, "CONSUME_FROM_LAST_OFFSET"),
    unitMode: asBoolean(object.unitMode, false),
    subscriptionDataSet: asArray(object.subscriptionDataSet).map((item) =>
      subscriptionDataFromJson(item, nowMs)
    ),
  };
}

function consumerToJson(data: ConsumerData): Record<string, unknown> {
  return {
    consumeFromWhere: data.consumeFromWhere,
    consumeType: data.consumeType,
    groupName: data.groupName,
    messageModel: data.messageModel,
    subscriptionDataSet: data.subscriptionDataSet.map(subscriptionDataToJson),
    unitMode: data.unitMode,
  };
}

function nameOf(object: { [key: string]: Json }, key: string): string {
  const name = asText(object[key]);
  if (name === undefined) throw new MalformedError(`the heartbeat lacks ${key}`);
  return name;
}

/** By name in any case, or by ordinal; what is neither is given as the fallback, for administrators' tools fail on null. */
function enumOf<T extends string>(value: Json | undefined, names: readonly T[], fallback: T): T {
  if (typeof value === "number") return names[value] ?? fallback;
  if (typeof value !== "string") return fallback;
  const upper = value.toUpperCase();
  return names.find((name) => name === upper) ?? fallback;
}
