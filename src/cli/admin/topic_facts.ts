// SPDX-License-Identifier: Apache-2.0
import { topicConfigOf, topicConfigs } from "../../client/admin/topics.ts";
import { permText, type TopicConfig } from "../../protocol/bodies/topic_config.ts";
import { type Broker, type BrokerChoice, type Cluster, NoNameServerError } from "./cluster.ts";
import { byName } from "./text.ts";

/** A topic as the brokers of a cluster have it. */
export interface TopicFacts {
  readonly topic: string;
  readonly kind: TopicKind;
  /** What kind of messages it holds, as its attributes say: NORMAL, FIFO, DELAY, TRANSACTION. */
  readonly messageType: string;
  /** By broker. */
  readonly configs: readonly (readonly [Broker, TopicConfig])[];
}

/** Topics of users; of groups that try again or gave up; of the brokers themselves. */
export type TopicKind = "user" | "retry" | "dlq" | "system";

/** Names that all brokers use for themselves; others follow from names of brokers and clusters. [RMQ TopicValidator] */
const SYSTEM_TOPICS: ReadonlySet<string> = new Set([
  "TBW102",
  "SCHEDULE_TOPIC_XXXX",
  "BenchmarkTest",
  "RMQ_SYS_TRANS_HALF_TOPIC",
  "RMQ_SYS_TRANS_OP_HALF_TOPIC",
  "TRANS_CHECK_MAX_TIME_TOPIC",
  "RMQ_SYS_TRACE_TOPIC",
  "SELF_TEST_TOPIC",
  "OFFSET_MOVED_EVENT",
  "CHECKPOINT_TOPIC",
  "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
  "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC",
  "DefaultHeartBeatSyncerTopic",
]);

export function kindOfTopic(topic: string, namesOfBrokersAndClusters: ReadonlySet<string>): TopicKind {
  if (topic.startsWith("%RETRY%")) return "retry";
  if (topic.startsWith("%DLQ%")) return "dlq";
  const isSystem = SYSTEM_TOPICS.has(topic) || topic.startsWith("rmq_sys_") ||
    topic.endsWith("_REPLY_TOPIC") ||
    namesOfBrokersAndClusters.has(topic);
  return isSystem ? "system" : "user";
}

/** Names under which brokers keep topics of their own. */
export async function reservedNames(cluster: Cluster): Promise<Set<string>> {
  try {
    const { brokerAddrTable, clusterAddrTable } = await cluster.info();
    return new Set([...brokerAddrTable.keys(), ...clusterAddrTable.keys()]);
  } catch (error) {
    // A broker that is asked by its address is asked without them.
    if (error instanceof NoNameServerError) return new Set();
    throw error;
  }
}

/** All topics of the brokers of a choice, by name. */
export async function topicFacts(cluster: Cluster, choice: BrokerChoice): Promise<TopicFacts[]> {
  const answers = await cluster.each(await cluster.readers(choice), topicConfigs);
  const reserved = await reservedNames(cluster);
  const names = new Set(answers.flatMap(([, configs]) => [...configs.keys()]));
  return [...names].sort(byName).map((topic) => {
    const configs = answers.flatMap(([broker, known]) => {
      const config = known.get(topic);
      return config === undefined ? [] : [[broker, config] as const];
    });
    return factsOf(topic, configs, reserved);
  });
}

/** One topic. @throws Error where no broker has it */
export async function oneTopic(cluster: Cluster, topic: string, choice: BrokerChoice): Promise<TopicFacts> {
  const answers = await cluster.each(await cluster.readers(choice), (broker) => topicConfigOf(broker, topic));
  const configs = answers.flatMap(([broker, config]) => {
    return config === undefined ? [] : [[broker, config] as const];
  });
  if (configs.length > 0) return factsOf(topic, configs, await reservedNames(cluster));
  throw new Error(`there is no topic ${topic}. \`rmq topic list\` shows which there are.`);
}

function factsOf(topic: string, configs: TopicFacts["configs"], reserved: ReadonlySet<string>): TopicFacts {
  const types = new Set(configs.map(([, config]) => config.attributes.get("message.type") ?? "NORMAL"));
  return { topic, kind: kindOfTopic(topic, reserved), messageType: [...types].join("/"), configs };
}

/** What brokers say of the same thing: one text where they agree, `a..b` where they don't. */
export function agreed(values: readonly number[]): string {
  const [min, max] = [Math.min(...values), Math.max(...values)];
  return min === max ? String(min) : `${min}..${max}`;
}

/** `RW`, `R`, `W`; brokers that differ are told with a slash. */
export function permsOf(configs: TopicFacts["configs"]): string {
  return [...new Set(configs.map(([, { perm }]) => shortPerm(perm)))].join("/");
}

export function shortPerm(perm: number): string {
  return permText(perm).replaceAll("-", "") || "none";
}

/** A topic's configuration at a broker, in JSON. */
export function configJson([broker, config]: readonly [Broker, TopicConfig]) {
  return {
    cluster: broker.cluster,
    broker: broker.name,
    readQueues: config.readQueueNums,
    writeQueues: config.writeQueueNums,
    perm: config.perm,
    order: config.order,
    attributes: Object.fromEntries(config.attributes),
  };
}
