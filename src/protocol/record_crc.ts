// SPDX-License-Identifier: Apache-2.0
/**
 * The checksum over a whole record that Apache 5.x can put at the end of its properties, as the format itself has
 * one of the body only. [RMQ MessageExtEncoder, CommitLog.checkMessageAndReturnSize: enabledAppendPropCRC]
 *
 * ```
 * (0x02 if the properties don't end with one) · "__CRC32#" 0x01 · ten digits, the last one first · 0x02
 * ```
 * It covers the record from its first byte up to the item, without the sign bit.
 */
import type { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { Property } from "./properties.ts";

/** Bytes of the item without a separator before it. */
export const CRC_ITEM_BYTES = 20;
const START = `${Property.CRC32}\u0001`;
const SEPARATOR = 0x02;
const DIGITS = 10;

/** Bytes that a checksum adds to these properties. */
export function crcBytesFor(properties: string): number {
  const needsSeparator = properties !== "" && !properties.endsWith("\u0002");
  return CRC_ITEM_BYTES + (needsSeparator ? 1 : 0);
}

/** Writes the item into the last `crcBytes` of the record at `at`; all before them must be there. */
export function writeRecordCrc(target: Buffer, at: number, totalBytes: number, crcBytes: number): void {
  const itemAt = at + totalBytes - CRC_ITEM_BYTES;
  if (crcBytes > CRC_ITEM_BYTES) target[itemAt - 1] = SEPARATOR;
  let rest = crc32(target.subarray(at, itemAt)) & 0x7fffffff;
  target.write(START, itemAt, "latin1");
  for (let digit = 0; digit < DIGITS; digit++) {
    target[itemAt + START.length + digit] = 0x30 + rest % 10;
    rest = Math.floor(rest / 10);
  }
  target[at + totalBytes - 1] = SEPARATOR;
}

/** Whether a record has its checksum, and it is right; undefined where it has none. */
export function isRecordCrcRight(bytes: Buffer, at: number, totalBytes: number): boolean | undefined {
  const itemAt = at + totalBytes - CRC_ITEM_BYTES;
  if (itemAt < at || bytes.toString("latin1", itemAt, itemAt + START.length) !== START) return undefined;
  let stored = 0;
  for (let digit = DIGITS - 1; digit >= 0; digit--) {
    stored = stored * 10 + bytes[itemAt + START.length + digit] - 0x30;
  }
  const crc = crc32(bytes.subarray(at, itemAt)) & 0x7fffffff;
  return stored === crc && bytes[at + totalBytes - 1] === SEPARATOR;
}
