// SPDX-License-Identifier: Apache-2.0
/** Several brokers in one process, each in a thread of its own. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AdminApi, Producer } from "../../src/client/mod.ts";
import type { Child } from "../interop/child.ts";
import { freeBrokerPort, freePort } from "../interop/ports.ts";
import { startRmq } from "../interop/rmq.ts";
import { until } from "../harness/until.ts";

const OPTIONS = { timeout: 60_000 };

interface Site {
  readonly file: string;
  readonly store: string;
  readonly port: number;
}

async function newSite(directory: string, brokerName: string, nameServers: string): Promise<Site> {
  const [store, port] = [join(directory, brokerName), await freeBrokerPort()];
  const file = join(directory, `${brokerName}.properties`);
  const keys = {
    ...{ brokerName, brokerClusterName: "C", brokerIP1: "127.0.0.1", listenPort: port },
    ...{ namesrvAddr: nameServers, storePathRootDir: store },
  };
  await writeFile(file, Object.entries(keys).map(([key, value]) => `${key}=${value}\n`).join(""));
  return { file, store, port };
}

test("brokers of one process take messages, and stop together", OPTIONS, async () => {
  const directory = await mkdtemp(join(tmpdir(), "rmq-several-"));
  const children: Child[] = [];
  const start = async (args: string[], options: { name: string; port: number }) => {
    const child = await startRmq(args, options);
    children.push(child);
    return child;
  };
  try {
    const nameServerPort = await freePort();
    const nameServers = `127.0.0.1:${nameServerPort}`;
    const kv = join(directory, "kv.properties");
    await writeFile(kv, `listenPort=${nameServerPort}\nkvConfigPath=${join(directory, "kv.json")}\n`);
    await start(["namesrv", "-c", kv], { name: "namesrv", port: nameServerPort });
    const [a, b] = [await newSite(directory, "a", nameServers), await newSite(directory, "b", nameServers)];
    const brokers = await start(["broker", "-c", a.file, "-c", b.file], { name: "brokers", port: a.port });
    await until(() => (brokers.tail().match(/boot success/g)?.length ?? 0) === 2);

    const producer = new Producer({ nameServers, group: "senders" });
    const names = new Set<string>();
    for (const { port } of [a, b]) {
      const admin = new AdminApi(`127.0.0.1:${port}`);
      await admin.createTopic("Both", 2);
      admin.close();
    }
    for (let n = 0; n < 4; n++) {
      const { status, brokerName } = await producer.send({ topic: "Both", body: "hello" });
      assert.equal(status, "SEND_OK");
      names.add(brokerName);
    }
    assert.deepEqual([...names].sort(), ["a", "b"]);
    producer.stop();

    assert.equal(await brokers.stop(), "exit code 0", brokers.tail());
    for (const { store } of [a, b]) {
      assert.ok(!existsSync(join(store, "abort")), `${store} was stopped cleanly`);
    }
  } finally {
    for (const child of children) await child.kill();
    await rm(directory, { recursive: true, force: true });
  }
});

test("when one of them can't serve, the process ends, the others in good order", OPTIONS, async () => {
  const directory = await mkdtemp(join(tmpdir(), "rmq-several-"));
  const occupier = createServer();
  let brokers: Child | undefined;
  try {
    const [a, b] = [await newSite(directory, "a", ""), await newSite(directory, "b", "")];
    await new Promise<void>((resolve) => occupier.listen(b.port, "127.0.0.1", resolve));
    brokers = await startRmq(["broker", "-c", a.file, "-c", b.file], { name: "brokers", port: b.port });
    assert.equal(await brokers.ended, "exit code 1");
    assert.match(brokers.tail(), /b\.properties: .*the port is in use/);
    assert.ok(!existsSync(join(a.store, "abort")), brokers.tail());
  } finally {
    await brokers?.kill();
    await new Promise((resolve) => occupier.close(resolve));
    await rm(directory, { recursive: true, force: true });
  }
});
