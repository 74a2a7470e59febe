// SPDX-License-Identifier: Apache-2.0
/** Checksums over whole records, where the operator wants them. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { Property } from "../../src/protocol/properties.ts";
import { isRecordCrcRight } from "../../src/protocol/record_crc.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { bodiesOf, draft, openStore, visible } from "../harness/store.ts";

const LOG_FILE = `/store/commitlog/${"0".repeat(20)}`;
const CHECKED = { appendRecordCrc: true, requireRecordCrc: true };

test("messages and the parts of a batch get one; one that a producer brings is not taken over", async () => {
  const files = new MemoryFiles();
  const store = await openStore("/store", { files, ...CHECKED });
  store.append(draft("T", "a", { propertyMap: new Map([[Property.CRC32, "0000000000"]]) }));
  store.appendBatch([draft("T", "b"), draft("T", "c")]);
  await visible(store);
  assert.deepEqual(await bodiesOf(store, "T"), ["a", "b", "c"]);
  const end = store.maxPhysicalOffset;
  for (let at = 0; at < end;) {
    const record = Buffer.from(store.readRecord(at)!);
    assert.equal(isRecordCrcRight(record, 0, record.length), true);
    assert.equal(record.toString("latin1").split(Property.CRC32).length, 2);
    at += record.length;
  }
  await store.close();
});

test("after a crash the log ends before a record of which any bit has changed", async () => {
  let files = new MemoryFiles();
  const store = await openStore("/store", { files, ...CHECKED });
  const places = ["a", "b", "c"].map((body) => store.append(draft("T", body)));
  await visible(store);
  files = files.kill();
  files.damage(LOG_FILE, places[2].physicalOffset + 19, Uint8Array.of(1)); // its flag
  const after = await openStore("/store", { files, ...CHECKED });
  assert.deepEqual(await bodiesOf(after, "T"), ["a", "b"]);
  assert.equal(after.append(draft("T", "next")).queueOffset, 2);
  await after.close();
});

test("records without one end the log only where the operator requires them", async () => {
  for (const requireRecordCrc of [false, true]) {
    let files = new MemoryFiles();
    const store = await openStore("/store", { files });
    store.append(draft("T", "old"));
    await visible(store);
    files = files.kill();
    const after = await openStore("/store", { files, appendRecordCrc: true, requireRecordCrc });
    assert.deepEqual(await bodiesOf(after, "T"), requireRecordCrc ? [] : ["old"]);
    await after.close();
  }
});
