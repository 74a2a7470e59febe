// SPDX-License-Identifier: Apache-2.0
/**
 * `rmq store` on stores that the real Apache RocketMQ wrote: nothing is wrong with them while it runs and after it was
 * killed, and Apache finds everything in queues and index that `--repair` has built.
 *
 * For each version one store goes through its steps once; every test looks at one property of one step.
 */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers";
import { run } from "../../src/cli/run.ts";
import type { ApacheVersion } from "./apache.ts";
import { Driver } from "./driver.ts";
import {
  type BrokerSite,
  type Make,
  newBrokerSite,
  startBroker,
  startNameServer,
  Workspace,
} from "./servers.ts";
import { interopTest, lazily, VERSIONS } from "./suite.ts";

/** Files so small that log, queues and index roll. */
const PROPERTIES = {
  mappedFileSizeCommitLog: 1 << 20,
  mappedFileSizeConsumeQueue: 20 * 50,
  maxHashSlotNum: 100,
  maxIndexNum: 500,
  messageDelayLevel: "1s 7s 1s",
  enabledAppendPropCRC: true,
};
const COUNT = 300;

interface Outcome {
  readonly status: number;
  readonly out: string;
}

async function tool(...args: string[]): Promise<Outcome> {
  let out = "";
  const status = await run(["store", ...args], {
    print: (text) => void (out += text),
    complain: (text) => void (out += text),
    stopRequested: new Promise(() => {}),
  });
  return { status, out };
}

const world = lazily(async () => {
  const workspace = await Workspace.create();
  const [driver, nameServer] = await Promise.all([
    Driver.start("5.4.0", workspace),
    startNameServer("rmq", workspace),
  ]);
  return { workspace, driver, nameServer };
});

async function withBroker<T>(
  make: Make,
  site: BrokerSite,
  end: "stop" | "kill",
  use: () => Promise<T>,
): Promise<T> {
  const { workspace, driver, nameServer } = await world.get();
  const broker = await startBroker(make, site, workspace);
  try {
    // The topic named like the broker tells that name servers know it.
    await driver.mustRun("AwaitQueues", { namesrv: nameServer.address, topic: site.name, count: 1 });
    const result = await use();
    await (end === "stop" ? broker.stop() : broker.kill());
    return result;
  } finally {
    if (broker.isRunning) await broker.kill();
  }
}

/** Apache writes and is killed; its queues and index are damaged and built again; Apache reads. */
async function chain(version: ApacheVersion) {
  const { workspace, driver, nameServer } = await world.get();
  const make: Make = `apache-${version}`;
  const name = `tool-${version.replaceAll(".", "_")}`;
  const namesrv = nameServer.address;
  const site = await newBrokerSite(workspace, { name, cluster: "ClusterT", namesrv, properties: PROPERTIES });
  const args = { namesrv, topic: `Tool_${name}`, group: `Group_${name}` };
  const store = site.storePath;
  const sent = await withBroker(make, site, "kill", async () => {
    const queues = ["-r", "3", "-w", "3"];
    await driver.admin("updateTopic", "-t", args.topic, ...queues, "-n", namesrv, "-b", site.address);
    const sending = driver.mustRun("SendMany", { ...args, prefix: "one", count: COUNT, bytes: 4096 });
    let isSent = false;
    sending.finally(() => isSent = true).catch(() => {});
    const live: Outcome[] = [];
    while (!isSent) {
      live.push(await tool("verify", store));
      // The tool may not wait for anything; those who tell that all is sent get their turn here.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    const messages = await sending;
    await driver.mustRun("SendMany", {
      ...args,
      topic: `Late_${name}`,
      prefix: "late",
      count: 5,
      delayLevel: 2,
    });
    await driver.mustRun("SendBatch", { ...args, topic: `Batch_${name}` });
    live.push(await tool("verify", store));
    return { messages, live, info: await tool("info", store, "--json") };
  });
  const killed = await tool("verify", store);
  const dumped = (await tool("dump", store, "--topic", args.topic, "--json")).out.trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  // After a crash the next start would build a queue that is missing; damage may stand elsewhere.
  rmSync(join(store, "consumequeue", args.topic, "1"), { recursive: true });
  rmSync(join(store, "abort"));
  const damaged = await tool("verify", store);
  const repaired = await tool("verify", store, "--repair", "--all");
  writeFileSync(join(store, "abort"), "");
  const read = await withBroker(make, site, "stop", async () => {
    const keys = ["one-0", "one-150", `one-${COUNT - 1}`].join();
    const [pulled, byKey] = await Promise.all([
      driver.mustRun("PullAll", { ...args, expect: COUNT }),
      driver.mustRun("QueryByKey", { ...args, keys }),
    ]);
    return { pulled, byKey };
  });
  const stopped = await tool("verify", store);
  return { sent, killed, dumped, damaged, repaired, read, stopped };
}

const chains = new Map(VERSIONS.map((version) => [version, lazily(() => chain(version))]));

for (const version of VERSIONS) {
  const toolTest = (name: string, check: (seen: Awaited<ReturnType<typeof chain>>) => void) => {
    interopTest(`store of Apache ${version}: ${name}`, { needs: ["5.4.0", version] }, async () => {
      check(await chains.get(version)!.get());
    });
  };

  toolTest("nothing is wrong while it runs and takes messages", ({ sent }) => {
    for (const { status, out } of sent.live) {
      assert.equal(status, 0, out);
      assert.match(out, /in use by process \d+ \(java\)/);
    }
    const facts = JSON.parse(sent.info.out);
    assert.ok(facts.commitLog.fileCount >= 2 && facts.index.length >= 2);
  });
  toolTest("nothing is wrong after it was killed", ({ killed }) => {
    assert.equal(killed.status, 0, killed.out);
    assert.match(killed.out, /did not stop properly/);
  });
  toolTest("all messages are dumped at the places that senders were told", ({ sent, dumped }) => {
    const place = (at: { queueId: number; queueOffset: number; msgId: string }) =>
      `${at.msgId} ${at.queueId}:${at.queueOffset}`;
    const acknowledged = sent.messages.all("SENT").map((fields) =>
      `${fields.offsetMsgId} ${fields.queueId}:${fields.queueOffset}`
    );
    assert.deepEqual(dumped.map(place).sort(), acknowledged.sort());
    // Only 5.x writes it, where it is told to; the checks above hold it against the messages.
    if (version !== "5.4.0") return;
    for (const { properties } of dumped) assert.match(properties["__CRC32#"], /^\d{10}$/);
  });
  toolTest("what is missing of queues is found, and built again", ({ damaged, repaired }) => {
    assert.equal(damaged.status, 1);
    assert.match(damaged.out, /^ {7}no entry for \d+ messages, 0 to \d+ /m);
    assert.equal(repaired.status, 0, repaired.out);
    assert.match(
      repaired.out,
      /^Built from the log: \d+ queues with \d+ entries .*; the index of \d+ messages\.$/m,
    );
  });
  toolTest("Apache finds everything in what was built", ({ read }) => {
    assert.equal(read.pulled.all("RECV").length, COUNT);
    assert.deepEqual(
      read.byKey.column("RECV", "keys").sort(),
      ["one-0", "one-150", `one-${COUNT - 1}`].sort(),
    );
  });
  toolTest("nothing is wrong after it stopped", ({ stopped }) => {
    assert.equal(stopped.status, 0, stopped.out);
    assert.match(stopped.out, /stopped properly/);
  });
}

interopTest("the store tool's servers end when they are told to", { needs: ["5.4.0"] }, async () => {
  const started = await world.started();
  if (!started) return;
  await Promise.allSettled([...chains.values()].map((one) => one.started()));
  await started.driver.stop();
  await started.nameServer.child.stop();
  await started.workspace.remove();
});
