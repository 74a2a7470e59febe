// SPDX-License-Identifier: Apache-2.0
import { ResponseCode } from "../protocol/response_code.ts";
import type { Response } from "../remoting/command.ts";
import { RemotingError } from "../remoting/remoting_error.ts";
import { MessageIllegalError, StoreRefusedError } from "../store/types.ts";
import type { Outcome } from "./durability.ts";

/** What a sender is told when the store did not take its message: an error of the store as code and remark. */
export function asRemotingError(error: unknown): unknown {
  if (error instanceof MessageIllegalError) {
    return new RemotingError(ResponseCode.MESSAGE_ILLEGAL, error.message, { cause: error });
  }
  if (error instanceof StoreRefusedError) {
    return new RemotingError(
      ResponseCode.SERVICE_NOT_AVAILABLE,
      `service not available now: ${error.message}`,
      {
        cause: error,
      },
    );
  }
  return error;
}

/** What is stored, but not as safely as was asked for: its status in Apache, and what the sender is told. */
const STORED_ONLY = {
  FLUSH_TIMEOUT: {
    code: ResponseCode.FLUSH_DISK_TIMEOUT,
    status: "FLUSH_DISK_TIMEOUT",
    remark: "stored, but not flushed to the disk in time",
  },
  SLAVE_NOT_AVAILABLE: {
    code: ResponseCode.SLAVE_NOT_AVAILABLE,
    status: "SLAVE_NOT_AVAILABLE",
    remark: "stored, but there is no slave that could have it in time",
  },
  SLAVE_TIMEOUT: {
    code: ResponseCode.FLUSH_SLAVE_TIMEOUT,
    status: "FLUSH_SLAVE_TIMEOUT",
    remark: "stored, but slaves did not say in time that they have it",
  },
};

/** Apache's name for an outcome that is not good enough. [RMQ PutMessageStatus] */
export function statusName(outcome: Exclude<Outcome, "STORED">): string {
  return typeof outcome === "string" ? STORED_ONLY[outcome].status : outcome.message;
}

/** The answer to a send: `stored` where it is, with the code that says how safely. */
export function sendAnswer(outcome: Outcome, stored: Response): Response {
  if (outcome === "STORED") return stored;
  if (typeof outcome === "string") {
    const { code, remark } = STORED_ONLY[outcome];
    return { ...stored, code, remark };
  }
  const { code, remark } = asRemotingError(outcome) as RemotingError;
  return { code, remark };
}
