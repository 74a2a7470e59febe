// SPDX-License-Identifier: Apache-2.0
/**
 * Works out an SQL92 filter for one message, as Apache does: three-valued, numbers read from strings by the type
 * of the number that they are compared with, and one failure anywhere fails the whole, unless AND or OR had
 * decided before. [RMQ ComparisonExpression, LogicExpression, UnaryExpression]
 */
import { containing } from "./contains.ts";
import { compareDoubles, parseJavaDouble, parseJavaInt, parseJavaLong } from "./java_number.ts";
import {
  type Condition,
  type Expression,
  FAILED,
  JavaDouble,
  type Order,
  type TextTest,
  type Value,
} from "./syntax.ts";

/** Values of an expression's properties, by slot; undefined: missing. */
export type Slots = readonly (string | undefined)[];

export type Evaluate = (slots: Slots) => Value;

/** A function that works out the expression. */
export function evaluator(expression: Expression): Evaluate {
  switch (expression.kind) {
    case "constant":
    case "truth": {
      const { value } = expression;
      return () => value;
    }
    case "property": {
      const { slot } = expression;
      return (slots) => slots[slot] ?? null;
    }
    case "negative": {
      const operand = evaluator(expression.operand);
      return (slots) => negative(operand(slots));
    }
    case "bare": {
      const operand = evaluator(expression.operand);
      return (slots) => operand(slots) === null ? null : false;
    }
    case "not": {
      const operand = evaluator(expression.operand);
      return (slots) => negation(operand(slots));
    }
    case "and":
    case "or":
      return chain(expression.operands.map(evaluator), expression.kind === "or");
    case "equal": {
      const left = evaluator(expression.left);
      const right = evaluator(expression.right);
      return (slots) => {
        const leftValue = left(slots);
        return leftValue === FAILED ? FAILED : equal(leftValue, right(slots));
      };
    }
    case "isNull": {
      const operand = evaluator(expression.operand);
      return (slots) => {
        const value = operand(slots);
        return value === FAILED ? FAILED : value === null;
      };
    }
    case "order":
      return inOrder(expression.order, evaluator(expression.left), evaluator(expression.right));
    case "in":
      return oneOf(expression);
    case "text":
      return textTest(expression);
  }
}

function negative(value: Value): Value {
  if (typeof value === "number") return 0 - value;
  if (typeof value === "bigint") return -value;
  if (value instanceof JavaDouble) return new JavaDouble(-value.value);
  return value === FAILED ? FAILED : null;
}

function negation(value: Value): Value {
  return typeof value === "boolean" ? !value : value;
}

/** @param decides the value of an operand with which the others don't matter */
function chain(operands: readonly Evaluate[], decides: boolean): Evaluate {
  return (slots) => {
    let isUnknown = false;
    for (const operand of operands) {
      const value = operand(slots);
      if (value === decides || value === FAILED) return value;
      if (value === null) isUnknown = true;
    }
    return isUnknown ? null : !decides;
  };
}

/** Not symmetric: only a missing left side makes it unknown. */
function equal(left: Value, right: Value): Value {
  if (right === FAILED) return FAILED;
  if (left === null) return right === null ? true : null;
  if (right === null) return false;
  if (typeof left === "string" && typeof right === "string") return left === right;
  const compared = compare(left, right);
  return compared === undefined ? FAILED : compared === 0;
}

function inOrder(order: Order, left: Evaluate, right: Evaluate): Evaluate {
  const holds = holdsOf(order);
  return (slots) => {
    const leftValue = left(slots);
    if (leftValue === FAILED || leftValue === null) return leftValue;
    const rightValue = right(slots);
    if (rightValue === FAILED || rightValue === null) return rightValue;
    const compared = typeof leftValue === "string" && typeof rightValue === "string"
      ? compareAsDoubles(leftValue, rightValue)
      : compare(leftValue, rightValue);
    return compared === undefined ? FAILED : holds(compared);
  };
}

function holdsOf(order: Order): (compared: number) => boolean {
  switch (order) {
    case ">":
      return (compared) => compared > 0;
    case ">=":
      return (compared) => compared >= 0;
    case "<":
      return (compared) => compared < 0;
    case "<=":
      return (compared) => compared <= 0;
  }
}

function compareAsDoubles(left: string, right: string): number | undefined {
  const leftValue = parseJavaDouble(left);
  const rightValue = parseJavaDouble(right);
  return leftValue === undefined || rightValue === undefined
    ? undefined
    : compareDoubles(leftValue, rightValue);
}

/**
 * Of two values that are not null, and not both strings. -1 as well where their types have nothing in common.
 * @returns undefined where a string can't be read as the other's type
 */
function compare(left: Value, right: Value): number | undefined {
  if (typeof left === "boolean") {
    if (typeof right === "boolean") return Number(left) - Number(right);
    return typeof right === "string" ? undefined : -1;
  }
  if (typeof right === "boolean") {
    return typeof left === "string" ? Number(left.toLowerCase() === "true") - Number(right) : -1;
  }
  if (typeof left === "string") {
    const compared = compareNumbers(left, right as NumberValue);
    return compared === undefined ? undefined : -compared;
  }
  return compareNumbers(right as NumberValue | string, left as NumberValue);
}

type NumberValue = number | bigint | JavaDouble;

/** `scale` against `value`, which is read as the type of `scale` if it is a string. */
function compareNumbers(value: NumberValue | string, scale: NumberValue): number | undefined {
  if (scale instanceof JavaDouble || value instanceof JavaDouble) {
    const other = typeof value === "string" ? parseJavaDouble(value) : doubleOf(value);
    return other === undefined ? undefined : compareDoubles(doubleOf(scale), other);
  }
  if (typeof value === "string") {
    const read = typeof scale === "number" ? parseJavaInt(value) : parseJavaLong(value);
    return read === undefined ? undefined : scale > read ? 1 : scale < read ? -1 : 0;
  }
  return scale > value ? 1 : scale < value ? -1 : 0;
}

function doubleOf(value: NumberValue): number {
  return value instanceof JavaDouble ? value.value : Number(value);
}

function oneOf({ slot, words, isNot }: Extract<Condition, { kind: "in" }>): Evaluate {
  return (slots) => {
    const value = slots[slot];
    return value === undefined ? null : words.has(value) !== isNot;
  };
}

/** False of what is no string, and with nothing to look for; also with NOT. */
function textTest({ test, operand, search, isNot }: Extract<Condition, { kind: "text" }>): Evaluate {
  const value = evaluator(operand);
  if (search === "") return () => false;
  const passes = testOf(test, search);
  return (slots) => {
    const text = value(slots);
    if (text === FAILED) return FAILED;
    return typeof text === "string" && passes(text) !== isNot;
  };
}

function testOf(test: TextTest, search: string): (text: string) => boolean {
  switch (test) {
    case "CONTAINS":
      return containing(search);
    case "STARTSWITH":
      return (text) => text.startsWith(search);
    case "ENDSWITH":
      return (text) => text.endsWith(search);
  }
}
