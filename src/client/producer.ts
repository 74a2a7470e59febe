// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import { type BatchPart, encodeBatch } from "../protocol/batch_body.ts";
import { encodeHeartbeat } from "../protocol/bodies/heartbeat.ts";
import { recallMessageRequest } from "../protocol/headers/recall.ts";
import { encodeSendV2, sendResponse } from "../protocol/headers/send.ts";
import { createUniqueKey } from "../protocol/message_id.ts";
import { encodeProperties, Property } from "../protocol/properties.ts";
import { RequestCode } from "../protocol/request_code.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { RemotingClient } from "../remoting/client.ts";
import type { OutgoingRequest } from "../remoting/command.ts";
import { RemotingError, RemotingIoError } from "../remoting/remoting_error.ts";
import { type RoutedQueue, Routes } from "./routes.ts";

export interface ProducerOptions {
  /** `host:port` items separated by `;`. */
  nameServers: string;
  group: string;
  /** How long one try of a send may take. */
  timeoutMs?: number;
  /** Further tries after a failure, at other queues. */
  retries?: number;
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
  #options: Required<ProducerOptions>;
  #client = new RemotingClient();
  #routes: Routes;
  #clientId = `${randomBytes(6).toString("hex")}@rmq`;
  #next = Math.floor(Math.random() * 1000);
  #brokers = new Set<string>();
  #heartbeat: ReturnType<typeof setInterval>;

  constructor(options: ProducerOptions) {
    this.#options = { timeoutMs: 3000, retries: 2, ...options };
    this.#routes = new Routes(this.#client, options.nameServers);
    this.#heartbeat = setInterval(
      () => this.#brokers.forEach((address) => this.#introduce(address)),
      HEARTBEAT_MS,
    );
  }

  /** @throws RemotingError with the broker's code, RemotingIoError when no broker was reached */
  async send(message: OutgoingMessage): Promise<SendResult> {
    const properties = propertiesOf(message);
    const messageId = properties.get(Property.UNIQ_KEY)!;
    const body = bytesOf(message.body);
    return await this.#send(message.topic, message.queueId, messageId, (queue) => ({
      code: RequestCode.SEND_MESSAGE_V2,
      fields: this.#fields(queue, encodeProperties(properties), false),
      body,
    }));
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
    return await this.#send(topic, queueId, ids.join(","), (queue) => ({
      code: RequestCode.SEND_BATCH_MESSAGE,
      fields: this.#fields(queue, "", true),
      body,
    }));
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
    this.#client.close();
  }

  async #send(
    topic: string,
    queueId: number | undefined,
    messageId: string,
    request: (queue: RoutedQueue) => OutgoingRequest,
  ): Promise<SendResult> {
    for (let tries = 0;; tries++) {
      try {
        const queue = await this.#queue(topic, queueId);
        const answer = await this.#client.request(queue.address, request(queue), this.#options.timeoutMs);
        const status = STATUS.get(answer.code);
        if (status === undefined) throw new RemotingError(answer.code, answer.remark ?? "");
        const sent = sendResponse.decode(answer.fields);
        return {
          status,
          messageId,
          offsetMessageId: sent.msgId,
          brokerName: queue.brokerName,
          queueId: sent.queueId,
          queueOffset: sent.queueOffset,
          recallHandle: sent.recallHandle,
        };
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
    if (queues.length === 0) {
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
    if (!this.#brokers.has(queue.address)) {
      this.#brokers.add(queue.address);
      this.#introduce(queue.address);
    }
    return queue;
  }

  /** Tells a broker who we are; it matters to administrators only, so a failure does not. */
  #introduce(address: string): void {
    const body = encodeHeartbeat({
      clientId: this.#clientId,
      producerGroups: [this.#options.group],
      consumers: [],
      fingerprint: 0,
      withoutSubscriptions: false,
    });
    this.#client.request(address, { code: RequestCode.HEART_BEAT, body }, this.#options.timeoutMs).catch(
      () => {},
    );
  }

  #fields(queue: RoutedQueue, properties: string, batch: boolean) {
    return encodeSendV2({
      producerGroup: this.#options.group,
      topic: queue.topic,
      defaultTopic: DEFAULT_TOPIC,
      defaultTopicQueueNums: DEFAULT_QUEUE_COUNT,
      queueId: queue.queueId,
      sysFlag: 0,
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
