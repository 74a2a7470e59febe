// SPDX-License-Identifier: Apache-2.0
/** Builds and runs the native load generator, and reads its reports. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Child, runToEnd } from "../interop/child.ts";
import { freePort } from "../interop/ports.ts";
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
  const peer = aim(target, topic);
  const load = shape(workload);
  const time = ["--warmup", `${WARM_UP_S}`, "--duration", `${seconds}`];
  switch (workload.kind) {
    case "send":
      return [await runLoad(program, ["send", ...peer, ...load, ...time])];
    case "e2e":
      return [await runLoad(program, ["e2e", ...peer, ...load, ...time])];
    case "consume": {
      const filled = await fillBacklog(program, workload, target, topic, seconds);
      if (!filled.succeeded) return [filled];
      return [filled, await readBacklog(program, workload, target, topic)];
    }
    case "client":
      throw new Error("the generator can't do what our own client does");
  }
}

/** Sends what `readBacklog` reads. */
export function fillBacklog(
  program: string,
  { bodyBytes }: Workload,
  target: Target,
  topic: string,
  seconds: number,
): Promise<LoadReport> {
  const fill = ["--conns", "8", "--window", "64", "--size", `${bodyBytes}`];
  const count = ["--count", `${Math.round(seconds * BACKLOG_PER_SECOND)}`];
  return runLoad(program, ["send", ...aim(target, topic), ...fill, ...count]);
}

export function readBacklog(
  program: string,
  { connections }: Workload,
  target: Target,
  topic: string,
): Promise<LoadReport> {
  const read = ["--conns", `${connections}`, "--until-idle", "1"];
  return runLoad(program, ["consume", ...aim(target, topic), ...read]);
}

/** How fast the generator itself can be at a workload: messages per second with a server that only says yes. */
export async function generatorLimit(program: string, workload: Workload, seconds: number): Promise<number> {
  const address = `127.0.0.1:${await freePort()}`;
  const sink = new Child(program, ["sink", "--listen", address], { name: "rmq-load sink" });
  try {
    await listening(address);
    const target = ["--addr", address, "--topic", "sink", "--queues", `${QUEUES}`, "--no-create"];
    const report = await runLoad(program, [
      ...["send", ...target, ...shape(workload)],
      ...["--duration", `${seconds}`],
    ]);
    return report.send!.throughput.msgs_per_s;
  } finally {
    await sink.kill();
  }
}

/** Resolves when something takes connections. */
async function listening(address: string): Promise<void> {
  const [host, port] = address.split(":");
  for (let tries = 0; tries < 500; tries++) {
    const socket = connect(Number(port), host);
    const connected = await new Promise((resolve) => {
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    });
    socket.destroy();
    if (connected) return;
    await delay(10);
  }
  throw new Error(`nothing listens at ${address}`);
}

function aim({ address, pid }: Target, topic: string): string[] {
  return ["--addr", address, "--pid", `${pid}`, "--topic", topic, "--queues", `${QUEUES}`];
}

function shape({ connections, window, bodyBytes, batch, rate, properties = {} }: Workload): string[] {
  return [
    ...["--conns", `${connections}`, "--window", `${window}`],
    ...["--size", `${bodyBytes}`, "--batch", `${batch}`],
    ...(rate === undefined ? [] : ["--rate", `${rate}`]),
    ...Object.entries(properties).flatMap(([name, value]) => ["--property", `${name}=${value}`]),
  ];
}
