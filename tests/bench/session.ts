// SPDX-License-Identifier: Apache-2.0
/** One measurement of peers, one after the other, on the same disk. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { runAct } from "./client_acts.ts";
import type { Figures, PeerResults } from "./figures.ts";
import { fillBacklog, type LoadReport, readBacklog, runLoad, runWorkload } from "./generator.ts";
import type { LoopDelay } from "./loop_delay.ts";
import { processCpuSeconds, processMemory, timeOfOthers } from "./machine.ts";
import { measureNats, type Nats, suitsNats } from "./nats.ts";
import { dropFromPageCache, filesBelow, shareInPageCache, warmth } from "./page_cache.ts";
import type { Peer, RunningPeer } from "./peers.ts";
import type { Workload } from "./workloads.ts";

export interface Session {
  /** The load generator's executable. */
  readonly generator: string;
  readonly workloads: readonly Workload[];
  /** Where stores go; gone at the end. */
  readonly directory: string;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** What readers of the tables must know: errors, failed checks. */
  readonly notes: string[];
}

/** Calls `use` with a directory of its own below `parent`, which is gone afterwards, signals included. */
export async function inWorkshop<T>(parent: string, use: (directory: string) => Promise<T>): Promise<T> {
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, "bench-"));
  const forget = () => rmSync(directory, { recursive: true, force: true });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => (forget(), process.exit(1)));
  try {
    return await use(directory);
  } finally {
    forget();
  }
}

/** Results of `peers`, in their order, and those of NATS where it was measured. */
export async function measureAll(
  session: Session,
  peers: readonly Peer[],
  nats: Nats | undefined,
  rounds: number,
): Promise<[PeerResults[], PeerResults | undefined]> {
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
  return [results, natsResults.runs.size > 0 ? natsResults : undefined];
}

/** All workloads of one peer: one start with ASYNC_FLUSH and one with SYNC_FLUSH. */
async function measure(session: Session, peer: Peer, results: PeerResults): Promise<void> {
  for (const flush of ["ASYNC_FLUSH", "SYNC_FLUSH"] as const) {
    const workloads = session.workloads.filter((workload) => workload.flush === flush);
    if (workloads.length === 0) continue;
    await inDirectory(session, peer.name, async (directory) => {
      const server = new Server(() => peer.start(directory, flush), join(directory, "store"));
      await server.start();
      try {
        await measureServer(session, peer, server, workloads, results);
      } finally {
        await server.stop();
      }
    });
  }
}

/** A peer on one store, which may be stopped and started again. */
class Server {
  readonly store: string;
  #start: () => Promise<RunningPeer>;
  #running: RunningPeer | undefined;
  peakResidentBytes = 0;

  constructor(start: () => Promise<RunningPeer>, store: string) {
    this.#start = start;
    this.store = store;
  }

  get running(): RunningPeer {
    return this.#running!;
  }

  async start(): Promise<void> {
    this.#running = await this.#start();
  }

  async stop(): Promise<void> {
    this.notePeak();
    await this.#running?.stop();
    this.#running = undefined;
  }

  notePeak(): void {
    if (this.#running === undefined) return;
    const { peakResidentBytes } = processMemory(this.#running.pid);
    this.peakResidentBytes = Math.max(this.peakResidentBytes, peakResidentBytes);
  }
}

async function measureServer(
  session: Session,
  peer: Peer,
  server: Server,
  workloads: readonly Workload[],
  results: PeerResults,
): Promise<void> {
  const { startMs, pid } = server.running;
  const residentBytesFresh = processMemory(pid).residentBytes;
  await warmUp(session, server.running);
  let othersShare = 0;
  for (const workload of workloads) {
    const topic = `bench-${workload.name}`;
    if (workload.cold) await prepareColdBacklog(session, server, workload, topic, peer);
    syncDisk();
    const { pid, loopDelay } = server.running;
    const before = timeOfOthers(pid).now;
    await loopDelay?.begin();
    const figures = await orNote(
      session,
      `${results.name}, ${workload.name}`,
      () => runOne(session, results.name, workload, server.running, topic),
    );
    const late = await loopDelay?.end();
    const { share } = timeOfOthers(pid, before);
    othersShare = Math.max(othersShare, share);
    if (share > QUIET_SHARE) {
      note(
        session,
        `${results.name}, ${workload.name}: others used ${(share * 100).toFixed(0)} % of all cores`,
      );
    }
    if (figures) keep(results, workload, { ...figures, ...lateness(late) });
  }
  server.notePeak();
  results.lives.push({
    startMs,
    idleCpu: await idleCpu(server.running.pid),
    residentBytesFresh,
    othersShare,
    peakResidentBytes: server.peakResidentBytes,
  });
}

/**
 * Fills, starts the server again and empties the page cache of its log. What the server will have mapped by then is
 * filled with other messages, so that the backlog lies before it.
 */
async function prepareColdBacklog(
  session: Session,
  server: Server,
  workload: Workload,
  topic: string,
  peer: Peer,
): Promise<void> {
  const { generator, seconds } = session;
  const filled = await fillBacklog(generator, workload, server.running, topic, seconds);
  noteTroubles(session, peer.name, workload, filled);
  const log = join(server.store, "commitlog");
  const holding = filesBelow(log).map(({ file }) => file);
  const filler = Math.ceil(peer.warmBytes * 1.1 / FILLER_BODY_BYTES);
  if (filler > 0) {
    const target = ["--addr", server.running.address, "--topic", "bench-filler"];
    const shape = ["--conns", "8", "--window", "1", "--size", `${FILLER_BODY_BYTES}`, "--count", `${filler}`];
    await runLoad(generator, ["send", ...target, ...shape]);
  }
  await server.stop();
  await server.start();
  await warmUp(session, server.running);
  const dropped = dropFromPageCache(log);
  const share = shareInPageCache(filesBelow(log).filter(({ file }) => holding.includes(file)));
  const warning = warmth(dropped, share);
  if (warning !== undefined) note(session, `${peer.name}, ${workload.name}: ${warning}`);
}

const FILLER_BODY_BYTES = 64 * 1024;

async function runOne(
  { generator, seconds, ...session }: Session,
  peer: string,
  workload: Workload,
  server: RunningPeer,
  topic: string,
): Promise<Figures> {
  if (workload.kind === "client") {
    const report = await runAct(generator, workload, server, topic, seconds);
    const { residentBytes, anonymousBytes } = processMemory(server.pid);
    return { ...report, residentBytes, anonymousBytes };
  }
  const reports = workload.cold
    ? [await readBacklog(generator, workload, server, topic)]
    : await runWorkload(generator, workload, server, topic, seconds);
  for (const report of reports) noteTroubles(session, peer, workload, report);
  return figuresOf(workload, reports.at(-1)!, server.pid);
}

function lateness(late: LoopDelay | undefined): Partial<Figures> {
  return late ? { loopDelayP99Micros: late.p99Micros, loopDelayMaxMicros: late.maxMicros } : {};
}

/** Lets a JVM compile what it will need: single and many requests, and reading. */
export async function warmUp({ generator, warmUpSeconds }: Session, server: RunningPeer): Promise<void> {
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
    `${results.name.padEnd(8)}${workload.name.padEnd(20)}${messagesPerSecond.toFixed(0)} msgs/s${cost}`,
  );
}

function noteTroubles(session: Notes, peer: string, workload: Workload, report: LoadReport): void {
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

/** One failure must not take the figures of a long run along; it is told, and ends the process with status 1. */
export async function orNote<T>(
  session: Notes,
  what: string,
  measure: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await measure();
  } catch (error) {
    note(session, `${what}: failed: ${(error as Error).message.split("\n")[0]}`);
    process.exitCode = 1;
    return undefined;
  }
}

type Notes = Pick<Session, "notes">;

export function note(session: Notes, text: string): void {
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
export async function inDirectory(
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
export function syncDisk(): void {
  execFileSync("sync");
}
