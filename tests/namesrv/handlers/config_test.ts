// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NameServerApi } from "../../../src/client/name_server_api.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { MemoryConnection } from "../../harness/memory_connection.ts";
import { MemoryConfig, MemoryNameServer } from "../memory_name_server.ts";

function setUp(config = new MemoryConfig()) {
  const server = new MemoryNameServer({}, config);
  server.remove();
  return { config, api: server.api(), server };
}

test("the configuration is given as sorted lines", async () => {
  const { api } = setUp(new MemoryConfig({ b: "/ö", a: "1" }));
  assert.equal(await api.config(), "a=1\nb=/ö\n");
});

test("changes are applied; no body changes nothing and succeeds", async () => {
  const { api, config, server } = setUp();
  await api.updateConfig("a=ü\nb=2\n");
  assert.deepEqual([...config.values()], [["a", "ü"], ["b", "2"]]);
  const response = await new MemoryConnection().ask(server.dispatch, {
    code: RequestCode.UPDATE_NAMESRV_CONFIG,
  });
  assert.deepEqual(response, { code: 0 });
});

test("one forbidden key refuses all", async () => {
  const refused = { code: 16, remark: "Can not update config in black list." };
  for (const key of ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome", "secret"]) {
    const { api, config } = setUp();
    config.blackList = ["secret"];
    await assert.rejects(api.updateConfig(`a=1\n${key}=x\n`), refused);
    assert.deepEqual([...config.values()], []);
  }
});

test("what can't be read or applied is an error with its sentence", async () => {
  const { api } = setUp();
  await assert.rejects(api.updateConfig("unreadable"), { code: 1, remark: "unreadable has no value" });
  await assert.rejects(api.updateConfig("a=wrong"), { code: 1, remark: "a can't be wrong" });
});

test("what the operator must know comes as the remark of a success", async () => {
  const { server } = setUp();
  const body = new TextEncoder().encode("later=1");
  const response = await new MemoryConnection().ask(server.dispatch, {
    code: RequestCode.UPDATE_NAMESRV_CONFIG,
    body,
  });
  assert.deepEqual(response, { code: 0, remark: "later counts from the next start" });
});

test("a name server without a configuration doesn't support the two requests", async () => {
  const server = new MemoryNameServer();
  server.remove();
  const api: NameServerApi = server.api();
  await assert.rejects(api.config(), { code: 3 });
  await assert.rejects(api.updateConfig("a=1"), { code: 3 });
});
