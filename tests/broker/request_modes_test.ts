// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { requestModeHandlers } from "../../src/broker/handlers/request_mode.ts";
import { JsonFile } from "../../src/broker/json_file.ts";
import { RequestModes } from "../../src/broker/request_modes.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { ResponseCode } from "../../src/protocol/response_code.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { bodyBytes, MemoryConnection } from "../harness/memory_connection.ts";
import { MemoryFiles } from "../harness/memory_files.ts";

const PATH = "/config/messageRequestMode.json";

function open(files: MemoryFiles): RequestModes {
  return new RequestModes(new JsonFile(files, new ManualClock(), PATH));
}

function setUp() {
  const files = new MemoryFiles();
  files.makeDirectory("/config");
  const modes = open(files);
  const handlers = new Map(requestModeHandlers({
    modes,
    topics: { has: (topic) => topic === "T" },
    groups: { find: (group) => group === "G" ? {} : undefined },
  }));
  const set = (mode: Record<string, unknown>) =>
    new MemoryConnection().ask(handlers, {
      code: RequestCode.SET_MESSAGE_REQUEST_MODE,
      body: new TextEncoder().encode(
        JSON.stringify({ topic: "T", consumerGroup: "G", mode: "POP", ...mode }),
      ),
    });
  return { files, modes, handlers, set };
}

test("a mode that an administrator sets is there after a restart", async () => {
  const { files, set } = setUp();
  assert.equal((await set({ popShareQueueNum: 2 })).code, ResponseCode.SUCCESS);
  const wanted = { topic: "T", consumerGroup: "G", mode: "POP", popShareQueueNum: 2 };
  assert.deepEqual(open(files).get("T", "G"), wanted);
  assert.equal(open(files).get("T", "H"), undefined);
});

test("the table is told in Apache's form", async () => {
  const { handlers, set } = setUp();
  await set({});
  const answer = await new MemoryConnection().ask(handlers, {
    code: RequestCode.GET_ALL_MESSAGE_REQUEST_MODE,
  });
  assert.equal(
    new TextDecoder().decode(bodyBytes(answer)),
    '{"messageRequestModeMap":{"T":{"G":{"consumerGroup":"G","mode":"POP","popShareQueueNum":0,"topic":"T"}}}}',
  );
});

test("what Apache wrote is read", () => {
  const { files } = setUp();
  const text =
    '{\n\t"messageRequestModeMap":{"T":{"G":{\n"consumerGroup":"G","mode":"POP","popShareQueueNum":-1,"topic":"T"}}}}';
  files.replace(PATH, new TextEncoder().encode(text));
  assert.equal(open(files).get("T", "G")?.mode, "POP");
});

test("a mode for what is not there, for a retry topic, or that can't be, is refused", async () => {
  const { set, modes } = setUp();
  assert.equal((await set({ topic: "U" })).code, ResponseCode.TOPIC_NOT_EXIST);
  assert.equal((await set({ consumerGroup: "H" })).code, ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST);
  assert.equal((await set({ topic: "%RETRY%G" })).code, ResponseCode.NO_PERMISSION);
  assert.equal((await set({ mode: "PUSH" })).code, ResponseCode.SYSTEM_ERROR);
  assert.equal(modes.get("T", "G"), undefined);
});
