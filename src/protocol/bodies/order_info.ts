// SPDX-License-Identifier: Apache-2.0
/**
 * `config/consumerOrderInfo.json`: what was popped in order and is not acknowledged yet. [RMQ ConsumerOrderInfoManager]
 *
 * ```
 * {"table":{"topic@group":{"0":{"a":"attemptId","cm":0,"i":60000,"l":1700000000200,"o":[10,1,2],
 *                               "oc":{"10":1},"ot":{"11":1700000009000},"popTime":1700000000100}}}}
 * ```
 * `o`: the first queue offset, then distances to it · `cm`: bit n is message n, acknowledged · `oc`: how often a
 * message was given out before · `ot`: when a message may be given out again, unless at `popTime` + `i` ·
 * `l`: when it was written.
 */
import { MalformedError } from "../header.ts";
import { asArray, asInteger, asObject, asText, type JsonObject } from "./json_fields.ts";

/** The last batch of a queue. */
export interface OrderInfo {
  attemptId: string | undefined;
  popTimeMs: number;
  invisibleMs: number;
  /** Queue offsets of its messages, ascending; 32 at most. */
  offsets: readonly number[];
  /** Bit n: message n is acknowledged. */
  acked: number;
  /** Queue offset to how often the message was given out before; those that never were are not here. */
  counts: ReadonlyMap<number, number>;
  /** Queue offset to when the message may be given out again, where that was changed. */
  visibleAtMs: Map<number, number>;
  updatedMs: number;
}

export interface QueueOrder {
  readonly topic: string;
  readonly group: string;
  readonly queueId: number;
  readonly info: OrderInfo;
}

const SEPARATOR = "@";
const MAX_MESSAGES = 32;

/** @throws MalformedError */
export function orderTableFromJson(object: JsonObject): QueueOrder[] {
  const entries: QueueOrder[] = [];
  for (const [key, queues] of Object.entries(asObject(object.table))) {
    const at = key.indexOf(SEPARATOR);
    if (at <= 0) throw new MalformedError(`the key ${key.slice(0, 128)} is not of the form topic@group`);
    const topic = key.slice(0, at);
    const group = key.slice(at + 1);
    for (const [queueId, item] of Object.entries(asObject(queues))) {
      const info = orderInfoOf(asObject(item));
      if (info !== undefined) entries.push({ topic, group, queueId: Number(queueId), info });
    }
  }
  return entries;
}

/** A value for `formatJson`. */
export function orderTableToJson(entries: Iterable<QueueOrder>): Record<string, unknown> {
  const table = new Map<string, Map<number, unknown>>();
  for (const { topic, group, queueId, info } of entries) {
    const key = topic + SEPARATOR + group;
    let queues = table.get(key);
    if (queues === undefined) table.set(key, queues = new Map());
    const [first] = info.offsets;
    queues.set(queueId, {
      a: info.attemptId,
      cm: info.acked >>> 0,
      i: info.invisibleMs,
      l: info.updatedMs,
      o: info.offsets.map((offset, index) => (index === 0 ? offset : offset - first)),
      oc: info.counts,
      ot: info.visibleAtMs.size === 0 ? undefined : info.visibleAtMs,
      popTime: info.popTimeMs,
    });
  }
  return { table };
}

/** Undefined where it names no messages. */
function orderInfoOf(object: JsonObject): OrderInfo | undefined {
  const numbers = asArray(object.o).map((offset) => asInteger(offset, NaN));
  if (numbers.some(Number.isNaN)) throw new MalformedError("an offset is no number");
  if (numbers.length === 0) return undefined;
  if (numbers.length > MAX_MESSAGES) throw new MalformedError(`${numbers.length} messages in one batch`);
  const [first] = numbers;
  return {
    attemptId: asText(object.a),
    popTimeMs: asInteger(object.popTime, 0),
    invisibleMs: asInteger(object.i, 0),
    offsets: numbers.map((number, index) => (index === 0 ? number : first + number)),
    acked: asInteger(object.cm, 0) | 0,
    counts: numberMap(object.oc),
    visibleAtMs: numberMap(object.ot),
    updatedMs: asInteger(object.l, 0),
  };
}

function numberMap(value: JsonObject[string] | undefined): Map<number, number> {
  return new Map(Object.entries(asObject(value)).map(([key, item]) => [Number(key), asInteger(item, 0)]));
}
