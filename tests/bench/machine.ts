// SPDX-License-Identifier: Apache-2.0
/** Facts about this machine and its processes, read from /proc (Linux only, as the generator is). */
import { execFileSync } from "node:child_process";
import { readFileSync, statfsSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import { basename } from "node:path";
import process from "node:process";

export interface ProcessMemory {
  /** Everything resident, mapped files included. */
  readonly residentBytes: number;
  /** The part that belongs to no file: heaps and buffers. */
  readonly anonymousBytes: number;
  /** The most that was ever resident. */
  readonly peakResidentBytes: number;
}

export function processMemory(pid: number): ProcessMemory {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024;
  return {
    residentBytes: bytes("VmRSS"),
    anonymousBytes: bytes("RssAnon"),
    peakResidentBytes: bytes("VmHWM"),
  };
}

/** User plus system time that a process has used. */
export function processCpuSeconds(pid: number): number {
  const [user, system] = processTimes(pid);
  return user + system;
}

/** User and system time of a process, and of its children that have ended, in seconds. */
function processTimes(pid: number): number[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The command's name may hold spaces; utime, stime, cutime and cstime are the fields 14 to 17.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).map((ticks) => Number(ticks) / TICKS_PER_SECOND);
}

/**
 * Processor time that was spent by anyone but the process `pid`, this one and its children (the generator), since
 * `since` was returned; as a share of all cores. It tells how far figures can be trusted.
 */
export function timeOfOthers(pid: number, since?: MachineTimes): { share: number; now: MachineTimes } {
  // user nice system idle iowait irq softirq steal; guests' time is in user already.
  const line = readFileSync("/proc/stat", "utf8").split("\n")[0];
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, part) => sum + part, 0) / TICKS_PER_SECOND;
  const idle = (ticks[3] + ticks[4]) / TICKS_PER_SECOND;
  const ours = processCpuSeconds(pid) + processTimes(process.pid).reduce((sum, part) => sum + part, 0);
  const now = { all, others: all - idle - ours };
  if (since === undefined || now.all === since.all) return { share: 0, now };
  return { share: Math.max(0, (now.others - since.others) / (now.all - since.all)), now };
}

export interface MachineTimes {
  readonly all: number;
  readonly others: number;
}

/** USER_HZ, which is 100 on every Linux platform that Deno and Bun run on. */
const TICKS_PER_SECOND = 100;

/** Lines that say where figures come from; `directory` is where the stores are. */
export function machineFacts(directory: string): string[] {
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return [
    `${new Date().toISOString().slice(0, 10)}, ${availableParallelism()} cores (${
      cpus()[0].model
    }), ${memory} GiB`,
    `Linux ${release()}, stores on ${disk(directory)}`,
  ];
}

function disk(directory: string): string {
  const line = lineOf("df", ["--output=source,fstype", directory], -1);
  const [source, type] = line.split(/\s+/);
  const { bsize, blocks } = statfsSync(directory);
  const kind = rotational(source);
  return `${type} (${source}, ${(bsize * blocks / 1e9).toFixed(0)} GB${
    kind === undefined ? "" : `, ${kind}`
  })`;
}

function rotational(device: string): string | undefined {
  try {
    const flag = readFileSync(`/sys/class/block/${basename(device)}/queue/rotational`, "utf8").trim();
    return flag === "1" ? "rotating or unknown to the guest" : "not rotating";
  } catch {
    return undefined; // a partition or no block device
  }
}

/** A line of what a program prints: the first, or the one at `index` (negative: from the end). */
export function lineOf(program: string, args: readonly string[], index = 0): string {
  const output = execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  return output.trim().split("\n").at(index) ?? "";
}

/** Processes that wanted a core in the last minute, on average: figures of a busy machine mean little. */
export function loadAverage(): number {
  return Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]);
}

if (process.platform !== "linux") throw new Error("the benchmark needs Linux: it reads /proc");
