// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { getLogger, reset } from "@logtape/logtape";
import { UsageError } from "../../src/cli/args.ts";
import { configureLogging, type LogOptions } from "../../src/cli/logging.ts";

describe("logging", () => {
  let directory: string;
  let complaints: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "rmq-logs-"));
    complaints = "";
  });

  afterEach(async () => {
    await reset();
    rmSync(directory, { recursive: true, force: true });
  });

  const start = (given: LogOptions, logDirectory?: string) =>
    configureLogging(given, "broker", { complain: (text) => void (complaints += text), logDirectory });
  const store = getLogger(["rmq", "store"]);
  const broker = getLogger(["rmq", "broker"]);
  const read = (name: string) => readFileSync(join(directory, name), "utf8");

  test("what the rooms say goes to files named as Apache's; warnings to standard error too", async () => {
    await start({}, directory);
    store.info("opened {path}", { path: "/store" });
    broker.warn("the disk is nearly full");
    broker.debug("nobody wants to know");
    assert.match(read("store.log"), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.*\[INF\] rmq·store: opened \/store\n$/);
    assert.match(read("broker.log"), /\[WRN\] rmq·broker: the disk is nearly full\n$/);
    assert.doesNotMatch(read("broker.log"), /nobody|opened/);
    assert.match(complaints, /nearly full/);
    assert.doesNotMatch(complaints, /opened/);
    assert.deepEqual(readdirSync(directory).sort(), ["broker.log", "store.log"]);
  });

  test("--log-dir wins, and none writes none", async () => {
    const other = join(directory, "a", "b");
    await start({ "log-dir": other }, directory);
    broker.info("here");
    assert.ok(existsSync(join(other, "broker.log")));
    await start({ "log-dir": "none" }, directory);
    broker.info("nowhere");
    assert.deepEqual(readdirSync(directory), ["a"]);
    await start({});
    broker.warn("only said");
    assert.match(complaints, /only said/);
  });

  test("lines of JSON, one for each record", async () => {
    await start({ "log-format": "json" }, directory);
    broker.info("two\nlines {n}", { n: 5 });
    const record = JSON.parse(read("broker.log"));
    assert.equal(record.level, "INFO");
    assert.match(record.message, /two\nlines 5/);
  });

  test("files are rolled by size, and so many are kept", async () => {
    await start({ "log-size": "1", "log-files": "2" }, directory);
    for (let n = 0; n < 50; n++) broker.info("{text}", { text: "x".repeat(100_000) });
    const files = readdirSync(directory).sort();
    assert.deepEqual(files, ["broker.log", "broker.log.1", "broker.log.2"]);
    for (const name of files) assert.ok(statSync(join(directory, name)).size <= 1.2e6, name);
  });

  test("--log-level holds for both; a directory that can't be used is said, and no reason to stop", async () => {
    await start({ "log-level": "error" }, directory);
    broker.warn("not wanted");
    assert.equal(complaints, "");
    const file = join(directory, "file");
    writeFileSync(file, "");
    await start({ "log-dir": join(file, "logs") });
    assert.match(complaints, /no log files are written: .*--log-dir none/);
    broker.warn("goes on");
    assert.match(complaints, /goes on/);
  });

  test("values that can't be are refused", async () => {
    const refused: LogOptions[] = [
      { "log-level": "loud" },
      { "log-format": "xml" },
      { "log-size": "0" },
      { "log-files": "-1" },
    ];
    for (const given of refused) await assert.rejects(start(given, directory), UsageError);
  });
});
