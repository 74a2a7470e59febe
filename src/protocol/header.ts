// SPDX-License-Identifier: Apache-2.0
/**
 * The string map of a frame (`extFields`) as a typed value. A request family declares its fields once;
 * decoding checks and converts them, encoding gives the map back.
 *
 * ```ts
 * const pullRequest = header({ topic: text, queueId: int, suspendTimeoutMillis: optional(long) });
 * type PullRequest = HeaderOf<typeof pullRequest>;
 * ```
 */

/** Field names to values, as on the wire: every value is a string. */
export type Fields = Record<string, string>;

/** A field or body that is missing or is not what it should be. Answered with SYSTEM_ERROR and this message. */
export class MalformedError extends Error {
  override name = "MalformedError";
}

/** How one field is read from and written to its wire string. */
export interface FieldType<T> {
  read(value: string | undefined, name: string): T;
  /** The wire string; undefined leaves the field out. */
  write(value: T): string | undefined;
}

type Shape = Record<string, FieldType<unknown>>;
type ValuesOf<S extends Shape> = { [K in keyof S]: S[K] extends FieldType<infer T> ? T : never };

export interface Header<S extends Shape> {
  /** @throws MalformedError naming the field that is missing or can't be read */
  decode(fields: Fields | null): ValuesOf<S>;
  encode(values: ValuesOf<S>): Fields;
}

export type HeaderOf<H> = H extends Header<infer S> ? ValuesOf<S> : never;

export function header<S extends Shape>(shape: S): Header<S> {
  const entries = Object.entries(shape);
  return {
    decode(fields) {
      const values: Record<string, unknown> = {};
      for (const [name, type] of entries) values[name] = type.read(fields?.[name], name);
      return values as ValuesOf<S>;
    },
    encode(values) {
      const fields: Fields = {};
      for (const [name, type] of entries) {
        const value = type.write(values[name]);
        if (value !== undefined) fields[name] = value;
      }
      return fields;
    },
  };
}

export const text: FieldType<string> = {
  read(value, name) {
    if (value === undefined) throw missing(name);
    return value;
  },
  write: (value) => value,
};

/** A signed 32-bit integer. */
export const int: FieldType<number> = {
  read: (value, name) => integer(value, name, -0x80000000, 0x7fffffff),
  write: (value) => String(value),
};

/**
 * A signed 64-bit integer as a number. Peers really send `Long.MAX_VALUE`; what lies beyond the safe
 * range of a number becomes the nearest safe number, so that comparisons still hold.
 */
export const long: FieldType<number> = {
  read: (value, name) => integer(value, name, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, true),
  write: (value) => String(value),
};

/** True only for "true" in any case, as Java reads it; absent is false. */
export const bool: FieldType<boolean> = {
  read: (value) => value !== undefined && value.toLowerCase() === "true",
  write: (value) => String(value),
};

/** A field that may be absent (undefined). */
export function optional<T>(type: FieldType<T>): FieldType<T | undefined> {
  return {
    read: (value, name) => value === undefined ? undefined : type.read(value, name),
    write: (value) => value === undefined ? undefined : type.write(value),
  };
}

/** A field with a value for when it is absent. */
export function withDefault<T>(type: FieldType<T>, fallback: T): FieldType<T> {
  return {
    read: (value, name) => value === undefined ? fallback : type.read(value, name),
    write: type.write,
  };
}

function integer(value: string | undefined, name: string, min: number, max: number, clamp = false): number {
  if (value === undefined) throw missing(name);
  const number = /^[+-]?[0-9]{1,19}$/.test(value) ? Number(value) : NaN;
  if (number >= min && number <= max) return number;
  if (clamp && number < min) return min;
  if (clamp && number > max) return max;
  throw new MalformedError(`the field ${name} is not a valid number: ${value.slice(0, 64)}`);
}

function missing(name: string): MalformedError {
  return new MalformedError(`the custom field <${name}> is null`);
}
