// SPDX-License-Identifier: Apache-2.0
import { consumerRunningInfo } from "../../client/admin/groups.ts";
import type { ConsumerRunningInfo } from "../../protocol/bodies/consumer_running_info.ts";
import { adminCommand, brokerOptions, type Context, FAILURES } from "./command.ts";
import { membershipOf, oneGroup } from "./group_facts.ts";
import { printable } from "./columns.ts";
import { byName, formatAge, formatRate } from "./text.ts";

const options = {
  ...brokerOptions,
  threads: { help: "The stacks of its threads, too" },
} as const;

export const groupClientCommand = adminCommand({
  name: "client",
  summary: "Show what one consumer does now: its queues, how long it takes, what fails",
  help:
    "The broker asks the consumer itself. CLIENT is one of those that `rmq group members` shows, or the only one.",
  operands: [{ name: "GROUP", kind: "group" }, { name: "CLIENT", isOptional: true }],
  options,
  examples: [
    ["group client billing", "of the only consumer of a group"],
    ["group client billing 10.0.0.7@4242#1 --threads", "of one of several: what hangs where?"],
  ],
  json: `{"group", "clientId", "properties": {name: text},
 "queues": [{"topic", "broker", "queueId", "commitOffset", "cachedMessages", "isLocked", "isDropped", "lastPullMs",
  "lastConsumeMs"}],
 "topics": [{"topic", "pullMs", "consumeMs", "pulledPerSecond", "consumedPerSecond", "failedPerSecond", "failed"}],
 "jstack",
 ${FAILURES}}`,
  async run(context) {
    const { cluster, given, operands, out } = context;
    const [group, wanted] = operands;
    const { configs } = await oneGroup(cluster, group, given);
    const brokers = configs.map(([broker]) => broker);
    const { members } = await membershipOf(cluster, brokers, group);
    const member = wanted === undefined && members.length === 1
      ? members[0]
      : members.find(({ clientId }) => clientId === wanted);
    if (member === undefined) {
      throw new Error(whyNobody(group, wanted, members.map(({ clientId }) => clientId)));
    }
    const broker = brokers.find(({ name }) => name === member.brokers[0])!;
    const info = await consumerRunningInfo(broker, group, member.clientId, given.threads);
    if (out.isJson) {
      return await out.json({
        group,
        clientId: member.clientId,
        ...factsOf(info),
        failures: cluster.failures,
      });
    }
    await show(context, member.clientId, info);
  },
});

function whyNobody(group: string, wanted: string | undefined, ids: readonly string[]): string {
  if (ids.length === 0) return `no consumer of ${group} is connected.`;
  const which = wanted === undefined
    ? `${group} has several consumers`
    : `${group} has no consumer ${wanted}`;
  return `${which}: say one of ${ids.join(", ")}.`;
}

function factsOf({ properties, queues, statuses, jstack }: ConsumerRunningInfo) {
  return {
    properties: Object.fromEntries([...properties].sort()),
    queues: sorted(queues).map(([{ topic, brokerName, queueId }, info]) => {
      return { topic, broker: brokerName, queueId, ...info };
    }),
    topics: [...statuses].map(([topic, status]) => ({ topic, ...status })),
    jstack: jstack ?? null,
  };
}

function sorted(queues: ConsumerRunningInfo["queues"]) {
  return [...queues].sort(([a], [b]) => {
    return byName(a.topic, b.topic) || byName(a.brokerName, b.brokerName) || a.queueId - b.queueId;
  });
}

async function show(
  { out }: Context<typeof options>,
  clientId: string,
  { properties, queues, statuses, jstack }: ConsumerRunningInfo,
): Promise<void> {
  const nowMs = Date.now();
  await out.facts([
    ["Client", clientId],
    ["Version", properties.get("PROP_CLIENT_VERSION")],
    ["Started", startedText(properties.get("PROP_CONSUMER_START_TIMESTAMP"), nowMs)],
    ["Threads", properties.get("PROP_THREADPOOL_CORE_SIZE")],
    ["In order", properties.get("PROP_CONSUMEORDERLY")],
  ]);
  await out.line();
  await out.table({
    columns: [
      { head: "TOPIC", isFlexible: true },
      { head: "BROKER", isFlexible: true },
      { head: "QUEUE", isNumber: true },
      { head: "POSITION", isNumber: true },
      { head: "CACHED", isNumber: true },
      { head: "PULLED", isNumber: true },
      { head: "CONSUMED", isNumber: true },
    ],
    rows: sorted(queues).map(([queue, info]) => [
      queue.topic,
      queue.brokerName,
      queue.queueId,
      info.commitOffset,
      info.cachedMessages,
      formatAge(info.lastPullMs, nowMs),
      formatAge(info.lastConsumeMs, nowMs),
    ]),
  });
  await out.line();
  await out.table({
    columns: [
      { head: "TOPIC", isFlexible: true },
      { head: "PULL-MS", isNumber: true },
      { head: "CONSUME-MS", isNumber: true },
      { head: "OK/S", isNumber: true },
      { head: "FAILED/S", isNumber: true },
      { head: "FAILED-1H", isNumber: true },
    ],
    rows: [...statuses].map(([topic, status]) => [
      topic,
      formatRate(status.pullMs),
      formatRate(status.consumeMs),
      formatRate(status.consumedPerSecond),
      status.failedPerSecond > 0 ? { text: formatRate(status.failedPerSecond), colour: "red" } : "0",
      status.failed,
    ]),
  });
  if (jstack !== undefined) await out.line(`\n${jstack.split("\n").map(printable).join("\n")}`);
}

function startedText(text: string | undefined, nowMs: number): string | undefined {
  return text === undefined ? undefined : `${formatAge(Number(text), nowMs)} ago`;
}
