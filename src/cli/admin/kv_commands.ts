// SPDX-License-Identifier: Apache-2.0
import { adminCommand, FAILURES, yesOption } from "./command.ts";
import { confirm } from "./confirm.ts";
import { byName } from "./text.ts";

const namespace = { name: "NAMESPACE" } as const;
const key = { name: "KEY" } as const;

const list = adminCommand({
  name: "list",
  summary: "List the keys of a namespace with their values",
  operands: [namespace],
  examples: [["kv list ORDER_TOPIC_CONFIG", "queues of order topics"]],
  json: `{"namespace", "table": {key: value}}`,
  async run({ cluster, operands, out }) {
    const table = await cluster.askNameServer((nameServer) => nameServer.listKv(operands[0])) ?? new Map();
    const entries = [...table].sort(([a], [b]) => byName(a, b));
    if (out.isJson) return await out.json({ namespace: operands[0], table: Object.fromEntries(entries) });
    if (entries.length === 0) return await out.line(`There is nothing in ${operands[0]}.`);
    await out.table({ columns: [{ head: "KEY" }, { head: "VALUE" }], rows: entries });
  },
});

const get = adminCommand({
  name: "get",
  summary: "Show the value of a key",
  operands: [namespace, key],
  examples: [["kv get ORDER_TOPIC_CONFIG orders", "the value alone"]],
  json: `{"namespace", "key", "value"}`,
  async run({ cluster, operands, out }) {
    const [namespace, key] = operands;
    const value = await cluster.askNameServer((nameServer) => nameServer.getKv(namespace, key));
    if (value === undefined) throw new Error(`${namespace} has no key ${key}.`);
    if (out.isJson) return await out.json({ namespace, key, value });
    await out.line(value);
  },
});

const put = adminCommand({
  name: "put",
  summary: "Set a key, at every name server",
  operands: [namespace, key, { name: "VALUE" }],
  examples: [["kv put ORDER_TOPIC_CONFIG orders 'broker-a:4;broker-b:4'", "queues of an order topic"]],
  json: `{"namespace", "key", "value", "nameServers": [addresses],
 ${FAILURES}}`,
  async run({ cluster, operands, out }) {
    const [namespace, key, value] = operands;
    const done = await cluster.eachNameServer((nameServer) => nameServer.putKv(namespace, key, value));
    const nameServers = done.map(([address]) => address);
    if (out.isJson) return await out.json({ namespace, key, value, nameServers, failures: cluster.failures });
    await out.line(`Set ${key} in ${namespace} at ${nameServers.join(", ")}.`);
  },
});

const remove = adminCommand({
  name: "delete",
  summary: "Delete a key, at every name server",
  operands: [namespace, key],
  options: yesOption,
  examples: [["kv delete ORDER_TOPIC_CONFIG orders --yes", "without a question"]],
  json: `{"namespace", "key", "nameServers": [addresses],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out, surroundings }) {
    const [namespace, key] = operands;
    await confirm(surroundings, given.yes, `Delete ${key} in ${namespace}`);
    const done = await cluster.eachNameServer((nameServer) => nameServer.deleteKv(namespace, key));
    const nameServers = done.map(([address]) => address);
    if (out.isJson) return await out.json({ namespace, key, nameServers, failures: cluster.failures });
    await out.line(`Deleted ${key} in ${namespace} at ${nameServers.join(", ")}.`);
  },
});

export const kvCommands = [list, get, put, remove];
