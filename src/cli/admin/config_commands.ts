// SPDX-License-Identifier: Apache-2.0
import { adminCommand, FAILURES } from "./command.ts";
import { changeText, chosenSettings, parseSettings } from "./settings.ts";

const get = adminCommand({
  name: "get",
  summary: "Show the configuration of name servers, defaults included",
  help: "Keys may be patterns with * and ?. Brokers: `rmq broker config get`.",
  operands: [{ name: "KEY", isOptional: true, isRepeated: true }],
  examples: [["config get", "every key"], ["config get 'scan*' listenPort", "some"]],
  json: `{"nameServers": [{"address", "config": {key: text}}],
 ${FAILURES}}`,
  async run({ cluster, operands, out }) {
    const answers = await cluster.eachNameServer(async (nameServer) => {
      return chosenSettings(parseSettings(await nameServer.config()), operands);
    });
    if (out.isJson) {
      const nameServers = answers.map(([address, config]) => ({
        address,
        config: Object.fromEntries(config),
      }));
      await out.json({ nameServers, failures: cluster.failures });
    } else {
      for (const [address, config] of answers) {
        const prefix = answers.length === 1 ? "" : `${address} `;
        await out.write([...config].map(([key, value]) => `${prefix}${key}=${value}\n`).join(""));
      }
    }
    if (answers.some(([, config]) => config.size > 0)) return 0;
    throw new Error(`no name server has a key ${operands.join(", ")}.`);
  },
});

const set = adminCommand({
  name: "set",
  summary: "Change the configuration of all name servers while they run",
  operands: [{ name: "KEY=VALUE", isRepeated: true }],
  examples: [["config set notifyMinBrokerIdChanged=true", "at every name server of -n"]],
  json: `{"nameServers": [addresses],
 ${FAILURES}}`,
  async run({ cluster, operands, out }) {
    const text = changeText(operands);
    const keys = operands.map((pair) => pair.slice(0, pair.indexOf("=")));
    const done = await cluster.eachNameServer(async (nameServer) => {
      const known = parseSettings(await nameServer.config());
      const unknown = keys.filter((key) => !known.has(key));
      if (unknown.length > 0) throw new Error(`it has no key ${unknown.join(", ")}; nothing was changed`);
      await nameServer.updateConfig(text);
    });
    const nameServers = done.map(([address]) => address);
    if (out.isJson) return await out.json({ nameServers, failures: cluster.failures });
    await out.line(`Changed ${keys.join(", ")} at ${nameServers.join(", ")}.`);
  },
});

export const configCommands = [get, set];
