// SPDX-License-Identifier: Apache-2.0
import { deleteGroup, groupConfigs, putGroup, setRequestMode } from "../../client/admin/groups.ts";
import { deleteTopic } from "../../client/admin/topics.ts";
import { type GroupConfig, groupConfig } from "../../protocol/bodies/subscription_group.ts";
import { type Given, UsageError } from "../args.ts";
import { counted } from "../store_text.ts";
import { requireMasters } from "./cluster.ts";
import { adminCommand, brokerOptions, FAILURES, numberOption, yesOption } from "./command.ts";
import { confirm } from "./confirm.ts";
import { membershipOf, oneGroup } from "./group_facts.ts";
import { configJson } from "./group_show.ts";
import { listed } from "./text.ts";
import { oneTopic } from "./topic_facts.ts";

const groupOperand = { name: "GROUP", kind: "group" } as const;

const settingOptions = {
  retries: {
    short: "r",
    value: "N",
    help: "How often a message is tried again before it is a dead letter (default 16)",
  },
  "retry-queues": { value: "N", help: "Queues of the retry topic (default 1)" },
  consume: { value: "on|off", help: "Whether the group gets messages (default on)" },
  broadcast: { value: "on|off", help: "Whether its consumers may broadcast (default on)" },
  orderly: { value: "on|off", help: "Whether 5.x clients consume it in order (default off)" },
} as const;

const RESULT = `{"group", "brokers": [{"cluster", "broker", "consumeEnable", "consumeBroadcastEnable",
  "consumeFromMinEnable", "consumeMessageOrderly", "retryQueueNums", "retryMaxTimes"}],
 ${FAILURES}}`;

const create = adminCommand({
  name: "create",
  summary: "Create a consumer group on the brokers of a cluster",
  operands: [{ name: "GROUP" }],
  options: {
    ...brokerOptions,
    ...settingOptions,
    replace: { help: "If it exists, give it these settings and the defaults of the others" },
  },
  examples: [
    ["group create billing", "with the defaults"],
    ["group create billing --retries 3 --orderly on", "dead letters after three tries, in order"],
  ],
  json: RESULT,
  async run({ cluster, given, operands, out }) {
    const [group] = operands;
    const config = wished(given, groupConfig(group));
    const brokers = await cluster.mastersToChange(given);
    if (!given.replace) {
      const known = (await cluster.each(brokers, groupConfigs)).filter(([, configs]) => configs.has(group));
      if (known.length > 0) {
        throw new Error(
          `${group} exists on ${listed(known.map(([broker]) => broker.name))}. ` +
            "Change it with `rmq group update`, or say --replace.",
        );
      }
    }
    const made = await cluster.each(brokers, (broker) => putGroup(broker, config));
    if (out.isJson) {
      const json = made.map(([broker]) => configJson([broker, config]));
      return await out.json({ group, brokers: json, failures: cluster.failures });
    }
    await out.line(`Created ${group} on ${listed(made.map(([broker]) => broker.name))}.`);
  },
});

const update = adminCommand({
  name: "update",
  summary: "Change settings of a group; the others stay as they are",
  operands: [groupOperand],
  options: { ...brokerOptions, ...settingOptions },
  examples: [
    ["group update billing --consume off", "stop it without stopping its consumers"],
    ["group update billing --retries 3", "dead letters after three tries"],
  ],
  json: RESULT,
  async run({ cluster, given, operands, out }) {
    const { group, configs } = await oneGroup(cluster, operands[0], given);
    requireMasters(configs.map(([broker]) => broker));
    const byBroker = new Map(configs.map(([broker, config]) => [broker.name, config]));
    const changed = await cluster.each(configs.map(([broker]) => broker), async (broker) => {
      // Attributes are told as changes: none.
      const config = { ...wished(given, byBroker.get(broker.name)!), attributes: new Map<string, string>() };
      await putGroup(broker, config);
      return config;
    });
    if (out.isJson) {
      return await out.json({ group, brokers: changed.map(configJson), failures: cluster.failures });
    }
    await out.line(`Changed ${group} on ${listed(changed.map(([broker]) => broker.name))}.`);
  },
});

const remove = adminCommand({
  name: "delete",
  summary: "Delete groups, where they stand, and what they have to try again",
  operands: [{ ...groupOperand, isRepeated: true }],
  options: {
    cluster: brokerOptions.cluster,
    "keep-offsets": { help: "Keep where it stands, should it be created again" },
    dlq: { help: "Delete its dead letters, too" },
    ...yesOption,
  },
  examples: [
    ["group delete billing", "asks first, and tells whether consumers are connected"],
    ["group delete billing --dlq --yes", "with its dead letters, without a question"],
  ],
  json: `{"deleted": [{"group", "brokers": [names]}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out, surroundings }) {
    const deleted = [];
    for (const name of operands) {
      const { group, configs } = await oneGroup(cluster, name, given);
      const brokers = configs.map(([broker]) => broker);
      requireMasters(brokers);
      const { members } = await membershipOf(cluster, brokers, group);
      const online = members.length === 0
        ? ""
        : `, of which ${counted(members.length, "consumer")} ${
          members.length === 1 ? "is" : "are"
        } connected,`;
      const question = `Delete the group ${group}${online} on ${listed(brokers.map((one) => one.name))}`;
      await confirm(surroundings, given.yes, question);
      const topics = [`%RETRY%${group}`, ...given.dlq ? [`%DLQ%${group}`] : []];
      const done = await cluster.each(brokers, async (broker) => {
        await deleteGroup(broker, group, !given["keep-offsets"]);
        for (const topic of topics) await deleteTopic(broker, topic);
      });
      for (const clusterName of new Set(done.map(([broker]) => broker.cluster))) {
        for (const topic of topics) {
          await cluster.eachNameServer((nameServer) => nameServer.deleteTopic(topic, clusterName));
        }
      }
      deleted.push({ group, brokers: done.map(([broker]) => broker.name) });
      if (!out.isJson) await out.line(`Deleted ${group} on ${listed(done.map(([broker]) => broker.name))}.`);
    }
    if (out.isJson) await out.json({ deleted, failures: cluster.failures });
  },
});

const mode = adminCommand({
  name: "mode",
  summary: "Let a group pop a topic, or pull it",
  help:
    "It counts for push consumers of 5.x clients that let brokers share the queues (clientRebalance=false). Brokers " +
    "of 4.9 know no such thing.",
  operands: [groupOperand, { name: "TOPIC", kind: "topic" }, { name: "pop|pull" }],
  options: {
    ...brokerOptions,
    share: {
      value: "N",
      help: "With pop: each member's queues are shared with N others (default: with all)",
    },
  },
  examples: [["group mode billing orders pop", "members share queues message by message"]],
  json: `{"group", "topic", "mode": POP|PULL, "brokers": [names],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const [group, topic, word] = operands;
    if (word !== "pop" && word !== "pull") throw new UsageError(`a group can pop or pull, not ${word}.`);
    const mode = word === "pop" ? "POP" : "PULL";
    const popShareQueueNum = numberOption("--share", given.share, 0);
    await oneGroup(cluster, group, given);
    const { configs } = await oneTopic(cluster, topic, given);
    requireMasters(configs.map(([broker]) => broker));
    const done = await cluster.each(configs.map(([broker]) => broker), (broker) => {
      return setRequestMode(broker, { consumerGroup: group, topic, mode, popShareQueueNum });
    });
    const brokers = done.map(([broker]) => broker.name);
    if (out.isJson) return await out.json({ group, topic, mode, brokers, failures: cluster.failures });
    await out.line(`${group} will ${word} ${topic} on ${listed(brokers)}.`);
  },
});

/** What is asked for, over what there is. @throws UsageError */
function wished(given: Given<typeof settingOptions>, base: GroupConfig): GroupConfig {
  const bounds = { min: 0, max: 0x7fffffff };
  return {
    ...base,
    retryMaxTimes: numberOption("--retries", given.retries, base.retryMaxTimes, bounds),
    retryQueueNums: numberOption("--retry-queues", given["retry-queues"], base.retryQueueNums, {
      min: 0,
      max: 65_536,
    }),
    consumeEnable: onOff("--consume", given.consume, base.consumeEnable),
    consumeBroadcastEnable: onOff("--broadcast", given.broadcast, base.consumeBroadcastEnable),
    consumeMessageOrderly: onOff("--orderly", given.orderly, base.consumeMessageOrderly),
  };
}

function onOff(option: string, text: string | undefined, fallback: boolean): boolean {
  if (text === undefined) return fallback;
  const value = ({ on: true, true: true, off: false, false: false } as Record<string, boolean>)[text];
  if (value === undefined) throw new UsageError(`${option} takes on or off, not ${text}.`);
  return value;
}

export const groupChangeCommands = [create, update, remove, mode];
