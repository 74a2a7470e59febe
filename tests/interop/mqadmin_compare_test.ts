// SPDX-License-Identifier: Apache-2.0
/**
 * Every sub-command of the stock mqadmin that makes sense on a live cluster, given to `rmq` and to Apache 5.4.0 in turn:
 * both make it print the same. Then what 4.9.7 has, against `rmq` alone.
 *
 * One JVM runs the tool of a version, as its start costs more than most commands. MQADMIN_PRINT=1 prints all answers.
 */
import assert from "node:assert/strict";
import { mkdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import type { ApacheVersion } from "./apache.ts";
import type { Child } from "./child.ts";
import { Driver, type Held } from "./driver.ts";
import {
  BROKER,
  CLUSTER,
  GROUP,
  LEFT_OUT,
  type Side,
  type Step,
  STEPS,
  STEPS_497,
  TOPIC,
} from "./mqadmin_steps.ts";
import { type Make, newBrokerSite, startBroker, startNameServer, Workspace } from "./servers.ts";
import { interopTest, lazily, presentVersions } from "./suite.ts";

/** Topics of Apache's for what `rmq` does not build; the group of the tool itself, which a broker knows for a moment. */
const IGNORED = /RMQ_SYS_ROCKSDB_TRANS_|TOOLS_CONSUMER/;

/** Keys that `rmq` does not show: one holds secrets, one has no value unless it is set. */
const HIDDEN_KEYS = ["metricsGrpcExporterHeader", "inSyncReplicas"];

/** What one make's tool printed, by the step. */
interface Session {
  readonly side: Side;
  readonly printed: Map<Step, string>;
  readonly files: Map<Step, unknown>;
}

interface World {
  readonly workspace: Workspace;
  readonly drivers: Driver[];
  readonly brokers: Child[];
  readonly nameServers: Child[];
  readonly help: string;
  readonly rmq: Session;
  readonly apache: Session;
  readonly rmq497: Session | undefined;
}

/** A name server, a broker, messages and clients that stay. */
interface Cluster {
  readonly side: Side;
  readonly broker: Child;
  readonly nameServer: Child;
  readonly held: Held;
}

async function startCluster(make: Make, driver: Driver, workspace: Workspace): Promise<Cluster> {
  const nameServer = await startNameServer(make, workspace);
  const namesrv = nameServer.address;
  const site = await newBrokerSite(workspace, { name: BROKER, cluster: CLUSTER, namesrv });
  const broker = await startBroker(make, site, workspace);
  const common = { namesrv, topic: TOPIC, group: GROUP };
  await driver.mustRun("AwaitQueues", { ...common, topic: BROKER, count: 1 });
  await driver.admin("updateTopic", "-t", TOPIC, "-c", CLUSTER, "-r", "2", "-w", "2", "-n", namesrv);
  await driver.admin("updateSubGroup", "-g", GROUP, "-c", CLUSTER, "-n", namesrv);
  const sent = await driver.mustRun("SendMany", { ...common, prefix: "k", count: 10 });
  const held = driver.hold("HoldClients", { ...common, limitSeconds: 280 });
  await held.printed("RECV");
  // The retry topic is the last to have a position.
  const settled = new RegExp(`%RETRY%${GROUP}[^]*Diff Total: 0`);
  await adminUntil(driver, settled, "consumerProgress", "-g", GROUP, "-n", namesrv);
  await adminUntil(driver, / JAVA /, "producerConnection", "-g", `p_${TOPIC}`, "-t", TOPIC, "-n", namesrv);
  const [{ msgId, offsetMsgId }] = sent.all("SENT");
  const directory = await filesFor(workspace);
  const side = { make, namesrv, broker: site.address, msgId, offsetMsgId, directory };
  return { side, broker, nameServer: nameServer.child, held };
}

async function filesFor(workspace: Workspace): Promise<string> {
  const directory = await workspace.directory("files");
  await mkdir(directory, { recursive: true });
  const topic = { topicName: "Listed", readQueueNums: 3, writeQueueNums: 3, perm: 6, attributes: {} };
  await writeFile(join(directory, "topics.json"), JSON.stringify([topic]));
  const group = { groupName: "ListedGroup", retryMaxTimes: 3 };
  await writeFile(join(directory, "groups.json"), JSON.stringify([group]));
  return directory;
}

async function adminUntil(driver: Driver, text: RegExp, ...args: string[]): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!text.test(await driver.admin(...args))) {
    if (Date.now() > deadline) throw new Error(`mqadmin ${args.join(" ")} never said ${text.source}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

async function startWorld(): Promise<World> {
  const workspace = await Workspace.create();
  const old = run497(workspace);
  const driver = await Driver.start("5.4.0", workspace);
  const clusters = await Promise.all([
    startCluster("rmq", driver, workspace),
    startCluster("apache-5.4.0", driver, workspace),
  ]);
  const [rmq, apache] = clusters.map(({ side }): Session => ({ side, printed: new Map(), files: new Map() }));
  for (const step of STEPS) {
    for (const session of [rmq, apache]) await take(step, session, driver);
  }
  const help = await driver.admin();
  await release(clusters);
  const before = await old;
  if (before) clusters.push(before.cluster);
  return {
    workspace,
    drivers: [driver, ...before ? [before.driver] : []],
    brokers: clusters.map(({ broker }) => broker),
    nameServers: clusters.map(({ nameServer }) => nameServer),
    help,
    rmq,
    apache,
    rmq497: before?.session,
  };
}

async function run497(
  workspace: Workspace,
): Promise<{ driver: Driver; cluster: Cluster; session: Session } | undefined> {
  const version: ApacheVersion = "4.9.7";
  if (!presentVersions().includes(version)) return undefined;
  const driver = await Driver.start(version, workspace);
  const cluster = await startCluster("rmq", driver, workspace);
  const session: Session = { side: cluster.side, printed: new Map(), files: new Map() };
  for (const step of STEPS_497) await take(step, session, driver);
  await release([cluster]);
  return { driver, cluster, session };
}

async function release(clusters: readonly Cluster[]): Promise<void> {
  for (const { held } of clusters) held.release();
  await Promise.all(clusters.map(({ held }) => held.result));
}

async function take(step: Step, { side, printed, files }: Session, driver: Driver): Promise<void> {
  const output = await driver.admin(...step.words(side), "-n", side.namesrv);
  printed.set(step, output);
  if (process.env.MQADMIN_PRINT === "1") console.log(`### ${side.make} ${nameOf(step)}\n${output}`);
  if (!step.leaves) return;
  const text = await readFile(join(side.directory, step.leaves), "utf8").catch(() => "{}");
  files.set(step, parseLoosely(text));
}

/** Java leaves numeric keys without quotes. */
function parseLoosely(text: string): unknown {
  return JSON.parse(text.replace(/([{,]\s*)(\d+):/g, '$1"$2":'));
}

/** The words of a step without what differs from run to run. */
function nameOf(step: Step): string {
  const placeholders = {
    msgId: "ID",
    offsetMsgId: "ID",
    broker: "BROKER",
    namesrv: "NAMESRV",
    directory: "DIR",
  };
  return step.words({ make: "rmq", ...placeholders }).join(" ");
}

/** What is compared: lines without addresses, ids, times, stack frames and blanks, sorted. */
function linesOf(step: Step, { side, printed }: Session): string[] {
  const text = printed.get(step)!.replaceAll(side.broker, "BROKER").replaceAll(side.namesrv, "NAMESRV")
    .replaceAll(side.directory, "DIR")
    .replaceAll("MessageTrack [", "\nMessageTrack [")
    .replace(/127\.0\.0\.1:\d+/g, "CLIENT")
    .replace(/\b[0-9A-F]{16,}\b/g, "ID")
    .replace(step.agreement === "values" ? /\d{6,}/g : /\d+(\.\d+)?(E-?\d+)?/g, "N");
  const lines = text.split("\n").map((line) => line.replace(/\s+/g, " ").trim())
    .filter((line) => line !== "" && !/^at \S+\(|^\.\.\. \S+ more$/.test(line) && !IGNORED.test(line))
    .filter((line) => step.lines?.test(line) ?? true)
    .sort();
  return step.agreement === "kinds" ? [...new Set(lines)] : lines;
}

/** The keys of lines `key = value` and `key : value`. */
function keysOf(text: string): string[] {
  return text.split("\n").map((line) => /^(?:\S+:\d+ +)?(\S+?)\s*[=:] /.exec(line)?.[1] ?? "")
    .filter((key) => key !== "" && !key.startsWith("commitLogDiskRatio_"));
}

function pathsOf(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [path];
  return Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, `${path}/${key}`));
}

function check(step: Step, { rmq, apache }: World): void {
  const said = rmq.printed.get(step)!;
  if (step.agreement === "refused") return assertRefused(said);
  if (!step.fails) assert.doesNotMatch(said, /Exception/);
  else assert.match(said, /Exception/);
  if (step.agreement === "better") return assert.match(apache.printed.get(step)!, /Exception/);
  if (step.agreement === "keys") {
    const shown = new Set([...keysOf(said), ...HIDDEN_KEYS]);
    const wanted = keysOf(apache.printed.get(step)!);
    assert.ok(wanted.length > 20, apache.printed.get(step));
    return assert.deepEqual(wanted.filter((key) => !shown.has(key)), []);
  }
  const lines = linesOf(step, rmq);
  assert.deepEqual(lines, linesOf(step, apache));
  if (!step.leaves) return;
  const paths = new Set(pathsOf(rmq.files.get(step)));
  const wanted = pathsOf(apache.files.get(step));
  assert.ok(wanted.length > 10, `${step.leaves} has ${wanted.length} values`);
  assert.deepEqual(wanted.filter((path) => !paths.has(path)), []);
}

function assertRefused(said: string): void {
  assert.match(said, /CODE: 3 +DESC: .*(not support|does not)/);
  assert.doesNotMatch(said, /NullPointer|ClassCast|JSONException|NumberFormat/);
}

const world = lazily(startWorld);

const CLAIMS = {
  text: "prints what it prints of Apache",
  values: "prints what it prints of Apache, with the same numbers",
  kinds: "prints the kinds of lines that it prints of Apache",
  keys: "prints every key that it prints of Apache",
  refused: "is refused with a sentence",
  better: "is answered, where it throws at Apache",
};

for (const step of STEPS) {
  interopTest(`mqadmin 5.4.0 ${nameOf(step)}: ${CLAIMS[step.agreement]}`, { needs: ["5.4.0"] }, async () => {
    check(step, await world.get());
  });
}

interopTest(
  "every sub-command of mqadmin 5.4.0 is tried, or there is a reason",
  { needs: ["5.4.0"] },
  async () => {
    const { help } = await world.get();
    const all = [...help.matchAll(/^ {3}(\w+) +\S/gm)].map(([, name]) => name);
    assert.ok(all.length >= 90, help);
    const known = new Set([...STEPS.map((step) => nameOf(step).split(" ")[0]), ...Object.keys(LEFT_OUT)]);
    assert.deepEqual(all.filter((name) => !known.has(name)), []);
  },
);

for (const step of STEPS_497) {
  const claim = step.agreement === "refused" ? "is refused with a sentence" : "is answered by rmq";
  interopTest(`mqadmin 4.9.7 ${nameOf(step)}: ${claim}`, { needs: ["5.4.0", "4.9.7"] }, async () => {
    const said = (await world.get()).rmq497!.printed.get(step)!;
    if (step.agreement === "refused") return assertRefused(said);
    assert.doesNotMatch(said, /Exception/);
    assert.notEqual(said.trim(), "");
  });
}

interopTest("the servers of the compared makes end when they are told to", { needs: ["5.4.0"] }, async () => {
  const started = await world.started();
  if (!started) return;
  await Promise.all([...started.drivers, ...started.brokers].map((process) => process.stop()));
  await Promise.all(started.nameServers.map((nameServer) => nameServer.stop()));
  await started.workspace.remove();
  const sessions = [started.rmq, started.apache, ...started.rmq497 ? [started.rmq497] : []];
  await removeBodies(sessions.flatMap(({ printed }) => [...printed.values()]));
});

/** The tool leaves the bodies of messages that it shows in a directory for all. */
async function removeBodies(outputs: readonly string[]): Promise<void> {
  const paths = outputs.flatMap((text) => [...text.matchAll(/^Message Body Path: +(\S+)$/gm)]).map((
    [, path],
  ) => path);
  for (const path of paths) await rm(path, { force: true });
  for (const path of paths.slice(0, 1)) {
    await rmdir(dirname(path)).catch(() => {}); // others' files keep it
    await rmdir(dirname(dirname(path))).catch(() => {});
  }
}
