// SPDX-License-Identifier: Apache-2.0
import type { GroupConfig } from "../../protocol/bodies/subscription_group.ts";
import { versionName } from "../../protocol/version.ts";
import { shortVersion } from "./broker_state.ts";
import { type Broker, inParallel } from "./cluster.ts";
import { adminCommand, brokerOptions, FAILURES } from "./command.ts";
import { consumeTypeText, groupFacts, membershipOf, oneGroup } from "./group_facts.ts";
import { byName, listed, matcher } from "./text.ts";
import { agreed } from "./topic_facts.ts";

const groupOperand = { name: "GROUP", kind: "group" } as const;

const CONFIG_JSON = `{"cluster", "broker", "consumeEnable", "consumeBroadcastEnable",
  "consumeFromMinEnable", "consumeMessageOrderly", "retryQueueNums", "retryMaxTimes"}`;

const list = adminCommand({
  name: "list",
  summary: "List consumer groups",
  operands: [{ name: "PATTERN", isOptional: true, kind: "group" }],
  options: {
    ...brokerOptions,
    all: { short: "a", help: "Groups that brokers and tools keep for themselves, too" },
    quiet: { short: "q", help: "Names only, one on a line" },
  },
  examples: [
    ["group list", "with how many consumers are connected, and how they consume"],
    ["group list 'billing*' -q", "names only; a pattern has * and ?, or is part of the name"],
  ],
  json: `{"groups": [{"group", "isSystem", "members", "consumeType": push|pull|pop|null, "messageModel",
  "brokers": [${CONFIG_JSON}]}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const isWanted = matcher(operands[0]);
    const groups = (await groupFacts(cluster, given))
      .filter(({ group, isSystem }) => isWanted(group) && (given.all || !isSystem));
    if (given.quiet && !out.isJson) return await out.write(groups.map(({ group }) => `${group}\n`).join(""));
    const rows = await inParallel(groups, async (facts) => {
      const brokers = facts.configs.map(([broker]) => broker);
      return { ...facts, ...await membershipOf(cluster, brokers, facts.group) };
    });
    if (out.isJson) {
      const json = rows.map(({ group, isSystem, members, online, configs }) => ({
        group,
        isSystem,
        members: members.length,
        consumeType: online ? consumeTypeText(online.consumeType) : null,
        messageModel: online?.messageModel ?? null,
        brokers: configs.map(configJson),
      }));
      return await out.json({ groups: json, failures: cluster.failures });
    }
    if (rows.length === 0) return await out.line("There is no such group.");
    await out.table({
      columns: [
        { head: "GROUP", isFlexible: true },
        { head: "MEMBERS", isNumber: true },
        { head: "CONSUMES" },
        { head: "MODEL" },
        { head: "TOPICS", isFlexible: true, isOptional: true },
        { head: "RETRIES", isNumber: true, isOptional: true },
        { head: "BROKERS", isFlexible: true, isOptional: true },
      ],
      rows: rows.map(({ group, members, online, configs }) => {
        const isOff = configs.some(([, config]) => !config.consumeEnable);
        return [
          group,
          members.length,
          isOff ? { text: "disabled", colour: "red" } : consumeTypeText(online?.consumeType),
          online?.messageModel.toLowerCase() ?? "-",
          listed(
            [...online?.subscriptions.keys() ?? []].filter((topic) => !topic.startsWith("%RETRY%")).sort(
              byName,
            ),
          ),
          agreed(configs.map(([, config]) => config.retryMaxTimes)),
          listed(configs.map(([broker]) => broker.name)),
        ];
      }),
    });
  },
});

export function configJson([broker, config]: readonly [Broker, GroupConfig]) {
  return {
    cluster: broker.cluster,
    broker: broker.name,
    consumeEnable: config.consumeEnable,
    consumeBroadcastEnable: config.consumeBroadcastEnable,
    consumeFromMinEnable: config.consumeFromMinEnable,
    consumeMessageOrderly: config.consumeMessageOrderly,
    retryQueueNums: config.retryQueueNums,
    retryMaxTimes: config.retryMaxTimes,
  };
}

const show = adminCommand({
  name: "show",
  summary: "Show the settings of a group on each broker",
  operands: [groupOperand],
  options: brokerOptions,
  examples: [["group show billing", "settings; `rmq group members` and `rmq group lag` show the rest"]],
  json: `{"group", "isSystem", "brokers": [${CONFIG_JSON}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const { group, isSystem, configs } = await oneGroup(cluster, operands[0], given);
    if (out.isJson) {
      return await out.json({
        group,
        isSystem,
        brokers: configs.map(configJson),
        failures: cluster.failures,
      });
    }
    await out.table({
      columns: [
        { head: "BROKER", isFlexible: true },
        { head: "CONSUME" },
        { head: "BROADCAST" },
        { head: "ORDERLY" },
        { head: "RETRIES", isNumber: true },
        { head: "RETRY-QUEUES", isNumber: true },
      ],
      rows: configs.map(([broker, config]) => [
        broker.name,
        yesNo(config.consumeEnable),
        yesNo(config.consumeBroadcastEnable),
        yesNo(config.consumeMessageOrderly),
        config.retryMaxTimes,
        config.retryQueueNums,
      ]),
    });
  },
});

function yesNo(value: boolean): string {
  return value ? "yes" : "no";
}

const members = adminCommand({
  name: "members",
  summary: "Show the consumers of a group that are connected, and what they subscribe to",
  operands: [groupOperand],
  options: brokerOptions,
  examples: [["group members billing", "clients with addresses, languages and versions"]],
  json: `{"group", "consumeType", "messageModel", "consumeFromWhere",
 "members": [{"clientId", "address", "language", "version", "brokers": [names]}],
 "subscriptions": [{"topic", "expressionType", "expression"}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const [group] = operands;
    const { members, online } = await membershipOf(cluster, await cluster.readers(given), group);
    const subscriptions = [...online?.subscriptions.values() ?? []]
      .map(({ topic, expressionType, subString }) => ({ topic, expressionType, expression: subString }))
      .sort((a, b) => byName(a.topic, b.topic));
    if (out.isJson) {
      return await out.json({
        group,
        consumeType: online ? consumeTypeText(online.consumeType) : null,
        messageModel: online?.messageModel ?? null,
        consumeFromWhere: online?.consumeFromWhere ?? null,
        members: members.map(({ clientId, clientAddr, language, version, brokers }) => ({
          clientId,
          address: clientAddr,
          language,
          version: shortVersion(versionName(version)),
          brokers,
        })),
        subscriptions,
        failures: cluster.failures,
      });
    }
    if (online === undefined) {
      await oneGroup(cluster, group, given);
      return await out.line(`No consumer of ${group} is connected.`);
    }
    await out.facts([
      ["Consumes", consumeTypeText(online.consumeType)],
      ["Model", online.messageModel.toLowerCase()],
      [
        "A new group begins",
        online.consumeFromWhere.replace(/^CONSUME_FROM_/, "").toLowerCase().replaceAll("_", " "),
      ],
    ]);
    await out.line();
    await out.table({
      columns: [
        { head: "CLIENT", isFlexible: true },
        { head: "ADDRESS" },
        { head: "LANGUAGE" },
        { head: "VERSION" },
        { head: "BROKERS", isFlexible: true, isOptional: true },
      ],
      rows: members.map(({ clientId, clientAddr, language, version, brokers }) => {
        return [clientId, clientAddr, language, shortVersion(versionName(version)), listed(brokers)];
      }),
    });
    await out.line();
    await out.table({
      columns: [{ head: "TOPIC", isFlexible: true }, { head: "TYPE" }, {
        head: "EXPRESSION",
        isFlexible: true,
      }],
      rows: subscriptions.map(({ topic, expressionType, expression }) => [topic, expressionType, expression]),
    });
  },
});

export const groupShowCommands = [list, show, members];
