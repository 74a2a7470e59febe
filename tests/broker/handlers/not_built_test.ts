// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { notBuiltHandlers } from "../../../src/broker/handlers/not_built.ts";
import { ResponseCode } from "../../../src/protocol/response_code.ts";
import { Dispatch } from "../../../src/remoting/dispatch.ts";
import { MemoryConnection } from "../../harness/memory_connection.ts";

test("requests of ACL 1.0 and 2.0 and for another timer engine are refused by name", () => {
  const refused = new Set(notBuiltHandlers().map(([code]) => code));
  const codes = [50, 51, 52, 53, 54, 3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008, 3009, 3010, 5001];
  assert.deepEqual(codes.filter((code) => !refused.has(code)), []);
});

test("what is not built is refused with a sentence, each code once", async () => {
  const dispatch = new Dispatch(new Map(notBuiltHandlers()));
  assert.equal(dispatch.codes.length, notBuiltHandlers().length);
  for (const code of dispatch.codes) {
    const { code: answer, remark } = await new MemoryConnection().ask(dispatch, { code });
    assert.notEqual(answer, ResponseCode.SUCCESS);
    assert.match(remark!, /(not support|not enabled|does not)/);
  }
});
