// SPDX-License-Identifier: Apache-2.0
/**
 * Consumer groups as in `subscriptionGroup.json` and in administrators' requests.
 * [RMQ SubscriptionGroupConfig, SubscriptionGroupWrapper]
 *
 * ```
 * {"dataVersion":{…},"forbiddenTable":{"g":{"TopicA":4}},"subscriptionGroupTable":{"g":{"attributes":{},
 *   "brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,
 *   "consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"g",
 *   "groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,
 *   "retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}}}
 * ```
 * 4.9 knows neither attributes, consumeMessageOrderly, consumeTimeoutMinute, groupRetryPolicy, groupSysFlag
 * nor forbiddenTable.
 */
import { encodeJson, type Json, parseJsonObject } from "../java_json.ts";
import { MalformedError } from "../header.ts";
import { DataVersion } from "./data_version.ts";
import {
  asArray,
  asBoolean,
  asInteger,
  asObject,
  asText,
  asTextMap,
  isObject,
  type JsonObject,
} from "./json_fields.ts";

/** What a broker knows of one consumer group. */
export interface GroupConfig {
  readonly groupName: string;
  readonly consumeEnable: boolean;
  readonly consumeFromMinEnable: boolean;
  readonly consumeBroadcastEnable: boolean;
  readonly consumeMessageOrderly: boolean;
  readonly retryQueueNums: number;
  readonly retryMaxTimes: number;
  /** Read only by the proxy; kept as it came. */
  readonly groupRetryPolicy: JsonObject;
  readonly brokerId: number;
  readonly whichBrokerWhenConsumeSlowly: number;
  readonly notifyConsumerIdsChangedEnable: boolean;
  readonly groupSysFlag: number;
  readonly consumeTimeoutMinute: number;
  readonly attributes: ReadonlyMap<string, string>;
  /** Members that we don't know, kept for those who do. */
  readonly unknown: JsonObject;
}

/** Bits of the forbidden table. [RMQ PermName.INDEX_PERM_READ] */
export const FORBIDDEN_READ = 4;

/** Group to topic to `FORBIDDEN_…` bits. */
export type ForbiddenTable = ReadonlyMap<string, ReadonlyMap<string, number>>;

export interface GroupTable {
  readonly dataVersion: DataVersion;
  readonly groups: ReadonlyMap<string, GroupConfig>;
  readonly forbidden: ForbiddenTable;
}

const DEFAULTS = {
  consumeEnable: true,
  consumeFromMinEnable: true,
  consumeBroadcastEnable: true,
  consumeMessageOrderly: false,
  retryQueueNums: 1,
  retryMaxTimes: 16,
  brokerId: 0,
  whichBrokerWhenConsumeSlowly: 1,
  notifyConsumerIdsChangedEnable: true,
  groupSysFlag: 0,
  consumeTimeoutMinute: 15,
} as const;

const KNOWN = new Set([...Object.keys(DEFAULTS), "groupName", "groupRetryPolicy", "attributes"]);

/** A group with Apache's defaults for what `given` leaves out. */
export function groupConfig(
  groupName: string,
  given: Partial<Omit<GroupConfig, "groupName">> = {},
): GroupConfig {
  return {
    ...DEFAULTS,
    groupRetryPolicy: { type: "CUSTOMIZED" },
    attributes: new Map(),
    unknown: {},
    ...given,
    groupName,
  };
}

/** The value for `stringifyJson`. */
export function groupConfigToJson(config: GroupConfig): Record<string, unknown> {
  const { unknown, ...known } = config;
  return { ...unknown, ...known };
}

/** Absent members get their defaults; `groupName` falls back to the key under which the value was found. */
export function groupConfigFromJson(value: Json | undefined, groupName = ""): GroupConfig {
  const object = asObject(value);
  const unknown = Object.entries(object).filter(([key, item]) => !KNOWN.has(key) && item !== null);
  return {
    groupName: asText(object.groupName, groupName),
    consumeEnable: asBoolean(object.consumeEnable, DEFAULTS.consumeEnable),
    consumeFromMinEnable: asBoolean(object.consumeFromMinEnable, DEFAULTS.consumeFromMinEnable),
    consumeBroadcastEnable: asBoolean(object.consumeBroadcastEnable, DEFAULTS.consumeBroadcastEnable),
    consumeMessageOrderly: asBoolean(object.consumeMessageOrderly, DEFAULTS.consumeMessageOrderly),
    retryQueueNums: asInteger(object.retryQueueNums, DEFAULTS.retryQueueNums),
    retryMaxTimes: asInteger(object.retryMaxTimes, DEFAULTS.retryMaxTimes),
    groupRetryPolicy: isObject(object.groupRetryPolicy) ? object.groupRetryPolicy : { type: "CUSTOMIZED" },
    brokerId: asInteger(object.brokerId, DEFAULTS.brokerId),
    whichBrokerWhenConsumeSlowly: asInteger(
      object.whichBrokerWhenConsumeSlowly,
      DEFAULTS.whichBrokerWhenConsumeSlowly,
    ),
    notifyConsumerIdsChangedEnable: asBoolean(
      object.notifyConsumerIdsChangedEnable,
      DEFAULTS.notifyConsumerIdsChangedEnable,
    ),
    groupSysFlag: asInteger(object.groupSysFlag, DEFAULTS.groupSysFlag),
    consumeTimeoutMinute: asInteger(object.consumeTimeoutMinute, DEFAULTS.consumeTimeoutMinute),
    attributes: asTextMap(object.attributes),
    unknown: Object.fromEntries(unknown),
  };
}

/** The body of UPDATE_AND_CREATE_SUBSCRIPTIONGROUP. @throws MalformedError when it is no JSON object */
export function decodeGroupConfig(body: Uint8Array | null): GroupConfig {
  return groupConfigFromJson(parseJsonObject(body));
}

export function encodeGroupConfig(config: GroupConfig): Uint8Array {
  return encodeJson(groupConfigToJson(config));
}

/** The body of UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST. @throws MalformedError when it is no such list */
export function decodeGroupConfigList(body: Uint8Array | null): GroupConfig[] {
  const list = parseJsonObject(body).groupConfigList;
  if (!Array.isArray(list)) throw new MalformedError("the body lacks groupConfigList");
  return asArray(list).map((item) => groupConfigFromJson(item));
}

/** The value for `stringifyJson`. */
export function groupTableToJson(table: GroupTable): Record<string, unknown> {
  return {
    dataVersion: table.dataVersion.toJson(),
    forbiddenTable: table.forbidden,
    subscriptionGroupTable: new Map(
      [...table.groups].map(([name, config]) => [name, groupConfigToJson(config)]),
    ),
  };
}

/** Entries that are null are left out. @throws MalformedError when a table is no object */
export function groupTableFromJson(object: JsonObject): GroupTable {
  const groups = new Map<string, GroupConfig>();
  for (const [name, value] of Object.entries(table(object, "subscriptionGroupTable"))) {
    if (value !== null) groups.set(name, groupConfigFromJson(value, name));
  }
  const forbidden = new Map<string, Map<string, number>>();
  for (const [name, value] of Object.entries(table(object, "forbiddenTable"))) {
    const topics = new Map(
      Object.entries(asObject(value)).map(([topic, bits]) => [topic, asInteger(bits, 0)]),
    );
    if (topics.size > 0) forbidden.set(name, topics);
  }
  return { dataVersion: DataVersion.fromJson(object.dataVersion), groups, forbidden };
}

/** The answer to GET_ALL_SUBSCRIPTIONGROUP_CONFIG. */
export function encodeGroupTable(table: GroupTable): Uint8Array {
  return encodeJson(groupTableToJson(table));
}

/** @throws MalformedError when it is no JSON object */
export function decodeGroupTable(body: Uint8Array | null): GroupTable {
  return groupTableFromJson(parseJsonObject(body));
}

function table(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new MalformedError(`${name} is no JSON object`);
  return value;
}
