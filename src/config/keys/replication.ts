// SPDX-License-Identifier: Apache-2.0
import { type Area, fixed, type KeyTable, notYet } from "../key.ts";
import { bytes, count, flag, int, long, ms, text } from "../kinds.ts";

const NO_CONTROLLER = "failover by a controller is not built yet";
const NO_DLEDGER = "DLedger keeps another kind of log, which rmq neither reads nor writes";

export const replicationKeys = {
  haMasterAddress: notYet(text("address"), undefined, "The master that a slave copies from.", {
    important: true,
  }),
  haSendHeartbeatInterval: notYet(ms(), 5000, "Pause between a master's signs of life to its slaves."),
  haHousekeepingInterval: notYet(ms(), 20000, "A silent replication connection is closed after so long."),
  haTransferBatchSize: notYet(bytes(), 32768, "Bytes sent to a slave at once."),
  haMaxGapNotInSync: notYet(bytes(), 268435456, "A slave further behind than this doesn't count as in sync."),
  haFlowControlEnable: notYet(flag(), false, "Limit what is sent to slaves.", { important: true }),
  maxHaTransferByteInSecond: notYet(long("bytes"), 104857600, "That limit, for a second."),
  haMaxTimeSlaveNotCatchup: notYet(
    long("ms"),
    15000,
    "A slave that has not caught up for so long is out of sync.",
  ),
  slaveTimeout: notYet(ms(), 3000, "How long a send waits for slaves."),
  totalReplicas: notYet(count(), 1, "Members of this brokerName.", { important: true }),
  inSyncReplicas: notYet(count(), 1, "Members that a send of SYNC_MASTER waits for, the master included.", {
    important: true,
  }),
  minInSyncReplicas: notYet(count(), 1, "With fewer in sync no message is taken.", { important: true }),
  allAckInSyncStateSet: notYet(flag(), false, "Wait for all members in sync.", { important: true }),
  enableAutoInSyncReplicas: notYet(flag(), false, "Wait for fewer while members are missing.", {
    important: true,
  }),
  syncMasterFlushOffsetWhenStartup: notYet(
    flag(),
    false,
    "A slave cuts its log to what the master has on disk.",
  ),
  maxChecksumRange: notYet(
    long("bytes"),
    1073741824,
    "Bytes of the log that are compared with the master's.",
  ),
  maxSlaveResendLength: notYet(long("bytes"), 268435456, "A slave further behind starts over."),
  syncFromLastFile: notYet(flag(), false, "A new slave starts with the master's last log file."),
  asyncLearner: notYet(flag(), false, "This slave never becomes a master."),
  duplicationEnable: fixed(
    flag(),
    false,
    "Copy the log of another cluster.",
    "rmq does not copy the log of another cluster",
  ),
} satisfies KeyTable;

export const failoverKeys = {
  enableSlaveActingMaster: fixed(
    flag(),
    false,
    "A slave does some of its dead master's work.",
    "there are no slaves yet that could act",
  ),
  enableRemoteEscape: notYet(flag(), false, "An acting master hands special messages to other brokers."),
  skipPreOnline: notYet(flag(), false, "Don't wait at the start until the slaves' data is taken over."),
  syncBrokerMemberGroupPeriod: notYet(ms(), 1000, "How often the members of a brokerName are asked for."),
  enableControllerMode: fixed(flag(), false, "A controller decides who is master.", NO_CONTROLLER),
  controllerAddr: notYet(text("addresses"), "", "The controllers."),
  fetchControllerAddrByDnsLookup: notYet(flag(), false, "Look up a host name and use all its addresses."),
  syncBrokerMetadataPeriod: notYet(long("ms"), 5000, "How often a broker asks who is master."),
  checkSyncStateSetPeriod: notYet(long("ms"), 5000, "How often a master checks who is in sync."),
  syncControllerMetadataPeriod: notYet(
    long("ms"),
    10000,
    "How often a broker asks who leads the controllers.",
  ),
  controllerHeartBeatTimeoutMills: notYet(
    long("ms"),
    10000,
    "A broker silent for so long is dead to the controller.",
  ),
  brokerElectionPriority: notYet(int("rank"), 2147483647, "Lower numbers are elected first."),
  storePathEpochFile: notYet(text("path"), undefined, "File of the terms of office.", { important: true }),
  storePathBrokerIdentity: notYet(text("path"), undefined, "File of the id that the controller gave.", {
    important: true,
  }),
  enableDLegerCommitLog: fixed(flag(), false, "Keep the log with DLedger (Raft).", NO_DLEDGER),
  storePathDLedgerCommitLog: notYet(text("path"), undefined, "Directory of that log.", { important: true }),
  dLegerGroup: notYet(text(), undefined, "Name of the Raft group."),
  dLegerPeers: notYet(text("id-host:port;…"), undefined, "Its members."),
  dLegerSelfId: notYet(text("id"), undefined, "Which of them this is."),
  preferredLeaderId: notYet(text("id"), undefined, "Which of them should lead."),
  enableBatchPush: notYet(flag(), false, "Send entries to followers in batches."),
} satisfies KeyTable;

export const replicationArea: Area = {
  title: "Replication",
  about: "Masters and slaves. Not built yet: a file that makes this broker one of them is refused.",
  keys: replicationKeys,
};

export const failoverArea: Area = {
  title: "Failover",
  about: "Acting masters, controllers and DLedger. Not built yet.",
  keys: failoverKeys,
};
