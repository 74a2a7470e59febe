// SPDX-License-Identifier: Apache-2.0
/** What a parsed expression is made of, and the values that come out of it. */

/**
 * A value while an expression is worked out: `number` is a Java Integer, `bigint` a Long. Properties are strings;
 * null is one that is missing, or what can't be told.
 */
export type Value = null | boolean | string | number | bigint | JavaDouble | typeof FAILED;

/** Stands for a Java Double among the other numbers. */
export class JavaDouble {
  constructor(readonly value: number) {}
}

/** What Apache throws an exception for: the whole expression fails, and the message is not delivered. */
export const FAILED: unique symbol = Symbol("failed");

export type Order = ">" | ">=" | "<" | "<=";
export type TextTest = "CONTAINS" | "STARTSWITH" | "ENDSWITH";

export type Expression =
  | { kind: "constant"; value: Exclude<Value, typeof FAILED>; depth: number }
  /** The value at `slot` of what the expression is evaluated on. */
  | { kind: "property"; slot: number; depth: number }
  | { kind: "negative"; operand: Expression; depth: number }
  | Condition;

/** What may be true, false or unknown. */
export type Condition =
  /** A bare property: unknown if it is missing, false otherwise. */
  | { kind: "bare"; operand: Expression; depth: number }
  | { kind: "truth"; value: boolean | null; depth: number }
  | { kind: "not"; operand: Condition; depth: number }
  | { kind: "and" | "or"; operands: Condition[]; depth: number }
  | { kind: "equal"; left: Expression; right: Expression; depth: number }
  | { kind: "isNull"; operand: Expression; depth: number }
  | { kind: "order"; order: Order; left: Expression; right: Expression; depth: number }
  | { kind: "in"; slot: number; words: ReadonlySet<string>; isNot: boolean; depth: number }
  | { kind: "text"; test: TextTest; operand: Expression; search: string; isNot: boolean; depth: number };

export function isCondition(expression: Expression): expression is Condition {
  return expression.kind !== "constant" && expression.kind !== "property" && expression.kind !== "negative";
}
