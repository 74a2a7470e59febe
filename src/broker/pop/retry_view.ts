// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { type CheckPointName, encodeReceipt } from "../../protocol/pop_receipt.ts";
import { encodeProperties, parseProperties, Property } from "../../protocol/properties.ts";
import { decodeRecord, measureRecord, type MessageRecord, writeRecord } from "../../protocol/record.ts";

/** Longer ones have no place in a record. */
const MAX_PROPERTIES_BYTES = 32_767;

/**
 * Messages of a retry topic as a client sees them: under the topic that they were sent to, and with their receipt,
 * for the client could not make it without knowing the retry topic.
 * @param pop how they were popped
 */
export function underTopic(topic: string, pop: CheckPointName, records: readonly Uint8Array[]): Uint8Array[] {
  const shown: Uint8Array[] = [];
  for (const bytes of records) {
    for (let at = 0; at < bytes.length;) {
      const record = decodeRecord(bytes, at, false);
      if (typeof record === "string") throw new Error(`a record of a retry topic can't be read: ${record}`);
      // One that has no room for its receipt stays as it is: clients know what to do with the retry topic's name.
      shown.push(viewOf(record, topic, pop) ?? bytes.subarray(at, at + record.totalBytes));
      at += record.totalBytes;
    }
  }
  return shown;
}

function viewOf(record: MessageRecord, topic: string, pop: CheckPointName): Uint8Array | undefined {
  const { queueId, queueOffset } = record;
  const propertyMap = parseProperties(record.properties);
  if (!propertyMap.has(Property.POP_CK)) {
    propertyMap.set(Property.POP_CK, encodeReceipt({ ...pop, queueId, queueOffset }));
  }
  const fields = { ...record, topic, properties: encodeProperties(propertyMap) };
  const lengths = measureRecord(fields);
  if (lengths.propertiesBytes > MAX_PROPERTIES_BYTES) return undefined;
  const view = Buffer.allocUnsafe(lengths.totalBytes);
  writeRecord(view, 0, fields, lengths, record);
  return view;
}
