// SPDX-License-Identifier: Apache-2.0
import { randomBytes, randomUUID } from "node:crypto";
import { type BatchPart, encodeBatch } from "../protocol/batch_body.ts";
import { encodeHeartbeat } from "../protocol/bodies/heartbeat.ts";
import { recallMessageRequest } from "../protocol/headers/recall.ts";
import { encodeSendV2, sendResponse } from "../protocol/headers/send.ts";
import { createUniqueKey, parseOffsetMessageId } from "../protocol/message_id.ts";
import { encodeProperties, Property } from "../protocol/properties.ts";
import { RequestCode } from "../protocol/request_code.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { SysFlag } from "../protocol/sys_flag.ts";
import { RemotingClient } from "../remoting/client.ts";
import type { OutgoingRequest } from "../remoting/command.ts";
import { Dispatch } from "../remoting/dispatch.ts";
import { RemotingError, RemotingIoError } from "../remoting/remoting_error.ts";
import type { ReceivedMessage } from "./consumer.ts";
import { Replies, type Reply, ReplyProperty } from "./replies.ts";
import { type RoutedQueue, Routes } from "./routes.ts";
import { checkHandler, type Decide, type Decision, endRequest } from "./transactions.ts";

export interface ProducerOptions {
  /** `host:port` items separated by `;`. */
  nameServers: string;
  group: string;
  /** How long one try of a send may take. */
  timeoutMs?: number;
  /** Further tries after a failure, at other queues. */
  retries?: number;
  /** What brokers are told when they ask about a transaction; without it they ask again. */
  decide?: Decide;
}

/** A message to be sent. */
export interface OutgoingMessage {
  topic: string;
  body: Uint8Array | string;
  tags?: string;
  /** Found by each of them (`queryByKey`). */
  keys?: string | readonly string[];
  properties?: Record<string, string>;
  /** 1 is the shortest delay that the broker has. */
  delayLevel?: number;
  /** Any other delay; brokers of 5.x are exact to a second. */
  delayMs?: number;
  /** The moment of delivery, ms since 1970. */
  deliverAtMs?: number;
  /** Left out: queues in turn. */
  queueId?: number;
}

/** Where a message is. A status other than SEND_OK: stored, but less safely than asked. */
export interface SendResult {
  status: "SEND_OK" | "FLUSH_DISK_TIMEOUT" | "FLUSH_SLAVE_TIMEOUT" | "SLAVE_NOT_AVAILABLE";
  /** The unique key, as clients show it; of a batch, those of its messages. */
  messageId: string;
  /** Tells where the message lies in the broker's log. */
  offsetMessageId: string;
  brokerName: string;
  queueId: number;
  queueOffset: number;
  /** What takes back a message with `delayMs` or `deliverAtMs`, as long as it waits. */
  recallHandle?: string;
}

/** A message that is stored, and at which broker. */
interface Sent {
  result: SendResult;
  address: string;
}

const STATUS: ReadonlyMap<number, SendResult["status"]> = new Map([
  [ResponseCode.SUCCESS, "SEND_OK"],
  [ResponseCode.FLUSH_DISK_TIMEOUT, "FLUSH_DISK_TIMEOUT"],
  [ResponseCode.FLUSH_SLAVE_TIMEOUT, "FLUSH_SLAVE_TIMEOUT"],
  [ResponseCode.SLAVE_NOT_AVAILABLE, "SLAVE_NOT_AVAILABLE"],
]);

/** What another broker, or the same one a moment later, may do better. [RMQ DefaultMQProducer.retryResponseCodes] */
const WORTH_A_RETRY: ReadonlySet<number> = new Set([
  ResponseCode.SYSTEM_ERROR,
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.SERVICE_NOT_AVAILABLE,
  ResponseCode.NO_PERMISSION,
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.GO_AWAY,
]);

/** The template of topics that a send makes, and how many queues we ask for. */
const DEFAULT_TOPIC = "TBW102";
const DEFAULT_QUEUE_COUNT = 4;
const HEARTBEAT_MS = 30_000;

/**
 * Sends messages. ```ts
 * const producer = new Producer({ nameServers: "127.0.0.1:9876", group: "orders" });
 * const { messageId } = await producer.send({ topic: "Orders", body: "…", keys: "order-1" });
 * producer.stop();
 * ```
 */
export class Producer {
  #options: Required<Omit<ProducerOptions, "decide">>;
  #replies = new Replies();
  #client: RemotingClient;
  #routes: Routes;
  #clientId = `${randomBytes(6).toString("hex")}@rmq`;
  #next = Math.floor(Math.random() * 1000);
  /** Brokers that were told who we are. */
  #brokers = new Map<string, Promise<void>>();
  #heartbeat: ReturnType<typeof setInterval>;

  constructor(options: ProducerOptions) {
    this.#options = { timeoutMs: 3000, retries: 2, ...options };
    const served = new Map([checkHandler(options.decide), this.#replies.handler()]);
    this.#client = new RemotingClient({
      dispatch: new Dispatch(served),
      // a broker that was restarted has forgotten us
      onConnect: (_connection, address) => this.#brokers.has(address) && this.#introduce(address),
    });
    this.#routes = new Routes(this.#client, options.nameServers);
    this.#heartbeat = setInterval(
      () => [...this.#brokers.keys()].forEach((address) => this.#introduce(address)),
      HEARTBEAT_MS,
    );
  }

  /** @throws RemotingError with the broker's code, RemotingIoError when no broker was reached */
  async send(message: OutgoingMessage): Promise<SendResult> {
    return (await this.#sendOne(message, propertiesOf(message))).result;
  }

  /**
   * Sends a message that consumers get only if `execute`, run when it is stored, decides to COMMIT. Where that is
   * UNKNOWN, or does not reach the broker, `decide` is asked later, by any producer of the group.
   * @throws as `send`, before anything was executed; or what `execute` throws, and the broker will ask
   */
  async sendInTransaction(
    message: OutgoingMessage,
    execute: (sent: SendResult) => Decision | Promise<Decision>,
  ): Promise<{ result: SendResult; decision: Decision }> {
    const properties = propertiesOf(message);
    properties.set(Property.TRANSACTION_PREPARED, "true");
    properties.set(Property.PRODUCER_GROUP, this.#options.group);
    const { result, address } = await this.#sendOne(message, properties, SysFlag.TRANSACTION_PREPARED);
    // what is stored less safely than it should be is not relied upon
    const decision = result.status === "SEND_OK" ? await execute(result) : "ROLLBACK";
    const request = endRequest(decision, {
      topic: message.topic,
      producerGroup: this.#options.group,
      tranStateTableOffset: result.queueOffset,
      commitLogOffset: parseOffsetMessageId(result.offsetMessageId)!.physicalOffset,
      fromTransactionCheck: false,
      msgId: result.messageId,
      transactionId: result.messageId,
    });
    await this.#client.request(address, request, this.#options.timeoutMs).catch(() => {});
    return { result, decision };
  }

  /** Sends a message and resolves with what a consumer replies to it. @throws RemotingIoError where nobody does */
  async request(message: OutgoingMessage, timeoutMs: number): Promise<Reply> {
    const correlationId = randomUUID();
    const properties = propertiesOf(message);
    properties.set(ReplyProperty.CORRELATION_ID, correlationId);
    properties.set(ReplyProperty.REPLY_TO_CLIENT, this.#clientId);
    properties.set(ReplyProperty.TTL, String(timeoutMs));
    const reply = this.#replies.wait(correlationId, timeoutMs);
    this.#sendOne(message, properties).catch((error) => this.#replies.fail(correlationId, error));
    return await reply;
  }

  /** Replies to a request that a consumer has received. @throws RemotingError when the one who asked has gone */
  async reply(request: ReceivedMessage, body: Uint8Array | string): Promise<void> {
    const asked = request.properties;
    const cluster = asked.get(Property.CLUSTER);
    if (cluster === undefined || !asked.has(ReplyProperty.CORRELATION_ID)) {
      throw new Error("the message is no request");
    }
    const topic = `${cluster}_REPLY_TOPIC`;
    const properties = propertiesOf({ topic, body });
    properties.set(ReplyProperty.MSG_TYPE, "reply");
    for (const name of [ReplyProperty.CORRELATION_ID, ReplyProperty.REPLY_TO_CLIENT, ReplyProperty.TTL]) {
      properties.set(name, asked.get(name) ?? "");
    }
    const queue = await this.#queue(topic, undefined);
    const answer = await this.#client.request(queue.address, {
      code: RequestCode.SEND_REPLY_MESSAGE_V2,
      fields: this.#fields(queue, encodeProperties(properties), false),
      body: bytesOf(body),
    }, this.#options.timeoutMs);
    if (answer.code !== ResponseCode.SUCCESS) throw new RemotingError(answer.code, answer.remark ?? "");
  }

  /** Sends messages of one topic to one queue, all or none. */
  async sendBatch(messages: readonly OutgoingMessage[]): Promise<SendResult> {
    const { topic, queueId } = messages[0];
    const ids: string[] = [];
    const parts = messages.map((message): BatchPart => {
      if (message.topic !== topic) throw new Error("a batch has one topic");
      const properties = propertiesOf(message);
      ids.push(properties.get(Property.UNIQ_KEY)!);
      return { flag: 0, body: bytesOf(message.body), properties: encodeProperties(properties) };
    });
    const body = encodeBatch(parts);
    const { result } = await this.#send(topic, queueId, ids.join(","), (queue) => ({
      code: RequestCode.SEND_BATCH_MESSAGE,
      fields: this.#fields(queue, "", true),
      body,
    }));
    return result;
  }

  /**
   * Takes back a message that waits for its moment; the broker must allow it (`recallMessageEnable`). That this
   * succeeds means that the wish is stored, not that the message has been found.
   * @throws RemotingError with the broker's code
   */
  async recall(
    topic: string,
    { brokerName, recallHandle }: Pick<SendResult, "brokerName" | "recallHandle">,
  ): Promise<void> {
    if (recallHandle === undefined) throw new Error("the message does not wait: it can't be taken back");
    const queues = await this.#routes.writableQueues(topic);
    const queue = queues.find((queue) => queue.brokerName === brokerName);
    if (queue === undefined) throw new Error(`the broker ${brokerName} is not there`);
    const fields = recallMessageRequest.encode({ producerGroup: this.#options.group, topic, recallHandle });
    const request = { code: RequestCode.RECALL_MESSAGE, fields };
    const answer = await this.#client.request(queue.address, request, this.#options.timeoutMs);
    if (answer.code !== ResponseCode.SUCCESS) throw new RemotingError(answer.code, answer.remark ?? "");
  }

  /** Sends without waiting for an answer: there is none. */
  async sendOneway(message: OutgoingMessage): Promise<void> {
    const properties = encodeProperties(propertiesOf(message));
    const queue = await this.#queue(message.topic, message.queueId);
    const fields = this.#fields(queue, properties, false);
    const request = { code: RequestCode.SEND_MESSAGE_V2, fields, body: bytesOf(message.body) };
    await this.#client.notify(queue.address, request);
  }

  stop(): void {
    clearInterval(this.#heartbeat);
    this.#replies.stop();
    this.#client.close();
  }

  #sendOne(message: OutgoingMessage, properties: Map<string, string>, sysFlag = 0): Promise<Sent> {
    const body = bytesOf(message.body);
    return this.#send(message.topic, message.queueId, properties.get(Property.UNIQ_KEY)!, async (queue) => {
      // brokers ask, and push replies, only to those they know
      if (sysFlag !== 0 || properties.has(ReplyProperty.REPLY_TO_CLIENT)) {
        await this.#brokers.get(queue.address);
      }
      const fields = this.#fields(queue, encodeProperties(properties), false, sysFlag);
      return { code: RequestCode.SEND_MESSAGE_V2, fields, body };
    });
  }

  async #send(
    topic: string,
    queueId: number | undefined,
    messageId: string,
    request: (queue: RoutedQueue) => OutgoingRequest | Promise<OutgoingRequest>,
  ): Promise<Sent> {
    for (let tries = 0;; tries++) {
      try {
        const queue = await this.#queue(topic, queueId);
        const sending = await request(queue);
        const answer = await this.#client.request(queue.address, sending, this.#options.timeoutMs);
        const status = STATUS.get(answer.code);
        if (status === undefined) throw new RemotingError(answer.code, answer.remark ?? "");
        const sent = sendResponse.decode(answer.fields);
        const result = {
          status,
          messageId,
          offsetMessageId: sent.msgId,
          brokerName: queue.brokerName,
          queueId: sent.queueId,
          queueOffset: sent.queueOffset,
          recallHandle: sent.recallHandle,
        };
        return { result, address: queue.address };
      } catch (error) {
        const isWorth = error instanceof RemotingIoError ||
          (error instanceof RemotingError && WORTH_A_RETRY.has(error.code));
        if (!isWorth || tries >= this.#options.retries) throw error;
        this.#routes.forget(topic);
      }
    }
  }

  /** The next queue of a topic; of the template where the topic is not known yet. */
  async #queue(topic: string, queueId: number | undefined): Promise<RoutedQueue> {
    let queues = await this.#routes.writableQueues(topic);
    // A topic whose brokers can't be written to now is not made anew on others.
    if (queues.length === 0 && await this.#routes.route(topic) === undefined) {
      queues = (await this.#routes.writableQueues(DEFAULT_TOPIC))
        .filter((queue) => queue.queueId < DEFAULT_QUEUE_COUNT)
        .map((queue) => ({ ...queue, topic }));
    }
    const wanted = queueId === undefined ? queues : queues.filter((queue) => queue.queueId === queueId);
    if (wanted.length === 0) {
      throw new RemotingError(
        ResponseCode.TOPIC_NOT_EXIST,
        `the topic ${topic} has no queue that can be written`,
      );
    }
    const queue = wanted[this.#next++ % wanted.length];
    if (!this.#brokers.has(queue.address)) this.#introduce(queue.address);
    return queue;
  }

  /** Tells a broker who we are; plain sends don't depend on it, so a failure does not matter to them. */
  #introduce(address: string): void {
    const body = encodeHeartbeat({
      clientId: this.#clientId,
      producerGroups: [this.#options.group],
      consumers: [],
      fingerprint: 0,
      withoutSubscriptions: false,
    });
    const request = { code: RequestCode.HEART_BEAT, body };
    const told = this.#client.request(address, request, this.#options.timeoutMs).then(() => {}, () => {});
    this.#brokers.set(address, told);
  }

  #fields(queue: RoutedQueue, properties: string, batch: boolean, sysFlag = 0) {
    return encodeSendV2({
      producerGroup: this.#options.group,
      topic: queue.topic,
      defaultTopic: DEFAULT_TOPIC,
      defaultTopicQueueNums: DEFAULT_QUEUE_COUNT,
      queueId: queue.queueId,
      sysFlag,
      bornTimestamp: Date.now(),
      flag: 0,
      properties,
      reconsumeTimes: 0,
      unitMode: false,
      maxReconsumeTimes: undefined,
      batch,
    });
  }
}

function propertiesOf(message: OutgoingMessage): Map<string, string> {
  const properties = new Map(Object.entries(message.properties ?? {}));
  properties.set(Property.UNIQ_KEY, createUniqueKey(LOCAL_IP, Date.now()));
  properties.set(Property.WAIT, "true");
  if (message.tags) properties.set(Property.TAGS, message.tags);
  if (message.keys !== undefined) properties.set(Property.KEYS, [message.keys].flat().join(" "));
  if (message.delayLevel) properties.set(Property.DELAY, String(message.delayLevel));
  if (message.delayMs !== undefined) properties.set(Property.TIMER_DELAY_MS, String(message.delayMs));
  if (message.deliverAtMs !== undefined) {
    properties.set(Property.TIMER_DELIVER_MS, String(message.deliverAtMs));
  }
  return properties;
}

/** Part of unique keys; the rest of a key is what makes it unique. */
const LOCAL_IP = Uint8Array.of(127, 0, 0, 1);

function bytesOf(body: Uint8Array | string): Uint8Array {
  return typeof body === "string" ? new TextEncoder().encode(body) : body;
}
