// SPDX-License-Identifier: Apache-2.0
import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";

/** What is shown over HTTP, as those see it who have it. */
export interface HttpViews {
  /**
   * Name servers as `host:port`, for clients that look them up instead of being told.
   * @param localHost the address at which the one who asks reached us
   */
  nameServers?: (localHost: string) => readonly string[];
}

export type HttpApp = Hono<{ Bindings: HttpBindings }>;

/**
 * - `GET /health`: 200 while this process serves.
 * - `GET /rocketmq/nsaddr` and `/rocketmq/nsaddr-<unit>`: the name servers, separated by `;`, nothing else:
 *   clients cut the text at `;` without trimming. [RMQ DefaultTopAddressing]
 */
export function httpApp(views: HttpViews): HttpApp {
  const app: HttpApp = new Hono();
  app.get("/health", (context) => context.text("OK"));
  const { nameServers } = views;
  if (nameServers !== undefined) {
    app.get(
      "/rocketmq/:subgroup{nsaddr(-.*)?}",
      (context) => context.text(nameServers(localHost(context)).join(";")),
    );
  }
  return app;
}

/** An IPv4 address mapped into IPv6 is given as plain IPv4. */
function localHost(context: Context<{ Bindings: HttpBindings }>): string {
  const address = context.env.incoming.socket.localAddress ?? "127.0.0.1";
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}
