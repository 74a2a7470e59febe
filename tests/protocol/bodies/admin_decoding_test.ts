// SPDX-License-Identifier: Apache-2.0
/** What an Apache broker 5.4.0 answered administrators (tests/golden/admin), read and written again. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decodeBrokerStats, encodeBrokerStats } from "../../../src/protocol/bodies/broker_stats.ts";
import {
  decodeConsumerConnection,
  decodeProducerConnection,
  decodeProducerTable,
  encodeProducerConnection,
  encodeProducerTable,
} from "../../../src/protocol/bodies/client_connections.ts";
import {
  decodeConsumeStats,
  decodeConsumeStatsList,
  encodeConsumeStats,
  encodeConsumeStatsList,
} from "../../../src/protocol/bodies/consume_stats.ts";
import {
  decodeHaRuntimeInfo,
  encodeMasterRuntimeInfo,
  encodeSlaveRuntimeInfo,
} from "../../../src/protocol/bodies/ha_runtime_info.ts";
import { decodeResetOffset, encodeResetOffset } from "../../../src/protocol/bodies/reset_offset.ts";
import { decodeTopicConfigs } from "../../../src/protocol/bodies/topic_config.ts";
import { decodeTopicStats, encodeTopicStats } from "../../../src/protocol/bodies/topic_stats.ts";

function golden(name: string): Uint8Array {
  return readFileSync(new URL(`../../golden/admin/${name}.json`, import.meta.url));
}

/** Java writes whole doubles as `0.0`, we as `0`. */
function assertSame(written: Uint8Array, body: Uint8Array): void {
  const text = new TextDecoder().decode(body).replace(/:(-?[0-9]+)\.0(?=[,}])/g, ":$1");
  assert.equal(new TextDecoder().decode(written), text);
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("bodies that tell of queues and groups are read as they were written", () => {
  const of = golden;
  assertSame(encodeTopicStats(decodeTopicStats(of("topic_stats"))), of("topic_stats"));
  assertSame(encodeConsumeStats(decodeConsumeStats(of("consume_stats"))), of("consume_stats"));
  assertSame(
    encodeConsumeStatsList(decodeConsumeStatsList(of("broker_consume_stats"))),
    of("broker_consume_stats"),
  );
  assertSame(encodeResetOffset(decodeResetOffset(of("reset_offset"))), of("reset_offset"));
  assertSame(encodeBrokerStats(decodeBrokerStats(of("broker_stats"))), of("broker_stats"));
  assertSame(encodeProducerTable(decodeProducerTable(of("producer_table"))), of("producer_table"));
  assertSame(
    encodeProducerConnection(decodeProducerConnection(of("producer_connection"))),
    of("producer_connection"),
  );
});

test("a consumer group's clients and subscriptions are read", () => {
  const group = decodeConsumerConnection(golden("consumer_connection"));
  assert.equal(group.consumeType, "CONSUME_PASSIVELY");
  assert.ok(group.connections.length > 0 && group.connections.every(({ clientId }) => clientId !== ""));
  assert.ok([...group.subscriptions].every(([topic, data]) => data.topic === topic));
});

test("a master tells of its slaves, a slave of its master", () => {
  assert.deepEqual(decodeHaRuntimeInfo(golden("ha_status")), {
    isMaster: true,
    maxOffset: JSON.parse(new TextDecoder().decode(golden("ha_status"))).masterCommitLogMaxOffset,
    slaves: [],
  });
  const slave = {
    addr: "10.0.0.2:43210",
    slaveAckOffset: 90,
    diff: 10,
    inSync: true,
    transferFromWhere: 90,
    transferredByteInSecond: 7,
  };
  const master = decodeHaRuntimeInfo(encodeMasterRuntimeInfo({ commitLogMaxOffset: 100, slaves: [slave] }));
  assert.deepEqual(master, { isMaster: true, maxOffset: 100, slaves: [slave] });
  const following = {
    lastReadTimestamp: 1,
    lastWriteTimestamp: 2,
    masterAddr: "10.0.0.1:10912",
    masterFlushOffset: 3,
    maxOffset: 4,
    transferredByteInSecond: 5,
  };
  assert.deepEqual(decodeHaRuntimeInfo(encodeSlaveRuntimeInfo(following)), { isMaster: false, following });
});

test("what is absent is empty or 0, as brokers of 4.9 leave things out", () => {
  assert.deepEqual(decodeTopicStats(bytes('{"offsetTable":{}}')), { offsetTable: [], topicPutTps: 0 });
  const old =
    '{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"T"}:{"brokerOffset":9,"consumerOffset":4}}}';
  assert.deepEqual(decodeConsumeStats(bytes(old)).offsetTable[0][1], {
    brokerOffset: 9,
    consumerOffset: 4,
    lastTimestamp: 0,
    pullOffset: 4,
  });
  assert.deepEqual(decodeResetOffset(null), []);
  assert.deepEqual([...decodeTopicConfigs(bytes("{}"))], []);
  assert.equal(
    decodeTopicConfigs(bytes('{"topicConfigTable":{"T":{"perm":4}}}')).get("T")!.readQueueNums,
    16,
  );
  assert.throws(() => decodeConsumeStats(bytes("[]")), /not a JSON object/);
});
