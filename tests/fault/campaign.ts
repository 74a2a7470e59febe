// SPDX-License-Identifier: Apache-2.0
/**
 * What seeded tests share: the loop over seeds, a failure that says how to repeat it, and the count of what was tried,
 * which `all.ts` (`deno task test:fault`) prints at its end.
 */
import { appendFileSync } from "node:fs";
import process from "node:process";
import { SeededRandom } from "../harness/seeded_random.ts";

/** Numbers by their names, such as `{ powerCuts: 3 }`. */
export type Counts = Record<string, number>;

/** What runs under one seed. */
export interface SeededRun {
  /** What happened, line by line, for whoever repeats a failure. */
  readonly story: readonly string[];
  readonly counts: Readonly<Counts>;
  run(): Promise<void>;
}

export interface SeedOptions {
  /** Of the test, for the command that repeats a failure. */
  readonly file: string;
  /** A part of the test's name that no other test of the file has. */
  readonly filter: string;
  /** So many, unless `SEEDS` says otherwise. */
  readonly seeds: number;
}

/**
 * Runs under one seed after the other: `SEEDS` of them, or the one that `SEED` names, which then tells its story.
 * @returns the sums of all counts, which have been reported
 * @throws an error that holds the command for the seed that failed
 */
export async function eachSeed(
  options: SeedOptions,
  prepare: (random: SeededRandom) => SeededRun,
): Promise<Counts> {
  const { file, filter } = options;
  const only = process.env.SEED;
  const first = only === undefined ? 1 : Number(only);
  const count = only === undefined ? Number(process.env.SEEDS ?? options.seeds) : 1;
  const totals: Counts = { seeds: count };
  for (let seed = first; seed < first + count; seed++) {
    const seeded = prepare(new SeededRandom(seed));
    try {
      await seeded.run();
    } catch (error) {
      const command = `SEED=${seed} deno test -A ${file} --filter "${filter}"`;
      throw new Error(`seed ${seed}; repeat with: ${command}\n${seeded.story.join("\n")}`, { cause: error });
    }
    if (only !== undefined) console.log(seeded.story.join("\n"));
    for (const [name, value] of Object.entries(seeded.counts)) totals[name] = (totals[name] ?? 0) + value;
  }
  report(`${file} ${filter}`, totals);
  return totals;
}

/** Tells the campaign what a test has tried; nothing is told where none is under way. */
export function report(what: string, counts: Readonly<Counts>): void {
  const path = process.env.RMQ_FAULT_REPORT;
  if (path !== undefined) appendFileSync(path, `${JSON.stringify({ what, counts })}\n`);
}
