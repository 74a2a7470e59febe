// SPDX-License-Identifier: Apache-2.0
/**
 * Which messages a consumer is given: those with certain tags, of which a queue entry holds the hash, so that most
 * of what is not wanted is never read; or those whose properties fulfil an SQL92 expression, where the broker's
 * settings allow that. A group whose expression can't be is registered all the same, as Apache does; it is told when
 * it pulls.
 */
import { ExpressionError } from "../filter/sql/expression_error.ts";
import {
  ALL_TAGS,
  isTagExpression,
  SQL_EXPRESSION,
  type SubscriptionData,
  TAG_EXPRESSION,
} from "../protocol/bodies/subscription_data.ts";
import { javaHashCode } from "../protocol/java_string.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { RemotingError } from "../remoting/remoting_error.ts";
import type { MessageFilter } from "../store/types.ts";
import { compiled, ExpressionFilter, TagFilter } from "./message_filter.ts";

/** What one group wants of one topic. */
export class Subscription implements SubscriptionData {
  readonly topic: string;
  readonly subString: string;
  readonly tagsSet: readonly string[];
  readonly codeSet: readonly number[];
  readonly subVersion: number;
  readonly expressionType: string;
  readonly classFilterMode: boolean;
  #filter: MessageFilter | undefined;

  constructor(data: SubscriptionData) {
    this.topic = data.topic;
    this.subString = data.subString;
    this.subVersion = data.subVersion;
    this.expressionType = data.expressionType;
    this.classFilterMode = data.classFilterMode;
    const lacksCodes = data.codeSet.length === 0 && isTagExpression(data.expressionType);
    this.tagsSet = lacksCodes && data.tagsSet.length === 0 ? tagsOf(data.subString) : data.tagsSet;
    this.codeSet = lacksCodes ? this.tagsSet.map((tag) => javaHashCode(tag)) : data.codeSet;
    const takesAll = this.classFilterMode || !isTagExpression(this.expressionType) || isAll(this.subString);
    this.#filter = takesAll ? undefined : new TagFilter(this.codeSet);
  }

  /**
   * Undefined where every message is wanted.
   * @throws RemotingError SUBSCRIPTION_PARSE_FAILED with the place at which an expression goes wrong
   */
  get filter(): MessageFilter | undefined {
    if (this.#filter === undefined && !this.classFilterMode && !isTagExpression(this.expressionType)) {
      this.#filter = this.#expressionFilter();
    }
    return this.#filter;
  }

  #expressionFilter(): ExpressionFilter {
    if (this.expressionType !== SQL_EXPRESSION) {
      const type = this.expressionType.slice(0, 128);
      throw new RemotingError(
        ResponseCode.SUBSCRIPTION_PARSE_FAILED,
        `there are no expressions of the type ${type}`,
      );
    }
    try {
      return new ExpressionFilter(compiled(this.subString));
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      throw new RemotingError(
        ResponseCode.SUBSCRIPTION_PARSE_FAILED,
        `the expression of the subscription to ${this.topic} can't be read, ${error.message}: ${
          this.subString.slice(0, 512)
        }`,
      );
    }
  }

  /**
   * Of an expression that comes with a request.
   * @throws RemotingError SUBSCRIPTION_PARSE_FAILED when it names no tag
   */
  static parse(
    topic: string,
    expression: string | undefined,
    expressionType: string | undefined,
    subVersion = 0,
  ): Subscription {
    if (!isTagExpression(expressionType)) {
      return new Subscription({
        ...{ topic, subString: expression ?? "", expressionType: expressionType!, subVersion },
        ...{ tagsSet: [], codeSet: [], classFilterMode: false },
      });
    }
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

  /** Whether a message with this tags code (32-bit hash, sign-extended; 0 without tag) may be wanted. */
  matches(tagsCode: number): boolean {
    return this.filter === undefined || this.filter.matchesEntry(tagsCode);
  }
}

/**
 * For where an expression would have to be worked out. The sentence is Apache's: users search for it.
 * @param propertyFilter whether SQL92 is served
 * @throws RemotingError SYSTEM_ERROR for other kinds of expressions
 */
export function requireServedExpression(expressionType: string | undefined, propertyFilter: boolean): void {
  if (isTagExpression(expressionType) || (propertyFilter && expressionType === SQL_EXPRESSION)) return;
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
