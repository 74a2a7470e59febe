// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, fixed, type KeyTable, notYet } from "../key.ts";
import { flag, long, name, nameList, oneOf, text } from "../kinds.ts";

export const identityKeys = {
  brokerClusterName: acts(name(), "DefaultCluster", "The cluster this broker belongs to.", {
    important: true,
  }),
  brokerName: acts(
    name(),
    { words: "the host's name", of: (machine) => machine.hostName },
    "Name of the broker; a master and its slaves share it, and clients address queues by it.",
    { important: true },
  ),
  brokerId: acts(long("id"), 0, "0 is the master of a brokerName; slaves have higher numbers.", {
    important: true,
  }),
  brokerRole: acts(
    oneOf("ASYNC_MASTER", "SYNC_MASTER", "SLAVE"),
    "ASYNC_MASTER",
    "A master takes messages, and SYNC_MASTER answers when a slave has them; a slave copies its master.",
    { important: true },
  ),
  regionId: acts(
    text(),
    "DefaultRegion",
    "Name of the region, stamped on messages and on answers to sends.",
    { live: true },
  ),
  traceOn: acts(flag(), true, "Answers tell clients that messages of this broker may be traced.", {
    live: true,
  }),
  rocketmqHome: acts(
    text("path"),
    { words: "$ROCKETMQ_HOME", of: (machine) => machine.environment.ROCKETMQ_HOME ?? "" },
    "Directory of the installation; shown to tools, nothing is read from it.",
  ),
  brokerConfigPath: acts(
    text("path"),
    undefined,
    "The configuration file; set by -c, or the file that changed keys are written to.",
  ),
  configBlackList: acts(
    nameList(),
    "configBlackList;brokerConfigPath",
    "Keys that no administrator may change over the network; rocketmqHome, brokerConfigPath and this one never can be.",
  ),
  configManagerVersion: fixed(
    oneOf("v1", "v2"),
    "v1",
    "How topics, groups and offsets are kept: v1 in JSON files, v2 in RocksDB.",
    "there is no RocksDB in rmq, so topics and offsets kept there would be invisible",
  ),
  useSingleRocksDBForAllConfigs: fixed(
    flag(),
    false,
    "Keep topics, groups and offsets in one RocksDB.",
    "there is no RocksDB in rmq, so topics and offsets kept there would be invisible",
  ),
  messageStorePlugIn: fixed(
    text("class names"),
    "",
    "Java classes that wrap the message store.",
    "rmq can't run Java classes; without them messages would be stored differently than asked",
  ),
  isolateLogEnable: notYet(flag(), false, "Give each broker of a machine its own log directory."),
  inBrokerContainer: fixed(
    flag(),
    false,
    "The broker is one of several in a broker container.",
    "there is no broker container; start one process per broker",
  ),
  isInBrokerContainer: notYet(flag(), false, "Shown to tools: whether a broker container runs this broker."),
  isBrokerContainer: notYet(flag(), false, "Shown to tools: whether this is a broker container."),
} satisfies KeyTable;

/** What the two keys that make a slave say together. */
export function roleContradiction(
  { brokerRole, brokerId }: { brokerRole: string; brokerId: number },
): { key: "brokerRole" | "brokerId"; reason: string } | undefined {
  if (brokerRole === "SLAVE" && brokerId === 0) {
    return { key: "brokerRole", reason: "a slave needs a brokerId above 0, 1 for the first one" };
  }
  if (brokerRole !== "SLAVE" && brokerId !== 0) {
    return { key: "brokerId", reason: `only slaves have an id above 0, and brokerRole is ${brokerRole}` };
  }
  return undefined;
}

export const identityArea: Area = {
  title: "Who the broker is",
  about: "Its name, its role, and where the configuration itself comes from.",
  keys: identityKeys,
};
