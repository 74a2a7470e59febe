// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { readConfigFile } from "./config_file.ts";
import { ConfigError } from "./config_error.ts";
import type { Machine } from "./machine.ts";
import type { Source } from "./resolve.ts";

/** Where a role's configuration comes from, lowest precedence first; defaults lie below all of it. */
export interface LoadOptions {
  /** Replaces defaults; the file wins over it. */
  presets?: Source;
  /** The file named with `-c`. */
  file?: string;
  /** `--set` and other options, which win over the file. */
  overriding?: readonly Source[];
  machine?: Machine;
}

/** A source made of `key=value` texts, as `--set` takes them. @throws ConfigError */
export function sourceOfPairs(name: string, pairs: readonly string[]): Source {
  const entries = pairs.map((pair) => {
    const at = pair.indexOf("=");
    if (at <= 0) {
      const message = `${name} takes key=value, not ${JSON.stringify(pair)}.`;
      throw new ConfigError([{ place: undefined, key: undefined, message }]);
    }
    return { key: pair.slice(0, at).trim(), value: pair.slice(at + 1) };
  });
  return { name, entries };
}

/** A source with one key. */
export function sourceOfKey(name: string, key: string, value: string): Source {
  return { name, entries: [{ key, value }] };
}

/** The file named with `-c`, or the one that an earlier run wrote changed keys to, if there is one. */
export function chosenFile(named: string | undefined, written: string): Source | undefined {
  if (named !== undefined) return readConfigFile(named);
  return existsSync(written) ? readConfigFile(written) : undefined;
}
