// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ConfigChange, configHandlers } from "../../../src/namesrv/handlers/config.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { bodyBytes, MemoryConnection } from "../../harness/memory_connection.ts";
import { MemoryNameServer } from "../memory_name_server.ts";

function setUp(outcome: ConfigChange = "CHANGED") {
  const texts: string[] = [];
  const handlers = configHandlers({
    read: () => "kvConfigPath=/ö\n",
    change(text) {
      texts.push(text);
      return outcome;
    },
  });
  const connection = new MemoryConnection();
  const update = (body?: string) =>
    connection.ask(handlers, {
      code: RequestCode.UPDATE_NAMESRV_CONFIG,
      body: body === undefined ? null : new TextEncoder().encode(body),
    });
  return { texts, handlers, connection, update };
}

test("the configuration is given as text", async () => {
  const { connection, handlers } = setUp();
  const response = await connection.ask(handlers, { code: RequestCode.GET_NAMESRV_CONFIG });
  assert.equal(new TextDecoder().decode(bodyBytes(response)), "kvConfigPath=/ö\n");
});

test("changes are handed on as text; no body changes nothing", async () => {
  const { texts, update } = setUp();
  assert.deepEqual(await update("a=ü\nb=2"), { code: 0 });
  assert.deepEqual(await update(), { code: 0 });
  assert.deepEqual(texts, ["a=ü\nb=2"]);
});

test("forbidden keys are refused as without permission, unreadable text as an error", async () => {
  const forbidden = await setUp("FORBIDDEN_KEY").update("a=1");
  assert.deepEqual([forbidden.code, forbidden.remark], [16, "Can not update config in black list."]);
  const unreadable = await setUp("UNREADABLE").update("\\u");
  assert.deepEqual([unreadable.code, unreadable.remark], [1, "string2Properties error"]);
});

test("a name server without a configuration doesn't support the two requests", async () => {
  const server = new MemoryNameServer();
  for (const code of [RequestCode.GET_NAMESRV_CONFIG, RequestCode.UPDATE_NAMESRV_CONFIG]) {
    assert.equal((await new MemoryConnection().ask(server.dispatch, { code })).code, 3);
  }
  server.remove();
});
