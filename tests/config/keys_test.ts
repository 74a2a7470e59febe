// SPDX-License-Identifier: Apache-2.0
/** The tables against what Apache 5.4.0 tells of its own configuration classes by reflection. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as v from "valibot";
import { brokerAreas, brokerKeys } from "../../src/config/broker_config.ts";
import type { Key, KeyTable } from "../../src/config/key.ts";
import { nameServerAreas, nameServerRoleKeys } from "../../src/config/name_server_config.ts";
import { testMachine } from "./test_machine.ts";

interface ApacheKey {
  className: string;
  name: string;
  type: string;
  fallback: string;
  important: boolean;
}

const apacheKeys: ApacheKey[] = readFileSync(new URL("apache_5_4_0_keys.tsv", import.meta.url), "utf8")
  .split("\n").filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [className, name, type, fallback = "", important] = line.split("\t");
    return { className, name, type, fallback, important: important === "important" };
  });

/** The tables that must know a key of a class: Netty's belong to both roles. */
function tablesOf(className: string): KeyTable[] {
  if (className === "NamesrvConfig") return [nameServerRoleKeys];
  return className.startsWith("Netty") ? [brokerKeys, nameServerRoleKeys] : [brokerKeys];
}

function defaultText({ fallback }: Key): string | undefined {
  return typeof fallback === "object" ? fallback.of(testMachine, () => undefined) : fallback;
}

/**
 * Where a default is another on purpose: field defaults that Apache replaces at its start, paths it derives, a
 * number of which it matters whether anybody has set it, and what a crash must not forget.
 */
const OTHER_DEFAULT = new Set([
  "listenPort",
  "haListenPort",
  "rocketmqHome",
  "readOnlyCommitLogStorePaths",
  "inSyncReplicas",
  "transactionOpBatchInterval",
]);

test("no key of Apache 5.4.0 is missing", () => {
  assert.ok(apacheKeys.length > 500);
  const missing = apacheKeys.filter(({ className, name }) =>
    tablesOf(className).some((table) => !Object.hasOwn(table, name))
  );
  assert.deepEqual(missing, []);
});

test("defaults are those of Apache 5.4.0", () => {
  for (const { className, name, fallback } of apacheKeys) {
    if (OTHER_DEFAULT.has(name)) continue;
    for (const table of tablesOf(className)) {
      assert.equal(defaultText(table[name]) ?? "null", fallback, `${className}.${name}`);
    }
  }
});

test("a key is of the type that it has in Apache 5.4.0", () => {
  const isLong = (key: Key) => key.kind.allowed.includes("9223372036854775807");
  for (const { className, name, type } of apacheKeys) {
    for (const table of tablesOf(className)) {
      const key = table[name];
      const { allowed } = key.kind;
      assert.equal(allowed === "true or false", type === "boolean", name);
      if (type === "long") assert.ok(isLong(key), name);
      if (type === "int") assert.ok(/number|percentage/.test(allowed) && !isLong(key), name);
    }
  }
});

test("-m shows the keys that Apache 5.4.0 calls important", () => {
  const names = (keys: string[]) => [...new Set(keys)].sort();
  const important = apacheKeys.filter((key) => key.important).map(({ name }) => name);
  const ours = Object.entries(brokerKeys).filter(([, key]) => key.important).map(([name]) => name);
  assert.deepEqual(names(ours), names(important));
});

for (
  const [role, table, areas] of [["brokers", brokerKeys, brokerAreas], [
    "name servers",
    nameServerRoleKeys,
    nameServerAreas,
  ]] as const
) {
  test(`every key of ${role} stands in exactly one area of the documentation`, () => {
    const documented = areas.flatMap(({ keys }) => Object.keys(keys));
    assert.deepEqual(documented.toSorted(), Object.keys(table).toSorted());
  });

  test(`every key of ${role} has a meaning of one line and a default that it takes itself`, () => {
    for (const [name, key] of Object.entries(table as KeyTable)) {
      assert.match(key.meaning, /^[A-Z0-9].*\.$/, name);
      const text = defaultText(key);
      if (text === undefined) continue;
      const result = v.safeParse(key.kind.schema, text);
      assert.ok(result.success, `${name}=${text}`);
      assert.equal(key.refuse?.(result.output), undefined, name);
    }
  });

  test(`only keys of ${role} that are acted on can take effect at once`, () => {
    const wrong = Object.entries(table as KeyTable).filter(([, key]) => key.live && key.standing !== "acts");
    assert.deepEqual(wrong, []);
  });
}
