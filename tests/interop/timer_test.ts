// SPDX-License-Identifier: Apache-2.0
/**
 * Timed messages in one store directory that brokers of both makes open in turn, after clean stops and `kill -9`, while
 * messages wait in it: what was acknowledged comes, whoever has the directory then, and never before its time.
 */
import assert from "node:assert/strict";
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
import { interopTest, lazily } from "./suite.ts";

const APACHE: Make = "apache-5.4.0";

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

class Directory {
  readonly site: BrokerSite;
  readonly #world: World;
  readonly #args: { namesrv: string; topic: string; group: string };

  constructor(world: World, site: BrokerSite) {
    this.#world = world;
    this.site = site;
    const suffix = site.name.replaceAll("-", "_");
    this.#args = { namesrv: world.nameServer.address, topic: `Later_${suffix}`, group: `Group_${suffix}` };
  }

  /** Runs a broker of this make on the directory while `use` works with it; `end` says how it goes away. */
  async with<T>(make: Make, end: "stop" | "kill", use: () => Promise<T>): Promise<T> {
    const { driver, nameServer, workspace } = this.#world;
    const broker = await startBroker(make, this.site, workspace);
    try {
      const args = { namesrv: nameServer.address, topic: this.site.name, count: 1 };
      await driver.mustRun("AwaitQueues", args);
      const result = await use();
      await (end === "stop" ? broker.stop() : broker.kill());
      return result;
    } finally {
      if (broker.isRunning) await broker.kill();
    }
  }

  async prepare(): Promise<void> {
    const { driver, nameServer } = this.#world;
    const args = ["-n", nameServer.address, "-b", this.site.address, "-t", this.#args.topic];
    await driver.admin("updateTopic", ...args, "-r", "2", "-w", "2");
  }

  /** @param recall number of the message that is taken back */
  async send(prefix: string, delaysMs: readonly number[], recall = -1): Promise<void> {
    const args = { ...this.#args, prefix, delaysMs: delaysMs.join(","), recall };
    await this.#world.driver.mustRun("TimerSend", args);
  }

  async arrivals(...names: string[]): Promise<Result> {
    return await this.#world.driver.mustRun("TimerArrivals", { ...this.#args, expect: names.join(",") });
  }

  /** What mqadmin shows of the timers, as `readBehind-offsetBehind(pending, …)`. */
  async progress(): Promise<string> {
    const { driver, nameServer } = this.#world;
    const table = await driver.admin("clusterList", "-n", nameServer.address);
    return table.split("\n").find((line) => line.includes(this.site.address)) ?? table;
  }
}

async function newDirectory(name: string): Promise<Directory> {
  const started = await world.get();
  const site = await newBrokerSite(started.workspace, {
    name,
    cluster: "ClusterT",
    namesrv: started.nameServer.address,
    properties: { recallMessageEnable: true, mappedFileSizeTimerLog: 52 * 4 + 16 },
  });
  return new Directory(started, site);
}

/** Apache, ours, Apache (killed), ours. */
const apacheFirst = lazily(async () => {
  const directory = await newDirectory("timer-apache-first");
  await directory.with(APACHE, "stop", async () => {
    await directory.prepare();
    await directory.send("one", [1000, 7000, 13_000, 8000, 18_000], 3);
    await directory.arrivals("one-0");
  });
  const ours = await directory.with(underTest, "stop", async () => {
    await directory.send("two", [1000, 8000, 8000, 10_000, 8000], 2);
    const came = await directory.arrivals("one-0", "one-1", "two-0");
    return { came, progress: await directory.progress() };
  });
  await directory.with(APACHE, "kill", async () => {
    await directory.arrivals("one-2", "two-1", "two-3", "two-4");
    await directory.send("three", [1000, 4000]);
  });
  const last = await directory.with(
    underTest,
    "stop",
    () => directory.arrivals("one-4", "three-0", "three-1"),
  );
  return { ours, last };
});

/** Ours (killed), ours (killed), Apache, ours. */
const oursFirst = lazily(async () => {
  const directory = await newDirectory("timer-tested-first");
  await directory.with(underTest, "kill", async () => {
    await directory.prepare();
    await directory.send("one", [1000, 4000, 10_000, 5000, 15_000], 3);
    await directory.arrivals("one-0");
  });
  await directory.with(underTest, "kill", async () => {
    await directory.send("two", [1000, 8000]);
    await directory.arrivals("one-1", "two-0");
  });
  const theirs = await directory.with(
    APACHE,
    "stop",
    () => directory.arrivals("one-0", "one-1", "two-0", "one-2", "two-1"),
  );
  const last = await directory.with(underTest, "stop", () => directory.arrivals("one-4"));
  return { theirs, last };
});

function startAll(): void {
  apacheFirst.get().catch(() => {});
  oursFirst.get().catch(() => {});
}

function assertNotEarly(result: Result): void {
  for (const { name, lateMs } of result.all("CAME")) {
    assert.ok(Number(lateMs) >= 0, `${name} came ${-Number(lateMs)} ms early`);
  }
}

const namesOf = (result: Result) => [...new Set(result.column("CAME", "name"))].sort();

interopTest(
  "timers of Apache 5.4.0: what waits comes when we have its directory",
  { needs: ["5.4.0"] },
  async () => {
    startAll();
    const { ours } = await apacheFirst.get();
    for (const name of ["one-0", "one-1", "two-0"]) assert.ok(namesOf(ours.came).includes(name), name);
    assertNotEarly(ours.came);
  },
);

interopTest("timers of Apache 5.4.0: mqadmin shows how many wait", { needs: ["5.4.0"] }, async () => {
  startAll();
  const { ours } = await apacheFirst.get();
  assert.match(ours.progress, / 0-0\(/);
});

interopTest(
  "timers of Apache 5.4.0: all come once at least, but those taken back, though it was killed",
  { needs: ["5.4.0"] },
  async () => {
    startAll();
    const { last } = await apacheFirst.get();
    assert.deepEqual(namesOf(last), [
      ...["one-0", "one-1", "one-2", "one-4", "three-0", "three-1"],
      ...["two-0", "two-1", "two-3", "two-4"],
    ]);
    assertNotEarly(last);
  },
);

interopTest(
  "timers of ours: they come from Apache 5.4.0 after we were killed twice",
  { needs: ["5.4.0"] },
  async () => {
    startAll();
    const { theirs, last } = await oursFirst.get();
    for (const name of ["one-0", "one-1", "one-2", "two-0", "two-1"]) {
      assert.ok(namesOf(theirs).includes(name), name);
    }
    assertNotEarly(theirs);
    assert.deepEqual(namesOf(last), ["one-0", "one-1", "one-2", "one-4", "two-0", "two-1"]);
    assertNotEarly(last);
  },
);

interopTest("the timer tests' servers end when they are told to", { needs: ["5.4.0"] }, async () => {
  const started = await world.started();
  if (!started) return;
  await Promise.allSettled([apacheFirst.started(), oursFirst.started()]);
  await started.driver.stop();
  await started.nameServer.child.stop();
  await started.workspace.remove();
});
