// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { queueOffsetHandlers } from "../../../src/broker/handlers/queue_offset.ts";
import type { Fields } from "../../../src/protocol/header.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { MemoryConnection } from "../../harness/memory_connection.ts";

const asked: unknown[][] = [];
const table = new Map(queueOffsetHandlers({
  minOffset: (...args) => (asked.push(args), 3),
  maxOffset: (...args) => (asked.push(args), 7_000_000_000),
  offsetByTime: (...args) => (asked.push(args), 5),
  earliestTimestampOf: (...args) => (asked.push(args), -1),
}));

async function ask(code: number, fields: Fields) {
  asked.length = 0;
  return await new MemoryConnection().ask(table, { code, fields });
}

describe("requests about a queue's offsets", () => {
  const fields = { topic: "t", queueId: "2" };

  test("are answered by the store", async () => {
    assert.deepEqual(await ask(RequestCode.GET_MAX_OFFSET, fields), {
      code: 0,
      fields: { offset: "7000000000" },
    });
    assert.deepEqual(asked, [["t", 2]]);
    assert.deepEqual(await ask(RequestCode.GET_MIN_OFFSET, fields), { code: 0, fields: { offset: "3" } });
    assert.deepEqual(await ask(RequestCode.GET_EARLIEST_MSG_STORETIME, fields), {
      code: 0,
      fields: { timestamp: "-1" },
    });
  });

  test("by time take the lower boundary unless told, in any case", async () => {
    for (
      const [boundaryType, boundary] of [
        [undefined, "LOWER"],
        ["LOWER", "LOWER"],
        ["upper", "UPPER"],
        ["UPPER", "UPPER"],
        ["middle", "LOWER"],
      ]
    ) {
      const more: Fields = boundaryType === undefined ? {} : { boundaryType };
      const response = await ask(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, {
        ...fields,
        timestamp: "1700",
        ...more,
      });
      assert.deepEqual(response, { code: 0, fields: { offset: "5" } });
      assert.deepEqual(asked, [["t", 2, 1700, boundary]]);
    }
  });

  test("by time take Long.MAX_VALUE", async () => {
    await ask(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, { ...fields, timestamp: "9223372036854775807" });
    assert.equal(asked[0][2], Number.MAX_SAFE_INTEGER);
  });

  test("name the field that is missing", async () => {
    for (const code of [29, 30, 31, 32]) {
      const response = await ask(code, { topic: "t" });
      assert.equal(response.code, 1);
      assert.match(response.remark!, /queueId/);
    }
  });
});
