// SPDX-License-Identifier: Apache-2.0
/**
 * How the test files share their servers: what a file needs is started by whichever test runs first, the last test of
 * the file ends it, and tests that cannot run here are skipped by name.
 *
 * Hooks are not used for that: one runtime gives them five seconds, the other runs top-level ones per test.
 */
import { test } from "node:test";
import { apacheMissing, type ApacheVersion } from "./apache.ts";
import { apacheVersionOf, underTest } from "./servers.ts";

export const VERSIONS: readonly ApacheVersion[] = ["5.4.0", "4.9.7"];

/** Generous: scenarios have limits of their own; this one is for a start that never ends. */
const TIMEOUT_MS = 300_000;

const missing = new Map(
  await Promise.all(VERSIONS.map(async (version) => [version, await apacheMissing(version)] as const)),
);

for (const [version, reason] of missing) {
  if (reason) console.warn(`interop tests that need Apache RocketMQ ${version} are skipped: ${reason}`);
}

export interface NeedsOptions {
  /** Apache versions (of clients, tools or servers) without which the test cannot run. */
  readonly needs: readonly ApacheVersion[];
  /** The test expects what only `rmq` does. */
  readonly onlyRmq?: boolean;
}

/** A named test that is skipped, with the reason, where its peers are absent. */
export function interopTest(name: string, options: NeedsOptions, run: () => Promise<void>): void {
  const skip = whySkipped(options);
  test(name, skip ? { skip } : { timeout: TIMEOUT_MS }, run);
}

function whySkipped(options: NeedsOptions): string | undefined {
  if (options.onlyRmq && underTest !== "rmq") return `an expectation of rmq; the server is ${underTest}`;
  const server = apacheVersionOf(underTest);
  for (const version of [...options.needs, ...(server ? [server] : [])]) {
    if (missing.get(version)) return missing.get(version);
  }
  return undefined;
}

/** The versions whose jars are here. */
export function presentVersions(): ApacheVersion[] {
  return VERSIONS.filter((version) => !missing.get(version));
}

/** Starts something at the first call and gives the same one to every caller. */
export function lazily<T>(start: () => Promise<T>): { get(): Promise<T>; started(): Promise<T> | undefined } {
  let started: Promise<T> | undefined;
  return {
    get: () => started ??= start(),
    started: () => started,
  };
}
