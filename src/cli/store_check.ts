// SPDX-License-Identifier: Apache-2.0
import { join, sep } from "node:path";
import { type Finding, Findings } from "../store/inspect/findings.ts";
import { REPAIR_DIRECTORY } from "../store/inspect/layout.ts";
import { isInterrupted } from "../store/inspect/rebuild.ts";
import { type Verified, verifyStore } from "../store/inspect/verify.ts";
import type { Surroundings } from "./command.ts";
import { readTables } from "./store_config.ts";
import { describeState, type OpenedStore, openStore } from "./store_open.ts";
import { Progress } from "./store_progress.ts";
import { counted, formatBytes, wrap } from "./store_text.ts";

/** A store and what was found in it. */
export interface Checked {
  readonly store: OpenedStore;
  readonly verified: Verified;
  readonly findings: Findings;
  readonly durationMs: number;
}

export interface CheckOptions {
  readonly directory: string;
  readonly commitlog: string | undefined;
  /** We have the store's lock. */
  readonly isOurs: boolean;
  /** What a repair replaced is kept until this check has ended. */
  readonly isAfterRepair?: boolean;
}

/** Checks everything. Nothing is changed. @throws where there is no store */
export async function checkStore(options: CheckOptions, surroundings: Surroundings): Promise<Checked> {
  const { directory, commitlog, isOurs } = options;
  const findings = new Findings();
  const store = await openStore(directory, commitlog, { findings, isOurs });
  const { reader, layout, state } = store;
  const progress = new Progress("checking", surroundings);
  try {
    if (!options.isAfterRepair && isInterrupted(reader, directory)) {
      findings.add("REPAIR_INTERRUPTED", { file: join(directory, REPAIR_DIRECTORY) }, "it is still there");
    }
    const tables = readTables(reader, directory, findings);
    const onProgress = (done: number, total: number) => progress.report(done, total);
    const verified = await verifyStore({ reader, layout, state, tables, findings, onProgress });
    return { store, verified, findings, durationMs: progress.durationMs };
  } finally {
    progress.end();
    reader.close();
  }
}

/** 0 if everything was seen and nothing is wrong. */
export function statusOf({ verified, findings }: Checked): number {
  return findings.wrongCount > 0 || verified.isStopped ? 1 : 0;
}

/** What was found, as JSON has it. */
export function checkedFacts({ store, verified, findings, durationMs }: Checked) {
  const { layout } = store;
  return {
    directory: layout.directory,
    state: store.state,
    isComplete: !verified.isStopped,
    wrongCount: findings.wrongCount,
    checked: {
      logStart: verified.logStart,
      logEnd: verified.logEnd,
      messageCount: verified.messageCount,
      queueCount: verified.queues.length,
      indexFileCount: layout.index.length,
      durationMs,
    },
    notLookedInto: layout.unknownParts,
    findings: findings.list.map((finding) => ({
      ...finding,
      position: finding.position ?? null,
      last: finding.last ?? null,
    })),
    unlistedCount: findings.unlistedCount,
  };
}

/** What was found, for people. */
export function describeChecked(checked: Checked): string {
  const { store, verified, findings, durationMs } = checked;
  const { layout } = store;
  const { logStart, logEnd, messageCount, queues } = verified;
  const parts = [
    `${formatBytes(logEnd - logStart)} of log (${logStart} to ${logEnd})`,
    counted(messageCount, "message"),
    counted(queues.length, "queue"),
    counted(layout.index.length, "index file"),
  ];
  const lines = [
    layout.directory,
    `  ${describeState(store)}`,
    `  checked ${parts.join(", ")} in ${(durationMs / 1000).toFixed(1)} s`,
  ];
  if (layout.unknownParts.length > 0) lines.push(`  not looked into: ${layout.unknownParts.join(", ")}`);
  return [lines.join("\n"), ...describeFindings(findings.list, layout.directory), verdict(checked)].join(
    "\n\n",
  ) + "\n";
}

/** Those of one kind together, as what they mean is the same. */
function describeFindings(findings: readonly Finding[], directory: string): string[] {
  const indent = " ".repeat(7);
  return findings.map((finding, index) => {
    const { kind, means, todo } = finding;
    const lines = describePlace(finding, directory, indent);
    if (findings[index + 1]?.kind !== kind) {
      lines.push(
        wrap(`It means: ${means}`, indent),
        wrap(`To do: ${todo.replaceAll("DIR", directory)}`, indent),
      );
    }
    return lines.join("\n");
  });
}

function describePlace(finding: Finding, directory: string, indent: string): string[] {
  const { severity, file, position, what, count, last } = finding;
  const path = file.startsWith(directory + sep) ? file.slice(directory.length + 1) : file;
  const at = position === undefined ? "" : `, byte ${position}`;
  const lines = [`${severity === "wrong" ? "WRONG" : "note "}  ${path}${at}`, wrap(what, indent)];
  if (count > 1) lines.push(wrap(`and ${count - 1} more, the last: ${last}`, indent));
  return lines;
}

function verdict({ verified, findings }: Checked): string {
  const unlisted = findings.unlistedCount === 0 ? "" : ` ${findings.unlistedCount} of them are not listed.`;
  if (verified.isStopped) {
    return `Stopped before the end: what is not said above may be wrong all the same.${unlisted}`;
  }
  if (findings.wrongCount === 0) return `Nothing is wrong.${unlisted}`;
  return `${counted(findings.wrongCount, "thing is", "things are")} wrong.${unlisted}`;
}
