// SPDX-License-Identifier: Apache-2.0
/** What is no plain workload: many topics, a piled-up queue, idle connections, several brokers, starts. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { topicConfig, topicConfigToJson } from "../../src/protocol/bodies/topic_config.ts";
import { count, megabytes, type ScenarioRow, time } from "./figures.ts";
import { type LoadReport, runLoad } from "./generator.ts";
import { HeldPulls } from "./held_pulls.ts";
import { processMemory } from "./machine.ts";
import { dropFromPageCache, filesBelow, shareInPageCache, warmth } from "./page_cache.ts";
import type { Peer, RunningPeer } from "./peers.ts";

export interface ScenarioContext {
  readonly peer: Peer;
  /** Empty. */
  readonly directory: string;
  /** The load generator's executable. */
  readonly generator: string;
  readonly seconds: number;
  readonly sizes: {
    readonly connections: number;
    readonly piled: number;
    readonly topics: number;
    readonly gigabytes: number;
  };
  warmUp(server: RunningPeer): Promise<void>;
  /** Tells readers of the table what they must know. */
  note(text: string): void;
}

export interface Scenario {
  readonly name: string;
  suits(peer: Peer): boolean;
  run(context: ScenarioContext): Promise<ScenarioRow[]>;
}

const isOurs = (peer: Peer) => peer.startSeveral !== undefined;
const everyone = () => true;

export const SCENARIOS: readonly Scenario[] = [
  // Apache maps a file for each queue, more than a process may, and writes all groups for each new one
  { name: "many-topics", suits: isOurs, run: manyTopics },
  { name: "piled-up", suits: everyone, run: piledUp },
  { name: "idle-connections", suits: everyone, run: (context) => idleConnections(context, false) },
  { name: "idle-groups", suits: isOurs, run: (context) => idleConnections(context, true) },
  { name: "two-brokers", suits: isOurs, run: twoBrokers },
  { name: "start", suits: isOurs, run: startUp },
];

/** Scenarios of these names; all without names. */
export function chooseScenarios(names: readonly string[] | undefined): readonly Scenario[] {
  return SCENARIOS.filter(({ name }) => names === undefined || names.includes(name));
}

const QUEUES = 8;
/** Two generators: one can't tell 80,000 queues apart. */
const HALF_LOAD = ["--conns", "4", "--window", "64", "--size", "256", "--queues", `${QUEUES}`];

/** Starts the peer, and stops it however `use` ends. */
async function withServer<T>(
  { peer, directory }: ScenarioContext,
  use: (server: RunningPeer) => Promise<T>,
): Promise<T> {
  const server = await peer.start(directory, "ASYNC_FLUSH");
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

/** Sends from two generators at once, one to each target. @returns messages per second of both together */
async function sendTwice(
  { generator, seconds, note }: ScenarioContext,
  targets: readonly string[],
  topics: readonly string[][],
): Promise<number> {
  const reports = await Promise.all(topics.map((topic, index) =>
    runLoad(generator, [
      ...["send", "--addr", targets[index % targets.length], ...HALF_LOAD, ...topic],
      ...["--warmup", "1", "--duration", `${seconds}`],
    ])
  ));
  for (const report of reports) noteErrors(report, note);
  return reports.reduce((sum, report) => sum + report.send!.throughput.msgs_per_s, 0);
}

function noteErrors(report: LoadReport, note: (text: string) => void): void {
  if (report.error_count > 0) note(`${report.error_count} errors: ${JSON.stringify(report.errors)}`);
  else if (!report.succeeded || !report.sound) note(`${report.command}: a check failed`);
}

/**
 * Puts many topics into a store that no broker has opened yet: asking for each would measure how fast topics are made,
 * for a broker answers when all of them are on the disk again.
 * @returns the generators' arguments for them
 */
async function writeTopics({ directory, sizes }: ScenarioContext): Promise<string[][]> {
  const half = Math.ceil(sizes.topics / 2);
  const prefixes = ["many-a-", "many-b-"];
  const names = prefixes.flatMap((prefix) => Array.from({ length: half }, (_, index) => `${prefix}${index}`));
  const table = names.map((
    name,
  ) => [name, topicConfigToJson(topicConfig(name, { readQueueNums: QUEUES, writeQueueNums: QUEUES }))]);
  const config = join(directory, "store", "config");
  await mkdir(config, { recursive: true });
  await writeFile(
    join(config, "topics.json"),
    JSON.stringify({
      dataVersion: { counter: names.length, stateVersion: 0, timestamp: Date.now() },
      topicConfigTable: Object.fromEntries(table),
    }),
  );
  return prefixes.map((prefix) => ["--topic", prefix, "--topics", `${half}`, "--no-create"]);
}

/** One message to each queue, so that it has its file. */
async function touchQueues(
  { generator, sizes, note }: ScenarioContext,
  { address }: RunningPeer,
  topics: readonly string[][],
): Promise<void> {
  for (const topic of topics) {
    const once = ["--count", `${Math.ceil(sizes.topics / 2) * QUEUES}`];
    noteErrors(await runLoad(generator, ["send", "--addr", address, ...HALF_LOAD, ...topic, ...once]), note);
  }
}

async function manyTopics(context: ScenarioContext): Promise<ScenarioRow[]> {
  const many = await writeTopics(context);
  return await withServer(context, async (server) => {
    await context.warmUp(server);
    const few = await sendTwice(context, [server.address], [["--topic", "one"], ["--topic", "two"]]);
    await touchQueues(context, server, many);
    const spread = await sendTwice(context, [server.address], many);
    const what = `8 × 64, 256 B, spread over ${context.sizes.topics} topics × ${QUEUES} queues`;
    const { residentBytes } = processMemory(server.pid);
    return [
      { what: "8 × 64, 256 B, two topics, by two generators", value: `${count(few)} msgs/s` },
      { what, value: `${count(spread)} msgs/s (${(spread / few * 100).toFixed(0)} %)` },
      { what: "… resident then", value: `${megabytes(residentBytes)} MB` },
    ];
  });
}

const PILED_RATE = 5000;

function piledUp(context: ScenarioContext): Promise<ScenarioRow[]> {
  const { generator, seconds, sizes: { piled }, note, directory } = context;
  return withServer(context, async (server) => {
    await context.warmUp(server);
    const target = ["--addr", server.address];
    const pile = [...target, "--topic", "pile", "--queues", "1"];
    const fill = ["--conns", "8", "--window", "64", "--size", "256", "--count", `${piled}`];
    noteErrors(await runLoad(generator, ["send", ...pile, ...fill]), note);
    const produce = async () => {
      const load = ["--topic", "on-going", "--size", "256", "--rate", `${PILED_RATE}`];
      const report = await runLoad(generator, [
        ...["send", ...target, ...load, "--warmup", "1", "--duration", `${seconds}`],
      ]);
      noteErrors(report, note);
      return report.send?.latency;
    };
    const before = await produce();
    const log = join(directory, "store", "commitlog");
    const warning = warmth(dropFromPageCache(log), shareInPageCache(filesBelow(log)));
    if (warning !== undefined) note(warning);
    const reading = runLoad(generator, ["consume", ...pile, "--duration", `${seconds + 1}`]);
    const during = await produce();
    const read = (await reading).receive;
    const ratio = before && during ? ` (${(during.p99_us / before.p99_us).toFixed(2)}×)` : "";
    const p99 = (latency: typeof before) => latency ? time(latency.p99_us) : "?";
    return [
      { what: `send p99 at ${PILED_RATE} msgs/s beside a queue of ${piled} messages`, value: p99(before) },
      { what: "… while it is read from the disk", value: `${p99(during)}${ratio}` },
      { what: "… read of it", value: `${count(read?.throughput.msgs_per_s)} msgs/s` },
    ];
  });
}

/** Until a garbage collector had its chance. */
const SETTLE_MS = 3000;

function idleConnections(context: ScenarioContext, ownGroups: boolean): Promise<ScenarioRow[]> {
  const { generator, sizes: { connections } } = context;
  return withServer(context, async (server) => {
    const send = ["send", "--addr", server.address, "--topic", "idle", "--queues", "1", "--count", "1"];
    noteErrors(await runLoad(generator, send), context.note);
    const before = processMemory(server.pid);
    const pulls = new HeldPulls(server.address, "idle", 1);
    try {
      await pulls.open(connections, (index) => ownGroups ? `idle-${index}` : "idle");
      await delay(SETTLE_MS);
      const held = processMemory(server.pid);
      const perConnection = (held.anonymousBytes - before.anonymousBytes) / connections / 1000;
      const beginMs = performance.now();
      const message = runLoad(generator, [...send, "--no-create"]);
      const served = await pulls.allAnswered();
      const millis = performance.now() - beginMs;
      await message;
      const what = `${connections} idle connections with held pulls, ${
        ownGroups ? "a group each" : "one group"
      }`;
      return [
        { what: `${what}: memory of each`, value: `${perConnection.toFixed(1)} KB` },
        { what: `${what}: answered when a message comes`, value: `${served} in ${time(millis * 1000)}` },
      ];
    } finally {
      pulls.close();
    }
  });
}

async function twoBrokers(context: ScenarioContext): Promise<ScenarioRow[]> {
  const topics = [["--topic", "a"], ["--topic", "b"]];
  const rates: number[] = [];
  for (const brokers of [1, 2]) {
    const server = await context.peer.startSeveral!(join(context.directory, `${brokers}`), brokers);
    try {
      for (const address of server.addresses) await context.warmUp({ ...server, address });
      rates.push(await sendTwice(context, server.addresses, topics));
    } finally {
      await server.stop();
    }
  }
  const [one, two] = rates;
  return [
    { what: "8 × 64, 256 B, by two generators, one broker", value: `${count(one)} msgs/s` },
    {
      what: "… two brokers in one process",
      value: `${count(two)} msgs/s (${(two / one).toFixed(2)}×)`,
    },
  ];
}

const FILL_BODY_BYTES = 4096;
const START_TRIES = 3;

async function startUp(context: ScenarioContext): Promise<ScenarioRow[]> {
  const { generator, sizes: { topics, gigabytes } } = context;
  const empty = await withServer(
    { ...context, directory: join(context.directory, "empty") },
    (server) => Promise.resolve(server.startMs),
  );
  const topicLoads = await writeTopics(context);
  await withServer(context, async (server) => {
    await touchQueues(context, server, topicLoads);
    const fill = ["--topic", "fill", "--conns", "8", "--window", "16", "--size", `${FILL_BODY_BYTES}`];
    const amount = ["--count", `${Math.ceil(gigabytes * 1e9 / FILL_BODY_BYTES)}`];
    noteErrors(
      await runLoad(generator, ["send", "--addr", server.address, ...fill, ...amount]),
      context.note,
    );
  });
  const starts: number[] = [];
  for (let tries = 0; tries < START_TRIES; tries++) {
    starts.push(await withServer(context, (server) => Promise.resolve(server.startMs)));
  }
  const slowest = time(Math.max(...starts) * 1000);
  return [
    { what: "start to first answer, empty store", value: time(empty * 1000) },
    {
      what: `… ${topics} topics and ${gigabytes} GB, after a clean stop (slowest of ${START_TRIES})`,
      value: slowest,
    },
  ];
}
