// SPDX-License-Identifier: Apache-2.0
import { producers } from "../../client/admin/groups.ts";
import type { ProducerInfo } from "../../protocol/bodies/client_connections.ts";
import { versionName } from "../../protocol/version.ts";
import { shortVersion } from "./broker_state.ts";
import { adminCommand, brokerOptions, FAILURES } from "./command.ts";
import { byName, formatAge, listed, matcher } from "./text.ts";

const list = adminCommand({
  name: "list",
  summary: "List producers that are connected",
  operands: [{ name: "PATTERN", isOptional: true }],
  options: brokerOptions,
  examples: [["producer list", "all of them, by producer group"]],
  json:
    `{"producers": [{"group", "clientId", "address", "language", "version", "lastHeartbeatMs", "brokers": [names]}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const isWanted = matcher(operands[0]);
    const found = new Map<string, ReturnType<typeof described>>();
    for (const [broker, table] of await cluster.each(await cluster.readers(given), producers)) {
      for (const [group, clients] of table) {
        if (!isWanted(group)) continue;
        for (const client of clients) {
          const key = `${group}\n${client.clientId}`;
          const known = found.get(key);
          const brokers = [...known?.brokers ?? [], broker.name];
          found.set(key, { ...described(group, client), brokers });
        }
      }
    }
    const list = [...found.values()].sort((a, b) =>
      byName(a.group, b.group) || byName(a.clientId, b.clientId)
    );
    if (out.isJson) return await out.json({ producers: list, failures: cluster.failures });
    if (list.length === 0) return await out.line("No such producer is connected.");
    const nowMs = Date.now();
    await out.table({
      columns: [
        { head: "GROUP", isFlexible: true },
        { head: "CLIENT", isFlexible: true },
        { head: "ADDRESS" },
        { head: "LANGUAGE", isOptional: true },
        { head: "VERSION" },
        { head: "HEARD", isNumber: true },
        { head: "BROKERS", isFlexible: true, isOptional: true },
      ],
      rows: list.map((one) => [
        one.group,
        one.clientId,
        one.address,
        one.language,
        one.version,
        formatAge(one.lastHeartbeatMs, nowMs),
        listed(one.brokers),
      ]),
    });
  },
});

function described(group: string, client: ProducerInfo) {
  return {
    group,
    clientId: client.clientId,
    address: client.remoteAddress,
    language: client.language,
    version: shortVersion(versionName(client.version)),
    lastHeartbeatMs: client.lastUpdateTimestampMs,
    brokers: [] as string[],
  };
}

export const producerCommands = [list];
