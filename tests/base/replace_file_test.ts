// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { replaceFile } from "../../src/base/replace_file.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "rmq-replace-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("replaceFile() makes the file and its directories, and leaves nothing beside it", () => {
  const path = join(directory, "a", "b", "file");
  replaceFile(path, "one");
  replaceFile(path, new TextEncoder().encode("two"));
  assert.equal(readFileSync(path, "utf8"), "two");
  assert.deepEqual(readdirSync(join(directory, "a", "b")), ["file"]);
});

test("replaceFile() keeps the content before as a backup, if there was any", () => {
  const path = join(directory, "file");
  replaceFile(path, "one", `${path}.bak`);
  assert.deepEqual(readdirSync(directory), ["file"]);
  replaceFile(path, "two", `${path}.bak`);
  assert.deepEqual([path, `${path}.bak`].map((file) => readFileSync(file, "utf8")), ["two", "one"]);
});

test("where replaceFile() fails the file is as it was, and no neighbour is left", () => {
  const path = join(directory, "file");
  replaceFile(path, "one");
  const backup = join(directory, "backup");
  mkdirSync(backup);
  assert.throws(() => replaceFile(path, "two", backup));
  assert.equal(readFileSync(path, "utf8"), "one");
  assert.deepEqual(readdirSync(directory).sort(), ["backup", "file"]);
});
