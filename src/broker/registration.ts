// SPDX-License-Identifier: Apache-2.0
import type { Clock, Timer } from "../base/clock.ts";
import type { HeartbeatSettings } from "../config/broker_settings.ts";
import { NameServerApi } from "../client/name_server_api.ts";
import { DataVersion } from "../protocol/bodies/data_version.ts";
import { decodeKvTable } from "../protocol/bodies/kv_table.ts";
import { encodeRegisterBroker, registrationCrc32 } from "../protocol/bodies/register_broker.ts";
import { Perm, type TopicConfig } from "../protocol/bodies/topic_config.ts";
import { encodeTopicRoute, type TopicRouteData } from "../protocol/bodies/topic_route.ts";
import { registerTopicRequest } from "../protocol/headers/name_server.ts";
import {
  brokerIdentityRequest,
  queryDataVersionResponse,
  registerBrokerRequest,
  type RegisterBrokerResponse,
  registerBrokerResponse,
} from "../protocol/headers/register_broker.ts";
import { MalformedError } from "../protocol/header.ts";
import { encodeJson, parseJsonObject } from "../protocol/java_json.ts";
import { RequestCode } from "../protocol/request_code.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import type { Command } from "../remoting/command.ts";
import { type Connection, formatAddress } from "../remoting/connection.ts";
import { RemotingIoError } from "../remoting/remoting_error.ts";
import { NameServerLink, type NameServerTalk } from "./name_server_link.ts";

/** The topics of this broker, as they are when asked. */
export interface RegisteredTopics {
  readonly dataVersion: DataVersion;
  readonly table: ReadonlyMap<string, TopicConfig>;
}

export interface RegistrationOptions {
  clock: Clock;
  clusterName: string;
  brokerName: string;
  brokerId: number;
  /** `host:port` that clients are given, and slaves. */
  brokerAddress: () => string;
  haAddress: () => string;
  nameServers: readonly string[];
  registerIntervalMs: number;
  registerTimeoutMs: number;
  /** Register at every period, not only when a name server's data differs. */
  forceRegister: boolean;
  /** Slaves may stand in for their master, so name servers have to see its death at once; absent: they may not. */
  heartbeats?: HeartbeatSettings;
  /** Changed topics are registered one by one, without the broker. */
  singleTopicRegister: boolean;
  topics: RegisteredTopics;
  /** Bits 4 read and 2 write, as they are when asked. */
  brokerPermission: () => number;
  /** Opens a connection; must end by itself, well or not. */
  connect: (address: string) => Promise<Connection>;
  /** A name server names topics of ours that must be written in order. */
  onOrderTopics?: (topics: readonly string[]) => void;
  /** What a name server has answered to a registration: to a slave, where its master is. */
  onAnswer?: (nameServer: string, answer: RegisterBrokerResponse) => void;
}

const UNREGISTER_TIMEOUT_MS = 3000;
const SINGLE_TOPIC_TIMEOUT_MS = 3000;
const QUERY_VERSION_TIMEOUT_MS = 3000;
const PUBLISH_TIMEOUT_MS = 2000;
/** Clients that ask for an assignment wait for three seconds. */
const ROUTE_TIMEOUT_MS = 1000;

/**
 * Makes this broker and its topics known to all name servers, and keeps them known: everything at start, at
 * every period and on every new connection; changed topics at the end of the turn in which they changed.
 * Each name server has its own pace, so one that can't be reached holds up nothing. [RMQ BrokerController
 * .registerBrokerAll, BrokerOuterAPI]
 */
export class Registration {
  readonly #options: RegistrationOptions;
  readonly #links = new Map<string, NameServerLink>();
  readonly #talk: NameServerTalk;
  readonly #changedTopics = new Set<string>();
  #endOfTurn: Timer | undefined;
  #period: Timer | undefined;
  #heartbeat: Timer | undefined;
  #running = false;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#talk = {
      registerAll: (connection) => this.#register(connection, options.topics.table.values()),
      registerSome: (connection, topics) => this.#registerSome(connection, topics),
      isOutdated: (connection) => this.#isOutdated(connection),
      unregister: (connection) => this.#unregister(connection),
    };
  }

  /** The name servers, and whether each has what it was told. */
  get nameServers(): { address: string; isRegistered: boolean }[] {
    return [...this.#links.values()].map(({ address, isRegistered }) => ({ address, isRegistered }));
  }

  /** Resolves when every name server was tried once; failures are tried on in the background. */
  async start(): Promise<void> {
    this.#running = true;
    this.#changedTopics.clear();
    this.setNameServers(this.#options.nameServers);
    this.#period = this.#options.clock.every(this.#options.registerIntervalMs, () => this.#onPeriod());
    const { heartbeats, clock } = this.#options;
    if (heartbeats !== undefined) {
      this.#heartbeat = clock.every(heartbeats.intervalMs, () => this.#beat(heartbeats));
    }
    await Promise.all([...this.#links.values()].map((link) => link.firstTry));
  }

  /** Another list of name servers: those that are not in it any more are said goodbye to. */
  setNameServers(addresses: readonly string[]): void {
    if (!this.#running) return;
    for (const [address, link] of this.#links) {
      if (addresses.includes(address)) continue;
      this.#links.delete(address);
      void link.stop();
    }
    for (const address of addresses) {
      if (this.#links.has(address)) continue;
      const { clock, connect } = this.#options;
      const link = new NameServerLink(address, { clock, connect, talk: this.#talk });
      this.#links.set(address, link);
      link.registerAll();
    }
  }

  /** To be called when topics were made or changed: they are registered at the end of this turn. */
  topicsChanged(topics: Iterable<string>): void {
    for (const topic of topics) this.#changedTopics.add(topic);
    if (!this.#running) return;
    this.#endOfTurn ??= this.#options.clock.after(0, () => this.#tellChanged());
  }

  /**
   * Resolves when name servers know what has changed so far, or after `PUBLISH_TIMEOUT_MS`: for administrators,
   * whose tools ask for the route of a topic as soon as it is made.
   */
  async published(): Promise<void> {
    if (this.#endOfTurn !== undefined) this.#tellChanged();
    const told = Promise.all([...this.#links.values()].map((link) => link.quiet()));
    let timer: Timer | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = this.#options.clock.after(PUBLISH_TIMEOUT_MS, resolve);
    });
    await Promise.race([told, tooLong]);
    timer?.cancel();
  }

  /**
   * Where a topic is, as one of the name servers that know this broker says; undefined where it is nowhere.
   * Rejects with RemotingIoError when none answers.
   */
  async route(topic: string): Promise<TopicRouteData | undefined> {
    let failure = new RemotingIoError("no name server is connected");
    for (const { connection } of this.#links.values()) {
      if (connection === undefined) continue;
      try {
        return await new NameServerApi(connection, ROUTE_TIMEOUT_MS).topicRoute(topic);
      } catch (error) {
        if (!(error instanceof RemotingIoError)) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  /** Registers everything now, for a change that concerns all topics. */
  registerAll(): void {
    for (const link of this.#links.values()) link.registerAll();
  }

  /** Unregisters, within seconds whatever the name servers do; nothing is registered afterwards. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#period?.cancel();
    this.#heartbeat?.cancel();
    this.#endOfTurn?.cancel();
    const links = [...this.#links.values()];
    this.#links.clear();
    await Promise.all(links.map((link) => link.stop()));
  }

  #tellChanged(): void {
    this.#endOfTurn?.cancel();
    this.#endOfTurn = undefined;
    const changed = [...this.#changedTopics];
    this.#changedTopics.clear();
    for (const link of this.#links.values()) link.registerSome(changed);
  }

  #onPeriod(): void {
    for (const link of this.#links.values()) {
      if (this.#options.forceRegister) link.registerAll();
      else link.check();
    }
  }

  /** A sign of life for every name server that knows us. */
  #beat({ asVersionQuery }: HeartbeatSettings): void {
    const fields = brokerIdentityRequest.encode(this.#identity());
    const request = asVersionQuery
      ? {
        code: RequestCode.QUERY_DATA_VERSION,
        fields,
        body: encodeJson(this.#options.topics.dataVersion.toJson()),
      }
      : { code: RequestCode.BROKER_HEARTBEAT, fields };
    for (const { connection } of this.#links.values()) connection?.notify(request);
  }

  #registerSome(connection: Connection, topics: ReadonlySet<string>): Promise<string | undefined> {
    const configs = [...topics].map((topic) => this.#options.topics.table.get(topic))
      .filter((config) => config !== undefined);
    // Deleted topics can't be told in this way, only left out of the next registration of everything.
    if (configs.length === 0) return Promise.resolve(undefined);
    if (this.#options.singleTopicRegister) return this.#registerOneByOne(connection, configs);
    return this.#register(connection, configs);
  }

  async #register(connection: Connection, configs: Iterable<TopicConfig>): Promise<string | undefined> {
    const { clusterName, brokerName, brokerId, brokerAddress, haAddress, topics } = this.#options;
    const body = encodeRegisterBroker({
      dataVersion: topics.dataVersion,
      topicConfigTable: new Map([...configs].map((config) => [config.topicName, this.#masked(config)])),
      filterServerList: [],
      topicQueueMappingInfoMap: new Map(),
    });
    const answer = await connection.request({
      code: RequestCode.REGISTER_BROKER,
      fields: registerBrokerRequest.encode({
        brokerName,
        brokerAddr: brokerAddress(),
        clusterName,
        haServerAddr: haAddress(),
        brokerId,
        heartbeatTimeoutMillis: this.#options.heartbeats?.timeoutMs,
        enableActingMaster: this.#options.heartbeats !== undefined,
        compressed: false,
        bodyCrc32: registrationCrc32(body),
        __ZONE_NAME: undefined,
      }),
      body,
    }, this.#options.registerTimeoutMs);
    if (answer.code !== ResponseCode.SUCCESS) return refusalOf(answer);
    this.#takeOrderTopics(answer.body);
    this.#options.onAnswer?.(formatAddress(connection.remote), registerBrokerResponse.decode(answer.fields));
    return undefined;
  }

  /** Name servers older than 5.0 don't answer this. */
  async #registerOneByOne(
    connection: Connection,
    configs: readonly TopicConfig[],
  ): Promise<string | undefined> {
    for (const config of configs) {
      const { topicName, readQueueNums, writeQueueNums, perm, topicSysFlag } = this.#masked(config);
      const { brokerName } = this.#options;
      const answer = await connection.request({
        code: RequestCode.REGISTER_TOPIC_IN_NAMESRV,
        fields: registerTopicRequest.encode({ topic: topicName }),
        body: encodeTopicRoute({
          brokerDatas: [],
          filterServerTable: new Map(),
          queueDatas: [{ brokerName, readQueueNums, writeQueueNums, perm, topicSysFlag }],
        }),
      }, SINGLE_TOPIC_TIMEOUT_MS);
      if (answer.code !== ResponseCode.SUCCESS) return refusalOf(answer);
    }
    return undefined;
  }

  /** A name server that answers anything but success is taken to be up to date, as Apache's brokers do. */
  async #isOutdated(connection: Connection): Promise<boolean> {
    const { dataVersion } = this.#options.topics;
    const answer = await connection.request({
      code: RequestCode.QUERY_DATA_VERSION,
      fields: brokerIdentityRequest.encode(this.#identity()),
      body: encodeJson(dataVersion.toJson()),
    }, QUERY_VERSION_TIMEOUT_MS);
    if (answer.code !== ResponseCode.SUCCESS) return false;
    if (queryDataVersionResponse.decode(answer.fields).changed) return true;
    return answer.body !== null && !DataVersion.fromJson(parseJsonObject(answer.body)).equals(dataVersion);
  }

  async #unregister(connection: Connection): Promise<void> {
    await connection.request({
      code: RequestCode.UNREGISTER_BROKER,
      fields: brokerIdentityRequest.encode(this.#identity()),
    }, UNREGISTER_TIMEOUT_MS);
  }

  #identity(): { brokerName: string; brokerAddr: string; clusterName: string; brokerId: number } {
    const { brokerName, brokerAddress, clusterName, brokerId } = this.#options;
    return { brokerName, brokerAddr: brokerAddress(), clusterName, brokerId };
  }

  /** What the broker may not do, none of its topics may. */
  #masked(config: TopicConfig): TopicConfig {
    const permission = this.#options.brokerPermission();
    const whole = Perm.READ | Perm.WRITE;
    return (permission & whole) === whole ? config : { ...config, perm: config.perm & permission };
  }

  /** The answer holds the table of order topics where the name server keeps one. */
  #takeOrderTopics(body: Uint8Array | null): void {
    if (body === null || this.#options.onOrderTopics === undefined) return;
    const named = orderTopicsOf(body).filter((topic) =>
      this.#options.topics.table.get(topic)?.order === false
    );
    if (named.length > 0) this.#options.onOrderTopics(named);
  }
}

/** A table that can't be read is none: the registration itself was accepted. */
function orderTopicsOf(body: Uint8Array): string[] {
  try {
    return [...decodeKvTable(body).keys()];
  } catch (error) {
    if (error instanceof MalformedError) return [];
    throw error;
  }
}

function refusalOf(answer: Command): string {
  return `it answered ${answer.code} ${answer.remark ?? ""}`.trim();
}
