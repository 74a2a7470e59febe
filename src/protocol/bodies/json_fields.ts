// SPDX-License-Identifier: Apache-2.0
/**
 * Reads members of a parsed body as forgivingly as fastjson does: numbers may come as strings and strings as
 * numbers, and what is absent, null or of another kind is given as the fallback.
 */
import { MalformedError } from "../header.ts";
import type { Json } from "../java_json.ts";

export type JsonObject = { [key: string]: Json };

const NOTHING: JsonObject = Object.freeze(Object.create(null));

/** The value as an object; an empty one where it is none. */
export function asObject(value: Json | undefined): JsonObject {
  return isObject(value) ? value : NOTHING;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * The table that a stored object is about; empty where the object is.
 * @throws MalformedError where it holds something else only: that is another file, and nothing of it can be trusted
 */
export function storedTable(object: JsonObject, name: string): JsonObject {
  const table = object[name];
  if (isObject(table)) return table;
  if ((table === undefined || table === null) && Object.keys(object).length === 0) return NOTHING;
  throw new MalformedError(table === undefined ? `it has no ${name}` : `${name} is no JSON object`);
}

export function asArray(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

/** A whole number; fractions are cut off as Java does when it narrows. */
export function asInteger(value: Json | undefined, fallback: number): number {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? Math.trunc(number) : fallback;
}

/** A number, whole or not. */
export function asNumber(value: Json | undefined, fallback: number): number {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : fallback;
}

export function asText(value: Json | undefined): string | undefined;
export function asText(value: Json | undefined, fallback: string): string;
export function asText(value: Json | undefined, fallback?: string): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : fallback;
}

export function asBoolean(value: Json | undefined, fallback: boolean): boolean {
  if (typeof value === "boolean") return value;
  if (typeof value === "string") return value.toLowerCase() === "true";
  return typeof value === "number" ? value !== 0 : fallback;
}

/** Members that are strings (or can be read as such), in their order. */
export function asTextMap(value: Json | undefined): Map<string, string> {
  const map = new Map<string, string>();
  for (const [key, item] of Object.entries(asObject(value))) {
    const text = asText(item);
    if (text !== undefined) map.set(key, text);
  }
  return map;
}

/** Elements that are strings (or can be read as such), in their order. */
export function asTextList(value: Json | undefined): string[] {
  return asArray(value).map((item) => asText(item)).filter((item) => item !== undefined);
}
