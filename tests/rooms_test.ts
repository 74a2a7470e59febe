// SPDX-License-Identifier: Apache-2.0
/** Holds the arrows of ARCHITECTURE.md: which room may import which. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const SRC = fileURLToPath(new URL("../src", import.meta.url));

const MAY_IMPORT: Record<string, readonly string[]> = {
  main: ["cli"],
  cli: ["config", "namesrv", "broker", "store", "client", "http", "remoting", "protocol"],
  config: [],
  namesrv: ["remoting", "protocol", "http"],
  broker: ["remoting", "protocol", "store", "replication", "client", "http", "filter"],
  replication: ["store"],
  store: ["protocol"],
  filter: ["protocol"],
  client: ["remoting", "protocol"],
  remoting: ["protocol"],
  http: [],
  protocol: [],
  base: [],
};

/** The store sees the stored message, none of the requests. */
const STORE_MAY_IMPORT = /^protocol\/(record|record_crc|properties|sys_flag|java_string|message_id)\.ts$/;
/** Rooms are told what the operator wants: they share the type, and only the type, with `config`. */
const SETTINGS = /^config\/(broker|name_server)_settings\.ts$/;

function sourceFiles(): string[] {
  return readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
}

function roomOf(path: string): string {
  return path.split("/")[0].replace(/\.ts$/, "");
}

test("no room imports one that it must not know", () => {
  const wrong: string[] = [];
  for (const path of sourceFiles()) {
    const text = readFileSync(join(SRC, path), "utf8");
    for (const [statement, specifier] of text.matchAll(/(?:import|export)[^"';]*from\s+"(\.[^"]+)"/g)) {
      const target = relative(SRC, normalize(join(SRC, dirname(path), specifier)));
      const from = roomOf(path);
      const to = roomOf(target);
      const isAllowed = to === from || to === "base" || MAY_IMPORT[from]?.includes(to) ||
        (SETTINGS.test(target) && /^import type\b/.test(statement));
      const isHidden = from === "store" && to === "protocol" && !STORE_MAY_IMPORT.test(target);
      if (!isAllowed || isHidden) wrong.push(`${path} → ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("only the runtime folder uses what one runtime has and the other lacks", () => {
  const wrong = sourceFiles().filter((path) =>
    !path.startsWith("base/runtime") &&
    /\b(Deno|Bun)\.|from "bun:|from "jsr:/.test(readFileSync(join(SRC, path), "utf8"))
  );
  assert.deepEqual(wrong, []);
});

test("every source file says its licence in the first line", () => {
  const wrong = sourceFiles().filter((path) =>
    !readFileSync(join(SRC, path), "utf8").startsWith("// SPDX-License-Identifier: Apache-2.0\n")
  );
  assert.deepEqual(wrong, []);
});
