// SPDX-License-Identifier: Apache-2.0
/** What is in conf/ for machines and clusters is well-formed, and speaks of keys, metrics and paths that there are. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { brokerKeys, loadBrokerConfiguration } from "../../src/config/broker_config.ts";
import { sourceOfPairs } from "../../src/config/sources.ts";
import { startTestCluster } from "../harness/cluster.ts";

const CONF = join(dirname(fileURLToPath(import.meta.url)), "../../conf");
const read = (path: string) => readFileSync(join(CONF, path), "utf8");

// deno-lint-ignore no-explicit-any
function yaml(path: string): any[] {
  return parseAllDocuments(read(path), { merge: true }).map((document) => {
    assert.deepEqual(document.errors, [], path);
    return document.toJS();
  });
}

/** Options of a `rmq broker` command line: the file, and the pairs. */
function brokerOptions(args: readonly string[]): { file: string; pairs: string[] } {
  assert.equal(args[0], "broker");
  const file = args[args.indexOf("-c") + 1];
  const pairs = args.flatMap((arg, at) => args[at - 1] === "--set" ? [arg] : []);
  for (const pair of pairs) assert.ok(Object.hasOwn(brokerKeys, pair.split("=")[0]), pair);
  return { file, pairs };
}

/** Names of metrics in an expression. */
const metricsIn = (expression: string) => expression.match(/\b(rocketmq|rmq)_[a-z_]+/g) ?? [];

test("dashboards and alerts ask for metrics that brokers show", async () => {
  const cluster = await startTestCluster("metricsExporterType=PROM", "metricsPromExporterPort=0");
  let text: string;
  try {
    text = await (await fetch(`http://127.0.0.1:${cluster.broker.metricsPort}/metrics`)).text();
  } finally {
    await cluster.stop();
  }
  const names = new Set(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name, type]) =>
      type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
    ),
  );
  const dashboard = JSON.parse(read("grafana/rmq.json"));
  // deno-lint-ignore no-explicit-any
  const panels = dashboard.panels.flatMap((panel: any) => panel.targets.map((target: any) => target.expr));
  // deno-lint-ignore no-explicit-any
  const variables = dashboard.templating.list.map((variable: any) => variable.query.query ?? "");
  const [{ groups }] = yaml("prometheus/rmq-alerts.yml");
  // deno-lint-ignore no-explicit-any
  const alerts = groups[0].rules.map((rule: any) => rule.expr);
  const asked = new Set([...panels, ...variables, ...alerts].flatMap(metricsIn));
  assert.ok(asked.size >= 12, [...asked].join());
  assert.deepEqual([...asked].filter((name) => !names.has(name)), []);
});

test("every alert says how bad it is, what has happened and what to do", () => {
  const [{ groups }] = yaml("prometheus/rmq-alerts.yml");
  for (const { alert, expr, labels, annotations } of groups[0].rules) {
    assert.ok(expr && ["warning", "critical"].includes(labels.severity), alert);
    assert.ok(annotations.summary && annotations.description.length > 40, alert);
  }
});

test("docker compose starts brokers with files and keys that there are", () => {
  const [{ services, volumes }] = yaml("docker/docker-compose.yml");
  const brokers = Object.entries<{ command: string[]; volumes?: string[]; image: string }>(services)
    .filter(([, { command }]) => command[0] === "broker");
  assert.equal(brokers.length, 4);
  for (const [name, { command, image, volumes: mounts }] of brokers) {
    assert.equal(image, "rmq");
    const { file, pairs } = brokerOptions(command);
    const path = join(CONF, file.replace(/^\/etc\/rmq\//, ""));
    const { configuration } = loadBrokerConfiguration({
      file: path,
      overriding: [sourceOfPairs("--set", pairs)],
    });
    assert.equal(configuration.settings.advertisedHost, name);
    assert.equal(configuration.settings.storeDirectory, mounts![0].split(":")[1]);
    assert.ok(Object.hasOwn(volumes, mounts![0].split(":")[0]));
  }
});

test("the Kubernetes objects belong together", () => {
  const objects = yaml("kubernetes/rmq.yaml");
  const named = (kind: string, name: string) => {
    return objects.find((object) => object.kind === kind && object.metadata.name === name) ??
      assert.fail(name);
  };
  for (const { spec } of objects.filter(({ kind }) => kind === "StatefulSet")) {
    const service = named("Service", spec.serviceName);
    const { labels } = spec.template.metadata;
    assert.deepEqual(service.spec.selector, labels);
    assert.deepEqual(spec.selector.matchLabels, labels);
    const [{ ports }] = spec.template.spec.containers;
    // deno-lint-ignore no-explicit-any
    assert.deepEqual(
      service.spec.ports.map((port: any) => [port.name, port.port]),
      ports.map((port: any) => [port.name, port.containerPort]),
    );
  }
  const broker = named("StatefulSet", "broker-a").spec.template.spec.containers[0];
  const { file, pairs } = brokerOptions(broker.args);
  assert.deepEqual(pairs, ["brokerIP1=$(POD_IP)", "brokerIP2=$(POD_IP)"]);
  const { data } = named("ConfigMap", "rmq-broker-a");
  for (const ordinal of [0, 1]) {
    const text: string =
      data[file.replace("/etc/rmq/sets/", "").replace("$(POD_NAME)", `broker-a-${ordinal}`)];
    const sources = [sourceOfPairs("file", text.trim().split("\n"))];
    const { configuration } = loadBrokerConfiguration({ overriding: sources });
    assert.equal(configuration.settings.storeDirectory, broker.volumeMounts[0].mountPath);
    assert.deepEqual(configuration.warnings, []);
  }
});

test("systemd units run commands that there are, and are told when they are ready", () => {
  for (const name of readdirSync(join(CONF, "systemd"))) {
    const unit = read(`systemd/${name}`);
    const keys = new Map([...unit.matchAll(/^(\w+)=(.*)$/gm)].map(([, key, value]) => [key, value]));
    assert.match(
      keys.get("ExecStart")!,
      /^\/usr\/local\/bin\/rmq (namesrv|broker) -c \/etc\/rmq\/(namesrv|%i)\.properties$/,
    );
    assert.equal(keys.get("Type"), "notify");
    assert.equal(keys.get("NotifyAccess"), "all", "systemd-notify is a process of its own");
    // The runtime compiles code while it runs.
    assert.equal(keys.get("MemoryDenyWriteExecute"), undefined);
  }
});
