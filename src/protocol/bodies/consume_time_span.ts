// SPDX-License-Identifier: Apache-2.0
import { encodeJson } from "../java_json.ts";
import { type MessageQueue, messageQueueToJson } from "./message_queue.ts";

/** From when to when a queue holds messages, and where in that a group stands. [RMQ QueueTimeSpan] */
export interface QueueTimeSpan {
  readonly queue: MessageQueue;
  readonly minTimestampMs: number;
  readonly maxTimestampMs: number;
  readonly consumeTimestampMs: number;
  /** Age of the next message to consume; 0 where there is none. */
  readonly delayMs: number;
}

/** The answer to QUERY_CONSUME_TIME_SPAN. */
export function encodeConsumeTimeSpans(spans: readonly QueueTimeSpan[]): Uint8Array {
  return encodeJson({
    consumeTimeSpanSet: spans.map((span) => ({
      consumeTimeStamp: span.consumeTimestampMs,
      consumeTimeStampStr: timeText(span.consumeTimestampMs),
      delayTime: span.delayMs,
      maxTimeStamp: span.maxTimestampMs,
      maxTimeStampStr: timeText(span.maxTimestampMs),
      messageQueue: messageQueueToJson(span.queue),
      minTimeStamp: span.minTimestampMs,
      minTimeStampStr: timeText(span.minTimestampMs),
    })),
  });
}

/** `yyyy-MM-dd#HH:mm:ss:SSS` in local time. [RMQ UtilAll.timeMillisToHumanString2] */
function timeText(ms: number): string {
  const time = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${String(time.getFullYear()).padStart(4, "0")}-${two(time.getMonth() + 1)}-${
    two(time.getDate())
  }`;
  const millis = String(time.getMilliseconds()).padStart(3, "0");
  return `${day}#${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}:${millis}`;
}
