// SPDX-License-Identifier: Apache-2.0
/** What a slave refuses, for only its master may change anything. [RMQ SendMessageProcessor, AdminBrokerProcessor] */
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { Handler } from "../../remoting/request.ts";

interface FixedAnswer {
  readonly codes: readonly number[];
  readonly code: number;
  readonly remark: string;
}

const ANSWERS: readonly FixedAnswer[] = [
  {
    // Producers take this for a reason to try another broker.
    codes: [
      RequestCode.SEND_MESSAGE,
      RequestCode.SEND_MESSAGE_V2,
      RequestCode.SEND_BATCH_MESSAGE,
      RequestCode.CONSUMER_SEND_MSG_BACK,
      RequestCode.SEND_REPLY_MESSAGE,
      RequestCode.SEND_REPLY_MESSAGE_V2,
      RequestCode.POP_MESSAGE,
      RequestCode.ACK_MESSAGE,
      RequestCode.BATCH_ACK_MESSAGE,
      RequestCode.CHANGE_MESSAGE_INVISIBLETIME,
      RequestCode.POP_ROLLBACK,
    ],
    code: ResponseCode.SERVICE_NOT_AVAILABLE,
    remark: "this broker is a slave: it takes no messages, its master does",
  },
  {
    codes: [RequestCode.END_TRANSACTION, RequestCode.RECALL_MESSAGE, RequestCode.RESUME_CHECK_HALF_MESSAGE],
    code: ResponseCode.SLAVE_NOT_AVAILABLE,
    remark: "this broker is a slave: its master ends transactions and recalls messages",
  },
  {
    codes: [RequestCode.INVOKE_BROKER_TO_RESET_OFFSET],
    code: ResponseCode.SYSTEM_ERROR,
    remark: "Can not reset offset in slave broker",
  },
  {
    codes: [
      RequestCode.UPDATE_AND_CREATE_TOPIC,
      RequestCode.UPDATE_AND_CREATE_TOPIC_LIST,
      RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
      RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
      RequestCode.UPDATE_AND_GET_GROUP_FORBIDDEN,
      RequestCode.SET_MESSAGE_REQUEST_MODE,
    ],
    code: ResponseCode.SYSTEM_ERROR,
    remark:
      "Can't modify topic or subscription group from slave broker, please execute it from master broker.",
  },
  {
    // Tools send it to all members of a brokerName and stop at the first that refuses.
    codes: [RequestCode.DELETE_TOPIC_IN_BROKER, RequestCode.DELETE_SUBSCRIPTIONGROUP],
    code: ResponseCode.SUCCESS,
    remark: "nothing to do: a slave forgets what its master has forgotten",
  },
];

/** `handlers` with fixed answers in place of what changes messages or tables. */
export function onSlave(handlers: ReadonlyMap<number, Handler>): Map<number, Handler> {
  const served = new Map(handlers);
  for (const { codes, code, remark } of ANSWERS) {
    for (const requestCode of codes) served.set(requestCode, () => ({ code, remark }));
  }
  return served;
}
