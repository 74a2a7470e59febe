// SPDX-License-Identifier: Apache-2.0
/** What Prometheus sees of a broker, read by a parser of its format that is not ours. */
import assert from "node:assert/strict";
import { test } from "node:test";
import parsePrometheus from "parse-prometheus-text-format";
import { AdminApi, Consumer, Producer } from "../../../src/client/mod.ts";
import { startTestCluster, type TestCluster } from "../../harness/cluster.ts";
import { until } from "../../harness/until.ts";

interface Metric {
  name: string;
  type: string;
  metrics: { value?: string; labels?: Record<string, string> }[];
}

const PAIRS = ["metricsExporterType=PROM", "metricsPromExporterPort=0", "metricsLabel=team:orders"];

/** Samples of a histogram, by what follows its name; the parser keeps no labels of them. */
async function histogram(cluster: TestCluster, name: string, label: string): Promise<Map<string, string>> {
  const response = await fetch(`http://127.0.0.1:${cluster.broker.metricsPort}/metrics`);
  const lines = (await response.text()).split("\n").filter((line) =>
    line.startsWith(name) && line.includes(label)
  );
  return new Map(lines.map((line) => {
    const [, suffix, bound, value] = /^\w+_(bucket|sum|count)\{(?:.*le="([^"]*)")?.*\} (\S+)$/.exec(line)!;
    return [bound ?? suffix, value];
  }));
}

async function page(cluster: TestCluster, path = "/metrics"): Promise<Map<string, Metric>> {
  const response = await fetch(`http://127.0.0.1:${cluster.broker.metricsPort}${path}`);
  assert.match(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  const metrics = parsePrometheus(await response.text()) as Metric[];
  return new Map(metrics.map((metric) => [metric.name, metric]));
}

function sample(metrics: Map<string, Metric>, name: string, labels: Record<string, string> = {}) {
  const found =
    metrics.get(name)?.metrics.filter((one) =>
      Object.entries(labels).every(([key, value]) => one.labels?.[key] === value)
    ) ?? [];
  assert.equal(found.length, 1, `${found.length} samples of ${name} ${JSON.stringify(labels)}`);
  return found[0];
}

test("messages in and out, lag, connections, requests and the store are told as Apache tells them", async () => {
  const cluster = await startTestCluster(...PAIRS);
  const nameServers = cluster.nameServer.address;
  const producer = new Producer({ nameServers, group: "senders" });
  let consumer: Consumer | undefined;
  try {
    const admin = new AdminApi(cluster.broker.address);
    await admin.createTopic("Orders", 1);
    admin.close();
    for (let n = 0; n < 10; n++) await producer.send({ topic: "Orders", body: "x".repeat(2000) });
    await producer.send({ topic: "Orders", body: "ordered", properties: { __SHARDINGKEY: "a" } });
    await producer.send({ topic: "Orders", body: "late", delayLevel: 18 });
    let seen = 0;
    const onMessages = (messages: unknown[]) => void (seen += messages.length);
    const subscriptions = { Orders: "*" };
    consumer = new Consumer({ nameServers, group: "readers", subscriptions, from: "first", onMessages });
    await consumer.start();
    await until(() => seen === 11);

    const metrics = await page(cluster);
    const common = { cluster: "DefaultCluster", node_type: "broker", node_id: "broker-a", team: "orders" };
    assert.equal(sample(metrics, "rocketmq_broker_permission", common).value, "6");
    const ofTopic = (message_type: string) => ({ topic: "Orders", message_type, is_system: "false" });
    assert.equal(metrics.get("rocketmq_messages_in_total")!.type, "COUNTER");
    assert.equal(sample(metrics, "rocketmq_messages_in_total", ofTopic("normal")).value, "10");
    assert.equal(sample(metrics, "rocketmq_messages_in_total", ofTopic("fifo")).value, "1");
    assert.equal(sample(metrics, "rocketmq_messages_in_total", ofTopic("delay")).value, "1");
    assert.equal(metrics.get("rocketmq_message_size")!.type, "HISTOGRAM");
    const sizes = await histogram(cluster, "rocketmq_message_size", 'topic="Orders"');
    assert.deepEqual(["1024", "4096", "+Inf", "count"].map((key) => sizes.get(key)), ["2", "12", "12", "12"]);
    const group = { topic: "Orders", consumer_group: "readers" };
    assert.equal(sample(metrics, "rocketmq_messages_out_total", group).value, "11");
    assert.ok(Number(sample(metrics, "rocketmq_throughput_out_total", group).value) > 20_000);
    const lag = Number(sample(metrics, "rocketmq_consumer_lag_messages", group).value);
    const inFlight = Number(sample(metrics, "rocketmq_consumer_inflight_messages", group).value);
    assert.equal(sample(metrics, "rocketmq_consumer_ready_messages", group).value, "0");
    assert.equal(lag, inFlight);
    assert.equal(sample(metrics, "rocketmq_consumer_connections", { consumer_group: "readers" }).value, "1");
    const sends = 'request_code="send_message_v2",response_code="success"';
    assert.equal((await histogram(cluster, "rocketmq_rpc_latency_milliseconds", sends)).get("count"), "12");
    assert.equal(sample(metrics, "rocketmq_half_messages").value, "0");
    await producer.sendInTransaction({ topic: "Orders", body: "undecided" }, () => "UNKNOWN");
    assert.equal(sample(await page(cluster), "rocketmq_half_messages").value, "1");
    assert.ok(
      Number(sample(metrics, "rocketmq_storage_size_bytes", { storage_medium: "disk" }).value) > 20_000,
    );

    await consumer.stop();
    consumer = undefined;
    for (let n = 0; n < 3; n++) await producer.send({ topic: "Orders", body: "x" });
    assert.equal(metrics.size, (await page(cluster, "/")).size);
  } finally {
    await consumer?.stop();
    producer.stop();
    await cluster.stop();
  }
});

test("the port answers health checks, and nothing else", async () => {
  const cluster = await startTestCluster(...PAIRS);
  try {
    const statuses: Record<string, number> = {};
    for (const path of ["/healthz", "/readyz", "/-/healthy", "/health", "/elsewhere"]) {
      const response = await fetch(`http://127.0.0.1:${cluster.broker.metricsPort}${path}`);
      await response.text();
      statuses[path] = response.status;
    }
    assert.deepEqual(statuses, {
      "/healthz": 200,
      "/readyz": 200,
      "/-/healthy": 200,
      "/health": 200,
      "/elsewhere": 404,
    });
  } finally {
    await cluster.stop();
  }
});

test("without the key there is no port", async () => {
  const cluster = await startTestCluster();
  assert.equal(cluster.broker.metricsPort, undefined);
  await cluster.stop();
});
