// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrokerIntroduction, NameServerApi } from "../../src/client/name_server_api.ts";
import type { LiveConfig } from "../../src/namesrv/handlers/config.ts";
import { KvTable } from "../../src/namesrv/kv_table.ts";
import { nameServerDispatch, type NameServerSettings } from "../../src/namesrv/name_server.ts";
import { type MinBrokerIdChange, RouteTable } from "../../src/namesrv/route_table.ts";
import { DataVersion } from "../../src/protocol/bodies/data_version.ts";
import type { RegisterBrokerBody } from "../../src/protocol/bodies/register_broker.ts";
import { topicConfig } from "../../src/protocol/bodies/topic_config.ts";
import type { BrokerIdentityRequest } from "../../src/protocol/headers/register_broker.ts";
import type { Command } from "../../src/remoting/command.ts";
import type { Dispatch } from "../../src/remoting/dispatch.ts";
import { ManualClock } from "../harness/manual_clock.ts";
import { bodyBytes, MemoryConnection } from "../harness/memory_connection.ts";

/** Apache's defaults; port and file are for the test to say. */
export const DEFAULT_SETTINGS: NameServerSettings = {
  bindAddress: "127.0.0.1",
  listenPort: 0,
  connectionMaxIdleMs: 120_000,
  kvTableFile: "",
  orderConfigInRoutes: false,
  orderConfigToBrokers: true,
  brokerScanIntervalMs: 5000,
  allTopicList: true,
  topicLists: true,
  routeHoldMs: 0,
  deleteTopicsByRegistration: false,
  actingMaster: false,
  notifyMinBrokerIdChanged: false,
};

/** What the broker with this name and id says of itself. */
export function broker(brokerName: string, brokerId = 0): BrokerIntroduction {
  return {
    ...identity(brokerName, brokerId),
    haServerAddr: `${brokerName}${brokerId}:2`,
    heartbeatTimeoutMillis: undefined,
    enableActingMaster: false,
    __ZONE_NAME: undefined,
  };
}

export function identity(brokerName: string, brokerId = 0): BrokerIdentityRequest {
  return { clusterName: "C", brokerName, brokerId, brokerAddr: `${brokerName}${brokerId}:1` };
}

/** The body of a registration with these topics, always of the same version. */
export function topics(...names: string[]): RegisterBrokerBody {
  return {
    dataVersion: new DataVersion(0, 1_700_000_000_000, 1),
    topicConfigTable: new Map(names.map((name) => [name, topicConfig(name)])),
    filterServerList: [],
    topicQueueMappingInfoMap: new Map(),
  };
}

/** A configuration that takes everything but the value `wrong`. */
export class MemoryConfig implements LiveConfig {
  blackList: readonly string[] = [];
  readonly #values: Map<string, string>;

  constructor(values: Record<string, string> = {}) {
    this.#values = new Map(Object.entries(values));
  }

  values(): Iterable<readonly [string, string]> {
    return this.#values;
  }

  parse(text: string): ReadonlyMap<string, string> {
    return new Map(
      text.trim().split("\n").map((line) => {
        const [key, value] = line.split("=");
        if (value === undefined) throw new Error(`${key} has no value`);
        return [key, value];
      }),
    );
  }

  update(changes: ReadonlyMap<string, string>): string | undefined {
    for (const [key, value] of changes) {
      if (value === "wrong") throw new Error(`${key} can't be wrong`);
      this.#values.set(key, value);
    }
    return changes.has("later") ? "later counts from the next start" : undefined;
  }
}

/** A name server without sockets and timers: its tables and handlers on a clock that stands still. */
export class MemoryNameServer {
  readonly clock = new ManualClock();
  readonly directory = mkdtempSync(join(tmpdir(), "rmq-namesrv-"));
  readonly kv = new KvTable(join(this.directory, "kvConfig.json"));
  readonly minIdChanges: MinBrokerIdChange[] = [];
  readonly routes = new RouteTable({
    clock: this.clock,
    deleteTopicsByRegistration: () => this.settings.deleteTopicsByRegistration,
    onMinBrokerIdChange: (change) => this.minIdChanges.push(change),
  });
  readonly dispatch: Dispatch;
  settings: NameServerSettings;

  constructor(settings: Partial<NameServerSettings> = {}, config?: LiveConfig) {
    this.settings = { ...DEFAULT_SETTINGS, ...settings };
    const { routes, kv, clock } = this;
    this.dispatch = nameServerDispatch({ routes, kv, clock, settings: () => this.settings, config });
  }

  /** What a peer at the other end of `connection` asks with. */
  api(connection = new MemoryConnection(), version?: number): NameServerApi {
    return new NameServerApi({
      request: async (request) => {
        const response = await connection.ask(this.dispatch, { ...request, version });
        const body = bodyBytes(response);
        return {
          ...connection.incoming(request).command,
          code: response.code,
          remark: response.remark ?? null,
          fields: response.fields ?? null,
          body: body.length > 0 ? body : null,
        } satisfies Command;
      },
    });
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
