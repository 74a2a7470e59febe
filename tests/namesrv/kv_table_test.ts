// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { KvTable } from "../../src/namesrv/kv_table.ts";

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rmq-kv-"));
  path = join(directory, "namesrv", "kvConfig.json");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

test("what was put is there after a restart, in a file as Apache writes it", () => {
  const table = new KvTable(path);
  table.put("ORDER_TOPIC_CONFIG", "topicA", "broker-a:4;broker-b:4");
  assert.equal(
    readFileSync(path, "utf8"),
    '{"configTable":{"ORDER_TOPIC_CONFIG":{"topicA":"broker-a:4;broker-b:4"}}}',
  );
  assert.equal(new KvTable(path).get("ORDER_TOPIC_CONFIG", "topicA"), "broker-a:4;broker-b:4");
});

test("the file before the last change is kept beside it, and nothing else", () => {
  const table = new KvTable(path);
  table.put("N", "k", "1");
  table.put("N", "k", "2");
  assert.equal(readFileSync(`${path}.bak`, "utf8"), '{"configTable":{"N":{"k":"1"}}}');
  assert.deepEqual(readdirSync(dirname(path)).sort(), ["kvConfig.json", "kvConfig.json.bak"]);
});

test("a namespace stays when its last key is deleted", () => {
  const table = new KvTable(path);
  table.put("N", "k", "1");
  table.delete("N", "k");
  assert.equal(table.get("N", "k"), undefined);
  assert.deepEqual(table.list("N"), new Map());
  assert.deepEqual(new KvTable(path).list("N"), new Map());
  assert.equal(table.list("M"), undefined);
});

test("deleting what is not there writes nothing", () => {
  const table = new KvTable(path);
  table.delete("N", "k");
  assert.equal(table.list("N"), undefined);
  assert.equal(table.revision, 0);
  assert.deepEqual(readdirSync(directory), []);
});

test("every change raises the revision", () => {
  const table = new KvTable(path);
  table.put("N", "k", "1");
  assert.equal(table.revision, 1);
  table.delete("N", "k");
  assert.equal(table.revision, 2);
});

test("a change that can't be written did not happen", () => {
  const table = new KvTable(path);
  table.put("N", "k", "1");
  mkdirSync(`${path}.tmp`);
  assert.throws(() => table.put("N", "k", "2"));
  assert.equal(table.get("N", "k"), "1");
  assert.equal(table.revision, 1);
  assert.equal(new KvTable(path).get("N", "k"), "1");
});

test("an empty file is an empty table", () => {
  write("");
  assert.equal(new KvTable(path).list("N"), undefined);
});

test("a file with names that objects have of themselves is read and written", () => {
  write('{"configTable":{"__proto__":{"constructor":"1"}}}');
  const table = new KvTable(path);
  assert.equal(table.get("__proto__", "constructor"), "1");
  table.put("__proto__", "toString", "2");
  assert.deepEqual(new KvTable(path).list("__proto__"), new Map([["constructor", "1"], ["toString", "2"]]));
});

test("a file that can't be read stops the start, and is named", () => {
  for (const content of ["{", "[]", "{}", '{"configTable":3}']) {
    write(content);
    assert.throws(() => new KvTable(path), (error: Error) => error.message.includes(path), content);
  }
});
