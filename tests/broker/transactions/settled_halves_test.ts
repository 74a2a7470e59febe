// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { SettledHalves } from "../../../src/broker/transactions/settled_halves.ts";
import { SeededRandom } from "../../harness/seeded_random.ts";

test("the first open half is the one behind those that are settled without a gap", () => {
  const settled = new SettledHalves(13);
  assert.equal(settled.first, 13);
  settled.add(15);
  assert.equal(settled.first, 13);
  settled.add(13);
  assert.equal(settled.first, 14);
  settled.add(14);
  assert.equal(settled.first, 16);
  assert.ok(settled.has(3) && settled.has(15) && !settled.has(16));
});

test("open halves are found between settled ones", () => {
  const settled = new SettledHalves(0);
  for (let offset = 0; offset < 100; offset++) if (offset !== 40 && offset !== 77) settled.add(offset);
  assert.equal(settled.nextOpen(0, 1000), 40);
  assert.equal(settled.nextOpen(41, 1000), 77);
  assert.equal(settled.nextOpen(41, 60), 60);
  assert.equal(settled.nextOpen(78, 1000), 100);
});

test("whatever the order in which halves are settled, it agrees with a set of them", () => {
  const random = new SeededRandom(7);
  const settled = new SettledHalves(1000);
  const known = new Set<number>();
  for (let step = 0; step < 50_000; step++) {
    const offset = settled.first + random.between(0, random.between(0, 1) ? 3 : 30_000);
    settled.add(offset);
    known.add(offset);
    let first = settled.first;
    assert.ok(!known.has(first), `${first} is open`);
    first--;
    assert.ok(first < 1000 || known.has(first), `${first} is settled`);
  }
  let openCount = 0;
  const end = settled.first + 40_000;
  for (let offset = settled.first; offset < end; offset++) {
    assert.equal(settled.has(offset), known.has(offset), String(offset));
    if (!known.has(offset)) openCount++;
  }
  assert.equal(settled.openCount(end), openCount);
});

test("a million halves, settled one by one behind an open one, are passed at once when it is settled", () => {
  const settled = new SettledHalves(0);
  for (let offset = 1; offset < 1_000_000; offset++) settled.add(offset);
  assert.equal(settled.first, 0);
  assert.equal(settled.nextOpen(1, 2_000_000), 1_000_000);
  settled.add(0);
  assert.equal(settled.first, 1_000_000);
});
