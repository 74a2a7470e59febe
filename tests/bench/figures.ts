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
  /** How late the timers of the server's event loop were. */
  readonly loopDelayP99Micros?: number;
  readonly loopDelayMaxMicros?: number;
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
  const keys = [...new Set(runs.flatMap((run) => Object.keys(run)))] as (keyof T)[];
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
 * One line per workload: `own` against `reference`. A ratio above 1 is in favour of `own`.
 * @param limits messages per second of the generator alone, by workload
 */
export function workloadTable(
  workloads: readonly Workload[],
  own: PeerResults,
  reference: PeerResults | undefined,
  limits: ReadonlyMap<string, number> = new Map(),
): string {
  const peers = [own, ...(reference ? [reference] : [])];
  const head = ["workload", ...column("msgs/s", peers, reference), ...column("µs CPU/msg", peers, reference)];
  const timed = reference ? [own, reference] : [own];
  for (const peer of timed) head.push(`p50 · p99 ${peer.name}`);
  for (const peer of timed) head.push(`MB ${peer.name}`);
  const isLoopTimed = workloads.some((workload) =>
    figuresOf(own, workload)?.loopDelayMaxMicros !== undefined
  );
  if (isLoopTimed) head.push(`loop delay p99 · max ${own.name}`);
  if (limits.size > 0) head.push("of the generator's limit");
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
    row.push(...two.map((f) => pair(f?.p50Micros, f?.p99Micros)));
    row.push(
      ...two.map((f) =>
        f === undefined ? "" : `${megabytes(f.residentBytes)} (${megabytes(f.anonymousBytes)})`
      ),
    );
    if (isLoopTimed) row.push(pair(ours?.loopDelayP99Micros, ours?.loopDelayMaxMicros));
    if (limits.size > 0) row.push(shareOf(ours?.messagesPerSecond, limits.get(workload.name)));
    return row;
  });
  return table(head, rows);
}

/** `own` against another server, at the workloads that both were measured with; undefined where there are none. */
export function comparisonTable(
  workloads: readonly Workload[],
  own: PeerResults,
  other: PeerResults,
): string | undefined {
  const rows = workloads.filter(({ name }) => own.runs.has(name) && other.runs.has(name)).map((workload) => {
    const [ours, theirs] = [own, other].map((peer) => figuresOf(peer, workload)!);
    return [
      describe(workload),
      ...[count(ours.messagesPerSecond), count(theirs.messagesPerSecond)],
      ratio(ours.messagesPerSecond, theirs.messagesPerSecond),
      ...[ours, theirs].map((figures) => figures.cpuMicrosPerMessage?.toFixed(1) ?? ""),
      ratio(theirs.cpuMicrosPerMessage, ours.cpuMicrosPerMessage),
      ...[ours, theirs].map((figures) => megabytes(figures.residentBytes)),
    ];
  });
  if (rows.length === 0) return undefined;
  const columns = ["msgs/s", "µs CPU/msg"].flatMap((title) => column(title, [own, other], own));
  return table(["workload", ...columns, `MB ${own.name}`, `MB ${other.name}`], rows);
}

/** A fact about peers that is no workload, such as what 10,000 connections cost. */
export interface ScenarioRow {
  readonly what: string;
  readonly value: string;
}

/** What scenarios found, one column per peer; empty where it was not asked. */
export function scenarioTable(peers: readonly { name: string; rows: readonly ScenarioRow[] }[]): string {
  const whats = [...new Set(peers.flatMap(({ rows }) => rows.map(({ what }) => what)))];
  return table(
    ["", ...peers.map(({ name }) => name)],
    whats.map((what) => [
      what,
      ...peers.map(({ rows }) => rows.find((row) => row.what === what)?.value ?? ""),
    ]),
  );
}

function table(head: string[], rows: string[][]): string {
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
  return table(head, rows);
}

function figuresOf(peer: PeerResults, workload: Workload): Figures | undefined {
  const runs = peer.runs.get(workload.name);
  return runs && median(runs);
}

function column(title: string, peers: readonly PeerResults[], reference: PeerResults | undefined): string[] {
  const names = peers.map((peer) => `${title} ${peer.name}`);
  return reference ? [...names, `ratio`] : names;
}

function pair(first: number | undefined, second: number | undefined): string {
  return first === undefined || second === undefined ? "" : `${time(first)} · ${time(second)}`;
}

function shareOf(part: number | undefined, whole: number | undefined): string {
  return part && whole ? `${(part / whole * 100).toFixed(0)} %` : "";
}

export function count(value: number | undefined): string {
  if (value === undefined) return "";
  return value < 10_000 ? value.toFixed(0) : `${(value / 1000).toFixed(value < 100_000 ? 1 : 0)}k`;
}

function ratio(more: number | undefined, less: number | undefined): string {
  return more && less ? `${(more / less).toFixed(1)}×` : "";
}

export function time(micros: number): string {
  if (micros < 1000) return `${micros.toFixed(0)} µs`;
  const millis = micros / 1000;
  return millis < 1000 ? `${millis.toFixed(millis < 10 ? 2 : 0)} ms` : `${(millis / 1000).toFixed(1)} s`;
}

export const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
/** Characters, of which each takes one column here. */
const length = (text: string) => [...text].length;
