// SPDX-License-Identifier: Apache-2.0
import { changeConfigFile } from "./config_file.ts";
import { ConfigBlackListError, ConfigError } from "./config_error.ts";
import type { KeyTable, ValuesOf } from "./key.ts";
import type { Machine } from "./machine.ts";
import { parseProperties, PropertiesSyntaxError, writeProperty } from "./properties_file.ts";
import { resolve, type Resolved, type Role, type Source } from "./resolve.ts";

export interface ConfigurationOptions<K extends KeyTable, S> {
  role: Role<K>;
  /** Lowest precedence first. */
  sources: readonly Source[];
  /** Sources whose keys win over the file at every start: `--set`, the command line. */
  overriding: readonly Source[];
  machine: Machine;
  /** Where changed keys are written; made if missing. */
  file: string;
  /** Keys that nobody may change over the network; those of `configBlackList` are added. */
  unchangeable: readonly string[];
  toSettings(values: ValuesOf<K>): S;
}

/** What a change did. */
export interface ConfigChange {
  /** Keys whose new value counts from now on. */
  readonly applied: readonly string[];
  /** Keys whose new value counts from the next start. */
  readonly atNextStart: readonly string[];
  /** Keys that are not known here; nothing was done about them. */
  readonly ignored: readonly string[];
  /** Sentences for the log. */
  readonly warnings: readonly string[];
}

/**
 * The configuration of a running name server or broker: its settings, the same as key and text, and the way to
 * change it while it runs.
 *
 * What is shown (`entries`) includes changes that wait for the next start; what counts (`settings`) does not.
 */
export class Configuration<S, K extends KeyTable = KeyTable> {
  #options: ConfigurationOptions<K, S>;
  /** Changes of this run, all of them and those that count at once. */
  #changed = new Map<string, string>();
  #changedLive = new Map<string, string>();
  #shown: Resolved<K>;
  #settings: S;
  #listeners: ((settings: S, keys: readonly string[]) => void)[] = [];

  /** @throws ConfigError with everything that is wrong */
  constructor(options: ConfigurationOptions<K, S>) {
    this.#options = options;
    this.#shown = this.#resolve(this.#changed);
    this.#settings = options.toSettings(this.#shown.values);
  }

  /** Never changed in place: after a change there is another object. */
  get settings(): S {
    return this.#settings;
  }

  /** What the operator should know about the files and options read at the start. */
  get warnings(): readonly string[] {
    return this.#shown.warnings;
  }

  /** Every key with its text, in the documentation's order, unknown ones last. */
  get entries(): ReadonlyMap<string, string> {
    return this.#shown.texts;
  }

  /** Lines for `-p`, or for `-m` only the important keys; a key without value is shown empty. */
  print(which: "all" | "important"): string {
    const { keys } = this.#options.role;
    const names = new Set([...Object.keys(keys), ...this.entries.keys()]);
    return [...names]
      .filter((name) => which === "all" || keys[name]?.important)
      .map((name) => `${writeProperty(name, this.entries.get(name) ?? "")}\n`)
      .join("");
  }

  /** The entries that a client may see: without secrets. */
  publicEntries(): ReadonlyMap<string, string> {
    const { keys } = this.#options.role;
    return new Map([...this.entries].filter(([name]) => !keys[name]?.secret));
  }

  /** Keys that no client may change. */
  get blackList(): readonly string[] {
    const listed = (this.#shown.values as { configBlackList?: readonly string[] }).configBlackList ?? [];
    return [...new Set([...this.#options.unchangeable, ...listed])];
  }

  /** `listener` is called after each change with the new settings and the keys that count from now on. */
  onChange(listener: (settings: S, keys: readonly string[]) => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Does what UPDATE_BROKER_CONFIG and UPDATE_NAMESRV_CONFIG ask: checks, writes the file, then applies. Keys
   * that are not known are ignored, as Apache does.
   *
   * @throws ConfigBlackListError, ConfigError; errors of `node:fs` if the file can't be written and a key waits
   *   for the next start. In all cases nothing was changed.
   */
  update(asked: ReadonlyMap<string, string>): ConfigChange {
    const forbidden = this.blackList.filter((name) => asked.has(name));
    if (forbidden.length > 0) throw new ConfigBlackListError(forbidden);
    const isKnown = (name: string) => this.entries.has(name) || Object.hasOwn(this.#options.role.keys, name);
    const changes = new Map(
      [...asked].filter(([name, value]) => isKnown(name) && this.entries.get(name) !== value),
    );
    const shown = this.#resolve(new Map([...this.#changed, ...changes]));
    const live = [...changes].filter(([name]) => this.#options.role.keys[name]?.live);
    const changedLive = new Map([...this.#changedLive, ...live]);
    const settings = this.#options.toSettings(this.#resolve(changedLive).values);
    const warnings = [
      ...this.#persist(changes, live.length),
      ...this.#overriddenAtStart(changes),
      ...shown.warnings.filter((warning) => !this.#shown.warnings.includes(warning)),
    ];

    for (const [name, value] of changes) this.#changed.set(name, value);
    this.#changedLive = changedLive;
    this.#shown = shown;
    this.#settings = settings;
    const applied = live.map(([name]) => name);
    if (applied.length > 0) { for (const listener of this.#listeners) listener(settings, applied); }
    return {
      applied,
      atNextStart: [...changes.keys()].filter((name) => !applied.includes(name)),
      ignored: [...asked.keys()].filter((name) => !isKnown(name)),
      warnings,
    };
  }

  #resolve(changes: ReadonlyMap<string, string>): Resolved<K> {
    const { role, sources, machine } = this.#options;
    const change = { name: "request", entries: [...changes].map(([key, value]) => ({ key, value })) };
    return resolve(role, [...sources, change], machine);
  }

  /** A file that can't be written (a read-only mount) must not hinder a change that counts at once anyway. */
  #persist(changes: ReadonlyMap<string, string>, liveCount: number): string[] {
    if (changes.size === 0) return [];
    try {
      changeConfigFile(this.#options.file, changes);
      return [];
    } catch (error) {
      if (liveCount < changes.size) throw error;
      return [
        `The change counts only until the next start: ${this.#options.file} can't be written: ${error}.`,
      ];
    }
  }

  #overriddenAtStart(changes: ReadonlyMap<string, string>): string[] {
    return this.#options.overriding.flatMap(({ name, entries }) =>
      entries.filter(({ key }) => changes.has(key))
        .map(({ key, value }) => `At the next start ${name} sets ${key} to ${value} again.`)
    );
  }
}

/** Java properties in the body of a request. @throws ConfigError */
export function parseChanges(body: string): ReadonlyMap<string, string> {
  try {
    return new Map(parseProperties(body).map(({ key, value }) => [key, value]));
  } catch (error) {
    if (!(error instanceof PropertiesSyntaxError)) throw error;
    const problem = { place: `line ${error.line}`, key: undefined, message: `${error.message}.` };
    throw new ConfigError([problem], { cause: error });
  }
}
