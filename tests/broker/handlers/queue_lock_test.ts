// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { queueLockHandlers } from "../../../src/broker/handlers/queue_lock.ts";
import { QueueLocks } from "../../../src/broker/queue_locks.ts";
import { decodeLockedQueues, encodeLockBatch } from "../../../src/protocol/bodies/lock_batch.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { bodyBytes, MemoryConnection } from "../../harness/memory_connection.ts";

function setUp() {
  const table = new Map(queueLockHandlers({ locks: new QueueLocks({ clock: new ManualClock() }) }));
  const connection = new MemoryConnection();
  const queues = [{ brokerName: "b", queueId: 0, topic: "t" }, { brokerName: "b", queueId: 1, topic: "t" }];
  const ask = (code: number, clientId: string, ids: number[]) =>
    connection.ask(table, {
      code,
      body: encodeLockBatch({
        consumerGroup: "g",
        clientId,
        onlyThisBroker: false,
        queues: ids.map((id) => queues[id]),
      }),
    });
  const lock = async (clientId: string, ids: number[]) => {
    const response = await ask(RequestCode.LOCK_BATCH_MQ, clientId, ids);
    assert.equal(response.code, 0);
    return decodeLockedQueues(bodyBytes(response)).map((queue) => queue.queueId);
  };
  return { table, connection, ask, lock };
}

describe("LOCK_BATCH_MQ", () => {
  test("answers the queues that are the client's", async () => {
    const { lock } = setUp();
    assert.deepEqual(await lock("c1", [0]), [0]);
    assert.deepEqual(await lock("c2", [0, 1]), [1]);
    assert.deepEqual(await lock("c1", [0, 1]), [0]);
    assert.deepEqual(await lock("c1", []), []);
  });

  test("answers SYSTEM_ERROR to a body that is none", async () => {
    const { connection, table } = setUp();
    assert.equal((await connection.ask(table, { code: RequestCode.LOCK_BATCH_MQ })).code, 1);
    const body = new TextEncoder().encode("{");
    assert.equal((await connection.ask(table, { code: RequestCode.UNLOCK_BATCH_MQ, body })).code, 1);
  });

  test("refuses more queues than a group can have", async () => {
    const { connection, table } = setUp();
    const queues = Array.from({ length: 16_385 }, (_, queueId) => ({ brokerName: "b", queueId, topic: "t" }));
    const body = encodeLockBatch({ consumerGroup: "g", clientId: "c", onlyThisBroker: false, queues });
    assert.equal((await connection.ask(table, { code: RequestCode.LOCK_BATCH_MQ, body })).code, 29);
  });
});

describe("UNLOCK_BATCH_MQ", () => {
  test("gives back what is the client's, and always succeeds", async () => {
    const { ask, lock } = setUp();
    await lock("c1", [0, 1]);
    assert.equal((await ask(RequestCode.UNLOCK_BATCH_MQ, "c2", [0])).code, 0);
    assert.deepEqual(await lock("c2", [0]), []);
    assert.equal((await ask(RequestCode.UNLOCK_BATCH_MQ, "c1", [0])).code, 0);
    assert.deepEqual(await lock("c2", [0, 1]), [0]);
  });
});
