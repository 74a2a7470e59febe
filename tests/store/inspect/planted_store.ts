// SPDX-License-Identifier: Apache-2.0
/** Stores made by the real MessageStore, to plant defects in. */
import { Buffer } from "node:buffer";
import { closeSync, cpSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { writeLong } from "../../../src/protocol/record.ts";
import { type Finding, Findings, type Kind } from "../../../src/store/inspect/findings.ts";
import { readLayout } from "../../../src/store/inspect/layout.ts";
import { walkLog } from "../../../src/store/inspect/log_walk.ts";
import type { StoreState } from "../../../src/store/inspect/queue_check.ts";
import { diskReader } from "../../../src/store/inspect/reader.ts";
import { type StoredTables, type Verified, verifyStore } from "../../../src/store/inspect/verify.ts";
import type { MessageStore, StoreOptions } from "../../../src/store/message_store.ts";
import type { MessageDraft } from "../../../src/store/types.ts";
import { draft, openStore, temporaryDirectory, visible } from "../../harness/store.ts";

export const LOG_FILE_BYTES = 16 * 1024;
export const QUEUE_FILE_BYTES = 20 * 50;
export const ENTRY_BYTES = 20;
export const INDEX_SLOTS = 100;
export const TOPICS = ["TopicA", "TopicB", "SCHEDULE_TOPIC_XXXX"];

/** A message of the log, as far as tests look for one. */
export interface Place {
  readonly physicalOffset: number;
  readonly size: number;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly storeTimestampMs: number;
}

/** A store that was stopped properly: 300 messages, 3 log files, queues and index of several files, delayed messages. */
export async function makeStore(
  given: Partial<StoreOptions> = {},
): Promise<{ path: string; remove(): void }> {
  const directory = temporaryDirectory();
  const store = await openStore(directory.path, given);
  await fill(store);
  await store.close();
  return directory;
}

export async function fill(store: MessageStore): Promise<void> {
  for (let number = 0; number < 300; number++) {
    store.append(message(number));
    // Several turns, so that store times differ as they do in life.
    if (number % 100 === 99) await visible(store);
  }
}

function message(number: number): MessageDraft {
  if (number % 60 === 59) {
    const propertyMap = new Map([["DELAY", "2"], ["REAL_TOPIC", "TopicA"], ["REAL_QID", "0"]]);
    return draft("SCHEDULE_TOPIC_XXXX", `late ${number}`, { queueId: 1, propertyMap });
  }
  const given = { tags: `Tag${number % 4}`, keys: `key-${number} more-${number}` };
  return number % 3 === 0
    ? draft("TopicB", `body ${number}`, given)
    : draft("TopicA", `body ${number}`, { ...given, queueId: number % 2 });
}

/** The same files elsewhere. */
export function copyStore(from: string): { path: string; remove(): void } {
  const copy = temporaryDirectory();
  cpSync(from, copy.path, { recursive: true, preserveTimestamps: true });
  return copy;
}

/** What the log holds, in its order. */
export async function placesOf(path: string): Promise<Place[]> {
  const places: Place[] = [];
  const reader = diskReader();
  const { log } = readLayout(reader, path, join(path, "commitlog"));
  await walkLog({ reader, log, checkBodyCrc: true }, {
    record(frame, bytes) {
      places.push({
        physicalOffset: frame.physicalOffset,
        size: frame.totalBytes,
        topic: bytes.toString("utf8", frame.topicAt, frame.topicAt + frame.topicBytes),
        queueId: frame.queueId,
        queueOffset: frame.queueOffset,
        storeTimestampMs: frame.storeTimestampMs,
      });
      return true;
    },
  });
  reader.close();
  return places;
}

export interface VerifyGiven {
  readonly state?: StoreState;
  readonly topics?: readonly string[] | null;
  readonly tables?: Partial<StoredTables>;
  readonly commitlog?: string;
}

/** Checks a store as the tool does. */
export async function verify(
  path: string,
  given: VerifyGiven = {},
): Promise<{ findings: Findings; verified: Verified }> {
  const reader = diskReader();
  const findings = new Findings();
  const layout = readLayout(reader, path, given.commitlog ?? join(path, "commitlog"), findings);
  const tables: StoredTables = {
    topics: given.topics === null ? undefined : new Set(given.topics ?? TOPICS),
    consumerOffsetFile: join(path, "config", "consumerOffset.json"),
    consumerOffsets: [],
    delayOffsetFile: join(path, "config", "delayOffset.json"),
    delayOffsets: new Map(),
    ...given.tables,
  };
  const verified = await verifyStore({ reader, layout, state: given.state ?? "clean", tables, findings });
  reader.close();
  return { findings, verified };
}

/** What is found, one line each: `KIND file@position what`. Files are told from the store on. */
export function told(path: string, findings: Findings): string[] {
  return findings.list.map(({ kind, file, position, what }: Finding) => {
    const name = file.startsWith(path) ? file.slice(path.length + 1) : file;
    return `${kind} ${name}${position === undefined ? "" : `@${position}`}: ${what}`;
  });
}

export function kindsOf(findings: Findings): Kind[] {
  return findings.list.map(({ kind }) => kind);
}

/** Overwrites bytes of a file. */
export function patch(file: string, position: number, bytes: Uint8Array): void {
  const descriptor = openSync(file, "r+");
  writeSync(descriptor, bytes, 0, bytes.length, position);
  closeSync(descriptor);
}

/** Turns one bit over. */
export function flip(file: string, position: number): void {
  const descriptor = openSync(file, "r+");
  const byte = Buffer.alloc(1);
  readSync(descriptor, byte, 0, 1, position);
  byte[0] ^= 1;
  writeSync(descriptor, byte, 0, 1, position);
  closeSync(descriptor);
}

export function longBytes(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  writeLong(bytes, value, 0);
  return bytes;
}

export function intBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function logFile(path: string, offset: number): string {
  const start = offset - offset % LOG_FILE_BYTES;
  return join(path, "commitlog", String(start).padStart(20, "0"));
}

/** Overwrites bytes of the log. */
export function patchLog(path: string, offset: number, bytes: Uint8Array): void {
  patch(logFile(path, offset), offset % LOG_FILE_BYTES, bytes);
}

export function queueFile(path: string, topic: string, queueId: number, queueOffset: number): string {
  const offset = queueOffset * ENTRY_BYTES;
  const start = offset - offset % QUEUE_FILE_BYTES;
  return join(path, "consumequeue", topic, String(queueId), String(start).padStart(20, "0"));
}

/** Overwrites a part of a queue's entry: 0 physicalOffset, 8 size, 12 tagsCode. */
export function patchEntry(
  path: string,
  topic: string,
  queueId: number,
  queueOffset: number,
  at: number,
  bytes: Uint8Array,
): void {
  const position = (queueOffset * ENTRY_BYTES) % QUEUE_FILE_BYTES + at;
  patch(queueFile(path, topic, queueId, queueOffset), position, bytes);
}

/** Files of the index, oldest first. */
export function indexFiles(path: string): string[] {
  return readdirSync(join(path, "index")).sort().map((name) => join(path, "index", name));
}
