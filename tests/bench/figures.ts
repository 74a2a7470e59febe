// SPDX-License-Identifier: Apache-2.0
/** What was measured, and the tables that show it. */
import { markdownTable } from "markdown-table";
import { describe, type Workload } from "./workloads.ts";

/** One run of a workload. Units are in the names; what a peer or workload doesn't tell is undefined. */
export interface Figures {
  readonly messagesPerSecond: number;
  readonly cpuMicrosPerMessage?: number;
  /** Acknowledgement, or end to end. */
  readonly p50Micros?: number;
  readonly p99Micros?: number;
  readonly residentBytes: number;
  readonly anonymousBytes: number;
}

/** About the process as a whole. */
export interface Life {
  readonly startMs: number;
  /** Share of one core, after the workloads, while nobody is connected. */
  readonly idleCpu: number;
  readonly residentBytesFresh: number;
  readonly peakResidentBytes: number;
  /** Share of all cores that other processes took, at most, during a workload: noise. */
  readonly othersShare: number;
}

/** Everything measured of one peer: workload name to runs, one run per round. */
export interface PeerResults {
  readonly name: string;
  readonly runs: Map<string, Figures[]>;
  readonly lives: Life[];
}

/** The figure of all rounds: the median of each. */
export function median<T extends object>(runs: readonly T[]): T {
  const keys = Object.keys(runs[0]) as (keyof T)[];
  return Object.fromEntries(keys.map((key) => {
    const values = runs.map((run) => run[key] as number | undefined).filter((value) => value !== undefined);
    return [key, values.length === 0 ? undefined : middle(values.sort((a, b) => a - b))];
  })) as T;
}

function middle(sorted: number[]): number {
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/**
 * One line per workload: `own` against `reference`, and what else was measured.
 * A ratio above 1 is in favour of `own`.
 */
export function workloadTable(
  workloads: readonly Workload[],
  own: PeerResults,
  reference: PeerResults | undefined,
  others: readonly PeerResults[],
): string {
  const peers = [own, ...(reference ? [reference] : []), ...others];
  const head = ["workload", ...column("msgs/s", peers, reference), ...column("µs CPU/msg", peers, reference)];
  const timed = reference ? [own, reference] : [own];
  for (const peer of timed) head.push(`p50 · p99 ${peer.name}`);
  for (const peer of timed) head.push(`MB ${peer.name}`);
  const rows = workloads.map((workload) => {
    const all = peers.map((peer) => figuresOf(peer, workload));
    const [ours, theirs] = all;
    const row = [describe(workload), ...all.map((f) => count(f?.messagesPerSecond))];
    if (reference) {
      // With a given rate both handle the same number; there only cost and latency can be compared.
      row.push(workload.rate === undefined ? ratio(ours?.messagesPerSecond, theirs?.messagesPerSecond) : "");
    }
    row.push(...all.map((f) => f?.cpuMicrosPerMessage?.toFixed(1) ?? ""));
    if (reference) row.push(ratio(theirs?.cpuMicrosPerMessage, ours?.cpuMicrosPerMessage));
    const two = all.slice(0, timed.length);
    row.push(
      ...two.map((f) => f?.p50Micros === undefined ? "" : `${time(f.p50Micros)} · ${time(f.p99Micros!)}`),
    );
    row.push(
      ...two.map((f) =>
        f === undefined ? "" : `${megabytes(f.residentBytes)} (${megabytes(f.anonymousBytes)})`
      ),
    );
    return row;
  });
  return markdownTable([head, ...rows], {
    align: ["l", ...head.slice(1).map(() => "r")],
    stringLength: length,
  });
}

/** Start, idling and memory, one column per peer. */
export function lifeTable(peers: readonly PeerResults[]): string {
  const lives = peers.map((peer) => ({
    ...median(peer.lives),
    peakResidentBytes: Math.max(...peer.lives.map((life) => life.peakResidentBytes)),
    othersShare: Math.max(...peer.lives.map((life) => life.othersShare)),
  }));
  const rows = [
    ["start to first answer", ...lives.map((life) => time(life.startMs * 1000))],
    ["CPU when idle", ...lives.map((life) => percent(life.idleCpu))],
    ["resident after the start", ...lives.map((life) => `${megabytes(life.residentBytesFresh)} MB`)],
    ["resident at most", ...lives.map((life) => `${megabytes(life.peakResidentBytes)} MB`)],
    ["disturbed by others at most", ...lives.map((life) => percent(life.othersShare))],
  ];
  const head = ["", ...peers.map((peer) => peer.name)];
  return markdownTable([head, ...rows], { align: ["l", ...peers.map(() => "r")], stringLength: length });
}

function figuresOf(peer: PeerResults, workload: Workload): Figures | undefined {
  const runs = peer.runs.get(workload.name);
  return runs && median(runs);
}

function column(title: string, peers: readonly PeerResults[], reference: PeerResults | undefined): string[] {
  const names = peers.map((peer) => `${title} ${peer.name}`);
  return reference ? [...names, `ratio`] : names;
}

function count(value: number | undefined): string {
  if (value === undefined) return "";
  return value < 10_000 ? value.toFixed(0) : `${(value / 1000).toFixed(value < 100_000 ? 1 : 0)}k`;
}

function ratio(more: number | undefined, less: number | undefined): string {
  return more && less ? `${(more / less).toFixed(1)}×` : "";
}

function time(micros: number): string {
  if (micros < 1000) return `${micros.toFixed(0)} µs`;
  const millis = micros / 1000;
  return millis < 1000 ? `${millis.toFixed(millis < 10 ? 2 : 0)} ms` : `${(millis / 1000).toFixed(1)} s`;
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
/** Characters, of which each takes one column here. */
const length = (text: string) => [...text].length;
