// SPDX-License-Identifier: Apache-2.0
import type { Json } from "../java_json.ts";
import { asArray, asBoolean, asInteger, asObject, asText, asTextList } from "./json_fields.ts";

/** Which messages of a topic a consumer wants. [RMQ SubscriptionData] */
export interface SubscriptionData {
  readonly topic: string;
  /** `*`, tags with `||` between, or an expression in the language of `expressionType`. */
  readonly subString: string;
  readonly tagsSet: readonly string[];
  /** Java hash codes of the tags: signed 32-bit integers. */
  readonly codeSet: readonly number[];
  /** Grows when the subscription changes; a time in ms. */
  readonly subVersion: number;
  /** `TAG` or `SQL92`; whatever else a client names is kept, so that it can be told. */
  readonly expressionType: string;
  readonly classFilterMode: boolean;
}

/** The expression that every message matches. */
export const ALL_TAGS = "*";

/** The expression type of tags, and what an absent or empty one means. */
export const TAG_EXPRESSION = "TAG";

/** The expression type of conditions over a message's properties. */
export const SQL_EXPRESSION = "SQL92";

export function isTagExpression(expressionType: string | undefined): boolean {
  return expressionType === undefined || expressionType === "" || expressionType === TAG_EXPRESSION;
}

/** The value for `stringifyJson`. */
export function subscriptionDataToJson(data: SubscriptionData): Record<string, unknown> {
  return {
    classFilterMode: data.classFilterMode,
    codeSet: data.codeSet,
    expressionType: data.expressionType,
    subString: data.subString,
    subVersion: data.subVersion,
    tagsSet: data.tagsSet,
    topic: data.topic,
  };
}

/** C++ clients leave out what is empty and write the version as a string; `nowMs` stands for an absent one. */
export function subscriptionDataFromJson(value: Json | undefined, nowMs: number): SubscriptionData {
  const object = asObject(value);
  return {
    topic: asText(object.topic, ""),
    subString: asText(object.subString, ""),
    tagsSet: asTextList(object.tagsSet),
    codeSet: asArray(object.codeSet).map((code) => asInteger(code, 0) | 0),
    subVersion: asInteger(object.subVersion, nowMs),
    expressionType: asText(object.expressionType, TAG_EXPRESSION),
    classFilterMode: asBoolean(object.classFilterMode, false),
  };
}
