// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { acts, type Area, fixed, type KeyTable, notYet } from "../key.ts";
import { count, flag, long, nameList, nameServers, path, port, seconds, text } from "../kinds.ts";
import { nettyKeys } from "./network.ts";

export const nameServerKeys = {
  orderMessageEnable: acts(flag(), false, "Routes carry the order configuration of their topic.", {
    live: true,
  }),
  returnOrderTopicConfigToBroker: acts(
    flag(),
    true,
    "Answer a broker's registration with all order configurations.",
    { live: true },
  ),
  scanNotActiveBrokerInterval: acts(
    long("ms", 1),
    5000,
    "How often brokers are looked for that no longer register.",
  ),
  enableAllTopicList: acts(flag(), true, "Tell clients all topics.", { live: true }),
  enableTopicList: acts(flag(), true, "Tell clients the topics of a cluster, of units, and of the system.", {
    live: true,
  }),
  needWaitForService: acts(
    flag(),
    false,
    "After a start refuse routes for a while, until brokers have registered.",
    { live: true },
  ),
  waitSecondsForService: acts(seconds(), 45, "How long that while is.", { live: true }),
  deleteTopicWithBrokerRegistration: acts(
    flag(),
    false,
    "A registration removes the broker's topics that it does not name. Needs enableSingleTopicRegister at the brokers.",
    { live: true },
  ),
  supportActingMaster: acts(flag(), false, "Routes show a slave in the place of its dead master.", {
    live: true,
  }),
  notifyMinBrokerIdChanged: acts(
    flag(),
    false,
    "Tell the brokers of a name when the lowest id among them changes.",
    { live: true },
  ),
  enableControllerInNamesrv: fixed(
    flag(),
    false,
    "Run a controller in the same process.",
    "failover by a controller is not built yet",
  ),
  clusterTest: fixed(
    flag(),
    false,
    "Ask another environment's name servers for routes that are unknown here.",
    "asking another environment's name servers is not built",
  ),
  productEnvName: notYet(text(), "center", "That environment."),
  clientRequestThreadPoolNums: notYet(count(), 8, "Threads for routes. There is one event loop here."),
  defaultThreadPoolNums: notYet(count(), 16, "Threads for everything else."),
  clientRequestThreadPoolQueueCapacity: notYet(count(), 50000, "Routes that may wait for a thread."),
  defaultThreadPoolQueueCapacity: notYet(count(), 10000, "Other requests that may wait."),
  unRegisterBrokerQueueCapacity: notYet(count(), 3000, "Brokers whose removal may wait."),
} satisfies KeyTable;

export const nameServerFileKeys = {
  kvConfigPath: acts(
    path(),
    {
      words: "~/namesrv/kvConfig.json",
      of: (machine) => join(machine.homeDirectory, "namesrv", "kvConfig.json"),
    },
    "File of the key-value table, which holds the order configurations.",
  ),
  configStorePath: acts(
    path(),
    {
      words: "the -c file, else ~/namesrv/namesrv.properties",
      of: (machine) => join(machine.homeDirectory, "namesrv", "namesrv.properties"),
    },
    "File that changed keys are written to.",
  ),
  configBlackList: acts(
    nameList(),
    "configBlackList;configStorePath;kvConfigPath",
    "Keys that no administrator may change over the network; these three and rocketmqHome never can be.",
  ),
  rocketmqHome: acts(
    text("path"),
    { words: "$ROCKETMQ_HOME", of: (machine) => machine.environment.ROCKETMQ_HOME ?? "" },
    "Directory of the installation; shown to tools, nothing is read from it.",
  ),
} satisfies KeyTable;

/** Ours: with Apache a web server of the operator's own answers clients that look name servers up. */
export const nameServerLookupKeys = {
  nsaddrHttpPort: acts(
    port(),
    0,
    "Port of an HTTP server that tells clients the name servers at /rocketmq/nsaddr, and /health; 0: none.",
  ),
  nsaddrHttpAddresses: acts(
    nameServers(),
    "",
    "The list that it tells; empty: this name server, at the address at which the client came in.",
  ),
} satisfies KeyTable;

export const nameServerNetworkKeys = {
  listenPort: acts(port(), 9876, "Port for brokers and clients."),
  ...nettyKeys,
} satisfies KeyTable;

export const nameServerArea: Area = {
  title: "Routes and brokers",
  about: "What a name server tells, and to whom.",
  keys: nameServerKeys,
};

export const nameServerFileArea: Area = {
  title: "Files",
  about: "Routes are kept in memory only; brokers register again. These files are all that is kept.",
  keys: nameServerFileKeys,
};

export const nameServerNetworkArea: Area = {
  title: "Network",
  about: "Port and address. The keys of Netty's threads and buffers are known but mean nothing here.",
  keys: nameServerNetworkKeys,
};

export const nameServerLookupArea: Area = {
  title: "Lookup over HTTP",
  about:
    "For clients without a list of name servers: they ask http://jmenv.tbsite.net:8080/rocketmq/nsaddr, or the host that " +
    "rocketmq.namesrv.domain names. These keys are not Apache's.",
  keys: nameServerLookupKeys,
};
