// SPDX-License-Identifier: Apache-2.0
/**
 * The long campaign (`deno task test:fault`): every test that makes something fail, with thousands of seeds and dozens
 * of kills, and at the end the sum of what was tried. `SEEDS`, `KILLS` and `STRIDE` change how much.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Counts } from "./campaign.ts";

const TESTS = ["tests/store/power_cut_test.ts", "tests/fault/"];
const ARGS = ["test", "-A", "--preload=./tests/harness/uncaught.ts", ...TESTS];

async function main(): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "rmq-fault-"));
  const path = join(directory, "report");
  const startMs = performance.now();
  try {
    const status = await run({
      SEEDS: "1000",
      KILLS: "30",
      STRIDE: "1",
      ...process.env,
      RMQ_FAULT_REPORT: path,
    });
    print(readReport(path), (performance.now() - startMs) / 1000);
    return status;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function run(env: Record<string, string | undefined>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const child = spawn("deno", ARGS, { stdio: "inherit", env });
  child.once("error", reject);
  child.once("exit", (status) => resolve(status ?? 1));
  return promise;
}

interface Entry {
  readonly what: string;
  readonly counts: Counts;
}

function readReport(path: string): Entry[] {
  try {
    return readFileSync(path, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}

function print(entries: readonly Entry[], seconds: number): void {
  const totals: Counts = {};
  console.log("\nWhat was tried:");
  for (const { what, counts } of entries) {
    console.log(`  ${what}: ${describe(counts)}`);
    for (const [name, value] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + value;
  }
  console.log(`In all, in ${Math.round(seconds)} s: ${describe(totals)}`);
}

/** `{ powerCuts: 3 }` as "3 power cuts". */
function describe(counts: Readonly<Counts>): string {
  return Object.entries(counts)
    .map(([name, value]) => `${value} ${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)}`)
    .join(", ");
}

process.exitCode = await main();
