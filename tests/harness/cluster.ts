// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { type RunningBroker, startBroker } from "../../src/broker/broker.ts";
import { liveConfig } from "../../src/cli/live_config.ts";
import { loadBrokerConfiguration } from "../../src/config/broker_config.ts";
import { loadNameServerConfiguration } from "../../src/config/name_server_config.ts";
import { sourceOfPairs } from "../../src/config/sources.ts";
import { type NameServer, startNameServer } from "../../src/namesrv/name_server.ts";
import { freePort } from "../interop/ports.ts";

/** A name server and a broker in this process, on ports of their own, with a store that goes when they do. */
export interface TestCluster {
  readonly nameServer: NameServer;
  readonly broker: RunningBroker;
  readonly directory: string;
  /** Stops the broker and starts one on the same store, at the same port. */
  restartBroker(): Promise<void>;
  stop(): Promise<void>;
}

/** @param pairs the broker's configuration, `key=value` in Apache's names */
export async function startTestCluster(...pairs: string[]): Promise<TestCluster> {
  const directory = mkdtempSync(join(tmpdir(), "rmq-cluster-"));
  const { configuration: nameServerConfiguration } = loadNameServerConfiguration({
    overriding: [sourceOfPairs("test", [
      "listenPort=0",
      "bindAddress=127.0.0.1",
      `kvConfigPath=${join(directory, "kvConfig.json")}`,
      `configStorePath=${join(directory, "namesrv.properties")}`,
    ])],
  });
  const nameServer = await startNameServer(nameServerConfiguration.settings, {
    config: liveConfig(nameServerConfiguration, () => systemClock.nowMs()),
  });
  const haPort = await freePort();
  const start = async (port: number) => {
    const { configuration } = loadBrokerConfiguration({
      overriding: [sourceOfPairs("test", [
        `listenPort=${port}`,
        `haListenPort=${haPort}`,
        "bindAddress=127.0.0.1",
        "brokerIP1=127.0.0.1",
        "brokerName=broker-a",
        `namesrvAddr=${nameServer.address}`,
        `storePathRootDir=${join(directory, "store")}`,
        "mappedFileSizeCommitLog=4194304",
        "maxHashSlotNum=5000",
        "maxIndexNum=20000",
        "diskSpaceWarningLevelRatio=99",
        ...pairs,
      ])],
    });
    return await startBroker({
      settings: () => configuration.settings,
      config: liveConfig(configuration, () => systemClock.nowMs()),
      configBlackList: configuration.blackList,
    });
  };
  let broker = await start(0);
  return {
    nameServer,
    get broker() {
      return broker;
    },
    directory,
    async restartBroker() {
      await broker.stop();
      broker = await start(broker.port);
    },
    async stop() {
      await broker.stop();
      await nameServer.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
