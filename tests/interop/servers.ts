// SPDX-License-Identifier: Apache-2.0
/**
 * Name servers and brokers of either make behind one face, so that every scenario can be run against `rmq` and against
 * the real Apache RocketMQ. INTEROP_SERVER (`rmq` or `apache-5.4.0`) says which one is under test.
 */
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type ApacheVersion, startApacheBroker, startApacheNameServer } from "./apache.ts";
import { atExit, type Child } from "./child.ts";
import { freeBrokerPort, freePort } from "./ports.ts";
import { startRmq } from "./rmq.ts";

export type Make = "rmq" | `apache-${ApacheVersion}`;

/** The server that the tests are about. */
export const underTest: Make = parseMake(process.env.INTEROP_SERVER ?? "rmq");

/** The Apache version of a make, or undefined for `rmq`. */
export function apacheVersionOf(make: Make): ApacheVersion | undefined {
  return make === "rmq" ? undefined : make.slice("apache-".length) as ApacheVersion;
}

function parseMake(text: string): Make {
  if (text === "rmq" || text === "apache-5.4.0") return text;
  throw new Error(`INTEROP_SERVER is ${text}, and neither rmq nor apache-5.4.0`);
}

const workspaces = new Set<string>();
atExit(() => {
  if (process.env.INTEROP_KEEP === "1") return;
  for (const path of workspaces) rmSync(path, { recursive: true, force: true });
});

/** A directory for one test file, removed at the end (INTEROP_KEEP=1 keeps it, for a look at logs and stores). */
export class Workspace {
  readonly path: string;
  #next = 0;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<Workspace> {
    const path = await mkdtemp(join(tmpdir(), "rmq-interop-"));
    workspaces.add(path);
    return new Workspace(path);
  }

  /** A new directory in it. */
  async directory(name: string): Promise<string> {
    const path = join(this.path, `${name}-${++this.#next}`);
    await mkdir(path, { recursive: true });
    return path;
  }

  async remove(): Promise<void> {
    if (process.env.INTEROP_KEEP === "1") console.log(`kept ${this.path}`);
    else await rm(this.path, { recursive: true, force: true, maxRetries: 5 });
    workspaces.delete(this.path);
  }
}

/** A running name server. */
export interface NameServer {
  readonly make: Make;
  readonly address: string;
  readonly child: Child;
}

/** @param more keys beside the common ones */
export async function startNameServer(
  make: Make,
  workspace: Workspace,
  more: Record<string, string | number | boolean> = {},
): Promise<NameServer> {
  const directory = await workspace.directory(`${make}-namesrv`);
  const port = await freePort();
  const file = join(directory, "namesrv.properties");
  const properties = {
    listenPort: port,
    kvConfigPath: join(directory, "kvConfig.json"),
    configStorePath: join(directory, "saved.properties"),
    ...more,
  };
  await writeFile(file, formatProperties(properties));
  const version = apacheVersionOf(make);
  const child = version
    ? await startApacheNameServer(version, file, directory)
    : await startRmq(["namesrv", "-c", file], { name: "rmq-namesrv", port });
  return { make, address: `127.0.0.1:${port}`, child };
}

/** Where a broker lives and how it is configured; it can be started several times, by different makes. */
export interface BrokerSite {
  readonly name: string;
  readonly port: number;
  readonly address: string;
  readonly storePath: string;
  readonly properties: Readonly<Record<string, string | number | boolean>>;
}

export interface BrokerSiteOptions {
  readonly name: string;
  readonly cluster: string;
  /** Name server addresses, joined by `;`. */
  readonly namesrv: string;
  /** Added to, or in place of, the common keys. */
  readonly properties?: Record<string, string | number | boolean>;
}

/** Files small enough to roll within a test; delay levels short enough to wait for. */
const COMMON_PROPERTIES = {
  brokerId: 0,
  brokerIP1: "127.0.0.1",
  brokerIP2: "127.0.0.1",
  mappedFileSizeCommitLog: 8 << 20,
  mappedFileSizeConsumeQueue: 20 * 1000,
  maxHashSlotNum: 1000,
  maxIndexNum: 4000,
  // Apache refuses what has waited 200 ms, which a cold JVM on a busy machine does to the first bursts.
  waitTimeMillsInSendQueue: 10_000,
  messageDelayLevel: "1s 3s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s",
};

export async function newBrokerSite(workspace: Workspace, options: BrokerSiteOptions): Promise<BrokerSite> {
  const storePath = await workspace.directory(`store-${options.name}`);
  const port = await freeBrokerPort();
  const properties = {
    ...COMMON_PROPERTIES,
    brokerName: options.name,
    brokerClusterName: options.cluster,
    namesrvAddr: options.namesrv,
    listenPort: port,
    haListenPort: port + 1,
    storePathRootDir: storePath,
    storePathCommitLog: join(storePath, "commitlog"),
    ...options.properties,
  };
  return { name: options.name, port, address: `127.0.0.1:${port}`, storePath, properties };
}

/** Starts a broker of this make at a site and waits until it serves. */
export async function startBroker(make: Make, site: BrokerSite, workspace: Workspace): Promise<Child> {
  const home = await workspace.directory(`${make}-${site.name}`);
  const file = join(home, "broker.properties");
  await writeFile(file, formatProperties(site.properties));
  const version = apacheVersionOf(make);
  if (version) return startApacheBroker(version, file, home);
  return startRmq(["broker", "-c", file], { name: `rmq-broker-${site.name}`, port: site.port });
}

/** Writes the configuration of a site. @returns its path, for `-c` */
export async function writeBrokerConfig(site: BrokerSite, workspace: Workspace): Promise<string> {
  const file = join(await workspace.directory(`config-${site.name}`), "broker.properties");
  await writeFile(file, formatProperties(site.properties));
  return file;
}

function formatProperties(properties: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(properties).map(([key, value]) => `${key}=${value}\n`).join("");
}
