// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { after, afterEach, describe, test } from "node:test";
import { type Clock, systemClock, type Timer } from "../../src/base/clock.ts";
import { type RunningBroker, startBroker } from "../../src/broker/broker.ts";
import { liveConfig } from "../../src/cli/live_config.ts";
import { loadBrokerConfiguration } from "../../src/config/broker_config.ts";
import { sourceOfPairs } from "../../src/config/sources.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import type { Command } from "../../src/remoting/command.ts";
import { diskFiles } from "../../src/store/disk_files.ts";
import type { Files } from "../../src/store/files.ts";
import { type Sending, sendRequest } from "../harness/broker_parts.ts";
import { MemoryFiles } from "../harness/memory_files.ts";
import { temporaryDirectory } from "../harness/store.ts";
import { RawPeer, type RawRequest } from "../remoting/raw_peer.ts";
import { settled, until } from "../harness/until.ts";
import { freePort } from "../interop/ports.ts";

/** The system's clock, with its timers counted. */
class CountingClock implements Clock {
  readonly live = new Set<Timer>();

  nowMs = () => systemClock.nowMs();
  monotonicMs = () => systemClock.monotonicMs();

  after(delayMs: number, callback: () => void): Timer {
    const timer = systemClock.after(delayMs, () => {
      this.live.delete(counted);
      callback();
    });
    const counted = this.#counted(timer);
    return counted;
  }

  every(periodMs: number, callback: () => void): Timer {
    return this.#counted(systemClock.every(periodMs, callback));
  }

  #counted(timer: Timer): Timer {
    const counted = {
      cancel: () => {
        this.live.delete(counted);
        timer.cancel();
      },
    };
    this.live.add(counted);
    return counted;
  }
}

interface Machine {
  files: Files;
  clock: CountingClock;
  start(...pairs: string[]): Promise<RunningBroker>;
}

const running = new Set<RunningBroker>();
const directories: { remove(): void }[] = [];
afterEach(async () => {
  for (const broker of running) await broker.stop().catch(() => {});
  running.clear();
});
after(() => directories.forEach((directory) => directory.remove()));

function machine(files: Files, directory: string): Machine {
  const clock = new CountingClock();
  return {
    files,
    clock,
    async start(...pairs) {
      const { configuration } = loadBrokerConfiguration({
        overriding: [sourceOfPairs("test", [
          "listenPort=0",
          "bindAddress=127.0.0.1",
          "brokerIP1=127.0.0.1",
          "brokerName=broker-a",
          `storePathRootDir=${directory}`,
          "mappedFileSizeCommitLog=1048576",
          "maxHashSlotNum=100",
          "maxIndexNum=400",
          "diskSpaceWarningLevelRatio=99",
          ...pairs,
        ])],
      });
      const broker = await startBroker({
        settings: () => configuration.settings,
        config: liveConfig(configuration, clock.nowMs),
        configBlackList: configuration.blackList,
        files,
        clock,
      });
      running.add(broker);
      return broker;
    },
  };
}

function inMemory(): Machine & { files: MemoryFiles } {
  return machine(new MemoryFiles(), "/store") as Machine & { files: MemoryFiles };
}

function onDisk(): Machine & { directory: string } {
  const directory = temporaryDirectory();
  directories.push(directory);
  return { ...machine(diskFiles, directory.path), directory: directory.path };
}

/** Nothing of a broker is left in the process. */
function assertNothingLeft({ files, clock }: Machine): void {
  assert.equal(clock.live.size, 0, "no timer is left");
  if (files instanceof MemoryFiles) assert.deepEqual(files.openPaths, []);
}

/** A client that waits for each answer. */
class Client {
  #opaque = 0;

  private constructor(readonly peer: RawPeer) {}

  static async connect(broker: RunningBroker): Promise<Client> {
    return new Client(await RawPeer.connect(broker.port));
  }

  async ask(request: RawRequest): Promise<Command> {
    return await this.askLater(request);
  }

  /** The request is sent when this returns. */
  askLater(request: RawRequest): Promise<Command> {
    const opaque = ++this.#opaque;
    this.peer.send({ ...request, opaque });
    const answer = () => this.peer.received.find((command) => command.opaque === opaque);
    return until(() => answer() !== undefined || this.peer.closed).then(() => {
      const command = answer();
      if (command === undefined) throw new Error("the connection was closed without an answer");
      return command;
    });
  }

  send(sending: Partial<Sending> = {}): Promise<Command> {
    const { code, fields, body } = sendRequest({ topic: "T", ...sending });
    return this.askLater({ code, fields, body: body ?? undefined });
  }

  pull(queueOffset = 0, sysFlag = 4): Promise<Command> {
    return this.askLater({
      code: RequestCode.PULL_MESSAGE,
      fields: {
        consumerGroup: "g",
        topic: "T",
        queueId: "0",
        queueOffset: String(queueOffset),
        maxMsgNums: "32",
        sysFlag: String(sysFlag),
        commitOffset: "0",
        suspendTimeoutMillis: "15000",
        subVersion: "0",
      },
    });
  }
}

/** A port that somebody else has. */
async function takenPort(): Promise<{ port: number; free(): Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const free = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { port: (server.address() as AddressInfo).port, free };
}

describe("a broker that starts and stops", () => {
  test("leaves no port, timer or open file, and a clean store", async () => {
    const one = inMemory();
    const broker = await one.start();
    assert.ok(one.files.stat("/store/abort"));
    const client = await Client.connect(broker);
    assert.equal((await client.send()).code, 0);
    await broker.stop();
    assertNothingLeft(one);
    assert.equal(one.files.stat("/store/abort"), undefined);
    await until(() => client.peer.closed);
    await assert.rejects(RawPeer.connect(broker.port));
  });

  test("gives what it stored before", async () => {
    const one = inMemory();
    const first = await one.start();
    const sent = await (await Client.connect(first)).send();
    await first.stop();
    const client = await Client.connect(await one.start());
    const pulled = await client.pull();
    assert.equal(pulled.code, 0);
    assert.equal(pulled.fields!.nextBeginOffset, "1");
    assert.equal((await client.send()).fields!.queueOffset, String(Number(sent.fields!.queueOffset) + 1));
  });

  test("answers the pulls that wait when it stops", async () => {
    const one = inMemory();
    const broker = await one.start();
    const client = await Client.connect(broker);
    await client.send();
    const waiting = client.pull(1, 6);
    await settled(() => client.peer.received.length, 50);
    await broker.stop();
    assert.equal((await waiting).code, 19);
  });

  test("takes further calls of stop() for the first one", async () => {
    const one = inMemory();
    const broker = await one.start();
    const first = broker.stop();
    await broker.stop();
    assertNothingLeft(one);
    await first;
  });

  test("gives everything back although something can't be written, and says so", async () => {
    const one = inMemory();
    const broker = await one.start();
    const client = await Client.connect(broker);
    await client.send();
    const fields = { consumerGroup: "g", topic: "T", queueId: "0", commitOffset: "1" };
    await client.pull();
    assert.equal((await client.ask({ code: RequestCode.UPDATE_CONSUMER_OFFSET, fields })).code, 0);
    one.files.fail({ operation: "create", code: "ENOSPC", path: /consumerOffset/, times: 100 });
    await assert.rejects(broker.stop(), /consumerOffset/);
    assertNothingLeft(one);
    assert.equal(one.files.stat("/store/abort"), undefined);
  });

  test("waits for name servers that can't be reached no longer than they are tried once", async () => {
    const { port, free } = await takenPort();
    await free();
    const one = inMemory();
    const broker = await one.start(`namesrvAddr=127.0.0.1:${port}`);
    assert.equal((await (await Client.connect(broker)).send()).code, 0);
    await broker.stop();
    assertNothingLeft(one);
  });
});

describe("a broker that can't start says why, and leaves nothing behind", () => {
  test("its port is in use", async () => {
    const taken = await takenPort();
    const one = inMemory();
    await assert.rejects(
      one.start(`listenPort=${taken.port}`, `haListenPort=${await freePort()}`),
      /can't listen on 127\.0\.0\.1:\d+: the port is in use/,
    );
    assertNothingLeft(one);
    assert.equal(one.files.stat("/store/abort"), undefined);
    await taken.free();
    assert.equal((await (await Client.connect(await one.start())).send()).code, 0);
  });

  test("the port for older clients is in use", async () => {
    const taken = await takenPort();
    const one = inMemory();
    await assert.rejects(
      one.start(`listenPort=${taken.port + 2}`, `haListenPort=${await freePort()}`),
      /can't listen/,
    );
    assertNothingLeft(one);
    await taken.free();
  });

  test("another broker of this process has its store", async () => {
    const one = onDisk();
    const first = await one.start();
    const timersOfFirst = one.clock.live.size;
    await assert.rejects(one.start(), /in use|another/);
    assert.equal(one.clock.live.size, timersOfFirst);
    assert.ok(existsSync(join(one.directory, "abort")));
    assert.equal((await (await Client.connect(first)).send()).code, 0);
    await first.stop();
    assert.ok(!existsSync(join(one.directory, "abort")));
    await one.start();
  });

  test("a table can't be read", async () => {
    for (const name of ["topics", "subscriptionGroup", "consumerOffset", "delayOffset"]) {
      const one = inMemory();
      one.files.makeDirectory("/store/config");
      one.files.replace(`/store/config/${name}.json`, new TextEncoder().encode("{ not json"));
      await assert.rejects(one.start(), new RegExp(`${name}\\.json`));
      assertNothingLeft(one);
    }
  });

  test("its address is none", async () => {
    const one = inMemory();
    await assert.rejects(one.start("brokerIP1=no such host"), /brokerIP1/);
    assertNothingLeft(one);
  });
});

describe("a broker that may only be read from", () => {
  test("refuses sends and serves pulls", async () => {
    const one = inMemory();
    const first = await one.start();
    await (await Client.connect(first)).send();
    await first.stop();
    const client = await Client.connect(await one.start("brokerPermission=4"));
    assert.equal((await client.send()).code, 16);
    assert.equal((await client.pull()).code, 0);
  });
});

describe("a broker with SYNC_FLUSH", () => {
  test("answers a send when it is flushed, and shows nobody what is not", async () => {
    const one = inMemory();
    const client = await Client.connect(await one.start("flushDiskType=SYNC_FLUSH"));
    await client.send();
    const syncs = one.files.holdSyncs();
    const sent = client.send();
    await until(() => syncs.waitingCount > 0);
    await settled(() => client.peer.received.length, 50);
    assert.equal(client.peer.received.length, 1);
    assert.equal((await client.pull(1)).code, 19);
    syncs.release();
    assert.equal((await sent).code, 0);
    assert.equal((await client.pull(1)).code, 0);
  });

  test("answers FLUSH_DISK_TIMEOUT when the disk takes too long", async () => {
    const one = inMemory();
    const client = await Client.connect(await one.start("flushDiskType=SYNC_FLUSH", "syncFlushTimeout=50"));
    await client.send();
    const syncs = one.files.holdSyncs();
    const answer = await client.send();
    assert.equal(answer.code, 10);
    assert.equal(answer.fields!.queueOffset, "1");
    syncs.release();
    await until(() => syncs.waitingCount === 0);
    assert.equal((await client.send()).code, 0);
  });

  test("after a sync that failed refuses every send, and goes on to serve consumers", async () => {
    const one = inMemory();
    const broker = await one.start("flushDiskType=SYNC_FLUSH");
    const client = await Client.connect(broker);
    await client.send();
    one.files.fail({ operation: "sync", code: "EIO", path: /commitlog/ });
    const answers = await Promise.all([client.send(), client.send()]);
    assert.deepEqual(answers.map((answer) => answer.code), [14, 14]);
    for (let i = 0; i < 3; i++) {
      const refused = await client.send();
      assert.equal(refused.code, 14);
      assert.match(refused.remark!, /flush/);
    }
    const pulled = await client.pull();
    assert.deepEqual([pulled.code, pulled.fields!.maxOffset], [0, "1"]);
    await broker.stop();
    assertNothingLeft(one);
    assert.ok(one.files.stat("/store/abort"), "the next start has to check the store");
    const next = await Client.connect(await one.start());
    assert.equal((await next.pull()).code, 0);
    assert.equal((await next.send()).code, 0);
  });
});

describe("a broker whose disk is full", () => {
  test(
    "refuses sends, serves consumers, and takes messages again when there is space",
    { timeout: 60_000 },
    async () => {
      const one = inMemory();
      const client = await Client.connect(await one.start());
      await client.send();
      const full = one.files.fail({ operation: "write", code: "ENOSPC", path: /commitlog/, times: 1000 });
      const refused = await client.send();
      assert.equal(refused.code, 14);
      assert.match(refused.remark!, /full/);
      assert.equal((await client.pull()).code, 0);
      full.remove();
      let answer = await client.send();
      for (const endMs = Date.now() + 8000; answer.code !== 0 && Date.now() < endMs;) {
        answer = await client.send();
      }
      assert.equal(answer.code, 0);
      assert.equal(answer.fields!.queueOffset, "1", "what was refused took no offset");
    },
  );
});
