// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { javaHashCode, tagsCodeOf } from "../../src/protocol/java_string.ts";
import { createUniqueKey, offsetMessageId, parseOffsetMessageId } from "../../src/protocol/message_id.ts";
import { versionName } from "../../src/protocol/version.ts";

const LOCAL = { ip: Uint8Array.of(127, 0, 0, 1), port: 10911 };

describe("message ids", () => {
  test("offsetMessageId() is as Java makes it", () => {
    assert.equal(offsetMessageId(LOCAL, 6_000_000_000), "7F00000100002A9F0000000165A0BC00");
    const v6 = { ip: Uint8Array.of(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5), port: 10911 };
    assert.equal(offsetMessageId(v6, 1), "20010DB800000000000000000000000500002A9F0000000000000001");
  });

  test("parseOffsetMessageId() reads it back, and refuses what is none", () => {
    const parsed = parseOffsetMessageId(offsetMessageId(LOCAL, 6_000_000_000))!;
    assert.deepEqual([...parsed.ip, parsed.port, parsed.physicalOffset], [
      127,
      0,
      0,
      1,
      10911,
      6_000_000_000,
    ]);
    for (const id of ["", "7F00", "Z".repeat(32), "F".repeat(32)]) {
      assert.equal(parseOffsetMessageId(id), undefined);
    }
  });

  test("createUniqueKey() tells the time of its making within its month", () => {
    const nowMs = new Date(2026, 6, 15, 12, 0, 0).getTime();
    const key = createUniqueKey(LOCAL.ip, nowMs);
    assert.match(key, /^7F000001[0-9A-F]{24}$/);
    assert.equal(parseInt(key.slice(20, 28), 16), nowMs - new Date(2026, 6, 1).getTime());
    assert.notEqual(createUniqueKey(LOCAL.ip, nowMs), key);
  });

  test("createUniqueKey() follows a clock that is set, into another month too", () => {
    for (const month of [8, 6, 7, 5]) {
      const nowMs = new Date(2026, month, 2).getTime();
      const key = createUniqueKey(LOCAL.ip, nowMs);
      assert.equal(parseInt(key.slice(20, 28), 16), nowMs - new Date(2026, month, 1).getTime());
    }
  });
});

describe("java strings", () => {
  test("javaHashCode() is String.hashCode()", () => {
    const hashes = [["TagA", 2598919], ["", 0], ["héllo", 103094734], ["😀 smile", -1559691765]] as const;
    for (const [text, hash] of hashes) assert.equal(javaHashCode(text), hash);
    assert.equal(javaHashCode("KEY", javaHashCode("TopicTest#")), 85096701);
    assert.equal(tagsCodeOf(undefined), 0);
  });
});

describe("versions", () => {
  test("versionName() counts two ordinals for a patch release", () => {
    assert.deepEqual([393, 407, 412, 413, 492, 493].map(versionName), [
      "V4_9_0",
      "V4_9_7",
      "V5_0_0_SNAPSHOT",
      "V5_0_0",
      "V5_4_0_SNAPSHOT",
      "V5_4_0",
    ]);
    assert.equal(versionName(317), "317");
  });
});
