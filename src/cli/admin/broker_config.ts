// SPDX-License-Identifier: Apache-2.0
import { brokerConfig, updateBrokerConfig } from "../../client/admin/brokers.ts";
import { MASTER_ID } from "../../protocol/bodies/topic_route.ts";
import { UsageError } from "../args.ts";
import { identityOf } from "./cluster.ts";
import { adminCommand, brokerOptions, FAILURES } from "./command.ts";
import { changeText, chosenSettings, parseSettings } from "./settings.ts";

const get = adminCommand({
  name: "config get",
  summary: "Show the configuration of brokers, defaults included",
  help: "Keys are Apache's, and may be patterns with * and ?.",
  operands: [{ name: "KEY", isOptional: true, isRepeated: true }],
  options: brokerOptions,
  examples: [
    ["broker config get -b broker-a", "every key of one broker"],
    ["broker config get fileReservedTime 'flush*'", "some keys of all brokers, to see where they differ"],
  ],
  json: `{"brokers": [{"cluster", "broker", "id", "address", "config": {key: text}}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const answers = await cluster.each(await cluster.brokers(given), async (broker) => {
      return chosenSettings(parseSettings(await brokerConfig(broker)), operands);
    });
    if (out.isJson) {
      const brokers = answers.map(([broker, config]) => ({
        ...identityOf(broker),
        config: Object.fromEntries(config),
      }));
      await out.json({ brokers, failures: cluster.failures });
    } else {
      for (const [broker, config] of answers) {
        const prefix = answers.length === 1 ? "" : `${broker.name}[${broker.id}] `;
        await out.write([...config].map(([key, value]) => `${prefix}${key}=${value}\n`).join(""));
      }
    }
    if (answers.some(([, config]) => config.size > 0)) return 0;
    throw new Error(`no broker has a key ${operands.join(", ")}.`);
  },
});

const set = adminCommand({
  name: "config set",
  summary: "Change the configuration of running brokers",
  help:
    "The broker keeps the change in its configuration file. Keys that it can't change while it runs take effect " +
    "at its next start; it says so. Without --broker or --cluster nothing is changed.",
  operands: [{ name: "KEY=VALUE", isRepeated: true }],
  options: { ...brokerOptions, slaves: { help: "Slaves of the cluster, too" } },
  examples: [
    ["broker config set -b broker-a fileReservedTime=48", "keep messages for two days"],
    ["broker config set -c DefaultCluster maxMessageSize=8388608", "on all masters of a cluster"],
  ],
  json: `{"brokers": [{"cluster", "broker", "id", "address", "remark"}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    if (given.cluster === undefined && given.broker === undefined) {
      throw new UsageError("say which brokers with --broker or --cluster.");
    }
    const text = changeText(operands);
    const keys = operands.map((pair) => pair.slice(0, pair.indexOf("=")));
    const chosen = (await cluster.brokers(given))
      .filter(({ id }) => id === MASTER_ID || given.slaves || given.broker !== undefined);
    const answers = await cluster.each(chosen, async (broker) => {
      const known = parseSettings(await brokerConfig(broker));
      const unknown = keys.filter((key) => !known.has(key));
      if (unknown.length > 0) throw new Error(`it has no key ${unknown.join(", ")}; nothing was changed`);
      return await updateBrokerConfig(broker, text);
    });
    if (out.isJson) {
      const brokers = answers.map(([broker, remark]) => ({ ...identityOf(broker), remark: remark || null }));
      return await out.json({ brokers, failures: cluster.failures });
    }
    for (const [broker, remark] of answers) {
      await out.line(`${broker.name}: changed.${remark ? ` ${remark}` : ""}`);
    }
  },
});

export const brokerConfigCommands = [get, set];
