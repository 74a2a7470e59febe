// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Groups } from "../../../src/broker/groups.ts";
import { adminGroupHandlers } from "../../../src/broker/handlers/admin_group.ts";
import { groupConfig } from "../../../src/protocol/bodies/subscription_group.ts";
import type { Fields } from "../../../src/protocol/header.ts";
import { RequestCode } from "../../../src/protocol/request_code.ts";
import { ResponseCode } from "../../../src/protocol/response_code.ts";
import { diskFiles } from "../../../src/store/disk_files.ts";
import { ManualClock } from "../../harness/manual_clock.ts";
import { bodyBytes, MemoryConnection } from "../../harness/memory_connection.ts";

const root = mkdtempSync(join(tmpdir(), "rmq-admin-group-"));
after(() => rmSync(root, { recursive: true }));

function started() {
  const settings = { autoCreateGroup: false, createSystemGroups: true };
  const groups = Groups.open({
    files: diskFiles,
    directory: mkdtempSync(join(root, "config-")),
    clock: new ManualClock(),
    settings: () => settings,
  });
  const removed: string[] = [];
  const handlers = new Map(adminGroupHandlers({
    groups,
    removeOffsets: (group) => removed.push(`offsets of ${group}`),
    removeStatistics: (group) => removed.push(`statistics of ${group}`),
    metadataPageCount: () => 2000,
  }));
  const ask = async (code: number, fields: Fields | null = null, body?: unknown) => {
    const response = await new MemoryConnection().ask(handlers, {
      code,
      fields,
      body: body === undefined ? null : new TextEncoder().encode(JSON.stringify(body)),
    });
    return { ...response, body: new TextDecoder().decode(bodyBytes(response)) };
  };
  const update = (body: unknown) => ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, null, body);
  const updateList = (...groupConfigList: unknown[]) =>
    ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, null, { groupConfigList });
  return { groups, settings, removed, ask, update, updateList };
}

test("UPDATE_AND_CREATE_SUBSCRIPTIONGROUP makes a group with Apache's defaults for what is left out", async () => {
  const { groups, update } = started();
  const made = await update({ groupName: "G", consumeBroadcastEnable: false, retryMaxTimes: 3 });
  assert.equal(made.code, ResponseCode.SUCCESS);
  assert.deepEqual(groups.get("G"), groupConfig("G", { consumeBroadcastEnable: false, retryMaxTimes: 3 }));
});

test("a group's name and attributes must be legal", async () => {
  const { groups, update } = started();
  const refused = await update({ groupName: "G 1" });
  assert.equal(refused.code, ResponseCode.INVALID_PARAMETER);
  assert.match(refused.remark!, /^The specified group: G 1, contains illegal characters/);
  assert.equal((await update({ groupName: "G", attributes: { "+a": "b" } })).remark, "unsupported key: a");
  assert.equal(
    (await update({ groupName: "G", retryQueueNums: 65_537 })).code,
    ResponseCode.INVALID_PARAMETER,
  );
  assert.equal((await update([1])).code, ResponseCode.SYSTEM_ERROR);
  assert.equal(groups.has("G"), false);
});

test("a list of groups is made, or none of them", async () => {
  const { groups, updateList } = started();
  assert.equal(
    (await updateList({ groupName: "A" }, { groupName: "B 1" })).code,
    ResponseCode.INVALID_PARAMETER,
  );
  assert.equal(groups.has("A"), false);
  assert.equal((await updateList({ groupName: "A" }, { groupName: "B" })).code, ResponseCode.SUCCESS);
  assert.deepEqual([groups.has("A"), groups.has("B")], [true, true]);
});

test("GET_SUBSCRIPTIONGROUP_CONFIG makes the group where look-ups may, as at Apache's", async () => {
  const { groups, settings, ask } = started();
  const get = (group: string) => ask(RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, { group });
  assert.deepEqual(await get("G"), {
    code: ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
    remark: "No group in this broker. group: G",
    body: "",
  });
  settings.autoCreateGroup = true;
  const { code, body } = await get("G");
  assert.equal(code, ResponseCode.SUCCESS);
  assert.equal(JSON.parse(body).retryMaxTimes, 16);
  assert.equal(groups.has("G"), true);
});

test("DELETE_SUBSCRIPTIONGROUP forgets positions only if it is told to", async () => {
  const { groups, removed, ask, update } = started();
  await update({ groupName: "G" });
  const remove = (fields: Fields) => ask(RequestCode.DELETE_SUBSCRIPTIONGROUP, fields);
  assert.equal((await remove({ groupName: "G" })).code, ResponseCode.SUCCESS);
  assert.equal(groups.has("G"), false);
  assert.deepEqual(removed.splice(0), ["statistics of G"]);
  assert.equal((await remove({ groupName: "G", cleanOffset: "true" })).code, ResponseCode.SUCCESS);
  assert.deepEqual(removed, ["offsets of G", "statistics of G"]);
});

test("GET_ALL_SUBSCRIPTIONGROUP_CONFIG gives all groups, or the part that is asked for", async () => {
  const { groups, ask } = started();
  groups.setReadForbidden("TOOLS_CONSUMER", "T", true);
  const all = await ask(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG);
  const table = JSON.parse(all.body);
  assert.deepEqual(all.fields, { totalGroupNum: String(groups.table.groups.size) });
  assert.deepEqual(Object.keys(table), ["dataVersion", "forbiddenTable", "subscriptionGroupTable"]);
  assert.deepEqual(table.forbiddenTable, { TOOLS_CONSUMER: { T: 4 } });
  const names = Object.keys(table.subscriptionGroupTable).sort();

  const page = async (groupSeq: string, dataVersion: string) => {
    const fields = { groupSeq, dataVersion, maxGroupNum: "2" };
    return JSON.parse((await ask(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, fields)).body);
  };
  const first = await page("0", "");
  assert.deepEqual(Object.keys(first.subscriptionGroupTable), names.slice(0, 2));
  assert.deepEqual(first.forbiddenTable, {});
  const second = await page("2", JSON.stringify(first.dataVersion));
  assert.deepEqual(Object.keys(second.subscriptionGroupTable), names.slice(2, 4));
  assert.deepEqual(second.dataVersion, first.dataVersion);
  const last = await page(String(names.length - 1), JSON.stringify(first.dataVersion));
  assert.deepEqual(Object.keys(last.subscriptionGroupTable), ["TOOLS_CONSUMER"]);
  assert.deepEqual(last.forbiddenTable, { TOOLS_CONSUMER: { T: 4 } });
});

test("a group is forbidden to read a topic, and allowed again", async () => {
  const { groups, ask } = started();
  const forbid = async (fields: Fields) =>
    (await ask(RequestCode.UPDATE_AND_GET_GROUP_FORBIDDEN, { group: "G", topic: "T", ...fields })).body;
  assert.equal(await forbid({ readable: "false" }), '{"group":"G","readable":false,"topic":"T"}');
  assert.equal(groups.isReadForbidden("G", "T"), true);
  assert.equal(await forbid({}), '{"group":"G","readable":false,"topic":"T"}');
  assert.equal(await forbid({ readable: "true" }), '{"group":"G","readable":true,"topic":"T"}');
  assert.equal(groups.isReadForbidden("G", "T"), false);
});
