// SPDX-License-Identifier: Apache-2.0
/**
 * What a message may ask for, checked before anything is stored. Kinds of messages that are not built are
 * refused here: a half message must never be delivered as a plain one.
 */
import { Property } from "../protocol/properties.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { SysFlag, TRANSACTION_MASK } from "../protocol/sys_flag.ts";
import { RemotingError } from "../remoting/remoting_error.ts";
import { delayLevelOf, TIMER_REQUESTS } from "./delay_levels.ts";
import { isHalf } from "./transactions/half.ts";

/**
 * A consumer that sends back a message of a transaction keeps its TRAN_MSG: with a delay and a count of tries
 * it is a retry, not a half message. [RMQ SendMessageProcessor.sendMessage]
 * @param multiDispatch whether messages may name further queues
 * @throws RemotingError MESSAGE_ILLEGAL
 */
export function requireBuiltKind(
  sysFlag: number,
  reconsumeTimes: number,
  properties: ReadonlyMap<string, string>,
  multiDispatch = false,
): void {
  const delayLevel = delayLevelOf(properties);
  const isRetry = reconsumeTimes > 0 && delayLevel > 0;
  if ((sysFlag & TRANSACTION_MASK) !== 0 && !isRetry && !isHalf(reconsumeTimes, properties)) {
    throw illegal("its sysFlag tells of a transaction, but it has no property TRAN_MSG");
  }
  if (!multiDispatch && properties.has(Property.INNER_MULTI_DISPATCH)) {
    throw illegal(
      "INNER_MULTI_DISPATCH: the broker puts no message into several queues (enableMultiDispatch, enableLmq)",
    );
  }
  if (properties.has(Property.INNER_NUM) || (sysFlag & (SysFlag.INNER_BATCH | SysFlag.NEED_UNWRAP)) !== 0) {
    throw illegal("inner batches are not built yet");
  }
  if (Number.isNaN(delayLevel)) throw illegal("its property DELAY is no delay level");
}

/** @throws RemotingError MESSAGE_ILLEGAL: the parts of a batch share one queue and are stored as they are */
export function requirePlain(properties: ReadonlyMap<string, string>): void {
  if (delayLevelOf(properties) > 0) throw illegal("a batch can't be delayed");
  const timer = TIMER_REQUESTS.find((name) => properties.has(name));
  if (timer !== undefined) throw illegal(`a batch can't be delayed (${timer})`);
  if (isHalf(0, properties)) throw illegal("a batch can't be part of a transaction");
  if (properties.has(Property.INNER_MULTI_DISPATCH)) {
    throw illegal("messages of a batch can't be in several queues (INNER_MULTI_DISPATCH)");
  }
}

export function illegal(remark: string): RemotingError {
  return new RemotingError(ResponseCode.MESSAGE_ILLEGAL, `the message is illegal: ${remark}`);
}
