// SPDX-License-Identifier: Apache-2.0
/** What we answer administrators, byte for byte as an Apache broker 5.4.0 did (tests/golden/admin). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { encodeBrokerStats } from "../../../src/protocol/bodies/broker_stats.ts";
import {
  encodeConsumerConnection,
  encodeProducerConnection,
  encodeProducerTable,
} from "../../../src/protocol/bodies/client_connections.ts";
import { encodeConsumeStats, encodeConsumeStatsList } from "../../../src/protocol/bodies/consume_stats.ts";
import { encodeConsumeTimeSpans } from "../../../src/protocol/bodies/consume_time_span.ts";
import { encodeMasterRuntimeInfo } from "../../../src/protocol/bodies/ha_runtime_info.ts";
import {
  messageQueueFromJson,
  messageQueueToJson,
  queueKeyedEntries,
} from "../../../src/protocol/bodies/message_queue.ts";
import {
  decodeConsumerStatus,
  encodeConsumerStatuses,
  encodeResetOffset,
  encodeResetOffsetForCpp,
} from "../../../src/protocol/bodies/reset_offset.ts";
import { encodeTopicStats } from "../../../src/protocol/bodies/topic_stats.ts";
import { parseJson } from "../../../src/protocol/java_json.ts";

const directory = new URL("../../golden/admin/", import.meta.url);

// deno-lint-ignore no-explicit-any
type Parsed = any;

/** Java writes whole doubles as `0.0`, we as `0`; its readers take both. */
function golden(name: string): { text: string; parsed: Parsed } {
  const text = readFileSync(new URL(`${name}.json`, directory), "utf8");
  return { text: text.replace(/:(-?[0-9]+)\.0(?=[,}])/g, ":$1"), parsed: parseJson(text) };
}

function assertBody(body: Uint8Array, text: string): void {
  assert.equal(new TextDecoder().decode(body), text);
}

test("topic stats", () => {
  const { text, parsed } = golden("topic_stats");
  const offsetTable = queueKeyedEntries(parsed.offsetTable) as Parsed;
  assert.equal(offsetTable.length, 4);
  const swapped = encodeTopicStats({ offsetTable, topicPutTps: parsed.topicPutTps });
  assertBody(swapped, text);
});

test("consume stats of a group", () => {
  const { text, parsed } = golden("consume_stats");
  const offsetTable = queueKeyedEntries(parsed.offsetTable) as Parsed;
  assertBody(encodeConsumeStats({ consumeTps: parsed.consumeTps, offsetTable }), text);
});

test("consume stats of all groups", () => {
  const { text, parsed } = golden("broker_consume_stats");
  const groups = parsed.consumeStatsList.map((item: Parsed) => {
    const [[group, byTopic]] = Object.entries(item) as Parsed;
    return [
      group,
      byTopic.map((stats: Parsed) => ({ ...stats, offsetTable: queueKeyedEntries(stats.offsetTable) })),
    ];
  });
  assertBody(encodeConsumeStatsList({ ...parsed, groups }), text);
});

test("a consumer group's connections", () => {
  const { text, parsed } = golden("consumer_connection");
  const connections = parsed.connectionSet;
  const subscriptions = new Map<string, unknown>(Object.entries(parsed.subscriptionTable));
  assertBody(encodeConsumerConnection({ ...parsed, connections, subscriptions }), text);
});

test("a producer group's connections, and all producers", () => {
  const { text, parsed } = golden("producer_connection");
  assertBody(encodeProducerConnection(parsed.connectionSet), text);
  const table = golden("producer_table");
  const groups = Object.entries(table.parsed.data).map(([group, producers]) =>
    [
      group,
      (producers as Parsed[]).map((producer) => ({
        ...producer,
        remoteAddress: producer.remoteIP.slice(1),
        lastUpdateTimestampMs: producer.lastUpdateTimestamp,
      })),
    ] as const
  );
  assertBody(encodeProducerTable(groups), table.text);
});

test("broker stats", () => {
  const { text, parsed } = golden("broker_stats");
  const windows = { day: parsed.statsDay, hour: parsed.statsHour, minute: parsed.statsMinute };
  assertBody(encodeBrokerStats(windows), text);
});

test("time spans, with local times beside the numbers", () => {
  const { text, parsed } = golden("consume_time_span");
  const spans = parsed.consumeTimeSpanSet.map((span: Parsed) => ({
    queue: messageQueueFromJson(span.messageQueue),
    minTimestampMs: span.minTimeStamp,
    maxTimestampMs: span.maxTimeStamp,
    consumeTimestampMs: span.consumeTimeStamp,
    delayMs: span.delayTime,
  }));
  // The golden texts are of a broker in UTC.
  const local = (value: string) => value.replace(/"([a-zA-Z]+Str)":"([^"]+)"/g, "");
  assert.equal(local(new TextDecoder().decode(encodeConsumeTimeSpans(spans))), local(text));
  const atNoon = { ...spans[0], maxTimestampMs: new Date(2026, 0, 2, 12, 3, 4, 5).getTime() };
  assert.match(new TextDecoder().decode(encodeConsumeTimeSpans([atNoon])), /"2026-01-02#12:03:04:005"/);
});

test("a master without slaves", () => {
  const { text, parsed } = golden("ha_status");
  assertBody(
    encodeMasterRuntimeInfo({ commitLogMaxOffset: parsed.masterCommitLogMaxOffset, slaves: [] }),
    text,
  );
});

test("a master with slaves counts those that are in sync", () => {
  const slave = {
    addr: "10.0.0.2:43210",
    slaveAckOffset: 90,
    diff: 10,
    inSync: true,
    transferFromWhere: 90,
    transferredByteInSecond: 7,
  };
  const slaves = [slave, { ...slave, inSync: false }];
  const body = new TextDecoder().decode(encodeMasterRuntimeInfo({ commitLogMaxOffset: 100, slaves }));
  assert.match(body, /"haConnectionInfo":\[\{"addr":"10\.0\.0\.2:43210","diff":10,"inSync":true,/);
  assert.match(body, /"inSyncSlaveNums":1,/);
});

test("positions after a reset, as an object with objects as keys", () => {
  const { text, parsed } = golden("reset_offset");
  const offsets = queueKeyedEntries(parsed.offsetTable) as Parsed;
  assertBody(encodeResetOffset(offsets), text);
});

test("positions after a reset, as the list that clients in C++ read", () => {
  assertBody(
    encodeResetOffsetForCpp([[{ brokerName: "b", queueId: 1, topic: "T" }, 7]]),
    '{"offsetTable":[{"brokerName":"b","queueId":1,"topic":"T","offset":7}]}',
  );
});

test("positions that clients tell, by client", () => {
  const { text, parsed } = golden("consumer_status");
  const byClientId = new Map(
    Object.entries(parsed.consumerTable).map((
      [id, table],
    ) => [id, queueKeyedEntries(table as Parsed) as Parsed]),
  );
  assertBody(encodeConsumerStatuses(byClientId), text);
  const [, ofClient] = /"consumerTable":\{"[^"]+":(.*)\},"messageQueueTable"/.exec(text)!;
  const told = new TextEncoder().encode(`{"consumerTable":{},"messageQueueTable":${ofClient}}`);
  assert.deepEqual(decodeConsumerStatus(told), [...byClientId.values()][0]);
  assert.deepEqual(decodeConsumerStatus(new TextEncoder().encode("{}")), []);
  assert.throws(() => decodeConsumerStatus(null), /empty/);
});

test("a queue as a key may be text or an object, and nothing else", () => {
  const queue = { brokerName: "b", queueId: 2, topic: "T" };
  const key = JSON.stringify(messageQueueToJson(queue));
  assert.deepEqual(queueKeyedEntries(parseJson(`{${key}:1}`)), [[queue, 1]]);
  assert.deepEqual(queueKeyedEntries(parseJson(JSON.stringify({ [key]: 1 }))), [[queue, 1]]);
  assert.throws(() => queueKeyedEntries({ "5": 1 }), /no message queue/);
  assert.throws(() => queueKeyedEntries({ "{": 1 }), /JSON/);
});
