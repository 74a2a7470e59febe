// SPDX-License-Identifier: Apache-2.0
import { findMessages } from "../../client/admin/messages.ts";
import { plainBody } from "../message_body.ts";
import { adminCommand, brokerOptions, FAILURES } from "./command.ts";
import { formatMoment } from "./text.ts";
import { oneTopic } from "./topic_facts.ts";
import { parseTrace, type TraceEvent } from "./trace_data.ts";

const TRACE_TOPIC = "RMQ_SYS_TRACE_TOPIC";

export const messageTraceCommand = adminCommand({
  name: "trace",
  summary: "Show what clients wrote down of a message's way",
  help:
    "Clients write traces only where their tracing is on, and brokers keep them only with traceTopicEnable (or in a " +
    "topic of one's own).",
  operands: [{ name: "ID" }],
  options: {
    ...brokerOptions,
    "trace-topic": { value: "TOPIC", help: `Where traces are (default ${TRACE_TOPIC})` },
  },
  examples: [[
    "message trace AC11000200012A139A5C8E3B7F8C0000",
    "sent and consumed when, by whom, how long, how",
  ]],
  json:
    `{"messageId", "events": [{"event": sent|consumed|consuming|transaction ended, "timeMs", "group", "topic",
  "clientHost", "durationMs", "isSuccess", "retryTimes", "outcome"}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const [id] = operands;
    const topic = given["trace-topic"] ?? TRACE_TOPIC;
    const { configs } = await oneTopic(cluster, topic, given).catch(() => {
      throw new Error(
        `there is no topic ${topic}: traces are not kept. Brokers keep them with traceTopicEnable=true.`,
      );
    });
    const query = {
      topic,
      key: id,
      isUniqueKey: false,
      maxCount: 64,
      fromMs: 0,
      toMs: Number.MAX_SAFE_INTEGER,
    };
    const answers = await cluster.each(
      configs.map(([broker]) => broker),
      (broker) => findMessages(broker, query),
    );
    const events = answers.flatMap(([, messages]) => messages)
      .flatMap((message) => parseTrace(new TextDecoder().decode(plainBody(message) ?? new Uint8Array())))
      .filter(({ messageId }) => messageId === id);
    const way = joinConsumptions(events).sort((a, b) => a.timeMs - b.timeMs);
    if (out.isJson) {
      const json = way.map(({ messageId: _, requestId: __, ...event }) => event);
      return await out.json({ messageId: id, events: json, failures: cluster.failures });
    }
    if (way.length === 0) {
      throw new Error(`no trace of ${id} in ${topic}: its clients wrote none, or it is gone.`);
    }
    await out.table({
      columns: [
        { head: "TIME" },
        { head: "EVENT" },
        { head: "GROUP", isFlexible: true },
        { head: "TOPIC", isFlexible: true, isOptional: true },
        { head: "TOOK", isNumber: true },
        { head: "RESULT" },
        { head: "CLIENT", isFlexible: true, isOptional: true },
      ],
      rows: way.map((event) => [
        formatMoment(event.timeMs),
        event.event,
        event.group ?? "-",
        event.topic ?? "-",
        event.durationMs === null ? "-" : `${event.durationMs}ms`,
        event.isSuccess === null ? "started" : event.isSuccess ? event.outcome ?? "ok" : {
          text: event.outcome ?? "failed",
          colour: "red",
        },
        event.clientHost ?? "-",
      ]),
    });
  },
});

/** What a consumer wrote before and after it handled a message, as one event. */
function joinConsumptions(events: readonly TraceEvent[]): TraceEvent[] {
  const joined: TraceEvent[] = [];
  const started = new Map<string, TraceEvent>();
  for (const event of events) {
    if (event.event === "consuming" && event.requestId !== null) started.set(event.requestId, event);
    else if (event.event !== "consumed") joined.push(event);
  }
  for (const event of events) {
    if (event.event !== "consumed") continue;
    const before = event.requestId === null ? undefined : started.get(event.requestId);
    if (before !== undefined) started.delete(event.requestId!);
    joined.push({
      ...event,
      timeMs: before?.timeMs ?? event.timeMs,
      group: before?.group ?? event.group,
      retryTimes: before?.retryTimes ?? null,
      clientHost: before?.clientHost ?? event.clientHost,
    });
  }
  return [...joined, ...started.values()];
}
