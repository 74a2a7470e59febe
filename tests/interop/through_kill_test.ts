// SPDX-License-Identifier: Apache-2.0
/**
 * Ways to consume, in the middle of each of which the broker is killed with SIGKILL and comes back: nothing is
 * skipped, queues keep their order, retries are counted on. Stock Java clients of two generations.
 */
import assert from "node:assert/strict";
import type { ApacheVersion } from "./apache.ts";
import { Driver, type Result } from "./driver.ts";
import {
  type BrokerSite,
  newBrokerSite,
  startBroker,
  startNameServer,
  underTest,
  Workspace,
} from "./servers.ts";
import { interopTest, lazily, presentVersions, VERSIONS } from "./suite.ts";

const COUNT = 24;
const sorted = (texts: readonly string[]) => [...texts].sort();
const unique = (texts: readonly string[]) => [...new Set(texts)];
const bodies = (prefix: string) => Array.from({ length: COUNT }, (_, i) => `${prefix} ${i}`);

interface Kind {
  readonly kind: string;
  /** Clients are told of a reset by a request of the broker, rather than by its answer to their next pull. */
  readonly byNotice?: true;
  readonly name: string;
  readonly check: (result: Result) => void;
}

/** Every message came, and in each queue none before one that was sent earlier. */
function assertQueueOrder(result: Result): void {
  const received = result.all("RECV");
  assert.deepEqual(sorted(unique(received.map(({ body }) => body))), sorted(result.column("SENT", "body")));
  for (const queueId of unique(result.column("SENT", "queueId"))) {
    const first = unique(received.filter((each) => each.queueId === queueId).map((each) => each.queueOffset));
    assert.deepEqual(first.map(Number), first.map(Number).sort((a, b) => a - b), `order of queue ${queueId}`);
  }
}

const KINDS: readonly Kind[] = [
  {
    kind: "ordered",
    name: "orderly consumers keep the order of each queue, and try again what they suspended",
    check(result) {
      assertQueueOrder(result);
      const suspended = result.all("SENT").filter(({ queueOffset }) => Number(queueOffset) % 5 === 2);
      assert.ok(suspended.length > 0);
      for (const { body } of suspended) {
        assert.ok(result.all("RECV", { body }).length >= 2, `${body} came again`);
      }
    },
  },
  {
    kind: "retry",
    name: "messages that fail are tried again, counted on, and end among the dead letters",
    check(result) {
      assert.deepEqual(sorted(result.column("DEAD", "body")), sorted(bodies("poison")));
      for (const body of bodies("poison")) {
        const tries = unique(result.column("RECV", "reconsumeTimes", { body }));
        assert.deepEqual(sorted(tries), ["0", "1", "2"], body);
      }
    },
  },
  {
    kind: "broadcast",
    name: "broadcasting consumers each get everything",
    check(result) {
      for (const by of ["first", "second"]) {
        const got = unique(result.column("RECV", "body", { by }));
        assert.deepEqual(sorted(got), sorted([...bodies("before"), ...bodies("after")]), by);
      }
    },
  },
  ...([undefined, true] as const).map((byNotice): Kind => ({
    kind: "reset",
    byNotice,
    name: `a consumer whose offsets are reset while it runs ${
      byNotice ? "(220) " : ""
    }gets all messages again`,
    check(result) {
      for (const body of bodies("again")) assert.ok(result.all("RECV", { body }).length >= 2, body);
    },
  })),
  {
    kind: "reply",
    name: "requests get their replies from the broker that comes back",
    check(result) {
      assert.deepEqual(result.column("ANSWER", "body"), ["answer to before 0", "answer to after 0"]);
    },
  },
  {
    kind: "trace",
    name: "sends leave their traces, and answers say that they may, and where they come from",
    check(result) {
      assert.deepEqual(unique(result.column("VALUE", "value", { name: "traceOn" })), ["true"]);
      assert.deepEqual(unique(result.column("VALUE", "value", { name: "region" })), ["here"]);
      for (const  of of["before", "after"]) {
        const [trace] = result.all("TRACE", { of });
        const [type, , region] = trace.body.split("\u0001");
        assert.deepEqual([type, region], ["Pub", "here"]);
        assert.ok(trace.keys.split(" ").includes(`${of}-0`), trace.keys);
      }
    },
  },
];

/** Consumers look for their share, and refresh their locks, every second. */
const HURRY = {
  "rocketmq.client.rebalance.waitInterval": "1000",
  "rocketmq.client.rebalance.lockInterval": "1000",
};

const world = lazily(async () => {
  const workspace = await Workspace.create();
  const nameServer = await startNameServer(underTest, workspace);
  const namesrv = nameServer.address;
  const newSite = (name: string, useServerSideResetOffset: boolean) =>
    newBrokerSite(workspace, {
      ...{ name, cluster: `Cluster_${name}`, namesrv },
      properties: {
        ...{ useServerSideResetOffset, traceTopicEnable: true, regionId: "here" },
        autoCreateTopicEnable: useServerSideResetOffset, // or else topics would have queues at both
      },
    });
  const [site, noticeSite] = [await newSite("broker-k", true), await newSite("broker-n", false)];
  const sites = [site, noticeSite];
  const start = () => Promise.all(sites.map((each) => startBroker(underTest, each, workspace)));
  const [killed, ...drivers] = await Promise.all([
    start(),
    ...presentVersions().map((version) => Driver.start(version, workspace, HURRY)),
  ]);
  await drivers[0].mustRun("AwaitBrokers", { namesrv, brokers: "broker-k,broker-n" });
  const runs = await Promise.all(drivers.map(async (driver) => {
    const { version } = driver;
    const begun = [];
    for (const kind of KINDS) {
      begun.push({ version, kind, run: await begin(driver, kind, noticeSite, namesrv) });
    }
    return begun;
  }));
  await Promise.all(runs.flat().map(({ run }) => run.printed("HALFWAY").catch(() => {})));
  await Promise.all(killed.map((broker) => broker.kill()));
  const brokers = await start();
  for (const { run } of runs.flat()) run.release();
  const results = new Map(runs.flat().map(({ version, kind, run }) => [keyOf(version, kind), run.result]));
  return { workspace, nameServer, drivers, brokers, results };
});

async function begin(driver: Driver, kind: Kind, noticeSite: BrokerSite, namesrv: string) {
  const topic = `Kill_${keyOf(driver.version, kind)}`;
  const group = `group_${topic}`;
  if (kind.byNotice) {
    const { address } = noticeSite;
    await driver.admin("updateTopic", "-n", namesrv, "-b", address, "-t", topic, "-r", "4", "-w", "4");
  }
  const run = driver.hold("ThroughKill", { namesrv, topic, group, kind: kind.kind, limitSeconds: 150 });
  if (kind.kind === "reset") {
    run.printed("CONSUMED").then(() =>
      driver.admin("resetOffsetByTime", "-n", namesrv, "-g", group, "-t", topic, "-s", "0")
    ).catch(() => {}); // the scenario says that nothing came again
  }
  return run;
}

function keyOf(version: ApacheVersion, { kind, byNotice }: Kind): string {
  return `${kind}${byNotice ? "_notice" : ""}_${version.replaceAll(".", "_")}`;
}

for (const version of VERSIONS) {
  for (const kind of KINDS) {
    interopTest(`client ${version}, through a kill of the broker: ${kind.name}`, {
      needs: [version],
      onlyRmq: true,
    }, async () => {
      const result = await (await world.get()).results.get(keyOf(version, kind))!;
      assert.equal(result.failure, undefined);
      kind.check(result);
    });
  }
}

interopTest(
  "the servers that were killed end when they are told to",
  { needs: VERSIONS, onlyRmq: true },
  async () => {
    const started = await world.started();
    if (!started) return;
    for (const driver of started.drivers) await driver.stop();
    await Promise.all(started.brokers.map((broker) => broker.stop()));
    await started.nameServer.child.stop();
    await started.workspace.remove();
  },
);
