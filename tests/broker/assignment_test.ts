// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { popShare, STRATEGIES } from "../../src/broker/assignment.ts";

function shares(
  strategy: string,
  queueCount: number,
  clientIds: string[],
): (readonly number[] | undefined)[] {
  const queues = Array.from({ length: queueCount }, (_, queueId) => queueId);
  return clientIds.map((clientId) => STRATEGIES.get(strategy)!(queues, clientIds, clientId));
}

test("AVG gives neighbouring queues, and the first members one more", () => {
  assert.deepEqual(shares("AVG", 8, ["a", "b", "c"]), [[0, 1, 2], [3, 4, 5], [6, 7]]);
  assert.deepEqual(shares("AVG", 4, ["a", "b"]), [[0, 1], [2, 3]]);
  assert.deepEqual(shares("AVG", 2, ["a", "b", "c"]), [[0], [1], []]);
});

test("AVG_BY_CIRCLE gives one queue after the other", () => {
  assert.deepEqual(shares("AVG_BY_CIRCLE", 8, ["a", "b", "c"]), [[0, 3, 6], [1, 4, 7], [2, 5]]);
  assert.deepEqual(shares("AVG_BY_CIRCLE", 2, ["a", "b", "c"]), [[0], [1], []]);
});

test("every queue goes to exactly one member, whatever the numbers", () => {
  for (const strategy of STRATEGIES.keys()) {
    for (let queueCount = 0; queueCount <= 12; queueCount++) {
      for (let members = 1; members <= 7; members++) {
        const clientIds = Array.from({ length: members }, (_, id) => `c${id}`);
        const given = shares(strategy, queueCount, clientIds).flat().sort((a, b) => a! - b!);
        assert.deepEqual(given, Array.from({ length: queueCount }, (_, queueId) => queueId));
      }
    }
  }
});

test("who is no member has no part", () => {
  for (const strategy of STRATEGIES.values()) assert.equal(strategy([1, 2], ["a"], "b"), undefined);
});

/** Members' queues as `broker/queueId`. */
function popShares(queueCount: number, clientIds: string[], shareCount: number): (string[] | undefined)[] {
  const queues = Array.from(
    { length: queueCount },
    (_, id) => ({ brokerName: id % 2 ? "b" : "a", queueId: id }),
  );
  return clientIds.map((clientId) =>
    popShare(STRATEGIES.get("AVG")!, queues, clientIds, clientId, shareCount)
      ?.map(({ brokerName, queueId }) => `${brokerName}/${queueId}`)
  );
}

test("without a number of sharers, or with almost all, every member pops every broker", () => {
  for (const shareCount of [-1, 0, 2, 9]) {
    assert.deepEqual(popShares(4, ["x", "y", "z"], shareCount), Array(3).fill(["a/-1", "b/-1"]));
  }
});

test("a member that shares pops its queues and those of the members behind it", () => {
  const shares = popShares(4, ["w", "x", "y", "z"], 1);
  assert.deepEqual(shares, [["a/0", "b/1"], ["b/1", "a/2"], ["a/2", "b/3"], ["b/3", "a/0"]]);
});

test("with fewer queues than members each member pops one", () => {
  assert.deepEqual(popShares(2, ["w", "x", "y", "z"], 1), [["a/0"], ["b/1"], ["a/0"], ["b/1"]]);
});
