// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, describe, test } from "node:test";
import { RemotingClient, type RemotingClientOptions } from "../../src/remoting/client.ts";
import type { Connection } from "../../src/remoting/connection.ts";
import { Dispatch } from "../../src/remoting/dispatch.ts";
import { RemotingIoError } from "../../src/remoting/remoting_error.ts";
import { type Handler, LATER, type Request } from "../../src/remoting/request.ts";
import { RemotingServer } from "../../src/remoting/server.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { until } from "../harness/until.ts";

const TIMEOUT_MS = 10_000;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(
  handlers: Record<number, Handler>,
): Promise<{ server: RemotingServer; address: string }> {
  const table = new Map(Object.entries(handlers).map(([code, handler]) => [Number(code), handler]));
  const server = await RemotingServer.listen({ host: "127.0.0.1", port: 0, dispatch: new Dispatch(table) });
  cleanups.push(() => server.close());
  return { server, address: `127.0.0.1:${server.port}` };
}

function makeClient(options?: RemotingClientOptions): RemotingClient {
  const client = new RemotingClient(options);
  cleanups.push(() => client.close());
  return client;
}

/** A listener that does with sockets what the test says. */
async function rawServer(onSocket: (socket: Socket) => void): Promise<{ server: Server; address: string }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return { server, address: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe("RemotingClient", () => {
  test("sends code, fields and body, and resolves with the answer whatever its code", async () => {
    const { address } = await serve({
      10: (request) => ({
        code: 17,
        remark: "kein Thema: ü\u0001",
        fields: request.fields!,
        body: [request.body!, request.body!],
      }),
    });
    const body = new TextEncoder().encode("body");
    const answer = await makeClient().request(
      address,
      { code: 10, fields: { a: 'q"\u0002', b: "" }, body },
      TIMEOUT_MS,
    );
    assert.equal(answer.code, 17);
    assert.equal(answer.remark, "kein Thema: ü\u0001");
    assert.deepEqual({ ...answer.fields }, { a: 'q"\u0002', b: "" });
    assert.equal(new TextDecoder().decode(answer.body!), "bodybody");
  });

  test("keeps one connection per address, shared by calls that come while it is made", async () => {
    const { server, address } = await serve({ 10: () => ({ code: 0 }) });
    const client = makeClient();
    await Promise.all([1, 2, 3].map(() => client.request(address, { code: 10 }, TIMEOUT_MS)));
    await client.request(address, { code: 10 }, TIMEOUT_MS);
    assert.equal(server.connections.size, 1);
  });

  test("resolves host names", async () => {
    const { server } = await serve({ 10: () => ({ code: 0 }) });
    assert.equal((await makeClient().request(`localhost:${server.port}`, { code: 10 }, TIMEOUT_MS)).code, 0);
  });

  test("opens a new connection after the old one was closed by the peer", async () => {
    const { server, address } = await serve({ 10: () => ({ code: 0 }) });
    const client = makeClient();
    const first = await client.connection(address);
    for (const connection of server.connections) connection.close();
    await until(() => first.closed);
    assert.equal((await client.request(address, { code: 10 }, TIMEOUT_MS)).code, 0);
    assert.notEqual(await client.connection(address), first);
  });

  test("rejects with RemotingIoError when nobody listens, and tries anew at the next call", async () => {
    const { server, address } = await serve({});
    const { port } = server;
    await server.close();
    const client = makeClient();
    await assert.rejects(client.request(address, { code: 10 }, TIMEOUT_MS), RemotingIoError);
    await assert.rejects(client.notify(address, { code: 10 }), RemotingIoError);
    const again = await RemotingServer.listen({ host: "127.0.0.1", port, dispatch: new Dispatch() });
    cleanups.push(() => again.close());
    assert.equal((await client.request(address, { code: 10 }, TIMEOUT_MS)).code, 3);
  });

  test("rejects addresses that are none", async () => {
    for (const address of ["", "nowhere", "127.0.0.1:x"]) {
      await assert.rejects(makeClient().request(address, { code: 10 }, TIMEOUT_MS), RemotingIoError);
    }
  });

  test("rejects what is under way when the peer closes", async () => {
    const { address } = await rawServer((socket) => socket.once("data", () => socket.destroy()));
    await assert.rejects(makeClient().request(address, { code: 10 }, TIMEOUT_MS), RemotingIoError);
  });

  test("rejects what is under way when the client is closed, and all later calls", async () => {
    const { address } = await serve({ 10: () => LATER });
    const client = makeClient();
    await client.connection(address);
    const rejected = assert.rejects(client.request(address, { code: 10 }, TIMEOUT_MS), RemotingIoError);
    client.close();
    await rejected;
    await assert.rejects(client.request(address, { code: 10 }, TIMEOUT_MS), RemotingIoError);
  });

  test("rejects after the timeout and keeps a connection on which other answers came", async () => {
    const clock = new ManualClock();
    const { address } = await serve({ 10: () => LATER, 11: () => ({ code: 0 }) });
    const client = makeClient({ clock });
    const connection = await client.connection(address);
    const rejected = assert.rejects(client.request(address, { code: 10 }, 3000), /within 3000 ms/);
    await client.request(address, { code: 11 }, 60_000);
    clock.advance(3000);
    await rejected;
    assert.equal(connection.closed, false);
  });

  test("closes a connection on which nothing came until a call timed out", async () => {
    const clock = new ManualClock();
    const { address } = await serve({ 10: () => LATER });
    const client = makeClient({ clock });
    const connection = await client.connection(address);
    const rejected = assert.rejects(client.request(address, { code: 10 }, 3000), RemotingIoError);
    clock.advance(3000);
    await rejected;
    assert.equal(connection.closed, true);
  });

  test("hands requests of the peer to its dispatch and answers them", async () => {
    const peers: Connection[] = [];
    const { address } = await serve({
      34: (request) => {
        peers.push(request.connection);
        return { code: 0 };
      },
    });
    const told: Request[] = [];
    const dispatch = new Dispatch(
      new Map<number, Handler>([
        [40, (request) => {
          told.push(request);
          return { code: 0 };
        }],
        [307, (request) => ({ code: 0, body: request.body! })],
      ]),
    );
    await makeClient({ dispatch }).request(address, { code: 34 }, TIMEOUT_MS);
    const [peer] = peers;
    peer.notify({ code: 40, fields: { consumerGroup: "g" } });
    const answer = await peer.request({ code: 307, body: Uint8Array.of(1, 2) }, TIMEOUT_MS);
    assert.deepEqual([...answer.body!], [1, 2]);
    assert.equal((await peer.request({ code: 999 }, TIMEOUT_MS)).code, 3);
    assert.deepEqual(told.map((request) => [request.isOneway, request.fields?.consumerGroup]), [[true, "g"]]);
  });

  test("notify() is one-way", async () => {
    const seen: Request[] = [];
    const { address } = await serve({
      10: (request) => {
        seen.push(request);
        return { code: 0 };
      },
      11: () => ({ code: 0 }),
    });
    const client = makeClient();
    await client.notify(address, { code: 10 });
    await client.request(address, { code: 11 }, TIMEOUT_MS);
    assert.deepEqual(seen.map((request) => request.isOneway), [true]);
  });

  test("gives up connecting after the connect timeout", async () => {
    const clock = new ManualClock();
    const { address } = await serve({});
    const client = makeClient({ clock, connectTimeoutMs: 1000 });
    const made = client.connection(address);
    // Time flies before the event loop turns, so the connection can't have come about.
    clock.advance(1000);
    await assert.rejects(made, RemotingIoError);
  });

  test("refuses requests that no frame can hold, and goes on", async () => {
    const { address } = await serve({ 10: () => ({ code: 0 }) });
    const client = makeClient();
    await assert.rejects(
      client.request(address, { code: 10, body: new Uint8Array(16_777_216) }, TIMEOUT_MS),
      /frame/,
    );
    assert.equal((await client.request(address, { code: 10 }, TIMEOUT_MS)).code, 0);
  });
});
