// SPDX-License-Identifier: Apache-2.0
/** A message from a broker as people and programs read it. */
import type { ReceivedMessage } from "../../client/consumer.ts";
import { offsetMessageId } from "../../protocol/message_id.ts";
import { Property } from "../../protocol/properties.ts";
import { formatHost, readBody } from "../message_body.ts";
import { asWord, formatTime } from "../store_text.ts";
import { cutTo, printable } from "./columns.ts";
import type { Output } from "./output.ts";

/** Keys of a message in JSON, for help texts. */
export const MESSAGE_JSON =
  `{"topic", "broker", "queueId", "queueOffset", "messageId", "offsetMessageId", "tags", "keys",
  "bornMs", "bornHost", "storedMs", "storeHost", "reconsumeTimes", "properties": {name: text},
  "body" (or "bodyBase64" where it is no text)}`;

export function messageJson(message: ReceivedMessage, broker: string) {
  return {
    topic: message.topic,
    broker,
    queueId: message.queueId,
    queueOffset: message.queueOffset,
    messageId: message.messageId || offsetIdOf(message),
    offsetMessageId: offsetIdOf(message),
    tags: message.tags ?? null,
    keys: message.properties.get(Property.KEYS) ?? null,
    bornMs: message.bornTimestampMs,
    bornHost: formatHost(message.bornHost),
    storedMs: message.storeTimestampMs,
    storeHost: formatHost(message.storeHost),
    reconsumeTimes: message.reconsumeTimes,
    properties: Object.fromEntries(message.properties),
    ...readBody(message),
  };
}

export function offsetIdOf(message: ReceivedMessage): string {
  return offsetMessageId(message.storeHost, message.physicalOffset);
}

/** What stands elsewhere, or says nothing to a person. */
const SHOWN_ELSEWHERE: ReadonlySet<string> = new Set([
  Property.KEYS,
  Property.TAGS,
  Property.UNIQ_KEY,
  Property.WAIT,
  Property.CLUSTER,
  Property.MSG_REGION,
  Property.TRACE_ON,
]);

/** Everything about one message. */
export async function showMessage(out: Output, message: ReceivedMessage, broker: string): Promise<void> {
  const facts = messageJson(message, broker);
  const others = [...message.properties].filter(([name]) => !SHOWN_ELSEWHERE.has(name));
  await out.facts([
    ["Topic", message.topic],
    ["Queue", `${broker} ${message.queueId}, offset ${message.queueOffset}`],
    ["Message id", facts.messageId],
    ["Offset id", facts.offsetMessageId],
    ["Keys", facts.keys === null ? undefined : printable(facts.keys)],
    ["Tags", facts.tags === null ? undefined : printable(facts.tags)],
    ["Sent", `${formatTime(facts.bornMs)} from ${facts.bornHost}`],
    ["Stored", `${formatTime(facts.storedMs)} at ${facts.storeHost}`],
    ["Tried before", facts.reconsumeTimes === 0 ? undefined : facts.reconsumeTimes],
    ["Properties", others.map(([name, value]) => `${asWord(name)}=${asWord(value)}`).join(" ") || undefined],
  ]);
  await out.line();
  await out.line(bodyLines(message));
}

/** A body for a terminal: its lines stay lines, and nothing else can do anything. */
function bodyLines(message: ReceivedMessage): string {
  const body = readBody(message);
  if ("body" in body) {
    return body.body.split("\n").map((line) => printable(line.replace(/\r$/, ""))).join("\n");
  }
  return `(${body.isCompressed ? "compressed" : "binary"}, Base64) ${body.bodyBase64}`;
}

/** One line for a stream of messages; cut where a terminal is too narrow. */
export function messageLine(
  message: ReceivedMessage,
  broker: string,
  out: Output,
  terminalColumns: number | undefined,
): string {
  const time = formatTime(message.storeTimestampMs);
  const place = `${broker}/${message.queueId}@${message.queueOffset}`;
  const labels = [
    ...message.tags === undefined ? [] : [`tags=${asWord(message.tags)}`],
    ...message.properties.has(Property.KEYS)
      ? [`keys=${asWord(message.properties.get(Property.KEYS)!)}`]
      : [],
    ...message.reconsumeTimes > 0 ? [`tries=${message.reconsumeTimes}`] : [],
  ].join(" ");
  const body = readBody(message);
  const text = "body" in body ? printable(body.body) : `base64:${body.bodyBase64}`;
  const head = `${time}  ${place}  ${labels === "" ? "" : `${labels}  `}`;
  const room = terminalColumns === undefined ? Infinity : Math.max(10, terminalColumns - head.length);
  return `${out.colour(`${time}  ${place}`, "dim")}  ${
    labels === "" ? "" : `${out.colour(labels, "cyan")}  `
  }${cutTo(text, room)}`;
}
