// SPDX-License-Identifier: Apache-2.0
/**
 * Puts a broker together, and takes it apart: the one place that sees all of its parts. What each part needs
 * of another it is handed here; no part is handed this.
 */
import { lookup } from "node:dns/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { type Clock, systemClock } from "../base/clock.ts";
import type { BrokerSettings } from "../config/broker_settings.ts";
import { RequestCode } from "../protocol/request_code.ts";
import { RemotingClient } from "../remoting/client.ts";
import { formatAddress, type HostAddress } from "../remoting/connection.ts";
import { Dispatch } from "../remoting/dispatch.ts";
import { hostAddress } from "../remoting/host_address.ts";
import type { Network } from "../replication/mod.ts";
import { RemotingServer, type RemotingServerOptions } from "../remoting/server.ts";
import { diskFiles } from "../store/disk_files.ts";
import type { Files } from "../store/files.ts";
import { makeDurableDirectory } from "../store/make_directory.ts";
import { MessageStore } from "../store/message_store.ts";
import { Clients } from "./clients.ts";
import { ClusterQueues } from "./cluster_queues.ts";
import { ConsumerFilters } from "./consumer_filters.ts";
import { ConsumerOffsets } from "./consumer_offsets.ts";
import { DelayDelivery } from "./delay_delivery.ts";
import { withDelay } from "./delay_levels.ts";
import { Durability } from "./durability.ts";
import { Groups } from "./groups.ts";
import { handlerTable } from "./handler_table.ts";
import type { LiveConfig } from "./handlers/admin_config.ts";
import { PullHold } from "./hold.ts";
import { startHousekeeping } from "./housekeeping.ts";
import { JsonFile } from "./json_file.ts";
import { startMetrics } from "./metrics/metrics.ts";
import { NameServerLookup } from "./name_server_lookup.ts";
import { PopConsumption } from "./pop/consumption.ts";
import { POPS_NOT_ON_VIP_PORT } from "./pop/requests.ts";
import { PutTimes } from "./put_times.ts";
import { QueueLocks } from "./queue_locks.ts";
import { RateSampler } from "./rates.ts";
import { ReadRules } from "./read_rules.ts";
import { Registration } from "./registration.ts";
import { replicaPolicy } from "./replica_policy.ts";
import { catchUpWithSlaves, listenForSlaves, openReplicaFiles, ReplicaSet } from "./replica_set.ts";
import { Statistics } from "./statistics.ts";
import { Timers } from "./timers/timers.ts";
import { Topics } from "./topics.ts";
import { openTransactions } from "./transactions/wiring.ts";
import { warnOfUnknownTopics } from "./unknown_topics.ts";

const logger = getLogger(["rmq", "broker"]);

const MAX_OPEN_FILES = 4096;
/** A name server that does not answer holds up the start no longer than this; it is tried on. */
const FIRST_REGISTRATION_MS = 2000;
/** Pulls have their own port: a client's "VIP" connections are for sends and administration. */
const NOT_ON_VIP_PORT = [RequestCode.PULL_MESSAGE, RequestCode.LITE_PULL_MESSAGE, ...POPS_NOT_ON_VIP_PORT];

export interface BrokerOptions {
  /** What the operator wants now; keys that may change while the broker runs are asked for again. */
  settings: () => BrokerSettings;
  config: LiveConfig;
  /** Keys that no request may change. */
  configBlackList: readonly string[];
  /** A master starts with its log as it is, even if a slave has messages beyond it: they are given up. */
  givesUpSlaveLog?: boolean;
  files?: Files;
  clock?: Clock;
  /** Who brings requests to the `dispatch` that it is given; a server of sockets unless told. */
  listen?: (options: RemotingServerOptions) => Promise<Listening>;
  /** Where slaves come from, and masters are reached; sockets unless told. */
  replicationNetwork?: Network;
}

/** What brings requests, until it is closed. */
export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

/** A broker that serves. */
export interface RunningBroker {
  readonly name: string;
  /** `host:port` that clients are given. */
  readonly address: string;
  /** Where it really listens. */
  readonly port: number;
  /** Where it shows metrics; undefined where nobody wants them. */
  readonly metricsPort: number | undefined;
  /**
   * Unregisters, answers what is under way, writes everything: the next start is a clean one.
   * @throws the first error of what could not be written, when everything else is done
   */
  stop(): Promise<void>;
}

/** Opens the store, recovers it, listens and registers. @throws an error with a sentence for the operator */
export async function startBroker(options: BrokerOptions): Promise<RunningBroker> {
  const undo: (() => unknown)[] = [];
  try {
    return await start(options, undo);
  } catch (error) {
    await undoAll(undo).catch(() => {});
    throw error;
  }
}

/** Takes all steps backwards, whatever any of them throws. @throws the first error */
async function undoAll(steps: (() => unknown)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const step of steps.reverse()) {
    try {
      await step();
    } catch (error) {
      logger.error("the broker does not stop as it should: {error}", { error });
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** @param undo gets a step for each thing that was opened; run backwards they are an orderly stop */
async function start(options: BrokerOptions, undo: (() => unknown)[]): Promise<RunningBroker> {
  const { files = diskFiles, clock = systemClock } = options;
  const settings = options.settings();
  const isSlave = settings.brokerRole === "SLAVE";
  let port = settings.listenPort;
  const advertised = await resolveHost(settings.advertisedHost, () => port);
  const inMemoryBytes = totalmem() * settings.inMemoryPercent / 100;
  const fixed = { ...settings, files, clock, maxOpenFiles: MAX_OPEN_FILES, inMemoryBytes };
  const store = await MessageStore.open(followSettings(fixed, options.settings));
  undo.push(() => store.close());
  const directory = join(settings.storeDirectory, "config");
  makeDurableDirectory(files, directory);
  const common = { files, clock, directory, settings: options.settings };
  const topics = Topics.open({ ...settings, ...common });
  undo.push(() => topics.flush());
  warnOfUnknownTopics(store.topics(), topics, join(directory, "topics.json"));
  const groups = Groups.open({ ...settings, ...common });
  undo.push(() => groups.flush());
  const flushIntervalMs = settings.consumerOffsetFlushIntervalMs;
  const { resets, knownSlaves } = openReplicaFiles(files, clock, settings.storeDirectory);
  undo.push(() => resets.flush());
  const offsets = ConsumerOffsets.open({
    ...{ files, clock, directory, flushIntervalMs, isCopy: isSlave, lightQueues: settings.lightQueues },
    onReset: (...moved) => resets.note(...moved),
  });
  undo.push(() => offsets.close());
  const cutCount = offsets.cutAbove((topic, queueId) => store.maxOffset(topic, queueId));
  // New messages get the numbers that were lost: after another crash the old offset would not look wrong any more.
  if (cutCount > 0) await offsets.flush();

  const client = new RemotingClient({ clock });
  undo.push(() => client.close());
  const { replicationNetwork: network, givesUpSlaveLog = false } = options;
  const tables = { topics, groups, offsets };
  if (!isSlave) {
    await catchUpWithSlaves({
      ...{ settings, files, clock, store, ...tables, resets, knownSlaves, client, network, givesUpSlaveLog },
    });
  }

  const clients = new Clients({ clock, settings: options.settings });
  const locks = new QueueLocks({ clock });
  const filters = ConsumerFilters.open({
    ...{ ...settings, ...common },
    isOnline: (group, topic) => clients.subscription(group, topic) !== undefined,
    lastStoreTimestampMs: () => store.lastStoreTimestampMs,
    wasStoppedCleanly: store.directory.wasStoppedCleanly,
  });
  undo.push(() => filters.flush());
  if (settings.filterBitMaps) {
    store.calculateBitMaps((topic, properties) => filters.bitMapOf(topic, properties));
  }
  const housekeeping = startHousekeeping(clock, clients, locks, filters);
  undo.push(() => housekeeping.cancel());
  const counters = startCounters(clock, topics);
  undo.push(() => counters.stop());
  const serving = await listenForSlaves(settings, store, clock, network);
  undo.push(() => serving.close());
  const policy = replicaPolicy(settings);
  const replication = policy && { policy, replicas: serving };
  const durability = new Durability({ ...settings, store, clock, replication });
  undo.push(() => durability.stop());
  const hold = new PullHold(store, clock);
  undo.push(() => hold.stop());
  const rules = new ReadRules({
    isSlave,
    masterServes: () => replicaSet.masterServes,
    isHot: (topic, queueId, queueOffset) => store.isHot(topic, queueId, queueOffset),
    settings: options.settings,
  });
  const delay = new DelayDelivery({
    ...settings,
    store,
    clock,
    file: new JsonFile(files, clock, join(directory, "delayOffset.json")),
    whenStored: (endOffset, settle) => durability.when(endOffset, true, settle),
  });
  undo.push(() => delay.stop());
  const timers = new Timers({
    ...{ store, files, clock, settings: options.settings, storeDirectory: settings.storeDirectory },
    whenStored: (endOffset, settle) => durability.when(endOffset, true, settle),
    hasTopic: (topic) => topics.get(topic) !== undefined,
    isSlave,
  });
  undo.push(() => timers.stop());
  const transactions = openTransactions({
    ...{ store, offsets, topics, clients, durability, clock, settings: options.settings },
    statistics: counters.statistics,
    storeHost: advertised,
    brokerName: settings.brokerName,
    asStored: (draft) => timers.draftFor(withDelay(draft, settings.delayLevelsMs.length)),
  });
  undo.push(() => transactions.stop());
  const pop = new PopConsumption({
    ...{ files, clock, directory, store, topics, groups, offsets, durability, timers },
    statistics: counters.statistics,
    storeHost: advertised,
    settings: options.settings,
  });
  undo.push(() => pop.stop());

  const addressNow = () => formatAddress({ host: settings.advertisedHost, port });
  const registration = new Registration({
    ...settings,
    clock,
    brokerAddress: addressNow,
    haAddress: () => formatAddress({ host: settings.haAdvertisedHost, port: serving.port }),
    nameServers: settings.nameServerAddresses,
    topics,
    brokerPermission: () => options.settings().brokerPermission,
    connect: (nameServer) => client.connection(nameServer),
    onOrderTopics: isSlave ? undefined : (names) => topics.markOrdered(names),
    onAnswer: (nameServer, answer) => replicaSet.answered(nameServer, answer),
  });
  const replicaSet = new ReplicaSet({
    ...{ settings, clock, store, ...tables, delay, client, serving, network },
    modes: pop.modes,
    timers: timers.copy,
    knownSlaves: isSlave ? undefined : knownSlaves,
    ownAddress: addressNow,
    nameServers: () => registration.nameServers.map(({ address }) => address),
    askNameServers: () => registration.registerAll(),
  });
  undo.push(() => replicaSet.stop());
  topics.onChange((changed) => registration.topicsChanged(changed.map(({ topicName }) => topicName)));

  const dispatch = new Dispatch(handlerTable({
    ...{ clock, store, topics, groups, offsets, clients, filters, locks, durability, hold, rules, delay },
    timers,
    transactions,
    pop,
    ...counters,
    requireMembers: policy?.requireMembers && (() => policy.requireMembers!(serving)),
    replicaSet,
    storeHost: advertised,
    address: addressNow,
    settings: options.settings,
    config: options.config,
    configBlackList: options.configBlackList,
    space: (path) => files.space(path),
    onPermissionChanged: () => {
      topics.touch();
      registration.registerAll();
    },
    published: () => registration.published(),
    clusterQueues: new ClusterQueues(clock, (topic) => registration.route(topic)),
  }));
  const watched = {
    clock,
    store,
    topics,
    groups,
    offsets,
    clients,
    timers,
    transactions: transactions.transactions,
    dispatch,
    settings: options.settings,
  };
  const metrics = await startMetrics({ ...watched, statistics: counters.statistics });
  undo.push(() => metrics?.stop());
  const listenOn = options.listen ?? RemotingServer.listen;
  const server = await listen(listenOn, settings, port, dispatch, clock);
  undo.push(() => server.close());
  port = server.port;
  if (settings.vipListenPort > 0) {
    const vipDispatch = dispatch.without(...NOT_ON_VIP_PORT);
    const vip = await listen(listenOn, settings, settings.vipListenPort, vipDispatch, clock);
    undo.push(() => vip.close());
  }
  // before the ports are closed, so that pulls that wait are answered
  undo.push(() => hold.stop());
  undo.push(() => pop.stopWaiting());
  undo.push(() => registration.stop());
  await atMost(clock, FIRST_REGISTRATION_MS, registration.start());
  if (settings.nameServerLookupUrl !== undefined) {
    const onFound = (addresses: readonly string[]) => registration.setNameServers(addresses);
    const found = new NameServerLookup({ url: settings.nameServerLookupUrl, clock, onFound });
    undo.push(() => found.stop());
    await found.start();
  }
  replicaSet.start();
  if (!isSlave) delay.start();
  if (!isSlave) timers.start();
  if (!isSlave) transactions.start();
  if (!isSlave) pop.start();
  const address = addressNow();
  let stopping: Promise<void> | undefined;
  logger.info("broker {name} serves at {address}", { name: settings.brokerName, address });
  return {
    name: settings.brokerName,
    address,
    port,
    metricsPort: metrics?.port,
    stop: () => stopping ??= undoAll(undo),
  };
}

/** What the store asks for each time that it needs it, so that an operator can change it while the broker runs. */
const FOLLOWED = [
  "maxMessageBytes",
  "fileReservedHours",
  "deleteAtHours",
  "diskMaxUsedPercent",
  "diskCleanForciblyPercent",
  "diskWarningPercent",
  "cleanForcibly",
] as const;

/** `options` with the followed settings as they are at each look. */
function followSettings<T extends BrokerSettings>(options: T, settings: () => BrokerSettings): T {
  for (const name of FOLLOWED) Object.defineProperty(options, name, { get: () => settings()[name] });
  return options;
}

/** What is counted, and sampled by time. */
function startCounters(clock: Clock, topics: Topics) {
  const statistics = new Statistics({ clock, isSystemTopic: (topic) => topics.isSystemTopic(topic) });
  const rates = new RateSampler(clock, () => ({
    put: statistics.put.messages,
    found: statistics.getFoundTimes,
    missed: statistics.getMissTimes,
    transferred: statistics.got.messages,
  }));
  const putTimes = new PutTimes(clock);
  const parts = [statistics, rates, putTimes];
  for (const part of parts) part.start();
  return { statistics, rates, putTimes, stop: () => parts.forEach((part) => part.stop()) };
}

async function listen(
  listenOn: (options: RemotingServerOptions) => Promise<Listening>,
  settings: BrokerSettings,
  port: number,
  dispatch: Dispatch,
  clock: Clock,
): Promise<Listening> {
  const { bindAddress: host, connectionMaxIdleMs: idleTimeoutMs } = settings;
  try {
    return await listenOn({ host, port, dispatch, clock, idleTimeoutMs });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const reason = code === "EADDRINUSE" ? "the port is in use" : message;
    throw new Error(`the broker can't listen on ${host}:${port}: ${reason}`, { cause: error });
  }
}

/** Messages carry the address as bytes, so a host name is resolved once. The port is known when we listen. */
async function resolveHost(host: string, port: () => number): Promise<HostAddress> {
  const found = await addressOf(host);
  return {
    host: found.host,
    ip: found.ip,
    get port() {
      return port();
    },
  };
}

async function addressOf(host: string): Promise<HostAddress> {
  try {
    return hostAddress(host, 0);
  } catch {
    try {
      return hostAddress((await lookup(host, { family: 4 })).address, 0);
    } catch (error) {
      throw new Error(`brokerIP1=${host} is neither an address nor a name that resolves`, { cause: error });
    }
  }
}

/** Waits for `work`, but no longer than `delayMs`. */
async function atMost(clock: Clock, delayMs: number, work: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.after(delayMs, resolve);
  await Promise.race([work, promise]);
  timer.cancel();
}
