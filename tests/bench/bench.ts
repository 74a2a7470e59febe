// SPDX-License-Identifier: Apache-2.0
/**
 * rmq and Apache RocketMQ under the same load, one after the other, on the same disk; and rmq beside NATS JetStream.
 *
 * All run as operators run them: the compiled executable, and a warmed-up JVM. The generator shares the machine
 * with the broker it measures, so processor time per message is the fairer comparison when cores are few.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  comparisonTable,
  lifeTable,
  type PeerResults,
  type ScenarioRow,
  scenarioTable,
  workloadTable,
} from "./figures.ts";
import { generator, generatorLimit } from "./generator.ts";
import { loadAverage, machineFacts } from "./machine.ts";
import { findNats, type Nats } from "./nats.ts";
import { apachePeer, type Peer, rmqPeer, type RunningPeer } from "./peers.ts";
import { chooseScenarios, type Scenario, SCENARIOS } from "./scenarios.ts";
import { inDirectory, inWorkshop, measureAll, note, orNote, type Session, warmUp } from "./session.ts";
import { chooseWorkloads, hasLimit, NATS_WORKLOADS, WORKLOADS } from "./workloads.ts";

const HELP = `deno task bench [options]

  --only NAME,…     Only these workloads: ${WORKLOADS.map((workload) => workload.name).join(" ")}
                    and scenarios: ${SCENARIOS.map((scenario) => scenario.name).join(" ")}
  --peers NAME,…    Only these: rmq apache nats (default: all; NATS needs Go)
  --nats            rmq beside NATS JetStream only, at ${NATS_WORKLOADS.join(" ")}
  --no-nats         Without NATS
  --seconds N       Measured time of each workload (6)
  --warm-up N       Load on a fresh server before anything is measured, in seconds (15)
  --rounds N        Workloads N times, the peers in turns; the medians are shown (1)
  --connections N   Idle connections, and groups (10000); more than \`ulimit -n\` allows can't be
  --piled N         Messages that are piled up in one queue (1000000)
  --topics N        Of the scenarios with many topics (10000)
  --gigabytes N     In the store of the start after a clean stop (1)
  --executable FILE Measure this rmq instead of building dist/rmq
  --directory DIR   Where the stores go, by default dist/; must be on the disk that is to be measured
  --markdown FILE   Also put the result into FILE, between its lines ${"`"}measured: begin${"`"} and ${"`"}measured: end${"`"}

RMQ_LOAD names a generator that is built already.
`;

const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      only: { type: "string" },
      peers: { type: "string" },
      nats: { type: "boolean", default: false },
      "no-nats": { type: "boolean", default: false },
      seconds: { type: "string", default: "6" },
      "warm-up": { type: "string", default: "15" },
      rounds: { type: "string", default: "1" },
      connections: { type: "string", default: "10000" },
      piled: { type: "string", default: "1000000" },
      topics: { type: "string", default: "10000" },
      gigabytes: { type: "string", default: "1" },
      executable: { type: "string" },
      directory: { type: "string", default: join(root, "dist") },
      markdown: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (options.help) return console.log(HELP);
  const chosen = (options.peers ?? (options.nats ? "rmq,nats" : "rmq,apache,nats")).split(",");
  const { workloads, scenarios } = choose(options.only ?? (options.nats ? NATS_WORKLOADS.join() : undefined));
  const sizes = {
    connections: positive("--connections", options.connections),
    piled: positive("--piled", options.piled),
    topics: positive("--topics", options.topics),
    gigabytes: positive("--gigabytes", options.gigabytes),
  };
  const rounds = positive("--rounds", options.rounds);
  const seconds = positive("--seconds", options.seconds);
  const warmUpSeconds = positive("--warm-up", options["warm-up"]);
  const notes: string[] = [];
  const wantsNats = chosen.includes("nats") && !options["no-nats"] &&
    workloads.some(({ name }) => NATS_WORKLOADS.includes(name));
  const nats = wantsNats ? await natsOrWhy(options.nats, notes) : undefined;
  const peers: Peer[] = [];
  if (chosen.includes("rmq")) {
    peers.push(await rmqPeer(root, options.executable && resolve(options.executable)));
  }
  if (chosen.includes("apache")) peers.push(await apachePeer());
  if (peers.length === 0) throw new Error("--peers must name rmq, apache or both");
  const program = await generator();
  const heading = `Load average before the run ${loadAverage().toFixed(2)}; ${seconds} s per workload, ${
    rounds === 1 ? "one round" : `medians of ${rounds} rounds`
  }`;

  await inWorkshop(options.directory, async (directory) => {
    const session: Session = { generator: program, workloads, directory, seconds, warmUpSeconds, notes };
    const [results, natsResults] = await measureAll(session, peers, nats, rounds);
    const found = await runScenarios(session, peers, scenarios, sizes);
    const limits = await findLimits(session, results[0]);
    const versions = [...peers.map((peer) => peer.version), ...(nats ? [nats.version] : [])];
    const beside = natsResults && comparisonTable(workloads, results[0], natsResults);
    const text = [
      [...machineFacts(directory), heading, ...versions].map((line) => `- ${line}`).join("\n"),
      ...(workloads.length > 0
        ? [workloadTable(workloads, results[0], results[1], limits), lifeTable(results)]
        : []),
      ...(beside ? [beside] : []),
      ...(found.some(({ rows }) => rows.length > 0) ? [scenarioTable(found)] : []),
      ...(notes.length > 0 ? [notes.map((line) => `- ${line}`).join("\n")] : []),
    ].join("\n\n");
    console.log(`\n${text}`);
    if (options.markdown) putBetweenMarks(options.markdown, text);
  });
}

/** Workloads and scenarios of a list of names; all without one. */
function choose(only: string | undefined) {
  const names = only?.split(",");
  const isScenario = (name: string) => SCENARIOS.some((scenario) => scenario.name === name);
  return {
    workloads: chooseWorkloads(names?.filter((name) => !isScenario(name))),
    scenarios: chooseScenarios(names?.filter(isScenario)),
  };
}

/** NATS, or a note that tells why it is missing; that ends a run which is about nothing else. */
async function natsOrWhy(isRequired: boolean, notes: string[]): Promise<Nats | undefined> {
  try {
    return await findNats();
  } catch (error) {
    if (isRequired) throw error;
    note({ notes }, (error as Error).message);
    return undefined;
  }
}

/** Each scenario on a server and a store of its own. */
async function runScenarios(
  session: Session,
  peers: readonly Peer[],
  scenarios: readonly Scenario[],
  sizes: Parameters<Scenario["run"]>[0]["sizes"],
): Promise<{ name: string; rows: ScenarioRow[] }[]> {
  const found: { name: string; rows: ScenarioRow[] }[] = [];
  for (const peer of peers) {
    const rows: ScenarioRow[] = [];
    found.push({ name: peer.name, rows });
    for (const scenario of scenarios.filter((candidate) => candidate.suits(peer))) {
      const what = `${peer.name}, ${scenario.name}`;
      await inDirectory(session, peer.name, async (directory) => {
        const { generator, seconds } = session;
        const context = {
          ...{ peer, directory, generator, seconds, sizes },
          // less than for workloads: what scenarios do before they measure warms, too
          warmUp: (server: RunningPeer) =>
            warmUp({ ...session, warmUpSeconds: session.warmUpSeconds / 3 }, server),
          note: (text: string) => note(session, `${what}: ${text}`),
        };
        const more = await orNote(session, what, () => scenario.run(context)) ?? [];
        for (const { what, value } of more) console.log(`${peer.name.padEnd(8)}${what}: ${value}`);
        rows.push(...more);
      });
    }
  }
  return found;
}

const LIMIT_SECONDS = 2;

/** What the generator reaches with a server that only says yes, at each workload that was measured. */
async function findLimits(
  session: Session,
  results: PeerResults,
): Promise<Map<string, number>> {
  const limits = new Map<string, number>();
  for (
    const workload of session.workloads.filter((candidate) =>
      hasLimit(candidate) && results.runs.has(candidate.name)
    )
  ) {
    const limit = await orNote(
      session,
      `the generator's limit, ${workload.name}`,
      () => generatorLimit(session.generator, workload, LIMIT_SECONDS),
    );
    if (limit !== undefined) limits.set(workload.name, limit);
  }
  return limits;
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
