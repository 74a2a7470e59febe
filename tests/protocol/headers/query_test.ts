// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  queryMessageRequest,
  queryMessageResponse,
  viewMessageRequest,
} from "../../../src/protocol/headers/query.ts";

// Fields as headers of Apache 5.4.0 wrote them.
describe("headers of queries", () => {
  test("QUERY_MESSAGE; that it asks for a unique key stands beside the header's own fields", () => {
    const fields = {
      beginTimestamp: "1",
      endTimestamp: "9223372036854775807",
      key: "k",
      maxNum: "32",
      topic: "T",
    };
    const decoded = {
      topic: "T",
      key: "k",
      maxNum: 32,
      beginTimestamp: 1,
      endTimestamp: Number.MAX_SAFE_INTEGER,
      _UNIQUE_KEY_QUERY: undefined,
    };
    assert.deepEqual(queryMessageRequest.decode(fields), decoded);
    assert.equal(
      queryMessageRequest.decode({ ...fields, _UNIQUE_KEY_QUERY: "true" })._UNIQUE_KEY_QUERY,
      "true",
    );
  });

  test("its answer", () => {
    assert.deepEqual(
      queryMessageResponse.encode({ indexLastUpdateTimestamp: 3, indexLastUpdatePhyoffset: 4 }),
      {
        indexLastUpdatePhyoffset: "4",
        indexLastUpdateTimestamp: "3",
      },
    );
  });

  test("VIEW_MESSAGE_BY_ID, with and without the topic that newer clients add", () => {
    assert.deepEqual(viewMessageRequest.decode({ offset: "12" }), { offset: 12, topic: undefined });
    assert.deepEqual(viewMessageRequest.decode({ offset: "12", topic: "T" }), { offset: 12, topic: "T" });
  });
});
