// SPDX-License-Identifier: Apache-2.0
import { createAdaptorServer } from "@hono/node-server";
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { HttpApp } from "./app.ts";

export interface HttpListener {
  readonly port: number;
  /** Closes the port and every connection. */
  stop(): Promise<void>;
}

/** Serves `app`; port 0 lets the system choose. @throws Error when the port can't be had */
export async function listenHttp(app: HttpApp, host: string, port: number): Promise<HttpListener> {
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  server.listen(port, host);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
