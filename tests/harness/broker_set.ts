// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { type RunningBroker, startBroker } from "../../src/broker/broker.ts";
import { liveConfig } from "../../src/cli/live_config.ts";
import { AdminApi } from "../../src/client/admin_api.ts";
import { MasterApi } from "../../src/client/master_api.ts";
import { loadBrokerConfiguration } from "../../src/config/broker_config.ts";
import { loadNameServerConfiguration } from "../../src/config/name_server_config.ts";
import { sourceOfPairs } from "../../src/config/sources.ts";
import { type NameServer, startNameServer } from "../../src/namesrv/name_server.ts";
import { encodeGroupConfig, groupConfig } from "../../src/protocol/bodies/subscription_group.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { pullRequest } from "../../src/protocol/headers/pull.ts";
import { PullSysFlag } from "../../src/protocol/sys_flag.ts";
import type { Command } from "../../src/remoting/command.ts";
import { RemotingClient } from "../../src/remoting/client.ts";
import { RemotingIoError } from "../../src/remoting/remoting_error.ts";
import { freeBrokerPort } from "../interop/ports.ts";
import { sendRequest } from "./broker_parts.ts";
import { eventually } from "./until.ts";

/** A member of a broker set: where it lives, and the broker while it runs. */
export class Member {
  broker: RunningBroker | undefined;
  readonly #pairs: readonly string[];
  readonly #client: RemotingClient;

  constructor(
    readonly name: string,
    readonly port: number,
    readonly store: string,
    pairs: readonly string[],
    client: RemotingClient,
  ) {
    this.#pairs = pairs;
    this.#client = client;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** @param more added to its configuration, this time */
  async start(options: { givesUpSlaveLog?: boolean } = {}, ...more: string[]): Promise<void> {
    const { configuration } = loadBrokerConfiguration({
      overriding: [sourceOfPairs("test", [...this.#pairs, ...more])],
    });
    this.broker = await startBroker({
      settings: () => configuration.settings,
      config: liveConfig(configuration, () => systemClock.nowMs()),
      configBlackList: configuration.blackList,
      ...options,
    });
  }

  async stop(): Promise<void> {
    const broker = this.broker;
    this.broker = undefined;
    await broker?.stop();
  }

  /** Its store is gone: a new disk. */
  loseStore(): void {
    rmSync(this.store, { recursive: true, force: true });
  }

  get api(): MasterApi {
    return MasterApi.at(this.#client, this.address);
  }

  get admin(): AdminApi {
    return new AdminApi(this.address, this.#client);
  }

  async makeGroup(group: string): Promise<void> {
    const body = encodeGroupConfig(groupConfig(group));
    const request = { code: RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, body };
    const { code, remark } = await this.#client.request(this.address, request, 3000);
    if (code !== 0) throw new Error(remark ?? `code ${code}`);
  }

  /** End of its log. */
  async logEnd(): Promise<number> {
    return (await this.api.log()).maxOffset;
  }
}

/** A name server, a master and its slave in one process, over real sockets; nothing runs at first but the name server. */
export interface BrokerSet {
  readonly nameServer: NameServer;
  readonly master: Member;
  readonly slave: Member;
  readonly directory: string;
  /** Resolves when the slave has all of the master's log. */
  caughtUp(): Promise<void>;
  /** A pull that does not wait, with its own subscription to everything. */
  pull(member: Member, group: string, topic: string, queueOffset: number): Promise<Command>;
  /** A message to queue 0, sent to this very broker. */
  send(member: Member, topic: string): Promise<Command>;
  /** What HA status each tells. */
  haStatus(member: Member): Promise<Record<string, any>>;
  stop(): Promise<void>;
}

/** @param pairs the configuration of both brokers, `key=value` in Apache's names */
export async function newBrokerSet(...pairs: string[]): Promise<BrokerSet> {
  const directory = mkdtempSync(join(tmpdir(), "rmq-set-"));
  const nameServer = await startNameServer(
    loadNameServerConfiguration({
      overriding: [sourceOfPairs("test", [
        "listenPort=0",
        "bindAddress=127.0.0.1",
        `kvConfigPath=${join(directory, "kvConfig.json")}`,
        `configStorePath=${join(directory, "namesrv.properties")}`,
        "supportActingMaster=true",
        "notifyMinBrokerIdChanged=true",
      ])],
    }).configuration.settings,
  );
  const client = new RemotingClient();
  const member = async (name: string, ...own: string[]) => {
    const port = await freeBrokerPort();
    const store = join(directory, name);
    return new Member(name, port, store, [
      `listenPort=${port}`,
      "bindAddress=127.0.0.1",
      "brokerIP1=127.0.0.1",
      "brokerIP2=127.0.0.1",
      "brokerName=broker-a",
      `namesrvAddr=${nameServer.address}`,
      `storePathRootDir=${store}`,
      "mappedFileSizeCommitLog=1048576",
      "mappedFileSizeConsumeQueue=20000",
      "maxHashSlotNum=1000",
      "maxIndexNum=4000",
      "diskSpaceWarningLevelRatio=99",
      ...pairs,
      ...own,
    ], client);
  };
  const master = await member("master");
  const slave = await member("slave", "brokerRole=SLAVE", "brokerId=1");
  return {
    nameServer,
    master,
    slave,
    directory,
    async caughtUp() {
      await eventually(async () => {
        try {
          const end = await master.logEnd();
          return end > 0 && end === await slave.logEnd();
        } catch (error) {
          if (error instanceof RemotingIoError) return false;
          throw error;
        }
      });
    },
    pull(member, consumerGroup, topic, queueOffset) {
      const fields = pullRequest.encode({
        ...{ consumerGroup, topic, queueId: 0, queueOffset, maxMsgNums: 32 },
        ...{ sysFlag: PullSysFlag.SUBSCRIPTION, commitOffset: 0, suspendTimeoutMillis: 0 },
        ...{ subscription: "*", subVersion: 0, expressionType: "TAG" },
      });
      return client.request(member.address, { code: RequestCode.PULL_MESSAGE, fields }, 3000);
    },
    send(member, topic) {
      const { code, fields, body } = sendRequest({ topic });
      return client.request(member.address, { code, fields, body: body ?? undefined }, 3000);
    },
    async haStatus({ address }) {
      const answer = await client.request(address, { code: RequestCode.GET_BROKER_HA_STATUS }, 3000);
      return JSON.parse(new TextDecoder().decode(answer.body!));
    },
    async stop() {
      await slave.stop();
      await master.stop();
      client.close();
      await nameServer.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
