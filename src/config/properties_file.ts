// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";

/**
 * Java's properties format, read as `java.util.Properties.load` reads it, and edited so that comments stay.
 *
 * A logical line may go on over several natural lines (a backslash at the end). The key ends at the first `=`,
 * `:` or blank that has no backslash before it. Blanks before the key, around the separator and at the start
 * of continued lines don't count; **blanks at the end of the value do**. Of equal keys the last one counts.
 */

/** One logical line. */
export interface Property {
  readonly key: string;
  readonly value: string;
  /** Natural line on which it starts; the first is 1. */
  readonly line: number;
  /** Where it starts and ends in the text, without the line end. */
  readonly start: number;
  readonly end: number;
}

/** A `\u` that four hexadecimal digits don't follow: Java refuses the whole file for it. */
export class PropertiesSyntaxError extends Error {
  override name = "PropertiesSyntaxError";

  constructor(readonly line: number, message: string) {
    super(message);
  }
}

/** All logical lines of a text, in its order. @throws PropertiesSyntaxError */
export function parseProperties(text: string): Property[] {
  const lines = new LogicalLines(text);
  const properties: Property[] = [];
  for (let content = lines.next(); content !== undefined; content = lines.next()) {
    const { key, value } = splitKeyAndValue(content, lines.line);
    properties.push({ key, value, line: lines.line, start: lines.start, end: lines.end });
  }
  return properties;
}

/** A file's bytes as text: one character a byte, as Java does. */
export function textOfBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** The reverse of `textOfBytes`. Characters above 0xff can't occur in what `writeProperties` writes. */
export function bytesOfText(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

/** Lines `key=value\n` sorted by key, from which Java reads the same again. */
export function writeProperties(properties: Iterable<readonly [key: string, value: string]>): string {
  return [...properties]
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, value]) => `${writeProperty(key, value)}\n`)
    .join("");
}

/** One line without its end. Escapes only what would be read differently: operators read these files too. */
export function writeProperty(key: string, value: string): string {
  return `${escape(key, /[=: #!\\]/)}=${escape(value, /\\/)}`;
}

/**
 * The text with other values, everything else as it was: the last line of a key is replaced (it may have been
 * several natural lines), a new key is added at the end.
 */
export function editProperties(text: string, changes: ReadonlyMap<string, string>): string {
  const lastOf = new Map(parseProperties(text).map((property) => [property.key, property]));
  const replaced = [...lastOf.values()].filter(({ key }) => changes.has(key)).sort((a, b) =>
    a.start - b.start
  );
  let result = "";
  let copied = 0;
  for (const { key, start, end } of replaced) {
    result += text.slice(copied, start) + writeProperty(key, changes.get(key)!);
    copied = end;
  }
  result += text.slice(copied);
  const added = [...changes].filter(([key]) => !lastOf.has(key));
  if (added.length === 0) return result;
  if (result !== "" && !/[\r\n]$/.test(result)) result += "\n";
  // A backslash at the end of the text would swallow the first line added.
  if (/\\[\r\n]+$/.test(result)) result += "\n";
  return result + writeProperties(added);
}

/** Cuts a text into logical lines, without their leading blanks, comments and line ends. */
class LogicalLines {
  #text: string;
  #position = 0;
  /** Of the natural line at `#position`. */
  #lineNumber = 1;
  line = 0;
  start = 0;
  end = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next one; undefined at the end. `line`, `start` and `end` then describe it. */
  next(): string | undefined {
    let content = "";
    while (this.#position < this.#text.length) {
      const natural = this.#naturalLine();
      if (content === "") {
        // Java takes the line after a lone backslash for a new one: it may be a comment.
        if (natural.trimmed === "" || natural.trimmed[0] === "#" || natural.trimmed[0] === "!") continue;
        this.line = natural.number;
        this.start = natural.start;
      }
      this.end = natural.end;
      const goesOn = endsWithOddBackslashes(natural.trimmed);
      content += goesOn ? natural.trimmed.slice(0, -1) : natural.trimmed;
      if (!goesOn || this.#isLast(content)) return content;
    }
    return undefined;
  }

  /** Nothing comes that could go on. A lone backslash is then an empty key in Java, unless CR and LF end it. */
  #isLast(content: string): boolean {
    return this.#position >= this.#text.length && (content !== "" || !this.#text.endsWith("\r\n"));
  }

  #naturalLine() {
    const start = this.#position;
    let end = start;
    while (end < this.#text.length && this.#text[end] !== "\n" && this.#text[end] !== "\r") end++;
    this.#position = this.#text.startsWith("\r\n", end) ? end + 2 : end + 1;
    const trimmed = this.#text.slice(start, end).replace(/^[ \t\f]+/, "");
    return { start, end, trimmed, number: this.#lineNumber++ };
  }
}

function endsWithOddBackslashes(text: string): boolean {
  return /\\*$/.exec(text)![0].length % 2 === 1;
}

function splitKeyAndValue(content: string, line: number): { key: string; value: string } {
  let keyEnd = 0;
  while (keyEnd < content.length && !isSeparator(content[keyEnd])) keyEnd += content[keyEnd] === "\\" ? 2 : 1;
  keyEnd = Math.min(keyEnd, content.length);
  const rest = content.slice(keyEnd).replace(/^[ \t\f]*[=:]?[ \t\f]*/, "");
  return { key: unescape(content.slice(0, keyEnd), line), value: unescape(rest, line) };
}

function isSeparator(character: string): boolean {
  return character === "=" || character === ":" || character === " " || character === "\t" ||
    character === "\f";
}

const UNESCAPED: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", f: "\f" };

function unescape(text: string, line: number): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|([^]))/g, (_, hex: string | undefined, other: string) => {
    if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
    if (other === "u") {
      throw new PropertiesSyntaxError(line, "a \\u is not followed by four hexadecimal digits");
    }
    return UNESCAPED[other] ?? other;
  });
}

const ESCAPED: Readonly<Record<string, string>> = { "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f" };

/** `special` names the printable characters that need a backslash here; a leading blank always does. */
function escape(text: string, special: RegExp): string {
  return text.replace(/[^]/g, (character, position: number) => {
    if (character in ESCAPED) return ESCAPED[character];
    if (character < " " || character > "~") {
      return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
    }
    return special.test(character) || (character === " " && position === 0) ? `\\${character}` : character;
  });
}
