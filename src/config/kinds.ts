// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";

/** How the text of a key becomes a value: its unit, what is allowed, and the schema that checks and converts. */
export interface Kind<T> {
  /** Unit or sort of value, for tables: `ms`, `count`, `true or false`, … */
  readonly unit: string;
  /** What is allowed; ends the sentence "… must be". */
  readonly allowed: string;
  readonly schema: v.GenericSchema<string, T>;
}

const INT_MAX = 2 ** 31 - 1;

/** Java's `true` or `false` in any case. Java takes every other text, `true ` included, for false; here it is an error. */
export function flag(): Kind<boolean> {
  const allowed = "true or false";
  return kind("true or false", allowed, (text) => {
    if (/^true$/i.test(text)) return true;
    return /^false$/i.test(text) ? false : undefined;
  });
}

/** A whole number of 32 bits, between two bounds. */
export function int(unit: string, min = 0, max = INT_MAX): Kind<number> {
  return kind(unit, `${nounOf(unit)} from ${min} to ${max}`, (text) => {
    const value = /^[+-]?[0-9]+$/.test(text) ? Number(text) : NaN;
    return value >= min && value <= max ? value : undefined;
  });
}

/** A whole number of 64 bits; beyond what a JavaScript number holds exactly it counts as the largest such number. */
export function long(unit: string, min = 0): Kind<number> {
  return kind(unit, `${nounOf(unit)} from ${min} to ${LONG_MAX}`, (text) => {
    if (!/^[+-]?[0-9]{1,20}$/.test(text)) return undefined;
    const value = BigInt(text.replace("+", ""));
    return value >= BigInt(min) && value <= LONG_MAX
      ? Math.min(Number(value), Number.MAX_SAFE_INTEGER)
      : undefined;
  });
}

const LONG_MAX = 2n ** 63n - 1n;

const NOUNS: Readonly<Record<string, string>> = {
  ms: "a whole number of milliseconds",
  s: "a whole number of seconds",
  min: "a whole number of minutes",
  h: "a whole number of hours",
  days: "a whole number of days",
  bytes: "a whole number of bytes",
  count: "a whole number",
  percent: "a whole percentage",
  port: "a port number",
};

function nounOf(unit: string): string {
  return NOUNS[unit] ?? `a whole number (${unit})`;
}

export const ms = (min?: number, max?: number): Kind<number> => int("ms", min, max);
export const seconds = (min?: number, max?: number): Kind<number> => int("s", min, max);
export const hours = (min?: number, max?: number): Kind<number> => int("h", min, max);
export const bytes = (min?: number, max?: number): Kind<number> => int("bytes", min, max);
export const count = (min?: number, max?: number): Kind<number> => int("count", min, max);
export const percent = (): Kind<number> => int("percent", 0, 100);
/** 0 lets the system choose. */
export const port = (): Kind<number> => int("port", 0, 65535);

/** A number with a fraction, as Java writes them. */
export function decimal(unit: string): Kind<number> {
  return kind(unit, "a number that is not negative", (text) => {
    return /^\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(text) ? Number(text) : undefined;
  });
}

/** Any text; blanks around it don't count. */
export function text(unit = "text"): Kind<string> {
  return trimmed(unit, "text", (value) => value);
}

/** Text that is not empty. */
export function name(unit = "text"): Kind<string> {
  return trimmed(unit, "not empty", (value) => value === "" ? undefined : value);
}

export const path = (): Kind<string> => name("path");

/** One of some words, spelled exactly so. */
export function oneOf<const W extends string>(...words: W[]): Kind<W> {
  return trimmed(words.join(", "), listOfWords(words), (value) => words.find((word) => word === value));
}

/** `host:port` items with `;` between them; no item is an empty list. */
export function nameServers(): Kind<readonly string[]> {
  const allowed = "host:port items separated by ;, such as 10.0.0.1:9876;10.0.0.2:9876";
  return trimmed("addresses", allowed, (value) => {
    const items = value.split(";").map((item) => item.trim()).filter((item) => item !== "");
    return items.every(isHostAndPort) ? items : undefined;
  });
}

/** Whether a text is `host:port`, an IPv6 host in brackets. */
export function isHostAndPort(item: string): boolean {
  const match = /^(\[[0-9a-fA-F:.%]+\]|[^\s:,;/]+):([0-9]{1,5})$/.exec(item);
  return match !== null && Number(match[2]) >= 1 && Number(match[2]) <= 65535;
}

/** Hours of the day with `;` between them. */
export function hoursOfDay(): Kind<readonly number[]> {
  return trimmed("hours of the day", "hours from 00 to 23 separated by ;, such as 04 or 04;16", (value) => {
    const items = value.split(";").map((item) => item.trim()).filter((item) => item !== "");
    const valid = items.length > 0 && items.every((item) => /^[0-9]{1,2}$/.test(item) && Number(item) <= 23);
    return valid ? items.map(Number) : undefined;
  });
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Delays such as `1s 5m 2h 1d`, for the levels 1, 2, …; as milliseconds. */
export function delayLevels(): Kind<readonly number[]> {
  return trimmed("delays", "delays such as 1s, 5m, 2h or 1d with one blank between them", (value) => {
    const items = value.split(" ").map((item) => /^([0-9]{1,9})([smhd])$/.exec(item));
    return items.every((item) => item !== null)
      ? items.map((item) => Number(item![1]) * UNIT_MS[item![2]])
      : undefined;
  });
}

/** Names with `;` between them. */
export function nameList(): Kind<readonly string[]> {
  return trimmed("names", "names separated by ;", (value) => {
    return value.split(";").map((item) => item.trim()).filter((item) => item !== "");
  });
}

/** `name:value` items with `,` between them: labels of metrics. */
export function labels(): Kind<Readonly<Record<string, string>>> {
  return trimmed(
    "key:value,…",
    "name:value items separated by commas, names of letters, digits and _",
    (value) => {
      const items = value.split(",").map((item) => item.trim()).filter((item) => item !== "");
      const pairs = items.map((item) => /^([a-zA-Z_][a-zA-Z0-9_]*):(.*)$/.exec(item));
      return pairs.every((pair) => pair !== null)
        ? Object.fromEntries(pairs.map((pair) => [pair![1], pair![2].trim()]))
        : undefined;
    },
  );
}

/** Text kinds: blanks around the value don't count, as in Java. */
function trimmed<T>(unit: string, allowed: string, read: (text: string) => T | undefined): Kind<T> {
  return kind(unit, allowed, (text) => read(text.trim()));
}

/** `read` gives undefined for what is not allowed. */
function kind<T>(unit: string, allowed: string, read: (text: string) => T | undefined): Kind<T> {
  const schema = v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const value = read(dataset.value);
      if (value !== undefined) return value;
      addIssue({ message: `must be ${allowed}${blankHint(dataset.value, read)}` });
      return NEVER;
    }),
  );
  return { unit, allowed, schema };
}

/** Blanks at the end of a line are seen by nobody: say so where they alone are the fault. */
function blankHint(text: string, read: (text: string) => unknown): string {
  return text !== text.trim() && read(text.trim()) !== undefined ? ", without blanks around it" : "";
}

function listOfWords(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
