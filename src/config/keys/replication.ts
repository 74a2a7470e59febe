// SPDX-License-Identifier: Apache-2.0
import { acts, type Area, fixed, type KeyTable, notYet } from "../key.ts";
import { bytes, count, flag, int, isHostAndPort, long, ms, text } from "../kinds.ts";

const NO_CONTROLLER = "failover by a controller is not built yet";
const NO_DLEDGER = "DLedger keeps another kind of log, which rmq neither reads nor writes";

/** Apache takes an empty value for none. */
const isAddress = (value: string | undefined) => !value || isHostAndPort(value);

export const replicationKeys = {
  haMasterAddress: acts(
    text("address"),
    undefined,
    "The replication port, host:port, that a slave copies from; otherwise name servers tell it.",
    { important: true, refuse: (address) => isAddress(address) ? undefined : "it is no host:port" },
  ),
  haSendHeartbeatInterval: acts(ms(1), 5000, "Pause between signs of life of a master and its slaves."),
  haHousekeepingInterval: acts(ms(1), 20000, "A silent replication connection is closed after so long."),
  haTransferBatchSize: acts(
    bytes(1),
    32768,
    "Bytes of the log in one frame to a slave, between 256 bytes and 4 MiB; several frames leave at once.",
  ),
  haMaxGapNotInSync: acts(
    bytes(),
    {
      words: "haSlaveFallbehindMax",
      of: (_, textOf) => textOf("haSlaveFallbehindMax") ?? "268435456",
    },
    "A slave further behind than this doesn't count as in sync.",
  ),
  haFlowControlEnable: acts(flag(), false, "Limit what each slave is sent.", { important: true }),
  maxHaTransferByteInSecond: acts(long("bytes", 1), 104857600, "That limit, for a second."),
  haMaxTimeSlaveNotCatchup: notYet(
    long("ms"),
    15000,
    "A slave that has not caught up for so long is out of sync.",
  ),
  slaveTimeout: acts(ms(), 3000, "How long a send to a SYNC_MASTER waits for slaves."),
  totalReplicas: notYet(count(), 1, "Members of this brokerName.", { important: true }),
  inSyncReplicas: acts(
    count(1),
    undefined,
    "Members of the brokerName that must have a message before SYNC_MASTER answers, the master included (1: it waits " +
      "for nobody). Not set: one slave must have it, and without any the answer is SLAVE_NOT_AVAILABLE at once.",
    { important: true },
  ),
  minInSyncReplicas: acts(
    count(1),
    1,
    "With enableSlaveActingMaster: with fewer members in sync no message is taken.",
    { important: true },
  ),
  allAckInSyncStateSet: fixed(
    flag(),
    false,
    "Wait for all members in sync.",
    "which members are in sync is known to a controller, and there is none in rmq yet; use inSyncReplicas",
    { important: true },
  ),
  enableAutoInSyncReplicas: acts(
    flag(),
    false,
    "With enableSlaveActingMaster: a send waits for fewer members while some are missing, down to minInSyncReplicas.",
    { important: true },
  ),
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
  syncFromLastFile: acts(
    flag(),
    false,
    "A slave without data begins with the master's last log file, as Apache's does, and not with its oldest one.",
  ),
  asyncLearner: notYet(flag(), false, "This slave never becomes a master."),
  duplicationEnable: fixed(
    flag(),
    false,
    "Copy the log of another cluster.",
    "rmq does not copy the log of another cluster",
  ),
} satisfies KeyTable;

export const failoverKeys = {
  enableSlaveActingMaster: acts(
    flag(),
    false,
    "A slave stands in for its dead master where nothing has to be stored: locks, positions, reads. Name servers need supportActingMaster.",
  ),
  enableRemoteEscape: fixed(
    flag(),
    false,
    "An acting master hands delayed, timed, transactional and popped messages to other brokers.",
    "that is not built yet; without it such messages wait until their master is back",
  ),
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
  about:
    "Masters and slaves: how the log gets from one to the other, and who waits for it. docs/replication.md tells more, docs/cluster.md how to run a cluster.",
  keys: replicationKeys,
};

export const failoverArea: Area = {
  title: "Failover",
  about: "Slaves that stand in for their master. Controllers and DLedger are not built yet.",
  keys: failoverKeys,
};
