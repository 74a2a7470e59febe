// SPDX-License-Identifier: Apache-2.0
import { haRuntimeInfo } from "../../client/admin/brokers.ts";
import type { HaRuntimeInfo } from "../../protocol/bodies/ha_runtime_info.ts";
import { formatBytes } from "../store_text.ts";
import { type Broker, identityOf } from "./cluster.ts";
import type { Cell } from "./columns.ts";
import { adminCommand, brokerOptions, FAILURES } from "./command.ts";

export const brokerReplicationCommand = adminCommand({
  name: "replication",
  summary: "Show how masters and slaves follow each other",
  help: "Brokers of 4.9 do not tell that.",
  operands: [{ name: "BROKER", isOptional: true, kind: "broker" }],
  options: brokerOptions,
  examples: [["broker replication", "each master with its slaves, each slave with its master"]],
  json: `{"brokers": [{"cluster", "broker", "id", "address", "role": master|slave, "logMaxOffset",
  "slaves": [{"address", "behindBytes", "isInSync", "bytesPerSecond"}] (of a master),
  "master", "bytesPerSecond" (of a slave)}],
 ${FAILURES}}`,
  async run({ cluster, given, operands, out }) {
    const brokers = await cluster.brokers({ ...given, broker: operands[0] ?? given.broker });
    const answers = await cluster.each(brokers, haRuntimeInfo);
    if (out.isJson) {
      const json = answers.map(([broker, info]) => ({ ...identityOf(broker), ...factsOf(info) }));
      return await out.json({ brokers: json, failures: cluster.failures });
    }
    await out.table({
      columns: [
        { head: "BROKER", isFlexible: true },
        { head: "ID", isNumber: true },
        { head: "ROLE" },
        { head: "PEER", isFlexible: true },
        { head: "BEHIND", isNumber: true },
        { head: "IN-SYNC" },
        { head: "BYTES/S", isNumber: true },
      ],
      rows: answers.flatMap(([broker, info]) => rowsOf(broker, info)),
    });
  },
});

function factsOf(info: HaRuntimeInfo) {
  if (!info.isMaster) {
    const { masterAddr, maxOffset, transferredByteInSecond } = info.following;
    return {
      role: "slave",
      logMaxOffset: maxOffset,
      master: masterAddr ?? null,
      bytesPerSecond: transferredByteInSecond,
    };
  }
  const slaves = info.slaves.map(({ addr, diff, inSync, transferredByteInSecond }) => {
    return { address: addr, behindBytes: diff, isInSync: inSync, bytesPerSecond: transferredByteInSecond };
  });
  return { role: "master", logMaxOffset: info.maxOffset, slaves };
}

function rowsOf({ name, id }: Broker, info: HaRuntimeInfo): Cell[][] {
  if (!info.isMaster) {
    const { masterAddr, transferredByteInSecond } = info.following;
    const master: Cell = masterAddr ?? { text: "no master", colour: "red" };
    return [[name, id, "slave", master, "-", "-", transferredByteInSecond]];
  }
  if (info.slaves.length === 0) return [[name, id, "master", "no slave", "-", "-", "-"]];
  return info.slaves.map(({ addr, diff, inSync, transferredByteInSecond }) => {
    const isInSync: Cell = inSync ? "yes" : { text: "no", colour: "yellow" };
    return [name, id, "master", addr, formatBytes(Math.max(0, diff)), isInSync, transferredByteInSecond];
  });
}
