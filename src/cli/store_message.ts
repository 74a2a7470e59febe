// SPDX-License-Identifier: Apache-2.0
/** A stored message as a line of text or of JSON. */
import { offsetMessageId } from "../protocol/message_id.ts";
import { Property } from "../protocol/properties.ts";
import type { Found } from "../store/inspect/select.ts";
import { formatHost, readBody } from "./message_body.ts";
import { asWord, formatTime, quote } from "./store_text.ts";

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
  return JSON.stringify({ ...fieldsOf(found), properties, ...withBody && readBody(found.record) });
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
    for (const [name, value] of Object.entries(readBody(found.record))) {
      parts.push(`${name}=${name === "body" ? quote(value) : value}`);
    }
  }
  return parts.join(" ");
}

const SHOWN: readonly string[] = [Property.UNIQ_KEY, Property.TAGS, Property.KEYS];
