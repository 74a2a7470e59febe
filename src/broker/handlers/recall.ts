// SPDX-License-Identifier: Apache-2.0
/**
 * RECALL_MESSAGE (370): a producer takes back a message that waits for its moment. Stored is another message, for
 * the same moment, that names it; success only says that this one is stored. [RMQ RecallMessageProcessor]
 */
import type { Clock } from "../../base/clock.ts";
import type { TopicConfig } from "../../protocol/bodies/topic_config.ts";
import { isWritable } from "../../protocol/bodies/topic_config.ts";
import { recallMessageRequest, recallMessageResponse } from "../../protocol/headers/recall.ts";
import { encodeProperties, Property } from "../../protocol/properties.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import { type Handler, LATER, type Request } from "../../remoting/request.ts";
import type { Appended, MessageDraft, StoredHost } from "../../store/types.ts";
import type { Outcome } from "../durability.ts";
import { decodeRecallHandle, type RecallHandle } from "../timers/recall_handle.ts";

export interface RecallOptions {
  store: { append(draft: MessageDraft): Appended };
  durability: { when(endOffset: number, mayWait: boolean, settle: (outcome: Outcome) => void): void };
  topics: { get(topic: string): TopicConfig | undefined };
  clock: Clock;
  storeHost: StoredHost;
  brokerName: string;
  /** The draft as it waits for the moment that it asks for. @throws RemotingError where that can't be */
  timed: (draft: MessageDraft) => MessageDraft;
  settings: () => {
    readonly recallEnabled: boolean;
    readonly recallWhenNotWritable: boolean;
    readonly recallKeyNamesTopic: boolean;
    readonly acceptSendsFromMs: number;
    readonly brokerPermission: number;
    readonly timerMaxDelayMs: number;
    readonly regionId: string;
  };
}

const TAG = "_RECALL_TAG_";
const BODY = new TextEncoder().encode("0");

export function recallHandlers(options: RecallOptions): [number, Handler][] {
  return [[RequestCode.RECALL_MESSAGE, (request) => handleRecall(options, request)]];
}

function handleRecall(options: RecallOptions, request: Request): typeof LATER {
  const { topic, recallHandle, producerGroup = "" } = recallMessageRequest.decode(request.fields);
  const handle = checkedHandle(options, topic, recallHandle);
  const { regionId } = options.settings();
  let appended: Appended;
  try {
    appended = options.store.append(options.timed(recallDraft(options, request, handle, producerGroup)));
  } catch (error) {
    throw failed(error);
  }
  options.durability.when(appended.endOffset, true, (outcome) => {
    if (outcome instanceof Error) {
      const { code, remark } = failed(outcome);
      request.respond({ code, remark });
      return;
    }
    const fields = { ...recallMessageResponse.encode({ msgId: handle.uniqueKey }), MSG_REGION: regionId };
    request.respond({ code: ResponseCode.SUCCESS, fields });
  });
  return LATER;
}

/** @throws RemotingError in Apache's words */
function checkedHandle(options: RecallOptions, topic: string, text: string): RecallHandle {
  const { clock, settings, topics, brokerName } = options;
  const { recallEnabled, acceptSendsFromMs, brokerPermission, recallWhenNotWritable, timerMaxDelayMs } =
    settings();
  if (!recallEnabled) refuse(ResponseCode.NO_PERMISSION, "operation is forbidden");
  const isServing = clock.nowMs() >= acceptSendsFromMs &&
    (isWritable(brokerPermission) || recallWhenNotWritable);
  if (!isServing) refuse(ResponseCode.SERVICE_NOT_AVAILABLE, "broker service not available");
  if (topics.get(topic) === undefined) refuse(ResponseCode.TOPIC_NOT_EXIST, `the topic[${topic}] not exist`);
  const handle = decodeRecallHandle(text);
  if (handle === undefined) {
    throw new RemotingError(ResponseCode.ILLEGAL_OPERATION, "recall handle is invalid");
  }
  if (handle.topic !== topic) refuse(ResponseCode.ILLEGAL_OPERATION, "topic not match");
  if (handle.brokerName !== brokerName) {
    refuse(ResponseCode.ILLEGAL_OPERATION, "broker service not available");
  }
  const leftMs = handle.timeMs - clock.nowMs();
  if (!(leftMs > 0 && leftMs < timerMaxDelayMs)) refuse(ResponseCode.ILLEGAL_OPERATION, "timestamp invalid");
  return handle;
}

function recallDraft(
  { clock, storeHost, settings }: RecallOptions,
  request: Request,
  { topic, timeMs, uniqueKey }: RecallHandle,
  producerGroup: string,
): MessageDraft {
  const nowMs = clock.nowMs();
  const propertyMap = new Map([
    [Property.TAGS, TAG],
    [Property.TIMER_DEL_UNIQKEY, settings().recallKeyNamesTopic ? `${topic}+${uniqueKey}` : uniqueKey],
    [Property.UNIQ_KEY, uniqueKey],
    [Property.TIMER_DELIVER_MS, String(timeMs)],
    [Property.BORN_TIMESTAMP, String(nowMs)],
    [Property.PRODUCER_GROUP, producerGroup],
  ]);
  return {
    topic,
    queueId: 0,
    flag: 0,
    sysFlag: 0,
    bornTimestampMs: nowMs,
    bornHost: request.connection.remote,
    storeHost,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: BODY,
    properties: encodeProperties(propertyMap),
    propertyMap,
  };
}

function refuse(code: ResponseCode, why: string): never {
  throw new RemotingError(code, `recall failed, ${why}`);
}

/** Whatever kept the message from being stored. */
function failed(cause: unknown): RemotingError {
  return new RemotingError(ResponseCode.SYSTEM_ERROR, "recall failed, execute error", { cause });
}
