// SPDX-License-Identifier: Apache-2.0
import { deleteTopic, groupsOfTopic, putTopic, topicConfigs, topicStats } from "../../client/admin/topics.ts";
import { Perm, type TopicConfig, topicConfig } from "../../protocol/bodies/topic_config.ts";
import { type Given, UsageError } from "../args.ts";
import { counted } from "../store_text.ts";
import { requireMasters } from "./cluster.ts";
import { adminCommand, brokerOptions, FAILURES, numberOption, yesOption } from "./command.ts";
import { confirm } from "./confirm.ts";
import { listed } from "./text.ts";
import { configJson, oneTopic } from "./topic_facts.ts";
import { countsOf } from "./topic_list.ts";

const topicOperand = { name: "TOPIC", kind: "topic" } as const;

const MAX_QUEUES = 65_536;
const DEFAULT_QUEUES = 8;

const settingOptions = {
  queues: { short: "q", value: "N", help: "Queues on each broker, to read and to write" },
  "read-queues": { value: "N", help: "Queues to read, where there are to be more than to write" },
  "write-queues": { value: "N", help: "Queues to write" },
  perm: { short: "p", value: "rw|r|w|none", help: "What clients may do (default rw)" },
  type: {
    value: "TYPE",
    help: "Kind of messages: NORMAL, FIFO, DELAY or TRANSACTION, as clients of 5.x check it",
  },
  order: { help: "An order topic: queues stay where they are when brokers come and go" },
  attribute: { value: "NAME=VALUE", multiple: true, help: "Another attribute; may be repeated" },
} as const;

const RESULT = `{"topic", "brokers": [{"cluster", "broker", "readQueues", "writeQueues", "perm", "order",
  "attributes": {name: text}}],
 ${FAILURES}}`;

const create = adminCommand({
  name: "create",
  summary: "Create a topic on the brokers of a cluster",
  operands: [{ name: "TOPIC" }],
  options: {
    ...brokerOptions,
    ...settingOptions,
    replace: { help: "If it exists, give it these settings and the defaults of the others" },
  },
  examples: [
    ["topic create orders", `${DEFAULT_QUEUES} queues on every broker`],
    [
      "topic create orders --queues 16 --type FIFO -c DefaultCluster",
      "for messages in order, of 5.x clients",
    ],
  ],
  json: RESULT,
  async run({ cluster, given, operands, out }) {
    const [topic] = operands;
    const { config, attributes } = wished(
      topic,
      given,
      topicConfig(topic, {
        readQueueNums: DEFAULT_QUEUES,
        writeQueueNums: DEFAULT_QUEUES,
      }),
    );
    const brokers = await cluster.mastersToChange(given);
    if (!given.replace) {
      const known = (await cluster.each(brokers, topicConfigs)).filter(([, configs]) => configs.has(topic));
      if (known.length > 0) {
        throw new Error(
          `${topic} exists on ${listed(known.map(([broker]) => broker.name))}. ` +
            "Change it with `rmq topic update`, or say --replace.",
        );
      }
    }
    const changes = new Map([...attributes].map(([name, value]) => [`+${name}`, value]));
    const made = await cluster.each(brokers, (broker) => putTopic(broker, config, changes));
    if (out.isJson) {
      const full = { ...config, attributes };
      const json = made.map(([broker]) => configJson([broker, full]));
      return await out.json({ topic, brokers: json, failures: cluster.failures });
    }
    const names = listed(made.map(([broker]) => broker.name));
    await out.line(`Created ${topic} with ${config.writeQueueNums} queues on ${names}.`);
  },
});

const update = adminCommand({
  name: "update",
  summary: "Change settings of a topic; the others stay as they are",
  help:
    "Fewer queues: messages in the queues that go away are still read as long as --read-queues keeps them. " +
    "Lower --write-queues first, and --read-queues once their messages are consumed.",
  operands: [topicOperand],
  options: {
    ...brokerOptions,
    ...settingOptions,
    unordered: { help: "No order topic any more" },
    "delete-attribute": { value: "NAME", multiple: true, help: "Take an attribute away; may be repeated" },
  },
  examples: [
    ["topic update orders --queues 16", "more queues, on every broker that has the topic"],
    ["topic update orders --perm r -b broker-a", "no new messages on one broker"],
  ],
  json: RESULT,
  async run({ cluster, given, operands, out }) {
    const { topic, configs } = await oneTopic(cluster, operands[0], given);
    requireMasters(configs.map(([broker]) => broker));
    const byName = new Map(configs.map(([broker, config]) => [broker.name, config]));
    const changed = await cluster.each(configs.map(([broker]) => broker), async (broker) => {
      const before = byName.get(broker.name)!;
      const { config, attributes } = wished(topic, given, before);
      const after = { ...config, order: given.unordered ? false : config.order };
      const changes = new Map([...attributes].map(([name, value]) => [`+${name}`, value]));
      for (const name of given["delete-attribute"]) changes.set(`-${name}`, "");
      await putTopic(broker, after, changes);
      return (await topicConfigs(broker)).get(topic)!;
    });
    if (out.isJson) {
      return await out.json({ topic, brokers: changed.map(configJson), failures: cluster.failures });
    }
    await out.line(`Changed ${topic} on ${listed(changed.map(([broker]) => broker.name))}.`);
  },
});

const remove = adminCommand({
  name: "delete",
  summary: "Delete topics with all their messages",
  operands: [{ ...topicOperand, isRepeated: true }],
  options: { cluster: brokerOptions.cluster, ...yesOption },
  examples: [
    ["topic delete orders", "asks first, and tells who still consumes it"],
    ["topic delete orders --yes -c DefaultCluster", "on the brokers of one cluster, without a question"],
  ],
  json: `{"deleted": [{"topic", "brokers": [names]}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out, surroundings }) {
    const deleted = [];
    for (const name of operands) {
      const { topic, configs } = await oneTopic(cluster, name, given);
      const brokers = configs.map(([broker]) => broker);
      requireMasters(brokers);
      const names = listed(brokers.map((broker) => broker.name));
      const facts = await cluster.each(brokers, async (broker) => ({
        stats: await topicStats(broker, topic),
        groups: await groupsOfTopic(broker, topic),
      }));
      const messages = facts.reduce((sum, [, { stats }]) => sum + (stats ? countsOf(stats).messages : 0), 0);
      const groups = new Set(facts.flatMap(([, one]) => one.groups));
      const consumed = groups.size === 0 ? "" : `, consumed by ${listed(groups)},`;
      await confirm(
        surroundings,
        given.yes,
        `Delete ${topic} with ${counted(messages, "message")}${consumed} on ${names}`,
      );
      const done = await cluster.each(brokers, (broker) => deleteTopic(broker, topic));
      // A broker that still has the topic registers it again.
      const clusters = new Set(done.map(([broker]) => broker.cluster));
      for (const clusterName of clusters) {
        await cluster.eachNameServer((nameServer) => nameServer.deleteTopic(topic, clusterName));
      }
      deleted.push({ topic, brokers: done.map(([broker]) => broker.name) });
      if (!out.isJson) await out.line(`Deleted ${topic} on ${listed(done.map(([broker]) => broker.name))}.`);
    }
    if (out.isJson) await out.json({ deleted, failures: cluster.failures });
  },
});

/** What is asked for, over what there is. @throws UsageError */
function wished(
  topic: string,
  given: Given<typeof settingOptions>,
  base: TopicConfig,
): { config: TopicConfig; attributes: Map<string, string> } {
  const bounds = { min: 0, max: MAX_QUEUES };
  const both = numberOption("--queues", given.queues, -1, { min: 1, max: MAX_QUEUES });
  const of = (option: "read-queues" | "write-queues", before: number) =>
    numberOption(`--${option}`, given[option], both === -1 ? before : both, bounds);
  const attributes = new Map(given.attribute.map(attributeOf));
  if (given.type !== undefined) attributes.set("message.type", given.type.toUpperCase());
  const config = {
    ...base,
    topicName: topic,
    readQueueNums: of("read-queues", base.readQueueNums),
    writeQueueNums: of("write-queues", base.writeQueueNums),
    perm: given.perm === undefined ? base.perm : permOf(given.perm),
    order: given.order || base.order,
  };
  return { config, attributes };
}

/** As letters, or as the number of Apache's tools. @throws UsageError */
function permOf(text: string): number {
  const perms: Record<string, number> = { rw: Perm.READ | Perm.WRITE, r: Perm.READ, w: Perm.WRITE, none: 0 };
  const perm = perms[text.toLowerCase()] ?? (/^[0-7]$/.test(text) ? Number(text) : undefined);
  if (perm === undefined) throw new UsageError(`--perm takes rw, r, w or none, not ${text}.`);
  return perm;
}

function attributeOf(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals <= 0) throw new UsageError(`--attribute takes NAME=VALUE, not ${text}.`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

export const topicChangeCommands = [create, update, remove];
