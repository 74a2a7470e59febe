// SPDX-License-Identifier: Apache-2.0
/** A SYNC_MASTER and its slave with a bad network between: what is acknowledged is on the slave, and the logs are equal. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Producer, type SendResult } from "../../../src/client/producer.ts";
import { type BrokerSet, newBrokerSet } from "../../harness/broker_set.ts";
import { SeededRandom } from "../../harness/seeded_random.ts";
import { TcpProxy } from "../../harness/tcp_proxy.ts";
import { eventually, until } from "../../harness/until.ts";

/** Generous: a busy machine. */
const TIMEOUT_MS = 60_000;

const QUICK = [
  "haSendHeartbeatInterval=100",
  "haHousekeepingInterval=400",
  "slaveTimeout=300",
];

interface Link {
  readonly set: BrokerSet;
  readonly proxy: TcpProxy;
  readonly producer: Producer;
}

async function withLink(run: (link: Link) => Promise<void>, ...pairs: string[]): Promise<void> {
  const set = await newBrokerSet(...QUICK, ...pairs);
  const proxy = await TcpProxy.listen({ host: "127.0.0.1", port: set.master.port + 1 });
  const producer = new Producer({
    nameServers: set.nameServer.address,
    group: "p",
    retries: 0,
    timeoutMs: 5000,
  });
  try {
    await set.master.start({}, "brokerRole=SYNC_MASTER");
    await set.slave.start({}, `haMasterAddress=${proxy.address}`);
    await eventually(async () => (await producer.send({ topic: "T", body: "first" })).status === "SEND_OK");
    await run({ set, proxy, producer });
    proxy.weather = {};
    await set.caughtUp();
    assertSameLogs(set, await set.slave.logEnd());
  } finally {
    producer.stop();
    await proxy.close();
    await set.stop();
  }
}

function logOf(store: string): Buffer {
  const directory = join(store, "commitlog");
  return Buffer.concat(readdirSync(directory).sort().map((name) => readFileSync(join(directory, name))));
}

/** Byte for byte, up to the slave's end. */
function assertSameLogs({ master, slave }: BrokerSet, end: number): void {
  assert.ok(logOf(master.store).subarray(0, end).equals(logOf(slave.store).subarray(0, end)));
}

/** Sends, and after each SEND_OK looks whether the slave has the message. */
async function sendWatched({ set, producer }: Link, count: number, bodyBytes: number): Promise<SendResult[]> {
  const results: SendResult[] = [];
  for (let sent = 0; sent < count; sent++) {
    const result = await producer.send({ topic: "T", body: "x".repeat(bodyBytes), queueId: 0 });
    results.push(result);
    if (result.status !== "SEND_OK") continue;
    const offset = Number.parseInt(result.offsetMessageId.slice(-16), 16);
    assert.ok(await set.slave.logEnd() > offset, `${offset} was acknowledged`);
  }
  return results;
}

test("connections that break anywhere, also within a frame, cost no acknowledged message", {
  timeout: TIMEOUT_MS,
}, () =>
  withLink(async (link) => {
    const random = new SeededRandom(7);
    const { proxy } = link;
    for (let round = 0; round < 12; round++) {
      proxy.weather = { cutAfterBytes: random.between(1, 9000), pieceBytes: random.between(1, 700) };
      const before = proxy.connectionCount;
      proxy.cut();
      await until(() => proxy.connectionCount > before);
      await sendWatched(link, 4, random.between(1, 3000));
    }
  }));

test(
  "a slow network delays answers, and the slave is not taken for gone",
  { timeout: TIMEOUT_MS },
  () =>
    withLink(async (link) => {
      const before = link.proxy.connectionCount;
      link.proxy.weather = { delayMs: 20 };
      const results = await sendWatched(link, 10, 100);
      assert.deepEqual(new Set(results.map(({ status }) => status)), new Set(["SEND_OK"]));
      assert.equal(link.proxy.connectionCount, before);
    }),
);

test("a connection that is half open is noticed and made again; senders are told until then", {
  timeout: TIMEOUT_MS,
}, () =>
  withLink(async (link) => {
    const { proxy } = link;
    proxy.weather = { isHalfOpen: true };
    const told = await link.producer.send({ topic: "T", body: "unheard" });
    assert.equal(told.status, "FLUSH_SLAVE_TIMEOUT");
    proxy.weather = {};
    await until(() => proxy.connectionCount > 1);
    await eventually(async () =>
      (await link.producer.send({ topic: "T", body: "again" })).status === "SEND_OK"
    );
  }));

test("a slave that takes bytes slowly falls behind, its master says so, and it catches up", {
  timeout: TIMEOUT_MS,
}, () =>
  withLink(async (link) => {
    const { set, proxy, producer } = link;
    proxy.weather = { delayMs: 5, pieceBytes: 2000 };
    const bodies = Array.from({ length: 60 }, () => "y".repeat(20_000));
    const statuses = new Set(
      (await Promise.all(bodies.map((body) => producer.send({ topic: "T", body })))).map(({ status }) =>
        status
      ),
    );
    assert.ok(statuses.has("FLUSH_SLAVE_TIMEOUT"));
    assert.ok((await set.haStatus(set.master)).haConnectionInfo[0].diff > 0);
  }));

test("a slave that is stopped while frames come goes on where its last whole message ended", {
  timeout: TIMEOUT_MS,
}, () =>
  withLink(async (link) => {
    const { set, proxy, producer } = link;
    proxy.weather = { delayMs: 2, pieceBytes: 1000 };
    const sending = Promise.all(
      Array.from({ length: 40 }, () => producer.send({ topic: "T", body: "z".repeat(10_000) })),
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    await set.slave.stop();
    await sending;
    proxy.weather = {};
    await set.slave.start({}, `haMasterAddress=${proxy.address}`);
  }));

test(
  "a second connection of the same slave does no harm",
  { timeout: TIMEOUT_MS },
  () =>
    withLink(async (link) => {
      const { set, proxy } = link;
      // The master still holds the first one, which nobody speaks on any more.
      proxy.weather = { isHalfOpen: true };
      await until(() => proxy.connectionCount > 1);
      proxy.weather = {};
      await sendWatched(link, 10, 500);
      await eventually(async () => await set.slave.admin.maxOffset("T", 0) >= 10);
    }),
);
