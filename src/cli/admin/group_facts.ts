// SPDX-License-Identifier: Apache-2.0
import { groupConfigs, onlineGroup } from "../../client/admin/groups.ts";
import type { ClientConnection, OnlineGroup } from "../../protocol/bodies/client_connections.ts";
import type { GroupPosition } from "../../protocol/bodies/consume_stats.ts";
import type { GroupConfig } from "../../protocol/bodies/subscription_group.ts";
import { type Broker, type BrokerChoice, type Cluster, inParallel } from "./cluster.ts";
import { byName } from "./text.ts";

/** A consumer group as the brokers of a cluster have it. */
export interface GroupFacts {
  readonly group: string;
  readonly isSystem: boolean;
  /** By broker. */
  readonly configs: readonly (readonly [Broker, GroupConfig])[];
}

/** Groups that brokers and tools keep for themselves. [RMQ MixAll.PREDEFINE_GROUP_SET] */
const SYSTEM_GROUPS: ReadonlySet<string> = new Set([
  "TOOLS_CONSUMER",
  "SCHEDULE_CONSUMER",
  "FILTERSRV_CONSUMER",
  "__MONITOR_CONSUMER",
  "SELF_TEST_C_GROUP",
  "CID_ONS-HTTP-PROXY",
  "CID_ONSAPI_PERMISSION",
  "CID_ONSAPI_OWNER",
  "CID_ONSAPI_PULL",
  "CID_SYS_RMQ_TRANS",
]);

export function isSystemGroup(group: string): boolean {
  return SYSTEM_GROUPS.has(group) || group.startsWith("CID_RMQ_SYS_");
}

/** All groups of the brokers of a choice, by name. */
export async function groupFacts(cluster: Cluster, choice: BrokerChoice): Promise<GroupFacts[]> {
  const answers = await cluster.each(await cluster.readers(choice), groupConfigs);
  const names = new Set(answers.flatMap(([, configs]) => [...configs.keys()]));
  return [...names].sort(byName).map((group) => ({
    group,
    isSystem: isSystemGroup(group),
    configs: answers.flatMap(([broker, known]) => {
      const config = known.get(group);
      return config === undefined ? [] : [[broker, config] as const];
    }),
  }));
}

/** One group. @throws Error where no broker has it */
export async function oneGroup(cluster: Cluster, group: string, choice: BrokerChoice): Promise<GroupFacts> {
  const facts = (await groupFacts(cluster, choice)).find((one) => one.group === group);
  if (facts !== undefined) return facts;
  throw new Error(`there is no group ${group}. \`rmq group list\` shows which there are.`);
}

/** A consumer that is connected, with the brokers to which it is. */
export interface Member extends ClientConnection {
  readonly brokers: readonly string[];
}

/** A group's consumers on all brokers. */
export interface Membership {
  readonly members: readonly Member[];
  /** What each broker knows of the group; absent where it knows no consumer. */
  readonly online: OnlineGroup | undefined;
}

export async function membershipOf(
  cluster: Cluster,
  brokers: readonly Broker[],
  group: string,
): Promise<Membership> {
  const answers = await inParallel(brokers, async (broker) => {
    return [broker, await cluster.attempt(broker, () => onlineGroup(broker, group))] as const;
  });
  const members = new Map<string, Member>();
  for (const [broker, online] of answers) {
    for (const connection of online?.connections ?? []) {
      const known = members.get(connection.clientId)?.brokers ?? [];
      members.set(connection.clientId, { ...connection, brokers: [...known, broker.name] });
    }
  }
  return {
    members: [...members.values()].sort((a, b) => byName(a.clientId, b.clientId)),
    online: answers.map(([, online]) => online).find((online) => online !== undefined),
  };
}

/** How consumers get their messages. */
export function consumeTypeText(consumeType: string | undefined): string {
  switch (consumeType) {
    case "CONSUME_PASSIVELY":
      return "push";
    case "CONSUME_ACTIVELY":
      return "pull";
    case "CONSUME_POP":
      return "pop";
    default:
      return consumeType?.toLowerCase() || "-";
  }
}

/** What a group still has to consume. */
export interface Lag {
  /** Messages behind the position. */
  readonly lag: number;
  /** Of these, messages that consumers have fetched; 0 where the broker does not tell. */
  readonly inFlight: number;
  /** When the last message that was consumed had been stored; 0 where nothing is known. */
  readonly lastConsumedMs: number;
}

export const NO_LAG: Lag = { lag: 0, inFlight: 0, lastConsumedMs: 0 };

export function lagOf(position: GroupPosition): Lag {
  const { brokerOffset, consumerOffset, pullOffset, lastTimestamp } = position;
  return {
    lag: Math.max(0, brokerOffset - consumerOffset),
    inFlight: Math.max(0, pullOffset - consumerOffset),
    lastConsumedMs: lastTimestamp,
  };
}

/** Two lags together. The older of the times, for it is how far behind the group is. */
export function addLag(a: Lag, b: Lag): Lag {
  const behind = [a, b].filter(({ lag, lastConsumedMs }) => lag > 0 && lastConsumedMs > 0);
  const known = behind.length > 0 ? Math.min(...behind.map((one) => one.lastConsumedMs)) : 0;
  return {
    lag: a.lag + b.lag,
    inFlight: a.inFlight + b.inFlight,
    lastConsumedMs: known || Math.max(a.lastConsumedMs, b.lastConsumedMs),
  };
}

/** How old the next message is at most, in ms; undefined where the group is not behind, or nobody knows. */
export function behindMs({ lag, lastConsumedMs }: Lag, nowMs: number): number | undefined {
  return lag > 0 && lastConsumedMs > 0 ? Math.max(0, nowMs - lastConsumedMs) : undefined;
}
