// SPDX-License-Identifier: Apache-2.0
/** Requests that wait for their reply, by correlation id. */
import { parseProperties } from "../protocol/properties.ts";
import { pushReplyRequest } from "../protocol/headers/reply.ts";
import { RequestCode } from "../protocol/request_code.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import type { Handler } from "../remoting/request.ts";
import { RemotingIoError } from "../remoting/remoting_error.ts";

/** What came back. */
export interface Reply {
  body: Uint8Array;
  properties: ReadonlyMap<string, string>;
}

/** Properties of requests and replies. [RMQ MessageConst] */
export const ReplyProperty = {
  CORRELATION_ID: "CORRELATION_ID",
  REPLY_TO_CLIENT: "REPLY_TO_CLIENT",
  TTL: "TTL",
  MSG_TYPE: "MSG_TYPE",
} as const;

interface Waiting {
  resolve(reply: Reply): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout>;
}

export class Replies {
  #waiting = new Map<string, Waiting>();

  /** Resolves with the reply; rejects with RemotingIoError after `timeoutMs`. */
  wait(correlationId: string, timeoutMs: number): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.fail(correlationId, new RemotingIoError(`no reply within ${timeoutMs} ms`)),
        timeoutMs,
      );
      this.#waiting.set(correlationId, { resolve, reject, timer });
    });
  }

  /** The request could not be sent: nobody will reply. */
  fail(correlationId: string, error: Error): void {
    this.#take(correlationId)?.reject(error);
  }

  /** Ends all waits. */
  stop(): void {
    for (const id of [...this.#waiting.keys()]) this.fail(id, new RemotingIoError("the producer is stopped"));
  }

  /** Serves PUSH_REPLY_MESSAGE_TO_CLIENT. */
  handler(): [number, Handler] {
    return [RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT, (request) => {
      const properties = parseProperties(pushReplyRequest.decode(request.fields).properties ?? "");
      const id = properties.get(ReplyProperty.CORRELATION_ID) ?? "";
      const waiting = this.#take(id);
      if (waiting === undefined) {
        return { code: ResponseCode.SYSTEM_ERROR, remark: `nobody waits for the reply ${id}` };
      }
      waiting.resolve({ body: Uint8Array.from(request.body ?? []), properties });
      return { code: ResponseCode.SUCCESS };
    }];
  }

  #take(correlationId: string): Waiting | undefined {
    const waiting = this.#waiting.get(correlationId);
    this.#waiting.delete(correlationId);
    if (waiting !== undefined) clearTimeout(waiting.timer);
    return waiting;
  }
}
