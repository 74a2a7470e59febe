// SPDX-License-Identifier: Apache-2.0
import { DataVersion } from "../protocol/bodies/data_version.ts";
import { parseJsonObject } from "../protocol/java_json.ts";

/** How a peer asks for part of a table; all undefined: it wants the whole. */
export interface AskedPage {
  /** Position in the table, sorted by name. */
  from: number | undefined;
  /** The version of the parts that it has, as JSON. */
  dataVersion: string | undefined;
  maxCount: number | undefined;
}

/**
 * The part of a table that a peer asks for. It starts anew where the table is not the one that the peer's
 * other parts are of. [RMQ TopicConfigManager.subTopicConfigTable, SubscriptionGroupManager.subGroupTable]
 *
 * @param maxCount entries in one part; undefined: the whole table, however it is asked for
 */
export function metadataPage<T>(
  table: ReadonlyMap<string, T>,
  version: DataVersion,
  asked: AskedPage,
  maxCount: number | undefined,
): ReadonlyMap<string, T> {
  const wantsAll = asked.from === undefined && asked.dataVersion === undefined &&
    asked.maxCount === undefined;
  if (wantsAll || maxCount === undefined) return table;
  const from = isVersion(asked.dataVersion, version) ? Math.max(0, asked.from ?? 0) : 0;
  const count = Math.min(maxCount, Math.max(0, asked.maxCount ?? maxCount));
  const names = [...table.keys()].sort().slice(from, from + count);
  return new Map(names.map((name) => [name, table.get(name)!]));
}

function isVersion(json: string | undefined, version: DataVersion): boolean {
  if (json === undefined || json === "") return false;
  try {
    return DataVersion.fromJson(parseJsonObject(json)).equals(version);
  } catch {
    return false;
  }
}
