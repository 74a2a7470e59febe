// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { WhenHeld } from "../../../src/broker/slave/when_held.ts";

function log() {
  return { writtenOffset: 100, flushCount: 0, flush: () => Promise.resolve() };
}

test("progress is believed when the log holds what it tells of, and that is durable", async () => {
  let flushed = 0;
  const held = new WhenHeld<string>({ writtenOffset: 100, flush: () => Promise.resolve(void flushed++) });
  assert.equal(await held.offer("a", 100), "a");
  assert.equal(flushed, 1);
  assert.equal(await held.offer("b", 101), undefined);
  assert.equal(flushed, 1);
});

test("under load, progress that was told a while ago is believed", async () => {
  const here = log();
  const held = new WhenHeld<string>(here);
  assert.equal(await held.offer("a", 150), undefined);
  assert.equal(await held.offer("b", 250), undefined);
  here.writtenOffset = 200;
  assert.equal(await held.offer("c", 350), "a");
  here.writtenOffset = 360;
  assert.equal(await held.offer("d", 400), "c");
  here.writtenOffset = 500;
  assert.equal(await held.offer("e", 450), "e");
});
