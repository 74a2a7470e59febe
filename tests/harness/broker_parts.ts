// SPDX-License-Identifier: Apache-2.0
/**
 * The parts of a broker that messages and consumers pass through, put together as the broker does it, but on
 * memory files, with a clock moved by hand and without sockets.
 */
import { Clients } from "../../src/broker/clients.ts";
import { ConsumerFilters } from "../../src/broker/consumer_filters.ts";
import { ConsumerOffsets } from "../../src/broker/consumer_offsets.ts";
import { DelayDelivery } from "../../src/broker/delay_delivery.ts";
import { Durability } from "../../src/broker/durability.ts";
import { Groups } from "../../src/broker/groups.ts";
import { adminTimerHandlers } from "../../src/broker/handlers/admin_timer.ts";
import { withDelay } from "../../src/broker/delay_levels.ts";
import { replyHandlers } from "../../src/broker/handlers/reply.ts";
import { openTransactions, type TransactionService } from "../../src/broker/transactions/wiring.ts";
import { heartbeatHandlers } from "../../src/broker/handlers/heartbeat.ts";
import { pullHandlers } from "../../src/broker/handlers/pull.ts";
import { queryMessageHandlers } from "../../src/broker/handlers/query_message.ts";
import { recallHandlers } from "../../src/broker/handlers/recall.ts";
import { sendHandlers } from "../../src/broker/handlers/send.ts";
import { sendBackHandlers } from "../../src/broker/handlers/send_back.ts";
import { PullHold } from "../../src/broker/hold.ts";
import { JsonFile } from "../../src/broker/json_file.ts";
import { ReadRules } from "../../src/broker/read_rules.ts";
import { QueueLocks } from "../../src/broker/queue_locks.ts";
import { Statistics } from "../../src/broker/statistics.ts";
import { Subscription } from "../../src/broker/subscription.ts";
import { Timers } from "../../src/broker/timers/timers.ts";
import { Topics } from "../../src/broker/topics.ts";
import { loadBrokerConfiguration } from "../../src/config/broker_config.ts";
import type { BrokerSettings } from "../../src/config/broker_settings.ts";
import { sourceOfPairs } from "../../src/config/sources.ts";
import { encodeProperties, parseProperties } from "../../src/protocol/properties.ts";
import { decodeRecord, type MessageRecord } from "../../src/protocol/record.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import type { Response } from "../../src/remoting/command.ts";
import { Dispatch } from "../../src/remoting/dispatch.ts";
import { hostAddress } from "../../src/remoting/host_address.ts";
import { MessageStore } from "../../src/store/message_store.ts";
import type { MessageDraft } from "../../src/store/types.ts";
import { until } from "../harness/until.ts";
import { ManualClock } from "./manual_clock.ts";
import { bodyBytes, MemoryConnection } from "./memory_connection.ts";
import { MemoryFiles } from "./memory_files.ts";
import { bodiesOf } from "./store.ts";

const STORE = "/store";
/** Of the timer wheel: about two hours and a half. */
export const TIMER_SLOTS = 10_000;
const STORE_HOST = hostAddress("10.1.2.3", 10911);

export interface BrokerPartsOptions {
  /** The broker's configuration, `key=value` in Apache's names. */
  pairs?: readonly string[];
  files?: MemoryFiles;
  clock?: ManualClock;
  /** It copies another one's log: reads go by the rules of a slave. */
  isSlave?: boolean;
  /** So much of the log's end counts as being in memory. */
  inMemoryBytes?: number;
}

/** What a test says of a message that it sends; the rest is as a Java client of today would send it. */
export interface Sending {
  topic: string;
  body?: string | Uint8Array | null;
  properties?: Record<string, string>;
  /** Header fields by their long names; `undefined` leaves one out. */
  header?: Record<string, string | undefined>;
  code?: number;
  oneway?: boolean;
  version?: number;
}

/** What a test says of a pull. */
export interface Pulling {
  group: string;
  topic: string;
  header?: Record<string, string | undefined>;
  code?: number;
}

/** Letters of SEND_MESSAGE_V2. */
const V2: Record<string, string> = {
  producerGroup: "a",
  topic: "b",
  defaultTopic: "c",
  defaultTopicQueueNums: "d",
  queueId: "e",
  sysFlag: "f",
  bornTimestamp: "g",
  flag: "h",
  properties: "i",
  reconsumeTimes: "j",
  unitMode: "k",
  maxReconsumeTimes: "l",
  batch: "m",
};

export class BrokerParts {
  readonly files: MemoryFiles;
  readonly clock: ManualClock;
  readonly store: MessageStore;
  readonly topics: Topics;
  readonly groups: Groups;
  readonly offsets: ConsumerOffsets;
  readonly clients: Clients;
  readonly filters: ConsumerFilters;
  readonly locks: QueueLocks;
  readonly durability: Durability;
  readonly hold: PullHold;
  readonly rules: ReadRules;
  readonly delay: DelayDelivery;
  readonly timers: Timers;
  readonly transactions: TransactionService;
  readonly statistics: Statistics;
  readonly dispatch: Dispatch;
  readonly connection = new MemoryConnection();
  /** What handlers are told now; a test may replace it. */
  settings: BrokerSettings;
  /** Of a slave: whether its master is there; a test may replace it. */
  masterServes = () => false;
  /** Resolves when name servers know the topics; a test may replace it. */
  published: () => Promise<void> = () => Promise.resolve();

  static async open(options: BrokerPartsOptions = {}): Promise<BrokerParts> {
    const clock = options.clock ?? new ManualClock();
    const files = options.files ?? new MemoryFiles({ nowMs: () => clock.nowMs() });
    const { configuration } = loadBrokerConfiguration({
      overriding: [sourceOfPairs("test", [
        "brokerName=broker-a",
        `storePathRootDir=${STORE}`,
        "mappedFileSizeCommitLog=1048576",
        "mappedFileSizeConsumeQueue=2000",
        "maxHashSlotNum=100",
        "maxIndexNum=400",
        ...options.pairs ?? [],
      ])],
    });
    const { settings } = configuration;
    const store = await MessageStore.open({
      ...settings,
      files,
      clock,
      maxOpenFiles: 64,
      inMemoryBytes: options.inMemoryBytes ?? 1 << 30,
    });
    return new BrokerParts(files, clock, settings, store, options.isSlave ?? false);
  }

  private constructor(
    files: MemoryFiles,
    clock: ManualClock,
    settings: BrokerSettings,
    store: MessageStore,
    isSlave: boolean,
  ) {
    this.files = files;
    this.clock = clock;
    this.settings = settings;
    this.store = store;
    const directory = `${STORE}/config`;
    files.makeDirectory(directory);
    const now = () => this.settings;
    const common = { files, clock, directory, settings: now };
    const topics = this.topics = Topics.open({ ...settings, ...common });
    const groups = this.groups = Groups.open({ ...common, lightQueues: settings.lightQueues });
    const flushIntervalMs = settings.consumerOffsetFlushIntervalMs;
    const offsets = this.offsets = ConsumerOffsets.open({
      ...{ files, clock, directory, flushIntervalMs, lightQueues: settings.lightQueues },
    });
    const clients = this.clients = new Clients({ clock, settings: now });
    const filters = this.filters = ConsumerFilters.open({
      ...{ ...settings, ...common },
      isOnline: (group, topic) => clients.subscription(group, topic) !== undefined,
      lastStoreTimestampMs: () => store.lastStoreTimestampMs,
      wasStoppedCleanly: store.directory.wasStoppedCleanly,
    });
    if (settings.filterBitMaps) {
      store.calculateBitMaps((topic, properties) => filters.bitMapOf(topic, properties));
    }
    this.locks = new QueueLocks({ clock });
    const durability = this.durability = new Durability({ ...settings, store, clock });
    const hold = this.hold = new PullHold(store, clock);
    const rules = this.rules = new ReadRules({
      isSlave,
      masterServes: () => this.masterServes(),
      isHot: (topic, queueId, queueOffset) => store.isHot(topic, queueId, queueOffset),
      settings: now,
    });
    const isSystemTopic = (topic: string) => topics.isSystemTopic(topic);
    const statistics = this.statistics = new Statistics({ clock, isSystemTopic });
    this.delay = new DelayDelivery({
      ...settings,
      store,
      clock,
      file: new JsonFile(files, clock, `${directory}/delayOffset.json`),
      whenStored: (endOffset, settle) => durability.when(endOffset, true, settle),
    });
    this.timers = new Timers({
      ...{ store, files, clock, settings: now, storeDirectory: STORE, slotCount: TIMER_SLOTS },
      whenStored: (endOffset, settle) => durability.when(endOffset, true, settle),
      hasTopic: (topic) => topics.get(topic) !== undefined,
    });
    const timed = (draft: MessageDraft) => this.timers.draftFor(draft);
    this.transactions = openTransactions({
      ...{ store, offsets, topics, clients, durability, statistics, clock, settings: now },
      storeHost: STORE_HOST,
      brokerName: settings.brokerName,
      asStored: (draft) => timed(withDelay(draft, settings.delayLevelsMs.length)),
    });
    const sends = {
      ...{ store, durability, topics, groups, statistics, settings: now },
      storeHost: STORE_HOST,
      delayLevelCount: settings.delayLevelsMs.length,
    };
    const hasLocks = (group: string) => this.locks.hasLiveLock(group);
    const { clusterName, brokerName, queryMaxCount, indexQueryMaxCount } = settings;
    const more = { clock, clusterName, brokerName, timed };
    this.dispatch = new Dispatch(
      new Map([
        ...sendHandlers({ ...sends, ...more, hasLocks, published: () => this.published() }),
        ...recallHandlers({ ...sends, ...more }),
        ...adminTimerHandlers({ timers: this.timers }),
        ...sendBackHandlers(sends),
        ...pullHandlers({
          ...{ store, topics, groups, offsets, hold, rules, statistics, clock, settings: now },
          online: (group) => clients.consumerGroup(group),
          parseSubscription: Subscription.parse,
          filterOf: (group, topic, subscription) => filters.filterOf(group, topic, subscription),
        }),
        ...queryMessageHandlers({ store, queryMaxCount, indexQueryMaxCount }),
        ...heartbeatHandlers({ clock, clients, groups, topics, filters, settings: now }),
        ...this.transactions.handlers,
        ...replyHandlers({
          ...{ store, durability, topics, statistics, clock, settings: now, storeHost: STORE_HOST },
          connectionOf: (clientId) => clients.connectionOf(clientId),
        }),
      ]),
    );
  }

  /** Sends in the fields of SEND_MESSAGE_V2, or of SEND_MESSAGE where the code says so. */
  send(sending: Sending, connection = this.connection): Promise<Response> {
    return connection.ask(this.dispatch, { ...sendRequest(sending), oneway: sending.oneway });
  }

  pull(pulling: Pulling, connection = this.connection): Promise<Response> {
    return connection.ask(this.dispatch, pullCommand(pulling));
  }

  /** The same, for a pull that may be held: its answer, once there is one. */
  pullLater(pulling: Pulling, connection = this.connection): { response: Response | undefined } {
    const later: { response: Response | undefined } = { response: undefined };
    void this.pull(pulling, connection).then((response) => later.response = response);
    return later;
  }

  /** Registers a consumer of one topic. */
  async heartbeat(
    group: string,
    topic: string,
    given: Record<string, unknown> = {},
    connection = this.connection,
  ): Promise<Response> {
    const { subString = "*", subVersion = 1, expressionType = "TAG", codeSet = [], ...more } = given;
    const body = {
      clientID: `client@${connection.id}`,
      producerDataSet: [],
      consumerDataSet: [{
        groupName: group,
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
        subscriptionDataSet: [{ topic, subString, subVersion, expressionType, codeSet, tagsSet: [] }],
        ...more,
      }],
    };
    return await connection.ask(this.dispatch, {
      code: RequestCode.HEART_BEAT,
      body: new TextEncoder().encode(JSON.stringify(body)),
    });
  }

  /** A topic with so many queues, made by an administrator. */
  createTopic(topic: string, queueCount = 1, perm = 6): void {
    this.topics.createForSendBack(topic, { queueCount, perm });
  }

  /** The last message of a queue. */
  async last(topic: string, queueId = 0): Promise<MessageRecord> {
    await this.#visible();
    const entry = this.store.queueEntry(topic, queueId, this.store.maxOffset(topic, queueId) - 1);
    const record = entry && this.store.readMessage(entry.physicalOffset);
    if (record === undefined) throw new Error(`${topic}/${queueId} has no message`);
    return record;
  }

  /** The bodies of a queue's messages. */
  async bodies(topic: string, queueId = 0): Promise<string[]> {
    await this.#visible();
    return await bodiesOf(this.store, topic, queueId);
  }

  /** Stops in the order of a broker. */
  async close(): Promise<void> {
    this.hold.stop();
    await this.delay.stop();
    await this.timers.stop();
    await this.transactions.stop();
    this.durability.stop();
    await this.offsets.close();
    this.filters.flush();
    this.groups.flush();
    this.topics.flush();
    await this.store.close();
  }

  async #visible(): Promise<void> {
    await until(() => this.store.dispatchedOffset === this.store.maxPhysicalOffset);
  }
}

/** A request as `MemoryConnection.ask` takes it. */
export function sendRequest(sending: Sending) {
  const { topic, body = "hello", properties = {}, header = {}, version } = sending;
  const code = sending.code ?? RequestCode.SEND_MESSAGE_V2;
  const isV1 = code === RequestCode.SEND_MESSAGE || code === RequestCode.SEND_REPLY_MESSAGE;
  const fields: Record<string, string> = {};
  const long: Record<string, string | undefined> = {
    producerGroup: "pg",
    topic,
    defaultTopic: "TBW102",
    defaultTopicQueueNums: "4",
    queueId: "0",
    sysFlag: "0",
    bornTimestamp: "1600000000000",
    flag: "0",
    properties: encodeProperties(Object.entries(properties)),
    reconsumeTimes: "0",
    unitMode: "false",
    batch: "false",
    ...header,
  };
  for (const [name, value] of Object.entries(long)) {
    if (value !== undefined) fields[isV1 ? name : V2[name] ?? name] = value;
  }
  return { code, version, fields, body: typeof body === "string" ? new TextEncoder().encode(body) : body };
}

function pullCommand({ group, topic, header, code }: Pulling) {
  const fields: Record<string, string> = {};
  const given: Record<string, string | undefined> = {
    consumerGroup: group,
    topic,
    queueId: "0",
    queueOffset: "0",
    maxMsgNums: "32",
    sysFlag: "4",
    commitOffset: "0",
    suspendTimeoutMillis: "15000",
    subVersion: "0",
    ...header,
  };
  for (const [name, value] of Object.entries(given)) if (value !== undefined) fields[name] = value;
  return { code: code ?? RequestCode.PULL_MESSAGE, fields };
}

/** The messages in the body of an answer. */
export function recordsIn(response: Response): MessageRecord[] {
  const bytes = bodyBytes(response);
  const records: MessageRecord[] = [];
  for (let at = 0; at < bytes.length;) {
    const record = decodeRecord(bytes, at);
    if (typeof record === "string") throw new Error(`no record at ${at}: ${record}`);
    records.push(record);
    at += record.totalBytes;
  }
  return records;
}

export function bodyOf(record: MessageRecord): string {
  return new TextDecoder().decode(record.body);
}

export function propertiesOf(record: MessageRecord): Record<string, string> {
  return Object.fromEntries(parseProperties(record.properties));
}
