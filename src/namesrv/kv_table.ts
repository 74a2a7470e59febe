// SPDX-License-Identifier: Apache-2.0
/**
 * Small texts that administrators keep at a name server, by namespace and key; one file, written whole at
 * each change: `{"configTable":{"<namespace>":{"<key>":"<value>"}}}`. [RMQ KVConfigManager]
 *
 * A change is on disk when the call returns; if it can't be written it did not happen.
 */
import { readFileSync } from "node:fs";
import { replaceFile } from "../base/replace_file.ts";
import { asTextMap, isObject } from "../protocol/bodies/json_fields.ts";
import { parseJsonObject, stringifyJson } from "../protocol/java_json.ts";

/** Order topics to `brokerName:queues;…`: the one namespace with a meaning of its own. */
export const ORDER_NAMESPACE = "ORDER_TOPIC_CONFIG";

export class KvTable {
  #namespaces: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly #path: string;
  #revision = 0;

  /** Reads the file; there may be none. @throws Error naming a file that can't be read */
  constructor(path: string) {
    this.#path = path;
    this.#namespaces = load(path);
  }

  /** Grows with every change. */
  get revision(): number {
    return this.#revision;
  }

  get(namespace: string, key: string): string | undefined {
    return this.#namespaces.get(namespace)?.get(key);
  }

  /** Undefined where nothing was ever put there; a namespace stays when its last key is deleted. */
  list(namespace: string): ReadonlyMap<string, string> | undefined {
    return this.#namespaces.get(namespace);
  }

  put(namespace: string, key: string, value: string): void {
    this.#write(namespace, new Map(this.#namespaces.get(namespace)).set(key, value));
  }

  delete(namespace: string, key: string): void {
    const table = new Map(this.#namespaces.get(namespace));
    if (table.delete(key)) this.#write(namespace, table);
  }

  #write(namespace: string, table: ReadonlyMap<string, string>): void {
    const namespaces = new Map(this.#namespaces).set(namespace, table);
    replaceFile(this.#path, stringifyJson({ configTable: namespaces }), `${this.#path}.bak`);
    this.#namespaces = namespaces;
    this.#revision++;
  }
}

function load(path: string): Map<string, Map<string, string>> {
  const namespaces = new Map<string, Map<string, string>>();
  const content = readIfThere(path);
  if (content === undefined || content.length === 0) return namespaces;
  try {
    const { configTable } = parseJsonObject(content);
    if (!isObject(configTable)) throw new Error("it has no configTable");
    for (const [namespace, table] of Object.entries(configTable)) namespaces.set(namespace, asTextMap(table));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the key-value file ${path} can't be read (its last version is ${path}.bak): ${reason}`, {
      cause,
    });
  }
  return namespaces;
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
