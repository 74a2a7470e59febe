// SPDX-License-Identifier: Apache-2.0
/**
 * CONSUMER_SEND_MSG_BACK (36): a consumer could not deal with a message and wants it again later, or, after
 * too many tries, among the dead letters. [RMQ AbstractSendMessageProcessor.consumerSendMsgBack]
 */
import type { GroupConfig } from "../../protocol/bodies/subscription_group.ts";
import { isWritable, type TopicConfig, TopicSysFlag } from "../../protocol/bodies/topic_config.ts";
import { type SendBackRequest, sendBackRequest } from "../../protocol/headers/send.ts";
import { offsetMessageId } from "../../protocol/message_id.ts";
import { parseProperties, Property } from "../../protocol/properties.ts";
import type { MessageRecord } from "../../protocol/record.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import { type Handler, LATER, type Request } from "../../remoting/request.ts";
import type { Appended, MessageDraft, StoredHost } from "../../store/types.ts";
import { withDelay } from "../delay_levels.ts";
import type { Outcome } from "../durability.ts";
import { asRemotingError, statusName } from "../put_outcome.ts";
import { draftOfRecord } from "../record_draft.ts";
import { dlqTopicOf, retryTopicOf } from "../topic_name.ts";
import type { NewTopic } from "../topics.ts";

export interface SendBackOptions {
  store: {
    append(draft: MessageDraft): Appended;
    readMessage(physicalOffset: number): MessageRecord | undefined;
  };
  durability: { when(endOffset: number, mayWait: boolean, settle: (outcome: Outcome) => void): void };
  topics: { createForSendBack(topic: string, wish: NewTopic): TopicConfig | undefined };
  groups: { find(group: string): GroupConfig | undefined };
  statistics: {
    onStored(topic: string, messageCount: number, byteCount: number): void;
    onSentBack(topic: string, group: string): void;
    onDeadLetter(topic: string, group: string): void;
  };
  storeHost: StoredHost;
  delayLevelCount: number;
  settings: () => { readonly brokerPermission: number };
}

const READ_WRITE = 6;
const WRITE = 2;
/** Since this version consumers send a maximum of their own. [RMQ MQVersion.V3_4_9] */
const MAX_RECONSUME_SINCE = 121;
/** The first retry waits at this level, each further one at the next. */
const FIRST_RETRY_LEVEL = 3;

export function sendBackHandlers(options: SendBackOptions): [number, Handler][] {
  return [[RequestCode.CONSUMER_SEND_MSG_BACK, (request) => handleSendBack(options, request)]];
}

function handleSendBack(options: SendBackOptions, request: Request) {
  const back = sendBackRequest.decode(request.fields);
  const group = options.groups.find(back.group);
  if (group === undefined) {
    throw new RemotingError(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `subscription group not exist, ${back.group}`,
    );
  }
  if ((options.settings().brokerPermission & WRITE) === 0) {
    throw new RemotingError(
      ResponseCode.NO_PERMISSION,
      "the broker may not be written to (brokerPermission)",
    );
  }
  if (group.retryQueueNums <= 0) return { code: ResponseCode.SUCCESS };
  const message = options.store.readMessage(back.offset);
  if (message === undefined) {
    throw new RemotingError(ResponseCode.SYSTEM_ERROR, `look message by offset failed, ${back.offset}`);
  }
  const max = request.command.version >= MAX_RECONSUME_SINCE && back.maxReconsumeTimes !== undefined
    ? back.maxReconsumeTimes
    : group.retryMaxTimes;
  const isDead = message.reconsumeTimes >= max || back.delayLevel < 0;
  const draft = isDead ? deadLetter(options, back, message) : retry(options, back, message, group);
  let appended: Appended;
  try {
    appended = options.store.append(draft);
  } catch (error) {
    throw asRemotingError(error);
  }
  options.statistics.onStored(draft.topic, 1, appended.endOffset - appended.physicalOffset);
  if (isDead) options.statistics.onDeadLetter(back.originTopic ?? message.topic, back.group);
  else options.statistics.onSentBack(back.originTopic ?? message.topic, back.group);
  options.durability.when(appended.endOffset, true, (outcome) => {
    if (outcome === "STORED") request.respond({ code: ResponseCode.SUCCESS });
    else {
      // the client sends the message again by itself: rather twice than never
      request.respond({ code: ResponseCode.SYSTEM_ERROR, remark: statusName(outcome) });
    }
  });
  return LATER;
}

function retry(
  options: SendBackOptions,
  back: SendBackRequest,
  message: MessageRecord,
  group: GroupConfig,
): MessageDraft {
  const topic = retryTopicOf(back.group);
  const config = makeTopic(options, topic, group.retryQueueNums, back.unitMode);
  const level = back.delayLevel === 0 ? FIRST_RETRY_LEVEL + message.reconsumeTimes : back.delayLevel;
  const propertyMap = propertiesOf(options, message);
  propertyMap.set(Property.DELAY, String(level));
  // The group may have been given more queues since the topic was made; consumers read those of the topic.
  const queueCount = Math.max(1, Math.min(group.retryQueueNums, config.readQueueNums));
  const queueId = Math.floor(Math.random() * queueCount);
  return withDelay(copyOf(options, message, topic, queueId, propertyMap), options.delayLevelCount);
}

function deadLetter(options: SendBackOptions, back: SendBackRequest, message: MessageRecord): MessageDraft {
  const topic = dlqTopicOf(back.group);
  makeTopic(options, topic, 1, false);
  const propertyMap = propertiesOf(options, message);
  propertyMap.delete(Property.DELAY);
  return copyOf(options, message, topic, 0, propertyMap);
}

function makeTopic(
  options: SendBackOptions,
  topic: string,
  queueCount: number,
  unitMode: boolean,
): TopicConfig {
  const topicSysFlag = unitMode ? TopicSysFlag.UNIT_SUB : 0;
  const config = options.topics.createForSendBack(topic, { queueCount, perm: READ_WRITE, topicSysFlag });
  if (config === undefined) throw new RemotingError(ResponseCode.SYSTEM_ERROR, `topic[${topic}] not exist`);
  if (!isWritable(config.perm)) {
    throw new RemotingError(ResponseCode.NO_PERMISSION, `the topic[${topic}] sending message is forbidden`);
  }
  return config;
}

/** The message's properties, with the topic and id that it had first. */
function propertiesOf(options: SendBackOptions, message: MessageRecord): Map<string, string> {
  const propertyMap = parseProperties(message.properties);
  if (!propertyMap.has(Property.RETRY_TOPIC)) propertyMap.set(Property.RETRY_TOPIC, message.topic);
  if (!propertyMap.has(Property.ORIGIN_MESSAGE_ID)) {
    propertyMap.set(Property.ORIGIN_MESSAGE_ID, offsetMessageId(options.storeHost, message.physicalOffset));
  }
  return propertyMap;
}

function copyOf(
  options: SendBackOptions,
  message: MessageRecord,
  topic: string,
  queueId: number,
  propertyMap: Map<string, string>,
): MessageDraft {
  const draft = draftOfRecord(message, { topic, queueId }, propertyMap);
  return { ...draft, storeHost: options.storeHost, reconsumeTimes: message.reconsumeTimes + 1 };
}
