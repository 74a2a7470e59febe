// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { alterAttributes, GROUP_ATTRIBUTES, TOPIC_ATTRIBUTES } from "../../src/broker/attributes.ts";
import { RemotingError } from "../../src/remoting/remoting_error.ts";

const alter = (current: Record<string, string> | undefined, changes: Record<string, string>) =>
  Object.fromEntries(
    alterAttributes(
      TOPIC_ATTRIBUTES,
      current && new Map(Object.entries(current)),
      new Map(Object.entries(changes)),
    ),
  );

describe("alterAttributes()", () => {
  test("sets, replaces and removes what is named, and leaves the rest", () => {
    assert.deepEqual(alter(undefined, { "+message.type": "FIFO" }), { "message.type": "FIFO" });
    assert.deepEqual(alter({ "message.type": "FIFO", x: "y" }, { "+message.type": "DELAY" }), {
      "message.type": "DELAY",
      x: "y",
    });
    assert.deepEqual(alter({ "message.type": "FIFO", x: "y" }, { "-message.type": "" }), { x: "y" });
    assert.deepEqual(alter({ x: "y" }, {}), { x: "y" });
    assert.deepEqual(alter(undefined, {}), {});
  });

  test("refuses keys without sign, unknown ones and doubled ones", () => {
    assert.throws(() => alter({}, { "message.type": "FIFO" }), /wrong format key/);
    assert.throws(() => alter({}, { "+colour": "red" }), /unsupported key: colour/);
    assert.throws(() => alter({ x: "y" }, { "-x": "" }), /unsupported key: x/);
    assert.throws(
      () => alter({ "message.type": "FIFO" }, { "+message.type": "DELAY", "-message.type": "" }),
      {
        remark: "duplication key: message.type",
      },
    );
  });

  test("refuses to remove what is not there", () => {
    assert.throws(() => alter({}, { "-message.type": "" }), /nonexistent key: message.type/);
    assert.throws(() => alter(undefined, { "-message.type": "" }), /only add attribute is supported/);
  });

  test("refuses values that the attribute can't have", () => {
    assert.throws(() => alter(undefined, { "+message.type": "SOMETHING" }), /is not one of/);
    assert.throws(() => alter(undefined, { "+queue.type": "RoundCQ" }), /is not one of/);
  });

  test("refuses what this broker can't do rather than pretend", () => {
    assert.throws(() => alter(undefined, { "+queue.type": "BatchCQ" }), /not supported/);
    assert.throws(() => alter(undefined, { "+cleanup.policy": "COMPACTION" }), /not supported/);
    assert.throws(() => alter(undefined, { "+reserve.time": "100" }), /tiered storage/);
  });

  test("never changes how an existing topic is stored", () => {
    assert.deepEqual(alter(undefined, { "+queue.type": "SimpleCQ" }), { "queue.type": "SimpleCQ" });
    assert.throws(() => alter({}, { "+queue.type": "SimpleCQ" }), /unchangeable/);
    assert.throws(() => alter({ "cleanup.policy": "DELETE" }, { "-cleanup.policy": "" }), /unchangeable/);
    assert.deepEqual(alter({ "queue.type": "SimpleCQ" }, { "+queue.type": "SimpleCQ" }), {
      "queue.type": "SimpleCQ",
    });
  });

  test("throws SYSTEM_ERROR", () => {
    assert.throws(
      () => alter({}, { "+a": "" }),
      (error) => error instanceof RemotingError && error.code === 1,
    );
  });

  test("knows the one attribute of groups", () => {
    const set = (value: string) =>
      alterAttributes(GROUP_ATTRIBUTES, undefined, new Map([["+priority.factor", value]])).get(
        "priority.factor",
      );
    assert.equal(set("0"), "0");
    assert.equal(set("100"), "100");
    for (const value of ["-1", "101", "x", ""]) assert.throws(() => set(value), /range\(0, 100\)/);
  });
});
