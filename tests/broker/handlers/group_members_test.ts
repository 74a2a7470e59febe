// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Clients } from "../../../src/broker/clients.ts";
import { groupMembersHandlers } from "../../../src/broker/handlers/group_members.ts";
import { decodeConsumerList } from "../../../src/protocol/bodies/consumer_list.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { bodyBytes, MemoryConnection } from "../../harness/memory_connection.ts";

const code = RequestCode.GET_CONSUMER_LIST_BY_GROUP;

function setUp() {
  const clients = new Clients({
    clock: new ManualClock(),
    settings: () => ({ clientExpiryMs: 120_000, notifyConsumerIdsChanged: true }),
  });
  const table = new Map(groupMembersHandlers({ clients }));
  const join = (clientId: string) => {
    const connection = new MemoryConnection();
    clients.registerConsumer({ connection, clientId, language: "JAVA", version: 493 }, {
      data: {
        groupName: "g",
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
        unitMode: false,
        subscriptionDataSet: [],
      },
      notifies: true,
    });
    return connection;
  };
  const ask = (group: string) =>
    new MemoryConnection().ask(table, { code, fields: { consumerGroup: group } });
  return { table, join, ask };
}

describe("GET_CONSUMER_LIST_BY_GROUP", () => {
  test("lists the ids of all members", async () => {
    const { join, ask } = setUp();
    join("c1");
    join("c2");
    const response = await ask("g");
    assert.equal(response.code, 0);
    assert.deepEqual(decodeConsumerList(bodyBytes(response)), ["c1", "c2"]);
  });

  test("lists a client once that has come back before its old connection was closed", async () => {
    const { join, ask } = setUp();
    const old = join("c1");
    join("c1");
    assert.deepEqual(decodeConsumerList(bodyBytes(await ask("g"))), ["c1"]);
    old.close();
    assert.deepEqual(decodeConsumerList(bodyBytes(await ask("g"))), ["c1"]);
  });

  test("answers SYSTEM_ERROR for a group without members, never an empty list", async () => {
    const { join, ask } = setUp();
    assert.deepEqual(await ask("g"), { code: 1, remark: "no consumer for this group, g" });
    join("c1").close();
    assert.equal((await ask("g")).code, 1);
  });

  test("answers SYSTEM_ERROR without a group", async () => {
    const { table } = setUp();
    assert.equal((await new MemoryConnection().ask(table, { code })).code, 1);
  });
});
