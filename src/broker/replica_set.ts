// SPDX-License-Identifier: Apache-2.0
/**
 * A broker's part in replication, put together: a slave follows its master, a master that comes back first takes
 * what its slaves have beyond it, and either serves its log to slaves: it is a slave's log from which a master that
 * has lost its own is filled.
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { bootId } from "../base/boot_id.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { BrokerSettings } from "../config/broker_settings.ts";
import { Perm } from "../protocol/bodies/topic_config.ts";
import type { RemotingClient } from "../remoting/client.ts";
import { type Network, ReplicationMaster, ReplicationSlave } from "../replication/mod.ts";
import type { Files } from "../store/files.ts";
import { makeDurableDirectory } from "../store/make_directory.ts";
import type { MessageStore } from "../store/message_store.ts";
import { slaveAddresses } from "./cluster_members.ts";
import type { ConsumerOffsets } from "./consumer_offsets.ts";
import type { DelayDelivery } from "./delay_delivery.ts";
import type { Groups } from "./groups.ts";
import { JsonFile } from "./json_file.ts";
import { KnownSlaves } from "./known_slaves.ts";
import { returnToService } from "./master_return.ts";
import { OffsetResets } from "./offset_resets.ts";
import { fetchLog } from "./slave/fetch_log.ts";
import { haStatus } from "./slave/ha_status.ts";
import type { MasterAnswer } from "./slave/known_master.ts";
import { copySteps } from "./slave/metadata_copy.ts";
import { Slave } from "./slave/slave.ts";
import { replicaPolicy } from "./replica_policy.ts";
import type { RequestModes } from "./request_modes.ts";
import { CopiedTimers } from "./timers/copied_timers.ts";
import type { Topics } from "./topics.ts";

const logger = getLogger(["rmq", "broker"]);

export interface ReplicaSetOptions {
  settings: BrokerSettings;
  clock: Clock;
  store: MessageStore;
  topics: Topics;
  groups: Groups;
  offsets: ConsumerOffsets;
  delay: DelayDelivery;
  modes: RequestModes;
  /** Of a slave. */
  timers: CopiedTimers | undefined;
  /** Of a master. */
  knownSlaves: KnownSlaves | undefined;
  client: RemotingClient;
  /** Where slaves connect. */
  serving: Pick<ReplicationMaster, "slaves">;
  /** Sockets unless told. */
  network: Network | undefined;
  ownAddress: () => string;
  /** As they are when asked. */
  nameServers: () => readonly string[];
  /** Registers again, to be told where the master is now. */
  askNameServers: () => void;
}

/** How often a master that has slaves looks where they are. */
const REMEMBER_MS = 15_000;

export class ReplicaSet {
  readonly #options: ReplicaSetOptions;
  readonly #slave: Slave | undefined;
  #timer: Timer | undefined;
  #minBrokerId: number | undefined;

  constructor(options: ReplicaSetOptions) {
    this.#options = options;
    const { settings, store, topics } = options;
    if (settings.brokerRole !== "SLAVE") return;
    store.becomeCopy();
    const slave = this.#slave = new Slave({
      ...options,
      haMasterAddress: settings.haMasterAddress,
      log: new ReplicationSlave(followingOptions(options)),
      steps: copySteps({ ...options, timers: options.timers!, log: store }),
      makeTopic: (topic) => this.#makeTopic(topic),
    });
    store.onArrival((topic) => {
      if (!topics.has(topic)) slave.unknownTopicCame(topic);
    });
  }

  /** Whether consumers of this slave should be served by its master. */
  get masterServes(): boolean {
    return this.#slave?.masterServes ?? false;
  }

  /**
   * Whether this broker does what clients ask of a master: one does, and a slave that stands in for it, the first
   * one where there are several.
   */
  get isActive(): boolean {
    const { brokerId, slaveActingMaster } = this.#options.settings;
    if (this.#slave === undefined) return true;
    const isFirst = this.#minBrokerId === undefined || this.#minBrokerId === brokerId;
    return slaveActingMaster && this.#slave.masterAddress === undefined && isFirst;
  }

  /** A name server says who has the smallest id: it can tell at once where the master is now. */
  minBrokerIdChanged(minBrokerId: number | undefined): void {
    this.#minBrokerId = minBrokerId;
    if (this.#slave !== undefined) this.#options.askNameServers();
  }

  /** The answer to GET_BROKER_HA_STATUS. */
  status(): Uint8Array {
    return haStatus(
      this.#options.store.maxPhysicalOffset,
      this.#slave?.state,
      this.#options.serving.slaves(),
    );
  }

  /** A slave begins to follow its master; a master keeps in mind which slaves it has. */
  start(): void {
    this.#slave?.start();
    const { clock, knownSlaves } = this.#options;
    if (knownSlaves === undefined) return;
    this.#keep(knownSlaves, knownSlaves.addresses);
    this.#timer = clock.every(REMEMBER_MS, () => void this.#rememberSlaves(knownSlaves));
  }

  /** Takes what a name server has answered to a registration. */
  answered(nameServer: string, answer: MasterAnswer): void {
    this.#slave?.answered(nameServer, answer);
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#slave?.stop();
  }

  /** It will be replaced by the master's when that is back. */
  #makeTopic(topic: string): void {
    const { store, topics } = this.#options;
    const queueCount = Math.max(0, ...store.queueIdsOf(topic)) + 1;
    try {
      topics.createForSendBack(topic, { queueCount, perm: Perm.READ | Perm.WRITE, soon: true });
    } catch (error) {
      logger.error("the topic {topic}, of which the master did not tell in time, can't be made: {error}", {
        topic,
        error,
      });
    }
  }

  /** Name servers tell where the slaves take requests; their connections don't. */
  async #rememberSlaves(known: KnownSlaves): Promise<void> {
    const { serving, client, settings, nameServers } = this.#options;
    const { brokerName } = settings;
    if (serving.slaves().length === 0) return;
    const addresses = await slaveAddresses({ client, nameServers: nameServers(), brokerName });
    if (addresses.length > 0) this.#keep(known, addresses);
  }

  #keep(known: KnownSlaves, addresses: readonly string[]): void {
    try {
      known.keep(addresses);
    } catch (error) {
      logger.warn("the addresses of the slaves can't be kept: {error}", { error });
    }
  }
}

/** What a master that comes back needs, before anything that looks at the log is opened. */
export interface CatchUpOptions {
  settings: BrokerSettings;
  files: Files;
  clock: Clock;
  store: MessageStore;
  topics: Topics;
  groups: Groups;
  offsets: ConsumerOffsets;
  resets: OffsetResets;
  knownSlaves: KnownSlaves;
  client: RemotingClient;
  /** Sockets unless told. */
  network: Network | undefined;
  /** The operator wants a master's log as it is, whatever its slaves have beyond it. */
  givesUpSlaveLog: boolean;
}

/** A master takes what its slaves have beyond it. @throws an error with a sentence for the operator where it can't */
export async function catchUpWithSlaves(options: CatchUpOptions): Promise<void> {
  const { settings, files, clock, client, offsets, store } = options;
  const { brokerName, nameServerAddresses: nameServers, storeDirectory } = settings;
  const { knownSlaves: known } = options;
  const registered = await slaveAddresses({ client, nameServers, brokerName });
  const own = `${settings.advertisedHost}:${settings.listenPort}`;
  const slaves = [...new Set([...known.addresses, ...registered])].filter((address) => address !== own);
  if (slaves.length === 0) return;
  // what a killed process has written is still with the system
  const mayLackEnd = !store.directory.wasStoppedCleanly && known.machineWasRestarted;
  const config = join(storeDirectory, "config");
  const timers = new CopiedTimers(
    files,
    storeDirectory,
    new JsonFile(files, clock, join(config, "timermetrics")),
  );
  try {
    await returnToService({
      ...{ ...options, slaves, timers, mayLackEnd },
      delayFile: new JsonFile(files, clock, join(config, "delayOffset.json")),
      modesFile: new JsonFile(files, clock, join(config, "messageRequestMode.json")),
      fetchLog: (source, endOffset) => fetchLog(followingOptions(options), source, endOffset),
    });
  } finally {
    timers.close();
  }
  offsets.cutAbove((topic, queueId) => store.maxOffset(topic, queueId));
  await offsets.flush();
}

function followingOptions(
  { store, clock, settings, network }: Pick<ReplicaSetOptions, "store" | "clock" | "settings" | "network">,
) {
  return {
    ...{ store, clock, network },
    flushMode: settings.flushMode,
    heartbeatIntervalMs: settings.haHeartbeatIntervalMs,
    housekeepingIntervalMs: settings.haHousekeepingIntervalMs,
    startAtLastFile: settings.syncFromLastFile,
  };
}

/** Takes slaves, as every broker does. @throws an error with a sentence for the operator when the port can't be had */
export async function listenForSlaves(
  settings: BrokerSettings,
  store: MessageStore,
  clock: Clock,
  network?: Network,
): Promise<ReplicationMaster> {
  const { bindAddress: host, haListenPort: port } = settings;
  // Where nobody waits for slaves, they need not get what a power cut may still take from their master.
  const waitsForSlaves = replicaPolicy(settings) !== undefined;
  try {
    return await ReplicationMaster.listen({
      ...{ store, clock, host, port, network },
      sends: settings.flushMode === "SYNC" && !waitsForSlaves ? "FLUSHED" : "WRITTEN",
      batchBytes: settings.haBatchBytes,
      maxBytesPerSecond: settings.haMaxBytesPerSecond,
      heartbeatIntervalMs: settings.haHeartbeatIntervalMs,
      housekeepingIntervalMs: settings.haHousekeepingIntervalMs,
      maxGapBytes: settings.haMaxGapBytes,
      startAtLastFile: settings.syncFromLastFile,
      longestWaitMs: settings.slaveTimeoutMs,
    });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const reason = code === "EADDRINUSE" ? "the port is in use" : message;
    throw new Error(`the broker can't listen for slaves on ${host}:${port} (haListenPort): ${reason}`, {
      cause: error,
    });
  }
}

/** What a broker of a replica set keeps in a directory of its own, beside Apache's files. @throws ConfigFileError */
export function openReplicaFiles(
  files: Files,
  clock: Clock,
  storeDirectory: string,
): { resets: OffsetResets; knownSlaves: KnownSlaves } {
  const directory = join(storeDirectory, "rmq");
  makeDurableDirectory(files, directory);
  const file = (name: string) => new JsonFile(files, clock, join(directory, name));
  return {
    resets: new OffsetResets(file("offset_resets.json"), clock),
    knownSlaves: new KnownSlaves(file("slaves.json"), bootId()),
  };
}
