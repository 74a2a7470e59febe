// SPDX-License-Identifier: Apache-2.0
/**
 * What a slave costs: senders to an ASYNC_MASTER and to a SYNC_MASTER in the same run, each with one slave, and how
 * fast a slave with an empty disk catches up, alone and while senders go on. All of it on this machine.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MasterApi } from "../../src/client/master_api.ts";
import { RemotingClient } from "../../src/remoting/client.ts";
import { Child, runToEnd } from "../interop/child.ts";
import { freeBrokerPort, freePort } from "../interop/ports.ts";
import { generator, type LoadReport, runLoad } from "./generator.ts";
import { loadAverage, machineFacts, processCpuSeconds } from "./machine.ts";

const HELP = `deno task bench:replication [options]

  --seconds N       Measured time of each load (5)
  --megabytes N     What a slave has to catch up with (2000)
  --executable FILE Measure this rmq instead of building dist/rmq
  --directory DIR   Where the stores go, by default dist/

RMQ_LOAD names a generator that is built already.
`;

const root = resolve(fileURLToPath(new URL("../..", import.meta.url)));
const LOADS = [{ name: "1 × 1", conns: 1, window: 1 }, { name: "8 × 64", conns: 8, window: 64 }];
const TIMEOUT_MS = 60_000;

type Role = "ASYNC_MASTER" | "SYNC_MASTER" | "SLAVE";

/** Starts processes of one executable in one directory, and stops what it started. */
class World {
  readonly client = new RemotingClient();
  readonly #executable: string;
  readonly #directory: string;
  readonly #running = new Set<Child>();
  nameServer = "";

  constructor(executable: string, directory: string) {
    this.#executable = executable;
    this.#directory = directory;
  }

  async startNameServer(): Promise<void> {
    const port = await freePort();
    this.nameServer = `127.0.0.1:${port}`;
    const kvConfigPath = join(this.#directory, "kvConfig.json");
    await this.#start("namesrv", { listenPort: port, kvConfigPath }, /boot success/);
  }

  async startBroker(name: string, role: Role, store: string): Promise<Broker> {
    const port = await freeBrokerPort();
    const child = await this.#start("broker", {
      brokerName: name,
      brokerRole: role,
      brokerId: role === "SLAVE" ? 1 : 0,
      brokerIP1: "127.0.0.1",
      brokerIP2: "127.0.0.1",
      namesrvAddr: this.nameServer,
      listenPort: port,
      storePathRootDir: join(this.#directory, store),
    }, /boot success/);
    const address = `127.0.0.1:${port}`;
    return { child, address, api: MasterApi.at(this.client, address), store: join(this.#directory, store) };
  }

  async stop(child: Child): Promise<void> {
    this.#running.delete(child);
    await child.stop();
  }

  async stopAll(): Promise<void> {
    this.client.close();
    for (const child of [...this.#running].reverse()) await this.stop(child);
  }

  async #start(command: string, settings: Record<string, string | number>, ready: RegExp): Promise<Child> {
    const file = join(this.#directory, `${command}-${settings.listenPort}.conf`);
    writeFileSync(file, Object.entries(settings).map(([key, value]) => `${key}=${value}\n`).join(""));
    const child = new Child(this.#executable, [command, "-c", file], { name: command, cwd: this.#directory });
    this.#running.add(child);
    await child.waitForLine(ready, TIMEOUT_MS);
    return child;
  }
}

interface Broker {
  readonly child: Child;
  readonly address: string;
  readonly api: MasterApi;
  readonly store: string;
}

function micros(value: number | undefined): string {
  if (value === undefined) return "?";
  return value < 1000 ? `${Math.round(value)} µs` : `${(value / 1000).toFixed(1)} ms`;
}

/** Resolves when the slave has as much of a log as the master had. @returns that end */
async function caughtUp(master: Broker, slave: Broker): Promise<number> {
  const { maxOffset } = await master.api.log();
  while ((await slave.api.log()).maxOffset < maxOffset) await delay(25);
  return maxOffset;
}

function send(program: string, broker: Broker, topic: string, more: readonly string[]): Promise<LoadReport> {
  const peer = ["--addr", broker.address, "--pid", `${broker.child.pid}`, "--topic", topic, "--queues", "8"];
  return runLoad(program, ["send", ...peer, ...more]);
}

/** Senders to one master with a slave: a row for each load. */
async function measureRole(world: World, program: string, role: Role, seconds: number): Promise<string[]> {
  const name = role.toLowerCase();
  const master = await world.startBroker(name, role, `${name}-master`);
  const slave = await world.startBroker(name, "SLAVE", `${name}-slave`);
  await send(program, master, "Warm", ["--conns", "8", "--window", "64", "--duration", "3"]);
  await caughtUp(master, slave);
  const rows: string[] = [];
  for (const { name, conns, window } of LOADS) {
    const before = processCpuSeconds(slave.child.pid);
    const shape = ["--conns", `${conns}`, "--window", `${window}`, "--size", "256", "--warmup", "1"];
    const report = await send(program, master, `Load${conns}x${window}`, [
      ...shape,
      "--duration",
      `${seconds}`,
    ]);
    await caughtUp(master, slave);
    const { acked, throughput, latency } = report.send!;
    const slaveMicros = (processCpuSeconds(slave.child.pid) - before) * 1e6 / acked;
    const cells = [
      role,
      name,
      Math.round(throughput.msgs_per_s),
      `${micros(latency?.p50_us)} · ${micros(latency?.p99_us)}`,
      report.cost.target?.cpu_us_per_msg?.toFixed(1),
      slaveMicros.toFixed(1),
      report.error_count,
    ];
    rows.push(`| ${cells.join(" | ")} |`);
  }
  await world.stop(slave.child);
  await world.stop(master.child);
  return rows;
}

/** A slave that has nothing, with a master that has much, first alone and then while senders go on. */
async function measureCatchUp(world: World, program: string, megabytes: number): Promise<string[]> {
  const master = await world.startBroker("catch-up", "ASYNC_MASTER", "catch-up-master");
  const lines: string[] = [];
  for (const bodyBytes of [1024, 4096]) {
    const count = Math.round(megabytes * 1e6 / 2 / bodyBytes);
    const shape = ["--conns", "8", "--window", "64", "--size", `${bodyBytes}`, "--count", `${count}`];
    await send(program, master, `Fill${bodyBytes}`, shape);
  }
  const run = async (store: string, load: Promise<LoadReport> | undefined) => {
    const slave = await world.startBroker("catch-up", "SLAVE", store);
    while ((await slave.api.log()).maxOffset === 0) await delay(1);
    const startMs = performance.now();
    const bytes = await caughtUp(master, slave);
    const rate = bytes / 1000 / (performance.now() - startMs);
    const report = await load;
    await world.stop(slave.child);
    rmSync(slave.store, { recursive: true, force: true });
    return { rate, latency: report?.send?.latency };
  };
  const paced = () =>
    send(program, master, "Beside", [
      "--conns",
      "8",
      "--window",
      "64",
      "--rate",
      "20000",
      "--duration",
      "10",
    ]);
  const alone = await paced();
  lines.push(`a slave catches up with ${Math.round((await run("catch-up-1", undefined)).rate)} MB/s`);
  const beside = await run("catch-up-2", paced());
  lines.push(
    `… with ${Math.round(beside.rate)} MB/s beside 20,000 messages a second, whose p99 is ` +
      `${micros(beside.latency?.p99_us)} (without a slave: ${micros(alone.send?.latency?.p99_us)})`,
  );
  await world.stop(master.child);
  return lines;
}

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      seconds: { type: "string", default: "5" },
      megabytes: { type: "string", default: "2000" },
      executable: { type: "string" },
      directory: { type: "string", default: join(root, "dist") },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (options.help) return console.log(HELP);
  if (options.executable === undefined) {
    const run = "Deno" in globalThis ? ["run", "-A"] : [];
    await runToEnd(process.execPath, [...run, "build.ts"], { name: "build", cwd: root });
  }
  mkdirSync(options.directory, { recursive: true });
  const directory = mkdtempSync(join(options.directory, "bench-"));
  const world = new World(resolve(options.executable ?? join(root, "dist", "rmq")), directory);
  const facts = [...machineFacts(directory), `Load average before the run ${loadAverage().toFixed(2)}`];
  try {
    const program = await generator();
    await world.startNameServer();
    const rows: string[] = [];
    for (const role of ["ASYNC_MASTER", "SYNC_MASTER"] as const) {
      rows.push(...await measureRole(world, program, role, Number(options.seconds)));
    }
    const lines = await measureCatchUp(world, program, Number(options.megabytes));
    console.log([
      ...facts.map((line) => `- ${line}`),
      "",
      "| role | load, 256 B | msgs/s | p50 · p99 | µs CPU/msg master | µs CPU/msg slave | errors |",
      "| :-- | :-- | --: | --: | --: | --: | --: |",
      ...rows,
      "",
      ...lines.map((line) => `- ${line}`),
    ].join("\n"));
  } finally {
    await world.stopAll();
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
