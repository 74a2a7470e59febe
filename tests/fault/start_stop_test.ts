// SPDX-License-Identifier: Apache-2.0
/** The whole program as a process: started, used and stopped as an operator would. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Consumer, Producer, type ReceivedMessage } from "../../src/client/mod.ts";
import type { Child } from "../interop/child.ts";
import { freeBrokerPort, freePort } from "../interop/ports.ts";
import { startRmq } from "../interop/rmq.ts";

const TIMEOUT_MS = 60_000;

test("standalone takes and gives a message, stops on SIGTERM, and still has it after", {
  timeout: TIMEOUT_MS,
}, async () => {
  const store = await mkdtemp(join(tmpdir(), "rmq-start-stop-"));
  const abort = join(store, "abort");
  const [nameServerPort, port] = [await freePort(), await freeBrokerPort()];
  const nameServers = `127.0.0.1:${nameServerPort}`;
  const ports = ["--namesrv-port", `${nameServerPort}`, "--set", `listenPort=${port}`];
  const start = () => startRmq(["standalone", "--store", store, ...ports], { name: "rmq", port });
  let rmq: Child | undefined;
  try {
    rmq = await start();
    assert.ok(existsSync(abort), "a running broker has an abort file");
    const producer = new Producer({ nameServers, group: "senders" });
    const sent = await producer.send({ topic: "Greetings", body: "hello", tags: "English" });
    producer.stop();
    assert.equal(sent.status, "SEND_OK");
    const received = await receiveOne(nameServers, "first-group");
    assert.equal(new TextDecoder().decode(received.body), "hello");
    assert.equal(received.messageId, sent.messageId);
    assert.equal(received.tags, "English");

    assert.equal(await rmq.stop(), "exit code 0", rmq.tail());
    assert.ok(!existsSync(abort), "a broker that was stopped takes its abort file away");

    rmq = await start();
    const again = await receiveOne(nameServers, "second-group");
    assert.equal(again.messageId, sent.messageId);
    assert.equal(await rmq.stop(), "exit code 0", rmq.tail());
  } finally {
    await rmq?.kill();
    await rm(store, { recursive: true, force: true });
  }
});

/** The first message of the topic, for a group of its own. */
async function receiveOne(nameServers: string, group: string): Promise<ReceivedMessage> {
  let consumer: Consumer | undefined;
  try {
    return await new Promise((resolve, reject) => {
      const onMessages = ([message]: ReceivedMessage[]) => resolve(message);
      const subscriptions = { Greetings: "*" };
      consumer = new Consumer({ nameServers, group, subscriptions, from: "first", onMessages });
      consumer.start().catch(reject);
    });
  } finally {
    await consumer?.stop();
  }
}
