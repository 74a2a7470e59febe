// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { OpenFiles } from "../../src/store/open_files.ts";
import { QueueTable } from "../../src/store/queue_table.ts";
import { MessageIllegalError } from "../../src/store/types.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { SeededRandom } from "../harness/seeded_random.ts";

function newTable(files = new MemoryFiles()) {
  files.makeDirectory("/queues");
  files.syncDirectory("/");
  const open = new OpenFiles(files, 100);
  const table = new QueueTable({ directory: "/queues", fileBytes: 200, files, open, isClean: true });
  table.load();
  return { files, table };
}

/** Puts a message into a queue, and the queue on the disk. */
function fill(table: QueueTable, topic: string, queueId: number): void {
  const queue = table.getOrCreate(topic, queueId);
  queue.put(queue.nextOffset, 0, 100, 0);
  queue.write();
}

test("queues that the disk has are there after a start, under their topics", () => {
  const { files, table } = newTable();
  for (const [topic, queueId] of [["A", 0], ["A", 11], ["%RETRY%g", 0], ["B", 2147483647]] as const) {
    fill(table, topic, queueId);
  }
  const again = newTable(files).table;
  assert.deepEqual(again.topics().sort(), ["%RETRY%g", "A", "B"]);
  assert.deepEqual(again.queuesOf("A").map(({ queueId }) => queueId).sort(), [0, 11]);
  assert.ok(again.get("B", 2147483647));
  assert.equal(again.get("A", 1), undefined);
  assert.equal([...again.all()].length, 4);
});

test("what is no queue's directory is passed over", () => {
  const { files, table } = newTable();
  fill(table, "A", 0);
  for (const name of ["A/01", "A/-1", "A/2147483648", "A/x", "A/1.5"]) files.makeDirectory(`/queues/${name}`);
  files.create("/queues/file", 3).close();
  const again = newTable(files).table;
  assert.deepEqual(again.topics(), ["A"]);
  assert.deepEqual(again.queuesOf("A").map(({ queueId }) => queueId), [0]);
});

test("a topic that can't be a directory is refused, and leaves no trace", () => {
  const { table } = newTable();
  for (const topic of ["", ".", "..", "a/b", "a\\b", "a\0b", "é".repeat(128)]) {
    assert.throws(() => table.getOrCreate(topic, 0), MessageIllegalError, JSON.stringify(topic));
  }
  assert.throws(() => table.getOrCreate("A", -1), MessageIllegalError);
  assert.throws(() => table.getOrCreate("A", NaN), MessageIllegalError);
  assert.throws(() => table.getOrCreate("A", 2 ** 31), MessageIllegalError);
  assert.deepEqual(table.topics(), []);
});

test("a deleted topic is gone for good, also after a power cut", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const { files, table } = newTable();
    for (const queueId of [0, 1]) fill(table, "A", queueId);
    fill(table, "B", 0);
    for (const queue of table.all()) await queue.sync();
    table.delete("A");
    table.delete("unknown");
    assert.deepEqual(table.topics(), ["B"]);
    const again = newTable(files.crash(new SeededRandom(seed))).table;
    assert.deepEqual(again.topics(), ["B"]);
  }
});

test("a topic that could not be deleted begins again empty", () => {
  const { files, table } = newTable();
  for (let count = 0; count < 15; count++) fill(table, "A", 0);
  files.fail({ operation: "remove", code: "EIO" });
  assert.throws(() => table.delete("A"), { code: "EIO" });
  assert.deepEqual(table.topics(), []);
  const queue = table.getOrCreate("A", 0);
  assert.deepEqual([queue.nextOffset, queue.isYoung], [0, true]);
  fill(table, "A", 0);
  assert.equal(queue.maxOffset, 1);
});
