// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import {
  decimal,
  delayLevels,
  flag,
  hoursOfDay,
  int,
  type Kind,
  long,
  name,
  nameList,
  nameServers,
  oneOf,
  port,
  text,
} from "../../src/config/kinds.ts";

/** What a kind reads from each text; undefined where it refuses. */
function read<T>({ schema }: Kind<T>, ...texts: string[]): (T | undefined)[] {
  return texts.map((given) => {
    const result = v.safeParse(schema, given);
    return result.success ? result.output : undefined;
  });
}

function complaint({ schema }: Kind<unknown>, given: string): string {
  const result = v.safeParse(schema, given);
  assert.ok(!result.success);
  assert.equal(result.issues.length, 1);
  return result.issues[0].message;
}

test("a flag is true or false in any case, and nothing else", () => {
  assert.deepEqual(read(flag(), "true", "TRUE", "False", "true ", "yes", "1", ""), [
    true,
    true,
    false,
    ...Array(4).fill(undefined),
  ]);
});

test("an int is what Java's parseInt takes, within its bounds", () => {
  assert.deepEqual(read(int("ms", -1, 100), "0", "+7", "-1", "007", "100"), [0, 7, -1, 7, 100]);
  for (
    const wrong of ["", " 1", "1 ", "1.0", "1e2", "0x10", "-2", "101", "1_000", "NaN", "99999999999999999999"]
  ) {
    assert.deepEqual(read(int("ms", -1, 100), wrong), [undefined], wrong);
  }
});

test("a long takes 64 bits, and hands on what a number can hold", () => {
  const max = Number.MAX_SAFE_INTEGER;
  assert.deepEqual(read(long("ms"), "10000000000", "9223372036854775807"), [10_000_000_000, max]);
  assert.deepEqual(read(long("ms"), "9223372036854775808", "-1", ""), [undefined, undefined, undefined]);
});

test("a decimal is a number with or without a fraction", () => {
  assert.deepEqual(read(decimal("share"), "0.8", "8000.0", "1e3", ".5"), [0.8, 8000, 1000, 0.5]);
  assert.deepEqual(read(decimal("share"), "", "x", "-1", "."), Array(4).fill(undefined));
});

test("texts are trimmed, as in Java", () => {
  assert.deepEqual(read(text(), " a b ", ""), ["a b", ""]);
  assert.deepEqual(read(name(), " a ", "", "  "), ["a", undefined, undefined]);
  assert.deepEqual(read(oneOf("SYNC", "ASYNC"), "SYNC", " ASYNC ", "sync", ""), [
    "SYNC",
    "ASYNC",
    undefined,
    undefined,
  ]);
});

test("a port may be 0, for the system to choose", () => {
  assert.deepEqual(read(port(), "0", "65535", "65536", "-1"), [0, 65535, undefined, undefined]);
});

test("name servers are host:port with ; between them", () => {
  assert.deepEqual(read(nameServers(), "10.0.0.1:9876;ns-2.example:9877", "", " a:1 ; b:2; ", "[::1]:9876"), [
    ["10.0.0.1:9876", "ns-2.example:9877"],
    [],
    ["a:1", "b:2"],
    ["[::1]:9876"],
  ]);
  for (const wrong of ["10.0.0.1", "a:0", "a:65536", "a:1,b:2", "http://a:1", "a b:1", ":9876", "a:x"]) {
    assert.deepEqual(read(nameServers(), wrong), [undefined], wrong);
  }
});

test("hours of the day", () => {
  assert.deepEqual(read(hoursOfDay(), "04", "4;16", "0;23;"), [[4], [4, 16], [0, 23]]);
  assert.deepEqual(read(hoursOfDay(), "24", "", "04,16", "4.5"), Array(4).fill(undefined));
});

test("delay levels are numbers with s, m, h or d", () => {
  assert.deepEqual(read(delayLevels(), "1s 5m 2h 1d", " 10s "), [[1000, 300_000, 7_200_000, 86_400_000], [
    10_000,
  ]]);
  assert.deepEqual(read(delayLevels(), "", "1", "1s  5m", "1x", "s", "-1s"), Array(6).fill(undefined));
});

test("a list of names", () => {
  assert.deepEqual(read(nameList(), "a;b ; c;", ""), [["a", "b", "c"], []]);
});

test("a complaint says what is allowed, and names blanks that nobody sees", () => {
  assert.equal(complaint(int("ms", 1, 9), "x"), "must be a whole number of milliseconds from 1 to 9");
  assert.equal(complaint(flag(), "true "), "must be true or false, without blanks around it");
  assert.equal(complaint(oneOf("A", "B", "C"), "D"), "must be A, B or C");
  assert.equal(complaint(port(), "70000"), "must be a port number from 0 to 65535");
});
