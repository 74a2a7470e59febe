// SPDX-License-Identifier: Apache-2.0
import { cloneOffsets, consumeStats } from "../../client/admin/offsets.ts";
import { requireMasters } from "./cluster.ts";
import { adminCommand, brokerOptions, FAILURES, yesOption } from "./command.ts";
import { confirm } from "./confirm.ts";
import { oneGroup } from "./group_facts.ts";
import { queueJson, queueTable } from "./group_lag.ts";
import { offsetResetCommand } from "./offset_reset.ts";
import { byName, listed } from "./text.ts";

const show = adminCommand({
  name: "show",
  summary: "Show where a group stands in each queue",
  operands: [{ name: "GROUP", kind: "group" }, { name: "TOPIC", isOptional: true, kind: "topic" }],
  options: brokerOptions,
  examples: [
    ["offset show billing", "in all topics that it consumes"],
    ["offset show billing orders", "in one"],
  ],
  json:
    `{"group", "queues": [{"topic", "broker", "queueId", "brokerOffset", "consumerOffset", "lag", "inFlight",
  "lastConsumedMs"}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const { group, configs } = await oneGroup(cluster, operands[0], given);
    const brokers = configs.map(([broker]) => broker);
    const answers = await cluster.each(brokers, (broker) => consumeStats(broker, group, operands[1]));
    const positions = answers.flatMap(([, { offsetTable }]) => [...offsetTable]).sort(([a], [b]) => {
      return byName(a.topic, b.topic) || byName(a.brokerName, b.brokerName) || a.queueId - b.queueId;
    });
    if (out.isJson) {
      return await out.json({ group, queues: positions.map(queueJson), failures: cluster.failures });
    }
    if (positions.length === 0) {
      const where = operands[1] === undefined ? "anything" : `anything of ${operands[1]}`;
      return await out.line(`${group} has not consumed ${where} yet.`);
    }
    await out.table(queueTable(positions, Date.now()));
  },
});

const clone = adminCommand({
  name: "clone",
  summary: "Give a group the positions of another",
  help: "Stop the consumers of TO first: those that run keep their own positions and write them back.",
  operands: [
    { name: "FROM", kind: "group" },
    { name: "TO", kind: "group" },
    { name: "TOPIC", isOptional: true, kind: "topic" },
  ],
  options: { ...brokerOptions, ...yesOption },
  examples: [["offset clone billing billing-v2", "billing-v2 begins where billing is"]],
  json: `{"from", "to", "topic", "brokers": [names],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out, surroundings }) {
    const [from, to, topic] = operands;
    const { configs } = await oneGroup(cluster, from, given);
    requireMasters(configs.map(([broker]) => broker));
    const where = topic === undefined ? "all topics of it" : topic;
    await confirm(surroundings, given.yes, `Move ${to} to where ${from} is in ${where}`);
    const done = await cluster.each(configs.map(([broker]) => broker), (broker) => {
      return cloneOffsets(broker, { from, to, topic });
    });
    const brokers = done.map(([broker]) => broker.name);
    if (out.isJson) {
      return await out.json({ from, to, topic: topic ?? null, brokers, failures: cluster.failures });
    }
    await out.line(`${to} is now where ${from} is, on ${listed(brokers)}.`);
  },
});

export const offsetCommands = [show, offsetResetCommand, clone];
