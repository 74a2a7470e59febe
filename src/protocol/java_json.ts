// SPDX-License-Identifier: Apache-2.0
/**
 * JSON as Java peers write and read it (fastjson). Most of their text is plain JSON, but maps whose keys
 * are numbers come with unquoted keys (`{0:"a:1"}`), maps whose keys are objects with the object itself as
 * key (`{{"queueId":0}:5}`), and strings may be single-quoted.
 */

import { MalformedError } from "./header.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A map whose keys are objects, written `{{…}:value,…}`; legal nowhere but between fastjson peers. */
export class ObjectKeyedMap<K = unknown, V = unknown> {
  constructor(readonly entries: readonly (readonly [K, V])[]) {}
}

const utf8 = new TextDecoder();

/**
 * Parses what a peer or a file holds. Plain JSON takes the built-in parser; only what that refuses is
 * read leniently. An object that is a key becomes its own JSON text as a string key.
 * @throws MalformedError
 */
export function parseJson(source: string | Uint8Array): Json {
  const text = typeof source === "string" ? source : utf8.decode(source);
  try {
    return JSON.parse(text);
  } catch {
    return new LenientParser(text).parse();
  }
}

/** Parses a body that must be an object. @throws MalformedError */
export function parseJsonObject(source: string | Uint8Array | null): { [key: string]: Json } {
  if (source === null || source.length === 0) throw new MalformedError("the body is empty");
  const value = parseJson(source);
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new MalformedError("the body is not a JSON object");
  }
  return value;
}

/**
 * Compact JSON text. Undefined and null members are left out as fastjson does, `ObjectKeyedMap` is written
 * with objects as keys, and a `Map` with its keys as quoted strings, which all readers accept.
 */
export function stringifyJson(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return `[${value.map(stringifyJson).join(",")}]`;
  if (value instanceof ObjectKeyedMap) {
    return `{${
      value.entries.map(([key, item]) => `${stringifyJson(key)}:${stringifyJson(item)}`).join(",")
    }}`;
  }
  if (value instanceof Map) return members([...value].map(([key, item]) => [String(key), item]));
  if (value instanceof Set) return `[${[...value].map(stringifyJson).join(",")}]`;
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "object") return members(Object.entries(value));
  return JSON.stringify(value);
}

/** `stringifyJson` as UTF-8 bytes, ready to be a body. */
export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(stringifyJson(value));
}

function members(entries: [string, unknown][]): string {
  const present = entries.filter(([, item]) => item !== undefined && item !== null);
  return `{${present.map(([key, item]) => `${JSON.stringify(key)}:${stringifyJson(item)}`).join(",")}}`;
}

const MAX_DEPTH = 64;

/** A recursive-descent reader of what fastjson accepts: any scalar or object as key, both quotes, spare commas. */
class LenientParser {
  #at = 0;
  #depth = 0;

  constructor(readonly text: string) {}

  parse(): Json {
    const value = this.#value();
    this.#space();
    if (this.#at !== this.text.length) throw this.#error();
    return value;
  }

  #value(): Json {
    this.#space();
    const char = this.text[this.#at];
    if (char === "{") return this.#nested(() => this.#object());
    if (char === "[") return this.#nested(() => this.#array());
    if (char === '"' || char === "'") return this.#string(char);
    return this.#word();
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new MalformedError("JSON is nested too deeply");
    const value = read();
    this.#depth--;
    return value;
  }

  #object(): Json {
    const object: { [key: string]: Json } = {};
    this.#at++;
    while (!this.#closes("}")) {
      const from = this.#at;
      const char = this.text[from];
      let key: string;
      if (char === "{" || char === "[") {
        this.#value();
        key = this.text.slice(from, this.#at);
      } else {
        key = String(char === '"' || char === "'" ? this.#string(char) : this.#name());
      }
      this.#space();
      if (this.text[this.#at++] !== ":") throw this.#error();
      Object.defineProperty(object, key, {
        value: this.#value(),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return object;
  }

  #array(): Json {
    const array: Json[] = [];
    this.#at++;
    while (!this.#closes("]")) array.push(this.#value());
    return array;
  }

  /** Skips space and commas; true when the closing bracket was there (and is consumed). */
  #closes(bracket: string): boolean {
    this.#space();
    while (this.text[this.#at] === ",") {
      this.#at++;
      this.#space();
    }
    if (this.#at >= this.text.length) throw this.#error();
    if (this.text[this.#at] !== bracket) return false;
    this.#at++;
    return true;
  }

  #string(quote: string): string {
    const from = ++this.#at;
    while (this.#at < this.text.length && this.text[this.#at] !== quote) {
      this.#at += this.text[this.#at] === "\\" ? 2 : 1;
    }
    if (this.#at >= this.text.length) throw this.#error();
    const raw = this.text.slice(from, this.#at++);
    if (!raw.includes("\\") && !raw.includes('"')) return raw;
    const quoted = raw.replace(/\\(.)|"/gs, (match, escaped) => {
      if (match === '"') return '\\"';
      return escaped === "'" ? "'" : match;
    });
    try {
      return JSON.parse(`"${quoted.replace(/[\n\r\t]/g, " ")}"`);
    } catch {
      throw this.#error();
    }
  }

  #name(): string {
    const match = /[^\s:,{}[\]"']+/y;
    match.lastIndex = this.#at;
    const found = match.exec(this.text);
    if (!found) throw this.#error();
    this.#at = match.lastIndex;
    return found[0];
  }

  #word(): Json {
    const word = this.#name();
    if (word === "true") return true;
    if (word === "false") return false;
    if (word === "null") return null;
    const number = Number(word);
    if (Number.isNaN(number)) throw this.#error();
    return number;
  }

  #space(): void {
    while (this.#at < this.text.length && this.text.charCodeAt(this.#at) <= 0x20) this.#at++;
  }

  #error(): MalformedError {
    return new MalformedError(`not readable as JSON at character ${this.#at}`);
  }
}
