// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadNameServerConfiguration } from "../../src/config/name_server_config.ts";
import { sourceOfPairs } from "../../src/config/sources.ts";
import { withDirectory } from "./temp_directory.ts";
import { testMachine } from "./test_machine.ts";

function load(...pairs: string[]) {
  const overriding = [sourceOfPairs("--set", pairs)];
  return loadNameServerConfiguration({ overriding, machine: testMachine }).configuration;
}

test("without a file everything has Apache's default", () => {
  const { settings, warnings } = load();
  assert.deepEqual(settings, {
    bindAddress: "0.0.0.0",
    listenPort: 9876,
    connectionMaxIdleMs: 120_000,
    kvTableFile: "/nowhere/root/namesrv/kvConfig.json",
    configFile: "/nowhere/root/namesrv/namesrv.properties",
    orderConfigInRoutes: false,
    orderConfigToBrokers: true,
    brokerScanIntervalMs: 5000,
    allTopicList: true,
    topicLists: true,
    routeHoldMs: 0,
    deleteTopicsByRegistration: false,
    actingMaster: false,
    notifyMinBrokerIdChanged: false,
    nsaddrHttpPort: 0,
    nsaddrHttpAddresses: [],
  });
  assert.deepEqual(warnings, []);
});

test("routes are held back only where it is asked for", () => {
  assert.equal(load("waitSecondsForService=7").settings.routeHoldMs, 0);
  assert.equal(load("waitSecondsForService=7", "needWaitForService=true").settings.routeHoldMs, 7000);
});

test("changed keys go to the named file, and the settings say so", () =>
  withDirectory((directory) => {
    const file = join(directory, "namesrv.conf");
    writeFileSync(file, "listenPort=1234\n");
    const { configuration, readFile } = loadNameServerConfiguration({ file, machine: testMachine });
    assert.equal(readFile, file);
    assert.equal(configuration.settings.listenPort, 1234);
    assert.equal(configuration.settings.configFile, file);
    assert.equal(configuration.entries.get("configStorePath"), file);
  }));

test("the file that an earlier run wrote is read where none is named", () =>
  withDirectory((directory) => {
    const file = join(directory, "namesrv.properties");
    writeFileSync(file, "orderMessageEnable=true\n");
    assert.equal(load(`configStorePath=${file}`).settings.orderConfigInRoutes, true);
  }));

test("a controller and another environment are refused, a broker's keys are a mix-up", () => {
  assert.throws(() => load("enableControllerInNamesrv=true"), /is refused: failover by a controller/);
  assert.throws(() => load("clusterTest=true"), /is refused: asking another environment/);
  assert.throws(() => load("tls.server.mode=enforcing"), /is refused: TLS/);
  assert.deepEqual(load("brokerName=x", "tls.server.mode=permissive").warnings, [
    "--set: brokerName is a key of brokers; name servers don't look at it.",
    "Known, but without effect in rmq yet: tls.server.mode=permissive.",
  ]);
});
