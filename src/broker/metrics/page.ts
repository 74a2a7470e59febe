// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import type { Family, Labels } from "./family.ts";

const logger = getLogger(["rmq", "broker"]);

export interface PageOptions {
  families: readonly Family[];
  /** On every sample. */
  labels: Labels;
  /** Of one family; more are left out, or a name that clients choose could fill the memory of those who collect. */
  maxSamples: number;
}

/** The text that Prometheus reads. */
export interface MetricsPage {
  contentType: string;
  text(): Promise<string>;
}

/** Renders families when asked. The library is loaded with the first page: most brokers have none. */
export async function metricsPage({ families, labels, maxSamples }: PageOptions): Promise<MetricsPage> {
  const { Registry } = await import("prom-client");
  const registry = new Registry();
  registry.setDefaultLabels(labels);
  for (const family of families) {
    const { name, help, type } = family;
    const get = () => ({ name, help, type, aggregator: "omit", values: valuesOf(family, maxSamples) });
    // The shape in which the library's own registry takes metrics of other processes.
    registry.registerMetric(
      { name, help, type, get } as unknown as Parameters<typeof registry.registerMetric>[0],
    );
  }
  return { contentType: registry.contentType, text: () => registry.metrics() };
}

function valuesOf(family: Family, maxSamples: number) {
  const values: { labels: Record<string, string | number>; value: number; metricName: string }[] = [];
  try {
    for (const { labels, value, suffix = "" } of family.samples()) {
      if (values.length >= maxSamples) break;
      if (!Number.isNaN(value)) {
        values.push({ labels: { ...labels }, value, metricName: family.name + suffix });
      }
    }
  } catch (error) {
    logger.error("the metric {name} can't be told: {error}", { name: family.name, error });
  }
  return values;
}
