// SPDX-License-Identifier: Apache-2.0
/** docs/durability.md backs each promise with tests: they have to be there. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const page = readFileSync(`${ROOT}docs/durability.md`, "utf8");

test("every test that the page on durability names is there", () => {
  const named = [...page.matchAll(/`(tests\/[a-z0-9_/]+\.ts)`(?: "([^"]+)")?/g)];
  assert.ok(named.length > 20, `only ${named.length} names found`);
  for (const [, file, name] of named) {
    assert.ok(existsSync(ROOT + file), `${file} does not exist`);
    if (name !== undefined) assert.ok(readFileSync(ROOT + file, "utf8").includes(name), `${file}: "${name}"`);
  }
});

test("every promise of the page on durability names a test", () => {
  const tables = page.split("\n\n").filter((part) => /^\| (row|promise) \| tests \|/.test(part));
  assert.equal(tables.length, 2);
  for (const row of tables.flatMap((table) => table.split("\n").slice(2))) {
    assert.match(row, /`tests\/[^`]+` "/, row.slice(0, 80));
  }
});
