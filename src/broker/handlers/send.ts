// SPDX-License-Identifier: Apache-2.0
/** SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320). [RMQ SendMessageProcessor] */
import type { Clock } from "../../base/clock.ts";
import { decodeBatch } from "../../protocol/batch_body.ts";
import type { GroupConfig } from "../../protocol/bodies/subscription_group.ts";
import { decodeSendV1, decodeSendV2, type SendRequest } from "../../protocol/headers/send.ts";
import { createUniqueKey, offsetMessageId } from "../../protocol/message_id.ts";
import {
  appendProperty,
  encodeProperties,
  joinProperties,
  parseProperties,
  Property,
  removeProperty,
} from "../../protocol/properties.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { SysFlag, TRANSACTION_MASK } from "../../protocol/sys_flag.ts";
import type { Fields } from "../../protocol/header.ts";
import type { Response } from "../../remoting/command.ts";
import { errorResponse } from "../../remoting/dispatch.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import { type Handler, LATER, type Request } from "../../remoting/request.ts";
import type { Appended, MessageDraft, StoredHost } from "../../store/types.ts";
import { withDelay } from "../delay_levels.ts";
import { illegal, requireBuiltKind, requirePlain } from "../draft_rules.ts";
import type { Outcome } from "../durability.ts";
import { hasVainPriority } from "../priority.ts";
import { asRemotingError, sendAnswer } from "../put_outcome.ts";
import { recallHandleOf } from "../timers/recall_handle.ts";
import { TIMER_TOPIC } from "../timers/timer_request.ts";
import type { MessageKind } from "../statistics.ts";
import { SendTarget, type TargetSettings, type TargetTopics } from "../send_target.ts";
import { isHalf, toHalf } from "../transactions/half.ts";
import { dlqTopicOf, isRetryTopic, requireTopicName, RETRY_PREFIX } from "../topic_name.ts";

export interface SendOptions {
  store: {
    append(draft: MessageDraft): Appended;
    appendBatch(drafts: readonly MessageDraft[]): Appended[];
    lightQueueProblem(names: string, propertiesLength: number): string | undefined;
  };
  durability: { when(endOffset: number, mayWait: boolean, settle: (outcome: Outcome) => void): void };
  topics: TargetTopics;
  /** Resolves when name servers know the topics as they are: the one who makes a topic finds its route at once. */
  published: () => Promise<void>;
  groups: { find(group: string): GroupConfig | undefined };
  /** Whether any queue of the group is locked by a member, which tells an ordered group. */
  hasLocks: (group: string) => boolean;
  statistics: SendStatistics;
  clock: Clock;
  /** As stored in messages and message ids: the address that clients are given. */
  storeHost: StoredHost;
  clusterName: string;
  brokerName: string;
  delayLevelCount: number;
  /** The draft as it waits for the moment that it asks for, or as it is. @throws RemotingError where that can't be */
  timed: (draft: MessageDraft) => MessageDraft;
  /** What may change while the broker runs. */
  settings: () => SendSettings;
}

export interface SendSettings extends TargetSettings {
  readonly maxMessageBytes: number;
  readonly regionId: string;
  readonly traceOn: boolean;
  readonly rejectTransactions: boolean;
  /** Messages may be in the light queues that they name. */
  readonly multiDispatch: boolean;
}

export interface SendStatistics {
  onStored(topic: string, messageCount: number, byteCount: number, kind?: MessageKind): void;
  onRefused(): void;
  onDeadLetter(topic: string, group: string): void;
}

const MAX_BATCH_TOPIC_LENGTH = 127;

export function sendHandlers(options: SendOptions): [number, Handler][] {
  const sender = new Sender(options);
  return [
    [RequestCode.SEND_MESSAGE, (request) => sender.handle(request, decodeSendV1(request.fields))],
    [RequestCode.SEND_MESSAGE_V2, (request) => sender.handle(request, decodeSendV2(request.fields))],
    [RequestCode.SEND_BATCH_MESSAGE, (request) => {
      const send = decodeSendV2(request.fields);
      send.batch = true;
      return sender.handle(request, send);
    }],
  ];
}

/** What the broker says of itself in every message. */
interface Stamp {
  settings: SendSettings;
  properties: readonly [string, string][];
  text: string;
}

/** Set by the broker, or meant for none but the one who read the message before. */
const NOT_FROM_SENDERS = [Property.POP_CK, Property.MSG_REGION, Property.TRACE_ON, Property.CLUSTER];

class Sender {
  #options: SendOptions;
  #target: SendTarget;
  #stamp: Stamp | undefined;

  constructor(options: SendOptions) {
    this.#options = options;
    this.#target = new SendTarget(options);
  }

  handle(request: Request, send: SendRequest): typeof LATER | Response {
    try {
      if (send.batch) this.#sendBatch(request, send);
      else this.#sendOne(request, send);
      return LATER;
    } catch (error) {
      return this.#refusal(errorResponse(asRemotingError(error), request));
    }
  }

  #sendOne(request: Request, send: SendRequest): void {
    const body = requireBody(request);
    const propertyMap = parseProperties(send.properties);
    const { queueId, isNewTopic } = this.#target.of(send, propertyMap);
    const { multiDispatch } = this.#options.settings();
    requireBuiltKind(send.sysFlag, send.reconsumeTimes, propertyMap, multiDispatch);
    const lightQueues = propertyMap.get(Property.INNER_MULTI_DISPATCH);
    if (lightQueues !== undefined) this.#requireLightQueues(lightQueues, send.properties.length);
    let draft = this.#draft(request, send, queueId, body, propertyMap);
    if (isRetryTopic(send.topic)) draft = this.#checkRetry(draft, send, request.command.version);
    const isTransactional = isHalf(send.reconsumeTimes, propertyMap);
    if (isTransactional) draft = this.#half(draft);
    else draft = this.#options.timed(withDelay(draft, this.#options.delayLevelCount));
    const { physicalOffset, queueOffset, endOffset } = this.#options.store.append(draft);
    this.#options.statistics.onStored(
      isTransactional ? draft.topic : send.topic,
      1,
      endOffset - physicalOffset,
      isTransactional ? "transaction" : kindOf(draft.propertyMap),
    );
    const fields = this.#commonFields();
    fields.msgId = offsetMessageId(this.#options.storeHost, physicalOffset);
    fields.queueId = String(queueId);
    fields.queueOffset = String(queueOffset);
    fields.transactionId = draft.propertyMap.get(Property.UNIQ_KEY)!;
    if (draft.topic === TIMER_TOPIC) {
      const handle = recallHandleOf(draft.propertyMap, this.#options.brokerName);
      if (handle !== undefined) fields.recallHandle = handle;
    }
    this.#acknowledge(request, endOffset, mayWait(draft.propertyMap), fields, isNewTopic);
  }

  /** @throws RemotingError MESSAGE_ILLEGAL */
  #requireLightQueues(names: string, propertiesLength: number): void {
    const problem = this.#options.store.lightQueueProblem(names, propertiesLength);
    if (problem !== undefined) throw illegal(problem);
  }

  /** @throws RemotingError where transactions are not wanted */
  #half(draft: MessageDraft): MessageDraft {
    if (this.#options.settings().rejectTransactions) {
      throw new RemotingError(
        ResponseCode.NO_PERMISSION,
        "the broker does not take transactional messages (rejectTransactionMessage)",
      );
    }
    if (!draft.propertyMap.has(Property.PRODUCER_GROUP)) {
      throw illegal("a transactional message needs the property PGROUP: whom to ask about it");
    }
    // it waits for its commit first; but what could not be delivered then is refused now
    this.#options.timed(withDelay(draft, this.#options.delayLevelCount));
    return toHalf(draft);
  }

  #sendBatch(request: Request, send: SendRequest): void {
    const body = requireBody(request);
    const { topic } = send;
    const { maxMessageBytes } = this.#options.settings();
    if (body.length > maxMessageBytes) {
      throw illegal(`the batch has ${body.length} bytes, at most ${maxMessageBytes} are allowed`);
    }
    if (topic.length > MAX_BATCH_TOPIC_LENGTH) {
      requireTopicName(topic);
      throw illegal(`the topic of a batch is longer than ${MAX_BATCH_TOPIC_LENGTH} characters`);
    }
    if (isRetryTopic(topic)) throw illegal("a batch can't be sent to a retry topic");
    const { queueId, isNewTopic } = this.#target.of(send);
    const outer = parseProperties(send.properties);
    requireBuiltKind(send.sysFlag, send.reconsumeTimes, outer);
    requirePlain(outer);
    const drafts = decodeBatch(body).map((part) => {
      const propertyMap = parseProperties(part.properties);
      requireBuiltKind(send.sysFlag, send.reconsumeTimes, propertyMap);
      requirePlain(propertyMap);
      const draft = this.#plainDraft(request, send, queueId, part.body, part.properties, propertyMap);
      draft.flag = part.flag;
      return draft;
    });
    if (drafts.length === 0) throw illegal("the batch holds no message");
    const appended = this.#options.store.appendBatch(drafts);
    const { endOffset } = appended[appended.length - 1];
    this.#options.statistics.onStored(topic, drafts.length, endOffset - appended[0].physicalOffset);
    const fields = this.#commonFields();
    const { storeHost } = this.#options;
    fields.msgId = appended.map(({ physicalOffset }) => offsetMessageId(storeHost, physicalOffset)).join(",");
    fields.queueId = String(queueId);
    fields.queueOffset = String(appended[0].queueOffset);
    this.#acknowledge(request, endOffset, mayWait(outer), fields, isNewTopic);
  }

  #acknowledge(
    request: Request,
    endOffset: number,
    mayWait: boolean,
    fields: Fields,
    isNewTopic: boolean,
  ): void {
    const stored: Response = { code: ResponseCode.SUCCESS, fields };
    this.#options.durability.when(endOffset, mayWait, (outcome) => {
      if (outcome instanceof Error) {
        request.respond(this.#refusal(sendAnswer(outcome, stored)));
        return;
      }
      const answer = outcome === "STORED" ? stored : sendAnswer(outcome, stored);
      const respond = () => request.respond(answer);
      if (isNewTopic) void this.#options.published().then(respond, respond);
      else respond();
    });
  }

  /** A message to a retry topic comes from a consumer; one that was tried too often goes to the dead letters. */
  #checkRetry(draft: MessageDraft, send: SendRequest, version: number): MessageDraft {
    const groupName = send.topic.slice(RETRY_PREFIX.length);
    const group = this.#options.groups.find(groupName);
    if (group === undefined) {
      throw new RemotingError(
        ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
        `subscription group not exist, ${groupName}`,
      );
    }
    const max = version >= MAX_RECONSUME_SINCE && send.maxReconsumeTimes !== undefined
      ? send.maxReconsumeTimes
      : group.retryMaxTimes;
    if (send.reconsumeTimes <= max && !this.#options.hasLocks(groupName)) return draft;
    const topic = dlqTopicOf(groupName);
    const made = this.#options.topics.createForSendBack(topic, { queueCount: 1, perm: 6 });
    if (made === undefined) {
      throw new RemotingError(ResponseCode.SYSTEM_ERROR, `the topic ${topic} can't be made`);
    }
    this.#options.statistics.onDeadLetter(send.topic, groupName);
    const propertyMap = new Map(draft.propertyMap);
    propertyMap.delete(Property.DELAY);
    return { ...draft, topic, queueId: 0, propertyMap, properties: encodeProperties(propertyMap) };
  }

  #draft(
    request: Request,
    send: SendRequest,
    queueId: number,
    body: Uint8Array,
    propertyMap: Map<string, string>,
  ): MessageDraft {
    let { properties } = send;
    for (const name of NOT_FROM_SENDERS) {
      if (propertyMap.delete(name)) properties = removeProperty(properties, name);
    }
    if (propertyMap.has(Property.PRIORITY) && hasVainPriority(propertyMap)) {
      propertyMap.delete(Property.PRIORITY);
      properties = removeProperty(properties, Property.PRIORITY);
    }
    const stamp = this.#stampOf(this.#options.settings());
    for (const [name, value] of stamp.properties) propertyMap.set(name, value);
    properties = joinProperties(properties, stamp.text);
    if (!propertyMap.has(Property.UNIQ_KEY)) {
      const key = createUniqueKey(this.#options.storeHost.ip, this.#options.clock.nowMs());
      propertyMap.set(Property.UNIQ_KEY, key);
      properties = appendProperty(properties, Property.UNIQ_KEY, key);
    }
    return this.#plainDraft(request, send, queueId, body, properties, propertyMap);
  }

  /** The same for all messages until the settings change. */
  #stampOf(settings: SendSettings): Stamp {
    if (this.#stamp?.settings === settings) return this.#stamp;
    const properties: [string, string][] = [
      [Property.MSG_REGION, settings.regionId],
      [Property.TRACE_ON, String(settings.traceOn)],
      [Property.CLUSTER, this.#options.clusterName],
    ];
    return this.#stamp = { settings, properties, text: encodeProperties(properties) };
  }

  #plainDraft(
    request: Request,
    send: SendRequest,
    queueId: number,
    body: Uint8Array,
    properties: string,
    propertyMap: ReadonlyMap<string, string>,
  ): MessageDraft {
    return {
      topic: send.topic,
      queueId,
      flag: send.flag,
      sysFlag: send.sysFlag & ~(TRANSACTION_MASK | SysFlag.MULTI_TAGS),
      bornTimestampMs: send.bornTimestamp,
      bornHost: request.connection.remote,
      storeHost: this.#options.storeHost,
      reconsumeTimes: send.reconsumeTimes,
      preparedTransactionOffset: 0,
      body,
      properties,
      propertyMap,
    };
  }

  /** What a sender is told of a message that is not stored. */
  #refusal({ code, remark }: Response): Response {
    this.#options.statistics.onRefused();
    return { code, remark, fields: this.#commonFields() };
  }

  #commonFields(): Fields {
    const { regionId, traceOn } = this.#options.settings();
    return { MSG_REGION: regionId, TRACE_ON: String(traceOn) };
  }
}

/** Since this version consumers send a maximum of their own. [RMQ MQVersion.V3_4_9] */
const MAX_RECONSUME_SINCE = 121;

/** Absent means that the sender waits for the flush. */
function mayWait(properties: ReadonlyMap<string, string>): boolean {
  const wait = properties.get(Property.WAIT);
  return wait === undefined || wait.toLowerCase() === "true";
}

/** A frame can't tell an empty body from none; Apache 5.x refuses both with SYSTEM_ERROR. */
function requireBody(request: Request): Uint8Array {
  if (request.body !== null) return request.body;
  throw new RemotingError(ResponseCode.SYSTEM_ERROR, "the message has no body");
}

function kindOf(properties: ReadonlyMap<string, string>): MessageKind {
  if (properties.has(Property.SHARDING_KEY)) return "fifo";
  return properties.has(Property.REAL_TOPIC) ? "delay" : "normal";
}
