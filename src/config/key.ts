// SPDX-License-Identifier: Apache-2.0
import type { Kind } from "./kinds.ts";
import type { Machine } from "./machine.ts";

/**
 * What is known of one key. `Unset` is `undefined` for a key without default and `never` for the others, so
 * that the values of a table have exact types.
 */
export interface Key<T = unknown> {
  readonly kind: Kind<unknown>;
  /** As text, since it is read like a given one; undefined: the key is not set unless someone sets it. */
  readonly fallback: string | ComputedDefault | undefined;
  /** One line, in words that a newcomer understands. */
  readonly meaning: string;
  readonly standing: Standing;
  /** A new value counts at once; otherwise at the next start. */
  readonly live: boolean;
  /** Printed by `-m`. */
  readonly important: boolean;
  /** Never told to a client. */
  readonly secret: boolean;
  /** Why a valid value is refused all the same; undefined: it isn't. */
  readonly refuse: ((value: unknown) => string | undefined) | undefined;
  /** Only for the compiler. */
  readonly valueType?: () => T;
}

/**
 * - `acts`: rmq does what the key says.
 * - `not yet`: known, without effect; one warning names those that a file sets to something else.
 * - `fixed`: choosing anything but the default is refused, because ignoring it would break a promise.
 */
export type Standing = "acts" | "not yet" | "fixed";

/** A default that depends on the machine or on other keys. */
export interface ComputedDefault {
  /** For tables. */
  readonly words: string;
  of(machine: Machine, textOf: (key: string) => string | undefined): string | undefined;
}

export type KeyTable = Readonly<Record<string, Key>>;

/** The values that the keys of a table have once they are read. */
export type ValuesOf<K extends KeyTable> = {
  readonly [N in keyof K]: K[N] extends Key<infer T> ? T : never;
};

/** A heading of the documentation and its keys. */
export interface Area {
  readonly title: string;
  readonly about: string;
  readonly keys: KeyTable;
}

export interface KeyOptions<T> {
  live?: true;
  important?: true;
  secret?: true;
  refuse?: (value: T) => string | undefined;
}

type Default = string | number | boolean | ComputedDefault;

/** A key that rmq acts on. */
export function acts<T>(kind: Kind<T>, fallback: Default, meaning: string, options?: KeyOptions<T>): Key<T>;
export function acts<T>(
  kind: Kind<T>,
  fallback: undefined,
  meaning: string,
  options?: KeyOptions<T>,
): Key<T | undefined>;
export function acts<T>(
  kind: Kind<T>,
  fallback: Default | undefined,
  meaning: string,
  options?: KeyOptions<T>,
) {
  return makeKey(kind, fallback, meaning, "acts", options);
}

/** A key that has no effect yet. */
export function notYet<T>(
  kind: Kind<T>,
  fallback: Default | undefined,
  meaning: string,
  options?: KeyOptions<T>,
): Key<T | undefined> {
  return makeKey(kind, fallback, meaning, "not yet", options);
}

/** A key that must keep its default; `because` is a sentence that says why, for the operator who wants another value. */
export function fixed<T>(
  kind: Kind<T>,
  fallback: Default,
  meaning: string,
  because: string,
  options?: Omit<KeyOptions<T>, "refuse">,
): Key<T> {
  const standard = JSON.stringify(fallback);
  return makeKey(kind, fallback, meaning, "fixed", {
    ...options,
    refuse: (value) => (JSON.stringify(value) === standard ? undefined : because),
  });
}

function makeKey<T>(
  kind: Kind<T>,
  fallback: Default | undefined,
  meaning: string,
  standing: Standing,
  options: KeyOptions<T> = {},
): Key<T> {
  return {
    kind,
    fallback: fallback === undefined || typeof fallback === "object" ? fallback : String(fallback),
    meaning,
    standing,
    live: options.live ?? false,
    important: options.important ?? false,
    secret: options.secret ?? false,
    refuse: options.refuse as Key["refuse"],
  };
}
