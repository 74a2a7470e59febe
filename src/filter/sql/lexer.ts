// SPDX-License-Identifier: Apache-2.0
/**
 * Words of an SQL92 filter expression. They are cut one at a time, when the parser asks: what stands behind the
 * end of a complete expression is never looked at, and so never wrong. [RMQ SelectorParser]
 */
import { ExpressionError } from "./expression_error.ts";

export type TokenKind =
  | "END"
  | "NAME"
  | "STRING"
  | "INTEGER"
  | "DECIMAL"
  | Keyword
  | Sign;

type Keyword =
  | "NOT"
  | "AND"
  | "OR"
  | "BETWEEN"
  | "IN"
  | "TRUE"
  | "FALSE"
  | "NULL"
  | "IS"
  | "CONTAINS"
  | "STARTSWITH"
  | "ENDSWITH";

type Sign = "=" | "<>" | ">" | ">=" | "<" | "<=" | "+" | "-" | "(" | ")" | ",";

export interface Token {
  readonly kind: TokenKind;
  /** As written; of a string what is between its quotes, without their doubling. */
  readonly text: string;
  /** Index of its first character. */
  readonly at: number;
}

const KEYWORDS: ReadonlySet<string> = new Set<Keyword>([
  ...["NOT", "AND", "OR", "BETWEEN", "IN", "TRUE", "FALSE", "NULL", "IS"] as const,
  ...["CONTAINS", "STARTSWITH", "ENDSWITH"] as const,
]);

const SIGNS: readonly Sign[] = ["<>", ">=", "<=", "=", ">", "<", "+", "-", "(", ")", ","];

const BLANK = /[ \t\n\r\f]+/y;
const LINE_COMMENT = /--[^\n\r]*[\n\r]/y;
const NAME = /[A-Za-z_$][A-Za-z0-9_$]*/y;
const INTEGER = /(?:0|[1-9][0-9]*)[lL]?/y;
const DECIMAL = /[0-9]+\.[0-9]*(?:[Ee][+-]?[0-9]+)?|\.[0-9]+(?:[Ee][+-]?[0-9]+)?|[0-9]+[Ee][+-]?[0-9]+/y;

export class Lexer {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** @throws ExpressionError at a character that begins no word */
  next(): Token {
    this.#skip();
    const at = this.#at;
    if (at >= this.#text.length) return { kind: "END", text: "", at };
    return this.#word(at) ?? this.#string(at) ?? this.#number(at) ?? this.#sign(at) ?? this.#refuse(at);
  }

  #skip(): void {
    for (;;) {
      const length = this.#match(BLANK) + this.#match(LINE_COMMENT) + this.#blockComment();
      if (length === 0) return;
    }
  }

  #blockComment(): number {
    if (!this.#text.startsWith("/*", this.#at)) return 0;
    const end = this.#text.indexOf("*/", this.#at + 2);
    if (end === -1) return 0;
    const length = end + 2 - this.#at;
    this.#at += length;
    return length;
  }

  /** Moves behind what a sticky pattern matches here. @returns how long that is */
  #match(pattern: RegExp): number {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return 0;
    const length = pattern.lastIndex - this.#at;
    this.#at = pattern.lastIndex;
    return length;
  }

  #word(at: number): Token | undefined {
    if (this.#match(NAME) === 0) return undefined;
    const text = this.#text.slice(at, this.#at);
    const upper = text.toUpperCase();
    return KEYWORDS.has(upper) ? { kind: upper as Keyword, text, at } : { kind: "NAME", text, at };
  }

  /** Two quotes stand for one; where no other follows, the first of two ends the string after all. */
  #string(at: number): Token | undefined {
    const text = this.#text;
    if (text[at] !== "'") return undefined;
    let end = -1;
    for (let from = at + 1;;) {
      const quote = text.indexOf("'", from);
      if (quote === -1) break;
      end = quote;
      if (text[quote + 1] !== "'") break;
      from = quote + 2;
    }
    if (end === -1) throw new ExpressionError("the string that begins here has no end", at);
    this.#at = end + 1;
    return { kind: "STRING", text: text.slice(at + 1, end).replaceAll("''", "'"), at };
  }

  #number(at: number): Token | undefined {
    const decimalLength = this.#match(DECIMAL);
    this.#at = at;
    const integerLength = this.#match(INTEGER);
    const length = Math.max(decimalLength, integerLength);
    if (length === 0) return undefined;
    this.#at = at + length;
    const text = this.#text.slice(at, this.#at);
    return { kind: integerLength >= decimalLength ? "INTEGER" : "DECIMAL", text, at };
  }

  #sign(at: number): Token | undefined {
    const sign = SIGNS.find((sign) => this.#text.startsWith(sign, at));
    if (sign === undefined) return undefined;
    this.#at += sign.length;
    return { kind: sign, text: sign, at };
  }

  #refuse(at: number): never {
    const character = String.fromCodePoint(this.#text.codePointAt(at)!);
    throw new ExpressionError(`${JSON.stringify(character)} can't stand in an expression`, at);
  }
}
