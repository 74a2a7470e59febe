// SPDX-License-Identifier: Apache-2.0
/**
 * The stored message: what the CommitLog holds and what pulls, views and queries answer, byte for byte.
 * All numbers big-endian. [RMQ MessageExtEncoder, CommitLog.checkMessageAndReturnSize]
 *
 * ```
 *  0 totalSize 4 · 4 magic 4 · 8 bodyCRC 4 · 12 queueId 4 · 16 flag 4 · 20 queueOffset 8 · 28 physicalOffset 8
 * 36 sysFlag 4 · 40 bornTimestamp 8 · 48 bornHost 4|16 + port 4 · storeTimestamp 8 · storeHost 4|16 + port 4
 *    reconsumeTimes 4 · preparedTransactionOffset 8 · bodyLength 4 + body
 *    topicLength 1 (v1) | 2 (v2) + topic · propertiesLength 2 + properties
 * ```
 * Each IPv6 host (sysFlag 0x10, 0x20) moves what follows by 12 bytes.
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { crcBytesFor, writeRecordCrc } from "./record_crc.ts";
import { SysFlag } from "./sys_flag.ts";

export const MAGIC_V1 = 0xdaa320a7 | 0;
/** Two-byte topic length, for topics beyond 127 bytes. */
export const MAGIC_V2 = 0xdaa320ab | 0;
/** Fills the end of a log file that the next record does not fit into. */
export const MAGIC_BLANK = 0xcbd43194 | 0;

/** A blank needs its size and magic. */
export const BLANK_BYTES = 8;

/** Bytes of a v1 record with IPv4 hosts beside body, topic and properties. */
export const FIXED_BYTES = 91;

/** What `writeRecord` needs to know. */
export interface RecordFields {
  topic: string;
  queueId: number;
  flag: number;
  sysFlag: number;
  bornTimestampMs: number;
  bornHost: { readonly ip: Uint8Array; readonly port: number };
  storeHost: { readonly ip: Uint8Array; readonly port: number };
  reconsumeTimes: number;
  preparedTransactionOffset: number;
  body: Uint8Array;
  properties: string;
}

/** Where a record goes, known only at the moment of appending. */
export interface RecordPlace {
  queueOffset: number;
  physicalOffset: number;
  storeTimestampMs: number;
}

/** Lengths that decide whether a message can be stored, and how long its record is. */
export interface RecordLengths {
  topicBytes: number;
  /** With `crcBytes`. */
  propertiesBytes: number;
  totalBytes: number;
  /** Of the checksum over the whole record; 0: it gets none. */
  crcBytes: number;
}

/** @param withCrc whether the record gets a checksum over all of it, see `record_crc.ts` */
export function measureRecord(fields: RecordFields, withCrc = false): RecordLengths {
  const topicBytes = Buffer.byteLength(fields.topic);
  const crcBytes = withCrc ? crcBytesFor(fields.properties) : 0;
  const propertiesBytes = Buffer.byteLength(fields.properties) + crcBytes;
  const hostsBytes = fields.bornHost.ip.length + fields.storeHost.ip.length - 8;
  const topicLengthBytes = topicBytes > 127 ? 2 : 1;
  return {
    topicBytes,
    propertiesBytes,
    totalBytes: FIXED_BYTES - 1 + hostsBytes + topicLengthBytes + fields.body.length + topicBytes +
      propertiesBytes,
    crcBytes,
  };
}

/** The CRC as stored: over the (compressed) body, without the sign bit; 0 for an empty body. */
export function bodyCrc(body: Uint8Array): number {
  return body.length === 0 ? 0 : crc32(body) & 0x7fffffff;
}

/** Encodes a record at `at`, where `lengths.totalBytes` must be free. */
export function writeRecord(
  target: Buffer,
  at: number,
  fields: RecordFields,
  lengths: RecordLengths,
  place: RecordPlace,
): void {
  const { bornHost, storeHost, body } = fields;
  const sysFlag = (fields.sysFlag & ~(SysFlag.BORN_HOST_V6 | SysFlag.STORE_HOST_V6)) |
    (bornHost.ip.length === 16 ? SysFlag.BORN_HOST_V6 : 0) |
    (storeHost.ip.length === 16 ? SysFlag.STORE_HOST_V6 : 0);
  target.writeInt32BE(lengths.totalBytes, at);
  target.writeInt32BE(lengths.topicBytes > 127 ? MAGIC_V2 : MAGIC_V1, at + 4);
  target.writeInt32BE(bodyCrc(body), at + 8);
  target.writeInt32BE(fields.queueId, at + 12);
  target.writeInt32BE(fields.flag | 0, at + 16);
  writeLong(target, place.queueOffset, at + 20);
  writeLong(target, place.physicalOffset, at + 28);
  target.writeInt32BE(sysFlag | 0, at + 36);
  writeLong(target, fields.bornTimestampMs, at + 40);
  let next = writeHost(target, bornHost, at + 48);
  writeLong(target, place.storeTimestampMs, next);
  next = writeHost(target, storeHost, next + 8);
  target.writeInt32BE(fields.reconsumeTimes | 0, next);
  writeLong(target, fields.preparedTransactionOffset, next + 4);
  target.writeInt32BE(body.length, next + 12);
  target.set(body, next + 16);
  next += 16 + body.length;
  if (lengths.topicBytes > 127) {
    target.writeInt16BE(lengths.topicBytes, next);
    next += 2;
  } else {
    target[next++] = lengths.topicBytes;
  }
  target.write(fields.topic, next, "utf8");
  next += lengths.topicBytes;
  target.writeInt16BE(lengths.propertiesBytes, next);
  target.write(fields.properties, next + 2, "utf8");
  if (lengths.crcBytes > 0) writeRecordCrc(target, at, lengths.totalBytes, lengths.crcBytes);
}

/** A record read back. `body` is a view. */
export interface MessageRecord extends RecordFields, RecordPlace {
  totalBytes: number;
  bodyCrc: number;
}

/** Why bytes are no record. */
export type RecordDefect = "TRUNCATED" | "NO_MAGIC" | "BLANK" | "LENGTHS" | "BODY_CRC";

/** What every reader of the log needs of a record, without allocating for the rest. */
export interface RecordFrame {
  totalBytes: number;
  queueId: number;
  queueOffset: number;
  physicalOffset: number;
  sysFlag: number;
  storeTimestampMs: number;
  bodyAt: number;
  bodyBytes: number;
  topicAt: number;
  topicBytes: number;
  propertiesAt: number;
  propertiesBytes: number;
}

/**
 * Checks one record at `at` and finds its parts. All lengths are checked against each other and against the
 * bytes at hand before anything is read by them, so any bytes may be given.
 */
export function frameRecord(bytes: Buffer, at: number, checkBodyCrc: boolean): RecordFrame | RecordDefect {
  const available = bytes.length - at;
  if (available < BLANK_BYTES) return "TRUNCATED";
  const totalBytes = bytes.readInt32BE(at);
  const magic = bytes.readInt32BE(at + 4);
  if (magic === MAGIC_BLANK) return "BLANK";
  if (magic !== MAGIC_V1 && magic !== MAGIC_V2) return "NO_MAGIC";
  if (totalBytes < FIXED_BYTES) return "LENGTHS";
  if (available < totalBytes) return "TRUNCATED";
  const sysFlag = bytes.readInt32BE(at + 36);
  const bornIp = sysFlag & SysFlag.BORN_HOST_V6 ? 16 : 4;
  const storeIp = sysFlag & SysFlag.STORE_HOST_V6 ? 16 : 4;
  const storeTimestampAt = at + 48 + bornIp + 4;
  const bodyLengthAt = storeTimestampAt + 8 + storeIp + 4 + 12;
  const topicLengthBytes = magic === MAGIC_V2 ? 2 : 1;
  const end = at + totalBytes;
  if (bodyLengthAt + 4 + topicLengthBytes + 2 > end) return "LENGTHS";
  const bodyBytes = bytes.readInt32BE(bodyLengthAt);
  const topicLengthAt = bodyLengthAt + 4 + bodyBytes;
  if (bodyBytes < 0 || topicLengthAt + topicLengthBytes + 2 > end) return "LENGTHS";
  const topicBytes = topicLengthBytes === 2
    ? bytes.readInt16BE(topicLengthAt)
    : bytes.readInt8(topicLengthAt);
  const topicAt = topicLengthAt + topicLengthBytes;
  if (topicBytes < 0 || topicAt + topicBytes + 2 > end) return "LENGTHS";
  const propertiesBytes = bytes.readInt16BE(topicAt + topicBytes);
  const propertiesAt = topicAt + topicBytes + 2;
  if (propertiesBytes < 0 || propertiesAt + propertiesBytes !== end) return "LENGTHS";
  const bodyAt = bodyLengthAt + 4;
  if (checkBodyCrc && bodyBytes > 0) {
    const stored = bytes.readInt32BE(at + 8);
    if ((crc32(bytes.subarray(bodyAt, bodyAt + bodyBytes)) & 0x7fffffff) !== stored) return "BODY_CRC";
  }
  return {
    totalBytes,
    queueId: bytes.readInt32BE(at + 12),
    queueOffset: readLong(bytes, at + 20),
    physicalOffset: readLong(bytes, at + 28),
    sysFlag,
    storeTimestampMs: readLong(bytes, storeTimestampAt),
    bodyAt,
    bodyBytes,
    topicAt,
    topicBytes,
    propertiesAt,
    propertiesBytes,
  };
}

/** Decodes a whole record. @returns the defect where the bytes are none */
export function decodeRecord(bytes: Uint8Array, at = 0, checkBodyCrc = true): MessageRecord | RecordDefect {
  const buffer = asBuffer(bytes);
  const frame = frameRecord(buffer, at, checkBodyCrc);
  if (typeof frame === "string") return frame;
  const { sysFlag } = frame;
  const bornIp = sysFlag & SysFlag.BORN_HOST_V6 ? 16 : 4;
  const storeIp = sysFlag & SysFlag.STORE_HOST_V6 ? 16 : 4;
  const storeHostAt = at + 48 + bornIp + 4 + 8;
  const tailAt = storeHostAt + storeIp + 4;
  return {
    totalBytes: frame.totalBytes,
    bodyCrc: buffer.readInt32BE(at + 8),
    queueId: frame.queueId,
    flag: buffer.readInt32BE(at + 16),
    queueOffset: frame.queueOffset,
    physicalOffset: frame.physicalOffset,
    sysFlag,
    bornTimestampMs: readLong(buffer, at + 40),
    bornHost: readHost(buffer, at + 48, bornIp),
    storeTimestampMs: frame.storeTimestampMs,
    storeHost: readHost(buffer, storeHostAt, storeIp),
    reconsumeTimes: buffer.readInt32BE(tailAt),
    preparedTransactionOffset: readLong(buffer, tailAt + 4),
    body: buffer.subarray(frame.bodyAt, frame.bodyAt + frame.bodyBytes),
    topic: buffer.toString("utf8", frame.topicAt, frame.topicAt + frame.topicBytes),
    properties: buffer.toString("utf8", frame.propertiesAt, frame.propertiesAt + frame.propertiesBytes),
  };
}

/** A `Buffer` over the same bytes. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Writes a safe integer as 8 bytes, two's complement; what `readLong` gives for others does no harm. */
export function writeLong(target: Buffer, value: number, at: number): void {
  target.writeInt32BE(Math.min(Math.floor(value / 0x100000000), 0x7fffffff), at);
  target.writeInt32BE(value | 0, at + 4);
}

/** Reads 8 bytes; beyond the safe range the nearest number, which no caller takes for a place or a time. */
export function readLong(source: Buffer, at: number): number {
  return source.readInt32BE(at) * 0x100000000 + source.readUInt32BE(at + 4);
}

function writeHost(target: Buffer, host: { ip: Uint8Array; port: number }, at: number): number {
  target.set(host.ip, at);
  target.writeInt32BE(host.port, at + host.ip.length);
  return at + host.ip.length + 4;
}

function readHost(source: Buffer, at: number, ipBytes: number): { ip: Uint8Array; port: number } {
  return { ip: source.subarray(at, at + ipBytes), port: source.readInt32BE(at + ipBytes) };
}
