// SPDX-License-Identifier: Apache-2.0
/**
 * A slave's side of its master: learns from name servers where it is, has the log follow it, and copies its tables
 * while it does.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { MasterApi } from "../../client/master_api.ts";
import { parseAddress } from "../../remoting/host_address.ts";
import type { RemotingClient } from "../../remoting/client.ts";
import type { FollowerState, MasterProbe, MasterToFollow } from "../../replication/mod.ts";
import { KnownMaster, type MasterAnswer } from "./known_master.ts";
import { type CopyStep, MetadataCopy } from "./metadata_copy.ts";

/** The log's side of it. */
export interface FollowingLog {
  readonly state: FollowerState;
  follow(master: MasterToFollow | undefined): void;
  /** Calls `listener` when the phase has changed. */
  onPhase(listener: () => void): void;
  close(): void;
}

export interface SlaveOptions {
  clock: Clock;
  client: RemotingClient;
  /** What clients call this broker by. */
  ownAddress: () => string;
  /** `haMasterAddress` */
  haMasterAddress: string | undefined;
  log: FollowingLog;
  /** What is copied beside the log. */
  steps: readonly CopyStep[];
  topics: { has(topic: string): boolean };
  /** Makes a topic of what the log tells: its queues. */
  makeTopic: (topic: string) => void;
  /** Registers again, to be told where the master is now. */
  askNameServers: () => void;
}

/** How often name servers are asked about a master that is not followed. */
const ASK_MS = 5000;
/** Tables are copied no sooner than this after a message of an unknown topic, for others may follow. */
const UNKNOWN_TOPIC_MS = 50;
/** A topic that the master's tables do not have after so many looks was deleted there: old messages tell of it. */
const MAX_LOOKS = 2;
const MAX_DELETED_TOPICS = 10_000;
/** Between a broker's port for requests and its port for slaves, unless its configuration says otherwise. */
const HA_PORT_DISTANCE = 1;

export class Slave {
  readonly #options: SlaveOptions;
  readonly #master: KnownMaster;
  readonly #copy: MetadataCopy;
  #asking: Timer | undefined;
  #copyingSoon: Timer | undefined;
  /** Topics of messages that have come, of which the tables know nothing yet, and how often they were looked for. */
  readonly #unknownTopics = new Map<string, number>();
  readonly #deletedTopics = new Set<string>();

  constructor(options: SlaveOptions) {
    this.#options = options;
    const { clock, log, steps } = options;
    this.#master = new KnownMaster(options.ownAddress, options.haMasterAddress);
    this.#copy = new MetadataCopy({
      clock,
      master: () => this.isFollowing && this.#master.address !== undefined ? this.#api() : undefined,
      steps,
    });
    this.#master.onChange(() => this.#follow());
    log.onPhase(() => {
      if (this.isFollowing) void this.#copy.copy();
      else this.#makeUnknownTopics();
    });
  }

  get state(): FollowerState {
    return this.#options.log.state;
  }

  /** Where the master takes requests; undefined while no name server knows one. */
  get masterAddress(): string | undefined {
    return this.#master.address;
  }

  /** Whether the log is that of a master which is there. */
  get isFollowing(): boolean {
    return this.state.phase === "FOLLOWING";
  }

  /** Whether consumers should be served by the master: it is there, or has another log than this broker. */
  get masterServes(): boolean {
    const { phase } = this.state;
    return phase === "FOLLOWING" || phase === "REFUSING";
  }

  start(): void {
    this.#follow();
    this.#copy.start();
    this.#asking = this.#options.clock.every(ASK_MS, () => {
      if (!this.isFollowing) this.#options.askNameServers();
    });
  }

  /** Takes what a name server has answered to a registration. */
  answered(nameServer: string, answer: MasterAnswer): void {
    this.#master.answered(nameServer, answer);
  }

  /** To be called when a message of a topic has come that the tables do not have yet. */
  unknownTopicCame(topic: string): void {
    if (this.#unknownTopics.has(topic) || this.#deletedTopics.has(topic)) return;
    this.#unknownTopics.set(topic, 0);
    if (this.isFollowing) this.#copySoon();
    else this.#makeUnknownTopics();
  }

  async stop(): Promise<void> {
    this.#asking?.cancel();
    this.#copyingSoon?.cancel();
    this.#options.log.close();
    await this.#copy.stop();
  }

  #copySoon(): void {
    this.#copyingSoon ??= this.#options.clock.after(UNKNOWN_TOPIC_MS, async () => {
      await this.#copy.copy();
      this.#copyingSoon = undefined;
      if (this.isFollowing) this.#lookForUnknownTopics();
    });
  }

  /** After the tables were copied. A round that had begun before a message came may have asked too early. */
  #lookForUnknownTopics(): void {
    for (const [topic, looks] of this.#unknownTopics) {
      const isKnown = this.#options.topics.has(topic);
      if (!isKnown && looks + 1 < MAX_LOOKS) {
        this.#unknownTopics.set(topic, looks + 1);
        continue;
      }
      this.#unknownTopics.delete(topic);
      if (isKnown) continue;
      if (this.#deletedTopics.size >= MAX_DELETED_TOPICS) this.#deletedTopics.clear();
      this.#deletedTopics.add(topic);
    }
    if (this.#unknownTopics.size > 0) this.#copySoon();
  }

  /** The master went before its newest topics were copied: their messages are to be read all the same. */
  #makeUnknownTopics(): void {
    for (const topic of this.#unknownTopics.keys()) {
      if (!this.#options.topics.has(topic)) this.#options.makeTopic(topic);
    }
    this.#unknownTopics.clear();
  }

  #follow(): void {
    const { haAddress } = this.#master;
    this.#options.log.follow(haAddress === undefined ? undefined : { haAddress, probe: this.#probe() });
  }

  #probe(): MasterProbe {
    return probeOf(() => this.#api());
  }

  /** The master's requests. @throws Error while nobody knows where it is */
  #api(): MasterApi {
    const address = this.#master.address ?? beside(this.#master.haAddress);
    if (address === undefined) throw new Error("no name server knows the master");
    return MasterApi.at(this.#options.client, address);
  }
}

/** What replication asks of the broker whose log it is to follow. */
export function probeOf(api: () => MasterApi): MasterProbe {
  return {
    async range() {
      const { minOffset, maxOffset } = await api().log();
      return { minOffset, endOffset: maxOffset };
    },
    record: (offset) => api().record(offset),
  };
}

/** Where a master takes requests, if all that is known is where it serves slaves. */
function beside(haAddress: string | undefined): string | undefined {
  if (haAddress === undefined) return undefined;
  const { host, port } = parseAddress(haAddress);
  return `${host.includes(":") ? `[${host}]` : host}:${port - HA_PORT_DISTANCE}`;
}
