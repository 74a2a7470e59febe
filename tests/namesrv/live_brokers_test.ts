// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveBrokers } from "../../src/namesrv/live_brokers.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { MemoryConnection } from "../harness/memory_connection.ts";

const TIMEOUT_MS = 120_000;

function setUp() {
  const clock = new ManualClock();
  const gone: string[] = [];
  const live = new LiveBrokers(
    clock,
    (broker) => gone.push([broker.address, ...broker.brokerNames].join(" ")),
  );
  function put(address: string, connection: MemoryConnection, brokerName = "a", timeoutMs = TIMEOUT_MS) {
    const broker = {
      cluster: "C",
      address,
      dataVersion: undefined,
      haServerAddr: undefined,
      timeoutMs,
      connection,
    };
    live.put(broker, brokerName);
  }
  return { clock, gone, live, put };
}

test("a broker is given up after its time without a sign of life, and its connection closed", () => {
  const { clock, gone, live, put } = setUp();
  const connection = new MemoryConnection();
  put("h:1", connection);
  clock.advance(TIMEOUT_MS);
  live.expire();
  assert.deepEqual(gone, []);
  clock.advance(1);
  live.expire();
  assert.deepEqual(gone, ["h:1 a"]);
  assert.equal(connection.closed, true);
  assert.equal(live.get("C", "h:1"), undefined);
});

test("each broker has a time of its own", () => {
  const { clock, gone, live, put } = setUp();
  put("h:1", new MemoryConnection());
  put("h:2", new MemoryConnection(), "b", 10_000);
  clock.advance(10_001);
  live.expire();
  assert.deepEqual(gone, ["h:2 b"]);
});

test("touch() is a sign of life, and makes nobody known", () => {
  const { clock, gone, live, put } = setUp();
  put("h:1", new MemoryConnection());
  clock.advance(TIMEOUT_MS);
  live.touch("C", "h:1");
  live.touch("C", "h:2");
  clock.advance(TIMEOUT_MS);
  live.expire();
  assert.deepEqual(gone, []);
  assert.equal(live.get("C", "h:2"), undefined);
});

test("the end of its connection gives a broker up at once", () => {
  const { gone, put } = setUp();
  const connection = new MemoryConnection();
  put("h:1", connection);
  put("h:1", connection);
  connection.close();
  assert.deepEqual(gone, ["h:1 a"]);
});

test("all brokers that share a connection go with it", () => {
  const { gone, put } = setUp();
  const connection = new MemoryConnection();
  put("h:1", connection);
  put("h:2", connection, "b");
  connection.close();
  assert.deepEqual(gone, ["h:1 a", "h:2 b"]);
});

test("the end of a connection that was replaced means nothing", () => {
  const { gone, live, put } = setUp();
  const first = new MemoryConnection();
  put("h:1", first);
  put("h:1", new MemoryConnection());
  first.close();
  assert.deepEqual(gone, []);
  assert.ok(live.get("C", "h:1"));
});

test("a silent broker's connection stays open while another broker uses it", () => {
  const { clock, gone, live, put } = setUp();
  const connection = new MemoryConnection();
  put("h:1", connection, "a", 10_000);
  put("h:2", connection, "b");
  clock.advance(10_001);
  live.expire();
  assert.deepEqual(gone, ["h:1 a"]);
  assert.equal(connection.closed, false);
});

test("a broker whose connection had ended before it was put is given up at once", () => {
  const { gone, live, put } = setUp();
  const connection = new MemoryConnection();
  connection.close();
  put("h:1", connection);
  assert.deepEqual(gone, ["h:1 a"]);
  assert.equal(live.get("C", "h:1"), undefined);
});

test("who was removed is not given up later, but by its last name only", () => {
  const { clock, gone, live, put } = setUp();
  const connection = new MemoryConnection();
  put("h:1", connection, "a");
  put("h:1", connection, "b");
  live.remove("C", "h:1", "a");
  assert.deepEqual([...live.get("C", "h:1")!.brokerNames], ["b"]);
  live.remove("C", "h:1", "b");
  live.remove("C", "h:1", "b");
  assert.equal(live.get("C", "h:1"), undefined);
  connection.close();
  clock.advance(TIMEOUT_MS + 1);
  live.expire();
  assert.deepEqual(gone, []);
});

test("an address means another broker in another cluster", () => {
  const { live, put } = setUp();
  put("h:1", new MemoryConnection());
  assert.equal(live.get("D", "h:1"), undefined);
});

test("clear() forgets without giving up", () => {
  const { gone, live, put } = setUp();
  const connection = new MemoryConnection();
  put("h:1", connection);
  live.clear();
  connection.close();
  assert.deepEqual(gone, []);
  assert.equal(live.get("C", "h:1"), undefined);
});
