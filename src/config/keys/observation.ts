// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, type KeyTable, notYet } from "../key.ts";
import { count, flag, int, labels, long, oneOf, port, text } from "../kinds.ts";

export const observationKeys = {
  enableDetailStat: notYet(flag(), true, "Count by topic, queue and group."),
  autoDeleteUnusedStats: notYet(flag(), true, "Drop the counters of deleted topics and groups."),
  accountStatsEnable: notYet(flag(), true, "Count by account."),
  accountStatsPrintZeroValues: notYet(flag(), true, "Log counters that stand at zero."),
  maxStatsIdleTimeInMinutes: notYet(int("min", -1), -1, "Drop counters unchanged for so long; -1: never."),
  enableLmqStats: notYet(flag(), false, "Count light message queues, too."),
  commercialBaseCount: notYet(count(), 1, "Unit that messages are billed by."),
  commercialSizePerMsg: notYet(count(), 4096, "Bytes that are billed as one message."),
  highSpeedMode: notYet(flag(), false, "Unused."),
  metricsExporterType: acts(
    oneOf("DISABLE", "PROM", "OTLP_GRPC", "LOG", "0", "1", "2", "3"),
    "DISABLE",
    "Where metrics go: DISABLE, or PROM: to a port that Prometheus reads. Also 0 and 2.",
    {
      refuse: (value) =>
        ["OTLP_GRPC", "LOG", "1", "3"].includes(value)
          ? "metrics are not pushed or logged; use PROM, which collectors of OpenTelemetry can read (receiver prometheus)"
          : undefined,
    },
  ),
  metricsPromExporterPort: acts(
    port(),
    5557,
    "Port for Prometheus, and for health checks (/healthz, /readyz).",
  ),
  metricsPromExporterHost: acts(
    text("address"),
    "",
    "Address that this port is opened on; empty: brokerIP1.",
  ),
  metricsGrpcExporterTarget: notYet(text("address"), "", "Collector that metrics are sent to."),
  metricsGrpcExporterHeader: notYet(text("key:value,…"), "", "Headers for it.", { secret: true }),
  metricGrpcExporterTimeOutInMills: notYet(long("ms"), 3000, "How long sending metrics may take."),
  metricGrpcExporterIntervalInMills: notYet(long("ms"), 60000, "How often metrics are sent."),
  metricLoggingExporterIntervalInMills: notYet(long("ms"), 10000, "How often metrics are logged."),
  metricsOtelCardinalityLimit: acts(count(), 50000, "Samples that one metric may have."),
  metricsLabel: acts(labels(), "", "Labels added to all metrics."),
  metricsInDelta: notYet(flag(), false, "Report increases, not totals."),
  enableRemotingMetrics: notYet(flag(), true, "Metrics of requests."),
  enableMessageStoreMetrics: notYet(flag(), true, "Metrics of the store."),
  enablePopMetrics: notYet(flag(), true, "Metrics of POP."),
  enableConnectionMetrics: notYet(flag(), true, "Metrics of connections."),
  enableTransactionMetrics: notYet(flag(), true, "Metrics of transactions."),
  enableStatsMetrics: notYet(flag(), true, "Metrics of the counters above."),
  enableRequestMetrics: notYet(flag(), true, "Metrics of topics and groups created."),
  enableLagAndDlqMetrics: notYet(flag(), true, "Metrics of lag and of dead letters."),
} satisfies KeyTable;

export const observationArea: Area = {
  title: "Counters and metrics",
  about: "What is counted, and who is told.",
  keys: observationKeys,
};
