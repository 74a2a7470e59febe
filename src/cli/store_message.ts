// SPDX-License-Identifier: Apache-2.0
/** A stored message as a line of text or of JSON. */
import { Buffer } from "node:buffer";
import { inflateSync } from "node:zlib";
import { offsetMessageId } from "../protocol/message_id.ts";
import { Property } from "../protocol/properties.ts";
import { SysFlag } from "../protocol/sys_flag.ts";
import type { Found } from "../store/inspect/select.ts";
import { asWord, formatTime, quote } from "./store_text.ts";

/** A body that grows beyond that is shown as it is stored. */
const MAX_BODY_BYTES = 32 << 20;
/** How a compressed body is compressed; 0 is what clients before 5.0 write. [RMQ CompressionType] */
const COMPRESSION_MASK = 0x700;
const ZLIB = 0x300;

/** What is known of a message, in the order in which it is printed. */
function fieldsOf({ record, properties, defect }: Found) {
  return {
    physicalOffset: record.physicalOffset,
    queueOffset: record.queueOffset,
    topic: record.topic,
    queueId: record.queueId,
    size: record.totalBytes,
    storeTimestamp: record.storeTimestampMs,
    bornTimestamp: record.bornTimestampMs,
    bornHost: formatHost(record.bornHost),
    storeHost: formatHost(record.storeHost),
    msgId: offsetMessageId(record.storeHost, record.physicalOffset),
    uniqKey: properties.get(Property.UNIQ_KEY),
    tags: properties.get(Property.TAGS),
    keys: properties.get(Property.KEYS),
    flag: record.flag,
    sysFlag: record.sysFlag,
    reconsumeTimes: record.reconsumeTimes,
    preparedTransactionOffset: record.preparedTransactionOffset,
    bodyCRC: record.bodyCrc,
    defect,
  };
}

/** One JSON object; what a message does not have is left out. */
export function messageJson(found: Found, withBody: boolean): string {
  const properties = Object.fromEntries(found.properties);
  return JSON.stringify({ ...fieldsOf(found), properties, ...withBody && readBody(found) });
}

/** `name=value` pairs; what stands in a property of its own is not repeated among the others. */
export function messageLine(found: Found, withBody: boolean): string {
  const fields = fieldsOf(found);
  const parts = [
    `physicalOffset=${fields.physicalOffset}`,
    `queueOffset=${fields.queueOffset}`,
    `topic=${asWord(fields.topic)}`,
    `queueId=${fields.queueId}`,
    `size=${fields.size}`,
    `storeTime=${formatTime(fields.storeTimestamp).replace(" ", "T")}`,
    `bornHost=${fields.bornHost}`,
    `msgId=${fields.msgId}`,
  ];
  const { uniqKey, tags, keys, defect } = fields;
  if (uniqKey !== undefined) parts.push(`UNIQ_KEY=${asWord(uniqKey)}`);
  if (tags !== undefined) parts.push(`tags=${asWord(tags)}`);
  if (keys !== undefined) parts.push(`keys=${asWord(keys)}`);
  parts.push(`sysFlag=${fields.sysFlag}`, `reconsumeTimes=${fields.reconsumeTimes}`);
  if (defect !== undefined) parts.push(`defect=${defect}`);
  const others = Object.fromEntries([...found.properties].filter(([name]) => !SHOWN.includes(name)));
  if (Object.keys(others).length > 0) parts.push(`properties=${quote(others)}`);
  if (withBody) {
    for (const [name, value] of Object.entries(readBody(found))) {
      parts.push(`${name}=${name === "body" ? quote(value) : value}`);
    }
  }
  return parts.join(" ");
}

const SHOWN: readonly string[] = [Property.UNIQ_KEY, Property.TAGS, Property.KEYS];

/** The body as text, or in Base64 where it is none; a compressed one as its sender wrote it, if we can. */
function readBody({ record }: Found): { body: string } | { bodyBase64: string; isCompressed?: true } {
  const isCompressed = (record.sysFlag & SysFlag.COMPRESSED) !== 0;
  const plain = isCompressed ? decompress(record.body, record.sysFlag) : record.body;
  if (plain === undefined) {
    return { bodyBase64: Buffer.from(record.body).toString("base64"), isCompressed: true };
  }
  try {
    return { body: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(plain) };
  } catch {
    return { bodyBase64: Buffer.from(plain).toString("base64") };
  }
}

function decompress(body: Uint8Array, sysFlag: number): Uint8Array | undefined {
  const type = sysFlag & COMPRESSION_MASK;
  if (type !== 0 && type !== ZLIB) return undefined;
  try {
    return inflateSync(body, { maxOutputLength: MAX_BODY_BYTES });
  } catch {
    return undefined;
  }
}

/** `ip:port`; IPv6 addresses in brackets. */
function formatHost({ ip, port }: { ip: Uint8Array; port: number }): string {
  if (ip.length === 4) return `${ip.join(".")}:${port}`;
  const groups = Array.from(
    { length: 8 },
    (_, index) => (ip[index * 2] << 8 | ip[index * 2 + 1]).toString(16),
  );
  return `[${groups.join(":")}]:${port}`;
}
