// SPDX-License-Identifier: Apache-2.0
/** Apache's own filter classes and ours, asked the same: which expressions are refused, and what each message gets. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { evaluator } from "../../src/filter/sql/evaluator.ts";
import { ExpressionError } from "../../src/filter/sql/expression_error.ts";
import { parseExpression } from "../../src/filter/sql/parser.ts";
import { PropertySlots } from "../../src/filter/sql/property_slots.ts";
import { SqlFilter } from "../../src/filter/sql/sql_filter.ts";
import { FAILED } from "../../src/filter/sql/syntax.ts";
import { encodeProperties } from "../../src/protocol/properties.ts";
import { Driver } from "./driver.ts";
import { type FilterCase, filterCorpus } from "./filter_corpus.ts";
import { Workspace } from "./servers.ts";
import { interopTest } from "./suite.ts";

const SEED = Number(process.env.FILTER_SEED ?? Date.now() % 1_000_000);
const COUNT = Number(process.env.FILTER_COUNT ?? 4000);

interopTest(`filters say what Apache's say (seed ${SEED})`, { needs: ["5.4.0"] }, async () => {
  const workspace = await Workspace.create();
  const driver = await Driver.start("5.4.0", workspace);
  try {
    const directory = await workspace.directory("filters");
    const corpus = join(directory, "corpus");
    const verdicts = join(directory, "verdicts");
    const cases = filterCorpus(SEED, COUNT);
    await writeFile(corpus, cases.map((item) => line(item) + "\n").join(""));
    await driver.mustRun("FilterVerdicts", { corpus, verdicts, limitSeconds: 120 });
    const theirs = (await readFile(verdicts, "utf8")).trimEnd().split("\n");
    assert.equal(theirs.length, cases.length);
    const different = cases.flatMap((item, index) => {
      const ours = verdictsOf(item);
      if (ours === theirs[index]) return [];
      return [{
        expression: item.expression,
        ours,
        theirs: theirs[index],
        sets: line(item).split("\t").slice(1),
      }];
    });
    assert.deepEqual(different.slice(0, 20), []);
    const refused = theirs.filter((verdict) => verdict === "refused").length;
    for (const verdict of ["T", "F", "N", "E"]) assert.ok(theirs.some((text) => text.includes(verdict)));
    assert.ok(refused > 100 && refused < cases.length / 1.5, `${refused} of ${cases.length} are refused`);
  } finally {
    await driver.stop();
    await workspace.remove();
  }
});

function line({ expression, propertySets }: FilterCase): string {
  const sets = propertySets.map((set) =>
    [...set].map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&")
  );
  return [encodeURIComponent(expression), ...sets].join("\t");
}

function verdictsOf({ expression, propertySets }: FilterCase): string {
  try {
    const { condition, names } = parseExpression(expression);
    const evaluate = evaluator(condition);
    const slots = new PropertySlots(names);
    const filter = new SqlFilter(expression);
    return propertySets.map((set) => {
      const value = evaluate(slots.ofMap(set));
      assert.equal(filter.matches(set), value === true);
      const stored = new TextEncoder().encode(encodeProperties([...set].filter(([, value]) => value !== "")));
      if (![...set.values()].includes("")) {
        assert.equal(filter.matchesBytes(stored, 0, stored.length), value === true);
      }
      return value === FAILED
        ? "E"
        : value === null
        ? "N"
        : value === true
        ? "T"
        : value === false
        ? "F"
        : "E";
    }).join("");
  } catch (error) {
    if (error instanceof ExpressionError) return "refused";
    throw error;
  }
}
