// SPDX-License-Identifier: Apache-2.0
/** A master and its slave, each of any make, for the tests of replication. */
import { cp, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { MasterApi } from "../../src/client/master_api.ts";
import { RemotingClient } from "../../src/remoting/client.ts";
import { eventually } from "../harness/until.ts";
import type { Child } from "./child.ts";
import {
  type BrokerSite,
  type BrokerSiteOptions,
  type Make,
  newBrokerSite,
  startBroker,
  Workspace,
} from "./servers.ts";

export class Replica {
  readonly site: BrokerSite;
  readonly #workspace: Workspace;
  #child: Child | undefined;

  constructor(site: BrokerSite, workspace: Workspace) {
    this.site = site;
    this.#workspace = workspace;
  }

  async start(make: Make): Promise<void> {
    this.#child = await startBroker(make, this.site, this.#workspace);
  }

  async kill(): Promise<void> {
    await this.#child?.kill();
    this.#child = undefined;
  }

  async stop(): Promise<void> {
    await this.#child?.stop();
    this.#child = undefined;
  }

  /** Keeps the store as it is now; it must not run. */
  async keepStore(): Promise<void> {
    await cp(this.site.storePath, `${this.site.storePath}.kept`, { recursive: true });
  }

  /** Puts it back as it was kept: what came since is lost, as in a power cut. */
  async bringStoreBack(): Promise<void> {
    await rm(this.site.storePath, { recursive: true });
    await rename(`${this.site.storePath}.kept`, this.site.storePath);
  }

  api(client: RemotingClient): MasterApi {
    return MasterApi.at(client, this.site.address);
  }

  /** The bytes of its log from 0 to `end`. */
  async logBytes(end: number): Promise<Buffer> {
    const directory = join(this.site.storePath, "commitlog");
    const files = (await readdir(directory)).filter((name) => /^[0-9]{20}$/.test(name)).sort();
    const bytes = Buffer.concat(await Promise.all(files.map((name) => readFile(join(directory, name)))));
    return bytes.subarray(0, end);
  }

  /** A table as it keeps it on disk. */
  async table(name: string): Promise<string> {
    return await readFile(join(this.site.storePath, "config", name), "utf8");
  }
}

export interface Pair {
  readonly master: Replica;
  readonly slave: Replica;
  readonly client: RemotingClient;
  /** Resolves when the slave has as much of a log as the master. */
  caughtUp(timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
}

/** Two sites of one brokerName; nothing runs yet. */
export async function newPair(
  workspace: Workspace,
  options: BrokerSiteOptions & {
    master?: BrokerSiteOptions["properties"];
    slave?: BrokerSiteOptions["properties"];
  },
): Promise<Pair> {
  const site = async (properties: BrokerSiteOptions["properties"]) =>
    new Replica(
      await newBrokerSite(workspace, { ...options, properties: { ...options.properties, ...properties } }),
      workspace,
    );
  const master = await site({ brokerRole: "ASYNC_MASTER", ...options.master });
  const slave = await site({ brokerRole: "SLAVE", brokerId: 1, ...options.slave });
  const client = new RemotingClient();
  return {
    ...{ master, slave, client },
    async caughtUp(timeoutMs = 30_000) {
      await eventually(async () => {
        const [theirs, ours] = await Promise.allSettled([master.api(client).log(), slave.api(client).log()]);
        return theirs.status === "fulfilled" && ours.status === "fulfilled" && theirs.value.maxOffset > 0 &&
          theirs.value.maxOffset === ours.value.maxOffset;
      }, timeoutMs);
    },
    async stop() {
      client.close();
      await slave.stop();
      await master.stop();
    },
  };
}
