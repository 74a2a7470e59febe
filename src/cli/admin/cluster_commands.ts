// SPDX-License-Identifier: Apache-2.0
import { runtimeInfo } from "../../client/admin/brokers.ts";
import { MASTER_ID } from "../../protocol/bodies/topic_route.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import { type BrokerState, brokerState } from "./broker_state.ts";
import type { Broker, Cluster } from "./cluster.ts";
import { adminCommand, FAILURES } from "./command.ts";
import { byName, formatPercent, formatRate } from "./text.ts";

const list = adminCommand({
  name: "list",
  summary: "List clusters with what they do now",
  examples: [
    ["cluster list", "of the name server at 127.0.0.1:9876"],
    ["cluster list -n 10.0.0.1:9876 --json", "of another one, for a program"],
  ],
  json: `{"clusters": [{"cluster", "brokers": [names], "masters", "slaves", "topics",
  "inPerSecond", "outPerSecond", "inToday", "outToday", "fullestDisk"}],
 ${FAILURES}}`,
  async run({ cluster, out }) {
    const brokers = await cluster.brokers();
    const names = [...new Set(brokers.map((broker) => broker.cluster))].sort(byName);
    const topicCounts = new Map<string, number | null>();
    for (const name of names) topicCounts.set(name, await topicCount(cluster, name));
    const states = await cluster.each(brokers, async (broker) => brokerState(await runtimeInfo(broker)));
    const clusters = names.map((name) => ({
      cluster: name,
      ...summed(
        brokers.filter((broker) => broker.cluster === name),
        states.filter(([broker]) => broker.cluster === name),
      ),
      topics: topicCounts.get(name) ?? null,
    }));
    if (out.isJson) return await out.json({ clusters, failures: cluster.failures });
    await out.table({
      columns: [
        { head: "CLUSTER", isFlexible: true },
        { head: "MASTERS", isNumber: true },
        { head: "SLAVES", isNumber: true },
        { head: "TOPICS", isNumber: true },
        { head: "IN/S", isNumber: true },
        { head: "OUT/S", isNumber: true },
        { head: "IN-TODAY", isNumber: true, isOptional: true },
        { head: "OUT-TODAY", isNumber: true, isOptional: true },
        { head: "DISK", isNumber: true },
      ],
      rows: clusters.map((one) => [
        one.cluster,
        one.masters,
        one.slaves,
        one.topics ?? "-",
        formatRate(one.inPerSecond),
        formatRate(one.outPerSecond),
        one.inToday,
        one.outToday,
        one.fullestDisk === null ? "-" : formatPercent(one.fullestDisk),
      ]),
    });
  },
});

/** Null where the name server keeps its lists to itself (`enableTopicList=false`). */
async function topicCount(cluster: Cluster, name: string): Promise<number | null> {
  try {
    return (await cluster.askNameServer((nameServer) => nameServer.topicsByCluster(name))).length;
  } catch (error) {
    if (error instanceof RemotingError) return null;
    throw error;
  }
}

/** Rates and counts are of masters: slaves have the same messages. */
function summed(brokers: readonly Broker[], states: readonly [Broker, BrokerState][]) {
  const masters = states.filter(([broker]) => broker.id === MASTER_ID).map(([, state]) => state);
  const sum = (value: (state: BrokerState) => number) =>
    masters.reduce((total, state) => total + value(state), 0);
  const disks = states.map(([, state]) => state.diskUse).filter((use) => use !== undefined);
  return {
    brokers: [...new Set(brokers.map(({ name }) => name))],
    masters: brokers.filter(({ id }) => id === MASTER_ID).length,
    slaves: brokers.filter(({ id }) => id !== MASTER_ID).length,
    inPerSecond: sum((state) => state.inPerSecond),
    outPerSecond: sum((state) => state.outPerSecond),
    inToday: sum((state) => state.inToday),
    outToday: sum((state) => state.outToday),
    fullestDisk: disks.length === 0 ? null : Math.max(...disks),
  };
}

export const clusterCommands = [list];
