// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConsumerOffsets, NO_OFFSET } from "../../../src/broker/consumer_offsets.ts";
import { consumerOffsetHandlers } from "../../../src/broker/handlers/consumer_offset.ts";
import { topicConfig } from "../../../src/protocol/bodies/topic_config.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { MemoryConnection } from "../../harness/memory_connection.ts";
import { MemoryFiles } from "../../harness/memory_files.ts";

function setUp() {
  const offsets = ConsumerOffsets.open({
    files: new MemoryFiles(),
    directory: "/config",
    clock: new ManualClock(),
    flushIntervalMs: 5000,
  });
  const state = { minOffset: 0, isHot: true, serverSideResetOffset: true };
  const topic = topicConfig("t", { readQueueNums: 4, writeQueueNums: 8 });
  const table = new Map(consumerOffsetHandlers({
    offsets,
    groups: { has: (group) => group === "g" },
    topics: { get: (name) => name === "t" ? topic : undefined },
    minOffset: () => state.minOffset,
    isOffsetZeroHot: () => state.isHot,
    settings: () => state,
  }));
  const connection = new MemoryConnection();
  const query = (more: Record<string, string> = {}) =>
    connection.ask(table, {
      code: RequestCode.QUERY_CONSUMER_OFFSET,
      fields: { consumerGroup: "g", topic: "t", queueId: "0", ...more },
    });
  const update = (more: Record<string, string | undefined> = {}) => {
    const fields = { consumerGroup: "g", topic: "t", queueId: "0", commitOffset: "5", ...more };
    return connection.ask(table, {
      code: RequestCode.UPDATE_CONSUMER_OFFSET,
      fields: JSON.parse(JSON.stringify(fields)),
    });
  };
  return { offsets, state, table, connection, query, update };
}

describe("QUERY_CONSUMER_OFFSET", () => {
  test("answers what was committed", async () => {
    const { offsets, query } = setUp();
    offsets.commit("g", "t", 0, 5_000_000_000);
    assert.deepEqual(await query(), { code: 0, fields: { offset: "5000000000" } });
    offsets.commit("g", "t", 0, 0);
    assert.deepEqual(await query({ setZeroIfNotFound: "false" }), { code: 0, fields: { offset: "0" } });
  });

  test("answers 0 to a new group while the queue's first message is still hot", async () => {
    const { query } = setUp();
    assert.deepEqual(await query(), { code: 0, fields: { offset: "0" } });
    assert.deepEqual(await query({ setZeroIfNotFound: "true" }), { code: 0, fields: { offset: "0" } });
  });

  test("answers QUERY_NOT_FOUND to a new group otherwise", async () => {
    const { query, state } = setUp();
    assert.equal((await query({ setZeroIfNotFound: "false" })).code, 22);
    state.isHot = false;
    assert.equal((await query()).code, 22);
    state.isHot = true;
    state.minOffset = 1;
    assert.equal((await query()).code, 22);
    assert.equal((await query({ topic: "unknown", consumerGroup: "unknown" })).code, 22);
  });

  test("takes a negative offset for none", async () => {
    const { query, offsets, state } = setUp();
    state.isHot = false;
    offsets.commit("g", "t", 0, -1);
    assert.equal((await query()).code, 22);
  });

  test("answers a reset that no client has been told yet", async () => {
    const { query, offsets } = setUp();
    offsets.commit("g", "t", 0, 9);
    offsets.reset("g", "t", 0, 4);
    offsets.commit("g", "t", 0, 9);
    assert.deepEqual(await query(), { code: 0, fields: { offset: "4" } });
    assert.equal(offsets.pendingReset("g", "t", 0), 4);
  });

  test("names the field that is missing", async () => {
    const { connection, table } = setUp();
    const { code, remark } = await connection.ask(table, {
      code: RequestCode.QUERY_CONSUMER_OFFSET,
      fields: { consumerGroup: "g", topic: "t" },
    });
    assert.equal(code, 1);
    assert.match(remark!, /queueId/);
  });
});

describe("UPDATE_CONSUMER_OFFSET", () => {
  test("commits, backwards too", async () => {
    const { update, offsets } = setUp();
    assert.deepEqual(await update(), { code: 0, fields: {} });
    assert.equal(offsets.query("g", "t", 0), 5);
    assert.equal((await update({ commitOffset: "3" })).code, 0);
    assert.equal(offsets.query("g", "t", 0), 3);
  });

  test("keeps Long.MAX_VALUE as a number that can be written", async () => {
    const { update, offsets } = setUp();
    await update({ commitOffset: "9223372036854775807" });
    assert.equal(offsets.query("g", "t", 0), Number.MAX_SAFE_INTEGER);
  });

  // Codes and sentences as a 5.4.0 broker answered them.
  test("refuses groups and topics that do not exist, and absent numbers", async () => {
    const { update } = setUp();
    const cases: [Record<string, string | undefined>, number, string][] = [
      [{ consumerGroup: "x" }, 26, "Group x not exist!"],
      [{ consumerGroup: "x", topic: "y" }, 26, "Group x not exist!"],
      [{ topic: "y" }, 17, "Topic y not exist!"],
      [{ queueId: undefined }, 29, "QueueId is null, topic is t"],
      [{ commitOffset: undefined }, 29, "Offset is null, topic is t"],
    ];
    for (const [fields, code, remark] of cases) assert.deepEqual(await update(fields), { code, remark });
    assert.deepEqual(await update({ consumerGroup: undefined }), {
      code: 26,
      remark: "Group null not exist!",
    });
    assert.equal((await update({ topic: undefined })).code, 17);
  });

  test("refuses queues that the topic does not have, but for those of a topic that has shrunk", async () => {
    const { update, offsets } = setUp();
    assert.equal((await update({ queueId: "7" })).code, 0, "written, though not read any more");
    for (const queueId of ["8", "-1", "2147483647"]) assert.equal((await update({ queueId })).code, 29);
    assert.equal(offsets.query("g", "t", 8), NO_OFFSET);
    offsets.commit("g", "t", 8, 1);
    assert.equal((await update({ queueId: "8" })).code, 0);
    assert.equal(offsets.query("g", "t", 8), 5);
  });

  test("ignores commits of the time before a reset", async () => {
    const { update, offsets, state } = setUp();
    offsets.reset("g", "t", 0, 2);
    assert.equal((await update()).code, 0);
    assert.equal(offsets.query("g", "t", 0), 2);
    assert.equal((await update({ queueId: "1" })).code, 0);
    assert.equal(offsets.query("g", "t", 1), 5);
    offsets.takeReset("g", "t", 0);
    await update();
    assert.equal(offsets.query("g", "t", 0), 5);
    offsets.reset("g", "t", 0, 2);
    state.serverSideResetOffset = false;
    await update();
    assert.equal(offsets.query("g", "t", 0), 5);
  });

  test("works one-way, as clients send it", () => {
    const { connection, table, offsets } = setUp();
    connection.tell(table, {
      code: RequestCode.UPDATE_CONSUMER_OFFSET,
      fields: { consumerGroup: "g", topic: "t", queueId: "1", commitOffset: "6" },
    });
    assert.equal(offsets.query("g", "t", 1), 6);
    assert.equal(connection.responses.length, 0);
  });
});
