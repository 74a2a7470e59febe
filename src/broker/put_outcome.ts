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

/** The answer to a send: `stored` where it is, with the code that says how safely. */
export function sendAnswer(outcome: Outcome, stored: Response): Response {
  if (outcome === "STORED") return stored;
  if (outcome === "FLUSH_TIMEOUT") {
    const remark = "stored, but not flushed to the disk in time";
    return { ...stored, code: ResponseCode.FLUSH_DISK_TIMEOUT, remark };
  }
  const { code, remark } = asRemotingError(outcome) as RemotingError;
  return { code, remark };
}
