// SPDX-License-Identifier: Apache-2.0
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { createUniqueKey } from "../../src/protocol/message_id.ts";
import { encodeProperties, Property } from "../../src/protocol/properties.ts";
import { diskFiles } from "../../src/store/disk_files.ts";
import { MessageStore, type StoreOptions } from "../../src/store/message_store.ts";
import type { GetResult, MessageDraft } from "../../src/store/types.ts";
import { decodeRecord, type MessageRecord } from "../../src/protocol/record.ts";

const HOST = { ip: Uint8Array.of(127, 0, 0, 1), port: 10911 };

/** A store with small files, flushing and cleaning only when asked, so that tests reach every corner quickly. */
export function storeOptions(directory: string, given: Partial<StoreOptions> = {}): StoreOptions {
  return {
    files: diskFiles,
    clock: systemClock,
    storeDirectory: directory,
    commitLogDirectory: join(directory, "commitlog"),
    commitLogFileBytes: 16 * 1024,
    consumeQueueFileBytes: 20 * 50,
    multiDispatch: false,
    maxLightQueueCount: 100,
    consumeQueueExtension: false,
    consumeQueueExtensionFileBytes: 2048,
    maxOpenFiles: 64,
    checkCrcOnRecover: true,
    appendRecordCrc: false,
    requireRecordCrc: false,
    messageIndex: true,
    indexHashSlotCount: 100,
    indexEntryCount: 400,
    consumeQueueFlushIntervalMs: 60_000,
    consumeQueueFlushThoroughIntervalMs: 60_000,
    cleanIntervalMs: 60_000,
    commitLogDeletePauseMs: 1,
    maxMessageBytes: 8 * 1024,
    delayLevelsMs: [1000, 5000],
    flushMode: "ASYNC",
    commitLogFlushIntervalMs: 60_000,
    commitLogFlushMinPages: 4,
    commitLogFlushThoroughIntervalMs: 60_000,
    deleteAtHours: [],
    fileReservedHours: 72,
    deleteBatchMaxFiles: 10,
    cleanForcibly: true,
    diskMaxUsedPercent: 100,
    diskCleanForciblyPercent: 100,
    diskWarningPercent: 100,
    pullMaxBytesInMemory: 256 * 1024,
    pullMaxCountInMemory: 32,
    pullMaxBytesOnDisk: 64 * 1024,
    pullMaxCountOnDisk: 8,
    inMemoryBytes: 1 << 30,
    ...given,
  };
}

/** A directory that goes when `remove` is called. */
export function temporaryDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "rmq-store-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function openStore(directory: string, given: Partial<StoreOptions> = {}): Promise<MessageStore> {
  return MessageStore.open(storeOptions(directory, given));
}

/** What is in `directory` now, as a process that dies now would leave it, in a directory of its own. */
export function snapshot(directory: string): { path: string; remove(): void } {
  const copy = temporaryDirectory();
  cpSync(directory, copy.path, { recursive: true });
  return copy;
}

/** A message to append; its body says what is asked. */
export function draft(
  topic: string,
  body: string,
  given: Partial<MessageDraft> & { tags?: string; keys?: string } = {},
) {
  const propertyMap = new Map(given.propertyMap);
  propertyMap.set(Property.UNIQ_KEY, createUniqueKey(HOST.ip, Date.now()));
  if (given.tags) propertyMap.set(Property.TAGS, given.tags);
  if (given.keys) propertyMap.set(Property.KEYS, given.keys);
  const message: MessageDraft = {
    topic,
    queueId: 0,
    flag: 0,
    sysFlag: 0,
    bornTimestampMs: Date.now(),
    bornHost: HOST,
    storeHost: HOST,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: new TextEncoder().encode(body),
    ...given,
    properties: encodeProperties(propertyMap),
    propertyMap,
  };
  return message;
}

/** Resolves when everything appended so far may be read. */
export async function visible(store: MessageStore): Promise<void> {
  const target = store.maxPhysicalOffset;
  while (store.dispatchedOffset < target) {
    await new Promise<void>((resolve) => {
      let isSettled = false;
      store.onWatermark(() => {
        if (!isSettled) resolve();
        isSettled = true;
      });
    });
  }
}

/** The messages of an answer, decoded. */
export function recordsOf(result: GetResult): MessageRecord[] {
  const records: MessageRecord[] = [];
  for (const bytes of result.records) {
    for (let at = 0; at < bytes.length;) {
      const record = decodeRecord(bytes, at);
      if (typeof record === "string") throw new Error(`no record at ${at}: ${record}`);
      records.push(record);
      at += record.totalBytes;
    }
  }
  return records;
}

/** The bodies of all messages of a queue from `offset` on. */
export async function bodiesOf(
  store: MessageStore,
  topic: string,
  queueId = 0,
  offset?: number,
): Promise<string[]> {
  const bodies: string[] = [];
  let next = offset ?? store.minOffset(topic, queueId);
  while (next < store.maxOffset(topic, queueId)) {
    const result = await store.getMessages(topic, queueId, next, { maxCount: 32 });
    for (const record of recordsOf(result)) bodies.push(new TextDecoder().decode(record.body));
    if (result.nextBeginOffset <= next) throw new Error(`${result.status} at ${next}`);
    next = result.nextBeginOffset;
  }
  return bodies;
}
