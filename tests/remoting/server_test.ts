// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, describe, test } from "node:test";
import { Dispatch } from "../../src/remoting/dispatch.ts";
import { RemotingIoError } from "../../src/remoting/remoting_error.ts";
import { type Handler, LATER, type Request } from "../../src/remoting/request.ts";
import { RemotingServer, type RemotingServerOptions } from "../../src/remoting/server.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { RawPeer, requestFrame } from "./raw_peer.ts";
import { settled, until } from "../harness/until.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(
  handlers: Record<number, Handler>,
  options: Partial<RemotingServerOptions> = {},
): Promise<RemotingServer> {
  const table = new Map(Object.entries(handlers).map(([code, handler]) => [Number(code), handler]));
  const dispatch = new Dispatch(table);
  const server = await RemotingServer.listen({ host: "127.0.0.1", port: 0, dispatch, ...options });
  cleanups.push(() => server.close());
  return server;
}

async function makePeer(server: RemotingServer): Promise<RawPeer> {
  const peer = await RawPeer.connect(server.port);
  cleanups.push(() => peer.socket.destroy());
  return peer;
}

const opaques = (peer: RawPeer) => peer.received.map((command) => command.opaque);
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

describe("RemotingServer", () => {
  test("answers pipelined requests in order, whatever pieces they come in", async () => {
    const server = await serve({
      10: (request) => ({ code: 0, fields: request.fields!, body: request.body! }),
    });
    const peer = await makePeer(server);
    const body = Buffer.alloc(300, 7);
    const stream = Buffer.concat(
      range(200).map((opaque) => requestFrame({ code: 10, opaque, fields: { n: String(opaque) }, body })),
    );
    for (let at = 0; at < stream.length; at += 1777) {
      peer.write(stream.subarray(at, at + 1777));
      if (at % 5 === 0) await nextTurn();
    }
    const answers = await peer.answers(200);
    assert.deepEqual(opaques(peer), range(200));
    assert.deepEqual(answers.map((answer) => answer.fields!.n), range(200).map(String));
    assert.ok(answers.every((answer) => answer.flag === 1 && body.equals(answer.body!)));
  });

  test("sends answers in the order in which handlers finish", async () => {
    const held: Request[] = [];
    const server = await serve({
      11: (request) => {
        held.push(request);
        return LATER;
      },
      12: () => Promise.resolve({ code: 0 }),
    });
    const peer = await makePeer(server);
    peer.send({ code: 11, opaque: 1 }, { code: 11, opaque: 2 }, { code: 12, opaque: 3 });
    await peer.answers(1);
    held[1].respond({ code: 0 });
    await peer.answers(2);
    held[0].respond({ code: 0 });
    await peer.answers(3);
    assert.deepEqual(opaques(peer), [3, 2, 1]);
  });

  test("handles thousands of one-way requests in order, drops none and answers none", async () => {
    const seen: number[] = [];
    const server = await serve({
      10: (request) => {
        seen.push(Number(request.fields!.n));
        return { code: 0 };
      },
      11: () => ({ code: 0 }),
    });
    const peer = await makePeer(server);
    const body = Buffer.alloc(500);
    for (const n of range(20_000)) peer.send({ code: 10, oneway: true, fields: { n: String(n) }, body });
    peer.send({ code: 11, opaque: 7 });
    await peer.answers(1);
    assert.deepEqual(seen, range(20_000));
    assert.deepEqual(opaques(peer), [7]);
  });

  test("stops reading while too many requests are under way, and goes on when half are answered", async () => {
    const held: Request[] = [];
    const handler: Handler = (request) => {
      held.push(request);
      return LATER;
    };
    const server = await serve({ 10: handler }, { limits: { underWayRequests: 100 } });
    const peer = await makePeer(server);
    peer.send(...range(1000).map((opaque) => ({ code: 10, opaque, oneway: opaque % 2 === 1 })));
    await until(() => held.length === 100);
    await nextTurn();
    assert.equal(held.length, 100);
    for (const request of held.slice(0, 49)) request.respond({ code: 0 });
    await nextTurn();
    assert.equal(held.length, 100);
    held[49].respond({ code: 0 });
    await until(() => held.length === 150);
    for (let i = 50; i < 1000; i++) {
      await until(() => held.length > i);
      held[i].respond({ code: 0 });
    }
    await peer.answers(500);
    assert.deepEqual(held.map((request) => request.command.opaque), range(1000));
    assert.deepEqual(opaques(peer), range(1000).filter((opaque) => opaque % 2 === 0));
  });

  test("does not count requests that were released", async () => {
    let held = 0;
    const handler: Handler = (request) => {
      request.release();
      held++;
      return LATER;
    };
    const server = await serve({ 11: handler }, { limits: { underWayRequests: 10 } });
    const peer = await makePeer(server);
    peer.send(...range(500).map((opaque) => ({ code: 11, opaque })));
    await until(() => held === 500);
  });

  test("stops reading while the bodies of unanswered requests are too large", async () => {
    const held: Request[] = [];
    const handler: Handler = (request) => {
      held.push(request);
      return LATER;
    };
    const server = await serve({ 10: handler }, { limits: { underWayBodyBytes: 1_000_000 } });
    const peer = await makePeer(server);
    const body = Buffer.alloc(100_000, 1);
    for (const opaque of range(30)) peer.send({ code: 10, opaque, body });
    await until(() => held.length === 10);
    await nextTurn();
    assert.equal(held.length, 10);
    for (let i = 0; i < 30; i++) {
      await until(() => held.length > i);
      held[i].respond({ code: 0 });
    }
    await peer.answers(30);
    assert.deepEqual(opaques(peer), range(30));
  });

  test("does not serve a peer that does not read, with bounded memory, and goes on when it does", async () => {
    const body = Buffer.alloc(200_000, 1);
    let served = 0;
    const server = await serve({
      11: () => {
        served++;
        return { code: 0, body };
      },
    }, { limits: { unsentPauseBytes: 1_000_000 } });
    const peer = await makePeer(server);
    peer.socket.pause();
    peer.send(...range(500).map((opaque) => ({ code: 11, opaque })));
    // The kernel's buffers take some megabytes of the 100; then it stands still.
    await until(() => served >= 5);
    await settled(() => served);
    assert.ok(served < 250, `${served} requests were served`);
    const [connection] = server.connections;
    assert.ok(connection.unsentBytes < 1_300_000, `${connection.unsentBytes} bytes wait`);
    peer.socket.resume();
    await peer.answers(500);
    assert.deepEqual(opaques(peer), range(500));
  });

  test("closes a peer that does not read when answers pile up beyond the limit", async () => {
    const held: Request[] = [];
    const server = await serve({
      11: (request) => {
        request.release();
        held.push(request);
        return LATER;
      },
    }, { limits: { unsentMaxBytes: 20_000_000 } });
    const peer = await makePeer(server);
    peer.socket.pause();
    peer.send(...range(300).map((opaque) => ({ code: 11, opaque })));
    await until(() => held.length === 300);
    const body = Buffer.alloc(200_000, 1);
    for (const request of held) request.respond({ code: 0, body });
    await until(() => server.connections.size === 0);
    peer.socket.resume();
    await until(() => peer.closed);
    assert.ok(peer.received.length < 300);
  });

  const garbage: [string, Uint8Array][] = [
    ["a huge length", Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 2, 0x7b, 0x7d)],
    ["a negative length", Uint8Array.of(0xff, 0xff, 0xff, 0xff)],
    ["a TLS hello", Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01)],
    ["the PROXY protocol", Buffer.from("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n")],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
    ["a header that is no JSON", Buffer.concat([Uint8Array.of(0, 0, 0, 7, 0, 0, 0, 3), Buffer.from("{;}")])],
    ["a header longer than the frame", Uint8Array.of(0, 0, 0, 6, 0, 0, 1, 0, 0x7b, 0x7d)],
  ];
  for (const [name, bytes] of garbage) {
    test(`closes on ${name}, after what was answered before, and serves others`, async () => {
      const server = await serve({ 10: () => ({ code: 0 }) });
      const peer = await makePeer(server);
      const other = await makePeer(server);
      peer.write(
        Buffer.concat([requestFrame({ code: 10, opaque: 1 }), bytes, requestFrame({ code: 10, opaque: 2 })]),
      );
      await until(() => peer.closed);
      assert.deepEqual(opaques(peer), [1]);
      other.send({ code: 10, opaque: 3 });
      await other.answers(1);
      assert.equal(server.connections.size, 1);
    });
  }

  test("answers a peer that ended its side right after its requests, then closes", async () => {
    const server = await serve({ 10: () => ({ code: 0, body: Buffer.alloc(100_000) }) });
    const peer = await makePeer(server);
    const frames = range(20).map((opaque) => requestFrame({ code: 10, opaque }));
    peer.socket.end(Buffer.concat(frames));
    await until(() => peer.closed);
    assert.deepEqual(opaques(peer), range(20));
    assert.equal(server.connections.size, 0);
  });

  test("forgets a peer that leaves in the middle of a frame", async () => {
    let handled = 0;
    const server = await serve({
      10: () => {
        handled++;
        return { code: 0 };
      },
    });
    const peer = await makePeer(server);
    const frame = requestFrame({ code: 10, body: Buffer.alloc(1000) });
    peer.write(Buffer.concat([frame, frame.subarray(0, 500)]));
    await peer.answers(1);
    peer.socket.end();
    await until(() => server.connections.size === 0);
    assert.equal(handled, 1);
  });

  test("survives peers that connect and reset at once", async () => {
    const server = await serve({ 10: () => ({ code: 0 }) });
    for (const _ of range(20)) {
      const socket = connect({ host: "127.0.0.1", port: server.port });
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.write(requestFrame({ code: 10 }));
      socket.resetAndDestroy();
    }
    const peer = await makePeer(server);
    peer.send({ code: 10, opaque: 9 });
    await peer.answers(1);
    await until(() => server.connections.size === 1);
  });

  test("tells handlers and listeners of the peer's address and of its leaving", async () => {
    const requests: Request[] = [];
    const server = await serve({
      34: (request) => {
        requests.push(request);
        return { code: 0 };
      },
    });
    const peer = await makePeer(server);
    peer.send({ code: 34 });
    await peer.answers(1);
    const { connection } = requests[0];
    assert.equal(connection.remote.host, "127.0.0.1");
    assert.equal(connection.remote.port, peer.socket.localPort);
    assert.deepEqual([...connection.remote.ip], [127, 0, 0, 1]);
    assert.equal(connection.local.port, server.port);
    let told = 0;
    connection.onClose(() => told++);
    const pending = assert.rejects(connection.request({ code: 307 }, 60_000), RemotingIoError);
    peer.socket.destroy();
    await pending;
    assert.deepEqual([connection.closed, told], [true, 1]);
    connection.onClose(() => told++);
    assert.equal(told, 2);
    connection.notify({ code: 40 });
    await assert.rejects(connection.request({ code: 307 }, 60_000), RemotingIoError);
  });

  test("gives peers that come over IPv6 as IPv4 where the address is mapped", async () => {
    const requests: Request[] = [];
    const handler: Handler = (request) => {
      requests.push(request);
      return { code: 0 };
    };
    const server = await serve({ 34: handler }, { host: "::" });
    const peer = await makePeer(server);
    peer.send({ code: 34 });
    await peer.answers(1);
    assert.equal(requests[0].connection.remote.host, "127.0.0.1");
    assert.equal(requests[0].connection.local.ip.length, 4);
  });

  test("closes connections that are idle, and only those", async () => {
    const clock = new ManualClock();
    const server = await serve({ 10: () => ({ code: 0 }) }, { clock, idleTimeoutMs: 120_000 });
    const idle = await makePeer(server);
    const busy = await makePeer(server);
    await until(() => server.connections.size === 2);
    for (const minute of range(3)) {
      clock.advance(60_000);
      busy.send({ code: 10 });
      await busy.answers(minute + 1);
    }
    await until(() => idle.closed);
    assert.equal(busy.closed, false);
    clock.advance(60_000);
    await nextTurn();
    assert.equal(busy.closed, false);
    clock.advance(120_000);
    await until(() => busy.closed);
  });

  test("close() sends what was answered, closes all connections and gives the port back", async () => {
    const server = await serve({ 10: () => ({ code: 0, body: Buffer.alloc(500_000) }) });
    const peer = await makePeer(server);
    const quiet = await makePeer(server);
    peer.send({ code: 10, opaque: 1 }, { code: 10, opaque: 2 });
    await until(() => server.connections.size === 2);
    await peer.answers(1);
    const { port } = server;
    await Promise.all([server.close(), server.close()]);
    await until(() => peer.closed && quiet.closed);
    assert.deepEqual(opaques(peer), [1, 2]);
    const next = await RemotingServer.listen({ host: "127.0.0.1", port, dispatch: new Dispatch() });
    await next.close();
  });

  test("close() does not wait for ever for a peer that does not read", async () => {
    const clock = new ManualClock();
    const server = await serve({ 10: () => ({ code: 0, body: Buffer.alloc(8_000_000) }) }, { clock });
    const peer = await makePeer(server);
    peer.socket.pause();
    peer.send({ code: 10 }, { code: 10 });
    await until(() => (server.connections.values().next().value?.unsentBytes ?? 0) > 0);
    const closed = server.close();
    await nextTurn();
    clock.advance(5000);
    await closed;
  });

  test("refuses connections beyond the limit and accepts again when others left", async () => {
    const server = await serve({ 10: () => ({ code: 0 }) }, { maxConnections: 2 });
    const [first, second] = [await makePeer(server), await makePeer(server)];
    await until(() => server.connections.size === 2);
    const third = await makePeer(server);
    await until(() => third.closed);
    first.socket.destroy();
    await until(() => server.connections.size === 1);
    const fourth = await makePeer(server);
    for (const peer of [second, fourth]) {
      peer.send({ code: 10 });
      await peer.answers(1);
      assert.equal(peer.received.length, 1);
    }
  });

  test("listen() rejects when the port is taken", async () => {
    const server = await serve({});
    const again = RemotingServer.listen({ host: "127.0.0.1", port: server.port, dispatch: new Dispatch() });
    await assert.rejects(again, { code: "EADDRINUSE" });
  });

  test("leaves no timers behind", async () => {
    const clock = new ManualClock();
    const server = await serve({ 10: () => ({ code: 0 }) }, { clock });
    const peer = await makePeer(server);
    peer.send({ code: 10 });
    await peer.answers(1);
    await server.close();
    await until(() => clock.timerCount === 0);
  });

  test("serves a VIP port with fewer codes by a second server", async () => {
    const dispatch = new Dispatch(
      new Map<number, Handler>([[10, () => ({ code: 0 })], [11, () => ({ code: 0 })]]),
    );
    const main = await RemotingServer.listen({ host: "127.0.0.1", port: 0, dispatch });
    const vip = await RemotingServer.listen({ host: "127.0.0.1", port: 0, dispatch: dispatch.without(11) });
    cleanups.push(() => main.close(), () => vip.close());
    const peer = await makePeer(vip);
    peer.send({ code: 10, opaque: 1 }, { code: 11, opaque: 2 });
    const answers = await peer.answers(2);
    assert.deepEqual(answers.map((answer) => answer.code), [0, 3]);
  });
});
