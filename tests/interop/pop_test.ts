// SPDX-License-Identifier: Apache-2.0
/**
 * POP consumption: stock push consumers that the broker lets pop, what this broker and Apache's answer to the same
 * requests, and directories that go from one to the other while messages are popped and not acknowledged.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { RequestCode } from "../../src/protocol/request_code.ts";
import type { Child } from "./child.ts";
import { Driver, type Result } from "./driver.ts";
import { type PopAnswer, type PoppedMessage, PopRequests } from "./pop_requests.ts";
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

const CLUSTER = "ClusterP";
const APACHE: Make = "apache-5.4.0";

interface World {
  readonly workspace: Workspace;
  readonly nameServer: NameServer;
}

const world = lazily(async (): Promise<World> => {
  const workspace = await Workspace.create();
  return { workspace, nameServer: await startNameServer(underTest, workspace) };
});

/** A broker at a site, by any make, with a topic of one queue. */
class Place {
  readonly site: BrokerSite;
  readonly workspace: Workspace;
  #broker: Child | undefined;

  static async open(name: string): Promise<Place> {
    const { workspace, nameServer } = await world.get();
    // A read ends where the part of a queue ends that is on the disk: answers would depend on when it was written.
    const properties = { flushIntervalConsumeQueue: 60_000 };
    const options = { name, cluster: CLUSTER, namesrv: nameServer.address, properties };
    return new Place(await newBrokerSite(workspace, options), workspace);
  }

  constructor(site: BrokerSite, workspace: Workspace) {
    this.site = site;
    this.workspace = workspace;
  }

  async start(make: Make): Promise<PopRequests> {
    this.#broker = await startBroker(make, this.site, this.workspace);
    return new PopRequests(this.site.address, this.site.name);
  }

  async stop(): Promise<void> {
    await this.#broker?.stop();
  }

  async kill(): Promise<void> {
    await this.#broker?.kill();
  }
}

async function createTopic(requests: PopRequests, topic: string, queueCount = 1): Promise<void> {
  const { code, remark } = await requests.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, {
    ...{
      topic,
      defaultTopic: "TBW102",
      readQueueNums: String(queueCount),
      writeQueueNums: String(queueCount),
    },
    ...{ perm: "6", topicFilterType: "SINGLE_TAG", topicSysFlag: "0", order: "false" },
  });
  assert.equal(code, 0, remark ?? "");
}

const bodies = (messages: readonly { body: string }[]) => messages.map(({ body }) => body);
const sorted = (texts: readonly string[]) => [...texts].sort();
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- stock push consumers

interface PushRun {
  readonly result: Result;
  readonly modes: string;
  readonly left: readonly PoppedMessage[];
}

/** Twelve messages, two of which are refused at first; other tags; and two that a client pops and never acknowledges. */
const pushRun = lazily(async (): Promise<PushRun> => {
  const { workspace, nameServer } = await world.get();
  const [driver, place] = await Promise.all([Driver.start("5.4.0", workspace), Place.open("push-a")]);
  const requests = await place.start(underTest);
  try {
    await createTopic(requests, "Shared");
    const namesrv = ["-n", nameServer.address];
    await driver.admin("updateSubGroup", ...namesrv, "-b", place.site.address, "-g", "Sharers");
    const set = ["-t", "Shared", "-g", "Sharers", "-m", "POP", "-q", "0"];
    const said = await driver.admin("setConsumeMode", ...namesrv, "-b", place.site.address, ...set);
    assert.match(said, /set consume mode .* success/);
    await requests.send("Shared", ["lost 0", "lost 1"], { TAGS: "TagA" });
    const lost = await requests.pop("Shared", "Sharers", { invisibleTime: "5000" });
    assert.deepEqual(bodies(lost.messages), ["lost 0", "lost 1"]);
    const args = {
      namesrv: nameServer.address,
      topic: "Shared",
      group: "Sharers",
      expression: "TagA",
      expect: 14,
    };
    const running = driver.run("PopPush", args);
    await requests.send("Shared", Array.from({ length: 10 }, (_, i) => `plain ${i}`), { TAGS: "TagA" });
    await requests.send("Shared", ["other 0", "other 1"], { TAGS: "TagB" });
    await requests.send("Shared", ["refused 0", "refused 1"], { TAGS: "TagA", refuse: "1" });
    const result = await running;
    const left = await requests.popAll("Shared", "Sharers", 1, { exp: "TagA" }, 1500);
    const modes = await readFile(join(place.site.storePath, "config", "messageRequestMode.json"), "utf8");
    return { result, modes, left };
  } finally {
    requests.close();
    await driver.stop();
    await place.stop();
  }
});

const pushTest = (name: string, check: (run: PushRun) => void) =>
  interopTest(`POP push consumers of 5.4.0: ${name}`, { needs: ["5.4.0"] }, async () => {
    startAll();
    const run = await pushRun.get();
    assert.equal(run.result.failure, undefined);
    check(run);
  });

pushTest("two consumers share the one queue of a topic, and each message is one's", ({ result }) => {
  const plain = result.all("RECV").filter(({ body }) => body.startsWith("plain"));
  assert.deepEqual(sorted(bodies(plain as never)), Array.from({ length: 10 }, (_, i) => `plain ${i}`));
  assert.deepEqual(sorted([...new Set(result.column("RECV", "by"))]), ["first", "second"]);
});

pushTest("a message that a consumer wants later comes again and says so", ({ result }) => {
  for (const body of ["refused 0", "refused 1"]) {
    assert.deepEqual(result.column("RECV", "reconsumeTimes", { body }), ["0", "1"], body);
  }
});

pushTest("what a member popped before it died is given to the others", ({ result }) => {
  for (const body of ["lost 0", "lost 1"]) {
    const [received, ...more] = result.all("RECV", { body });
    assert.equal(received.reconsumeTimes, "1");
    assert.equal(received.topic, "Shared");
    assert.deepEqual(more, []);
  }
});

pushTest("messages with other tags are not given, and acknowledged ones not again", ({ result, left }) => {
  assert.deepEqual(result.all("RECV").filter(({ body }) => body.startsWith("other")), []);
  assert.deepEqual(bodies(left), []);
});

pushTest("the mode that mqadmin sets is kept as Apache keeps it", ({ modes }) => {
  assert.deepEqual(JSON.parse(modes).messageRequestModeMap, {
    Shared: { Sharers: { consumerGroup: "Sharers", mode: "POP", popShareQueueNum: 0, topic: "Shared" } },
  });
});

// ---- the same requests to both makes

/** What a broker answered, without what differs from run to run. */
type Script = Record<string, unknown>;

function shown({ code, remark, fields, messages }: PopAnswer): unknown {
  // Apache takes another revive queue whenever it looks for messages, we with each request.
  const { popTime, reviveQid, ...rest } = fields;
  const known = {
    ...(popTime === undefined ? {} : { popTime: Number(popTime) > 0 ? "a time" : popTime }),
    ...(reviveQid === undefined ? {} : { reviveQid: Number(reviveQid) < 8 ? "a queue" : reviveQid }),
  };
  return {
    ...{ code, remark },
    fields: { ...rest, ...known },
    messages: messages.map(({ body, topic, queueId, queueOffset, reconsumeTimes, properties, receipt }) => ({
      ...{ body, topic, queueId, queueOffset, reconsumeTimes },
      receipt: receipt.split(" ").filter((_, index) => index !== 1 && index !== 3).join(" "),
      properties: sorted([...properties.keys()]),
    })),
  };
}

function brief({ code, fields }: { code: number; fields: Record<string, string> | null }): unknown {
  return { code, fields: code === 0 ? sorted(Object.keys(fields ?? {})) : [] };
}

/** One request after the other; each answer under the name of what was asked. */
async function script(make: Make): Promise<Script> {
  const place = await Place.open("answers-a");
  const requests = await place.start(make);
  try {
    const answers: Script = {};
    await createTopic(requests, "T");
    await createTopic(requests, "Wide", 3);
    const note = async (name: string, answer: Promise<PopAnswer>) => {
      const found = await answer;
      answers[name] = shown(found);
      return found.messages;
    };
    const noteBrief = async (
      name: string,
      answer: Promise<{ code: number; fields: Record<string, string> | null }>,
    ) => {
      answers[name] = brief(await answer);
    };
    const first = { exp: "*", maxMsgNums: "2", invisibleTime: "4000" };
    await note("an empty topic", requests.pop("T", "G"));
    await requests.send("T", ["a", "b", "c"], { TAGS: "x" });
    await requests.send("T", ["d"], { TAGS: "y" });
    const popped = await note("two of four", requests.pop("T", "G", first));
    const more = await note(
      "the others, by tag",
      requests.pop("T", "G", { exp: "x", invisibleTime: "4000" }),
    );
    await note("nothing left", requests.pop("T", "G"));
    await noteBrief("an acknowledgement", requests.ack(popped[0], "G"));
    await noteBrief("the same again", requests.ack(popped[0], "G"));
    await noteBrief("another invisible time", requests.changeInvisibleTime(popped[1], "G", 6000));
    await noteBrief("a batch", requests.batchAck(more, "G"));
    await noteBrief("a batch of nothing", requests.ask(RequestCode.BATCH_ACK_MESSAGE, {}));
    await noteBrief("an offset that is not there", requests.ack({ ...popped[0], queueOffset: 99 }, "G"));
    await noteBrief("a queue that is not there", requests.ack({ ...popped[0], queueId: 9 }, "G"));
    await noteBrief("a topic that is not there", requests.ack({ ...popped[0], topic: "None" }, "G"));
    await noteBrief(
      "an invisible time where nothing is",
      requests.changeInvisibleTime({ ...popped[0], queueOffset: 4 }, "G", 6000),
    );
    await note("too many at once", requests.pop("T", "G", { maxMsgNums: "33" }));
    await note("too late", requests.pop("T", "G", { bornTime: String(Date.now() - 9000), pollTime: "1000" }));
    for (const [name, topic, given] of REFUSED) {
      answers[name] = (await requests.pop(topic, "G", given)).code;
    }
    await note("a group that wants the newest", requests.pop("T", "New", { initMode: "1" }));
    await note("no subscription", requests.pop("T", "NoExp", { exp: "", expType: "" }));
    await scriptInOrder(requests, note, noteBrief);
    const place_ = { consumerGroup: "G", topic: "T", queueId: "-1" };
    const asked = { ...place_, pollTime: "0", bornTime: "0" };
    const notified = await requests.ask(RequestCode.NOTIFICATION, asked);
    answers["a notification"] = [notified.code, notified.fields];
    const newcomer = await requests.ask(RequestCode.NOTIFICATION, { ...asked, consumerGroup: "Newcomer" });
    answers["a notification of messages"] = [newcomer.code, newcomer.fields];
    const polling = await requests.ask(RequestCode.POLLING_INFO, place_);
    answers["how many wait"] = [polling.code, polling.fields];
    const peek = await requests.ask(RequestCode.PEEK_MESSAGE, {
      ...place_,
      consumerGroup: "Peeker",
      maxMsgNums: "1",
    });
    answers["a peek"] = [peek.code, peek.fields?.restNum, peek.body!.length > 0];
    const again = await requests.popAll("T", "G", 1, {}, 12_000);
    answers["what comes again"] = again.map((message) => [
      ...[message.body, message.topic, message.queueId, message.queueOffset, message.reconsumeTimes],
      message.receipt.split(" ").filter((_, index) => index !== 1 && index !== 3).join(" "),
      sorted([...message.properties.keys()]),
      message.properties.get("1ST_POP_TIME")!.length,
    ]);
    return answers;
  } finally {
    requests.close();
    await place.stop();
  }
}

const REFUSED: [name: string, topic: string, given: Record<string, string>][] = [
  ["no such topic", "None", {}],
  ["no such queue", "T", { queueId: "7" }],
  ["no such group", "T", { consumerGroup: "not legal" }],
  ["an expression that can't be", "T", { expType: "SQL92", exp: "a >" }],
];

async function scriptInOrder(
  requests: PopRequests,
  note: (name: string, answer: Promise<PopAnswer>) => Promise<readonly PoppedMessage[]>,
  noteBrief: (
    name: string,
    answer: Promise<{ code: number; fields: Record<string, string> | null }>,
  ) => Promise<void>,
): Promise<void> {
  await createTopic(requests, "Ordered");
  await requests.send("Ordered", ["o0", "o1", "o2", "o3"]);
  const inOrder = { order: "true", maxMsgNums: "2", invisibleTime: "3000" };
  const popped = await note("in order", requests.pop("Ordered", "O", { ...inOrder, attemptId: "one" }));
  await note("in order, blocked", requests.pop("Ordered", "O", { ...inOrder, attemptId: "two" }));
  await note("in order, the same attempt", requests.pop("Ordered", "O", { ...inOrder, attemptId: "one" }));
  await noteBrief("in order, an acknowledgement that is too late", requests.ack(popped[0], "O"));
  await sleep(3200);
  const again = await note("in order, after the invisible time", requests.pop("Ordered", "O", inOrder));
  await noteBrief("in order, an acknowledgement", requests.ack(again[0], "O"));
  await noteBrief("in order, one of another message", requests.ack({ ...again[0], queueOffset: 3 }, "O"));
  await noteBrief("in order, another invisible time", requests.changeInvisibleTime(again[1], "O", 100));
  await sleep(200);
  const rest = await note(
    "in order, the rest",
    requests.pop("Ordered", "O", { ...inOrder, maxMsgNums: "8" }),
  );
  for (const message of rest) {
    await noteBrief(`in order, the end ${message.body}`, requests.ack(message, "O"));
  }
  await note("in order, nothing left", requests.pop("Ordered", "O", inOrder));
}

const scripts = lazily(() => Promise.all([script(underTest), script(APACHE)]));

interopTest("POP requests are answered as Apache 5.4.0 answers them", { needs: ["5.4.0"] }, async () => {
  startAll();
  const [ours, theirs] = await scripts.get();
  assert.deepEqual(Object.keys(ours), Object.keys(theirs));
  for (const name of Object.keys(theirs)) assert.deepEqual(ours[name], theirs[name], name);
});

// ---- directories with messages in flight

/** Pops from one make, of which some are acknowledged, and goes on with the other. */
interface Exchange {
  readonly again: readonly PoppedMessage[];
  readonly rest: readonly string[];
  readonly ordered: readonly string[];
}

const exchanges = [
  { name: "from Apache to us", from: APACHE, to: underTest, end: "stop" },
  { name: "from us to Apache", from: underTest, to: APACHE, end: "stop" },
  { name: "from us to us, killed", from: underTest, to: underTest, end: "kill" },
] as const;

const exchanged = new Map(exchanges.map((exchange) => [exchange.name, lazily(() => runExchange(exchange))]));

async function runExchange({ from, to, end }: typeof exchanges[number]): Promise<Exchange> {
  const place = await Place.open(`exchange-${from === to ? "own" : from === underTest ? "ours" : "theirs"}`);
  const before = await place.start(from);
  try {
    await createTopic(before, "T");
    await createTopic(before, "Ordered");
    await before.send("T", Array.from({ length: 8 }, (_, i) => `m${i}`));
    await before.send("Ordered", ["o0", "o1"]);
    const popped = await before.pop("T", "G", { maxMsgNums: "6", invisibleTime: "12000" });
    assert.equal(popped.messages.length, 6);
    for (const index of [0, 2]) assert.equal((await before.ack(popped.messages[index], "G")).code, 0);
    assert.equal((await before.batchAck([popped.messages[4]], "G")).code, 0);
    assert.equal((await before.changeInvisibleTime(popped.messages[5], "G", 14_000)).code, 0);
    const ordered = await before.pop("Ordered", "O", {
      order: "true",
      maxMsgNums: "2",
      invisibleTime: "8000",
    });
    assert.equal((await before.ack(ordered.messages[0], "O")).code, 0);
    // what a kill takes is what was written at intervals: offsets and batches in order, which come again then
    if (end === "kill") await place.kill();
    else await place.stop();
  } finally {
    before.close();
    await place.kill();
  }
  const after = await place.start(to);
  try {
    const rest = await after.popAll("T", "G", 2, { maxMsgNums: "2" }, 3000);
    for (const message of rest) await after.ack(message, "G");
    const again = await after.popAll("T", "G", 3, {}, 25_000);
    for (const message of again) await after.ack(message, "G");
    const ordered = await after.popAll("Ordered", "O", 1, { order: "true" }, 15_000);
    return { again, rest: bodies(rest), ordered: bodies(ordered) };
  } finally {
    after.close();
    await place.stop();
  }
}

for (const { name, from, to, end } of exchanges) {
  const isWithApache = from === APACHE || to === APACHE;
  interopTest(
    `POP: a directory ${name}: what was not acknowledged comes again`,
    { needs: isWithApache ? ["5.4.0"] : [] },
    async () => {
      if (isWithApache) startAll();
      const { again, rest, ordered } = await exchanged.get(name)!.get();
      if (end === "stop") {
        assert.deepEqual(rest, ["m6", "m7"]);
        assert.deepEqual(sorted(bodies(again)), ["m1", "m3", "m5"]);
        assert.deepEqual(ordered, ["o1"]);
        for (const { reconsumeTimes } of again) assert.equal(reconsumeTimes, 1);
      } else {
        const seen = new Set([...rest, ...bodies(again)]);
        for (const body of ["m1", "m3", "m5", "m6", "m7"]) assert.ok(seen.has(body), `${body} did not come`);
        assert.ok(ordered.includes("o1"));
      }
    },
  );
}

/** Everything at the same time: most of it is waiting. */
function startAll(): void {
  for (const run of [pushRun, scripts, ...exchanged.values()] as { get(): Promise<unknown> }[]) {
    run.get().catch(() => {});
  }
}

interopTest("the POP tests' servers end when they are told to", { needs: [] }, async () => {
  const started = await world.started();
  if (!started) return;
  await Promise.allSettled([pushRun, scripts, ...exchanged.values()].map((run) => run.started()));
  await started.nameServer.child.stop();
  await started.workspace.remove();
});
