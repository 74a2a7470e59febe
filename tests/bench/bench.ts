// SPDX-License-Identifier: Apache-2.0
/**
 * rmq and Apache RocketMQ under the same load, one after the other, on the same disk.
 *
 * Both run as operators run them: the compiled executable, and a warmed-up JVM. The generator shares the machine
 * with the broker it measures, so processor time per message is the fairer comparison when cores are few.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Figures, lifeTable, type PeerResults, workloadTable } from "./figures.ts";
import { generator, type LoadReport, runLoad, runWorkload } from "./generator.ts";
import { loadAverage, machineFacts, processCpuSeconds, processMemory, timeOfOthers } from "./machine.ts";
import { findNats, measureNats, type Nats, suitsNats } from "./nats.ts";
import { apachePeer, type Peer, rmqPeer, type RunningPeer } from "./peers.ts";
import { type Workload, WORKLOADS } from "./workloads.ts";

const HELP = `deno task bench [options]

  --only NAME,…     Only these workloads: ${WORKLOADS.map((workload) => workload.name).join(" ")}
  --peers NAME,…    Only these: rmq apache nats (default: all; NATS needs Go)
  --no-nats         Without NATS
  --seconds N       Measured time of each workload (6)
  --warm-up N       Load on a fresh server before anything is measured, in seconds (15)
  --rounds N        Everything N times, the peers in turns; the medians are shown (1)
  --executable FILE Measure this rmq instead of building dist/rmq
  --directory DIR   Where the stores go, by default dist/; must be on the disk that is to be measured
  --markdown FILE   Also put the result into FILE, between its lines ${"`"}measured: begin${"`"} and ${"`"}measured: end${"`"}

RMQ_LOAD names a generator that is built already.
`;

const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));

interface Session {
  readonly generator: string;
  readonly workloads: readonly Workload[];
  readonly directory: string;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** What readers of the tables must know: errors, failed checks. */
  readonly notes: string[];
}

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      only: { type: "string" },
      peers: { type: "string", default: "rmq,apache,nats" },
      "no-nats": { type: "boolean", default: false },
      seconds: { type: "string", default: "6" },
      "warm-up": { type: "string", default: "15" },
      rounds: { type: "string", default: "1" },
      executable: { type: "string" },
      directory: { type: "string", default: join(root, "dist") },
      markdown: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (options.help) return console.log(HELP);
  const chosen = options.peers.split(",");
  const heading = [`Load average before the run ${loadAverage().toFixed(2)}`];
  const peers: Peer[] = [];
  if (chosen.includes("rmq")) {
    peers.push(await rmqPeer(root, options.executable && resolve(options.executable)));
  }
  if (chosen.includes("apache")) peers.push(await apachePeer());
  const nats = chosen.includes("nats") && !options["no-nats"] ? await findNats() : undefined;
  if (peers.length === 0) throw new Error("--peers must name rmq, apache or both");

  mkdirSync(options.directory, { recursive: true });
  const session: Session = {
    generator: await generator(),
    workloads: chooseWorkloads(options.only),
    directory: mkdtempSync(join(options.directory, "bench-")),
    seconds: positive("--seconds", options.seconds),
    warmUpSeconds: positive("--warm-up", options["warm-up"]),
    notes: [],
  };
  const rounds = positive("--rounds", options.rounds);
  heading[0] += `; ${session.seconds} s per workload, ${
    rounds === 1 ? "one round" : `medians of ${rounds} rounds`
  }`;
  const forget = () => rmSync(session.directory, { recursive: true, force: true });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => (forget(), process.exit(1)));
  try {
    const [results, others] = await measureAll(session, peers, nats, rounds);
    const versions = [...peers.map((peer) => peer.version), ...(nats ? [nats.version] : [])];
    const text = [
      ...[...machineFacts(session.directory), ...heading, ...versions].map((line) => `- ${line}`),
      "",
      workloadTable(session.workloads, results[0], results[1], others),
      "",
      lifeTable(results),
      ...(session.notes.length > 0 ? ["", ...session.notes.map((note) => `- ${note}`)] : []),
    ].join("\n");
    console.log(`\n${text}`);
    if (options.markdown) putBetweenMarks(options.markdown, text);
  } finally {
    forget();
  }
}

/** Results of `peers`, in their order, and of others that only some workloads suit. */
async function measureAll(
  session: Session,
  peers: readonly Peer[],
  nats: Nats | undefined,
  rounds: number,
): Promise<[PeerResults[], PeerResults[]]> {
  const results: PeerResults[] = peers.map((peer) => ({ name: peer.name, runs: new Map(), lives: [] }));
  const natsResults: PeerResults = { name: "NATS", runs: new Map(), lives: [] };
  for (let round = 0; round < rounds; round++) {
    const order = peers.map((_, index) => index);
    if (round % 2 === 1) order.reverse(); // so that neither always has the quieter half
    for (const index of order) await measure(session, peers[index], results[index]);
    if (!nats || !session.workloads.some(suitsNats)) continue;
    await inDirectory(session, "nats", async (directory) => {
      await measureNats(nats, session.workloads, directory, session.seconds, (workload, figures) => {
        keep(natsResults, workload, figures);
      });
    });
  }
  return [results, natsResults.runs.size > 0 ? [natsResults] : []];
}

/** All workloads of one peer: one start with ASYNC_FLUSH and one with SYNC_FLUSH. */
async function measure(session: Session, peer: Peer, results: PeerResults): Promise<void> {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
    const workloads = session.workloads.filter((workload) => workload.flush === flush);
    if (workloads.length === 0) continue;
    await inDirectory(session, peer.name, async (directory) => {
      const server = await peer.start(directory, flush);
      try {
        await measureServer(session, server, workloads, results);
      } finally {
        await server.stop();
      }
    });
  }
}

async function measureServer(
  session: Session,
  server: RunningPeer,
  workloads: readonly Workload[],
  results: PeerResults,
): Promise<void> {
  const residentBytesFresh = processMemory(server.pid).residentBytes;
  await warmUp(session, server);
  let othersShare = 0;
  for (const workload of workloads) {
    syncDisk();
    const before = timeOfOthers(server.pid).now;
    const topic = `bench-${workload.name}`;
    const reports = await runWorkload(session.generator, workload, server, topic, session.seconds);
    for (const report of reports) noteTroubles(session, results.name, workload, report);
    const report = reports.at(-1)!;
    const { share } = timeOfOthers(server.pid, before);
    othersShare = Math.max(othersShare, share);
    if (share > QUIET_SHARE) {
      note(
        session,
        `${results.name}, ${workload.name}: others used ${(share * 100).toFixed(0)} % of all cores`,
      );
    }
    keep(results, workload, figuresOf(workload, report, server.pid));
  }
  results.lives.push({
    startMs: server.startMs,
    idleCpu: await idleCpu(server.pid),
    residentBytesFresh,
    othersShare,
    peakResidentBytes: processMemory(server.pid).peakResidentBytes,
  });
}

/** Lets a JVM compile what it will need: single and many requests, and reading. */
async function warmUp({ generator, warmUpSeconds }: Session, server: RunningPeer): Promise<void> {
  const target = ["--addr", server.address, "--topic", "bench-warm-up", "--size", "256"];
  const many = ["--conns", "8", "--window", "64", "--duration", `${warmUpSeconds * 0.6}`];
  const single = ["--duration", `${warmUpSeconds * 0.2}`];
  await runLoad(generator, ["send", ...target, ...many]);
  await runLoad(generator, ["send", ...target, ...single]);
  await runLoad(generator, ["consume", "--addr", server.address, "--topic", "bench-warm-up", ...single]);
}

function figuresOf(workload: Workload, report: LoadReport, pid: number): Figures {
  const { residentBytes, anonymousBytes } = processMemory(pid);
  const part = workload.kind === "send" ? report.send : report.receive;
  const latency = workload.kind === "e2e" ? report.receive?.end_to_end : report.send?.latency;
  return {
    messagesPerSecond: part?.throughput.msgs_per_s ?? 0,
    cpuMicrosPerMessage: report.cost.target?.cpu_us_per_msg ?? undefined,
    p50Micros: latency?.p50_us,
    p99Micros: latency?.p99_us,
    residentBytes,
    anonymousBytes,
  };
}

function keep(results: PeerResults, workload: Workload, figures: Figures): void {
  const runs = results.runs.get(workload.name);
  if (runs) runs.push(figures);
  else results.runs.set(workload.name, [figures]);
  const { messagesPerSecond, cpuMicrosPerMessage } = figures;
  const cost = cpuMicrosPerMessage === undefined
    ? ""
    : `, ${cpuMicrosPerMessage.toFixed(1)} µs CPU per message`;
  console.log(
    `${results.name.padEnd(8)}${workload.name.padEnd(12)}${messagesPerSecond.toFixed(0)} msgs/s${cost}`,
  );
}

function noteTroubles(session: Session, peer: string, workload: Workload, report: LoadReport): void {
  const troubles: string[] = [];
  for (const [code, { count, first_remark }] of Object.entries(report.errors.by_code)) {
    troubles.push(`${count} answers with code ${code} (${first_remark.slice(0, 80)})`);
  }
  for (const [kind, { count, first_remark }] of Object.entries(report.errors.other)) {
    troubles.push(`${count} × ${kind} (${first_remark.slice(0, 80)})`);
  }
  for (const [check, count] of Object.entries(report.receive?.checks ?? {})) {
    if (count > 0 && check !== "own" && check !== "foreign" && check !== "bytes") {
      troubles.push(`${count} ${check}`);
    }
  }
  if (!report.succeeded) troubles.push("nothing succeeded");
  else if (!report.sound) troubles.push("a check failed");
  if (troubles.length === 0) return;
  note(session, `${peer}, ${workload.name}, ${report.command}: ${troubles.join("; ")}`);
}

function note(session: Session, text: string): void {
  session.notes.push(text);
  console.log(text);
}

/** What the kernel does for us (writing back, softirqs) is counted as of others, too. */
const QUIET_SHARE = 0.15;

/** Until what the last workload left to do is done. */
const SETTLE_MS = 4_000;
const IDLE_MS = 3_000;

/** The share of one core that a process uses while nobody is connected. */
async function idleCpu(pid: number): Promise<number> {
  await delay(SETTLE_MS);
  const [cpu, begin] = [processCpuSeconds(pid), performance.now()];
  await delay(IDLE_MS);
  return (processCpuSeconds(pid) - cpu) / ((performance.now() - begin) / 1000);
}

/** Calls `use` with an empty directory, which is gone afterwards, bytes on their way to the disk included. */
async function inDirectory(
  session: Session,
  name: string,
  use: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(session.directory, `${name}-`));
  try {
    await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
    syncDisk();
  }
}

/** What one workload left for the kernel to write must not slow the next one. */
function syncDisk(): void {
  execFileSync("sync");
}

function chooseWorkloads(only: string | undefined): readonly Workload[] {
  if (only === undefined) return WORKLOADS;
  return only.split(",").map((name) => {
    const workload = WORKLOADS.find((candidate) => candidate.name === name);
    if (!workload) {
      throw new Error(`no workload ${name}; there are ${WORKLOADS.map((w) => w.name).join(", ")}`);
    }
    return workload;
  });
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${name} ${text} is no positive number`);
  return value;
}

function putBetweenMarks(file: string, text: string): void {
  const document = readFileSync(file, "utf8");
  const marked = /(<!-- measured: begin -->\n)[^]*?(<!-- measured: end -->)/;
  if (!marked.test(document)) {
    throw new Error(`${file} has no <!-- measured: begin --> … <!-- measured: end -->`);
  }
  writeFileSync(file, document.replace(marked, (_, begin, end) => `${begin}\n${text}\n\n${end}`));
}

await main();
