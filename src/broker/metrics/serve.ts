// SPDX-License-Identifier: Apache-2.0
import { httpApp } from "../../http/app.ts";
import { listenHttp } from "../../http/listen.ts";
import type { ObservationSettings } from "../../config/broker_settings.ts";
import type { Family, Labels } from "./family.ts";
import { metricsPage } from "./page.ts";

export interface MetricsServerOptions {
  place: NonNullable<ObservationSettings["metrics"]>;
  /** Of this broker, on every sample. */
  labels: Labels;
  families: readonly Family[];
  /** Why the broker takes no messages now. */
  unreadiness: () => string | undefined;
}

/** Opens the port that Prometheus and health checks ask. @throws Error with a sentence for the operator */
export async function serveMetrics(
  { place, labels, families, unreadiness }: MetricsServerOptions,
): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const { host, port, maxSamples } = place;
  const metrics = await metricsPage({ families, labels: { ...labels, ...place.labels }, maxSamples });
  try {
    return await listenHttp(httpApp({ metrics, unreadiness }), host, port);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const reason = code === "EADDRINUSE" ? "the port is in use (metricsPromExporterPort)" : message;
    throw new Error(`metrics can't be served on ${host}:${port}: ${reason}`, { cause: error });
  }
}
