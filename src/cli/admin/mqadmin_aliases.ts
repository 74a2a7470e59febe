// SPDX-License-Identifier: Apache-2.0
import { UsageError } from "../args.ts";
import type { Alias, AliasGiven } from "./mqadmin.ts";

/** Brokers as mqadmin chooses them: by cluster, or by an address. */
const TARGET = { b: "brokerAddr", c: "clusterName" } as const;

function target({ brokerAddr, clusterName }: AliasGiven): string[] {
  return [...option("--broker", brokerAddr), ...option("--cluster", clusterName)];
}

function option(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [name, value.trim()];
}

function flag(name: string, isWanted: boolean): string[] {
  return isWanted ? [name] : [];
}

function required(given: AliasGiven, name: string): string {
  const value = given[name];
  if (value === undefined) throw new UsageError(`--${name} is missing.`);
  return value.trim();
}

function requireTarget(given: AliasGiven): string[] {
  if (given.brokerAddr === undefined && given.clusterName === undefined) {
    throw new UsageError("--brokerAddr or --clusterName is missing.");
  }
  return target(given);
}

/** `now`, ms since 1970, or `yyyy-MM-dd#HH:mm:ss:SSS`, as `--to` takes it. [RMQ ResetOffsetByTimeCommand] */
function momentOf(text: string): string {
  if (text === "now" || text === "currentTimeMillis") return "latest";
  if (text === "-1") return "latest";
  if (/^\d+$/.test(text)) return `@${text}`;
  const match = /^(\d{4}-\d{2}-\d{2})#(\d{2}:\d{2}:\d{2}):(\d{1,3})$/.exec(text);
  if (match === null) {
    throw new UsageError(`${text} is no time: now, ms since 1970, or yyyy-MM-dd#HH:mm:ss:SSS.`);
  }
  return `${match[1]}T${match[2]}.${match[3].padStart(3, "0")}`;
}

/** Attributes as mqadmin writes them, `+name=value,-name`, for `topic update`; creation knows only the first. */
function attributeArgs(text: string | undefined): string[] {
  return (text ?? "").split(",").filter((item) => item !== "").flatMap((item) => {
    return item.startsWith("+")
      ? ["--attribute", item.slice(1)]
      : ["--delete-attribute", item.replace(/^-/, "")];
  });
}

/** Where name servers keep the queues of order topics. */
const ORDER_NAMESPACE = "ORDER_TOPIC_CONFIG";

/** In the order in which `rmq admin --help` shows them. */
export const ALIASES: readonly Alias[] = [
  {
    name: "updateTopic",
    options: {
      ...TARGET,
      t: "topic",
      r: "readQueueNums",
      w: "writeQueueNums",
      p: "perm",
      o: "order",
      u: "unit",
      s: "hasUnitSub",
      a: "attributes",
    },
    command: "topic create",
    toArgs: (given) => [
      required(given, "topic"),
      "--replace",
      ...requireTarget(given),
      ...option("--read-queues", given.readQueueNums),
      ...option("--write-queues", given.writeQueueNums),
      ...option("--perm", given.perm),
      ...flag("--order", given.order?.trim() === "true"),
      ...attributeArgs(given.attributes),
    ],
    note:
      "Units (-u, -s) and the deletion of attributes have no effect; `rmq topic update` deletes attributes.",
  },
  {
    name: "deleteTopic",
    options: { t: "topic", c: "clusterName" },
    command: "topic delete",
    toArgs: (given) => [
      required(given, "topic"),
      "--yes",
      ...option("--cluster", required(given, "clusterName")),
    ],
  },
  {
    name: "updateTopicPerm",
    options: { ...TARGET, t: "topic", p: "perm" },
    command: "topic update",
    toArgs: (given) => [
      required(given, "topic"),
      ...option("--perm", required(given, "perm")),
      ...requireTarget(given),
    ],
  },
  {
    name: "topicList",
    options: { c: "clusterModel!" },
    command: "topic list",
    toArgs: (given) => ["--all", ...flag("--quiet", given.clusterModel === undefined)],
  },
  {
    name: "topicRoute",
    options: { t: "topic", l: "list!" },
    command: "topic route",
    toArgs: (given) => [required(given, "topic")],
  },
  {
    name: "topicStatus",
    options: { t: "topic", c: "cluster" },
    command: "topic stats",
    toArgs: (given) => [required(given, "topic"), ...option("--cluster", given.cluster)],
  },
  {
    name: "topicClusterList",
    options: { t: "topic" },
    command: "topic route",
    toArgs: (given) => [required(given, "topic")],
  },
  {
    name: "updateSubGroup",
    options: {
      ...TARGET,
      g: "groupName",
      s: "consumeEnable",
      m: "consumeFromMinEnable",
      d: "consumeBroadcastEnable",
      o: "consumeMessageOrderly",
      q: "retryQueueNums",
      r: "retryMaxTimes",
      i: "brokerId",
      w: "whichBrokerWhenConsumeSlowly",
      a: "notifyConsumerIdsChanged",
    },
    command: "group create",
    toArgs: (given) => [
      required(given, "groupName"),
      "--replace",
      ...requireTarget(given),
      ...option("--consume", given.consumeEnable),
      ...option("--broadcast", given.consumeBroadcastEnable),
      ...option("--orderly", given.consumeMessageOrderly),
      ...option("--retry-queues", given.retryQueueNums),
      ...option("--retries", given.retryMaxTimes),
    ],
    note: "-m, -i, -w and -a have no effect.",
  },
  {
    name: "deleteSubGroup",
    options: { ...TARGET, g: "groupName", r: "removeOffset" },
    command: "group delete",
    toArgs: (given) => [
      required(given, "groupName"),
      "--yes",
      ...option("--cluster", given.clusterName),
      ...flag("--dlq", given.clusterName !== undefined),
      ...flag("--keep-offsets", given.removeOffset?.trim() !== "true"),
    ],
    note: "-b has no effect: the group is deleted on all brokers, or on those of -c.",
  },
  {
    name: "setConsumeMode",
    options: { ...TARGET, t: "topicName", g: "groupName", m: "mode", q: "popShareQueueNum" },
    command: "group mode",
    toArgs: (given) => [
      required(given, "groupName"),
      required(given, "topicName"),
      required(given, "mode").toLowerCase(),
      ...requireTarget(given),
      ...option("--share", given.popShareQueueNum),
    ],
  },
  {
    name: "consumerProgress",
    options: { g: "groupName", t: "topicName", s: "showClientIP", c: "cluster" },
    command: "group lag",
    toArgs: (given) => [
      ...given.groupName === undefined ? ["--all"] : [given.groupName.trim(), "--queues"],
      ...option("--cluster", given.cluster),
    ],
    note:
      "-t and -s have no effect; `rmq offset show GROUP TOPIC` shows one topic, `rmq group members` the clients.",
  },
  {
    name: "consumerConnection",
    options: { g: "consumerGroup", b: "brokerAddr" },
    command: "group members",
    toArgs: (given) => [required(given, "consumerGroup"), ...option("--broker", given.brokerAddr)],
  },
  {
    name: "consumerStatus",
    options: { g: "consumerGroup", i: "clientId", b: "brokerAddr", s: "jstack!" },
    command: "group client",
    toArgs: (given) => [
      required(given, "consumerGroup"),
      ...given.clientId === undefined ? [] : [given.clientId.trim()],
      ...option("--broker", given.brokerAddr),
      ...flag("--threads", given.jstack !== undefined),
    ],
    note: "Without -i the group must have one consumer; mqadmin looks at all of them.",
  },
  {
    name: "producerConnection",
    options: { g: "producerGroup", t: "topic" },
    command: "producer list",
    toArgs: (given) => [required(given, "producerGroup")],
  },
  {
    name: "producer",
    options: { b: "broker" },
    command: "producer list",
    toArgs: (given) => option("--broker", given.broker),
  },
  {
    name: "getConsumerConfig",
    options: { g: "groupName" },
    command: "group show",
    toArgs: (given) => [required(given, "groupName")],
  },
  {
    name: "resetOffsetByTime",
    options: {
      g: "group",
      t: "topic",
      s: "timestamp",
      f: "force",
      b: "broker",
      q: "queue",
      o: "offset",
      c: "cluster",
    },
    command: "offset reset",
    toArgs: (given) => [
      required(given, "group"),
      required(given, "topic"),
      "--yes",
      ...option("--to", given.offset ?? momentOf(required(given, "timestamp"))),
      ...option("--broker", given.broker),
      ...option("--queue", given.queue),
      ...option("--cluster", given.cluster),
    ],
    note: "-f has no effect: positions move forwards and back.",
  },
  {
    name: "skipAccumulatedMessage",
    options: { g: "group", t: "topic", f: "force", c: "cluster" },
    command: "offset reset",
    toArgs: (given) => [required(given, "group"), required(given, "topic"), "--yes", "--to", "latest"],
  },
  {
    name: "cloneGroupOffset",
    options: { s: "srcGroup", d: "destGroup", t: "topic", o: "offline" },
    command: "offset clone",
    toArgs: (given) => [
      required(given, "srcGroup"),
      required(given, "destGroup"),
      ...given.topic === undefined ? [] : [given.topic.trim()],
      "--yes",
    ],
  },
  {
    name: "sendMessage",
    options: { t: "topic", p: "body", k: "keys", c: "tags", b: "broker", i: "qid", m: "msgTraceEnable" },
    command: "message send",
    toArgs: (given) => [
      ...option("--key", given.keys),
      ...option("--tag", given.tags),
      ...option("--queue", given.qid),
      "--",
      required(given, "topic"),
      given.body ?? "",
    ],
    note: "-b and -m have no effect.",
  },
  {
    name: "queryMsgById",
    options: {
      i: "msgId",
      t: "topic",
      g: "consumerGroup",
      d: "clientId",
      s: "sendMessage",
      u: "unitName",
      c: "cluster",
    },
    command: "message get",
    toArgs: (given) => [required(given, "msgId"), ...option("--topic", given.topic)],
    note: "-g, -d, -s and -u have no effect.",
  },
  {
    name: "queryMsgByKey",
    options: { t: "topic", k: "msgKey", b: "beginTimestamp", e: "endTimestamp", m: "maxNum", c: "cluster" },
    command: "message find",
    toArgs: (given) => [
      required(given, "topic"),
      required(given, "msgKey"),
      ...given.beginTimestamp === undefined ? [] : ["--from", `@${given.beginTimestamp.trim()}`],
      ...given.endTimestamp === undefined ? [] : ["--to", `@${given.endTimestamp.trim()}`],
      ...option("--count", given.maxNum),
      ...option("--cluster", given.cluster),
    ],
  },
  {
    name: "queryMsgByUniqueKey",
    options: { t: "topic", i: "msgId", g: "consumerGroup", d: "clientId", a: "showAll!", c: "cluster" },
    command: "message get",
    toArgs: (given) => [required(given, "msgId"), "--topic", required(given, "topic")],
    note: "-g, -d and -a have no effect.",
  },
  {
    name: "queryMsgByOffset",
    options: { t: "topic", b: "brokerName", i: "queueId", o: "offset", f: "bodyFormat" },
    command: "message at",
    toArgs: (given) => [
      required(given, "topic"),
      required(given, "queueId"),
      required(given, "offset"),
      ...option("--broker", required(given, "brokerName")),
    ],
    note: "-f has no effect: a body is shown as text, or in Base64 where it is none.",
  },
  {
    name: "queryMsgTraceById",
    options: {
      i: "msgId",
      t: "traceTopic",
      b: "beginTimestamp",
      e: "endTimestamp",
      m: "maxNum",
      c: "cluster",
    },
    command: "message trace",
    toArgs: (given) => [required(given, "msgId"), ...option("--trace-topic", given.traceTopic)],
  },
  {
    name: "printMsg",
    options: {
      t: "topic",
      c: "charsetName",
      s: "subExpression",
      b: "beginTimestamp",
      e: "endTimestamp",
      d: "printBody",
      l: "lmqParentTopic",
    },
    command: "message tail",
    toArgs: (given) => [
      required(given, "topic"),
      "--from",
      given.beginTimestamp === undefined ? "@0" : momentOf(given.beginTimestamp.trim()),
      ...given.endTimestamp === undefined ? [] : ["--to", momentOf(given.endTimestamp.trim())],
      ...option("--tags", given.subExpression),
    ],
    note: "-c, -d and -l have no effect.",
  },
  {
    name: "clusterList",
    options: { m: "moreStats!", i: "interval", c: "clusterName" },
    command: "broker list",
    toArgs: (given) => option("--cluster", given.clusterName),
    note: "-m and -i have no effect.",
  },
  {
    name: "brokerStatus",
    options: TARGET,
    command: "broker status",
    toArgs: (given) => ["--all", ...requireTarget(given)],
  },
  {
    name: "getBrokerConfig",
    options: TARGET,
    command: "broker config get",
    toArgs: requireTarget,
  },
  {
    name: "updateBrokerConfig",
    options: { ...TARGET, k: "key", v: "value", a: "updateAllBroker" },
    command: "broker config set",
    toArgs: (given) => [
      ...requireTarget(given),
      ...flag("--slaves", given.updateAllBroker !== undefined),
      "--",
      `${required(given, "key")}=${required(given, "value")}`,
    ],
  },
  {
    name: "wipeWritePerm",
    options: { b: "brokerName" },
    command: "broker drain",
    toArgs: (given) => [required(given, "brokerName"), "--yes"],
  },
  {
    name: "addWritePerm",
    options: { b: "brokerName" },
    command: "broker resume",
    toArgs: (given) => [required(given, "brokerName")],
  },
  {
    name: "haStatus",
    options: { ...TARGET, i: "interval" },
    command: "broker replication",
    toArgs: requireTarget,
    note: "-i has no effect.",
  },
  {
    name: "deleteExpiredCommitLog",
    options: TARGET,
    command: "broker clean",
    toArgs: (given) => ["log", "--yes", ...target(given)],
  },
  {
    name: "cleanExpiredCQ",
    options: TARGET,
    command: "broker clean",
    toArgs: (given) => ["queues", "--yes", ...target(given)],
  },
  {
    name: "cleanUnusedTopic",
    options: TARGET,
    command: "broker clean",
    toArgs: (given) => ["topics", "--yes", ...target(given)],
  },
  {
    name: "updateKvConfig",
    options: { s: "namespace", k: "key", v: "value" },
    command: "kv put",
    toArgs: (given) => [
      "--",
      required(given, "namespace"),
      required(given, "key"),
      required(given, "value"),
    ],
  },
  {
    name: "updateOrderConf",
    options: { t: "topic", v: "orderConf", m: "method" },
    command: "kv put",
    commandFor(given) {
      const method = required(given, "method");
      if (method === "put" || method === "get" || method === "delete") return `kv ${method}`;
      throw new UsageError(`--method takes get, put or delete, not ${method}.`);
    },
    toArgs: (given) => [
      ...flag("--yes", given.method?.trim() === "delete"),
      "--",
      ORDER_NAMESPACE,
      required(given, "topic"),
      ...given.method?.trim() === "put" ? [required(given, "orderConf")] : [],
    ],
    note: "-m get and delete are `rmq kv get` and `rmq kv delete`.",
  },
  {
    name: "deleteKvConfig",
    options: { s: "namespace", k: "key" },
    command: "kv delete",
    toArgs: (given) => ["--yes", "--", required(given, "namespace"), required(given, "key")],
  },
  {
    name: "getNamesrvConfig",
    options: {},
    command: "config get",
    toArgs: () => [],
  },
  {
    name: "updateNamesrvConfig",
    options: { k: "key", v: "value" },
    command: "config set",
    toArgs: (given) => ["--", `${required(given, "key")}=${required(given, "value")}`],
  },
];
