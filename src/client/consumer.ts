// SPDX-License-Identifier: Apache-2.0
/**
 * A consumer of a group (clustering): shares the group's queues with its other members, pulls, hands on, and
 * commits what was handled. A batch whose handler throws goes back to the broker, to come again later.
 */
import { randomBytes } from "node:crypto";
import { decodeConsumerList } from "../protocol/bodies/consumer_list.ts";
import { encodeCheckClientRequest, encodeHeartbeat } from "../protocol/bodies/heartbeat.ts";
import {
  ALL_TAGS,
  SQL_EXPRESSION,
  type SubscriptionData,
  TAG_EXPRESSION,
} from "../protocol/bodies/subscription_data.ts";
import { consumerListRequest, unregisterClientRequest } from "../protocol/headers/client.ts";
import {
  offsetResponse,
  queryOffsetRequest,
  queueRequest,
  updateOffsetRequest,
} from "../protocol/headers/offset.ts";
import { pullRequest, pullResponse } from "../protocol/headers/pull.ts";
import { sendBackRequest } from "../protocol/headers/send.ts";
import { javaHashCode } from "../protocol/java_string.ts";
import { parseProperties, Property } from "../protocol/properties.ts";
import { asBuffer, decodeRecord } from "../protocol/record.ts";
import { RequestCode } from "../protocol/request_code.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { PullSysFlag } from "../protocol/sys_flag.ts";
import { RemotingClient } from "../remoting/client.ts";
import type { Command, OutgoingRequest } from "../remoting/command.ts";
import { Dispatch } from "../remoting/dispatch.ts";
import { RemotingError } from "../remoting/remoting_error.ts";
import { type RoutedQueue, Routes } from "./routes.ts";

export interface ConsumerOptions {
  nameServers: string;
  group: string;
  /**
   * Topic to tag expression: `*`, or tags with `||` between. Or to a condition over the properties of messages, which
   * brokers take with `enablePropertyFilter=true`.
   */
  subscriptions: Record<string, string | { sql: string }>;
  /** Where a new group begins. */
  from?: "first" | "last";
  /** Messages handed on together at most. */
  batchCount?: number;
  /** After so many tries a message goes to the group's dead letters (`%DLQ%group`); left out: as the group says. */
  maxReconsumeTimes?: number;
  /**
   * Messages of one queue, in its order; the next ones follow when the promise resolves. What this throws on comes
   * again later, with one more try counted.
   */
  onMessages: (messages: ReceivedMessage[]) => void | Promise<void>;
}

export interface ReceivedMessage {
  topic: string;
  queueId: number;
  queueOffset: number;
  physicalOffset: number;
  /** The unique key. */
  messageId: string;
  tags: string | undefined;
  properties: ReadonlyMap<string, string>;
  /** As it is stored: compressed where `sysFlag` says so. */
  body: Uint8Array;
  /** Bits of `SysFlag`. */
  sysFlag: number;
  bornTimestampMs: number;
  bornHost: MessageHost;
  storeTimestampMs: number;
  storeHost: MessageHost;
  reconsumeTimes: number;
}

/** Where a message comes from or is stored; `ip` has 4 or 16 bytes. */
export interface MessageHost {
  readonly ip: Uint8Array;
  readonly port: number;
}

const HEARTBEAT_MS = 30_000;
const REBALANCE_MS = 20_000;
/** While a topic has no route yet: its first message, or our first heartbeat, makes it. */
const SOON_MS = 500;
const COMMIT_MS = 5000;
const RETRY_MS = 1000;
const SUSPEND_MS = 15_000;
const TIMEOUT_MS = 5000;
const PULL_TIMEOUT_MS = 30_000;

/** One queue that is ours for now. */
interface OwnedQueue extends RoutedQueue {
  /** Of the master, or of a slave while there is none. */
  address: string;
  subscription: SubscriptionData;
  nextOffset: number;
  committedOffset: number;
  isDropped: boolean;
}

export class Consumer {
  #options: ConsumerOptions & Required<Omit<ConsumerOptions, "maxReconsumeTimes">>;
  #client: RemotingClient;
  #routes: Routes;
  #clientId = `${randomBytes(6).toString("hex")}@rmq`;
  #subscriptions: SubscriptionData[];
  #owned = new Map<string, OwnedQueue>();
  #loops = new Set<Promise<void>>();
  #timers: ReturnType<typeof setInterval>[] = [];
  #rebalancing: Promise<void> = Promise.resolve();
  #soon: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  constructor(options: ConsumerOptions) {
    this.#options = { from: "last", batchCount: 32, ...options };
    const onChange = () => {
      void this.#rebalance();
      return { code: ResponseCode.SUCCESS };
    };
    const dispatch = new Dispatch(new Map([[RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, onChange]]));
    this.#client = new RemotingClient({ dispatch });
    this.#routes = new Routes(this.#client, options.nameServers);
    const version = Date.now();
    this.#subscriptions = Object.entries({ ...options.subscriptions, [`%RETRY%${options.group}`]: ALL_TAGS })
      .map(([topic, expression]) => subscriptionOf(topic, expression, version));
  }

  /**
   * Introduces itself to all brokers of its topics, takes its queues and begins to pull.
   * @throws RemotingError where a broker does not take an SQL92 expression; its message says where that goes wrong
   */
  async start(): Promise<void> {
    try {
      await this.#checkExpressions();
      await this.#introduce();
    } catch (error) {
      this.#client.close();
      throw error;
    }
    await this.#rebalance();
    this.#timers.push(
      setInterval(() => void this.#introduce().catch(() => {}), HEARTBEAT_MS),
      setInterval(() => void this.#rebalance(), REBALANCE_MS),
      setInterval(() => void this.#commitAll(), COMMIT_MS),
    );
  }

  /** The queues that are this consumer's now, as `topic/brokerName/queueId`. */
  get queues(): string[] {
    return [...this.#owned.keys()];
  }

  /** Finishes what is being handled, commits, says goodbye. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const timer of this.#timers) clearInterval(timer);
    clearTimeout(this.#soon);
    for (const queue of this.#owned.values()) queue.isDropped = true;
    await this.#rebalancing;
    await this.#commitAll();
    const fields = unregisterClientRequest.encode({
      clientID: this.#clientId,
      producerGroup: undefined,
      consumerGroup: this.#options.group,
    });
    for (const address of await this.#brokers().catch(() => [])) {
      await this.#call(address, { code: RequestCode.UNREGISTER_CLIENT, fields }).catch(() => {});
    }
    this.#client.close();
    await Promise.all(this.#loops);
  }

  async #introduce(): Promise<void> {
    const body = encodeHeartbeat({
      clientId: this.#clientId,
      producerGroups: [],
      consumers: [{
        groupName: this.#options.group,
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: this.#options.from === "first"
          ? "CONSUME_FROM_FIRST_OFFSET"
          : "CONSUME_FROM_LAST_OFFSET",
        unitMode: false,
        subscriptionDataSet: this.#subscriptions,
      }],
      fingerprint: 0,
      withoutSubscriptions: false,
    });
    const brokers = await this.#brokers();
    const told = await Promise.allSettled(
      brokers.map((address) => this.#call(address, { code: RequestCode.HEART_BEAT, body })),
    );
    const failure = told.find((outcome) => outcome.status === "rejected");
    const isTold = told.some((outcome) => outcome.status === "fulfilled");
    if (failure !== undefined && !isTold) throw failure.reason;
  }

  async #checkExpressions(): Promise<void> {
    const subscriptions = this.#subscriptions.filter(({ expressionType }) =>
      expressionType === SQL_EXPRESSION
    );
    if (subscriptions.length === 0) return;
    const clientId = this.#clientId;
    for (const address of await this.#brokers()) {
      for (const subscription of subscriptions) {
        const body = encodeCheckClientRequest({ clientId, group: this.#options.group, subscription });
        await this.#call(address, { code: RequestCode.CHECK_CLIENT_CONFIG, body });
      }
    }
  }

  async #brokers(): Promise<string[]> {
    const addresses = new Set<string>();
    for (const { topic } of this.#subscriptions) {
      for (const address of await this.#routes.members(topic)) addresses.add(address);
    }
    return [...addresses];
  }

  /** One rebalance at a time; a failure leaves things as they are until the next one. */
  #rebalance(): Promise<void> {
    return this.#rebalancing = this.#rebalancing.then(async () => {
      if (this.#isStopped) return;
      let isComplete = true;
      for (const subscription of this.#subscriptions) {
        if (!await this.#rebalanceTopic(subscription).catch(() => false)) isComplete = false;
      }
      clearTimeout(this.#soon);
      if (!isComplete && !this.#isStopped) {
        this.#soon = setTimeout(() => void this.#rebalanceNew(), SOON_MS);
      }
    });
  }

  async #rebalanceNew(): Promise<void> {
    await this.#introduce().catch(() => {});
    await this.#rebalance();
  }

  /**
   * All members sort queues and members alike, and each takes its share. [RMQ AllocateMessageQueueAveragely]
   * @returns whether the topic has a route
   */
  async #rebalanceTopic(subscription: SubscriptionData): Promise<boolean> {
    const { topic } = subscription;
    const queues = await this.#routes.readableQueues(topic);
    if (queues.length === 0) return false;
    const fields = consumerListRequest.encode({ consumerGroup: this.#options.group });
    const request = { code: RequestCode.GET_CONSUMER_LIST_BY_GROUP, fields };
    const members = decodeConsumerList((await this.#call(queues[0].address, request)).body).sort();
    const mine = share(queues, members, this.#clientId);
    const wanted = new Map(mine.map((queue) => [keyOf(queue), queue]));
    for (const [key, queue] of this.#owned) {
      if (queue.topic !== topic || wanted.has(key)) continue;
      queue.isDropped = true;
      this.#owned.delete(key);
      await this.#commit(queue);
    }
    for (const [key, queue] of wanted) {
      const owned = this.#owned.get(key);
      if (owned !== undefined) owned.address = queue.address;
      if (!this.#owned.has(key) && !this.#isStopped) await this.#take(key, queue, subscription);
    }
    return true;
  }

  async #take(key: string, queue: RoutedQueue, subscription: SubscriptionData): Promise<void> {
    const nextOffset = await this.#initialOffset(queue);
    const owned = { ...queue, subscription, nextOffset, committedOffset: -1, isDropped: this.#isStopped };
    this.#owned.set(key, owned);
    const loop = this.#consume(owned).finally(() => this.#loops.delete(loop));
    this.#loops.add(loop);
  }

  async #initialOffset(queue: RoutedQueue): Promise<number> {
    const { topic, queueId } = queue;
    const query = { consumerGroup: this.#options.group, topic, queueId, setZeroIfNotFound: undefined };
    try {
      const fields = queryOffsetRequest.encode(query);
      return offsetOf(await this.#call(queue.address, { code: RequestCode.QUERY_CONSUMER_OFFSET, fields }));
    } catch (error) {
      if (!(error instanceof RemotingError) || error.code !== ResponseCode.QUERY_NOT_FOUND) throw error;
    }
    const isLast = this.#options.from === "last" && !topic.startsWith("%RETRY%");
    const code = isLast ? RequestCode.GET_MAX_OFFSET : RequestCode.GET_MIN_OFFSET;
    return offsetOf(
      await this.#call(queue.address, { code, fields: queueRequest.encode({ topic, queueId }) }),
    );
  }

  async #consume(queue: OwnedQueue): Promise<void> {
    while (!queue.isDropped) {
      try {
        await this.#pullOnce(queue);
      } catch {
        if (queue.isDropped) return;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        await this.#findAgain(queue).catch(() => {});
      }
    }
  }

  /** Where a queue is read now: its master may be gone, or back. */
  async #findAgain(queue: OwnedQueue): Promise<void> {
    this.#routes.forget(queue.topic);
    const found = (await this.#routes.readableQueues(queue.topic)).find((other) =>
      keyOf(other) === keyOf(queue)
    );
    if (found === undefined || found.address === queue.address) return;
    queue.address = found.address;
    await this.#introduce();
  }

  async #pullOnce(queue: OwnedQueue): Promise<void> {
    const answer = await this.#client.request(queue.address, this.#pull(queue), PULL_TIMEOUT_MS);
    if (queue.isDropped) return;
    switch (answer.code) {
      case ResponseCode.SUCCESS: {
        const messages = messagesOf(answer.body!).filter((message) => isWanted(message, queue.subscription));
        for (let from = 0; from < messages.length && !queue.isDropped; from += this.#options.batchCount) {
          const batch = messages.slice(from, from + this.#options.batchCount);
          await this.#handle(queue, batch);
          queue.nextOffset = batch[batch.length - 1].queueOffset + 1;
        }
        if (!queue.isDropped) queue.nextOffset = pullResponse.decode(answer.fields).nextBeginOffset;
        return;
      }
      case ResponseCode.PULL_NOT_FOUND:
      case ResponseCode.PULL_RETRY_IMMEDIATELY:
      case ResponseCode.PULL_OFFSET_MOVED:
        queue.nextOffset = pullResponse.decode(answer.fields).nextBeginOffset;
        return;
      default:
        throw new RemotingError(answer.code, answer.remark ?? "");
    }
  }

  #pull(queue: OwnedQueue): OutgoingRequest {
    return {
      code: RequestCode.PULL_MESSAGE,
      fields: pullRequest.encode({
        consumerGroup: this.#options.group,
        topic: queue.topic,
        queueId: queue.queueId,
        queueOffset: queue.nextOffset,
        maxMsgNums: 32,
        sysFlag: PullSysFlag.SUSPEND,
        commitOffset: 0,
        suspendTimeoutMillis: SUSPEND_MS,
        subscription: undefined,
        subVersion: queue.subscription.subVersion,
        expressionType: TAG_EXPRESSION,
      }),
    };
  }

  /** Messages that could not be handled go back one by one; where even that fails, the pull is done again. */
  async #handle(queue: OwnedQueue, messages: ReceivedMessage[]): Promise<void> {
    try {
      await this.#options.onMessages(messages);
    } catch {
      for (const { physicalOffset, messageId, topic } of messages) {
        const fields = sendBackRequest.encode({
          offset: physicalOffset,
          group: this.#options.group,
          delayLevel: 0,
          originMsgId: messageId,
          originTopic: topic,
          unitMode: false,
          maxReconsumeTimes: this.#options.maxReconsumeTimes,
        });
        await this.#call(queue.address, { code: RequestCode.CONSUMER_SEND_MSG_BACK, fields });
      }
    }
  }

  async #commitAll(): Promise<void> {
    for (const queue of this.#owned.values()) await this.#commit(queue).catch(() => {});
  }

  async #commit(queue: OwnedQueue): Promise<void> {
    if (queue.nextOffset === queue.committedOffset) return;
    const commitOffset = queue.nextOffset;
    const { topic, queueId } = queue;
    const fields = updateOffsetRequest.encode({
      consumerGroup: this.#options.group,
      topic,
      queueId,
      commitOffset,
    });
    await this.#call(queue.address, { code: RequestCode.UPDATE_CONSUMER_OFFSET, fields });
    queue.committedOffset = commitOffset;
  }

  async #call(address: string, request: OutgoingRequest): Promise<Command> {
    const answer = await this.#client.request(address, request, TIMEOUT_MS);
    if (answer.code !== ResponseCode.SUCCESS) throw new RemotingError(answer.code, answer.remark ?? "");
    return answer;
  }
}

/** What a consumer wants of a topic: tags, or an expression over properties. */
export function subscriptionOf(
  topic: string,
  wanted: string | { sql: string },
  subVersion: number,
): SubscriptionData {
  if (typeof wanted === "object") {
    return {
      ...{ topic, subString: wanted.sql, expressionType: SQL_EXPRESSION, subVersion },
      ...{ tagsSet: [], codeSet: [], classFilterMode: false },
    };
  }
  const expression = wanted;
  const tagsSet = expression === ALL_TAGS
    ? []
    : expression.split("||").map((tag) => tag.trim()).filter((tag) => tag);
  return {
    topic,
    subString: expression,
    tagsSet,
    codeSet: tagsSet.map((tag) => javaHashCode(tag)),
    subVersion,
    expressionType: TAG_EXPRESSION,
    classFilterMode: false,
  };
}

/** Brokers compare hashes, which may collide. */
export function isWanted(message: ReceivedMessage, { tagsSet }: SubscriptionData): boolean {
  return tagsSet.length === 0 || (message.tags !== undefined && tagsSet.includes(message.tags));
}

function share(queues: readonly RoutedQueue[], members: readonly string[], clientId: string): RoutedQueue[] {
  const place = members.indexOf(clientId);
  if (place < 0) return [];
  const sorted = [...queues].sort((a, b) =>
    a.brokerName < b.brokerName ? -1 : a.brokerName > b.brokerName ? 1 : a.queueId - b.queueId
  );
  const rest = sorted.length % members.length;
  const size = Math.floor(sorted.length / members.length);
  const from = place * size + Math.min(place, rest);
  return sorted.slice(from, from + size + (place < rest ? 1 : 0));
}

function keyOf(queue: RoutedQueue): string {
  return `${queue.topic}/${queue.brokerName}/${queue.queueId}`;
}

function offsetOf(answer: Command): number {
  return offsetResponse.decode(answer.fields).offset;
}

/** The messages of a pull's, view's or query's answer. @throws RemotingError when the body can't be read */
export function messagesOf(body: Uint8Array): ReceivedMessage[] {
  const bytes = asBuffer(body);
  const messages: ReceivedMessage[] = [];
  for (let at = 0; at < bytes.length;) {
    const record = decodeRecord(bytes, at);
    if (typeof record === "string") {
      throw new RemotingError(ResponseCode.SYSTEM_ERROR, `a message in the answer can't be read: ${record}`);
    }
    const properties = parseProperties(record.properties);
    messages.push({
      topic: record.topic,
      queueId: record.queueId,
      queueOffset: record.queueOffset,
      physicalOffset: record.physicalOffset,
      messageId: properties.get(Property.UNIQ_KEY) ?? "",
      tags: properties.get(Property.TAGS),
      properties,
      body: record.body,
      sysFlag: record.sysFlag,
      bornTimestampMs: record.bornTimestampMs,
      bornHost: record.bornHost,
      storeTimestampMs: record.storeTimestampMs,
      storeHost: record.storeHost,
      reconsumeTimes: record.reconsumeTimes,
    });
    at += record.totalBytes;
  }
  return messages;
}
