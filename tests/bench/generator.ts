// SPDX-License-Identifier: Apache-2.0
/** Builds and runs the native load generator, and reads its reports. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { runToEnd } from "../interop/child.ts";
import type { Workload } from "./workloads.ts";

/** The parts of the generator's JSON report that are used here. */
export interface LoadReport {
  readonly command: string;
  readonly succeeded: boolean;
  /** Whether all its checks passed: nothing lost, corrupt, duplicated or misplaced. */
  readonly sound: boolean;
  readonly send?: {
    readonly throughput: Throughput;
    readonly latency: Latency | null;
    readonly acked: number;
  };
  readonly receive?: {
    readonly throughput: Throughput;
    readonly end_to_end: Latency | null;
    readonly checks: Record<string, number>;
  };
  readonly verify?: {
    readonly by_status: Record<string, { acked: number; present: number; missing: number; wrong: number }>;
    readonly dense: boolean;
    readonly examples: readonly string[];
  };
  readonly error_count: number;
  readonly errors: Record<"by_code" | "other", Record<string, { count: number; first_remark: string }>>;
  readonly cost: { readonly target: { readonly cpu_us_per_msg: number | null } | null };
}

export interface Throughput {
  readonly messages: number;
  readonly seconds: number;
  readonly msgs_per_s: number;
}

export interface Latency {
  readonly p50_us: number;
  readonly p99_us: number;
}

const source = fileURLToPath(new URL("load", import.meta.url));

/**
 * The generator's executable: `RMQ_LOAD` if it is set, or else built with cargo, which does nothing when it is
 * up to date.
 */
export async function generator(): Promise<string> {
  if (process.env.RMQ_LOAD) return process.env.RMQ_LOAD;
  const target = process.env.CARGO_TARGET_DIR ?? join(source, "target");
  await runToEnd("cargo", ["build", "--release", "--quiet", "--target-dir", target], {
    name: "cargo",
    cwd: source,
  });
  return join(target, "release", "rmq-load");
}

/** Runs the generator to its end. It ends with status 3 when a check of its own failed: that is in the report. */
export async function runLoad(program: string, args: readonly string[]): Promise<LoadReport> {
  const child = spawn(program, [...args, "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  const [output] = await Promise.all([text(child.stdout), once(child, "close")]);
  if (output === "") throw new Error(`rmq-load ${args.join(" ")}: no report, exit status ${child.exitCode}`);
  return JSON.parse(output);
}

export interface Target {
  readonly address: string;
  readonly pid: number;
}

/** Sent before a measurement begins, on the same connections. */
const WARM_UP_S = 1;
/** A backlog of so many messages per measured second. */
const BACKLOG_PER_SECOND = 150_000;
const QUEUES = 8;

/** Runs one workload; `topic` must be new. The last report is the measurement, one before it its preparation. */
export async function runWorkload(
  program: string,
  workload: Workload,
  target: Target,
  topic: string,
  seconds: number,
): Promise<LoadReport[]> {
  const peer = [
    "--addr",
    target.address,
    "--pid",
    `${target.pid}`,
    "--topic",
    topic,
    "--queues",
    `${QUEUES}`,
  ];
  const { connections, window, bodyBytes, batch, rate, properties = {} } = workload;
  const paced = rate === undefined ? [] : ["--rate", `${rate}`];
  const load = [
    "--conns",
    `${connections}`,
    "--window",
    `${window}`,
    "--size",
    `${bodyBytes}`,
    "--batch",
    `${batch}`,
    ...Object.entries(properties).flatMap(([name, value]) => ["--property", `${name}=${value}`]),
  ];
  const time = ["--warmup", `${WARM_UP_S}`, "--duration", `${seconds}`];
  switch (workload.kind) {
    case "send":
      return [await runLoad(program, ["send", ...peer, ...load, ...time, ...paced])];
    case "e2e":
      return [await runLoad(program, ["e2e", ...peer, ...load, ...time, ...paced])];
    case "consume": {
      const fill = ["--conns", "8", "--window", "64", "--size", `${bodyBytes}`];
      const filled = await runLoad(program, [
        ...["send", ...peer, ...fill],
        ...["--count", `${Math.round(seconds * BACKLOG_PER_SECOND)}`],
      ]);
      if (!filled.succeeded) return [filled];
      const read = ["--conns", `${connections}`, "--until-idle", "1"];
      return [filled, await runLoad(program, ["consume", ...peer, ...read])];
    }
  }
}
