// SPDX-License-Identifier: Apache-2.0
/** The two kinds of filters that consumers have, behind the face that the store, pulls and pops take. */
import { ExpressionError } from "../filter/sql/expression_error.ts";
import { SqlFilter } from "../filter/sql/sql_filter.ts";
import type { MessageFilter, PropertyFilter } from "../store/types.ts";

/** Wants messages by the hash of their tags. Hashes may collide: clients compare the tags themselves again. */
export class TagFilter implements MessageFilter {
  readonly #only: number | undefined;
  readonly #wanted: ReadonlySet<number>;

  constructor(codes: readonly number[]) {
    this.#only = codes.length === 1 ? codes[0] : undefined;
    this.#wanted = new Set(codes);
  }

  matchesEntry(tagsCode: number): boolean {
    return this.#only === undefined ? this.#wanted.has(tagsCode) : tagsCode === this.#only;
  }
}

/** Wants messages by an expression over their properties. */
export class ExpressionFilter implements MessageFilter {
  readonly properties: PropertyFilter;

  constructor(filter: SqlFilter) {
    this.properties = filter;
  }

  matchesEntry(): boolean {
    return true;
  }
}

/** Some clients send their expression with every pull, and groups share expressions. */
const MAX_COMPILED = 128;
/** The one asked for last is at the end; errors are kept as well, for a client repeats those too. */
const recent = new Map<string, SqlFilter | ExpressionError>();

/** An expression, made ready once. @throws ExpressionError */
export function compiled(expression: string): SqlFilter {
  const found = recent.get(expression) ?? compile(expression);
  recent.delete(expression);
  recent.set(expression, found);
  if (recent.size > MAX_COMPILED) recent.delete(recent.keys().next().value!);
  if (found instanceof ExpressionError) throw found;
  return found;
}

function compile(expression: string): SqlFilter | ExpressionError {
  try {
    return new SqlFilter(expression);
  } catch (error) {
    if (error instanceof ExpressionError) return error;
    throw error;
  }
}

/** Whether a message that has just come is wanted. */
export function isWanted(
  filter: MessageFilter | undefined,
  tagsCode: number,
  properties: ReadonlyMap<string, string>,
): boolean {
  if (filter === undefined) return true;
  return filter.matchesEntry(tagsCode) && (filter.properties?.matches(properties) ?? true);
}
