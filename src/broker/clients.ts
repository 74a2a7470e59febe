// SPDX-License-Identifier: Apache-2.0
/**
 * Who is connected: the producers and consumers that clients speak of in heartbeats, by group.
 *
 * A member is a group on one connection; its client id is only a property of it. Members go when they say so,
 * when the connection closes, or when no heartbeat has come for `clientExpiryMs`; a group goes with its last
 * member. Members of a consumer group are told at once when one of them comes or goes, for they share the
 * group's queues among themselves.
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import type {
  ConsumeFromWhere,
  ConsumerData,
  ConsumeType,
  MessageModel,
} from "../protocol/bodies/heartbeat.ts";
import type { SubscriptionData } from "../protocol/bodies/subscription_data.ts";
import { consumerListRequest } from "../protocol/headers/client.ts";
import { RequestCode } from "../protocol/request_code.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { type Connection, formatAddress } from "../remoting/connection.ts";
import { RemotingError } from "../remoting/remoting_error.ts";
import { Subscription } from "./subscription.ts";

const logger = getLogger(["rmq", "broker"]);

/** A process with more consumers and producers than this needs a second client instance. */
const MAX_GROUPS_PER_CONNECTION = 4096;

export interface ClientsOptions {
  readonly clock: Clock;
  readonly settings: () => ClientsSettings;
}

export interface ClientsSettings {
  /** A member without heartbeat for so long is forgotten. */
  readonly clientExpiryMs: number;
  /** Whether consumers are told when their group changes; without it they ask every 20 s. */
  readonly notifyConsumerIdsChanged: boolean;
}

/** A client as a heartbeat introduces it. */
export interface ClientIdentity {
  readonly connection: Connection;
  readonly clientId: string;
  /** By name, such as JAVA. */
  readonly language: string;
  readonly version: number;
}

/** A client in a group. */
export interface Member extends ClientIdentity {
  /** Time of day. */
  readonly lastHeartbeatMs: number;
}

/** A consumer group that is online. */
export interface OnlineGroup {
  readonly name: string;
  readonly consumeType: ConsumeType;
  readonly messageModel: MessageModel;
  readonly consumeFromWhere: ConsumeFromWhere;
  /** Each member gets everything, so they don't share queues. */
  readonly isBroadcast: boolean;
  /** Its members pull by themselves, rather than have a client push to them. */
  readonly isActive: boolean;
  readonly members: readonly Member[];
  /** By topic. */
  readonly subscriptions: ReadonlyMap<string, Subscription>;
  subscription(topic: string): Subscription | undefined;
  hasConnection(connectionId: number): boolean;
}

/** What a heartbeat says of a consumer. */
export interface ConsumerRegistration {
  readonly data: ConsumerData;
  /** Absent in heartbeats of version 1. */
  readonly fingerprint?: number;
  /** The subscriptions stay what they are, `data` does not repeat them. */
  readonly keepsSubscriptions?: boolean;
  /** False: the group's members want no notice. */
  readonly notifies: boolean;
}

export class Clients {
  readonly #options: ClientsOptions;
  readonly #producers = new Map<string, MemberTable>();
  readonly #consumers = new Map<string, ConsumerGroup>();
  /** The groups of each connection, for when it closes. */
  readonly #connections = new Map<number, ConnectionGroups>();
  /** Producers by client id, to which replies go. */
  readonly #producersById = new Map<string, Connection>();
  #lastChosen = 0;

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  /** @throws RemotingError when the connection is in too many groups */
  registerProducer(group: string, client: ClientIdentity): void {
    const groups = this.#groupsOf(client.connection);
    if (groups === undefined) return;
    addGroup(groups, groups.producers, group);
    let members = this.#producers.get(group);
    if (members === undefined) this.#producers.set(group, members = new MemberTable());
    const before = members.put(client, this.#options.clock);
    if (before === undefined) logJoined("producer", group, client);
    this.#producersById.set(client.clientId, client.connection);
    if (before !== undefined && before.clientId !== client.clientId) this.#forgetProducerId(before);
  }

  /**
   * Returns whether the client should send its subscriptions (version 2 of heartbeats).
   * @throws RemotingError when the connection is in too many groups
   */
  registerConsumer(client: ClientIdentity, registration: ConsumerRegistration): boolean {
    const groups = this.#groupsOf(client.connection);
    if (groups === undefined) return false;
    const { data, fingerprint, keepsSubscriptions = false } = registration;
    addGroup(groups, groups.consumers, data.groupName);
    let group = this.#consumers.get(data.groupName);
    if (group === undefined) this.#consumers.set(data.groupName, group = new ConsumerGroup(data));
    group.setTraits(data);
    const hasJoined = group.table.put(client, this.#options.clock) === undefined;
    if (hasJoined) logJoined("consumer", data.groupName, client);
    const hasChanged = !keepsSubscriptions && group.mergeSubscriptions(data.subscriptionDataSet);
    if ((hasJoined || hasChanged) && registration.notifies) this.#notifyMembers(group);
    return fingerprint !== undefined && group.mergeFingerprint(fingerprint, keepsSubscriptions);
  }

  unregisterProducer(group: string, connection: Connection): void {
    this.#connections.get(connection.id)?.producers.delete(group);
    this.#removeProducer(group, connection.id);
  }

  /** `notifies` false: the group's members want no notice. */
  unregisterConsumer(group: string, connection: Connection, notifies: boolean): void {
    this.#connections.get(connection.id)?.consumers.delete(group);
    this.#removeConsumer(group, connection.id, notifies);
  }

  /** A consumer group that has members; undefined where it has none. */
  consumerGroup(group: string): OnlineGroup | undefined {
    return this.#consumers.get(group);
  }

  /** Consumer groups that have members. */
  consumerGroups(): Iterable<OnlineGroup> {
    return this.#consumers.values();
  }

  /** Names of consumer groups that are online and subscribe to a topic. */
  groupsSubscribedTo(topic: string): string[] {
    return [...this.#consumers.values()].filter((group) => group.subscriptions.has(topic)).map((group) =>
      group.name
    );
  }

  /** What a group wants of a topic, as its members last said. */
  subscription(group: string, topic: string): Subscription | undefined {
    return this.#consumers.get(group)?.subscriptions.get(topic);
  }

  /** One member of a consumer group. */
  consumer(group: string, clientId: string): Member | undefined {
    return this.#consumers.get(group)?.members.find((member) => member.clientId === clientId);
  }

  /** Members of a producer group; undefined where it has none. */
  producers(group: string): readonly Member[] | undefined {
    return this.#producers.get(group)?.members();
  }

  /** Producer groups that have members. */
  *producerGroups(): Iterable<[group: string, members: readonly Member[]]> {
    for (const [group, table] of this.#producers) yield [group, table.members()];
  }

  /** Whether anybody could be asked about a transaction of the group. */
  hasProducer(group: string): boolean {
    return this.producers(group)?.some((member) => !member.connection.closed) ?? false;
  }

  /** A producer of the group, each in its turn: whom the broker asks about a transaction. */
  nextProducer(group: string): Connection | undefined {
    const open = this.producers(group)?.filter((member) => !member.connection.closed) ?? [];
    return open.length === 0 ? undefined : open[++this.#lastChosen % open.length].connection;
  }

  /** The connection of a producer, to which the reply to its request goes. */
  connectionOf(clientId: string): Connection | undefined {
    return this.#producersById.get(clientId);
  }

  /**
   * Removes members whose heartbeats have stopped, and closes connections that had no other. To be called
   * every few seconds. Unlike Apache's, the others of a group are told.
   */
  removeExpired(): void {
    const expiredMs = this.#options.clock.monotonicMs() - this.#options.settings().clientExpiryMs;
    for (const [group, table] of this.#producers) {
      for (const member of table.silentSince(expiredMs)) this.#expire(group, member, "producer");
    }
    for (const [group, { table }] of this.#consumers) {
      for (const member of table.silentSince(expiredMs)) this.#expire(group, member, "consumer");
    }
  }

  #expire(group: string, member: Member, role: "producer" | "consumer"): void {
    const { connection, clientId } = member;
    logger.warn("no heartbeat of {role} {clientId} of {group} from {peer}: removed", {
      role,
      clientId,
      group,
      peer: formatAddress(connection.remote),
    });
    if (role === "producer") this.unregisterProducer(group, connection);
    else this.unregisterConsumer(group, connection, true);
    const groups = this.#connections.get(connection.id);
    if (groups !== undefined && groups.producers.size + groups.consumers.size === 0) connection.close();
  }

  /** Undefined once the connection is closed: a heartbeat that was under way must not come after the end. */
  #groupsOf(connection: Connection): ConnectionGroups | undefined {
    const known = this.#connections.get(connection.id);
    if (known !== undefined || connection.closed) return known;
    const groups: ConnectionGroups = { producers: new Set(), consumers: new Set() };
    this.#connections.set(connection.id, groups);
    connection.onClose(() => this.#onClose(connection));
    return groups;
  }

  #onClose(connection: Connection): void {
    const groups = this.#connections.get(connection.id);
    if (groups === undefined) return;
    this.#connections.delete(connection.id);
    for (const group of groups.producers) this.#removeProducer(group, connection.id);
    for (const group of groups.consumers) this.#removeConsumer(group, connection.id, true);
  }

  #removeProducer(group: string, connectionId: number): void {
    const table = this.#producers.get(group);
    const member = table?.remove(connectionId);
    if (table === undefined || member === undefined) return;
    if (table.isEmpty) this.#producers.delete(group);
    logLeft("producer", group, member);
    this.#forgetProducerId(member);
  }

  /** The id stays as long as the same client is in another group: replies still find it, unlike Apache's. */
  #forgetProducerId({ clientId, connection }: Member): void {
    if (this.#producersById.get(clientId) !== connection) return;
    for (const group of this.#connections.get(connection.id)?.producers ?? []) {
      if (this.#producers.get(group)?.get(connection.id)?.clientId === clientId) return;
    }
    this.#producersById.delete(clientId);
  }

  #removeConsumer(name: string, connectionId: number, notifies: boolean): void {
    const group = this.#consumers.get(name);
    const member = group?.table.remove(connectionId);
    if (group === undefined || member === undefined) return;
    if (group.table.isEmpty) this.#consumers.delete(name);
    logLeft("consumer", name, member);
    if (notifies) this.#notifyMembers(group);
  }

  /** Members that broadcast don't share queues, so nothing changes for them. [RMQ 5.3.1] */
  #notifyMembers(group: ConsumerGroup): void {
    if (group.isBroadcast || !this.#options.settings().notifyConsumerIdsChanged) return;
    const fields = consumerListRequest.encode({ consumerGroup: group.name });
    for (const { connection } of group.members) {
      connection.notify({ code: RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, fields });
    }
  }
}

interface ConnectionGroups {
  readonly producers: Set<string>;
  readonly consumers: Set<string>;
}

function addGroup(groups: ConnectionGroups, role: Set<string>, group: string): void {
  if (role.has(group)) return;
  if (groups.producers.size + groups.consumers.size >= MAX_GROUPS_PER_CONNECTION) {
    throw new RemotingError(
      ResponseCode.INVALID_PARAMETER,
      `a connection can't be in more than ${MAX_GROUPS_PER_CONNECTION} groups`,
    );
  }
  role.add(group);
}

interface MutableMember extends ClientIdentity {
  lastHeartbeatMs: number;
  /** The same by the clock that never jumps. */
  heardMs: number;
}

/** Members of a group by the id of their connection. */
class MemberTable {
  readonly #members = new Map<number, MutableMember>();

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  has(connectionId: number): boolean {
    return this.#members.has(connectionId);
  }

  get(connectionId: number): Member | undefined {
    return this.#members.get(connectionId);
  }

  members(): readonly Member[] {
    return [...this.#members.values()];
  }

  /** Members not heard of since a time of the monotonic clock. */
  silentSince(monotonicMs: number): readonly Member[] {
    return [...this.#members.values()].filter((member) => member.heardMs < monotonicMs);
  }

  /** Adds a member or notes its heartbeat; returns what its connection was in this group before. */
  put(client: ClientIdentity, clock: Clock): Member | undefined {
    const { connection, clientId, language, version } = client;
    const lastHeartbeatMs = clock.nowMs();
    const heardMs = clock.monotonicMs();
    const known = this.#members.get(connection.id);
    if (known !== undefined && known.clientId === clientId) {
      known.lastHeartbeatMs = lastHeartbeatMs;
      known.heardMs = heardMs;
      return known;
    }
    this.#members.set(connection.id, { connection, clientId, language, version, lastHeartbeatMs, heardMs });
    return known;
  }

  remove(connectionId: number): Member | undefined {
    const member = this.#members.get(connectionId);
    this.#members.delete(connectionId);
    return member;
  }
}

class ConsumerGroup implements OnlineGroup {
  readonly name: string;
  readonly table = new MemberTable();
  readonly subscriptions = new Map<string, Subscription>();
  consumeType: ConsumeType;
  messageModel: MessageModel;
  consumeFromWhere: ConsumeFromWhere;
  #fingerprint: number | undefined;

  constructor(data: ConsumerData) {
    this.name = data.groupName;
    this.consumeType = data.consumeType;
    this.messageModel = data.messageModel;
    this.consumeFromWhere = data.consumeFromWhere;
  }

  get isBroadcast(): boolean {
    return this.messageModel === "BROADCASTING";
  }

  get isActive(): boolean {
    return this.consumeType === "CONSUME_ACTIVELY";
  }

  get members(): readonly Member[] {
    return this.table.members();
  }

  subscription(topic: string): Subscription | undefined {
    return this.subscriptions.get(topic);
  }

  hasConnection(connectionId: number): boolean {
    return this.table.has(connectionId);
  }

  /** The last heartbeat of any member decides. */
  setTraits(data: ConsumerData): void {
    this.consumeType = data.consumeType;
    this.messageModel = data.messageModel;
    this.consumeFromWhere = data.consumeFromWhere;
  }

  /**
   * Takes new topics and newer versions, and drops topics that are not named. Returns whether the set of
   * topics changed. Members that disagree undo each other's subscriptions, as at Apache's. [RMQ ConsumerGroupInfo]
   */
  mergeSubscriptions(wanted: readonly SubscriptionData[]): boolean {
    let hasChanged = false;
    const topics = new Set<string>();
    for (const data of wanted) {
      topics.add(data.topic);
      const known = this.subscriptions.get(data.topic);
      if (known !== undefined && data.subVersion <= known.subVersion) continue;
      this.subscriptions.set(data.topic, new Subscription(data));
      if (known === undefined) {
        hasChanged = true;
        logger.info("{group} subscribes to {topic}: {expression}", {
          group: this.name,
          topic: data.topic,
          expression: data.subString.slice(0, 256),
        });
      }
    }
    for (const topic of this.subscriptions.keys()) {
      if (topics.has(topic)) continue;
      this.subscriptions.delete(topic);
      hasChanged = true;
      logger.warn("{group} no longer subscribes to {topic}", { group: this.name, topic });
    }
    return hasChanged;
  }

  /**
   * Notes the hash of the members' subscriptions. True: it differs from the one before, or we know none and the
   * subscriptions were not sent (we have restarted; Apache's would wait for them).
   */
  mergeFingerprint(fingerprint: number, keepsSubscriptions: boolean): boolean {
    const before = this.#fingerprint;
    this.#fingerprint = fingerprint;
    return before === undefined ? keepsSubscriptions : before !== fingerprint;
  }
}

function logJoined(
  role: string,
  group: string,
  { clientId, language, version, connection }: ClientIdentity,
): void {
  const peer = formatAddress(connection.remote);
  logger.info("{role} {clientId} of {group} connected from {peer} ({language} {version})", {
    role,
    clientId,
    group,
    peer,
    language,
    version,
  });
}

function logLeft(role: string, group: string, { clientId, connection }: Member): void {
  logger.info("{role} {clientId} of {group} at {peer} left", {
    role,
    clientId,
    group,
    peer: formatAddress(connection.remote),
  });
}
