// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NameServerApi } from "../../src/client/name_server_api.ts";
import type { ConfigText } from "../../src/namesrv/handlers/config.ts";
import { KvTable } from "../../src/namesrv/kv_table.ts";
import { nameServerDispatch, type NameServerSettings } from "../../src/namesrv/name_server.ts";
import { type MinBrokerIdChange, RouteTable } from "../../src/namesrv/route_table.ts";
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

  constructor(settings: Partial<NameServerSettings> = {}, config?: ConfigText) {
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
