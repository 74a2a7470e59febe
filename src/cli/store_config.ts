// SPDX-License-Identifier: Apache-2.0
/** Reads the tables in a store's `config` as a broker would, without changing anything, and says what is wrong. */
import { join } from "node:path";
import { parseOffsets } from "../broker/consumer_offsets.ts";
import { asInteger, type JsonObject, storedTable } from "../protocol/bodies/json_fields.ts";
import { groupTableFromJson } from "../protocol/bodies/subscription_group.ts";
import { topicConfigTableFromJson } from "../protocol/bodies/topic_config.ts";
import { MalformedError } from "../protocol/header.ts";
import { parseJsonObject } from "../protocol/java_json.ts";
import type { Findings } from "../store/inspect/findings.ts";
import type { ConsumerOffset } from "../store/inspect/offset_check.ts";
import type { StoreReader } from "../store/inspect/reader.ts";
import type { StoredTables } from "../store/inspect/verify.ts";

/** Tables without the ending `.json`. */
const BARE_NAMES = ["timermetrics", "transactionMetrics"];

/** @param findings gets what can't be read; nothing is said without it */
export function readTables(reader: StoreReader, directory: string, findings?: Findings): StoredTables {
  const config = join(directory, "config");
  const table = <T>(name: string, decode: (object: JsonObject) => T) => {
    return readTable(reader, join(config, name), decode, findings);
  };
  const topics = table("topics.json", topicNames);
  table("subscriptionGroup.json", (object) => {
    storedTable(object, "subscriptionGroupTable");
    return groupTableFromJson(object);
  });
  const known = ["topics.json", "subscriptionGroup.json", "consumerOffset.json", "delayOffset.json"];
  // With enableLmq Apache keeps the offsets under another name.
  const offsets = ["consumerOffset.json", "lmqConsumerOffset.json"].map((name) =>
    table(name, consumerOffsets)
  );
  const delayOffsets = table("delayOffset.json", delayOffsetsOf);
  for (const name of otherTables(reader, config, [...known, "lmqConsumerOffset.json"])) table(name, () => {});
  return {
    topics,
    consumerOffsetFile: join(
      config,
      offsets[0] === undefined && offsets[1] ? "lmqConsumerOffset.json" : known[2],
    ),
    consumerOffsets: offsets.flatMap((list) => list ?? []),
    delayOffsetFile: join(config, "delayOffset.json"),
    delayOffsets: delayOffsets ?? new Map(),
  };
}

/** What of tables is there beside the known ones, with or without a backup. */
function otherTables(reader: StoreReader, config: string, known: readonly string[]): string[] {
  const names = reader.list(config).map((name) => name.replace(/\.bak$/, ""))
    .filter((name) => name.endsWith(".json") || BARE_NAMES.includes(name));
  return [...new Set(names)].filter((name) => !known.includes(name)).sort();
}

function topicNames(object: JsonObject): Set<string> {
  return new Set(topicConfigTableFromJson(storedTable(object, "topicConfigTable")).keys());
}

function consumerOffsets(object: JsonObject): ConsumerOffset[] {
  return parseOffsets(object).map(([group, topic, queueId, offset]) => ({ group, topic, queueId, offset }));
}

function delayOffsetsOf(object: JsonObject): Map<number, number> {
  return new Map(
    Object.entries(storedTable(object, "offsetTable")).map((
      [level, offset],
    ) => [Number(level), asInteger(offset, 0)]),
  );
}

type Outcome<T> = { kind: "value"; value: T } | { kind: "missing" | "empty" } | {
  kind: "broken";
  why: string;
};

/** What the file says, or its backup where brokers would take that; undefined where there is nothing to read. */
function readTable<T>(
  reader: StoreReader,
  path: string,
  decode: (object: JsonObject) => T,
  findings?: Findings,
): T | undefined {
  const main = readOne(reader, path, decode);
  const backup = readOne(reader, `${path}.bak`, decode);
  const add: Findings["add"] = (kind, place, what) => findings?.add(kind, place, what);
  if (main.kind === "value") {
    if (backup.kind === "broken") add("CONFIG_BACKUP_UNREADABLE", { file: `${path}.bak` }, backup.why);
    return main.value;
  }
  const why = main.kind === "broken" ? main.why : `it is ${main.kind}`;
  if (backup.kind === "value") {
    const kind = main.kind === "missing" ? "CONFIG_ONLY_BACKUP" : "CONFIG_FROM_BACKUP";
    add(kind, { file: path }, why);
    return backup.value;
  }
  if (main.kind === "missing" && backup.kind === "missing") return undefined;
  const backupWhy = backup.kind === "broken" ? `of its .bak: ${backup.why}` : `its .bak is ${backup.kind}`;
  add("CONFIG_UNREADABLE", { file: path }, `${why}; ${backupWhy}`);
  return undefined;
}

function readOne<T>(reader: StoreReader, path: string, decode: (object: JsonObject) => T): Outcome<T> {
  let bytes: Uint8Array;
  try {
    bytes = reader.read(path);
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string };
    return code === "ENOENT" ? { kind: "missing" } : { kind: "broken", why: message };
  }
  if (bytes.length === 0) return { kind: "empty" };
  try {
    return { kind: "value", value: decode(parseJsonObject(bytes)) };
  } catch (error) {
    if (error instanceof MalformedError) return { kind: "broken", why: error.message };
    throw error;
  }
}
