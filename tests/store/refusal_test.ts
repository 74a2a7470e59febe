// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../../src/store/refusal.ts";
import { StoreRefusedError } from "../../src/store/types.ts";

test("messages are welcome until there is a reason, and again when it has gone", () => {
  const refusal = new Refusal();
  refusal.check();
  refusal.refuse("DISK_FULL", "the disk is full", false);
  assert.throws(
    () => refusal.check(),
    (error) =>
      error instanceof StoreRefusedError && error.reason === "DISK_FULL" &&
      error.message === "the disk is full",
  );
  refusal.accept("WRITE_FAILED");
  assert.equal(refusal.now?.reason, "DISK_FULL");
  refusal.accept("DISK_FULL");
  refusal.check();
});

test("after what only a restart can check, nothing brings messages back", () => {
  for (const reason of ["WRITE_FAILED", "SYNC_FAILED"] as const) {
    const refusal = new Refusal();
    refusal.refuse(reason, "broken", true);
    refusal.refuse("DISK_FULL", "full", false);
    refusal.accept("DISK_FULL");
    refusal.accept(reason);
    assert.deepEqual([refusal.now, refusal.isFinal], [{ reason, message: "broken" }, true]);
  }
});

test("a disk that was full when the sync failed is not what counts", () => {
  const refusal = new Refusal();
  refusal.refuse("DISK_FULL", "full", false);
  refusal.refuse("SYNC_FAILED", "broken", true);
  assert.equal(refusal.now?.reason, "SYNC_FAILED");
  refusal.accept("DISK_FULL");
  assert.equal(refusal.now?.reason, "SYNC_FAILED");
});

test("a store that is shut down stays so", () => {
  const refusal = new Refusal();
  refusal.refuse("DISK_FULL", "full", false);
  refusal.refuse("SHUT_DOWN", "shut down", false);
  refusal.refuse("SYNC_FAILED", "broken", true);
  refusal.accept("DISK_FULL");
  assert.deepEqual([refusal.now?.reason, refusal.isFinal], ["SHUT_DOWN", true]);
});
