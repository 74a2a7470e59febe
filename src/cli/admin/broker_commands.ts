// SPDX-License-Identifier: Apache-2.0
import { runtimeInfo } from "../../client/admin/brokers.ts";
import { formatBytes } from "../store_text.ts";
import { brokerCleanCommand } from "./broker_clean.ts";
import { brokerConfigCommands } from "./broker_config.ts";
import { drainCommand, resumeCommand } from "./broker_drain.ts";
import { brokerReplicationCommand } from "./broker_replication.ts";
import { type BrokerState, brokerState, shortVersion } from "./broker_state.ts";
import { type Broker, identityOf } from "./cluster.ts";
import { adminCommand, brokerOptions, FAILURES } from "./command.ts";
import { formatAge, formatMoment, formatPercent, formatRate } from "./text.ts";

/** A disk this full is worth a look, and this full stops a broker soon. [RMQ diskMaxUsedSpaceRatio] */
const FULL_DISK = 0.75;
const ALMOST_FULL_DISK = 0.85;

const list = adminCommand({
  name: "list",
  summary: "List brokers with what they do now",
  options: brokerOptions,
  examples: [
    ["broker list", "all brokers, slaves too (ID is not 0)"],
    ["broker list -c DefaultCluster --json", "of one cluster, for a program"],
  ],
  json:
    `{"brokers": [{"cluster", "broker", "id", "address", "version", "startedMs", "inPerSecond", "outPerSecond",
  "inToday", "outToday", "diskUse", "logMinOffset", "logMaxOffset", "earliestMessageMs", "dispatchBehindBytes"}],
 ${FAILURES}}`,
  async run({ cluster, given, out }) {
    const brokers = await cluster.brokers(given);
    const states = await cluster.each(brokers, async (broker) => brokerState(await runtimeInfo(broker)));
    if (out.isJson) {
      const facts = states.map(([broker, state]) => ({ ...identityOf(broker), ...state }));
      return await out.json({ brokers: facts, failures: cluster.failures });
    }
    const nowMs = Date.now();
    await out.table({
      columns: [
        { head: "CLUSTER", isFlexible: true, isOptional: true },
        { head: "BROKER", isFlexible: true },
        { head: "ID", isNumber: true },
        { head: "ADDRESS" },
        { head: "VERSION" },
        { head: "IN/S", isNumber: true },
        { head: "OUT/S", isNumber: true },
        { head: "IN-TODAY", isNumber: true, isOptional: true },
        { head: "OUT-TODAY", isNumber: true, isOptional: true },
        { head: "DISK", isNumber: true },
        { head: "UP", isNumber: true },
      ],
      rows: states.map(([broker, state]) => [
        broker.cluster,
        broker.name,
        broker.id,
        broker.address,
        shortVersion(state.version),
        formatRate(state.inPerSecond),
        formatRate(state.outPerSecond),
        state.inToday,
        state.outToday,
        diskCell(state),
        formatAge(state.startedMs, nowMs),
      ]),
    });
  },
});

function diskCell({ diskUse }: BrokerState) {
  if (diskUse === undefined) return "-";
  const text = formatPercent(diskUse);
  if (diskUse >= ALMOST_FULL_DISK) return { text, colour: "red" } as const;
  return diskUse >= FULL_DISK ? { text, colour: "yellow" } as const : text;
}

const status = adminCommand({
  name: "status",
  summary: "Show how one broker is, or several",
  operands: [{ name: "BROKER", isOptional: true, kind: "broker" }],
  options: {
    ...brokerOptions,
    all: { short: "a", help: "Every name and value that the broker tells" },
  },
  examples: [
    ["broker status broker-a", "what matters, in words"],
    ["broker status broker-a --all", "everything, under the names of Apache's tools"],
  ],
  json: `{"brokers": [{"cluster", "broker", "id", "address", "runtime": {name: text}}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const brokers = await cluster.brokers({ ...given, broker: operands[0] ?? given.broker });
    const answers = await cluster.each(brokers, runtimeInfo);
    if (out.isJson) {
      const facts = answers.map(([broker, info]) => ({
        ...identityOf(broker),
        runtime: Object.fromEntries([...info].sort()),
      }));
      return await out.json({ brokers: facts, failures: cluster.failures });
    }
    for (const [at, [broker, info]] of answers.entries()) {
      if (at > 0) await out.line();
      await out.line(out.colour(`${broker.name} ${broker.address}`, "bold"));
      await out.facts(given.all ? [...info].sort(([a], [b]) => a < b ? -1 : 1) : mainFacts(broker, info));
    }
  },
});

function mainFacts(broker: Broker, info: ReadonlyMap<string, string>) {
  const state = brokerState(info);
  const nowMs = Date.now();
  return [
    ["Cluster", broker.cluster],
    ["Role", broker.id === 0 ? "master" : `slave (id ${broker.id})`],
    ["Version", shortVersion(state.version)],
    ["Up", `${formatAge(state.startedMs, nowMs)}, since ${formatMoment(state.startedMs)}`],
    ["Messages in", `${formatRate(state.inPerSecond)} per second, ${state.inToday} today`],
    ["Messages out", `${formatRate(state.outPerSecond)} per second, ${state.outToday} today`],
    ["Disk", state.diskUse === undefined ? "unknown" : `${formatPercent(state.diskUse)} used`],
    ["Disk space", info.get("commitLogDirCapacity")],
    [
      "Log",
      `${
        formatBytes(state.logMaxOffset - state.logMinOffset)
      }, from ${state.logMinOffset} to ${state.logMaxOffset}`,
    ],
    ["Oldest message", `${formatMoment(state.earliestMessageMs)}`],
    ["Not yet in queues", formatBytes(state.dispatchBehindBytes)],
    ["Not yet on disk", info.get("remainHowManyDataToFlush")],
    ["Slowest put", withUnit(info.get("putMessageEntireTimeMax"), "ms")],
    ["Put, 99 %", withUnit(info.get("putLatency99"), "ms")],
    ["Put, 99.9 %", withUnit(info.get("putLatency999"), "ms")],
    ["Failed puts", info.get("putMessageFailedTimes")],
  ] as const;
}

function withUnit(value: string | undefined, unit: string): string | undefined {
  return value === undefined ? undefined : `${value} ${unit}`;
}

export const brokerCommands = [
  list,
  status,
  ...brokerConfigCommands,
  brokerReplicationCommand,
  drainCommand,
  resumeCommand,
  brokerCleanCommand,
];
