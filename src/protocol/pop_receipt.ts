// SPDX-License-Identifier: Apache-2.0
/**
 * What a consumer is told of messages that it popped, and gives back to acknowledge them.
 *
 * The receipt (property `POP_CK`, header field `extraInfo`) is eight words with blanks between:
 * `startOffset popTime invisibleTime reviveQueueId retry brokerName queueId queueOffset`. Clients make it of the
 * answer's header, except for messages that already carry one.
 *
 * The answer's info strings are items with `;` between, each of words with blanks between:
 * `startOffsetInfo`: `retry queueId startOffset` · `msgOffsetInfo`: `retry queueId offset,offset,…` ·
 * `orderCountInfo`: `retry queueId count` and `retry qo<queueId>%<offset> count`. A client takes an item that
 * comes twice for an error, so a queue may be read only once for an answer. [RMQ ExtraInfoUtil]
 */
import { MalformedError } from "./header.ts";

/** Which kind of topic holds a message: the one that was asked for, or a retry topic of the old or new form. */
export const RetryFlag = { NORMAL: "0", V1: "1", V2: "2" } as const;

/** In place of a revive queue: the messages were popped in order. [RMQ KeyBuilder.POP_ORDER_REVIVE_QUEUE] */
export const ORDER_REVIVE_QUEUE = 999;

export interface PopReceipt {
  /** Where the reading of the queue began that gave this message: names the check point. */
  startOffset: number;
  /** By the broker's clock. */
  popTimeMs: number;
  invisibleMs: number;
  /** Queue of the revive topic that has the check point. */
  reviveQueueId: number;
  /** One of `RetryFlag`. */
  retry: string;
  brokerName: string;
  queueId: number;
  queueOffset: number;
}

const SEPARATOR = " ";

export function encodeReceipt(receipt: PopReceipt): string {
  const { startOffset, popTimeMs, invisibleMs, reviveQueueId, retry, brokerName, queueId, queueOffset } =
    receipt;
  return [startOffset, popTimeMs, invisibleMs, reviveQueueId, retry, brokerName, queueId, queueOffset]
    .join(SEPARATOR);
}

/** The part of a receipt that names the check point; what follows it may be missing. */
export type CheckPointName = Omit<PopReceipt, "queueId" | "queueOffset">;

/** @throws MalformedError */
export function decodeReceipt(text: string): CheckPointName {
  const words = text.split(SEPARATOR);
  if (words.length < 6) throw new MalformedError(`the receipt has ${words.length} parts instead of 8`);
  return {
    startOffset: integer(words[0], "startOffset"),
    popTimeMs: integer(words[1], "popTime"),
    invisibleMs: integer(words[2], "invisibleTime"),
    reviveQueueId: integer(words[3], "reviveQid"),
    retry: words[4],
    brokerName: words[5],
  };
}

export function startOffsetItem(retry: string, queueId: number, startOffset: number): string {
  return `${retry} ${queueId} ${startOffset}`;
}

export function messageOffsetsItem(retry: string, queueId: number, offsets: readonly number[]): string {
  return `${retry} ${queueId} ${offsets.join(",")}`;
}

/** How often all messages of a queue in this answer were given out before. */
export function queueCountItem(retry: string, queueId: number, count: number): string {
  return `${retry} ${queueId} ${count}`;
}

/** How often one message was. */
export function offsetCountItem(retry: string, queueId: number, queueOffset: number, count: number): string {
  return `${retry} qo${queueId}%${queueOffset} ${count}`;
}

/** Items of an info string. */
export function joinItems(items: readonly string[]): string {
  return items.join(";");
}

/** `retry@queueId` to its numbers: of `startOffsetInfo` one each, of `msgOffsetInfo` all offsets. @throws MalformedError */
export function decodeOffsetInfo(text: string): Map<string, number[]> {
  const queues = new Map<string, number[]>();
  for (const item of text.split(";")) {
    if (item === "") continue;
    const words = item.split(SEPARATOR);
    if (words.length !== 3) throw new MalformedError(`${item.slice(0, 64)} is no item of offsets`);
    queues.set(`${words[0]}@${words[1]}`, words[2].split(",").map((word) => integer(word, "offset")));
  }
  return queues;
}

function integer(word: string, name: string): number {
  const value = /^-?[0-9]{1,19}$/.test(word) ? Number(word) : NaN;
  if (!Number.isSafeInteger(value)) {
    throw new MalformedError(`the receipt's ${name} is no number: ${word.slice(0, 32)}`);
  }
  return value;
}
