// SPDX-License-Identifier: Apache-2.0
/** What can be wrong with a cluster, as seen from here. */
import { runtimeInfo } from "../../client/admin/brokers.ts";
import { MASTER_ID } from "../../protocol/bodies/topic_route.ts";
import { brokerState, shortVersion } from "./broker_state.ts";
import { AllFailedError, type Broker, type Cluster } from "./cluster.ts";
import type { Check } from "./doctor.ts";
import { sentenceOf } from "./sentences.ts";
import { byName, formatPercent, listed } from "./text.ts";

/** Clocks that differ by more make delays and searches by time wrong. */
const MAX_SKEW_MS = 3000;
const FULL_DISK = 0.75;
const ALMOST_FULL_DISK = 0.85;

export async function clusterChecks(cluster: Cluster): Promise<Check[]> {
  const checks = await nameServerChecks(cluster);
  if (!checks.some(({ state }) => state === "ok")) return checks;
  let brokers: Broker[];
  try {
    brokers = await cluster.brokers();
  } catch (error) {
    return [...checks, { check: "brokers", state: "warning", finding: sentenceOf(error) }];
  }
  return [...checks, ...await brokerChecks(cluster, brokers), ...groupChecks(brokers)];
}

async function nameServerChecks(cluster: Cluster): Promise<Check[]> {
  const known = new Map<string, string>();
  const answers = await tolerant(() =>
    cluster.eachNameServer(async (nameServer, address) => {
      const startMs = performance.now();
      const { brokerAddrTable } = await nameServer.clusterInfo();
      const names = [...brokerAddrTable].flatMap(([name, { brokerAddrs }]) =>
        [...brokerAddrs].map(([id, at]) => `${name}[${id}]=${at}`)
      );
      known.set(address, listed(names.sort(byName)));
      return { tookMs: performance.now() - startMs, count: names.length };
    })
  );
  const checks: Check[] = answers.map(([address, { tookMs, count }]) => ({
    check: `name server ${address}`,
    state: "ok",
    finding: `answers within ${Math.ceil(tookMs)} ms, knows ${count} broker${count === 1 ? "" : "s"}`,
  }));
  for (const { peer, error } of cluster.failures) {
    const advice = "Start it there, or say with -n or NAMESRV_ADDR where it is.";
    checks.push({ check: `name server ${peer}`, state: "problem", finding: error, advice });
  }
  cluster.failures.length = 0;
  if (new Set(known.values()).size > 1) {
    checks.push({
      check: "name servers",
      state: "problem",
      finding: `they know different brokers: ${
        [...known].map(([address, names]) => `${address} ${names}`).join("; ")
      }`,
      advice: "Brokers must have all name servers in namesrvAddr; after a start wait half a minute.",
    });
  }
  return checks;
}

async function tolerant<T>(ask: () => Promise<T[]>): Promise<T[]> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof AllFailedError) return [];
    throw error;
  }
}

async function brokerChecks(cluster: Cluster, brokers: readonly Broker[]): Promise<Check[]> {
  const answers = await tolerant(() =>
    cluster.each(brokers, async (broker) => {
      const info = await runtimeInfo(broker);
      return { info, askedMs: Date.now() };
    })
  );
  const checks: Check[] = cluster.failures.map(({ peer, address, error }) => ({
    check: `broker ${peer}`,
    state: "problem",
    finding: error,
    advice:
      `Clients are told ${address}, and can't reach it either from here: is brokerIP1 right, and the port open?`,
  }));
  cluster.failures.length = 0;
  const versions = new Map<string, string[]>();
  for (const [broker, { info, askedMs }] of answers) {
    const state = brokerState(info);
    const version = shortVersion(state.version);
    versions.set(version, [...versions.get(version) ?? [], broker.name]);
    checks.push(...oneBroker(broker, info, askedMs));
  }
  if (versions.size > 1) {
    const finding = [...versions].map(([version, names]) => `${version} (${listed(names)})`).join(", ");
    checks.push({ check: "versions", state: "warning", finding: `brokers differ: ${finding}` });
  }
  return checks;
}

function oneBroker(broker: Broker, info: ReadonlyMap<string, string>, askedMs: number): Check[] {
  const check = `broker ${broker.name}${broker.id === MASTER_ID ? "" : `[${broker.id}]`}`;
  const state = brokerState(info);
  const checks: Check[] = [];
  const disk = state.diskUse ?? 0;
  if (disk >= FULL_DISK) {
    checks.push({
      check,
      state: disk >= ALMOST_FULL_DISK ? "problem" : "warning",
      finding: `its disk is ${formatPercent(disk)} full`,
      advice: "Make room, or shorten fileReservedTime and `rmq broker clean log`.",
    });
  }
  const clockMs = clockOf(info, state.startedMs);
  if (clockMs !== undefined && Math.abs(clockMs - askedMs) > MAX_SKEW_MS) {
    const seconds = Math.round(Math.abs(clockMs - askedMs) / 1000);
    checks.push({
      check,
      state: "warning",
      finding: `its clock is ${seconds} s ${clockMs > askedMs ? "ahead of" : "behind"} the one here`,
      advice: "Let chronyd or ntpd keep all clocks right.",
    });
  }
  if (Number(info.get("putMessageFailedTimes") ?? 0) > 0) {
    checks.push({
      check,
      state: "warning",
      finding: `${info.get("putMessageFailedTimes")} messages could not be stored since its start`,
      advice: "Its log says why.",
    });
  }
  if (checks.length > 0) return checks;
  const finding = `${broker.address}, version ${shortVersion(state.version)}, disk ${
    state.diskUse === undefined ? "unknown" : formatPercent(state.diskUse)
  }`;
  return [{ check, state: "ok", finding }];
}

/** Nobody tells the time; but brokers tell when they were started and for how long they have been running. */
function clockOf(info: ReadonlyMap<string, string>, startedMs: number): number | undefined {
  const match = /([\d,.]+) days, (\d+) hours, (\d+) minutes, (\d+) seconds/.exec(info.get("runtime") ?? "");
  if (match === null || startedMs <= 0) return undefined;
  const [days, hours, minutes, seconds] = match.slice(1).map((text) => Number(text.replace(/[,.]/g, "")));
  return startedMs + (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
}

/** Groups of brokers whose master is away. */
function groupChecks(brokers: readonly Broker[]): Check[] {
  const names = [...new Set(brokers.map(({ name }) => name))];
  return names.filter((name) => !brokers.some((one) => one.name === name && one.id === MASTER_ID)).map((
    name,
  ) => ({
    check: `broker ${name}`,
    state: "problem",
    finding: "its master is not registered: nothing can be sent to it",
    advice: "Start the master again.",
  }));
}
