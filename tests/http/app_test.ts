// SPDX-License-Identifier: Apache-2.0
import type { HttpBindings } from "@hono/node-server";
import assert from "node:assert/strict";
import { test } from "node:test";
import { httpApp } from "../../src/http/app.ts";

/** A request that came in at `localAddress`. */
function reachedAt(localAddress: string): HttpBindings {
  return { incoming: { socket: { localAddress } } } as unknown as HttpBindings;
}

test("GET /health answers 200", async () => {
  const response = await httpApp({}).request("/health");
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "OK");
});

test("GET /rocketmq/nsaddr lists the name servers in one line without an end", async () => {
  const app = httpApp({ nameServers: () => ["10.0.0.1:9876", "10.0.0.2:9876"] });
  const response = await app.request("/rocketmq/nsaddr", {}, reachedAt("127.0.0.1"));
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "10.0.0.1:9876;10.0.0.2:9876");
});

test("GET /rocketmq/nsaddr-<unit>?nofix=1 answers clients of a unit the same", async () => {
  const app = httpApp({ nameServers: () => ["10.0.0.1:9876"] });
  const response = await app.request("/rocketmq/nsaddr-unit1?nofix=1", {}, reachedAt("127.0.0.1"));
  assert.equal(await response.text(), "10.0.0.1:9876");
});

test("the view is told at which address the client came in, mapped IPv4 as plain IPv4", async () => {
  const app = httpApp({ nameServers: (localHost) => [`${localHost}:9876`] });
  const plain = await app.request("/rocketmq/nsaddr", {}, reachedAt("10.1.2.3"));
  assert.equal(await plain.text(), "10.1.2.3:9876");
  const mapped = await app.request("/rocketmq/nsaddr", {}, reachedAt("::ffff:10.1.2.3"));
  assert.equal(await mapped.text(), "10.1.2.3:9876");
});

test("other paths, and name servers where there is no view of them, answer 404", async () => {
  const app = httpApp({ nameServers: () => [] });
  assert.equal((await app.request("/rocketmq/nsaddrs", {}, reachedAt("127.0.0.1"))).status, 404);
  assert.equal((await app.request("/", {}, reachedAt("127.0.0.1"))).status, 404);
  assert.equal((await httpApp({}).request("/rocketmq/nsaddr", {}, reachedAt("127.0.0.1"))).status, 404);
});
