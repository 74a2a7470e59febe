// SPDX-License-Identifier: Apache-2.0
import { type Area, type KeyTable, notYet } from "../key.ts";
import { bytes, count, flag, long, ms, text } from "../kinds.ts";

/** Keys of a controller that shares the name server's file. */
export const controllerKeys = {
  controllerType: notYet(text("name"), undefined, "What controllers agree by: DLedger or jRaft."),
  controllerDLegerGroup: notYet(text(), undefined, "Name of their Raft group."),
  controllerDLegerPeers: notYet(text("id-host:port;…"), undefined, "Its members."),
  controllerDLegerSelfId: notYet(text("id"), undefined, "Which of them this is."),
  controllerStorePath: notYet(text("path"), undefined, "Directory of their log."),
  controllerThreadPoolNums: notYet(count(), undefined, "Threads for the controller's requests."),
  controllerRequestThreadPoolQueueCapacity: notYet(count(), undefined, "Requests that may wait for them."),
  mappedFileSize: notYet(bytes(), undefined, "Size of one file of the log."),
  electMasterMaxRetryCount: notYet(count(), undefined, "Attempts to elect a master."),
  enableElectUncleanMaster: notYet(
    flag(),
    undefined,
    "Elect a broker that is not in sync when no other is left.",
  ),
  isProcessReadEvent: notYet(flag(), undefined, "Shown to tools: let reads pass through the log."),
  processReadEvent: notYet(flag(), undefined, "Let reads pass through the log."),
  notifyBrokerRoleChanged: notYet(flag(), undefined, "Tell brokers when the master changes."),
  scanInactiveMasterInterval: notYet(long("ms"), undefined, "How often dead masters are looked for."),
  jRaftElectionTimeoutMs: notYet(ms(), undefined, "Silence after which jRaft elects a leader."),
  jRaftScanWaitTimeoutMs: notYet(ms(), undefined, "How long a look for dead brokers may take with jRaft."),
  jRaftSnapshotIntervalSecs: notYet(count(), undefined, "Seconds between snapshots of jRaft."),
  jRaftGroupId: notYet(text(), undefined, "Name of the jRaft group."),
  jRaftServerId: notYet(text("address"), undefined, "This member of it."),
  jRaftInitConf: notYet(text("addresses"), undefined, "All members of it."),
  jRaftControllerRPCAddr: notYet(text("addresses"), undefined, "Where its members serve brokers."),
} satisfies KeyTable;

export const controllerArea: Area = {
  title: "Controller",
  about: "Not built yet: enableControllerInNamesrv is refused, and without it these keys have no effect.",
  keys: controllerKeys,
};
