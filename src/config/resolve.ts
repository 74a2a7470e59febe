// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { ConfigError, type ConfigProblem } from "./config_error.ts";
import type { Key, KeyTable, ValuesOf } from "./key.ts";
import type { Machine } from "./machine.ts";
import { nearestName } from "./near_name.ts";

/** Where keys are given: a file, `--set`, … */
export interface Source {
  /** As an operator knows it. */
  readonly name: string;
  readonly entries: readonly SourceEntry[];
}

export interface SourceEntry {
  readonly key: string;
  readonly value: string;
  /** In a file. */
  readonly line?: number;
}

/** The keys of one role. */
export interface Role<K extends KeyTable> {
  /** In the plural: `brokers`. */
  readonly title: string;
  readonly keys: K;
  /** Keys of the other role, to recognise a mix-up. */
  readonly foreign: { readonly title: string; readonly names: readonly string[] };
  /** What values that are good by themselves can't mean together; undefined: they can. */
  contradiction?(values: ValuesOf<K>): { key: string; reason: string } | undefined;
}

export interface Resolved<K extends KeyTable> {
  readonly values: ValuesOf<K>;
  /** Every key that has a value, defaults included, in the table's order; then the unknown ones. */
  readonly texts: ReadonlyMap<string, string>;
  /** Sentences for the operator. */
  readonly warnings: readonly string[];
}

/**
 * Fills in defaults, checks and converts every key. Later sources win over earlier ones, later lines over
 * earlier ones; only the text that wins is checked.
 *
 * @throws ConfigError with everything that is wrong
 */
export function resolve<K extends KeyTable>(
  role: Role<K>,
  sources: readonly Source[],
  machine: Machine,
): Resolved<K> {
  const given = winners(sources);
  const texts = textsOf(role.keys, given, machine);
  const { values, problems } = checkedValues(role, texts, given);
  if (problems.length > 0) throw new ConfigError(problems);

  const unknown = [...given.keys()].filter((name) => !Object.hasOwn(role.keys, name));
  for (const name of unknown) texts.set(name, given.get(name)!.value);
  const warnings = [
    ...unknown.map((name) => unknownWarning(role, name, given.get(name)!)),
    ...withoutEffect(role.keys, values, texts, given, machine),
  ];
  return { values: values as ValuesOf<K>, texts, warnings };
}

/** The text of one key before anything is checked: given, or the default. */
export function textOfKey(
  keys: KeyTable,
  name: string,
  sources: readonly Source[],
  machine: Machine,
): string | undefined {
  return textFinder(keys, winners(sources), machine)(name);
}

interface Given {
  value: string;
  place: string;
  /** Among all that was given. */
  position: number;
}

function winners(sources: readonly Source[]): Map<string, Given> {
  const given = new Map<string, Given>();
  let position = 0;
  for (const { name, entries } of sources) {
    for (const { key, value, line } of entries) {
      given.set(key, { value, place: line === undefined ? name : `${name}:${line}`, position: position++ });
    }
  }
  return given;
}

function textFinder(keys: KeyTable, given: ReadonlyMap<string, Given>, machine: Machine) {
  return function textOf(name: string): string | undefined {
    return given.get(name)?.value ?? defaultText(keys[name], machine, textOf);
  };
}

function textsOf(keys: KeyTable, given: ReadonlyMap<string, Given>, machine: Machine): Map<string, string> {
  const textOf = textFinder(keys, given, machine);
  const texts = new Map<string, string>();
  for (const name of Object.keys(keys)) {
    const text = textOf(name);
    if (text !== undefined) texts.set(name, text);
  }
  return texts;
}

function defaultText(
  key: Key | undefined,
  machine: Machine,
  textOf: (name: string) => string | undefined,
): string | undefined {
  return typeof key?.fallback === "object" ? key.fallback.of(machine, textOf) : key?.fallback;
}

function checkedValues<K extends KeyTable>(
  { keys, contradiction }: Role<K>,
  texts: ReadonlyMap<string, string>,
  given: ReadonlyMap<string, Given>,
) {
  const problems: ConfigProblem[] = [];
  const complain = (name: string, what: string) => {
    const place = given.get(name)?.place ?? placeOfDefault(keys[name]);
    problems.push({ place, key: name, message: `${name}=${texts.get(name)} ${what}.` });
  };
  const position = ({ key }: ConfigProblem) => given.get(key!)?.position ?? -1;
  const result = v.safeParse(schemaOf(keys), Object.fromEntries(texts));
  for (const issue of result.issues ?? []) complain(String(issue.path![0].key), issue.message);
  const broken = new Set(problems.map(({ key }) => key));
  const values = result.output as Record<string, unknown>;
  for (const [name, { refuse }] of Object.entries(keys)) {
    if (refuse === undefined || values[name] === undefined || broken.has(name)) continue;
    const reason = refuse(values[name]);
    if (reason !== undefined) complain(name, `is refused: ${reason}`);
  }
  const contradicted = problems.length > 0 ? undefined : contradiction?.(values as ValuesOf<K>);
  if (contradicted !== undefined) complain(contradicted.key, `is refused: ${contradicted.reason}`);
  return { values, problems: problems.sort((a, b) => position(a) - position(b)) };
}

/** A default can be wrong only where it comes from outside, such as from the environment. */
function placeOfDefault({ fallback }: Key): string {
  return typeof fallback === "object" ? `default (${fallback.words})` : "default";
}

function schemaOf(keys: KeyTable) {
  return v.object(
    Object.fromEntries(Object.entries(keys).map(([name, { kind }]) => [name, v.optional(kind.schema)])),
  );
}

function unknownWarning(role: Role<KeyTable>, name: string, { place }: Given): string {
  if (role.foreign.names.includes(name)) {
    return `${place}: ${name} is a key of ${role.foreign.title}; ${role.title} don't look at it.`;
  }
  const near = nearestName(name, Object.keys(role.keys));
  return `${place}: ${name} is no known key${near === undefined ? "" : `; did you mean ${near}?`}`;
}

/** One sentence that names all keys that were set, differ from their default, and change nothing. */
function withoutEffect(
  keys: KeyTable,
  values: Readonly<Record<string, unknown>>,
  texts: ReadonlyMap<string, string>,
  given: ReadonlyMap<string, Given>,
  machine: Machine,
): string[] {
  const defaults = textsOf(keys, new Map(), machine);
  const isDefault = (name: string) => {
    const text = defaults.get(name);
    if (text === undefined) return false;
    const standard = v.safeParse(keys[name].kind.schema, text);
    return standard.success && JSON.stringify(standard.output) === JSON.stringify(values[name]);
  };
  const named = Object.entries(keys)
    .filter(([name, key]) => key.standing === "not yet" && given.has(name) && !isDefault(name))
    .map(([name, key]) => (key.secret ? name : `${name}=${texts.get(name)}`));
  return named.length === 0 ? [] : [`Known, but without effect in rmq yet: ${named.join(", ")}.`];
}
