// SPDX-License-Identifier: Apache-2.0
/**
 * SEND_REPLY_MESSAGE (324) and SEND_REPLY_MESSAGE_V2 (325): the answer to a request that another client sent as a
 * message. It is pushed to that client (326), on the connection that its producer's heartbeat came from, and kept
 * as a message where `storeReplyMessageEnable` says so. The sender is told how the push ended.
 * [RMQ ReplyMessageProcessor]
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import type { Fields } from "../../protocol/header.ts";
import { pushReplyRequest } from "../../protocol/headers/reply.ts";
import { decodeSendV1, decodeSendV2, type SendRequest } from "../../protocol/headers/send.ts";
import { offsetMessageId } from "../../protocol/message_id.ts";
import { encodeProperties, parseProperties, Property } from "../../protocol/properties.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { SysFlag, TRANSACTION_MASK } from "../../protocol/sys_flag.ts";
import type { Response } from "../../remoting/command.ts";
import { type Connection, formatAddress, type HostAddress } from "../../remoting/connection.ts";
import { errorResponse } from "../../remoting/dispatch.ts";
import type { Handler, Request } from "../../remoting/request.ts";
import {
  type Appended,
  type MessageDraft,
  MessageIllegalError,
  StoreRefusedError,
} from "../../store/types.ts";
import type { Outcome } from "../durability.ts";
import { SendTarget, type TargetSettings, type TargetTopics } from "../send_target.ts";

const logger = getLogger(["rmq", "broker"]);

export interface ReplyOptions {
  store: { append(draft: MessageDraft): Appended };
  durability: { when(endOffset: number, mayWait: boolean, settle: (outcome: Outcome) => void): void };
  topics: TargetTopics;
  statistics: { onStored(topic: string, messageCount: number, byteCount: number): void };
  /** The connection of a producer, by its client's id. */
  connectionOf: (clientId: string) => Connection | undefined;
  clock: Clock;
  storeHost: HostAddress;
  settings: () => TargetSettings & {
    readonly regionId: string;
    readonly traceOn: boolean;
    readonly storeReplies: boolean;
  };
}

/** How long the client may take to say that it has the reply. [RMQ Broker2Client.callClient] */
const PUSH_TIMEOUT_MS = 10_000;
const NO_BODY = new Uint8Array(0);

export function replyHandlers(options: ReplyOptions): [number, Handler][] {
  const replies = new Replies(options);
  return [
    [RequestCode.SEND_REPLY_MESSAGE, (request) => replies.handle(request, decodeSendV1(request.fields))],
    [RequestCode.SEND_REPLY_MESSAGE_V2, (request) => replies.handle(request, decodeSendV2(request.fields))],
  ];
}

class Replies {
  #options: ReplyOptions;
  #target: SendTarget;

  constructor(options: ReplyOptions) {
    this.#options = options;
    this.#target = new SendTarget(options);
  }

  async handle(request: Request, send: SendRequest): Promise<Response> {
    const { regionId, traceOn, storeReplies } = this.#options.settings();
    const fields: Fields = { MSG_REGION: regionId, TRACE_ON: String(traceOn) };
    try {
      const { queueId } = this.#target.of(send);
      // both at once: a client that is slow to read does not hold up the one that replies any longer
      const pushed = this.#push(request, send);
      const stored = storeReplies ? this.#store(request, send, queueId) : undefined;
      const [problem, place] = await Promise.all([pushed, stored]);
      if (problem === undefined || place !== undefined) {
        fields.msgId = place?.msgId ?? "0";
        fields.queueId = String(queueId);
        fields.queueOffset = place?.queueOffset ?? "0";
      }
      if (problem === undefined) return { code: ResponseCode.SUCCESS, fields };
      logger.warn("{peer}: {problem}", { peer: formatAddress(request.connection.remote), problem });
      return { code: ResponseCode.SYSTEM_ERROR, remark: problem, fields };
    } catch (error) {
      return { fields, ...errorResponse(error, request) };
    }
  }

  /** Resolves with what went wrong. */
  async #push(request: Request, send: SendRequest): Promise<string | undefined> {
    const properties = parseProperties(send.properties);
    const clientId = properties.get(Property.REPLY_TO_CLIENT);
    if (clientId === undefined) return `reply message properties[${Property.REPLY_TO_CLIENT}] is null`;
    const connection = this.#options.connectionOf(clientId);
    if (connection === undefined) return `push reply message fail, channel of <${clientId}> not found.`;
    const nowMs = this.#options.clock.nowMs();
    properties.set(Property.PUSH_REPLY_TIME, String(nowMs));
    const fields = pushReplyRequest.encode({
      ...send,
      properties: encodeProperties(properties),
      bornHost: formatAddress(request.connection.remote),
      storeHost: formatAddress(this.#options.storeHost),
      storeTimestamp: nowMs,
    });
    const push = { code: RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT, fields, body: request.body ?? NO_BODY };
    try {
      const { code, remark } = await connection.request(push, PUSH_TIMEOUT_MS);
      return code === ResponseCode.SUCCESS ? undefined : `push reply message to ${clientId} fail: ${remark}`;
    } catch (error) {
      return `push reply message to ${clientId} fail: ${(error as Error).message}`;
    }
  }

  /** Where the reply lies; undefined where the store did not take it, which the reply does not depend on. */
  async #store(
    request: Request,
    send: SendRequest,
    queueId: number,
  ): Promise<{ msgId: string; queueOffset: string } | undefined> {
    const { store, storeHost, durability, statistics } = this.#options;
    try {
      const appended = store.append({
        topic: send.topic,
        queueId,
        flag: send.flag,
        sysFlag: send.sysFlag & ~(TRANSACTION_MASK | SysFlag.MULTI_TAGS),
        bornTimestampMs: send.bornTimestamp,
        bornHost: request.connection.remote,
        storeHost,
        reconsumeTimes: send.reconsumeTimes,
        preparedTransactionOffset: 0,
        body: request.body ?? NO_BODY,
        properties: send.properties,
        propertyMap: parseProperties(send.properties),
      });
      const outcome = await new Promise<Outcome>((resolve) =>
        durability.when(appended.endOffset, true, resolve)
      );
      if (outcome instanceof Error) throw outcome;
      statistics.onStored(send.topic, 1, appended.endOffset - appended.physicalOffset);
      return {
        msgId: offsetMessageId(storeHost, appended.physicalOffset),
        queueOffset: String(appended.queueOffset),
      };
    } catch (error) {
      if (!(error instanceof StoreRefusedError || error instanceof MessageIllegalError)) throw error;
      logger.warn("a reply could not be kept as a message: {error}", { error });
      return undefined;
    }
  }
}
