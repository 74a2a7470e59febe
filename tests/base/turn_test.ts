// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { atEndOfTurn } from "../../src/base/turn.ts";

describe("atEndOfTurn()", () => {
  test("runs all writes before all sends, each in the order of the calls", async () => {
    const seen: string[] = [];
    atEndOfTurn("send", () => seen.push("send 1"));
    atEndOfTurn("write", () => seen.push("write 1"));
    atEndOfTurn("send", () => seen.push("send 2"));
    atEndOfTurn("write", () => seen.push("write 2"));
    assert.deepEqual(seen, []);
    await setImmediate();
    assert.deepEqual(seen, ["write 1", "write 2", "send 1", "send 2"]);
  });

  test("lets a write ask for a send in the same turn, and a send for a send", async () => {
    const seen: string[] = [];
    atEndOfTurn("write", () => {
      seen.push("write");
      atEndOfTurn("send", () => {
        seen.push("send");
        atEndOfTurn("send", () => seen.push("last"));
      });
    });
    await setImmediate();
    assert.deepEqual(seen, ["write", "send", "last"]);
  });

  test("lets promises settled by a write ask for a send in the same turn", async () => {
    const seen: string[] = [];
    atEndOfTurn("send", () => seen.push("send 1"));
    atEndOfTurn("write", () => {
      const settled = Promise.resolve().then(() => {}).then(async () => await undefined);
      settled.finally(() => {}).then(() => atEndOfTurn("send", () => seen.push("send 2")));
      seen.push("write");
    });
    await setImmediate();
    assert.deepEqual(seen, ["write", "send 1", "send 2"]);
  });

  test("puts a write asked for by a send into the next turn", async () => {
    const seen: string[] = [];
    atEndOfTurn("send", () => atEndOfTurn("write", () => seen.push("write")));
    await setImmediate();
    assert.deepEqual(seen, []);
    await setImmediate();
    assert.deepEqual(seen, ["write"]);
  });

  test("does not forget a write asked for between the writes and the sends", async () => {
    const seen: string[] = [];
    atEndOfTurn("write", () => {
      seen.push("write 1");
      Promise.resolve().then(() => atEndOfTurn("write", () => seen.push("write 2")));
    });
    await setImmediate();
    await setImmediate();
    assert.deepEqual(seen, ["write 1", "write 2"]);
  });

  test("goes on with the other callbacks when one throws", async () => {
    const seen: string[] = [];
    atEndOfTurn("write", () => {
      throw new Error("broken");
    });
    atEndOfTurn("write", () => seen.push("write"));
    atEndOfTurn("send", () => seen.push("send"));
    await setImmediate();
    assert.deepEqual(seen, ["write", "send"]);
    atEndOfTurn("send", () => seen.push("again"));
    await setImmediate();
    assert.deepEqual(seen, ["write", "send", "again"]);
  });
});
