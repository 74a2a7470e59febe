// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadBrokerConfiguration } from "../../src/config/broker_config.ts";
import { ConfigError } from "../../src/config/config_error.ts";
import { loadNameServerConfiguration } from "../../src/config/name_server_config.ts";
import { testMachine } from "./test_machine.ts";

const CONF = fileURLToPath(new URL("../../conf", import.meta.url));
const brokerFiles = readdirSync(CONF, { recursive: true, encoding: "utf8" })
  .filter((path) => /broker.*\.(conf|properties)$/.test(path)).sort();
/** Roles that are refused as long as there is no replication. */
const REPLICATED = /-s\.properties$|2m-2s-sync/;

function load(path: string) {
  return loadBrokerConfiguration({ file: join(CONF, path), machine: testMachine }).configuration;
}

test("conf/ has the files that readers of RocketMQ's documents look for", () => {
  assert.deepEqual(brokerFiles, [
    "2m-2s-async/broker-a-s.properties",
    "2m-2s-async/broker-a.properties",
    "2m-2s-async/broker-b-s.properties",
    "2m-2s-async/broker-b.properties",
    "2m-2s-sync/broker-a-s.properties",
    "2m-2s-sync/broker-a.properties",
    "2m-2s-sync/broker-b-s.properties",
    "2m-2s-sync/broker-b.properties",
    "2m-noslave/broker-a.properties",
    "2m-noslave/broker-b.properties",
    "2m-noslave/broker-trace.properties",
    "broker.conf",
  ]);
});

test("every master's file is taken without a warning", () => {
  for (const path of brokerFiles.filter((path) => !REPLICATED.test(path))) {
    const { settings, warnings } = load(path);
    assert.deepEqual(warnings, [], path);
    assert.equal(settings.clusterName, "DefaultCluster");
    assert.equal(settings.brokerName, path === "broker.conf" ? "broker-a" : /broker-\w+/.exec(path)![0]);
    assert.deepEqual([settings.deleteAtHours, settings.fileReservedHours], [[4], 48]);
  }
});

test("files of slaves and of masters that wait for slaves are refused for that alone", () => {
  const refused = brokerFiles.filter((path) => REPLICATED.test(path));
  assert.equal(refused.length, 6);
  for (const path of refused) {
    assert.throws(() => load(path), (error: ConfigError) => {
      const keys = error.problems.map(({ key }) => key);
      assert.deepEqual(
        keys,
        ["brokerRole"],
        path,
      );
      assert.match(error.message, /replication is not built yet/);
      return true;
    });
  }
});

test("the name server's file is taken without a warning", () => {
  const { configuration } = loadNameServerConfiguration({
    file: join(CONF, "namesrv.conf"),
    machine: testMachine,
  });
  assert.deepEqual(configuration.warnings, []);
  assert.equal(configuration.settings.listenPort, 9876);
});
