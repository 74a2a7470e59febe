// SPDX-License-Identifier: Apache-2.0
/**
 * END_TRANSACTION (37): a producer commits or rolls back, by itself or because it was asked; clients send it
 * one-way. RESUME_CHECK_HALF_MESSAGE (323): an operator wants producers to be asked once more about a transaction
 * that was given up. [RMQ EndTransactionProcessor, AdminBrokerProcessor.resumeCheckHalfMessage]
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../base/clock.ts";
import {
  type EndTransactionRequest,
  endTransactionRequest,
  resumeCheckRequest,
} from "../../protocol/headers/transaction.ts";
import { parseOffsetMessageId } from "../../protocol/message_id.ts";
import type { MessageRecord } from "../../protocol/record.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { SysFlag } from "../../protocol/sys_flag.ts";
import type { Response } from "../../remoting/command.ts";
import { formatAddress } from "../../remoting/connection.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import { type Handler, LATER, type Request } from "../../remoting/request.ts";
import type { Appended, MessageDraft } from "../../store/types.ts";
import type { Outcome } from "../durability.ts";
import { asRemotingError, sendAnswer } from "../put_outcome.ts";
import {
  GIVEN_UP_TOPIC,
  type Half,
  HALF_QUEUE_ID,
  HALF_TOPIC,
  halfOf,
  toCommitted,
  toRenewed,
} from "../transactions/half.ts";
import { isTooLate } from "../transactions/judge.ts";

const logger = getLogger(["rmq", "broker"]);

export interface EndTransactionOptions {
  store: {
    append(draft: MessageDraft): Appended;
    readMessage(physicalOffset: number): MessageRecord | undefined;
  };
  durability: { when(endOffset: number, mayWait: boolean, settle: (outcome: Outcome) => void): void };
  transactions: {
    end(halfOffset: number, final: MessageDraft | undefined, onEnd: (outcome: Outcome) => void): void;
  };
  /** A committed message as it is stored: one with a delay waits from now on. @throws RemotingError */
  asStored: (draft: MessageDraft) => MessageDraft;
  clock: Clock;
  settings: () => { readonly transactionTimeoutMs: number };
}

const SUCCESS: Response = { code: ResponseCode.SUCCESS };

export function endTransactionHandlers(options: EndTransactionOptions): [number, Handler][] {
  return [
    [RequestCode.END_TRANSACTION, (request) => handleEnd(options, request)],
    [RequestCode.RESUME_CHECK_HALF_MESSAGE, (request) => handleResume(options, request)],
  ];
}

function handleEnd(options: EndTransactionOptions, request: Request): Response | typeof LATER {
  const end = endTransactionRequest.decode(request.fields);
  const isCommit = end.commitOrRollback === SysFlag.TRANSACTION_COMMIT;
  if (!isCommit && end.commitOrRollback !== SysFlag.TRANSACTION_ROLLBACK) {
    logger.debug("{peer} has not decided about the transaction {msgId}: {remark}", {
      peer: formatAddress(request.connection.remote),
      msgId: end.msgId,
      remark: request.command.remark,
    });
    return SUCCESS;
  }
  const half = requireHalf(options, end);
  try {
    const final = isCommit ? options.asStored(toCommitted(half)) : undefined;
    options.transactions.end(end.tranStateTableOffset, final, (outcome) => {
      // Clients can't tell "stored, but not flushed in time" from a failure here. [RMQ sendFinalMessage]
      request.respond(outcome instanceof Error ? sendAnswer(outcome, SUCCESS) : SUCCESS);
    });
  } catch (error) {
    throw asRemotingError(error);
  }
  return LATER;
}

/** @throws RemotingError where the request does not fit the half message, or comes too late */
function requireHalf(options: EndTransactionOptions, end: EndTransactionRequest): Half {
  const record = options.store.readMessage(end.commitLogOffset);
  const isThere = record?.topic === HALF_TOPIC && record.queueId === HALF_QUEUE_ID;
  const half = isThere ? halfOf(record) : undefined;
  if (half === undefined) throw wrong("Find prepared transaction message failed");
  if (
    !end.fromTransactionCheck &&
    isTooLate(half, options.clock.nowMs(), options.settings().transactionTimeoutMs)
  ) {
    throw new RemotingError(
      ResponseCode.ILLEGAL_OPERATION,
      "the time is over that the producer wanted not to be asked: it will be asked",
    );
  }
  if (half.producerGroup !== end.producerGroup) throw wrong("The producer group wrong");
  if (half.record.queueOffset !== end.tranStateTableOffset) {
    throw wrong("The transaction state table offset wrong");
  }
  return half;
}

function wrong(remark: string): RemotingError {
  return new RemotingError(ResponseCode.SYSTEM_ERROR, remark);
}

function handleResume(options: EndTransactionOptions, request: Request): Response | typeof LATER {
  const { msgId } = resumeCheckRequest.decode(request.fields);
  const place = parseOffsetMessageId(msgId);
  const record = place && options.store.readMessage(place.physicalOffset);
  const isGivenUp = record !== undefined && (record.topic === GIVEN_UP_TOPIC || record.topic === HALF_TOPIC);
  const half = isGivenUp ? halfOf(record) : undefined;
  if (half === undefined) throw wrong(`${msgId.slice(0, 64)} is no half message of a transaction`);
  let appended: Appended;
  try {
    appended = options.store.append(toRenewed(half, 0));
  } catch (error) {
    throw asRemotingError(error);
  }
  options.durability.when(appended.endOffset, true, (outcome) => {
    const answer = sendAnswer(outcome, SUCCESS);
    request.respond(outcome === "STORED" ? answer : { ...answer, code: ResponseCode.SYSTEM_ERROR });
  });
  return LATER;
}
