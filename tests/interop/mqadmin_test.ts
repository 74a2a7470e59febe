// SPDX-License-Identifier: Apache-2.0
/**
 * The stock mqadmin tool of two generations, on what it prints: it ends with 0 whatever happens.
 *
 * Each version goes through one session with a topic and a group of its own; most of it runs at the same time, and what
 * changes the cluster for everybody comes last, one version after the other. Topics are not created automatically here.
 */
import assert from "node:assert/strict";
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { ApacheVersion } from "./apache.ts";
import type { Child } from "./child.ts";
import { Driver, type Result } from "./driver.ts";
import {
  type BrokerSite,
  type NameServer,
  newBrokerSite,
  startBroker,
  startNameServer,
  underTest,
  Workspace,
} from "./servers.ts";
import { interopTest, lazily, presentVersions, VERSIONS } from "./suite.ts";

const CLUSTER = "ClusterM";
const BROKER = "broker-m";

const NEXT_CENTURY = Date.UTC(2100, 0, 1);

/** Where mqadmin leaves the bodies of messages it was asked for. */
const BODIES = "/tmp/rocketmq/msgbodys";

/** What one version's tool printed, by the name of the step. */
class Session {
  readonly driver: Driver;
  readonly topic: string;
  readonly group: string;
  readonly printed = new Map<string, string>();
  readonly results = new Map<string, Result>();
  #namesrv: string;

  constructor(driver: Driver, namesrv: string) {
    const suffix = driver.version.replaceAll(".", "_");
    this.driver = driver;
    this.topic = `Topic_${suffix}`;
    this.group = `Group_${suffix}`;
    this.#namesrv = namesrv;
  }

  /** Runs a command and keeps its output under a name. */
  async admin(name: string, ...args: string[]): Promise<string> {
    const output = await this.driver.admin(...args, "-n", this.#namesrv);
    this.printed.set(name, output);
    return output;
  }

  /** Repeats a command until its output holds a text; keeps the last output. */
  async adminUntil(text: string, name: string, ...args: string[]): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (!(await this.admin(name, ...args)).includes(text) && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async run(name: string, scenario: string, args: Record<string, string | number> = {}): Promise<Result> {
    const common = { namesrv: this.#namesrv, topic: this.topic, group: this.group };
    const result = await this.driver.run(scenario, { ...common, ...args });
    this.results.set(name, result);
    return result;
  }

  hold(): ReturnType<Driver["hold"]> {
    return this.driver.hold("HoldClients", { namesrv: this.#namesrv, topic: this.topic, group: this.group });
  }

  /** The output of a step; fails with it when a Java exception is in it. */
  output(name: string): string {
    const output = this.printed.get(name);
    assert.ok(output !== undefined, `step ${name} has not run`);
    assert.doesNotMatch(output, /Exception/);
    return output;
  }

  /** The lines of a step's table, each as its words. */
  rows(name: string): string[][] {
    return this.output(name).split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"))
      .map((line) => line.trim().split(/\s+/));
  }

  /** The `key = value` or `key : value` lines of a step. */
  settings(name: string): Record<string, string> {
    const lines = this.output(name).split("\n").map((line) => /^(\S+)\s*[=:]\s+(.*?)\s*$/.exec(line));
    return Object.fromEntries(lines.filter((match) => match !== null).map(([, key, value]) => [key, value]));
  }

  /** The route that topicRoute printed; Java leaves numeric keys without quotes. */
  // deno-lint-ignore no-explicit-any
  route(name: string): any {
    return JSON.parse(this.output(name).replace(/([{,]\s*)(\d+):/g, '$1"$2":'));
  }

  result(name: string): Result {
    const result = this.results.get(name);
    assert.ok(result !== undefined, `step ${name} has not run`);
    return result;
  }

  get is5x(): boolean {
    return this.driver.version.startsWith("5.");
  }
}

interface World {
  readonly workspace: Workspace;
  readonly nameServer: NameServer;
  readonly site: BrokerSite;
  readonly broker: Child;
  readonly sessions: ReadonlyMap<ApacheVersion, Session>;
  /** Why a session broke off, by version. */
  readonly failures: ReadonlyMap<ApacheVersion, unknown>;
}

async function startWorld(): Promise<World> {
  const workspace = await Workspace.create();
  const nameServer = await startNameServer(underTest, workspace);
  const site = await newBrokerSite(workspace, {
    name: BROKER,
    cluster: CLUSTER,
    namesrv: nameServer.address,
    properties: { autoCreateTopicEnable: false },
  });
  const [broker, ...drivers] = await Promise.all([
    startBroker(underTest, site, workspace),
    ...presentVersions().map((version) => Driver.start(version, workspace)),
  ]);
  await drivers[0].mustRun("AwaitBrokers", { namesrv: nameServer.address, brokers: BROKER });

  const sessions = new Map(
    drivers.map((driver) => [driver.version, new Session(driver, nameServer.address)]),
  );
  const failures = new Map<ApacheVersion, unknown>();
  const guarded = async (session: Session, part: (session: Session, site: BrokerSite) => Promise<void>) => {
    try {
      if (!failures.has(session.driver.version)) await part(session, site);
    } catch (error) {
      failures.set(session.driver.version, error);
    }
  };
  await Promise.all([...sessions.values()].map((session) => guarded(session, lookAround)));
  for (const session of sessions.values()) await guarded(session, changeTheCluster);
  return { workspace, nameServer, site, broker, sessions, failures };
}

/** What the versions can do at the same time. */
async function lookAround(session: Session, site: BrokerSite): Promise<void> {
  const { topic, group } = session;
  await session.admin("updateTopic", "updateTopic", "-c", CLUSTER, "-t", topic, "-r", "6", "-w", "4");
  await session.admin("updateSubGroup", "updateSubGroup", "-c", CLUSTER, "-g", group, "-r", "3", "-q", "2");
  await Promise.all([
    session.admin("topicRoute", "topicRoute", "-t", topic),
    session.admin("topicList", "topicList"),
    session.admin("topicListOfClusters", "topicList", "-c"),
    session.admin("emptyTopicStatus", "topicStatus", "-t", topic),
    session.admin("getConsumerConfig", "getConsumerConfig", "-g", group),
  ]);

  const sent = await session.run("send", "SendMany", { prefix: "m", count: 6 });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const middle = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 100));
  await session.run("unknownTopic", "UnknownTopic", { known: topic, topic: `Nowhere_${topic}` });
  await session.run("consume", "ConsumeSome", { expect: 7 });

  const held = session.hold();
  await held.printed("RECV");
  const [message] = sent.all("SENT");
  const byId = session.is5x ? ["-t", topic] : [];
  await Promise.all([
    session.adminUntil("Diff Total: 0", "consumerProgress", "consumerProgress", "-g", group),
    session.admin("consumerProgressOfAll", "consumerProgress"),
    session.adminUntil(" JAVA ", "consumerConnection", "consumerConnection", "-g", group),
    session.adminUntil(" JAVA ", "producerConnection", "producerConnection", "-g", `p_${topic}`, "-t", topic),
    session.admin("topicStatus", "topicStatus", "-t", topic),
    session.admin("queryMsgById", "queryMsgById", ...byId, "-i", message?.offsetMsgId ?? "none"),
    session.admin("queryMsgByKey", "queryMsgByKey", "-t", topic, "-k", "m-2"),
    session.admin("queryMsgByUniqueKey", "queryMsgByUniqueKey", "-t", topic, "-i", message?.msgId ?? "none"),
    session.admin("clusterList", "clusterList"),
    session.admin("clusterListOfTotals", "clusterList", "-m"),
    session.admin("brokerStatus", "brokerStatus", "-b", site.address),
    session.admin("getBrokerConfig", "getBrokerConfig", "-b", site.address),
    session.admin("getNamesrvConfig", "getNamesrvConfig"),
  ]);
  held.release();
  await held.result;

  await session.admin(
    "resetOffsetByTime",
    "resetOffsetByTime",
    "-g",
    group,
    "-t",
    topic,
    "-s",
    String(middle),
  );
  await session.admin("progressAfterReset", "consumerProgress", "-g", group);
  await session.run("consumeAfterReset", "ConsumeSome", { expect: 2, limitSeconds: 90 });
}

/** What others would notice: permissions, settings, and the end of the topic and the group. */
async function changeTheCluster(session: Session, site: BrokerSite): Promise<void> {
  const { topic, group } = session;
  await session.admin("wipeWritePerm", "wipeWritePerm", "-b", BROKER);
  await session.admin("routeWithoutWrite", "topicRoute", "-t", topic);
  await session.admin("addWritePerm", "addWritePerm", "-b", BROKER);
  await session.admin("routeWithWrite", "topicRoute", "-t", topic);

  await session.admin("updateNamesrvConfig", "updateNamesrvConfig", "-k", "orderMessageEnable", "-v", "true");
  await session.admin("changedNamesrvConfig", "getNamesrvConfig");
  const entry = ["-s", "ORDER_TOPIC_CONFIG", "-k", topic];
  await session.admin("updateKvConfig", "updateKvConfig", ...entry, "-v", `${BROKER}:3`);
  await session.admin("routeWithOrder", "topicRoute", "-t", topic);
  await session.admin("deleteKvConfig", "deleteKvConfig", ...entry);
  await session.admin("routeWithoutOrder", "topicRoute", "-t", topic);
  await session.admin(
    "restoreNamesrvConfig",
    "updateNamesrvConfig",
    "-k",
    "orderMessageEnable",
    "-v",
    "false",
  );

  const acceptFrom = (name: string, timestampMs: number) => {
    const change = ["-k", "startAcceptSendRequestTimeStamp", "-v", String(timestampMs)];
    return session.admin(name, "updateBrokerConfig", "-b", site.address, ...change);
  };
  await acceptFrom("updateBrokerConfig", NEXT_CENTURY);
  await session.admin("changedBrokerConfig", "getBrokerConfig", "-b", site.address);
  await session.run("sendTooEarly", "SendMany", { prefix: "early", count: 1 });
  await acceptFrom("restoreBrokerConfig", 0);
  await session.run("sendInTime", "SendMany", { prefix: "late", count: 1 });

  await session.admin("deleteSubGroup", "deleteSubGroup", "-c", CLUSTER, "-g", group, "-r", "true");
  await session.admin("configOfDeletedGroup", "getConsumerConfig", "-g", group);
  await session.admin("deleteTopic", "deleteTopic", "-c", CLUSTER, "-t", topic);
  await session.admin("routeOfDeletedTopic", "topicRoute", "-t", topic);
  await session.admin("topicListAfterDelete", "topicList");
}

const world = lazily(startWorld);

interface Check {
  readonly name: string;
  readonly onlyRmq?: (version: ApacheVersion) => boolean;
  readonly check: (session: Session, world: World) => void;
}

const CHECKS: Check[] = [
  {
    name: "updateTopic creates the topic at every master of the cluster",
    check(session, { site }) {
      const output = session.output("updateTopic");
      assert.match(output, new RegExp(`create topic to ${site.address} success\\.`));
      assert.match(
        output,
        new RegExp(`topicName=${session.topic}, readQueueNums=6, writeQueueNums=4, perm=RW-`),
      );
    },
  },
  {
    name: "topicRoute prints the broker's address and the topic's queues",
    check(session, { site }) {
      const route = session.route("topicRoute");
      assert.equal(route.brokerDatas.length, 1);
      assert.deepEqual(route.brokerDatas[0].brokerAddrs, { "0": site.address });
      assert.deepEqual([route.brokerDatas[0].brokerName, route.brokerDatas[0].cluster], [BROKER, CLUSTER]);
      assert.equal(route.queueDatas.length, 1);
      const { brokerName, perm, readQueueNums, writeQueueNums, topicSysFlag } = route.queueDatas[0];
      assert.deepEqual([brokerName, perm, readQueueNums, writeQueueNums, topicSysFlag], [BROKER, 6, 6, 4, 0]);
    },
  },
  {
    name: "topicList prints the topic and those that every broker has",
    check(session) {
      const topics = session.rows("topicList").map(([topic]) => topic);
      for (
        const topic of [
          session.topic,
          BROKER,
          CLUSTER,
          "SCHEDULE_TOPIC_XXXX",
          "BenchmarkTest",
          "SELF_TEST_TOPIC",
        ]
      ) {
        assert.ok(topics.includes(topic), `${topic} in ${topics}`);
      }
      assert.ok(!topics.includes("TBW102"), "no template where topics are not created automatically");
      const withClusters = session.rows("topicListOfClusters").map((words) => words.slice(0, 2).join(" "));
      assert.ok(withClusters.includes(`${CLUSTER} ${session.topic}`));
    },
  },
  {
    name: "topicStatus prints the offsets of every queue and when it last changed",
    check(session) {
      const queues = (step: string) => session.rows(step).filter(([first]) => first === BROKER);
      const empty = queues("emptyTopicStatus");
      assert.deepEqual(
        empty.map((row) => row.join(" ")),
        [0, 1, 2, 3, 4, 5].map((id) => `${BROKER} ${id} 0 0`),
      );
      const filled = queues("topicStatus");
      assert.equal(filled.reduce((sum, [, , min, max]) => sum + Number(max) - Number(min), 0), 8);
      for (const [, , , max, ...updated] of filled) assert.equal(updated.length, Number(max) > 0 ? 2 : 0);
    },
  },
  {
    name: "a send to a topic nobody created is refused with TOPIC_NOT_EXIST (17) where auto-create is off",
    check(session) {
      const result = session.result("unknownTopic");
      assert.equal(result.failure, undefined);
      assert.deepEqual(result.column("SENT", "status"), ["SEND_OK"]);
      assert.deepEqual(result.all("REFUSED").map((r) => `${r.by} ${r.code}`), ["client 10005", "broker 17"]);
    },
  },
  {
    name: "updateSubGroup sets what getConsumerConfig prints",
    check(session, { site }) {
      assert.match(
        session.output("updateSubGroup"),
        new RegExp(`create subscription group to ${site.address} success\\.`),
      );
      assert.match(session.output("getConsumerConfig"), new RegExp(`=${CLUSTER}:${BROKER}=`));
      const settings = session.settings("getConsumerConfig");
      assert.deepEqual(
        [settings.groupName, settings.retryMaxTimes, settings.retryQueueNums, settings.consumeEnable],
        [session.group, "3", "2", "true"],
      );
    },
  },
  {
    name: "consumerProgress prints the group's offsets and that nothing is left",
    check(session) {
      const rows = session.rows("consumerProgress").filter(([topic]) => topic === session.topic);
      assert.ok(rows.length >= 4, `${rows.length} queues`);
      for (const [, brokerName, , brokerOffset, consumerOffset, diff] of rows) {
        assert.deepEqual([brokerName, consumerOffset, diff], [BROKER, brokerOffset, "0"]);
      }
      assert.equal(rows.reduce((sum, row) => sum + Number(row[3]), 0), 8);
      assert.match(session.output("consumerProgress"), /Diff Total: 0/);
    },
  },
  {
    name: "consumerProgress without a group prints the group, its client and its model",
    check(session) {
      const row = session.rows("consumerProgressOfAll").find(([group]) => group === session.group);
      assert.ok(row, session.output("consumerProgressOfAll"));
      const version = `V${session.driver.version.replaceAll(".", "_")}`;
      assert.deepEqual(row.slice(1, 5), ["1", version, "PUSH", "CLUSTERING"]);
    },
  },
  {
    name: "consumerConnection prints the connected client and what it subscribes to",
    check(session) {
      const output = session.output("consumerConnection");
      const version = `V${session.driver.version.replaceAll(".", "_")}`;
      assert.match(output, new RegExp(`@interop-\\S+ +127\\.0\\.0\\.1:\\d+ +JAVA +${version}`));
      assert.match(output, new RegExp(`${session.topic} +TagA \\|\\| TagB`));
      assert.match(output, new RegExp(`%RETRY%${session.group} +\\*`));
      assert.match(output, /ConsumeType: CONSUME_PASSIVELY/);
      assert.match(output, /MessageModel: CLUSTERING/);
      assert.match(output, /ConsumeFromWhere: CONSUME_FROM_FIRST_OFFSET/);
    },
  },
  {
    name: "producerConnection prints the connected client",
    check(session) {
      const version = `V${session.driver.version.replaceAll(".", "_")}`;
      assert.match(
        session.output("producerConnection"),
        new RegExp(`^0001 +\\S+@interop-\\S+ +127\\.0\\.0\\.1:\\d+ +JAVA +${version}`),
      );
    },
  },
  {
    name: "queryMsgById prints the message and that the group consumed it",
    check: (session) => assertMessage(session, "queryMsgById"),
  },
  {
    name: "queryMsgByUniqueKey prints the message and that the group consumed it",
    check: (session) => assertMessage(session, "queryMsgByUniqueKey"),
  },
  {
    name: "queryMsgByKey prints the id, queue and offset of the message",
    check(session) {
      const sent = session.result("send").all("SENT")[2];
      const rows = session.rows("queryMsgByKey").map((words) => words.slice(0, 3));
      assert.deepEqual(rows, [[sent.msgId, sent.queueId, sent.queueOffset]]);
    },
  },
  {
    name: "clusterList prints the broker, its address and version",
    // mqadmin 4.9.7 dies of a statistic that Apache 5.4.0 has renamed.
    onlyRmq: (version) => version === "4.9.7",
    check(session, { site }) {
      const [row] = session.rows("clusterList");
      assert.deepEqual(row.slice(0, 4), [CLUSTER, BROKER, "0", site.address]);
      assert.match(row[4], /^V[45]_\d+_\d+$/);
    },
  },
  {
    name: "clusterList -m counts today's messages",
    check(session) {
      const [row] = session.rows("clusterListOfTotals");
      assert.deepEqual(row.slice(0, 4), [CLUSTER, BROKER, "0", "0"]);
      assert.ok(Number(row[4]) >= 8 && Number(row[5]) >= 8, row.join(" "));
    },
  },
  {
    name: "brokerStatus prints the statistics that tools count on",
    check(session) {
      const status = session.settings("brokerStatus");
      assert.match(status.brokerVersionDesc, /^V[45]_\d+_\d+$/);
      assert.ok(Number(status.msgPutTotalTodayNow) >= 8);
      assert.ok(Number(status.commitLogMaxOffset) > 0);
      assert.equal(status.commitLogMinOffset, "0");
      assert.ok(Math.abs(Number(status.bootTimestamp) - Date.now()) < 600_000);
      assert.match(status.runtime, /^\[ 0 days, 0 hours, \d+ minutes, \d+ seconds \]$/);
      for (const tps of ["putTps", "getFoundTps", "getMissTps", "getTotalTps"]) {
        assert.match(status[tps], /^\d/);
      }
    },
  },
  {
    name: "getBrokerConfig prints the broker's settings",
    check(session, { site }) {
      const settings = session.settings("getBrokerConfig");
      const keys = [
        "brokerName",
        "brokerClusterName",
        "listenPort",
        "storePathRootDir",
        "autoCreateTopicEnable",
      ];
      for (const key of [...keys, "mappedFileSizeCommitLog", "namesrvAddr"]) {
        assert.equal(settings[key], String(site.properties[key]), key);
      }
      assert.deepEqual([settings.flushDiskType, settings.brokerRole], ["ASYNC_FLUSH", "ASYNC_MASTER"]);
    },
  },
  {
    name: "updateBrokerConfig changes a setting at once",
    check(session, { site }) {
      assert.match(
        session.output("updateBrokerConfig"),
        new RegExp(`update broker config success, ${site.address}`),
      );
      const settings = session.settings("changedBrokerConfig");
      assert.equal(settings.startAcceptSendRequestTimeStamp, String(NEXT_CENTURY));
      assert.match(session.result("sendTooEarly").failure ?? "", /CODE: 1 /);
      assert.equal(session.result("sendInTime").failure, undefined);
    },
  },
  {
    name: "resetOffsetByTime sets the group back to a time",
    check(session) {
      const sentBefore = session.result("send").column("SENT", "queueId");
      const rows = session.rows("resetOffsetByTime").filter(([first]) => first === BROKER);
      assert.equal(rows.length, 6, "every read queue");
      for (const [, queueId, offset] of rows) {
        assert.equal(Number(offset), sentBefore.filter((id) => id === queueId).length, `queue ${queueId}`);
      }
      assert.match(session.output("progressAfterReset"), /Diff Total: 2\n/);
      const consumed = session.result("consumeAfterReset");
      assert.equal(consumed.failure, undefined);
      assert.deepEqual(consumed.column("RECV", "body").sort(), ["held 0", "the topic exists"]);
    },
  },
  {
    name: "wipeWritePerm takes the write permission from the broker's routes, addWritePerm gives it back",
    check(session, { nameServer }) {
      const said = (what: string) =>
        new RegExp(
          `${what} write perm of broker\\[${BROKER}\\] in name server\\[${nameServer.address}\\] OK, (\\d+)`,
        );
      assert.ok(Number(said("wipe").exec(session.output("wipeWritePerm"))?.[1]) > 5);
      assert.equal(session.route("routeWithoutWrite").queueDatas[0].perm, 4);
      assert.ok(Number(said("add").exec(session.output("addWritePerm"))?.[1]) > 5);
      assert.equal(session.route("routeWithWrite").queueDatas[0].perm, 6);
    },
  },
  {
    name: "getNamesrvConfig prints the name server's settings",
    check(session, { nameServer }) {
      assert.match(session.output("getNamesrvConfig"), new RegExp(`=${nameServer.address}=`));
      const settings = session.settings("getNamesrvConfig");
      assert.equal(settings.listenPort, nameServer.address.split(":")[1]);
      assert.equal(settings.orderMessageEnable, "false");
    },
  },
  {
    name: "updateNamesrvConfig changes a setting at once",
    check(session, { nameServer }) {
      assert.match(
        session.output("updateNamesrvConfig"),
        new RegExp(`update name server config success!\\[${nameServer.address}\\]`),
      );
      assert.equal(session.settings("changedNamesrvConfig").orderMessageEnable, "true");
    },
  },
  {
    name: "updateKvConfig and deleteKvConfig change what the name server tells, here a topic's order",
    check(session) {
      assert.match(session.output("updateKvConfig"), /create or update kv config to namespace success/);
      assert.equal(session.route("routeWithOrder").orderTopicConf, `${BROKER}:3`);
      assert.match(session.output("deleteKvConfig"), /delete kv config from namespace success/);
      assert.ok(!session.route("routeWithoutOrder").orderTopicConf);
    },
  },
  {
    name: "deleteSubGroup removes the group",
    check(session, { site }) {
      const said =
        `delete subscription group [${session.group}] from broker [${site.address}] in cluster [${CLUSTER}]`;
      assert.ok(
        session.output("deleteSubGroup").includes(`${said} success`),
        session.output("deleteSubGroup"),
      );
      assert.equal(session.settings("configOfDeletedGroup").groupName, undefined);
    },
  },
  {
    name: "deleteTopic removes the topic from the brokers and the name server",
    check(session) {
      const output = session.output("deleteTopic");
      assert.ok(output.includes(`delete topic [${session.topic}] from cluster [${CLUSTER}] success`), output);
      assert.ok(output.includes(`delete topic [${session.topic}] from NameServer success`), output);
      assert.match(session.printed.get("routeOfDeletedTopic") ?? "", /CODE: 17/);
      const topics = session.rows("topicListAfterDelete").map(([topic]) => topic);
      assert.ok(!topics.includes(session.topic));
    },
  },
];

function assertMessage(session: Session, step: string): void {
  const [sent] = session.result("send").all("SENT");
  const settings = session.settings(step);
  assert.equal(settings["Topic"], session.topic);
  const lines = session.output(step).split("\n").map((line) => line.replace(/\s+/g, " ").trim());
  for (
    const line of [
      "Tags: [TagA]",
      "Keys: [m-0]",
      `Queue ID: ${sent.queueId}`,
      `Queue Offset: ${sent.queueOffset}`,
      `CommitLog Offset: ${parseInt(sent.offsetMsgId.slice(16), 16)}`,
      "Reconsume Times: 0",
      "System Flag: 0",
    ]
  ) {
    assert.ok(lines.includes(line), `${line} in\n${lines.join("\n")}`);
  }
  assert.match(session.output(step), new RegExp(`UNIQ_KEY=${sent.msgId}`));
  assert.match(
    session.output(step),
    new RegExp(`MessageTrack \\[consumerGroup=${session.group}, trackType=CONSUMED, exceptionDesc=null\\]`),
  );
}

for (const version of VERSIONS) {
  for (const { name, check, onlyRmq } of CHECKS) {
    interopTest(
      `mqadmin ${version}: ${name}`,
      { needs: [version], onlyRmq: onlyRmq?.(version) },
      async () => {
        const started = await world.get();
        if (started.failures.has(version)) throw started.failures.get(version);
        check(started.sessions.get(version)!, started);
      },
    );
  }
}

interopTest("mqadmin's servers end when they are told to", { needs: VERSIONS }, async () => {
  const started = await world.started();
  if (!started) return;
  for (const { driver } of started.sessions.values()) await driver.stop();
  await started.broker.stop();
  await started.nameServer.child.stop();
  await started.workspace.remove();
  await removeBodies([...started.sessions.values()]);
});

async function removeBodies(sessions: readonly Session[]): Promise<void> {
  const ids = sessions.flatMap((session) => session.results.get("send")?.column("SENT", "msgId") ?? []);
  for (const name of await readdir(BODIES).catch(() => [])) {
    if (ids.includes(name)) await rm(join(BODIES, name));
  }
  await rmdir(BODIES).catch(() => {}); // others' files keep it
  await rmdir(join(BODIES, "..")).catch(() => {});
}
