// SPDX-License-Identifier: Apache-2.0
/**
 * Which brokers there are and which topics they serve: all in memory, told by the brokers themselves. Name
 * servers don't talk to each other; a name server that starts learns everything within one period of the
 * brokers' registration. [RMQ RouteInfoManager]
 *
 * Invariants: no group without an address, no cluster without a group, no topic without a broker. Whatever
 * can change an answer raises `revision`.
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import type { ClusterInfo } from "../protocol/bodies/cluster_info.ts";
import { DataVersion } from "../protocol/bodies/data_version.ts";
import type { RegisterBrokerBody } from "../protocol/bodies/register_broker.ts";
import { Perm, type TopicConfig } from "../protocol/bodies/topic_config.ts";
import type { TopicQueueMappingInfo } from "../protocol/bodies/topic_queue_mapping.ts";
import {
  type BrokerData,
  MASTER_ID,
  type QueueData,
  type TopicRouteData,
} from "../protocol/bodies/topic_route.ts";
import type { Connection } from "../remoting/connection.ts";
import { brokerKey, type LiveBroker, LiveBrokers } from "./live_brokers.ts";

const logger = getLogger(["rmq", "namesrv"]);

/** A broker as it introduces itself. */
export interface Registration {
  readonly cluster: string;
  readonly brokerName: string;
  readonly brokerId: number;
  readonly address: string;
  readonly haServerAddr?: string;
  readonly zoneName?: string;
  /** Absent: two minutes. */
  readonly heartbeatTimeoutMs?: number;
  /** Absent where the broker is older than 5.0. */
  readonly enableActingMaster?: boolean;
  readonly body: RegisterBrokerBody;
}

/** What a slave is told of its master while that is alive; empty otherwise. */
export interface Registered {
  readonly masterAddr?: string;
  readonly haServerAddr?: string;
}

/** Another member of a group has the smallest id now. */
export interface MinBrokerIdChange {
  readonly brokerName: string;
  readonly minBrokerId: number;
  readonly minBrokerAddr: string;
  /** The member that left; absent where one joined. */
  readonly offlineBrokerAddr?: string;
  /** Where the member that joined is replicated from. */
  readonly haBrokerAddr?: string;
  /** Members that should hear of it. */
  readonly receivers: readonly string[];
}

export interface RouteTableOptions {
  clock: Clock;
  /** `deleteTopicWithBrokerRegistration`, asked at each registration. */
  deleteTopicsByRegistration?: () => boolean;
  onMinBrokerIdChange?: (change: MinBrokerIdChange) => void;
}

interface Group {
  /** That of the first member. */
  readonly cluster: string;
  readonly brokerName: string;
  readonly brokerAddrs: Map<number, string>;
  zoneName: string | undefined;
  enableActingMaster: boolean;
}

const DEFAULT_BROKER_TIMEOUT_MS = 120_000;

export class RouteTable {
  #revision = 0;
  readonly #groups = new Map<string, Group>();
  readonly #brokerNamesByCluster = new Map<string, Set<string>>();
  /** topic → brokerName → queues */
  readonly #topics = new Map<string, Map<string, QueueData>>();
  /** topic → brokerName → mapping, of static topics. Kept as long as the topic, also for brokers that are away. */
  readonly #mappings = new Map<string, Map<string, TopicQueueMappingInfo>>();
  /** `brokerKey` → filter servers */
  readonly #filterServers = new Map<string, readonly string[]>();
  readonly #live: LiveBrokers;
  readonly #deleteTopicsByRegistration: () => boolean;
  readonly #onMinBrokerIdChange: (change: MinBrokerIdChange) => void;

  constructor(options: RouteTableOptions) {
    this.#live = new LiveBrokers(options.clock, (broker, reason) => this.#onGone(broker, reason));
    this.#deleteTopicsByRegistration = options.deleteTopicsByRegistration ?? (() => false);
    this.#onMinBrokerIdChange = options.onMinBrokerIdChange ?? (() => {});
  }

  /** Grows with every change that an answer could show. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Takes a broker in, or notes what changed at one that is known.
   * @returns undefined where it is refused: a member that is new here must name all its topics, and one topic
   *   alone looks like the report of a single change that came before the full one
   */
  register(registration: Registration, connection: Connection): Registered | undefined {
    const { cluster, brokerName, brokerId, address, haServerAddr, body } = registration;
    const known = this.#groups.get(brokerName);
    const holder = known?.brokerAddrs.get(brokerId);
    if (holder === undefined && body.topicConfigTable.size === 1) return undefined;

    const group = known ?? this.#createGroup(cluster, brokerName);
    this.#describeGroup(group, registration);
    const minIdBefore = group.brokerAddrs.size > 0 ? smallestId(group) : MASTER_ID;
    this.#removeAddress(group, address, brokerId);
    if (holder !== undefined && holder !== address && this.#isNewer(cluster, holder, body.dataVersion)) {
      logger.warn("{brokerName}/{brokerId} at {address} is refused: {holder} has a newer state", {
        brokerName,
        brokerId,
        address,
        holder,
      });
      this.#live.remove(cluster, address, brokerName);
      return {};
    }
    if (holder !== address) {
      logger.info("{brokerName}/{brokerId} is at {address}", { brokerName, brokerId, address });
      group.brokerAddrs.set(brokerId, address);
      this.#revision++;
    }
    this.#takeTopics(registration, group, holder === undefined);
    this.#takeFilterServers(registration);
    const timeoutMs = registration.heartbeatTimeoutMs ?? DEFAULT_BROKER_TIMEOUT_MS;
    this.#live.put(
      { cluster, address, dataVersion: body.dataVersion, haServerAddr, timeoutMs, connection },
      brokerName,
    );
    if (brokerId < minIdBefore && group.brokerAddrs.size > 0) {
      this.#reportMinId(group, { haBrokerAddr: haServerAddr });
    }
    return brokerId === MASTER_ID ? {} : this.#masterOf(group, cluster);
  }

  /** Removes a broker from its group, and its group from the topics when nobody is left in it. */
  unregister(cluster: string, brokerName: string, address: string): void {
    this.#live.remove(cluster, address, brokerName);
    this.#leave(cluster, brokerName, address);
  }

  /** Notes a sign of life. */
  touch(cluster: string, address: string): void {
    this.#live.touch(cluster, address);
  }

  /** The version of the topics that a broker registered last. */
  dataVersionOf(cluster: string, address: string): DataVersion | undefined {
    return this.#live.get(cluster, address)?.dataVersion;
  }

  /** Gives up brokers that were silent for too long. */
  expire(): void {
    this.#live.expire();
  }

  /** Forgets everything, without giving anybody up: what is closed afterwards means nothing. */
  clear(): void {
    this.#live.clear();
    this.#filterServers.clear();
    this.#mappings.clear();
    this.#topics.clear();
    this.#brokerNamesByCluster.clear();
    this.#groups.clear();
    this.#revision++;
  }

  /** Where a topic is; undefined if nowhere. To be read before the table changes again. */
  route(topic: string): TopicRouteData | undefined {
    const queues = this.#topics.get(topic);
    if (queues === undefined) return undefined;
    const brokerDatas: BrokerData[] = [];
    const filterServerTable = new Map<string, readonly string[]>();
    for (const brokerName of queues.keys()) {
      const group = this.#groups.get(brokerName)!;
      brokerDatas.push(group);
      for (const address of group.brokerAddrs.values()) {
        const servers = this.#filterServers.get(brokerKey(group.cluster, address));
        if (servers !== undefined) filterServerTable.set(address, servers);
      }
    }
    return {
      queueDatas: [...queues.values()],
      brokerDatas,
      filterServerTable,
      topicQueueMappingByBroker: this.#mappings.get(topic),
    };
  }

  /** All brokers and clusters. To be read before the table changes again. */
  clusterInfo(): ClusterInfo {
    return { brokerAddrTable: this.#groups, clusterAddrTable: this.#brokerNamesByCluster };
  }

  /** The members of a group; none if it is unknown. */
  members(brokerName: string): ReadonlyMap<number, string> {
    return this.#groups.get(brokerName)?.brokerAddrs ?? new Map();
  }

  topics(): string[] {
    return [...this.#topics.keys()];
  }

  topicsOfCluster(cluster: string): string[] {
    const names = this.#brokerNamesByCluster.get(cluster);
    if (names === undefined) return [];
    return this.#topicsWhere((queues) => [...queues.keys()].some((brokerName) => names.has(brokerName)));
  }

  /** Topics whose first broker has system flags of which `predicate` holds. */
  topicsByFlags(predicate: (topicSysFlag: number) => boolean): string[] {
    return this.#topicsWhere((queues) => {
      const [first] = queues.values();
      return predicate(first.topicSysFlag);
    });
  }

  /**
   * Lists a topic at the brokers named, as one that came up there; what else they have is untouched.
   * @returns false where one of the brokers is unknown: then nothing is listed
   */
  addTopic(topic: string, queueDatas: readonly QueueData[]): boolean {
    if (!queueDatas.every(({ brokerName }) => this.#groups.has(brokerName))) return false;
    for (const queueData of queueDatas) this.#setQueues(topic, queueData);
    return true;
  }

  /** Forgets a topic, everywhere or at the brokers of one cluster, until a broker registers it again. */
  removeTopic(topic: string, cluster?: string): void {
    const brokerNames = cluster === undefined
      ? [...this.#topics.get(topic)?.keys() ?? []]
      : this.#brokerNamesByCluster.get(cluster) ?? [];
    for (const brokerName of brokerNames) this.#removeQueues(topic, brokerName);
  }

  /**
   * Sets the permission of all topics at one broker group, until it registers them with another version.
   * @returns the number of topics it has
   */
  changePermissions(brokerName: string, change: (perm: number) => number): number {
    let count = 0;
    for (const queues of this.#topics.values()) {
      const queueData = queues.get(brokerName);
      if (queueData === undefined) continue;
      queues.set(brokerName, { ...queueData, perm: change(queueData.perm) });
      count++;
    }
    this.#revision++;
    return count;
  }

  #createGroup(cluster: string, brokerName: string): Group {
    const group: Group = {
      cluster,
      brokerName,
      brokerAddrs: new Map(),
      zoneName: undefined,
      enableActingMaster: false,
    };
    this.#groups.set(brokerName, group);
    this.#revision++;
    return group;
  }

  #describeGroup(
    group: Group,
    { cluster, brokerName, zoneName, enableActingMaster = false }: Registration,
  ): void {
    let names = this.#brokerNamesByCluster.get(cluster);
    if (names === undefined) this.#brokerNamesByCluster.set(cluster, names = new Set());
    const isAsBefore = names.has(brokerName) && group.zoneName === zoneName &&
      group.enableActingMaster === enableActingMaster;
    if (isAsBefore) return;
    names.add(brokerName);
    group.zoneName = zoneName;
    group.enableActingMaster = enableActingMaster;
    this.#revision++;
  }

  /** Whether the broker at `address` is alive with a later master's state than the one who asks. */
  #isNewer(cluster: string, address: string, than: DataVersion = DataVersion.ZERO): boolean {
    const version = this.#live.get(cluster, address)?.dataVersion;
    return version !== undefined && version.stateVersion > than.stateVersion;
  }

  /** Only the master's topics count, or in its place those of the slave with the smallest id, without writing. */
  #takeTopics(registration: Registration, group: Group, isFirst: boolean): void {
    const { cluster, brokerName, brokerId, address, enableActingMaster, body } = registration;
    const isPrimeSlave = enableActingMaster !== undefined && brokerId !== MASTER_ID &&
      brokerId === smallestId(group);
    if (brokerId !== MASTER_ID && !isPrimeSlave) return;
    const mappings = body.topicQueueMappingInfoMap;
    if (this.#deleteTopicsByRegistration() && mappings.size === 0) {
      this.#keepOnly(brokerName, body.topicConfigTable);
    }
    const isChanged = isFirst || !body.dataVersion?.equals(this.dataVersionOf(cluster, address));
    for (const config of body.topicConfigTable.values()) {
      if (!isChanged && this.#topics.get(config.topicName)?.has(brokerName)) continue;
      const perm = isPrimeSlave && group.enableActingMaster ? withoutWrite(config.perm) : config.perm;
      this.#setQueues(config.topicName, queueDataOf(brokerName, config, perm));
    }
    if (isChanged) { for (const [topic, info] of mappings) this.#setMapping(topic, info); }
  }

  #takeFilterServers({ cluster, address, body }: Registration): void {
    const servers = body.filterServerList;
    if (servers === undefined) return;
    const key = brokerKey(cluster, address);
    if (servers.length > 0) this.#filterServers.set(key, servers);
    else if (!this.#filterServers.delete(key)) return;
    this.#revision++;
  }

  #keepOnly(brokerName: string, topics: ReadonlyMap<string, TopicConfig>): void {
    for (const [topic, queues] of [...this.#topics]) {
      if (queues.has(brokerName) && !topics.has(topic)) this.#removeQueues(topic, brokerName);
    }
  }

  #setQueues(topic: string, queueData: QueueData): void {
    let queues = this.#topics.get(topic);
    if (queues === undefined) this.#topics.set(topic, queues = new Map());
    queues.set(queueData.brokerName, queueData);
    this.#revision++;
  }

  #setMapping(topic: string, info: TopicQueueMappingInfo): void {
    let mappings = this.#mappings.get(topic);
    if (mappings === undefined) this.#mappings.set(topic, mappings = new Map());
    mappings.set(info.bname, info);
    this.#revision++;
  }

  #removeQueues(topic: string, brokerName: string): void {
    const queues = this.#topics.get(topic);
    if (!queues?.delete(brokerName)) return;
    if (queues.size === 0) {
      this.#topics.delete(topic);
      this.#mappings.delete(topic);
    }
    this.#revision++;
  }

  #onGone(broker: LiveBroker, reason: string): void {
    logger.warn("the broker at {address} is given up: {reason}", { address: broker.address, reason });
    for (const brokerName of broker.brokerNames) this.#leave(broker.cluster, brokerName, broker.address);
  }

  #leave(cluster: string, brokerName: string, address: string): void {
    this.#filterServers.delete(brokerKey(cluster, address));
    const group = this.#groups.get(brokerName);
    if (group === undefined) return;
    const minIdBefore = smallestId(group);
    if (!this.#removeAddress(group, address)) return;
    if (group.brokerAddrs.size === 0) {
      this.#removeGroup(brokerName);
      return;
    }
    if (!group.enableActingMaster) return;
    if (!group.brokerAddrs.has(MASTER_ID)) this.changePermissions(brokerName, withoutWrite);
    if (!group.brokerAddrs.has(minIdBefore)) this.#reportMinId(group, { offlineBrokerAddr: address });
  }

  /** Takes an address out of a group, but for the id it may keep; false where it was not in it. */
  #removeAddress(group: Group, address: string, exceptId?: number): boolean {
    let isRemoved = false;
    for (const [id, member] of [...group.brokerAddrs]) {
      if (member !== address || id === exceptId) continue;
      logger.info("{brokerName}/{id} at {address} is gone", { brokerName: group.brokerName, id, address });
      isRemoved = group.brokerAddrs.delete(id);
      this.#revision++;
    }
    return isRemoved;
  }

  #removeGroup(brokerName: string): void {
    this.#groups.delete(brokerName);
    this.#revision++;
    for (const [cluster, names] of [...this.#brokerNamesByCluster]) {
      if (names.delete(brokerName) && names.size === 0) this.#brokerNamesByCluster.delete(cluster);
    }
    for (const topic of this.topics()) this.#removeQueues(topic, brokerName);
  }

  #masterOf(group: Group, cluster: string): Registered {
    const masterAddr = group.brokerAddrs.get(MASTER_ID);
    const master = masterAddr === undefined ? undefined : this.#live.get(cluster, masterAddr);
    return master === undefined ? {} : { masterAddr, haServerAddr: master.haServerAddr };
  }

  /** Those who were there before hear of a newcomer, all who remain of one that left. */
  #reportMinId(group: Group, cause: { offlineBrokerAddr?: string; haBrokerAddr?: string }): void {
    const minBrokerId = smallestId(group);
    const everybody = cause.offlineBrokerAddr !== undefined || group.brokerAddrs.size === 1;
    const receivers = [...group.brokerAddrs].filter(([id]) => everybody || id !== minBrokerId);
    this.#onMinBrokerIdChange({
      brokerName: group.brokerName,
      minBrokerId,
      minBrokerAddr: group.brokerAddrs.get(minBrokerId)!,
      ...cause,
      receivers: receivers.map(([, address]) => address),
    });
  }

  #topicsWhere(predicate: (queues: ReadonlyMap<string, QueueData>) => boolean): string[] {
    return [...this.#topics].filter(([, queues]) => predicate(queues)).map(([topic]) => topic);
  }
}

function queueDataOf(brokerName: string, config: TopicConfig, perm: number): QueueData {
  const { readQueueNums, writeQueueNums, topicSysFlag } = config;
  return { brokerName, readQueueNums, writeQueueNums, perm, topicSysFlag };
}

function smallestId(group: Group): number {
  let smallest = Infinity;
  for (const id of group.brokerAddrs.keys()) smallest = Math.min(smallest, id);
  return smallest;
}

function withoutWrite(perm: number): number {
  return perm & ~Perm.WRITE;
}
