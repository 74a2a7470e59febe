// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { describeOptions, parseOptions, UsageError } from "../../src/cli/args.ts";

const options = {
  configFile: { short: "c", value: "FILE", help: "A file" },
  set: { value: "KEY=VALUE", multiple: true, help: "A key" },
  print: { short: "p", help: "Print\nall of it" },
  important: { short: "m", help: "Print some" },
} as const;

test("options may be long or short, with = or without, and in groups", () => {
  const expected = { configFile: "a.conf", set: ["a=1", "b=2"], print: true, important: true };
  assert.deepEqual(parseOptions(options, ["-c", "a.conf", "--set", "a=1", "--set=b=2", "-pm"]), expected);
  assert.deepEqual(
    parseOptions(options, ["-ca.conf", "--set", "a=1", "-m", "--set", "b=2", "--print"]),
    expected,
  );
});

test("what is not given is undefined, empty or false", () => {
  assert.deepEqual(parseOptions(options, []), {
    configFile: undefined,
    set: [],
    print: false,
    important: false,
  });
});

test("the last of a repeated option counts", () => {
  assert.equal(parseOptions(options, ["-c", "a", "--configFile", "b"]).configFile, "b");
});

test("what can't be understood is told as a sentence", () => {
  const wrong: [string[], string][] = [
    [["--colour"], "--colour is no option of this command."],
    [["-x"], "-x is no option of this command."],
    [["--toString"], "--toString is no option of this command."],
    [["-c"], "-c needs a value: FILE."],
    [["--set"], "--set needs a value: KEY=VALUE."],
    [["-c", "-p"], "-c needs a value: FILE."],
    [["--print=yes"], "--print takes no value."],
    [["start"], "start is not expected here."],
    [["--", "start"], "start is not expected here."],
  ];
  for (const [args, message] of wrong) {
    assert.throws(() => parseOptions(options, args), (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.equal(error.message, message);
      return true;
    });
  }
});

test("a value may begin with a dash behind =", () => {
  assert.equal(parseOptions(options, ["--configFile=-p"]).configFile, "-p");
});

test("describeOptions() lines up the help", () => {
  assert.equal(
    describeOptions(options),
    `  -c, --configFile FILE  A file
      --set KEY=VALUE    A key
  -p, --print            Print
                         all of it
  -m, --important        Print some
`,
  );
});
