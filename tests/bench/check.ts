// SPDX-License-Identifier: Apache-2.0
/**
 * Has rmq become slower? A short run of rmq and Apache; the ratios are compared with recorded ones of this machine,
 * for a machine's figures change with its neighbours, and ratios of one run much less.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, homedir, totalmem } from "node:os";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Baseline, compare, LEAST_SHARE, parseBaseline, type Ratios, ratiosOf } from "./baseline.ts";
import { type Figures, median, type PeerResults } from "./figures.ts";
import { generator } from "./generator.ts";
import { loadAverage } from "./machine.ts";
import { apachePeer, rmqPeer } from "./peers.ts";
import { inWorkshop, measureAll, type Session } from "./session.ts";
import { chooseWorkloads } from "./workloads.ts";

const HELP = `deno task bench:check [options]

Compares rmq's ratios to Apache with those recorded on this machine; fails below ${LEAST_SHARE} of them.

  --record          Record today's ratios instead
  --baseline FILE   Where they are (~/.cache/rmq-bench/baseline.json)
  --only NAME,…     Only these workloads of the benchmark (1x1,8x64,backlog)
  --seconds N       Measured time of each workload (4)
  --warm-up N       Load on a fresh server before, in seconds (12)
  --rounds N        Everything N times; medians are compared (2)
  --executable FILE Measure this rmq instead of building dist/rmq
  --directory DIR   Where the stores go, by default dist/

Exit status: 0 not slower, or recorded; 1 slower, or nothing to compare with.
`;

const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));

async function main(): Promise<number> {
  const { values: options } = parseArgs({
    options: {
      record: { type: "boolean", default: false },
      baseline: { type: "string", default: join(homedir(), ".cache", "rmq-bench", "baseline.json") },
      only: { type: "string", default: "1x1,8x64,backlog" },
      seconds: { type: "string", default: "4" },
      "warm-up": { type: "string", default: "12" },
      rounds: { type: "string", default: "2" },
      executable: { type: "string" },
      directory: { type: "string", default: join(root, "dist") },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (options.help) return console.log(HELP), 0;
  const machine = `${availableParallelism()} × ${cpus()[0].model}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`;
  const recorded = options.record ? undefined : readBaseline(options.baseline, machine);
  const peers = [await rmqPeer(root, options.executable && resolve(options.executable)), await apachePeer()];
  const workloads = chooseWorkloads(options.only.split(","));
  const program = await generator();
  console.log(`Load average before the run ${loadAverage().toFixed(2)}`);
  const [own, reference] = await inWorkshop(options.directory, async (directory) => {
    const session: Session = {
      ...{ generator: program, workloads, directory, notes: [] },
      seconds: Number(options.seconds),
      warmUpSeconds: Number(options["warm-up"]),
    };
    return (await measureAll(session, peers, undefined, Number(options.rounds)))[0];
  });
  const now: Record<string, Ratios> = {};
  for (const { name } of workloads) now[name] = ratiosOf(figures(own, name), figures(reference, name));

  const verdict = compare(recorded?.workloads ?? {}, now);
  console.log(verdict.lines.join("\n"));
  if (recorded !== undefined) {
    console.log(verdict.isWorse ? `slower than ${recorded.recorded}` : "not slower than recorded");
    return verdict.isWorse ? 1 : 0;
  }
  const date = new Date().toISOString().slice(0, 10);
  const baseline: Baseline = { machine, recorded: `${date}, ${peers[0].version}`, workloads: now };
  mkdirSync(dirname(options.baseline), { recursive: true });
  writeFileSync(options.baseline, `${JSON.stringify(baseline, undefined, 2)}\n`);
  console.log(`recorded in ${options.baseline}`);
  return 0;
}

/** @throws where there is none of this machine */
function readBaseline(file: string, machine: string): Baseline {
  if (!existsSync(file)) throw new Error(`no ${file}: record one with --record, on a quiet machine`);
  const baseline = parseBaseline(readFileSync(file, "utf8"));
  if (baseline.machine !== machine) {
    throw new Error(`${file} is of another machine (${baseline.machine}); this one: ${machine}`);
  }
  return baseline;
}

function figures(peer: PeerResults, workload: string): Figures | undefined {
  const runs = peer.runs.get(workload);
  return runs && median(runs);
}

process.exitCode = await main();
