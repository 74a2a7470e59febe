// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { configurationPage } from "../../src/config/documentation.ts";

test("docs/configuration.md is what `deno task docs` makes", () => {
  const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
  assert.ok(page === configurationPage(), "run `deno task docs`");
});

test("every row of a table has as many cells as its head", () => {
  let width = 0;
  for (const line of configurationPage().split("\n")) {
    if (!line.startsWith("|")) {
      width = 0;
      continue;
    }
    const cells = line.replaceAll("\\|", "").split("|").length;
    if (width === 0) width = cells;
    assert.equal(cells, width, line);
  }
});
