// SPDX-License-Identifier: Apache-2.0
/** Messages as administrators look for them. */
import { TAG_EXPRESSION } from "../../protocol/bodies/subscription_data.ts";
import { pullRequest, pullResponse } from "../../protocol/headers/pull.ts";
import { queryMessageRequest, viewMessageRequest } from "../../protocol/headers/query.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { PullSysFlag } from "../../protocol/sys_flag.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import { messagesOf, type ReceivedMessage } from "../consumer.ts";
import { type AdminPeer, answerTo, askFor } from "./ask.ts";

/** The group that every broker lets pull without making it. [RMQ MixAll.TOOLS_CONSUMER_GROUP] */
const TOOLS_GROUP = "TOOLS_CONSUMER";

/** Waiting for an answer to a pull that is held takes longer than the hold. */
const AFTER_SUSPEND_MS = 5000;

export interface Pulled {
  readonly messages: ReceivedMessage[];
  /** Where to go on. */
  readonly nextOffset: number;
  readonly minOffset: number;
  readonly maxOffset: number;
}

export interface PullFrom {
  readonly topic: string;
  readonly queueId: number;
  readonly offset: number;
  readonly maxCount: number;
  /** `*`, or tags with `||` between. */
  readonly tags?: string;
  /** An SQL92 expression over properties, in place of tags; the broker must allow it. */
  readonly sql?: string;
  /** How long the broker may wait for a message to come; left out: it answers at once. */
  readonly suspendMs?: number;
}

/** Messages of a queue from an offset on, without a trace of us in the broker. */
export async function pull(broker: AdminPeer, from: PullFrom): Promise<Pulled> {
  const { suspendMs = 0 } = from;
  const fields = pullRequest.encode({
    consumerGroup: TOOLS_GROUP,
    topic: from.topic,
    queueId: from.queueId,
    queueOffset: from.offset,
    maxMsgNums: from.maxCount,
    sysFlag: PullSysFlag.SUBSCRIPTION | (suspendMs > 0 ? PullSysFlag.SUSPEND : 0),
    commitOffset: 0,
    suspendTimeoutMillis: suspendMs,
    subscription: from.sql ?? from.tags ?? "*",
    subVersion: Date.now(),
    expressionType: from.sql === undefined ? TAG_EXPRESSION : "SQL92",
  });
  const patient = suspendMs > 0 ? { ...broker, timeoutMs: suspendMs + AFTER_SUSPEND_MS } : broker;
  const answer = await answerTo(patient, RequestCode.PULL_MESSAGE, fields);
  switch (answer.code) {
    case ResponseCode.SUCCESS:
    case ResponseCode.PULL_NOT_FOUND:
    case ResponseCode.PULL_RETRY_IMMEDIATELY:
    case ResponseCode.PULL_OFFSET_MOVED: {
      const { nextBeginOffset, minOffset, maxOffset } = pullResponse.decode(answer.fields);
      const body = answer.code === ResponseCode.SUCCESS ? answer.body : null;
      return {
        messages: body === null ? [] : messagesOf(body),
        nextOffset: nextBeginOffset,
        minOffset,
        maxOffset,
      };
    }
    default:
      throw new RemotingError(answer.code, answer.remark ?? "");
  }
}

/** The message at a place in the log; undefined where none begins there. */
export async function viewMessage(
  broker: AdminPeer,
  topic: string | undefined,
  physicalOffset: number,
): Promise<ReceivedMessage | undefined> {
  const fields = viewMessageRequest.encode({ offset: physicalOffset, topic });
  const answer = await askFor(broker, ResponseCode.SYSTEM_ERROR, RequestCode.VIEW_MESSAGE_BY_ID, fields);
  return answer?.body ? messagesOf(answer.body)[0] : undefined;
}

export interface MessageQuery {
  readonly topic: string;
  readonly key: string;
  /** `key` is a unique key, which clients show as the message id. */
  readonly isUniqueKey: boolean;
  readonly maxCount: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Messages that have a key, in the order of the index: the latest first. */
export async function findMessages(broker: AdminPeer, query: MessageQuery): Promise<ReceivedMessage[]> {
  const fields = queryMessageRequest.encode({
    topic: query.topic,
    key: query.key,
    maxNum: query.maxCount,
    beginTimestamp: query.fromMs,
    endTimestamp: query.toMs,
    _UNIQUE_KEY_QUERY: query.isUniqueKey ? "true" : undefined,
  });
  const answer = await askFor(broker, ResponseCode.QUERY_NOT_FOUND, RequestCode.QUERY_MESSAGE, fields);
  if (!answer?.body) return [];
  // The index knows hashes of keys only.
  return messagesOf(answer.body).filter((message) => message.topic === query.topic && hasKey(message, query));
}

function hasKey(message: ReceivedMessage, { key, isUniqueKey }: MessageQuery): boolean {
  if (message.messageId === key) return true;
  return !isUniqueKey && (message.properties.get("KEYS") ?? "").split(" ").includes(key);
}
