// SPDX-License-Identifier: Apache-2.0
/** The texts that clients with tracing keep in the trace topic. [RMQ TraceDataEncoder] */

/** Something that happened to a message. */
export interface TraceEvent {
  readonly event: "sent" | "consuming" | "consumed" | "transaction ended";
  readonly messageId: string;
  /** 0 where it was not written down: old clients leave it out after consuming. */
  readonly timeMs: number;
  readonly group: string | null;
  readonly topic: string | null;
  readonly clientHost: string | null;
  readonly durationMs: number | null;
  readonly isSuccess: boolean | null;
  readonly retryTimes: number | null;
  /** In words, where more is known than success or failure. */
  readonly outcome: string | null;
  /** The same in what is written before and after a message is consumed. */
  readonly requestId: string | null;
}

const EVENT_END = "\u0002";
const FIELD_END = "\u0001";

/** Outcomes of consuming. [RMQ ConsumeReturnType] */
const CONSUME_OUTCOMES = ["ok", "timed out", "threw", "returned null", "failed"];

/**
 * The events in a text, each of them fields with \x01 between:
 *
 * ```
 * Pub · time · region · group · topic · messageId · tags · keys · storeHost · bodyLength · took · msgType
 *     · offsetMessageId (not in old ones) · isSuccess · clientHost (not in old ones)
 * SubBefore · time · region · group · requestId · messageId · retryTimes · keys · clientHost (not in old ones)
 * SubAfter · requestId · messageId · took · isSuccess · keys · outcome · time · group (the last not in old ones)
 * EndTransaction · time · region · group · topic · messageId · tags · keys · storeHost · msgType · transactionId
 *     · state · fromCheck
 * ```
 */
export function parseTrace(text: string): TraceEvent[] {
  return text.split(EVENT_END).flatMap((part) => {
    const fields = part.split(FIELD_END);
    const event = READERS[fields[0]]?.(fields);
    return event === undefined ? [] : [{ ...NOTHING, ...event }];
  });
}

const NOTHING = {
  group: null,
  topic: null,
  clientHost: null,
  durationMs: null,
  isSuccess: null,
  retryTimes: null,
  outcome: null,
  requestId: null,
} as const;

type Reader = (
  fields: readonly string[],
) => Partial<TraceEvent> & Pick<TraceEvent, "event" | "messageId" | "timeMs">;

const READERS: Readonly<Record<string, Reader>> = {
  Pub: (fields) => ({
    event: "sent",
    timeMs: numberAt(fields, 1),
    group: fields[3] ?? null,
    topic: fields[4] ?? null,
    messageId: fields[5] ?? "",
    durationMs: numberAt(fields, 10),
    isSuccess: fields[fields.length === 13 ? 12 : 13] === "true",
    clientHost: fields[14] || null,
  }),
  SubBefore: (fields) => ({
    event: "consuming",
    timeMs: numberAt(fields, 1),
    group: fields[3] ?? null,
    requestId: fields[4] ?? null,
    messageId: fields[5] ?? "",
    retryTimes: numberAt(fields, 6),
    clientHost: fields[8] || null,
  }),
  SubAfter: (fields) => ({
    event: "consumed",
    requestId: fields[1] ?? null,
    messageId: fields[2] ?? "",
    durationMs: numberAt(fields, 3),
    isSuccess: fields[4] === "true",
    outcome: fields[6] ? CONSUME_OUTCOMES[Number(fields[6])] ?? null : null,
    timeMs: numberAt(fields, 7),
    group: fields[8] || null,
  }),
  EndTransaction: (fields) => ({
    event: "transaction ended",
    timeMs: numberAt(fields, 1),
    group: fields[3] ?? null,
    topic: fields[4] ?? null,
    messageId: fields[5] ?? "",
    isSuccess: fields[11] === "COMMIT_MESSAGE",
    outcome: fields[11]?.toLowerCase().replaceAll("_", " ") ?? null,
  }),
};

function numberAt(fields: readonly string[], index: number): number {
  const value = Number(fields[index] ?? 0);
  return Number.isFinite(value) ? value : 0;
}
