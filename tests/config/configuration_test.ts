// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadBrokerConfiguration } from "../../src/config/broker_config.ts";
import { ConfigBlackListError, ConfigError } from "../../src/config/config_error.ts";
import { parseChanges } from "../../src/config/configuration.ts";
import { sourceOfPairs } from "../../src/config/sources.ts";
import { withDirectory } from "./temp_directory.ts";
import { testMachine } from "./test_machine.ts";

const FILE = "# my broker\nbrokerName = broker-a\nflushIntervalCommitLog=48\nmy.own=1\n";

/** Runs with the configuration of a broker whose file is `FILE`. */
function withConfiguration(
  action: (configuration: ReturnType<typeof loadBrokerConfiguration>["configuration"], file: string) => void,
  ...pairs: string[]
): Promise<void> {
  return withDirectory((directory) => {
    const file = join(directory, "broker.conf");
    writeFileSync(file, FILE);
    const overriding = [sourceOfPairs("--set", pairs)];
    action(loadBrokerConfiguration({ file, overriding, machine: testMachine }).configuration, file);
  });
}

test("a live key counts at once and is written to the file, whose comments stay", () =>
  withConfiguration((configuration, file) => {
    const before = configuration.settings;
    const heard: unknown[] = [];
    configuration.onChange((settings, keys) => heard.push([settings.brokerPermission, keys]));
    const change = configuration.update(parseChanges("brokerPermission=4\n"));
    assert.deepEqual(change, { applied: ["brokerPermission"], atNextStart: [], ignored: [], warnings: [] });
    assert.equal(configuration.settings.brokerPermission, 4);
    assert.equal(before.brokerPermission, 6);
    assert.deepEqual(heard, [[4, ["brokerPermission"]]]);
    assert.equal(readFileSync(file, "latin1"), `${FILE}brokerPermission=4\n`);
    assert.equal(readFileSync(`${file}.bak`, "latin1"), FILE);
  }));

test("another key is shown and written, but counts from the next start", () =>
  withConfiguration((configuration, file) => {
    const change = configuration.update(parseChanges("flushIntervalCommitLog=24\nbrokerName=broker-b"));
    assert.deepEqual(change.applied, []);
    assert.deepEqual(change.atNextStart, ["flushIntervalCommitLog", "brokerName"]);
    assert.equal(configuration.settings.commitLogFlushIntervalMs, 48);
    assert.equal(configuration.settings.brokerName, "broker-a");
    assert.equal(configuration.entries.get("flushIntervalCommitLog"), "24");
    assert.equal(
      readFileSync(file, "latin1"),
      "# my broker\nbrokerName=broker-b\nflushIntervalCommitLog=24\nmy.own=1\n",
    );

    configuration.update(parseChanges("brokerPermission=4"));
    assert.equal(
      configuration.settings.commitLogFlushIntervalMs,
      48,
      "a later live change must not bring it in",
    );
    assert.equal(configuration.entries.get("flushIntervalCommitLog"), "24");
    const next = loadBrokerConfiguration({ file, machine: testMachine }).configuration.settings;
    assert.deepEqual([next.brokerName, next.commitLogFlushIntervalMs, next.brokerPermission], [
      "broker-b",
      24,
      4,
    ]);
  }));

test("unknown keys are ignored, unless the file has them", () =>
  withConfiguration((configuration, file) => {
    const change = configuration.update(parseChanges("nobodyKnows=1\nmy.own=2"));
    assert.deepEqual(change.ignored, ["nobodyKnows"]);
    assert.deepEqual(change.atNextStart, ["my.own"]);
    assert.equal(configuration.entries.get("nobodyKnows"), undefined);
    assert.equal(configuration.entries.get("my.own"), "2");
    assert.match(readFileSync(file, "latin1"), /^my\.own=2$/m);
  }));

test("a value that is there already changes nothing", () =>
  withConfiguration((configuration, file) => {
    const change = configuration.update(parseChanges("brokerPermission=6\nflushIntervalCommitLog=48"));
    assert.deepEqual(change, { applied: [], atNextStart: [], ignored: [], warnings: [] });
    assert.ok(!existsSync(`${file}.bak`));
  }));

test("one bad or refused value rejects the whole change", () =>
  withConfiguration((configuration, file) => {
    const { settings } = configuration;
    for (
      const bad of ["flushIntervalCommitLog=x", "brokerRole=SLAVE", "autoCreateTopicEnable=yes", "a=\\u00"]
    ) {
      assert.throws(
        () => configuration.update(parseChanges(`brokerPermission=4\n${bad}\n`)),
        ConfigError,
        bad,
      );
    }
    assert.equal(configuration.settings, settings);
    assert.equal(readFileSync(file, "latin1"), FILE);
  }));

test("keys of the black list reject the whole change", () =>
  withConfiguration((configuration, file) => {
    for (const key of ["configBlackList", "brokerConfigPath", "rocketmqHome", "flushIntervalCommitLog"]) {
      assert.throws(
        () => configuration.update(parseChanges(`brokerPermission=4\n${key}=1\n`)),
        (error: Error) => {
          assert.ok(error instanceof ConfigBlackListError);
          assert.equal(error.message, "Can not update config in black list.");
          return true;
        },
      );
    }
    assert.equal(configuration.settings.brokerPermission, 6);
    assert.equal(readFileSync(file, "latin1"), FILE);
    assert.deepEqual(configuration.blackList.toSorted(), [
      "brokerConfigPath",
      "configBlackList",
      "flushIntervalCommitLog",
      "rocketmqHome",
    ]);
  }, "configBlackList=flushIntervalCommitLog"));

test("a change says where the next start overrides it", () =>
  withConfiguration((configuration) => {
    const { warnings, applied } = configuration.update(parseChanges("traceOn=true"));
    assert.deepEqual(applied, ["traceOn"]);
    assert.deepEqual(warnings, ["At the next start --set sets traceOn to false again."]);
  }, "traceOn=false"));

test("a change of a key without effect says so", () =>
  withConfiguration((configuration) => {
    const { warnings } = configuration.update(parseChanges("sendMessageThreadPoolNums=32"));
    assert.deepEqual(warnings, ["Known, but without effect in rmq yet: sendMessageThreadPoolNums=32."]);
  }));

test("without a file changes go to the store, which the next start reads", () =>
  withDirectory((directory) => {
    const load = () => {
      const overriding = [sourceOfPairs("--set", [`storePathRootDir=${directory}`])];
      return loadBrokerConfiguration({ overriding, machine: testMachine }).configuration;
    };
    load().update(parseChanges("flushIntervalCommitLog=7\nbrokerName=b\\u00e9"));
    const written = readFileSync(join(directory, "config", "broker.properties"), "latin1");
    assert.equal(written, "brokerName=b\\u00e9\nflushIntervalCommitLog=7\n");
    assert.equal(load().settings.commitLogFlushIntervalMs, 7);
    assert.equal(load().settings.brokerName, "bé");
  }));

test("a linked file stays a link", () =>
  withDirectory((directory) => {
    const target = join(directory, "real.conf");
    const link = join(directory, "broker.conf");
    writeFileSync(target, FILE);
    symlinkSync(target, link);
    const { configuration } = loadBrokerConfiguration({ file: link, machine: testMachine });
    configuration.update(parseChanges("brokerPermission=4"));
    assert.match(readFileSync(target, "latin1"), /brokerPermission=4/);
    assert.equal(readFileSync(link, "latin1"), readFileSync(target, "latin1"));
  }));

test("where the file can't be written, only keys that count at once can be changed", () =>
  withDirectory((directory) => {
    const file = join(directory, "mount", "broker.conf");
    mkdirSync(join(directory, "mount"));
    writeFileSync(file, FILE);
    const { configuration } = loadBrokerConfiguration({ file, machine: testMachine });
    // A directory where the new file would be written: fails for root, too.
    mkdirSync(`${file}.tmp`);
    const { applied, warnings } = configuration.update(parseChanges("brokerPermission=4"));
    assert.deepEqual(applied, ["brokerPermission"]);
    assert.equal(configuration.settings.brokerPermission, 4);
    assert.match(
      warnings[0],
      /^The change counts only until the next start: .*broker\.conf can't be written/,
    );
    assert.throws(() => configuration.update(parseChanges("brokerPermission=2\nflushIntervalCommitLog=1")));
    assert.equal(configuration.settings.brokerPermission, 4);
    assert.equal(configuration.entries.get("flushIntervalCommitLog"), "48");
    assert.equal(readFileSync(file, "latin1"), FILE);
  }));

test("secrets are printed to the operator and told to nobody else", () =>
  withConfiguration((configuration) => {
    assert.match(configuration.print("all"), /^objectStoreSecretKey=hush$/m);
    assert.ok(!configuration.publicEntries().has("objectStoreSecretKey"));
    assert.ok(configuration.publicEntries().has("brokerName"));
  }, "objectStoreSecretKey=hush"));

test("print() gives lines that are a file again, with keys that are not set left empty", () =>
  withConfiguration(
    (configuration) => {
      const lines = configuration.print("all").split("\n");
      assert.ok(lines.includes("namesrvAddr=a:1;b:2"));
      assert.ok(lines.includes("haMasterAddress="));
      assert.ok(lines.includes("my.own=1"));
      assert.ok(lines.includes("regionId=C:\\\\x"));
      const important = configuration.print("important").trimEnd().split("\n");
      assert.ok(important.includes("flushIntervalCommitLog=48"));
      assert.ok(!important.includes("regionId=C:\\\\x"), "regionId is not important");
    },
    "namesrvAddr=a:1;b:2",
    "regionId=C:\\x",
  ));
