// SPDX-License-Identifier: Apache-2.0
/**
 * A member of a group that pops: it is given messages of any queue, each for a time in which nobody else is, and
 * acknowledges those that were handled. What it can't handle comes again, later each time, and is put among the dead
 * letters in the end. More members than queues help, and none of them holds up another.
 */
import { randomBytes } from "node:crypto";
import { encodeHeartbeat } from "../protocol/bodies/heartbeat.ts";
import type { SubscriptionData } from "../protocol/bodies/subscription_data.ts";
import { unregisterClientRequest } from "../protocol/headers/client.ts";
import {
  ackRequest,
  changeInvisibleTimeRequest,
  PopInitMode,
  popRequest,
  popResponse,
} from "../protocol/headers/pop.ts";
import { sendBackRequest } from "../protocol/headers/send.ts";
import { decodeOffsetInfo, decodeReceipt, encodeReceipt, RetryFlag } from "../protocol/pop_receipt.ts";
import { Property } from "../protocol/properties.ts";
import { RequestCode } from "../protocol/request_code.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { RemotingClient } from "../remoting/client.ts";
import type { Command, OutgoingRequest } from "../remoting/command.ts";
import { RemotingError } from "../remoting/remoting_error.ts";
import { isWanted, messagesOf, type ReceivedMessage, subscriptionOf } from "./consumer.ts";
import { Routes } from "./routes.ts";

export interface PopConsumerOptions {
  nameServers: string;
  group: string;
  topic: string;
  /** `*`, or tags with `||` between, or an SQL92 expression. */
  expression?: string | { sql: string };
  /** Where a new group begins. */
  from?: "first" | "last";
  /** How long a message is this member's; handling a batch must not take longer. */
  invisibleMs?: number;
  /** Messages handed on together at most; no more than 32. */
  batchCount?: number;
  /** A message that could not be handled so often is put among the dead letters (`%DLQ%group`). */
  maxTries?: number;
  /** How long a message that could not be handled waits, the n-th time; the last counts for all further ones. */
  retryDelaysMs?: readonly number[];
  /** What it throws makes all messages of the batch come again. */
  onMessages: (messages: ReceivedMessage[]) => void | Promise<void>;
}

const RETRY_PREFIX = "%RETRY%";
const HEARTBEAT_MS = 30_000;
/** Brokers that have come are looked for so often. */
const LOOK_MS = 1000;
const RETRY_MS = 1000;
const POLL_MS = 15_000;
const TIMEOUT_MS = 5000;
/** As long as Java's clients wait. */
const RETRY_DELAYS_MS = [10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200]
  .map((seconds) => seconds * 1000);

/** A message, and what names it to the broker that gave it. */
interface Popped {
  readonly message: ReceivedMessage;
  /** The topic that holds it: a retry topic where it comes again. */
  readonly heldIn: string;
  readonly receipt: string;
}

export class PopConsumer {
  #options: Required<PopConsumerOptions>;
  #client = new RemotingClient();
  #routes: Routes;
  #clientId = `${randomBytes(6).toString("hex")}@rmq`;
  #subscription: SubscriptionData;
  #loops = new Map<string, Promise<void>>();
  /** Batches that are with their handlers. */
  #handling = new Set<Promise<void>>();
  #timers: ReturnType<typeof setInterval>[] = [];
  #isStopped = false;

  constructor(options: PopConsumerOptions) {
    this.#options = {
      ...{ expression: "*", from: "last", invisibleMs: 60_000, batchCount: 32, maxTries: 16 },
      retryDelaysMs: RETRY_DELAYS_MS,
      ...options,
    };
    this.#routes = new Routes(this.#client, options.nameServers);
    this.#subscription = subscriptionOf(this.#options.topic, this.#options.expression, Date.now());
  }

  /** Introduces itself to the topic's brokers and begins to pop from each. */
  async start(): Promise<void> {
    await this.#look();
    await this.#introduce();
    this.#timers.push(
      setInterval(() => void this.#look().catch(() => {}), LOOK_MS),
      setInterval(() => void this.#introduce().catch(() => {}), HEARTBEAT_MS),
    );
  }

  /** Finishes what is being handled and says goodbye. What was popped meanwhile comes again. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const timer of this.#timers) clearInterval(timer);
    const fields = unregisterClientRequest.encode({
      clientID: this.#clientId,
      producerGroup: undefined,
      consumerGroup: this.#options.group,
    });
    const handling = [...this.#handling];
    await Promise.all(handling);
    for (const address of this.#loops.keys()) {
      await this.#call(address, { code: RequestCode.UNREGISTER_CLIENT, fields }).catch(() => {});
    }
    this.#client.close();
    await Promise.all(this.#loops.values());
  }

  /** Begins to pop from brokers that are new. */
  async #look(): Promise<void> {
    const route = await this.#routes.route(this.#options.topic);
    if (route === undefined) return;
    for (const { brokerName, address } of await this.#routes.readableQueues(this.#options.topic)) {
      if (this.#loops.has(address) || this.#isStopped) continue;
      this.#loops.set(address, this.#popFrom(address, brokerName));
    }
  }

  async #introduce(): Promise<void> {
    const { group, from } = this.#options;
    const body = encodeHeartbeat({
      clientId: this.#clientId,
      producerGroups: [],
      consumers: [{
        groupName: group,
        consumeType: "CONSUME_POP",
        messageModel: "CLUSTERING",
        consumeFromWhere: from === "first" ? "CONSUME_FROM_FIRST_OFFSET" : "CONSUME_FROM_LAST_OFFSET",
        unitMode: false,
        subscriptionDataSet: [this.#subscription],
      }],
      fingerprint: 0,
      withoutSubscriptions: false,
    });
    for (const address of this.#loops.keys()) {
      await this.#call(address, { code: RequestCode.HEART_BEAT, body }).catch(() => {});
    }
  }

  async #popFrom(address: string, brokerName: string): Promise<void> {
    while (!this.#isStopped) {
      try {
        const popped = await this.#pop(address, brokerName);
        if (popped.length === 0 || this.#isStopped) continue;
        const handled = this.#handle(address, popped);
        this.#handling.add(handled);
        await handled.finally(() => this.#handling.delete(handled));
      } catch {
        if (!this.#isStopped) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /** Waits for messages; none where none came. */
  async #pop(address: string, brokerName: string): Promise<Popped[]> {
    const { group, topic, batchCount, invisibleMs, from } = this.#options;
    const fields = popRequest.encode({
      ...{ consumerGroup: group, topic, queueId: -1, maxMsgNums: batchCount, invisibleTime: invisibleMs },
      ...{ pollTime: POLL_MS, bornTime: Date.now(), order: false, attemptId: undefined },
      initMode: from === "first" ? PopInitMode.MIN : PopInitMode.MAX,
      ...{ expType: this.#subscription.expressionType, exp: this.#subscription.subString },
    });
    const timeoutMs = POLL_MS + TIMEOUT_MS;
    const answer = await this.#client.request(address, { code: RequestCode.POP_MESSAGE, fields }, timeoutMs);
    if (answer.code === ResponseCode.POLLING_TIMEOUT) return [];
    if (answer.code !== ResponseCode.SUCCESS) throw new RemotingError(answer.code, answer.remark ?? "");
    const popped = poppedOf(answer, brokerName, group);
    // Brokers compare hashes of tags, which may collide.
    const isMine = ({ message }: Popped) => isWanted(message, this.#subscription);
    for (const other of popped.filter((item) => !isMine(item))) await this.#ack(address, other);
    return popped.filter(isMine);
  }

  async #handle(address: string, popped: readonly Popped[]): Promise<void> {
    try {
      await this.#options.onMessages(popped.map(({ message }) => message));
    } catch {
      for (const item of popped) await this.#comeAgain(address, item);
      return;
    }
    for (const item of popped) await this.#ack(address, item);
  }

  /** A failure leaves the message to come again by itself, when its time is up. */
  async #ack(address: string, { message, heldIn, receipt }: Popped): Promise<void> {
    const { queueId, queueOffset: offset } = message;
    const consumerGroup = this.#options.group;
    const fields = ackRequest.encode({ consumerGroup, topic: heldIn, queueId, extraInfo: receipt, offset });
    await this.#call(address, { code: RequestCode.ACK_MESSAGE, fields });
  }

  async #comeAgain(address: string, popped: Popped): Promise<void> {
    const { message, heldIn, receipt } = popped;
    const { group: consumerGroup, maxTries, retryDelaysMs } = this.#options;
    if (message.reconsumeTimes + 1 >= maxTries) return await this.#giveUp(address, popped);
    const delayMs = retryDelaysMs[Math.min(message.reconsumeTimes, retryDelaysMs.length - 1)];
    const fields = changeInvisibleTimeRequest.encode({
      ...{ consumerGroup, topic: heldIn, queueId: message.queueId, extraInfo: receipt },
      ...{ offset: message.queueOffset, invisibleTime: delayMs },
    });
    await this.#call(address, { code: RequestCode.CHANGE_MESSAGE_INVISIBLETIME, fields });
  }

  /** The dead letter first, for it must not be lost between the two. */
  async #giveUp(address: string, popped: Popped): Promise<void> {
    const { physicalOffset, messageId, topic } = popped.message;
    const fields = sendBackRequest.encode({
      ...{ offset: physicalOffset, group: this.#options.group, delayLevel: -1, originMsgId: messageId },
      ...{ originTopic: topic, unitMode: false, maxReconsumeTimes: undefined },
    });
    await this.#call(address, { code: RequestCode.CONSUMER_SEND_MSG_BACK, fields });
    await this.#ack(address, popped);
  }

  async #call(address: string, request: OutgoingRequest): Promise<Command> {
    const answer = await this.#client.request(address, request, TIMEOUT_MS);
    if (answer.code !== ResponseCode.SUCCESS) throw new RemotingError(answer.code, answer.remark ?? "");
    return answer;
  }
}

/** The messages of an answer; those that come again bring their receipts, the others' are made of its header. */
function poppedOf(answer: Command, brokerName: string, group: string): Popped[] {
  const { popTime, invisibleTime, reviveQid, startOffsetInfo } = popResponse.decode(answer.fields);
  const starts = decodeOffsetInfo(startOffsetInfo ?? "");
  return messagesOf(answer.body!).map((message) => {
    const { topic, queueId, queueOffset } = message;
    const retry = retryFlagOf(topic);
    const receipt = message.properties.get(Property.POP_CK) ?? encodeReceipt({
      startOffset: starts.get(`${retry}@${queueId}`)?.[0] ?? queueOffset,
      ...{ popTimeMs: popTime, invisibleMs: invisibleTime, reviveQueueId: reviveQid },
      ...{ retry, brokerName, queueId, queueOffset },
    });
    return { message, heldIn: holdingTopic(topic, group, receipt), receipt };
  });
}

/** Of a topic as messages show it: only where a broker is told to, those that come again show the retry topic. */
function retryFlagOf(topic: string): string {
  if (!topic.startsWith(RETRY_PREFIX)) return RetryFlag.NORMAL;
  return topic.includes("+") ? RetryFlag.V2 : RetryFlag.V1;
}

function holdingTopic(topic: string, group: string, receipt: string): string {
  const { retry } = decodeReceipt(receipt);
  if (retry === RetryFlag.NORMAL || topic.startsWith(RETRY_PREFIX)) return topic;
  return `${RETRY_PREFIX}${group}${retry === RetryFlag.V2 ? "+" : "_"}${topic}`;
}
