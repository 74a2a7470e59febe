// SPDX-License-Identifier: Apache-2.0
/**
 * `deno task demo:2m-2s`: the cluster of docs/cluster.md on this machine, with the files of conf/2m-2s-sync, on free
 * ports and in a temporary directory. Messages are sent and consumed while one master is killed and comes back; at
 * the end every acknowledged message is looked for.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { AdminApi } from "../../src/client/admin_api.ts";
import { Consumer } from "../../src/client/consumer.ts";
import { MasterApi } from "../../src/client/master_api.ts";
import { Producer } from "../../src/client/producer.ts";
import { RemotingClient } from "../../src/remoting/client.ts";
import { eventually } from "../harness/until.ts";
import type { Child } from "../interop/child.ts";
import { freeBrokerPort, freePort } from "../interop/ports.ts";
import { startRmq } from "../interop/rmq.ts";

const CONF = fileURLToPath(new URL("../../conf/2m-2s-sync", import.meta.url));
const TOPIC = "Demo";
/** Sent until it is on a slave; not counted. */
const WARM_UP = "warm-up";
const SENDERS = 8;
/** Under load before the kill, while the master is away, and after it is back. */
const PHASE_MS = 4000;

const startedMs = performance.now();

function say(text: string): void {
  process.stdout.write(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(5)} s  ${text}\n`);
}

/** One process of the cluster; it can be killed and started again. */
class Server {
  readonly name: string;
  readonly port: number;
  readonly #args: readonly string[];
  #child: Child | undefined;

  constructor(name: string, port: number, args: readonly string[]) {
    this.name = name;
    this.port = port;
    this.#args = args;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    this.#child = await startRmq(this.#args, { name: this.name, port: this.port });
    say(`${this.name} runs at ${this.address} (process ${this.#child.pid})`);
  }

  async kill(): Promise<void> {
    await this.#child?.kill();
    this.#child = undefined;
  }

  async stop(): Promise<void> {
    await this.#child?.stop();
    this.#child = undefined;
  }
}

/** Counts what was promised and what came. */
class Ledger {
  readonly acknowledged = new Set<string>();
  readonly received = new Map<string, number>();
  /** Stored, but not known to be on a slave. */
  lessSafe = 0;
  failed = 0;

  get missing(): string[] {
    return [...this.acknowledged].filter((body) => !this.received.has(body));
  }

  line(): string {
    const repeated = [...this.received.values()].filter((times) => times > 1).length;
    return `${this.acknowledged.size} acknowledged by master and slave, ${this.lessSafe} by the master alone, ` +
      `${this.failed} refused; ${this.received.size} consumed, ${repeated} of them more than once`;
  }
}

async function nameServer(directory: string, name: string): Promise<Server> {
  const port = await freePort();
  const set = (key: string, value: string | number) => ["--set", `${key}=${value}`];
  return new Server(name, port, [
    "namesrv",
    ...set("listenPort", port),
    ...set("kvConfigPath", join(directory, name, "kvConfig.json")),
    ...set("configStorePath", join(directory, name, "namesrv.properties")),
  ]);
}

async function broker(directory: string, file: string, nameServers: string): Promise<Server> {
  const port = await freeBrokerPort();
  const set = (key: string, value: string | number) => ["--set", `${key}=${value}`];
  return new Server(file, port, [
    ...["broker", "-c", join(CONF, `${file}.properties`), "-n", nameServers],
    ...set("listenPort", port),
    ...set("storePathRootDir", join(directory, file)),
    ...set("brokerIP1", "127.0.0.1"),
    ...set("brokerIP2", "127.0.0.1"),
    ...set("mappedFileSizeCommitLog", 64 << 20),
    ...set("brokerConfigPath", join(directory, `${file}.properties`)),
  ]);
}

async function startCluster(directory: string): Promise<{ servers: Server[]; nameServers: string }> {
  const first = [await nameServer(directory, "namesrv-1"), await nameServer(directory, "namesrv-2")];
  const nameServers = first.map(({ address }) => address).join(";");
  const servers = [...first];
  for (const server of first) await server.start();
  for (const file of ["broker-a", "broker-b", "broker-a-s", "broker-b-s"]) {
    const server = await broker(directory, file, nameServers);
    servers.push(server);
    await server.start();
  }
  return { servers, nameServers };
}

/** Resolves when a slave has the log of its master. */
async function inSync(client: RemotingClient, master: Server, slave: Server): Promise<void> {
  const end = async ({ address }: Server) => (await MasterApi.at(client, address, 3000).log()).maxOffset;
  await eventually(async () => {
    try {
      const ends = await Promise.all([end(master), end(slave)]);
      return ends[0] > 0 && ends[0] === ends[1];
    } catch {
      return false;
    }
  }, 60_000);
}

function startSending(producer: Producer, ledger: Ledger): () => Promise<void> {
  let isStopped = false;
  let next = 0;
  const sendOn = async () => {
    while (!isStopped) {
      const body = `message ${next++}`;
      try {
        const { status } = await producer.send({ topic: TOPIC, body });
        if (status === "SEND_OK") ledger.acknowledged.add(body);
        else ledger.lessSafe++;
      } catch {
        ledger.failed++;
        await setTimeout(50);
      }
    }
  };
  const senders = Array.from({ length: SENDERS }, sendOn);
  return async () => {
    isStopped = true;
    await Promise.all(senders);
  };
}

async function demonstrate(servers: Server[], nameServers: string): Promise<boolean> {
  const find = (name: string) => servers.find((server) => server.name === name)!;
  const [masterA, slaveA, masterB] = [find("broker-a"), find("broker-a-s"), find("broker-b")];
  const client = new RemotingClient();
  for (const { address } of [masterA, masterB]) await new AdminApi(address, client).createTopic(TOPIC, 4);
  const ledger = new Ledger();
  const producer = new Producer({ nameServers, group: "demo-producers", retries: 5 });
  const consumer = new Consumer({
    ...{ nameServers, group: "demo-consumers", subscriptions: { [TOPIC]: "*" }, from: "first" },
    onMessages(messages) {
      for (const { body } of messages) {
        const text = new TextDecoder().decode(body);
        if (text === WARM_UP) continue;
        ledger.received.set(text, (ledger.received.get(text) ?? 0) + 1);
      }
    },
  });
  await eventually(
    async () => (await producer.send({ topic: TOPIC, body: WARM_UP })).status === "SEND_OK",
    30_000,
  );
  await inSync(client, masterA, slaveA);
  await consumer.start();
  say(`${SENDERS} senders and a consumer are at work on the topic ${TOPIC}, 4 queues at each master`);
  const stopSending = startSending(producer, ledger);
  await setTimeout(PHASE_MS);
  say(ledger.line());

  await masterA.kill();
  say("kill -9 broker-a: producers go on at broker-b, consumers read the rest from broker-a-s");
  await setTimeout(PHASE_MS);
  say(ledger.line());

  await masterA.start();
  await inSync(client, masterA, slaveA);
  say("broker-a is back, and its slave follows it");
  await setTimeout(PHASE_MS);
  await stopSending();
  say("no more is sent");
  await eventually(() => Promise.resolve(ledger.missing.length === 0), 60_000).catch(() => {});
  await consumer.stop();
  producer.stop();
  client.close();
  say(ledger.line());
  say(
    ledger.missing.length === 0
      ? "every acknowledged message was consumed"
      : `MISSING: ${ledger.missing.slice(0, 10).join(", ")}`,
  );
  return ledger.missing.length === 0;
}

const directory = await mkdtemp(join(tmpdir(), "rmq-demo-"));
const servers: Server[] = [];
try {
  const cluster = await startCluster(directory);
  servers.push(...cluster.servers);
  process.exitCode = await demonstrate(cluster.servers, cluster.nameServers) ? 0 : 1;
} finally {
  for (const server of servers.reverse()) await server.stop();
  await rm(directory, { recursive: true, force: true });
}
