// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { adminConfigHandlers, type LiveConfig } from "../../../src/broker/handlers/admin_config.ts";
import { DataVersion } from "../../../src/protocol/bodies/data_version.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { ResponseCode } from "../../../src/protocol/response_code.ts";
import { bodyBytes, MemoryConnection } from "../../harness/memory_connection.ts";

function started() {
  const values = new Map([["brokerName", "b"], ["brokerPermission", "6"], ["aclEnable", "false"]]);
  const config: LiveConfig = {
    version: new DataVersion(0, 5, 2),
    values: () => values,
    parse(text) {
      if (text.includes("\\u00")) throw new Error("line 1 is no property");
      return new Map(
        text.split("\n").filter((line) => line !== "").map((line) => line.split("=") as [string, string]),
      );
    },
    update(changes) {
      if (changes.get("brokerPermission") === "9") throw new Error("brokerPermission must be 0 to 6");
      for (const [key, value] of changes) if (values.has(key)) values.set(key, value);
      return changes.has("brokerName") ? "brokerName takes effect after a restart" : undefined;
    },
  };
  const permissionChanges: number[] = [];
  const handlers = new Map(adminConfigHandlers({
    config,
    blackList: ["aclEnable"],
    onPermissionChanged: () => permissionChanges.push(Number(values.get("brokerPermission"))),
  }));
  const update = (text: string | null) =>
    new MemoryConnection().ask(handlers, {
      code: RequestCode.UPDATE_BROKER_CONFIG,
      body: text === null ? null : new TextEncoder().encode(text),
    });
  const get = () => new MemoryConnection().ask(handlers, { code: RequestCode.GET_BROKER_CONFIG });
  return { values, permissionChanges, update, get };
}

test("GET_BROKER_CONFIG answers sorted lines and the version", async () => {
  const { get } = started();
  const response = await get();
  assert.equal(response.code, ResponseCode.SUCCESS);
  assert.equal(
    new TextDecoder().decode(bodyBytes(response)),
    "aclEnable=false\nbrokerName=b\nbrokerPermission=6\n",
  );
  assert.deepEqual(response.fields, { version: '{"counter":2,"stateVersion":0,"timestamp":5}' });
});

test("UPDATE_BROKER_CONFIG applies what it can and succeeds with keys that nobody knows", async () => {
  const { values, permissionChanges, update } = started();
  assert.deepEqual(await update("noSuchKey=1\n"), { code: ResponseCode.SUCCESS, remark: undefined });
  assert.equal((await update("brokerName=c\n")).remark, "brokerName takes effect after a restart");
  assert.equal(values.get("brokerName"), "c");
  assert.equal((await update(null)).code, ResponseCode.SUCCESS);
  assert.deepEqual(permissionChanges, []);
});

test("a change of brokerPermission is told after it was applied", async () => {
  const { permissionChanges, update } = started();
  await update("brokerPermission=4\n");
  assert.deepEqual(permissionChanges, [4]);
  const refused = await update("brokerPermission=9\n");
  assert.deepEqual(refused, { code: ResponseCode.SYSTEM_ERROR, remark: "brokerPermission must be 0 to 6" });
  assert.deepEqual(permissionChanges, [4]);
});

test("keys of the black list are refused, and nothing else of the request is applied", async () => {
  const { values, update } = started();
  for (const key of ["aclEnable", "configBlackList", "brokerConfigPath", "rocketmqHome"]) {
    const response = await update(`brokerName=x\n${key}=y\n`);
    assert.deepEqual(response, {
      code: ResponseCode.NO_PERMISSION,
      remark: "Can not update config in black list.",
    });
  }
  assert.equal(values.get("brokerName"), "b");
});

test("a body that can't be read is refused with the reason", async () => {
  const { update } = started();
  assert.deepEqual(await update("a=\\u00"), {
    code: ResponseCode.SYSTEM_ERROR,
    remark: "line 1 is no property",
  });
});
