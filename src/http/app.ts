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
  /** What Prometheus reads. */
  metrics?: { contentType: string; text(): Promise<string> };
  /** Why this process can't take work now; undefined when it can. Absent: it always can. */
  unreadiness?: () => string | undefined;
}

export type HttpApp = Hono<{ Bindings: HttpBindings }>;

/**
 * - `GET /healthz` (also `/health` and, as Apache's exporter has it, `/-/healthy`): 200 while this process serves.
 * - `GET /readyz`: 200 while it takes work; 503 with the reason while it doesn't.
 * - `GET /metrics` (also `/`): metrics in the text format of Prometheus.
 * - `GET /rocketmq/nsaddr` and `/rocketmq/nsaddr-<unit>`: the name servers, separated by `;`, nothing else:
 *   clients cut the text at `;` without trimming. [RMQ DefaultTopAddressing]
 */
export function httpApp(views: HttpViews): HttpApp {
  const app: HttpApp = new Hono();
  for (const path of ["/health", "/healthz", "/-/healthy"]) app.get(path, (context) => context.text("OK"));
  const { nameServers, metrics, unreadiness } = views;
  app.get("/readyz", (context) => {
    const reason = unreadiness?.();
    return reason === undefined ? context.text("OK") : context.text(reason, 503);
  });
  for (const path of metrics === undefined ? [] : ["/", "/metrics"]) {
    app.get(
      path,
      async (context) => context.body(await metrics!.text(), 200, { "content-type": metrics!.contentType }),
    );
  }
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
