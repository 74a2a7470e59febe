// SPDX-License-Identifier: Apache-2.0
/** A producer's side of transactions: telling a broker what it has decided, and being asked. */
import {
  checkTransactionStateRequest,
  type EndTransactionRequest,
  endTransactionRequest,
} from "../protocol/headers/transaction.ts";
import { Property } from "../protocol/properties.ts";
import { RequestCode } from "../protocol/request_code.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { SysFlag } from "../protocol/sys_flag.ts";
import type { OutgoingRequest } from "../remoting/command.ts";
import { type Handler, LATER } from "../remoting/request.ts";
import { messagesOf, type ReceivedMessage } from "./consumer.ts";

/** What becomes of a message of a transaction. UNKNOWN: the broker asks later. */
export type Decision = "COMMIT" | "ROLLBACK" | "UNKNOWN";

/** Asked by a broker about a message that is not decided on; whoever throws does not know either. */
export type Decide = (message: ReceivedMessage) => Decision | Promise<Decision>;

const BITS: Readonly<Record<Decision, number>> = {
  COMMIT: SysFlag.TRANSACTION_COMMIT,
  ROLLBACK: SysFlag.TRANSACTION_ROLLBACK,
  UNKNOWN: 0,
};

export function endRequest(
  decision: Decision,
  place: Omit<EndTransactionRequest, "commitOrRollback">,
): OutgoingRequest {
  const fields = endTransactionRequest.encode({ ...place, commitOrRollback: BITS[decision] });
  return { code: RequestCode.END_TRANSACTION, fields };
}

/** Serves CHECK_TRANSACTION_STATE. */
export function checkHandler(decide: Decide | undefined): [number, Handler] {
  return [RequestCode.CHECK_TRANSACTION_STATE, (request) => {
    const place = checkTransactionStateRequest.decode(request.fields);
    const [message] = messagesOf(request.body ?? new Uint8Array(0));
    if (message === undefined) return { code: ResponseCode.SYSTEM_ERROR, remark: "no message" };
    void (async () => {
      let decision: Decision = "UNKNOWN";
      try {
        if (decide !== undefined) decision = await decide(message);
      } catch {
        // asked again
      }
      request.connection.notify(endRequest(decision, {
        topic: message.topic,
        producerGroup: message.properties.get(Property.PRODUCER_GROUP) ?? "",
        tranStateTableOffset: place.tranStateTableOffset,
        commitLogOffset: place.commitLogOffset,
        fromTransactionCheck: true,
        msgId: place.msgId,
        transactionId: place.transactionId,
      }));
      request.respond({ code: ResponseCode.SUCCESS });
    })();
    return LATER;
  }];
}
