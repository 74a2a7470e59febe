// SPDX-License-Identifier: Apache-2.0
/**
 * The body of BATCH_ACK_MESSAGE. [RMQ BatchAckMessageRequestBody, BatchAck]
 *
 * ```
 * {"acks":[{"b":"Aw==","c":"group","it":60000,"pt":1700000000000,"q":2,"r":"0","rq":3,"so":100,"t":"topic"}],
 *  "brokerName":"broker-a"}
 * ```
 * `b` is a bit set in base64, its lowest byte and bit first: bit n is the message at `so` + n.
 */
import { Buffer } from "node:buffer";
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asArray, asInteger, asObject, asText } from "./json_fields.ts";

/** Messages of one check point that are acknowledged. */
export interface BatchAck {
  readonly group: string;
  /** The topic that was asked for, whichever topic holds the messages. */
  readonly topic: string;
  /** One of `RetryFlag`. */
  readonly retry: string;
  readonly startOffset: number;
  readonly queueId: number;
  readonly reviveQueueId: number;
  readonly popTimeMs: number;
  readonly invisibleMs: number;
  /** Queue offsets, ascending. */
  readonly offsets: readonly number[];
}

export interface BatchAckRequest {
  readonly brokerName: string;
  readonly acks: readonly BatchAck[];
}

/** No client acknowledges more of one check point; further bits are not looked at. */
const MAX_BITS = 4096;

/** Absent members are empty or 0. @throws MalformedError when it is no JSON object */
export function decodeBatchAckRequest(body: Uint8Array): BatchAckRequest {
  const object = parseJsonObject(body);
  return {
    brokerName: asText(object.brokerName, ""),
    acks: asArray(object.acks).map((item) => {
      const ack = asObject(item);
      const startOffset = asInteger(ack.so ?? ack.startOffset, 0);
      return {
        group: asText(ack.c ?? ack.consumerGroup, ""),
        topic: asText(ack.t ?? ack.topic, ""),
        retry: asText(ack.r ?? ack.retry, "0"),
        startOffset,
        queueId: asInteger(ack.q ?? ack.queueId, 0),
        reviveQueueId: asInteger(ack.rq ?? ack.reviveQueueId, 0),
        popTimeMs: asInteger(ack.pt ?? ack.popTime, 0),
        invisibleMs: asInteger(ack.it ?? ack.invisibleTime, 0),
        offsets: bitsOf(asText(ack.b ?? ack.bitSet, "")).map((bit) => startOffset + bit),
      };
    }),
  };
}

export function encodeBatchAckRequest(request: BatchAckRequest): Uint8Array {
  return encodeJson({
    acks: request.acks.map((ack) => ({
      b: bitSet(ack.offsets.map((offset) => offset - ack.startOffset)),
      c: ack.group,
      it: ack.invisibleMs,
      pt: ack.popTimeMs,
      q: ack.queueId,
      r: ack.retry,
      rq: ack.reviveQueueId,
      so: ack.startOffset,
      t: ack.topic,
    })),
    brokerName: request.brokerName,
  });
}

function bitsOf(base64: string): number[] {
  const bytes = Buffer.from(base64.slice(0, MAX_BITS / 6 + 4), "base64");
  const bits: number[] = [];
  for (const [index, byte] of bytes.entries()) {
    for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) bits.push(index * 8 + bit);
  }
  return bits;
}

function bitSet(bits: readonly number[]): string {
  const bytes = Buffer.alloc(Math.floor(Math.max(-1, ...bits) / 8) + 1);
  for (const bit of bits) bytes[bit >> 3] |= 1 << (bit & 7);
  return bytes.toString("base64");
}
