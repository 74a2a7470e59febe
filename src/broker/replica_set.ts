// SPDX-License-Identifier: Apache-2.0
/**
 * A broker's part in replication, put together: a slave follows its master, a master that comes back first takes
 * what its slaves have beyond it, and either serves its log to slaves: it is a slave's log from which a master that
 * has lost its own is filled.
 */
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { BrokerSettings } from "../config/broker_settings.ts";
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
import { returnToService } from "./master_return.ts";
import { OffsetResets } from "./offset_resets.ts";
import { fetchLog } from "./slave/fetch_log.ts";
import { haStatus } from "./slave/ha_status.ts";
import type { MasterAnswer } from "./slave/known_master.ts";
import { copySteps } from "./slave/metadata_copy.ts";
import { Slave } from "./slave/slave.ts";
import { replicaPolicy } from "./replica_policy.ts";
import { CopiedTimers } from "./timers/copied_timers.ts";
import type { Topics } from "./topics.ts";

export interface ReplicaSetOptions {
  settings: BrokerSettings;
  clock: Clock;
  store: MessageStore;
  topics: Topics;
  groups: Groups;
  offsets: ConsumerOffsets;
  delay: DelayDelivery;
  /** Of a slave. */
  timers: CopiedTimers | undefined;
  client: RemotingClient;
  /** Where slaves connect. */
  serving: Pick<ReplicationMaster, "slaves">;
  /** Sockets unless told. */
  network: Network | undefined;
  ownAddress: () => string;
  /** Registers again, to be told where the master is now. */
  askNameServers: () => void;
}

export class ReplicaSet {
  readonly #options: ReplicaSetOptions;
  readonly #slave: Slave | undefined;

  constructor(options: ReplicaSetOptions) {
    this.#options = options;
    const { settings, store, topics } = options;
    if (settings.brokerRole !== "SLAVE") return;
    store.becomeCopy();
    const slave = this.#slave = new Slave({
      ...options,
      haMasterAddress: settings.haMasterAddress,
      log: new ReplicationSlave(followingOptions(options)),
      steps: copySteps({ ...options, timers: options.timers! }),
    });
    store.onArrival((topic) => {
      if (!topics.has(topic)) slave.unknownTopicCame();
    });
  }

  /** Whether consumers of this slave should be served by its master. */
  get masterServes(): boolean {
    return this.#slave?.masterServes ?? false;
  }

  /** The answer to GET_BROKER_HA_STATUS. */
  status(): Uint8Array {
    return haStatus(
      this.#options.store.maxPhysicalOffset,
      this.#slave?.state,
      this.#options.serving.slaves(),
    );
  }

  /** A slave begins to follow its master. */
  start(): void {
    this.#slave?.start();
  }

  /** Takes what a name server has answered to a registration. */
  answered(nameServer: string, answer: MasterAnswer): void {
    this.#slave?.answered(nameServer, answer);
  }

  async stop(): Promise<void> {
    await this.#slave?.stop();
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
  const slaves = await slaveAddresses({ client, nameServers, brokerName });
  if (slaves.length === 0) return;
  const config = join(storeDirectory, "config");
  const timers = new CopiedTimers(
    files,
    storeDirectory,
    new JsonFile(files, clock, join(config, "timermetrics")),
  );
  try {
    await returnToService({
      ...{ ...options, slaves, timers },
      delayFile: new JsonFile(files, clock, join(config, "delayOffset.json")),
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
    });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const reason = code === "EADDRINUSE" ? "the port is in use" : message;
    throw new Error(`the broker can't listen for slaves on ${host}:${port} (haListenPort): ${reason}`, {
      cause: error,
    });
  }
}

/** The moves of positions that an administrator has made, in the store's directory. @throws ConfigFileError */
export function openOffsetResets(files: Files, clock: Clock, storeDirectory: string): OffsetResets {
  const directory = join(storeDirectory, "rmq");
  makeDurableDirectory(files, directory);
  return new OffsetResets(new JsonFile(files, clock, join(directory, "offset_resets.json")), clock);
}
