// SPDX-License-Identifier: Apache-2.0
/**
 * One store directory, opened by brokers of both makes in turn. For each Apache version there are two directories: one
 * that Apache has made and one that the broker under test has made. Files are so small that log, queues and index roll.
 *
 * Each directory goes through its steps once; every test looks at one property of one step.
 */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ApacheVersion } from "./apache.ts";
import { Driver, type Result } from "./driver.ts";
import {
  type BrokerSite,
  type Make,
  type NameServer,
  newBrokerSite,
  startBroker,
  startNameServer,
  underTest,
  Workspace,
} from "./servers.ts";
import { interopTest, lazily, VERSIONS } from "./suite.ts";

const BULK = { count: 300, bytes: 4096 };
const PROPERTIES = {
  mappedFileSizeCommitLog: 1 << 20,
  mappedFileSizeConsumeQueue: 20 * 50,
  maxHashSlotNum: 100,
  maxIndexNum: 500,
  messageDelayLevel: "1s 12s 1s 1s 1s",
};

/** What is seen of a directory while one broker has it. */
interface Seen {
  readonly bulk: Result;
  readonly consumed: Result;
  readonly committed: Result;
  readonly byKey: Result;
  readonly due: Result;
  readonly route: string;
  readonly groupConfig: string;
}

/** One directory and everything that was written to it. */
class Directory {
  readonly world: World;
  readonly site: BrokerSite;
  readonly acknowledged: Readonly<Record<string, string>>[] = [];
  readonly args: { namesrv: string; topic: string; group: string };
  #consumedUpTo = 0;
  #sentToGroup = 0;

  constructor(world: World, site: BrokerSite) {
    this.world = world;
    this.site = site;
    const suffix = site.name.replaceAll("-", "_");
    this.args = { namesrv: world.nameServer.address, topic: `Bulk_${suffix}`, group: `Group_${suffix}` };
  }

  get groupTopic(): string {
    return `Shared_${this.site.name}`;
  }

  get delayedTopic(): string {
    return `Delayed_${this.site.name}`;
  }

  /** Runs a broker of this make on the directory while `use` works with it; `end` says how it goes away. */
  async with<T>(make: Make, end: "stop" | "kill", use: () => Promise<T>): Promise<T> {
    const broker = await startBroker(make, this.site, this.world.workspace);
    try {
      const { driver, nameServer } = this.world;
      await driver.mustRun("AwaitQueues", {
        namesrv: nameServer.address,
        topic: this.site.name, // the topic named like the broker, which every broker has
        count: 1,
      });
      const result = await use();
      await (end === "stop" ? broker.stop() : broker.kill());
      return result;
    } finally {
      if (broker.isRunning) await broker.kill();
    }
  }

  /** A topic with three queues, a group with limits of its own, two more topics. */
  async prepare(): Promise<void> {
    const { driver, nameServer } = this.world;
    const admin = (...words: string[]) =>
      driver.admin(...words, "-n", nameServer.address, "-b", this.site.address);
    for (const topic of [this.args.topic, this.groupTopic, this.delayedTopic]) {
      await admin("updateTopic", "-t", topic, "-r", "3", "-w", "3");
    }
    await admin("updateSubGroup", "-g", this.args.group, "-r", "7", "-q", "2");
  }

  /** Bulk messages; messages of which the group consumes all but the last `left`; one that will be due after a while. */
  async write(prefix: string, left: number): Promise<void> {
    const { driver } = this.world;
    const sent = await driver.mustRun("SendMany", { ...this.args, prefix, ...BULK });
    this.acknowledged.push(...sent.all("SENT"));
    await driver.mustRun("SendMany", {
      ...this.args,
      topic: this.groupTopic,
      prefix: `${prefix}-seen`,
      count: 12,
    });
    this.#sentToGroup += 12;
    const expect = this.#sentToGroup - this.#consumedUpTo;
    await driver.mustRun("ConsumeSome", { ...this.args, topic: this.groupTopic, expect });
    this.#consumedUpTo = this.#sentToGroup;
    await driver.mustRun("SendMany", {
      ...this.args,
      topic: this.groupTopic,
      prefix: `${prefix}-left`,
      count: left,
    });
    this.#sentToGroup += left;
    const due = { topic: this.delayedTopic, prefix: `${prefix}-due`, count: 1, delayLevel: 2 };
    await driver.mustRun("SendMany", { ...this.args, ...due });
  }

  /** mqadmin asks every broker it knows of and gives up when one has just gone, as those of other directories do. */
  async #groupConfig(): Promise<string> {
    const { driver, nameServer } = this.world;
    for (let attempt = 0;; attempt++) {
      const printed = await driver.admin(
        "getConsumerConfig",
        "-g",
        this.args.group,
        "-n",
        nameServer.address,
      );
      if (!/RemotingConnectException|RemotingSendRequestException/.test(printed) || attempt === 40) {
        return printed;
      }
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  async look(prefixes: readonly string[]): Promise<Seen> {
    const { driver, nameServer } = this.world;
    const keys = prefixes.flatMap((prefix) => [`${prefix}-0`, `${prefix}-150`, `${prefix}-${BULK.count - 1}`])
      .join(",");
    const left = this.#sentToGroup - this.#consumedUpTo;
    const namesrv = ["-n", nameServer.address];
    // A group that nobody knows yet; what a kill has made come twice counts once.
    const group = `${this.args.group}_look_${prefixes.length}`;
    const delayed = { ...this.args, topic: this.delayedTopic, group, expect: prefixes.length };
    const [bulk, byKey, route, groupConfig, consumed, due] = await Promise.all([
      driver.mustRun("PullAll", { ...this.args, expect: this.acknowledged.length }),
      driver.mustRun("QueryByKey", { ...this.args, keys }),
      driver.admin("topicRoute", "-t", this.args.topic, ...namesrv),
      this.#groupConfig(),
      driver.mustRun("ConsumeSome", { ...this.args, topic: this.groupTopic, expect: left }),
      driver.mustRun("ConsumeSome", delayed),
    ]);
    this.#consumedUpTo = this.#sentToGroup;
    const committed = await driver.mustRun("Committed", { ...this.args, topic: this.groupTopic });
    return { bulk, byKey, route, groupConfig, consumed, committed, due };
  }
}

interface World {
  readonly workspace: Workspace;
  readonly driver: Driver;
  readonly nameServer: NameServer;
}

const world = lazily(async (): Promise<World> => {
  const workspace = await Workspace.create();
  const [driver, nameServer] = await Promise.all([
    Driver.start("5.4.0", workspace),
    startNameServer(underTest, workspace),
  ]);
  return { workspace, driver, nameServer };
});

async function newDirectory(name: string): Promise<Directory> {
  const started = await world.get();
  const { nameServer, workspace } = started;
  const options = { name, cluster: "ClusterS", namesrv: nameServer.address, properties: PROPERTIES };
  return new Directory(started, await newBrokerSite(workspace, options));
}

/** Apache writes and stops; ours reads, writes and stops; Apache reads, writes and is killed; ours reads. */
async function apacheFirst(version: ApacheVersion) {
  const apache: Make = `apache-${version}`;
  const directory = await newDirectory(`apache-first-${version.replaceAll(".", "_")}`);
  await directory.with(apache, "stop", async () => {
    await directory.prepare();
    await directory.write("one", 5);
  });
  const filesOfApache = await fileCounts(directory.site);
  const ours = await directory.with(underTest, "stop", async () => {
    const seen = await directory.look(["one"]);
    await directory.write("two", 4);
    return seen;
  });
  const acknowledgedTwice = directory.acknowledged.length;
  const theirs = await directory.with(apache, "kill", async () => {
    const seen = await directory.look(["one", "two"]);
    await directory.write("three", 3);
    return seen;
  });
  const oursAgain = await directory.with(underTest, "stop", () => directory.look(["one", "two", "three"]));
  return { directory, filesOfApache, ours, theirs, oursAgain, acknowledgedTwice };
}

/** Ours writes and is killed; Apache reads. */
async function oursFirst(version: ApacheVersion) {
  const directory = await newDirectory(`tested-first-${version.replaceAll(".", "_")}`);
  await directory.with(underTest, "kill", async () => {
    await directory.prepare();
    await directory.write("one", 5);
  });
  const filesOfOurs = await fileCounts(directory.site);
  const theirs = await directory.with(`apache-${version}`, "stop", () => directory.look(["one"]));
  return { directory, filesOfOurs, theirs };
}

/** Ours writes and is killed, twice; ours reads. */
async function oursOnly() {
  const directory = await newDirectory("tested-twice");
  await directory.with(underTest, "kill", async () => {
    await directory.prepare();
    await directory.write("one", 5);
  });
  await directory.with(underTest, "kill", () => directory.write("two", 4));
  const ours = await directory.with(underTest, "stop", () => directory.look(["one", "two"]));
  return { directory, ours };
}

interface FileCounts {
  readonly log: number;
  readonly queue: number;
  readonly index: number;
}

async function fileCounts(site: BrokerSite): Promise<FileCounts> {
  const count = async (path: string) => (await readdir(join(site.storePath, path))).length;
  const topic = `Bulk_${site.name.replaceAll("-", "_")}`;
  return {
    log: await count("commitlog"),
    queue: await count(join("consumequeue", topic, "0")),
    index: await count("index"),
  };
}

const chains = new Map(VERSIONS.map((version) => [version, {
  apacheFirst: lazily(() => apacheFirst(version)),
  oursFirst: lazily(() => oursFirst(version)),
}]));

const oursOnlyChain = lazily(oursOnly);

/** All directories go through their steps at the same time: a JVM's start and stop are mostly waiting. */
function startAll(): void {
  for (const chain of chains.values()) {
    chain.apacheFirst.get().catch(() => {});
    chain.oursFirst.get().catch(() => {});
  }
  oursOnlyChain.get().catch(() => {});
}

const place = (fields: Readonly<Record<string, string>>) =>
  `${fields.msgId} ${fields.body} @ ${fields.queueId}:${fields.queueOffset}`;

function assertComplete(seen: Seen, acknowledged: readonly Readonly<Record<string, string>>[]): void {
  assert.ok(acknowledged.length >= BULK.count);
  assert.deepEqual(seen.bulk.all("RECV").map(place).sort(), acknowledged.map(place).sort());
}

/** The group gets what it had left, and no more unless the offsets were lost between two of their flushes. */
function assertResumed(seen: Seen, left: readonly string[], end: "stop" | "kill"): void {
  const bodies = [...new Set(seen.consumed.column("RECV", "body"))].sort();
  const wanted = left.flatMap((text) => {
    const [prefix, count] = text.split(" ");
    return Array.from({ length: Number(count) }, (_, i) => `${prefix} ${i}`);
  }).sort();
  if (end === "stop") assert.deepEqual(bodies, wanted);
  else assert.deepEqual(wanted.filter((body) => !bodies.includes(body)), []);
  for (const { offset, max } of seen.committed.all("COMMITTED")) assert.equal(offset, max);
}

/**
 * Every key finds its message. Recovery indexes the newest message that the index knows once more (Apache's does, and
 * ours), so each kill may have made one message come twice.
 */
function assertFoundByKey(seen: Seen, prefixes: readonly string[], kills = 0): void {
  let surplus = 0;
  for (const prefix of prefixes) {
    for (const number of [0, 150, BULK.count - 1]) {
      const key = `${prefix}-${number}`;
      const found = seen.byKey.all("RECV", { by: key });
      assert.equal(new Set(found.map((fields) => fields.msgId)).size, 1, key);
      assert.equal(found[0].keys, key);
      surplus += found.length - 1;
    }
  }
  assert.ok(surplus <= kills, `${surplus} messages are indexed twice`);
}

function assertSettings(seen: Seen): void {
  assert.match(seen.route, /"readQueueNums":3/);
  assert.match(seen.route, /"writeQueueNums":3/);
  assert.match(seen.groupConfig, /retryMaxTimes\s+=\s+7/);
  assert.match(seen.groupConfig, /retryQueueNums\s+=\s+2/);
}

function assertDelayed(seen: Seen, prefixes: readonly string[]): void {
  const bodies = [...new Set(seen.due.column("RECV", "body"))].sort();
  assert.deepEqual(bodies, prefixes.map((prefix) => `${prefix}-due 0`).sort());
}

for (const version of VERSIONS) {
  const needs: readonly ApacheVersion[] = ["5.4.0", version];
  const chain = chains.get(version)!;
  const apacheFirstTest = (
    name: string,
    check: (seen: Awaited<ReturnType<typeof apacheFirst>>) => void,
  ) =>
    interopTest(`store of Apache ${version}: ${name}`, { needs }, async () => {
      startAll();
      check(await chain.apacheFirst.get());
    });
  const oursFirstTest = (name: string, check: (seen: Awaited<ReturnType<typeof oursFirst>>) => void) =>
    interopTest(`store for Apache ${version}: ${name}`, { needs }, async () => {
      startAll();
      check(await chain.oursFirst.get());
    });

  apacheFirstTest("its log, queues and index have rolled", ({ filesOfApache }) => {
    assert.ok(filesOfApache.log >= 2 && filesOfApache.queue >= 2 && filesOfApache.index >= 2);
  });
  apacheFirstTest("all its messages are read in place", ({ ours, directory }) => {
    assertComplete(ours, directory.acknowledged.slice(0, BULK.count));
  });
  apacheFirstTest(
    "its consumer offsets are honoured",
    ({ ours }) => assertResumed(ours, ["one-left 5"], "stop"),
  );
  apacheFirstTest("its topics and groups are honoured", ({ ours }) => assertSettings(ours));
  apacheFirstTest("its messages are found by key", ({ ours }) => assertFoundByKey(ours, ["one"]));
  apacheFirstTest("its delayed message is delivered", ({ ours }) => assertDelayed(ours, ["one"]));
  apacheFirstTest("Apache reads all of it again after we wrote to it and stopped", (seen) => {
    assertComplete(seen.theirs, seen.directory.acknowledged.slice(0, seen.acknowledgedTwice));
    assertFoundByKey(seen.theirs, ["one", "two"]);
    assertSettings(seen.theirs);
  });
  apacheFirstTest("Apache goes on from our consumer offsets", ({ theirs }) => {
    assertResumed(theirs, ["two-left 4"], "stop");
  });
  apacheFirstTest("Apache delivers the delayed message that we stored", ({ theirs }) => {
    assertDelayed(theirs, ["one", "two"]);
  });
  apacheFirstTest("we read all of it after Apache was killed", ({ oursAgain, directory }) => {
    assertComplete(oursAgain, directory.acknowledged);
    assertFoundByKey(oursAgain, ["one", "two", "three"], 1);
    assertResumed(oursAgain, ["three-left 3"], "kill");
    assertSettings(oursAgain);
  });

  oursFirstTest("our log, queues and index have rolled", ({ filesOfOurs }) => {
    assert.ok(
      filesOfOurs.log >= 2 && filesOfOurs.queue >= 2 && filesOfOurs.index >= 2,
      JSON.stringify(filesOfOurs),
    );
  });
  oursFirstTest("Apache reads all our messages after we were killed", ({ theirs, directory }) => {
    assertComplete(theirs, directory.acknowledged);
  });
  oursFirstTest("Apache finds our messages by key after we were killed", ({ theirs }) => {
    assertFoundByKey(theirs, ["one"], 1);
  });
  oursFirstTest(
    "Apache honours our topics, groups and consumer offsets after we were killed",
    ({ theirs }) => {
      assertSettings(theirs);
      assertResumed(theirs, ["one-left 5"], "kill");
    },
  );
  oursFirstTest("Apache delivers our delayed message after we were killed", ({ theirs }) => {
    assertDelayed(theirs, ["one"]);
  });
}

interopTest(
  "store killed twice: we read, find and go on from all that was there",
  { needs: ["5.4.0"] },
  async () => {
    startAll();
    const { ours, directory } = await oursOnlyChain.get();
    assertComplete(ours, directory.acknowledged);
    assertFoundByKey(ours, ["one", "two"], 2);
    assertResumed(ours, ["two-left 4"], "kill");
    assertSettings(ours);
    assertDelayed(ours, ["one", "two"]);
  },
);

interopTest("the store tests' servers end when they are told to", { needs: VERSIONS }, async () => {
  const started = await world.started();
  if (!started) return;
  await oursOnlyChain.started()?.catch(() => {});
  await Promise.allSettled([...chains.values()].flatMap((chain) => [
    chain.apacheFirst.started(),
    chain.oursFirst.started(),
  ]));
  await started.driver.stop();
  await started.nameServer.child.stop();
  await started.workspace.remove();
});
