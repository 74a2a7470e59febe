// SPDX-License-Identifier: Apache-2.0
/** The brokers that are compared, each started on an empty store with the same configuration file. */
import { mkdir, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { apacheMissing, startJava } from "../interop/apache.ts";
import { Child, runToEnd } from "../interop/child.ts";
import { freeBrokerPort } from "../interop/ports.ts";
import { LoopDelayMeter } from "./loop_delay.ts";
import { lineOf } from "./machine.ts";
import type { FlushMode } from "./workloads.ts";

export interface Peer {
  readonly name: string;
  /** What exactly is measured. */
  readonly version: string;
  /** So much of its log's end is in the page cache, and stays there, once it has started. */
  readonly warmBytes: number;
  /** Starts it in a directory, which is empty or was used before, and returns once it answers requests. */
  start(directory: string, flush: FlushMode): Promise<RunningPeer>;
  /** Starts several brokers in one process, where it can; the first is the process's own address. */
  startSeveral?(directory: string, count: number): Promise<RunningPeer & { readonly addresses: string[] }>;
}

export interface RunningPeer {
  readonly address: string;
  readonly pid: number;
  /** From starting the process to its first answer. */
  readonly startMs: number;
  /** Of its event loop, where it has one. */
  readonly loopDelay?: LoopDelayMeter;
  stop(): Promise<void>;
}

export const APACHE_VERSION = "5.4.0";

/** The single executable, built anew: nothing else may be measured. */
export async function rmqPeer(root: string, executable: string | undefined): Promise<Peer> {
  if (executable === undefined) {
    const run = "Deno" in globalThis ? ["run", "-A"] : [];
    await runToEnd(process.execPath, [...run, "build.ts"], { name: "build", cwd: root });
  }
  const program = executable ?? join(root, "dist", "rmq");
  const commit = lineOf("git", ["-C", root, "describe", "--always", "--dirty"]);
  return {
    name: "rmq",
    version: `rmq ${commit}${executable === undefined ? "" : ` (${executable})`}`,
    warmBytes: 0,
    async start(directory, flush) {
      const { file, port } = await writeBrokerFile(directory, "bench", flush);
      const meter = new LoopDelayMeter(join(directory, "loop_delay.json"));
      const options = { name: "rmq", cwd: directory, env: meter.environment };
      const spawn = () => new Child(program, ["broker", "-c", file], options);
      const running = await started(spawn, port, /^exit code 0$/);
      meter.pid = running.pid;
      return { ...running, loopDelay: meter };
    },
    async startSeveral(directory, count) {
      const brokers: { file: string; port: number }[] = [];
      for (let index = 0; index < count; index++) {
        brokers.push(await writeBrokerFile(join(directory, `${index}`), `bench-${index}`, "ASYNC_FLUSH"));
      }
      const args = ["broker", ...brokers.flatMap(({ file }) => ["-c", file])];
      const ports = brokers.map(({ port }) => port);
      const spawn = () => new Child(program, args, { name: "rmq", cwd: directory });
      const running = await started(spawn, ports, /^exit code 0$/);
      return { ...running, addresses: ports.map((port) => `127.0.0.1:${port}`) };
    },
  };
}

/** Apache's broker with its own defaults and a fixed heap of 4 GB; it serves without a name server. */
export async function apachePeer(): Promise<Peer> {
  const missing = await apacheMissing(APACHE_VERSION);
  if (missing !== undefined) throw new Error(`no Apache RocketMQ to compare with: ${missing}`);
  return {
    name: "Apache",
    version: `Apache RocketMQ ${APACHE_VERSION}, ${lineOf("java", ["--version"])}, heap 4 GB`,
    warmBytes: 3 * 2 ** 30, // mapped, and walked whenever it starts: the last three files
    async start(directory, flush) {
      const { file, port } = await writeBrokerFile(directory, "bench", flush);
      const home = join(directory, "home");
      const spawn = () =>
        startJava(APACHE_VERSION, "org.apache.rocketmq.broker.BrokerStartup", ["-c", file], {
          name: "apache",
          home,
          jvm: ["-Xms4g", "-Xmx4g"],
        });
      return await started(spawn, port, /^exit code 143$/); // a JVM's orderly end
    },
  };
}

/** The settings without which two brokers can't live on one machine; all others are the peers' defaults. */
async function writeBrokerFile(
  directory: string,
  brokerName: string,
  flush: FlushMode,
): Promise<{ file: string; port: number }> {
  const store = join(directory, "store");
  await mkdir(store, { recursive: true });
  const port = await freeBrokerPort();
  const settings = {
    brokerClusterName: "DefaultCluster",
    brokerName,
    brokerId: 0,
    brokerIP1: "127.0.0.1",
    listenPort: port,
    storePathRootDir: store,
    storePathCommitLog: join(store, "commitlog"),
    flushDiskType: flush,
    enablePropertyFilter: true, // for client-read-sql
  };
  const file = join(directory, "broker.conf");
  await writeFile(file, Object.entries(settings).map(([key, value]) => `${key}=${value}\n`).join(""));
  return { file, port };
}

/** Starts a process and waits for its first answer; stopping it fails unless it ends as `orderly` says. */
async function started(
  spawn: () => Child | Promise<Child>,
  ports: number | readonly number[],
  orderly: RegExp,
): Promise<RunningPeer> {
  const all = [ports].flat();
  const begin = performance.now();
  const child = await spawn();
  try {
    while (!(await Promise.all(all.map(answers))).every(Boolean)) {
      if (!child.isRunning) throw new Error(`${child.name} ended (${await child.ended})\n${child.tail()}`);
      if (performance.now() - begin > START_TIMEOUT_MS) {
        throw new Error(`${child.name} does not answer\n${child.tail()}`);
      }
      await delay(READY_POLL_MS);
    }
  } catch (error) {
    await child.kill();
    throw error;
  }
  const startMs = performance.now() - begin;
  return {
    address: `127.0.0.1:${all[0]}`,
    pid: child.pid,
    startMs,
    async stop() {
      const end = await child.stop(STOP_TIMEOUT_MS);
      if (!orderly.test(end)) {
        throw new Error(`${child.name}: ${end}\n${child.tail()}`);
      }
    },
  };
}

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 120_000;
/** Also the precision of the time to start. */
const READY_POLL_MS = 2;

/** Whether a broker answers a request (for its statistics) on this port. */
function answers(port: number): Promise<boolean> {
  const header = new TextEncoder().encode(`{"code":28,"flag":0,"language":"OTHER","opaque":1,"version":0}`);
  const frame = new Uint8Array(8 + header.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, 4 + header.length);
  view.setUint32(4, header.length);
  frame.set(header, 8);
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1" });
    const end = (answered: boolean) => (socket.destroy(), resolve(answered));
    socket.setTimeout(5_000, () => end(false));
    socket.on("connect", () => socket.write(frame));
    socket.on("data", () => end(true));
    socket.on("error", () => end(false));
    socket.on("close", () => end(false));
  });
}
