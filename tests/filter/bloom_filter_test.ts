// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import fc from "fast-check";
import { addToSet, BloomFilter, mayBeInSet } from "../../src/filter/bloom_filter.ts";

const LONG = "a longer group name_than_16#and a topic of some length 0123456789";
const FOREIGN = "gr\u00fcppe#\u4e3b\u9898";

/** As Apache 5.4.0's BloomFilter computes them: error in percent, names, bits, positions by name. */
const APACHE: [number, number, number, Record<string, number[]>][] = [
  [20, 32, 112, {
    "group#topic": [79, 21, 21],
    "g#T": [90, 68, 28],
    "": [0, 0, 0],
    a: [94, 99, 7],
    [LONG]: [85, 106, 15],
    [FOREIGN]: [70, 103, 90],
  }],
  [1, 10, 96, { "group#topic": [15, 5, 37, 16, 4, 38, 78], [FOREIGN]: [6, 87, 74, 19, 46, 47, 18] }],
  [50, 1000, 1448, { "group#topic": [1111], "g#T": [1114], a: [46], [LONG]: [37] }],
  [99, 1, 8, { "group#topic": [7], [LONG]: [5] }],
  [10, 64, 312, { "group#topic": [279, 101, 85, 16], [LONG]: [29, 194, 47, 212] }],
  [5, 3, 24, { "g#T": [18, 4, 12, 13, 9], [LONG]: [5, 2, 23, 20, 17] }],
  [30, 100, 256, { "group#topic": [47, 197], a: [238, 83] }],
];

describe("BloomFilter", () => {
  test("has the bits that Apache's has", () => {
    for (const [errorPercent, nameCount, bitCount, positions] of APACHE) {
      const filter = new BloomFilter(errorPercent, nameCount);
      assert.equal(filter.bitCount, bitCount);
      for (const [name, expected] of Object.entries(positions)) {
        assert.deepEqual(filter.positionsOf(name), expected, name);
      }
    }
  });

  test("lays them out as Apache's BitsArray does", () => {
    const filter = new BloomFilter(20, 32);
    const set = filter.emptySet();
    addToSet(set, filter.positionsOf("group#topic"));
    assert.equal(Buffer.from(set).toString("hex"), "0000200000000000008000000000");
  });

  test("never denies a name that is in the set, and seldom affirms another", () => {
    const filter = new BloomFilter(20, 32);
    const names = fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 32 });
    fc.assert(fc.property(names, (names) => {
      const set = filter.emptySet();
      for (const name of names) addToSet(set, filter.positionsOf(name));
      for (const name of names) assert.equal(mayBeInSet(set, filter.positionsOf(name)), true);
    }));
    const set = filter.emptySet();
    for (let i = 0; i < 32; i++) addToSet(set, filter.positionsOf(`group${i}#topic`));
    let wrong = 0;
    for (let i = 0; i < 1000; i++) if (mayBeInSet(set, filter.positionsOf(`other${i}#topic`))) wrong++;
    assert.ok(wrong < 300, `${wrong} of 1000`);
  });
});
