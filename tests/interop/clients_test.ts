// SPDX-License-Identifier: Apache-2.0
/**
 * Stock Java clients of two generations against one name server and broker. One JVM per version runs all its scenarios
 * at once, each with a topic and a group of its own; then the broker is restarted for what must survive that.
 */
import assert from "node:assert/strict";
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

interface Case {
  readonly name: string;
  readonly scenario: string;
  readonly args?: Record<string, string | number>;
  /** Only clients of 5.x have it. */
  readonly only5x?: boolean;
  readonly onlyRmq?: boolean;
  readonly check: (result: Result, version: ApacheVersion) => void;
}

const numbers = (texts: string[]) => texts.map(Number);
const sorted = (texts: string[]) => [...texts].sort();
const unique = (texts: string[]) => [...new Set(texts)];

/** Every message that was acknowledged can be read at the queue and offset of its acknowledgement, and nothing else. */
function assertStoredAsAcknowledged(result: Result, by = "pull"): void {
  const place = (fields: Record<string, string>) =>
    `${fields.body} @ ${fields.queueId}:${fields.queueOffset}`;
  assert.deepEqual(sorted(result.all("RECV", { by }).map(place)), sorted(result.all("SENT").map(place)));
}

/** The first few may come twice: the second consumer joins while they are being consumed. */
function assertShared(result: Result): void {
  const shared = result.all("RECV").filter((received) => received.body.startsWith("shared"));
  const sent = result.column("SENT", "body").filter((body) => body.startsWith("shared"));
  assert.deepEqual(sorted(shared.map((received) => received.body)), sorted(sent));
  assert.deepEqual(sorted(unique(shared.map((received) => received.by))), ["first", "second"]);
}

/** For scenarios on the broker that deletes old files at once; its topics are created by hand. */
const OLD = { cluster: "ClusterOld", limitSeconds: 150 };

const CASES: Case[] = [
  {
    name: "a synchronous send is acknowledged with the queue and offset where the message can be read",
    scenario: "SendSync",
    check(result) {
      assert.deepEqual(unique(result.column("SENT", "status")), ["SEND_OK"]);
      assert.equal(result.all("SENT").length, 8);
      assertStoredAsAcknowledged(result);
      const offsetIds = result.column("SENT", "offsetMsgId");
      assert.equal(unique(offsetIds).length, 8);
      for (const id of offsetIds) assert.match(id, /^7F000001[0-9A-F]{24}$/);
    },
  },
  {
    name:
      "the first send creates its topic with four queues, and name servers know it when it is acknowledged",
    scenario: "SendSync",
    check(result) {
      assert.equal(result.value("queuesBefore"), "0");
      assert.equal(result.value("queuesAfterFirst"), "4");
    },
  },
  {
    name: "asynchronous sends are all acknowledged and stored once",
    scenario: "SendAsync",
    check(result) {
      assert.equal(result.value("allAnswered"), "true");
      assert.deepEqual(result.all("REFUSED"), []);
      assert.equal(result.all("SENT").length, 50);
      assertStoredAsAcknowledged(result);
    },
  },
  {
    name: "one-way sends are stored",
    scenario: "SendOneway",
    check(result) {
      const oneway = result.column("RECV", "body").filter((body) => body.startsWith("oneway"));
      assert.deepEqual(sorted(oneway), sorted(Array.from({ length: 10 }, (_, i) => `oneway ${i}`)));
    },
  },
  {
    name: "a batch lies in one queue at consecutive offsets, with an id for each message",
    scenario: "SendBatch",
    check(result) {
      const [batch] = result.all("BATCH");
      assert.equal(batch.status, "SEND_OK");
      assert.equal(unique(batch.msgIds.split(",")).length, 20);
      assert.equal(unique(batch.offsetMsgIds.split(",")).length, 20);
      const received = result.all("RECV").filter((fields) => fields.body.startsWith("batch"));
      const first = Number(batch.queueOffset);
      const wanted = Array.from({ length: 20 }, (_, i) => `batch ${i} @ ${batch.queueId}:${first + i}`);
      assert.deepEqual(received.map((r) => `${r.body} @ ${r.queueId}:${r.queueOffset}`), wanted);
    },
  },
  {
    name: "a held pull is answered when a message arrives, long before its time is over",
    scenario: "LongPolling",
    check(result) {
      assert.equal(result.value("answeredBeforeArrival"), "false");
      assert.equal(result.value("status"), "FOUND");
      assert.deepEqual(result.column("RECV", "body", { by: "held" }), ["late 0"]);
      assert.ok(Number(result.value("answeredAfterSendMs")) < 3000, result.value("answeredAfterSendMs"));
    },
  },
  {
    name: "a held pull without arrivals is answered when its time is over",
    scenario: "LongPolling",
    check(result) {
      const heldMs = Number(result.value("emptyHeldMs"));
      assert.ok(heldMs >= 900 && heldMs < 12_000, `${heldMs} ms`);
      assert.equal(result.value("emptyStatus"), "NO_NEW_MSG");
      assert.equal(result.value("emptyNextOffset"), "1");
    },
  },
  {
    name: "a pull at the end, beyond it, or without matching tags says so and where to go on",
    scenario: "PullStates",
    check(result) {
      const pull = (name: string) => {
        const { status, found, next, min, max } = result.all("PULL", { name })[0];
        return `${status} found ${found}, next ${next} in [${min}, ${max}]`;
      };
      assert.equal(pull("atEnd"), "NO_NEW_MSG found 0, next 3 in [0, 3]");
      assert.equal(pull("beyondEnd"), "OFFSET_ILLEGAL found 0, next 3 in [0, 3]");
      assert.equal(pull("noTagMatches"), "NO_MATCHED_MSG found 0, next 3 in [0, 3]");
      assert.equal(pull("one"), "FOUND found 1, next 2 in [0, 3]");
    },
  },
  {
    name: "a tag filter delivers what it names, and nothing of equal hash code",
    scenario: "TagFilter",
    check(result) {
      const bodies = unique(result.all("RECV").map((fields) => `${fields.msgId} ${fields.body}`));
      assert.deepEqual(sorted(bodies.map((text) => text.split(" ")[1])), [
        "Aa",
        "TagA",
        "TagA",
        "TagB",
        "TagB",
      ]);
    },
  },
  {
    name: "a group's offsets pass messages that its filter leaves out",
    scenario: "TagFilter",
    check(result) {
      assert.ok(Number(result.value("offsetsAtEndAfterMs")) < 30_000);
    },
  },
  {
    name: "a joining consumer gets its share at once, because the broker tells the group",
    scenario: "GroupMembership",
    check(result) {
      assert.ok(Number(result.value("sharedAfterMs")) < 8000, result.value("sharedAfterMs"));
    },
  },
  {
    name: "queues of a leaving consumer are taken over at once",
    scenario: "GroupMembership",
    check(result) {
      assert.ok(Number(result.value("takenBackAfterMs")) < 5000, result.value("takenBackAfterMs"));
    },
  },
  {
    name: "offsets are found by time",
    scenario: "OffsetsByTime",
    check(result) {
      const timed = result.all("TIMED");
      assert.deepEqual(numbers(timed.map((t) => t.queueOffset)), [0, 1, 2, 3, 4, 5]);
      assert.deepEqual(numbers(timed.map((t) => t.atItsTime)), [0, 1, 2, 3, 4, 5]);
      assert.deepEqual(numbers(timed.map((t) => t.justAfter)).slice(0, 5), [1, 2, 3, 4, 5]);
      assert.equal(result.value("atZero"), "0");
      assert.equal(result.value("inTheFuture"), "6");
    },
  },
  {
    name: "a queue's minimum and maximum offset and earliest time are known",
    scenario: "OffsetsByTime",
    check(result) {
      assert.equal(result.value("min"), "0");
      assert.equal(result.value("max"), "6");
      assert.equal(result.value("earliestMinusFirst"), "0");
    },
  },
  {
    name: "orderly consumption keeps the order of every queue while a second consumer joins",
    scenario: "Orderly",
    args: { limitSeconds: 150 },
    check(result) {
      const received = result.all("RECV");
      assert.deepEqual(sorted(unique(received.map((r) => r.body))), sorted(result.column("SENT", "body")));
      for (const queueId of unique(result.column("SENT", "queueId"))) {
        const offsets = unique(received.filter((r) => r.queueId === queueId).map((r) => r.queueOffset)).map(
          Number,
        );
        assert.deepEqual(offsets, [...offsets].sort((a, b) => a - b), `order of queue ${queueId}`);
      }
    },
  },
  {
    name: "a queue's lock keeps two orderly consumers from working on it at the same time",
    scenario: "Orderly",
    args: { limitSeconds: 150 },
    check(result) {
      assert.equal(result.value("overlaps"), "0");
      const after = result.all("RECV").filter((r) => r.body.startsWith("after"));
      assert.deepEqual(sorted(unique(after.map((r) => r.by))), ["first", "second"]);
      const pairs = unique(after.map((r) => `${r.queueId} ${r.by}`));
      assert.equal(pairs.length, 4, `each queue has one consumer: ${pairs}`);
    },
  },
  {
    name: "a message is found by its offset id",
    scenario: "ViewAndQuery",
    check(result) {
      const [sent] = result.all("SENT");
      const [found] = result.all("RECV", { by: "offsetId" });
      assert.deepEqual(
        [found.body, found.queueId, found.queueOffset, found.tags, found.keys],
        ["looked for", sent.queueId, sent.queueOffset, "TagQ", "order-1 customer-7"],
      );
    },
  },
  {
    name: "a message is found by its unique key",
    scenario: "ViewAndQuery",
    check(result) {
      const [sent] = result.all("SENT");
      const [found] = result.all("RECV", { by: "uniqueKey" });
      assert.deepEqual([found.msgId, found.body], [sent.msgId, "looked for"]);
    },
  },
  {
    name: "messages are found by each of their keys, within a time range",
    scenario: "ViewAndQuery",
    check(result) {
      assert.deepEqual(result.column("RECV", "body", { by: "key" }), ["looked for"]);
      const shared = sorted(result.column("RECV", "body", { by: "sharedKey" }));
      assert.deepEqual(shared, ["looked for", "other 0", "other 1", "other 2"]);
      assert.equal(result.value("keyOfNobody"), "0");
      assert.equal(result.value("keyInAnotherTime"), "0");
    },
  },
  {
    name: "RECONSUME_LATER brings a message back as it was, later, with a count",
    scenario: "ReconsumeLater",
    args: { limitSeconds: 90 },
    check(result) {
      for (const { body, msgId } of result.all("SENT")) {
        const deliveries = result.all("DELIVERY", { body });
        assert.deepEqual(numbers(deliveries.map((d) => d.reconsumeTimes)), [0, 1, 2], body);
        for (const delivery of deliveries) {
          assert.equal(delivery.msgId, msgId);
          assert.match(delivery.topic, /^ReconsumeLater/);
          assert.deepEqual([delivery.color, delivery.keys, delivery.tags], [
            "blue",
            body.replace(" ", "-"),
            "TagA",
          ]);
        }
        const at = numbers(deliveries.map((d) => d.atMs));
        assert.ok(at[1] - at[0] >= 900 && at[2] - at[1] >= 900, `delays of a second: ${at}`);
      }
    },
  },
  {
    name: "a message refused too often lies in the group's dead-letter topic, which can be read",
    scenario: "DeadLetter",
    args: { limitSeconds: 90 },
    check(result) {
      assert.deepEqual(numbers(result.column("RECV", "reconsumeTimes")), [0, 1]);
      const dead = result.all("DEAD");
      assert.equal(dead.length, 1);
      const [sent] = result.all("SENT");
      assert.match(dead[0].topic, /^%DLQ%/);
      assert.deepEqual([dead[0].body, dead[0].keys, dead[0].tags, dead[0].color], [
        "poison 0",
        "poison-0",
        "TagA",
        "green",
      ]);
      assert.match(dead[0].retryTopic, /^DeadLetter/);
      assert.equal(dead[0].originMessageId, sent.offsetMsgId);
    },
  },
  {
    name: "a message with a delay level is delivered when its time has come, as it was",
    scenario: "DelayLevel",
    check(result) {
      const after = (level: number) => Number(result.all("DELIVERY", { level: String(level) })[0].afterMs);
      assert.ok(after(1) >= 950 && after(1) < 6000, `level 1 after ${after(1)} ms`);
      assert.ok(after(2) >= 2950 && after(2) < 8000, `level 2 after ${after(2)} ms`);
      assert.ok(after(0) < 3000, `no delay: after ${after(0)} ms`);
      for (const delivery of result.all("DELIVERY")) {
        assert.match(delivery.topic, /^DelayLevel/);
        assert.deepEqual([delivery.tags, delivery.color], ["TagA", "red"]);
      }
    },
  },
  {
    name: "a new group on a young queue begins with its first message, even from LAST_OFFSET",
    scenario: "ConsumeSome",
    args: { from: "LAST", sendBefore: 6, expect: 6 },
    check(result) {
      assert.deepEqual(sorted(unique(result.column("RECV", "body"))), sorted(result.column("SENT", "body")));
    },
  },
  {
    name: "a new group from FIRST_OFFSET begins with the oldest message that is left",
    scenario: "ConsumeFrom",
    args: OLD,
    check(result) {
      const offsets = numbers(result.column("RECV", "queueOffset", { by: "FIRST" })).sort((a, b) => a - b);
      assert.ok(offsets[0] > 0 && offsets[0] <= Number(result.value("min")), `first ${offsets[0]}`);
      const wanted = Array.from(
        { length: Number(result.value("max")) - offsets[0] },
        (_, i) => offsets[0] + i,
      );
      assert.deepEqual([...new Set(offsets)], wanted);
    },
  },
  {
    name: "a new group from LAST_OFFSET gets what is sent from then on, where the queue's start is gone",
    scenario: "ConsumeFrom",
    args: OLD,
    check(result) {
      const bodies = unique(result.column("RECV", "body", { by: "LAST" }));
      assert.deepEqual(sorted(bodies), ["new 0", "new 1", "new 2"]);
    },
  },
  {
    name: "a new group from TIMESTAMP gets what was stored since then, where the queue's start is gone",
    scenario: "ConsumeFrom",
    args: OLD,
    check(result) {
      const bodies = unique(result.column("RECV", "body", { by: "TIMESTAMP" }));
      assert.deepEqual(sorted(bodies), ["new 0", "new 1", "new 2", "timed 0", "timed 1", "timed 2"]);
    },
  },
  {
    name: "clustering consumers share the messages, each delivered once",
    scenario: "Clustering",
    args: { model: "CLUSTERING" },
    check: assertShared,
  },
  {
    name: "broadcasting consumers each get every message",
    scenario: "Clustering",
    args: { model: "BROADCASTING" },
    check(result) {
      for (const by of ["first", "second"]) {
        assert.deepEqual(
          sorted(result.column("RECV", "body", { by })),
          sorted(result.column("SENT", "body")),
          by,
        );
      }
    },
  },
  {
    name: "a lite pull consumer polls its subscription and goes on from its committed offsets",
    scenario: "LitePullSubscribe",
    check(result) {
      const bodies = (prefix: string) =>
        sorted(result.column("SENT", "body").filter((b) => b.startsWith(prefix)));
      assert.deepEqual(sorted(result.column("RECV", "body", { by: "first" })), bodies("one"));
      assert.deepEqual(sorted(result.column("RECV", "body", { by: "second" })), bodies("two"));
    },
  },
  {
    name: "a lite pull consumer reads the queues it assigned itself, and again from where it sought",
    scenario: "LitePullAssign",
    check(result) {
      assert.equal(result.value("fetchedQueues"), "4");
      const queueIds = result.value("assignedQueueIds")!.split(" ");
      const inQueues = (ids: string[], from: number) =>
        sorted(
          result.all("SENT").filter((sent) => ids.includes(sent.queueId) && Number(sent.queueOffset) >= from)
            .map((sent) => sent.body),
        );
      assert.deepEqual(
        sorted(unique(result.column("RECV", "body", { by: "assigned" }))),
        inQueues(queueIds, 0),
      );
      assert.deepEqual(sorted(result.column("RECV", "body", { by: "sought" })), inQueues([queueIds[0]], 2));
    },
  },
  {
    name: "a pull consumer reads queue by queue and keeps its offsets at the broker",
    scenario: "PullConsumer",
    check(result) {
      assertStoredAsAcknowledged(result);
      assert.deepEqual(unique(result.column("VALUE", "value", { name: "endStatus" })), ["NO_NEW_MSG"]);
      assert.equal(result.all("COMMITTED").length, 4);
      for (const { offset, max } of result.all("COMMITTED")) assert.equal(offset, max);
    },
  },
  {
    name: "bodies above 4 KiB travel compressed and arrive as they were",
    scenario: "Contents",
    check(result) {
      for (const key of ["compressed", "noise"]) {
        const [wanted] = result.all("WANTED", { key });
        const [got] = result.all("GOT", { key });
        assert.equal(got.body, wanted.body);
      }
      assert.ok(Number(result.all("GOT", { key: "compressed" })[0].storedBytes) < 5000);
    },
  },
  {
    name: "properties, keys, tags and flag arrive as they were sent, in any script",
    scenario: "Contents",
    check(result) {
      for (const key of ["rich key-2 ключ", "tiny"]) {
        const [{ body, flag, tags, user }] = result.all("WANTED", { key });
        const [got] = result.all("GOT", { key });
        assert.deepEqual([got.body, got.flag, got.tags, got.user], [body, flag, tags, user]);
        assert.equal(got.bornHost, "127.0.0.1");
      }
    },
  },
  {
    name: "a message above the size limit is refused with MESSAGE_ILLEGAL (13), one at the limit is stored",
    scenario: "TooLarge",
    check(result) {
      assert.deepEqual(result.all("REFUSED").map((r) => `${r.by} ${r.code}`), ["broker 13", "broker 13"]);
      assert.deepEqual(result.column("SENT", "status"), ["SEND_OK", "SEND_OK"]);
    },
  },
  {
    name: "an SQL92 subscription is refused where property filters are not enabled",
    scenario: "SqlFilter",
    check(result) {
      assert.equal(result.all("REFUSED").length, 1);
      assert.equal(result.all("REFUSED")[0].code, "1");
      assert.match(result.all("REFUSED")[0].remark, /filter/i);
      assert.deepEqual(result.all("RECV"), []);
    },
  },
  {
    name: "consumers with clientRebalance=false share the queues that the broker assigns",
    scenario: "AssignedByBroker",
    args: { model: "CLUSTERING" },
    only5x: true,
    check: assertShared,
  },
  {
    name: "messages for any moment come then, in their order, unless they are taken back",
    scenario: "Timer",
    only5x: true,
    check(result) {
      assert.deepEqual(unique(result.column("TIMED", "status")), ["SEND_OK"]);
      assert.deepEqual(unique(result.column("TIMED", "queueId")), [result.value("queueId")]);
      const hasHandle = result.all("TIMED").filter((timed) => timed.hasHandle === "true");
      assert.equal(hasHandle.length, result.all("TIMED").length - 1, "all but the one whose time was over");
      const same = Array.from({ length: 20 }, (_, i) => `same-${i}`).filter((name) => name !== "same-7");
      // Apache delivers those of one second by several threads.
      const inOrder = (names: string[]) => underTest === "rmq" ? names : sorted(names);
      assert.deepEqual(
        inOrder(result.column("CAME", "name")),
        inOrder(["over", "millis", "seconds", ...same]),
      );
      assert.deepEqual(
        numbers(result.column("CAME", "queueOffset")),
        Array.from({ length: 22 }, (_, i) => i),
      );
      for (const { name, body, tags, queueId, lateMs } of result.all("CAME")) {
        assert.deepEqual([body, tags, queueId], [`body of ${name}`, "TagB", result.value("queueId")]);
        assert.ok(Number(lateMs) >= 0, `${name} came ${-lateMs} ms early`);
      }
      const ids = new Map(result.all("TIMED").map(({ name, msgId }) => [name, msgId]));
      for (const { name, msgId } of result.all("CAME")) assert.equal(msgId, ids.get(name));
      assert.equal(result.value("recalled"), result.value("recalledId"));
      assert.equal(result.value("count"), "22");
      assert.deepEqual(result.all("REFUSED").map(({ by, code }) => `${by} ${code}`), [
        "broker 13",
        "client -1",
      ]);
      assert.match(
        result.all("REFUSED")[0].remark,
        /^CODE: 13 +DESC: timer message illegal|^timer message illegal/,
      );
    },
  },
];

/** What one version's clients do before and after a restart of the broker. */
interface Session {
  readonly driver: Driver;
  readonly results: ReadonlyMap<string, Promise<Result>>;
  readonly resumed: Promise<Resumed>;
}

interface Resumed {
  readonly first: Result;
  readonly afterConsumerRestart: Result;
  readonly sentBeforeRestart: readonly Result[];
  readonly afterBrokerRestart: Result;
  readonly storedAfterRestart: Result;
  /** What this version's clients read of the other version's `Contents`. */
  readonly contentsOfTheOther: Result | undefined;
}

interface World {
  readonly workspace: Workspace;
  readonly nameServer: NameServer;
  readonly site: BrokerSite;
  broker: Child;
  readonly oldBroker: Child;
  readonly sessions: Map<ApacheVersion, Session>;
}

const caseKey = (scenario: string, args: Record<string, string | number> = {}) =>
  `${scenario} ${JSON.stringify(args)}`;

async function startWorld(): Promise<World> {
  const workspace = await Workspace.create();
  const nameServer = await startNameServer(underTest, workspace);
  const site = await newBrokerSite(workspace, {
    name: "broker-a",
    cluster: "ClusterA",
    namesrv: nameServer.address,
    properties: { recallMessageEnable: true },
  });
  const oldSite = await newBrokerSite(workspace, {
    name: "broker-old",
    cluster: OLD.cluster,
    namesrv: nameServer.address,
    properties: {
      autoCreateTopicEnable: false, // or else the clients' topics would have queues here too
      mappedFileSizeCommitLog: 1 << 20,
      fileReservedTime: 0,
      // a log file goes only when the queues are durable that were made of it
      flushConsumeQueueThoroughInterval: 1000,
      deleteWhen: Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, "0")).join(";"),
    },
  });
  const [broker, oldBroker, ...drivers] = await Promise.all([
    startBroker(underTest, site, workspace),
    startBroker(underTest, oldSite, workspace),
    ...presentVersions().map((version) => Driver.start(version, workspace)),
  ]);
  const world: World = { workspace, nameServer, site, broker, oldBroker, sessions: new Map() };
  const brokers = `${site.name},${oldSite.name}`;
  await drivers[0].mustRun("AwaitBrokers", { namesrv: nameServer.address, brokers });

  const halfway = drivers.map((driver) => beforeRestart(driver, nameServer.address));
  const allScenarios = drivers.map((driver) => startScenarios(driver, nameServer.address));
  const restarted = (async () => {
    await Promise.all([...halfway, ...allScenarios.flatMap((results) => [...results.values()])]);
    await world.broker.stop();
    world.broker = await startBroker(underTest, site, workspace);
    await drivers[0].mustRun("AwaitBrokers", { namesrv: nameServer.address, brokers });
  })();
  drivers.forEach((driver, i) => {
    const resumed = (async () => {
      const before = await halfway[i];
      await restarted;
      return await afterRestart(driver, nameServer.address, before);
    })();
    resumed.catch(() => {}); // reported by the tests that ask for it
    world.sessions.set(driver.version, { driver, results: allScenarios[i], resumed });
  });
  return world;
}

/** So that a cold JVM on either side is not met by all clients in the same instant. */
const START_GAP_MS = 150;

function startScenarios(driver: Driver, namesrv: string): Map<string, Promise<Result>> {
  const results = new Map<string, Promise<Result>>();
  const suffix = driver.version.replaceAll(".", "_");
  for (const { scenario, args, only5x, onlyRmq } of CASES) {
    if (only5x && driver.version.startsWith("4.") || onlyRmq && underTest !== "rmq") continue;
    const key = caseKey(scenario, args);
    if (results.has(key)) continue;
    const startAfterMs = results.size * START_GAP_MS;
    const name = `${scenario}_${args?.model ?? ""}${suffix}`;
    const run = async () => {
      await new Promise((resolve) => setTimeout(resolve, startAfterMs));
      if (args?.cluster) await createTopic(driver, namesrv, String(args.cluster), name);
      return driver.run(scenario, { namesrv, topic: name, group: `group_${name}`, ...args });
    };
    results.set(key, run());
  }
  return results;
}

async function createTopic(driver: Driver, namesrv: string, cluster: string, topic: string): Promise<void> {
  await driver.admin("updateTopic", "-n", namesrv, "-c", cluster, "-t", topic, "-r", "1", "-w", "1");
}

type BeforeRestart = Pick<Resumed, "first" | "afterConsumerRestart" | "sentBeforeRestart">;

function resumeArgs(driver: Driver, namesrv: string): Record<string, string> {
  const suffix = driver.version.replaceAll(".", "_");
  return { namesrv, topic: `Resumed_${suffix}`, group: `group_Resumed_${suffix}` };
}

async function beforeRestart(driver: Driver, namesrv: string): Promise<BeforeRestart> {
  const args = resumeArgs(driver, namesrv);
  const one = await driver.mustRun("SendMany", { ...args, prefix: "one", count: 10 });
  const first = await driver.mustRun("ConsumeSome", { ...args, expect: 10 });
  const two = await driver.mustRun("SendMany", { ...args, prefix: "two", count: 5 });
  const afterConsumerRestart = await driver.mustRun("ConsumeSome", { ...args, expect: 5 });
  return { first, afterConsumerRestart, sentBeforeRestart: [one, two] };
}

async function afterRestart(driver: Driver, namesrv: string, before: BeforeRestart): Promise<Resumed> {
  const args = resumeArgs(driver, namesrv);
  await driver.mustRun("SendMany", { ...args, prefix: "three", count: 3 });
  const afterBrokerRestart = await driver.mustRun("ConsumeSome", { ...args, expect: 3 });
  const storedAfterRestart = await driver.mustRun("PullAll", { ...args, expect: 18 });
  const other = presentVersions().find((version) => version !== driver.version);
  const contentsOfTheOther = other && await driver.mustRun("PullAll", {
    namesrv,
    topic: `Contents_${other.replaceAll(".", "_")}`,
    expect: 4,
  });
  return { ...before, afterBrokerRestart, storedAfterRestart, contentsOfTheOther };
}

const world = lazily(startWorld);

async function session(version: ApacheVersion): Promise<Session> {
  return (await world.get()).sessions.get(version)!;
}

for (const version of VERSIONS) {
  for (const { name, scenario, args, only5x, onlyRmq, check } of CASES) {
    if (only5x && version.startsWith("4.")) continue;
    interopTest(`client ${version}: ${name}`, { needs: [version], onlyRmq }, async () => {
      const result = await (await session(version)).results.get(caseKey(scenario, args))!;
      assert.equal(result.failure, undefined);
      check(result, version);
    });
  }

  interopTest(`client ${version}: a restarted consumer goes on from its committed offsets`, {
    needs: [version],
  }, async () => {
    const { first, afterConsumerRestart } = await (await session(version)).resumed;
    assert.deepEqual(unique(first.column("RECV", "body").map((body) => body.split(" ")[0])), ["one"]);
    assert.deepEqual(
      sorted(afterConsumerRestart.column("RECV", "body")),
      ["two 0", "two 1", "two 2", "two 3", "two 4"],
    );
  });

  interopTest(
    `client ${version}: committed offsets survive a restart of the broker`,
    { needs: [version] },
    async () => {
      const { afterBrokerRestart } = await (await session(version)).resumed;
      assert.deepEqual(sorted(afterBrokerRestart.column("RECV", "body")), ["three 0", "three 1", "three 2"]);
    },
  );

  interopTest(`client ${version}: acknowledged messages survive a restart of the broker`, {
    needs: [version],
  }, async () => {
    const { sentBeforeRestart, storedAfterRestart } = await (await session(version)).resumed;
    const stored = storedAfterRestart.all("RECV");
    for (const sent of sentBeforeRestart.flatMap((result) => result.all("SENT"))) {
      const found = stored.filter((fields) => fields.msgId === sent.msgId);
      assert.deepEqual(
        found.map((f) => [f.body, f.queueId, f.queueOffset]),
        [[sent.body, sent.queueId, sent.queueOffset]],
      );
    }
    assert.equal(stored.length, 18);
  });
}

interopTest("the clients' servers end when they are told to", { needs: VERSIONS }, async () => {
  const started = await world.started();
  if (!started) return;
  for (const { driver } of started.sessions.values()) await driver.stop();
  await Promise.all([started.broker.stop(), started.oldBroker.stop()]);
  await started.nameServer.child.stop();
  await started.workspace.remove();
});
