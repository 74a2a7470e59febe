// SPDX-License-Identifier: Apache-2.0
import { type Json, parseJsonObject } from "../java_json.ts";
import { asBoolean, asInteger, asObject, asText, asTextMap } from "./json_fields.ts";

/** What a broker knows of one topic, in `topics.json`, registrations and admin requests. [RMQ TopicConfig] */
export interface TopicConfig {
  readonly topicName: string;
  readonly readQueueNums: number;
  readonly writeQueueNums: number;
  /** Bits of `Perm`. */
  readonly perm: number;
  readonly topicFilterType: TopicFilterType;
  /** Bits of `TopicSysFlag`. */
  readonly topicSysFlag: number;
  readonly order: boolean;
  /** Such as `message.type` to `FIFO`; without the signs that requests put before names. */
  readonly attributes: ReadonlyMap<string, string>;
}

export type TopicFilterType = "SINGLE_TAG" | "MULTI_TAG";

/** Permissions of a topic or a broker. `PRIORITY` and beyond are never configured. [RMQ PermName] */
export const Perm = {
  /** New topics may be made after this one. */
  INHERIT: 1,
  WRITE: 2,
  READ: 4,
  PRIORITY: 8,
} as const;

export function isReadable(perm: number): boolean {
  return (perm & Perm.READ) !== 0;
}

export function isWritable(perm: number): boolean {
  return (perm & Perm.WRITE) !== 0;
}

export function isInheritable(perm: number): boolean {
  return (perm & Perm.INHERIT) !== 0;
}

export function isValidPerm(perm: number): boolean {
  return Number.isInteger(perm) && perm >= 0 && perm < Perm.PRIORITY;
}

/** `RWX`, with `-` for what is not allowed. */
export function permText(perm: number): string {
  return `${isReadable(perm) ? "R" : "-"}${isWritable(perm) ? "W" : "-"}${isInheritable(perm) ? "X" : "-"}`;
}

/** Whether a topic or one of its subscriptions is split over units (data centres). [RMQ TopicSysFlag] */
export const TopicSysFlag = { UNIT: 1, UNIT_SUB: 2 } as const;

export function hasUnit(topicSysFlag: number): boolean {
  return (topicSysFlag & TopicSysFlag.UNIT) !== 0;
}

export function hasUnitSub(topicSysFlag: number): boolean {
  return (topicSysFlag & TopicSysFlag.UNIT_SUB) !== 0;
}

/** A configuration with Apache's defaults for what `given` leaves out: 16 queues each way, readable and writable. */
export function topicConfig(
  topicName: string,
  given: Partial<Omit<TopicConfig, "topicName">> = {},
): TopicConfig {
  return {
    topicName,
    readQueueNums: given.readQueueNums ?? 16,
    writeQueueNums: given.writeQueueNums ?? 16,
    perm: given.perm ?? Perm.READ | Perm.WRITE,
    topicFilterType: given.topicFilterType ?? "SINGLE_TAG",
    topicSysFlag: given.topicSysFlag ?? 0,
    order: given.order ?? false,
    attributes: given.attributes ?? new Map(),
  };
}

/** The value for `stringifyJson`. */
export function topicConfigToJson(config: TopicConfig): Record<string, unknown> {
  return {
    attributes: config.attributes,
    order: config.order,
    perm: config.perm,
    readQueueNums: config.readQueueNums,
    topicFilterType: config.topicFilterType,
    topicName: config.topicName,
    topicSysFlag: config.topicSysFlag,
    writeQueueNums: config.writeQueueNums,
  };
}

/** Absent members get their defaults; `topicName` falls back to the key under which the value was found. */
export function topicConfigFromJson(value: Json | undefined, topicName = ""): TopicConfig {
  const object = asObject(value);
  return topicConfig(asText(object.topicName, topicName), {
    readQueueNums: asInteger(object.readQueueNums, 16),
    writeQueueNums: asInteger(object.writeQueueNums, 16),
    perm: asInteger(object.perm, Perm.READ | Perm.WRITE),
    topicFilterType: object.topicFilterType === "MULTI_TAG" ? "MULTI_TAG" : "SINGLE_TAG",
    topicSysFlag: asInteger(object.topicSysFlag, 0),
    order: asBoolean(object.order, false),
    attributes: asTextMap(object.attributes),
  });
}

/** The value for `stringifyJson`: `{"<topic>":{…},…}`, the `topicConfigTable` of several bodies and of `topics.json`. */
export function topicConfigTableToJson(table: ReadonlyMap<string, TopicConfig>): Map<string, unknown> {
  return new Map([...table].map(([topic, config]) => [topic, topicConfigToJson(config)]));
}

/** Entries that are null are left out. */
export function topicConfigTableFromJson(value: Json | undefined): Map<string, TopicConfig> {
  const table = new Map<string, TopicConfig>();
  for (const [topic, config] of Object.entries(asObject(value))) {
    if (config !== null) table.set(topic, topicConfigFromJson(config, topic));
  }
  return table;
}

/** The topics in an answer to GET_ALL_TOPIC_CONFIG. @throws MalformedError when it is no JSON object */
export function decodeTopicConfigs(body: Uint8Array | null): Map<string, TopicConfig> {
  return topicConfigTableFromJson(parseJsonObject(body).topicConfigTable);
}
