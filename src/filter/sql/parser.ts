// SPDX-License-Identifier: Apache-2.0
/**
 * The grammar of SQL92 filters as Apache's parser reads it, loosest first, every level from left to right:
 *
 * ```
 * or         and { OR and }
 * and        equality { AND equality }
 * equality   comparison { (= | <>) comparison | IS [NOT] NULL }
 * comparison unary { (> | >= | < | <=) unary | [NOT] (CONTAINS | STARTSWITH | ENDSWITH) 'text'
 *                  | [NOT] BETWEEN unary AND unary | [NOT] IN ('text', …) }
 * unary      (+ | - | NOT) unary | TRUE | FALSE | NULL | name | 'text' | number | ( or )
 * ```
 * NOT binds tighter than `=`: `NOT a = 1` compares. Nothing asks for the end: what follows a complete expression
 * is ignored, as long as the next word is one. [RMQ SelectorParser]
 */
import { ExpressionError } from "./expression_error.ts";
import { compareDoubles, parseJavaDouble, parseJavaLong } from "./java_number.ts";
import { Lexer, type Token, type TokenKind } from "./lexer.ts";
import {
  type Condition,
  type Expression,
  isCondition,
  JavaDouble,
  type Order,
  type TextTest,
} from "./syntax.ts";

/** A parsed filter. */
export interface Parsed {
  readonly condition: Condition;
  /** Names of properties; a slot of the expression is an index of this. */
  readonly names: readonly string[];
}

/** As much as a heartbeat may bring. */
export const MAX_EXPRESSION_CHARACTERS = 64 * 1024;
/** Working an expression out takes a call per level; long chains of AND and OR have one level only. */
const MAX_DEPTH = 200;

/** @throws ExpressionError */
export function parseExpression(text: string): Parsed {
  if (text.length > MAX_EXPRESSION_CHARACTERS) {
    throw new ExpressionError(
      `the expression has ${text.length} characters; ${MAX_EXPRESSION_CHARACTERS} are allowed`,
      MAX_EXPRESSION_CHARACTERS,
    );
  }
  return new Parser(text).parse();
}

const TEXT_TESTS: readonly TokenKind[] = ["CONTAINS", "STARTSWITH", "ENDSWITH"];
const MIN_INT = -0x80000000n;
const MAX_INT = 0x7fffffffn;

class Parser {
  readonly #lexer: Lexer;
  /** Words that were looked at and not taken. */
  readonly #ahead: Token[] = [];
  readonly #slots = new Map<string, number>();
  #nesting = 0;

  constructor(text: string) {
    this.#lexer = new Lexer(text);
  }

  parse(): Parsed {
    const at = this.#peek().at;
    const condition = toCondition(this.#or(), at);
    return { condition, names: [...this.#slots.keys()] };
  }

  #or(): Expression {
    return this.#chain("or", "OR", () => this.#chain("and", "AND", () => this.#equality()));
  }

  /** Operands of a row of AND or OR: one node, however long. */
  #chain(kind: "and" | "or", word: TokenKind, operand: () => Expression): Expression {
    let at = this.#peek().at;
    const first = operand();
    if (this.#peek().kind !== word) return first;
    const operands = [toCondition(first, at)];
    while (this.#peek().kind === word) {
      this.#take();
      at = this.#peek().at;
      operands.push(toCondition(operand(), at));
    }
    return { kind, operands, depth: above(at, ...operands) };
  }

  #equality(): Expression {
    const at = this.#peek().at;
    let left = this.#comparison();
    for (;;) {
      const { kind } = this.#peek();
      if (kind === "=" || kind === "<>") {
        this.#take();
        const rightAt = this.#peek().at;
        const equal = equality(left, at, this.#comparison(), rightAt);
        left = kind === "=" ? equal : not(equal, at);
      } else if (kind === "IS") {
        this.#take();
        const isNot = this.#takeIf("NOT");
        this.#expect("NULL");
        const isNull: Condition = { kind: "isNull", operand: left, depth: above(at, left) };
        left = isNot ? not(isNull, at) : isNull;
      } else {
        return left;
      }
    }
  }

  #comparison(): Expression {
    const at = this.#peek().at;
    let left = this.#unary();
    for (;;) {
      const { kind } = this.#peek();
      if (kind === ">" || kind === ">=" || kind === "<" || kind === "<=") {
        this.#take();
        const rightAt = this.#peek().at;
        left = order(kind, left, at, this.#unary(), rightAt);
      } else if (kind === "NOT" || kind === "BETWEEN" || kind === "IN" || TEXT_TESTS.includes(kind)) {
        left = this.#test(left, at);
      } else {
        return left;
      }
    }
  }

  /** What follows an operand and begins with NOT, or with a word that NOT may precede. */
  #test(left: Expression, at: number): Condition {
    const isNot = this.#takeIf("NOT");
    const word = this.#take();
    switch (word.kind) {
      case "CONTAINS":
      case "STARTSWITH":
      case "ENDSWITH":
        return this.#textTest(word.kind, left, isNot, at);
      case "BETWEEN":
        return this.#between(left, isNot, at);
      case "IN":
        return this.#in(left, isNot, at);
      default:
        throw unexpected(word, "BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH");
    }
  }

  #textTest(test: TextTest, operand: Expression, isNot: boolean, at: number): Condition {
    const search = this.#expect("STRING").text;
    return { kind: "text", test, operand, search, isNot, depth: above(at, operand) };
  }

  #between(value: Expression, isNot: boolean, at: number): Condition {
    const lowAt = this.#peek().at;
    const low = this.#unary();
    this.#expect("AND");
    const highAt = this.#peek().at;
    const high = this.#unary();
    if (isNot) {
      const operands = [order("<", value, at, low, lowAt), order(">", value, at, high, highAt)];
      return { kind: "or", operands, depth: above(at, ...operands) };
    }
    requireRange(low, lowAt, high, highAt);
    const operands = [order(">=", value, at, low, lowAt), order("<=", value, at, high, highAt)];
    return { kind: "and", operands, depth: above(at, ...operands) };
  }

  #in(left: Expression, isNot: boolean, at: number): Condition {
    this.#expect("(");
    const words = new Set<string>();
    do {
      words.add(this.#expect("STRING").text);
    } while (this.#takeIf(","));
    this.#expect(")");
    if (left.kind !== "property") throw new ExpressionError("IN takes a property at its left", at);
    return { kind: "in", slot: left.slot, words, isNot, depth: 1 };
  }

  #unary(): Expression {
    const token = this.#take();
    switch (token.kind) {
      case "+":
        return this.#nested(token, () => this.#unary());
      case "-": {
        const operand = this.#nested(token, () => this.#unary());
        return { kind: "negative", operand, depth: above(token.at, operand) };
      }
      case "NOT": {
        const { at } = this.#peek();
        return not(toCondition(this.#nested(token, () => this.#unary()), at), token.at);
      }
      case "(": {
        const inner = this.#nested(token, () => this.#or());
        this.#expect(")");
        return inner;
      }
      case "TRUE":
      case "FALSE":
        return { kind: "truth", value: token.kind === "TRUE", depth: 1 };
      case "NULL":
        return { kind: "truth", value: null, depth: 1 };
      case "NAME":
        return { kind: "property", slot: this.#slotOf(token.text), depth: 1 };
      case "STRING":
        return { kind: "constant", value: token.text, depth: 1 };
      case "INTEGER":
        return { kind: "constant", value: integerOf(token), depth: 1 };
      case "DECIMAL":
        return { kind: "constant", value: decimalOf(token), depth: 1 };
      default:
        throw unexpected(token, "a property, a value or an opening parenthesis");
    }
  }

  #nested<T>(token: Token, parse: () => T): T {
    if (++this.#nesting > MAX_DEPTH) throw tooDeep(token.at);
    const result = parse();
    this.#nesting--;
    return result;
  }

  #slotOf(name: string): number {
    const known = this.#slots.get(name);
    if (known !== undefined) return known;
    this.#slots.set(name, this.#slots.size);
    return this.#slots.size - 1;
  }

  #peek(): Token {
    if (this.#ahead.length === 0) this.#ahead.push(this.#lexer.next());
    return this.#ahead[0];
  }

  #take(): Token {
    return this.#ahead.shift() ?? this.#lexer.next();
  }

  #takeIf(kind: TokenKind): boolean {
    if (this.#peek().kind !== kind) return false;
    this.#take();
    return true;
  }

  #expect(kind: TokenKind): Token {
    const token = this.#take();
    if (token.kind === kind) return token;
    throw unexpected(token, kind === "STRING" ? "a string in single quotes" : kind);
  }
}

function toCondition(expression: Expression, at: number): Condition {
  if (isCondition(expression)) return expression;
  if (expression.kind === "property") {
    return { kind: "bare", operand: expression, depth: above(at, expression) };
  }
  throw new ExpressionError("what begins here is neither true nor false", at);
}

function not(operand: Condition, at: number): Condition {
  return { kind: "not", operand, depth: above(at, operand) };
}

function equality(left: Expression, leftAt: number, right: Expression, rightAt: number): Condition {
  for (const [side, at] of [[left, leftAt], [right, rightAt]] as const) {
    if (side.kind === "truth" && side.value === null) {
      throw new ExpressionError("nothing equals NULL; write IS NULL", at);
    }
  }
  if (left.kind === "truth" && right.kind === "constant") {
    throw new ExpressionError("a truth value can't equal a string or a number", rightAt);
  }
  return { kind: "equal", left, right, depth: above(leftAt, left, right) };
}

function order(
  order: Order,
  left: Expression,
  leftAt: number,
  right: Expression,
  rightAt: number,
): Condition {
  requireOrdered(left, leftAt);
  requireOrdered(right, rightAt);
  return { kind: "order", order, left, right, depth: above(leftAt, left, right) };
}

function requireOrdered(side: Expression, at: number): void {
  if (isCondition(side)) throw new ExpressionError("truth values have no order", at);
  if (side.kind === "constant" && typeof side.value === "string") {
    throw new ExpressionError("strings have no order; write the number without quotes", at);
  }
}

/** Two constants must be a range; others are found out for each message. */
function requireRange(low: Expression, lowAt: number, high: Expression, highAt: number): void {
  const isNull = (side: Expression) => side.kind === "truth" && side.value === null;
  if (isNull(low) || isNull(high)) {
    throw new ExpressionError("NULL is no limit of a range", isNull(low) ? lowAt : highAt);
  }
  if (low.kind !== "constant" || high.kind !== "constant") return;
  if (typeof low.value === "string" || typeof high.value === "string") return;
  if (isAbove(low.value as ConstantNumber, high.value as ConstantNumber)) {
    throw new ExpressionError("the range's lower limit is above its upper one", lowAt);
  }
}

type ConstantNumber = number | bigint | JavaDouble;

function isAbove(low: ConstantNumber, high: ConstantNumber): boolean {
  if (!(low instanceof JavaDouble) && !(high instanceof JavaDouble)) return low > high;
  return compareDoubles(doubleOf(low), doubleOf(high)) > 0;
}

function doubleOf(value: ConstantNumber): number {
  return value instanceof JavaDouble ? value.value : Number(value);
}

/** An `L` at the end changes nothing. */
function integerOf({ text, at }: Token): number | bigint {
  const value = parseJavaLong(text.replace(/[lL]$/, ""));
  if (value === undefined) throw new ExpressionError("the number is too large", at);
  return value >= MIN_INT && value <= MAX_INT ? Number(value) : value;
}

/** Apache takes the smallest positive number for the smallest one, so that 0.0 is refused. */
function decimalOf({ text, at }: Token): JavaDouble {
  const value = parseJavaDouble(text)!;
  if (value === Infinity) throw new ExpressionError("the number is too large", at);
  if (value < Number.MIN_VALUE) {
    throw new ExpressionError("the number is too small (0.0 is, too; write 0)", at);
  }
  return new JavaDouble(value);
}

function above(at: number, ...expressions: readonly Expression[]): number {
  let depth = 0;
  for (const expression of expressions) depth = Math.max(depth, expression.depth);
  if (depth >= MAX_DEPTH) throw tooDeep(at);
  return depth + 1;
}

function tooDeep(at: number): ExpressionError {
  return new ExpressionError(`the expression is nested deeper than ${MAX_DEPTH} levels`, at);
}

function unexpected(token: Token, wanted: string): ExpressionError {
  const found = token.kind === "END" ? "the expression ends" : `${JSON.stringify(token.text)} stands`;
  return new ExpressionError(`${found} where ${wanted} is expected`, token.at);
}
