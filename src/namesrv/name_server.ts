// SPDX-License-Identifier: Apache-2.0
import { type Clock, systemClock } from "../base/clock.ts";
import { formatAddress } from "../remoting/connection.ts";
import { RemotingClient } from "../remoting/client.ts";
import { Dispatch } from "../remoting/dispatch.ts";
import { RemotingServer } from "../remoting/server.ts";
import { brokerHandlers } from "./handlers/brokers.ts";
import { clusterHandlers } from "./handlers/cluster.ts";
import { configHandlers, type LiveConfig } from "./handlers/config.ts";
import { kvHandlers } from "./handlers/kv.ts";
import { routeHandlers, type RouteSettings } from "./handlers/routes.ts";
import { topicHandlers, type TopicListSettings } from "./handlers/topics.ts";
import { KvTable } from "./kv_table.ts";
import { tellMinBrokerId } from "./min_id_notice.ts";
import { RouteTable } from "./route_table.ts";

export interface NameServerSettings extends RouteSettings, TopicListSettings {
  /** Read at the start only, like the three after it. */
  readonly bindAddress: string;
  /** 0 lets the system choose. */
  readonly listenPort: number;
  readonly connectionMaxIdleMs: number;
  readonly brokerScanIntervalMs: number;
  readonly kvTableFile: string;
  /** Answers to registrations carry the order configuration. */
  readonly orderConfigToBrokers: boolean;
  /** A registration removes the broker's topics that it does not name. */
  readonly deleteTopicsByRegistration: boolean;
  /** Brokers are told when the smallest id of their group changes. */
  readonly notifyMinBrokerIdChanged: boolean;
}

export interface NameServerOptions {
  clock?: Clock;
  /** Absent: requests to see or change the configuration are not supported. */
  config?: LiveConfig;
}

export interface NameServer {
  /** `host:port` that it listens on. */
  readonly address: string;
  readonly port: number;
  /** Other settings from now on, but for those that are read at the start. */
  applySettings(settings: NameServerSettings): void;
  /** Closes the port and all connections. */
  stop(): Promise<void>;
}

/** Everything that a name server answers from. */
export interface NameServerParts {
  routes: RouteTable;
  kv: KvTable;
  clock: Clock;
  /** The settings of the moment. */
  settings: () => NameServerSettings;
  config?: LiveConfig;
}

export function nameServerDispatch({ routes, kv, clock, settings, config }: NameServerParts): Dispatch {
  return new Dispatch(
    routeHandlers({ routes, kv, clock, settings }),
    brokerHandlers(routes, kv, settings),
    topicHandlers(routes, settings),
    clusterHandlers(routes),
    kvHandlers(kv),
    config === undefined ? new Map() : configHandlers(config),
  );
}

/** @throws Error when the key-value file can't be read or the port can't be had */
export async function startNameServer(
  initial: NameServerSettings,
  { clock = systemClock, config }: NameServerOptions = {},
): Promise<NameServer> {
  let settings = initial;
  const client = new RemotingClient({ clock });
  const routes = new RouteTable({
    clock,
    deleteTopicsByRegistration: () => settings.deleteTopicsByRegistration,
    onMinBrokerIdChange: (change) => {
      if (settings.notifyMinBrokerIdChanged) tellMinBrokerId(client, change);
    },
  });
  const kv = new KvTable(settings.kvTableFile);
  const server = await RemotingServer.listen({
    host: settings.bindAddress,
    port: settings.listenPort,
    clock,
    idleTimeoutMs: settings.connectionMaxIdleMs,
    dispatch: nameServerDispatch({ routes, kv, clock, settings: () => settings, config }),
  });
  const scan = clock.every(settings.brokerScanIntervalMs, () => routes.expire());

  return {
    address: formatAddress({ host: settings.bindAddress, port: server.port }),
    port: server.port,
    applySettings(next) {
      settings = next;
    },
    async stop() {
      scan.cancel();
      routes.clear();
      client.close();
      await server.close();
    },
  };
}
