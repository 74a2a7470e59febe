// SPDX-License-Identifier: Apache-2.0
/**
 * Which messages a consumer is given. Only tags are understood: a queue entry holds the hash of its message's
 * tag, so that most of what is not wanted is never read. Other expressions are refused where they would have
 * to be evaluated; a group that has one is registered all the same, as Apache does without property filters.
 */
import {
  ALL_TAGS,
  isTagExpression,
  type SubscriptionData,
  TAG_EXPRESSION,
} from "../protocol/bodies/subscription_data.ts";
import { javaHashCode } from "../protocol/java_string.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { RemotingError } from "../remoting/remoting_error.ts";

/** Whether the message of a queue entry is wanted, by its tags code. */
export type TagFilter = (tagsCode: number) => boolean;

/** What one group wants of one topic. */
export class Subscription implements SubscriptionData {
  readonly topic: string;
  readonly subString: string;
  readonly tagsSet: readonly string[];
  readonly codeSet: readonly number[];
  readonly subVersion: number;
  readonly expressionType: string;
  readonly classFilterMode: boolean;
  /**
   * Undefined where every message is wanted, as the store's `GetLimits.matches` takes it. Codes may collide:
   * clients compare the tags themselves again.
   */
  readonly filter: TagFilter | undefined;

  constructor(data: SubscriptionData) {
    this.topic = data.topic;
    this.subString = data.subString;
    this.subVersion = data.subVersion;
    this.expressionType = data.expressionType;
    this.classFilterMode = data.classFilterMode;
    const lacksCodes = data.codeSet.length === 0 && isTagExpression(data.expressionType);
    this.tagsSet = lacksCodes && data.tagsSet.length === 0 ? tagsOf(data.subString) : data.tagsSet;
    this.codeSet = lacksCodes ? this.tagsSet.map((tag) => javaHashCode(tag)) : data.codeSet;
    this.filter = this.classFilterMode || isAll(this.subString) ? undefined : filterOf(this.codeSet);
  }

  /**
   * Of an expression that comes with a request.
   * @throws RemotingError SUBSCRIPTION_PARSE_FAILED when it names no tag, SYSTEM_ERROR when it is no tag expression
   */
  static parse(
    topic: string,
    expression: string | undefined,
    expressionType: string | undefined,
    subVersion = 0,
  ): Subscription {
    requireTagExpression(expressionType);
    const subString = expression === undefined || expression === "" ? ALL_TAGS : expression;
    if (subString.replaceAll("|", "") === "") {
      throw new RemotingError(
        ResponseCode.SUBSCRIPTION_PARSE_FAILED,
        `the subscription ${subString.slice(0, 128)} names no tag`,
      );
    }
    return new Subscription({
      topic,
      subString,
      tagsSet: [],
      codeSet: [],
      subVersion,
      expressionType: TAG_EXPRESSION,
      classFilterMode: false,
    });
  }

  /** Whether a message with this tags code (32-bit hash, sign-extended; 0 without tag) is wanted. */
  matches(tagsCode: number): boolean {
    return this.filter === undefined || this.filter(tagsCode);
  }
}

/**
 * For where an expression would have to be evaluated. The sentence is Apache's: users search for it.
 * @throws RemotingError SYSTEM_ERROR for anything but tags
 */
export function requireTagExpression(expressionType: string | undefined): void {
  if (isTagExpression(expressionType)) return;
  throw new RemotingError(
    ResponseCode.SYSTEM_ERROR,
    `The broker does not support consumer to filter message by ${expressionType!.slice(0, 128)}`,
  );
}

function isAll(subString: string): boolean {
  return subString === "" || subString === ALL_TAGS;
}

function tagsOf(subString: string): string[] {
  if (isAll(subString)) return [];
  const tags = subString.split("||").map((tag) => tag.trim()).filter((tag) => tag !== "");
  return [...new Set(tags)];
}

function filterOf(codes: readonly number[]): TagFilter {
  if (codes.length === 1) {
    const only = codes[0];
    return (tagsCode) => tagsCode === only;
  }
  const wanted = new Set(codes);
  return (tagsCode) => wanted.has(tagsCode);
}
