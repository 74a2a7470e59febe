// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadBrokerConfiguration } from "../../src/config/broker_config.ts";
import { loadNameServerConfiguration } from "../../src/config/name_server_config.ts";
import { testMachine } from "./test_machine.ts";

const CONF = fileURLToPath(new URL("../../conf", import.meta.url));
const brokerFiles = readdirSync(CONF, { recursive: true, encoding: "utf8" })
  .filter((path) => /broker.*\.(conf|properties)$/.test(path)).sort();

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

test("every file is taken without a warning", () => {
  for (const path of brokerFiles) {
    const { settings, warnings } = load(path);
    assert.deepEqual(warnings, [], path);
    assert.equal(settings.clusterName, "DefaultCluster");
    assert.equal(
      settings.brokerName,
      path === "broker.conf" ? "broker-a" : /broker-(trace|\w)/.exec(path)![0],
    );
    assert.deepEqual([settings.deleteAtHours, settings.fileReservedHours], [[4], 48]);
  }
});

test("files of slaves, and of masters that wait for slaves, say so", () => {
  const rolesIn = (directory: string) =>
    brokerFiles.filter((path) => path.startsWith(directory)).map((path) => {
      const { brokerRole, brokerId } = load(path).settings;
      return `${brokerRole} ${brokerId}`;
    });
  assert.deepEqual(rolesIn("2m-2s-async"), ["SLAVE 1", "ASYNC_MASTER 0", "SLAVE 1", "ASYNC_MASTER 0"]);
  assert.deepEqual(rolesIn("2m-2s-sync"), ["SLAVE 1", "SYNC_MASTER 0", "SLAVE 1", "SYNC_MASTER 0"]);
});

test("the name server's file is taken without a warning", () => {
  const { configuration } = loadNameServerConfiguration({
    file: join(CONF, "namesrv.conf"),
    machine: testMachine,
  });
  assert.deepEqual(configuration.warnings, []);
  assert.equal(configuration.settings.listenPort, 9876);
});
