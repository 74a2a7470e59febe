// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const root = new URL("../../../src/", import.meta.url);

/** Everything that is loaded together with a source file: types are not, and what is imported later is not. */
function loadedWith(url: URL, seen = new Set<string>()): Set<string> {
  if (seen.has(url.href)) return seen;
  seen.add(url.href);
  const text = readFileSync(url, "utf8");
  for (const [statement, specifier] of text.matchAll(/^(?:import|export)\b[^;]*?from\s+"(\.[^"]+)"/gm)) {
    if (!/^(?:import|export) type\b/.test(statement)) loadedWith(new URL(specifier, url), seen);
  }
  return seen;
}

test("servers start without the commands for administrators", () => {
  const loaded = [...loadedWith(new URL("main.ts", root))].map((href) => href.slice(root.href.length));
  assert.ok(loaded.includes("broker/broker.ts"));
  assert.deepEqual(loaded.filter((path) => path.startsWith("cli/admin/")), ["cli/admin/families.ts"]);
});
