// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageReader } from "../../../src/broker/timers/message_reader.ts";

const PLACE = { physicalOffset: 4096, messageBytes: 200 };

function readerThatFails(code: string): MessageReader {
  return new MessageReader({
    fetchMessage() {
      throw Object.assign(new Error(code), { code });
    },
  });
}

test("a message whose place can't be read ten times is passed over", () => {
  const reader = readerThatFails("EIO");
  for (let i = 1; i < 10; i++) assert.throws(() => reader.read(PLACE), { code: "EIO" });
  assert.equal(reader.read(PLACE), undefined);
});

test("a message that can't be read because too many files are open is waited for", () => {
  const reader = readerThatFails("EMFILE");
  for (let i = 0; i < 100; i++) assert.throws(() => reader.read(PLACE), { code: "EMFILE" });
});
