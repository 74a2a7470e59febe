// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { commandsPage } from "../../../src/cli/admin/documentation.ts";
import type { AdminCommand } from "../../../src/cli/admin/command.ts";
import { FAMILIES } from "../../../src/cli/admin/families.ts";
import { commandHelp } from "../../../src/cli/admin/help.ts";

async function allCommands(): Promise<[path: string, command: AdminCommand][]> {
  const families = await Promise.all(FAMILIES.map(async (family) => {
    const commands = await family.load();
    return commands.map((command): [string, AdminCommand] => {
      return [family.isSingle ? family.name : `${family.name} ${command.name}`, command];
    });
  }));
  return families.flat();
}

test("docs/commands.md is what `deno task docs` makes", async () => {
  const page = readFileSync(new URL("../../../docs/commands.md", import.meta.url), "utf8");
  assert.ok(page === await commandsPage(), "run `deno task docs`");
});

test("every example is a command line that its command takes", async () => {
  for (const [path, command] of await allCommands()) {
    assert.ok(command.examples.length > 0, path);
    for (const [line] of command.examples) {
      const words = wordsOf(line);
      // An example may show another command together with this one.
      const own = path.split(" ");
      if (own.some((word, at) => words[at] !== word)) continue;
      assert.doesNotThrow(() => command.parse(words.slice(own.length)), line);
    }
    assert.ok(command.examples.some(([line]) => line.startsWith(path)), `${path} has no example of its own`);
  }
});

/** The words of a simple command, up to what a shell takes for itself. */
function wordsOf(line: string): string[] {
  const simple = line.split(/ (?:\||>|<|&&) /)[0];
  return [...simple.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word);
}

test("the help of every command fits a page of 118 columns, and names its options", async () => {
  const long: string[] = [];
  for (const [path, command] of await allCommands()) {
    const help = commandHelp(path, command);
    long.push(...help.split("\n").filter((line) => line.length > 118));
    for (const name of Object.keys(command.options)) {
      assert.ok(help.includes(`--${name}`), `${path} --${name}`);
    }
  }
});

test("no two options of a command have the same letter", async () => {
  for (const [path, command] of await allCommands()) {
    const letters = Object.values(command.options).map(({ short }) => short).filter((short) =>
      short !== undefined
    );
    assert.equal(new Set(letters).size, letters.length, `${path}: ${letters}`);
  }
});
