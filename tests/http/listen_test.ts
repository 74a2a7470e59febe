// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { httpApp } from "../../src/http/app.ts";
import { listenHttp } from "../../src/http/listen.ts";

test("listenHttp() serves on the port it was given until it is stopped", async () => {
  const app = httpApp({ nameServers: (localHost) => [`${localHost}:9876`] });
  const listener = await listenHttp(app, "127.0.0.1", 0);
  const url = `http://127.0.0.1:${listener.port}/rocketmq/nsaddr`;
  const response = await fetch(url);
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain/);
  assert.equal(await response.text(), "127.0.0.1:9876");
  await listener.stop();
  await assert.rejects(fetch(url));
});

test("listenHttp() rejects when the port is taken", async () => {
  const first = await listenHttp(httpApp({}), "127.0.0.1", 0);
  await assert.rejects(listenHttp(httpApp({}), "127.0.0.1", first.port), { code: "EADDRINUSE" });
  await first.stop();
});
