// SPDX-License-Identifier: Apache-2.0
/**
 * Attributes of topics and groups. Requests name each with a sign, `+name` to set and `-name` to remove; tables
 * hold them without. [RMQ AttributeUtil, TopicAttributes, SubscriptionGroupAttributes]
 */
import type { TopicConfig } from "../protocol/bodies/topic_config.ts";
import { Property } from "../protocol/properties.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { RemotingError } from "../remoting/remoting_error.ts";

/** What values an attribute may have, and whether it may change once the topic or group exists. */
export interface AttributeRule {
  readonly changeable: boolean;
  /** What is wrong with a value; undefined if nothing is. */
  problem(value: string): string | undefined;
}

export type AttributeRules = ReadonlyMap<string, AttributeRule>;

export const TOPIC_ATTRIBUTES: AttributeRules = new Map([
  ["queue.type", { changeable: false, problem: oneOf(["SimpleCQ"], ["BatchCQ"]) }],
  ["cleanup.policy", { changeable: false, problem: oneOf(["DELETE"], ["COMPACTION"]) }],
  [
    "message.type",
    {
      changeable: true,
      problem: oneOf(["UNSPECIFIED", "NORMAL", "FIFO", "DELAY", "TRANSACTION", "PRIORITY", "MIXED"]),
    },
  ],
  ["reserve.time", {
    changeable: true,
    problem: () => "needs tiered storage, which this broker does not have",
  }],
]);

export const GROUP_ATTRIBUTES: AttributeRules = new Map([
  ["priority.factor", { changeable: true, problem: between(0, 100) }],
]);

/**
 * The attributes after a request. What is there already stays unless the request names it.
 * @param current undefined for a new topic or group
 * @throws RemotingError SYSTEM_ERROR when the request asks for what can't be
 */
export function alterAttributes(
  rules: AttributeRules,
  current: ReadonlyMap<string, string> | undefined,
  changes: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  if (changes.size === 0) return current ?? new Map();
  const altered = new Map(current);
  const named = new Set<string>();
  for (const [signed, value] of changes) {
    const sign = signed[0];
    const name = signed.slice(1);
    if (sign !== "+" && sign !== "-") throw refused(`wrong format key: ${signed.slice(0, 128)}`);
    if (named.has(name)) throw refused(`duplication key: ${name.slice(0, 128)}`);
    named.add(name);
    const rule = rules.get(name);
    if (rule === undefined) throw refused(`unsupported key: ${name.slice(0, 128)}`);
    if (current !== undefined && !rule.changeable && current.get(name) !== value) {
      throw refused(`attempt to update an unchangeable attribute. key: ${name}`);
    }
    if (sign === "+") set(altered, name, value, rule);
    else remove(altered, name, current);
  }
  return altered;
}

/**
 * For messages to a topic that has attributes, which Apache may have given it.
 * @param properties of a single message
 * @throws RemotingError MESSAGE_ILLEGAL
 */
export function requireServedAttributes(
  { topicName, attributes }: TopicConfig,
  properties: ReadonlyMap<string, string> | undefined,
): void {
  if (attributes.get("queue.type") === "BatchCQ") {
    throw new RemotingError(
      ResponseCode.MESSAGE_ILLEGAL,
      `the topic ${topicName} keeps its queues as inner batches (queue.type=BatchCQ), which this broker can't write`,
    );
  }
  if (properties === undefined || attributes.get("cleanup.policy") !== "COMPACTION") return;
  if ((properties.get(Property.KEYS) ?? "").trim() === "") {
    throw new RemotingError(ResponseCode.MESSAGE_ILLEGAL, "Required message key is missing");
  }
}

function set(attributes: Map<string, string>, name: string, value: string, rule: AttributeRule): void {
  const problem = rule.problem(value);
  if (problem !== undefined) throw refused(`${name}=${value.slice(0, 128)} ${problem}`);
  attributes.set(name, value);
}

function remove(
  attributes: Map<string, string>,
  name: string,
  current: ReadonlyMap<string, string> | undefined,
) {
  if (current === undefined) {
    throw refused(`only add attribute is supported while creating topic. key: ${name}`);
  }
  if (!attributes.delete(name)) throw refused(`attempt to delete a nonexistent key: ${name}`);
}

function oneOf(legal: readonly string[], notBuilt: readonly string[] = []): AttributeRule["problem"] {
  return (value) => {
    if (legal.includes(value)) return undefined;
    if (notBuilt.includes(value)) return "is not supported by this broker";
    return `is not one of ${[...legal, ...notBuilt].join(", ")}`;
  };
}

function between(min: number, max: number): AttributeRule["problem"] {
  return (value) => {
    const number = /^[+-]?[0-9]{1,19}$/.test(value) ? Number(value) : NaN;
    return number >= min && number <= max ? undefined : `is not in range(${min}, ${max})`;
  };
}

function refused(remark: string): RemotingError {
  return new RemotingError(ResponseCode.SYSTEM_ERROR, remark);
}
