// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import { MalformedError } from "../protocol/header.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import type { Response } from "./command.ts";
import { formatAddress } from "./connection.ts";
import { RemotingError } from "./remoting_error.ts";
import { type Handler, type HandlerTable, LATER, type Request } from "./request.ts";

const logger = getLogger(["rmq", "remoting"]);

/** What became of a request. */
export interface Served {
  requestCode: number;
  responseCode: number;
  isOneway: boolean;
  /** It waited for an event, not for us: a long poll. */
  wasHeld: boolean;
  ms: number;
}

export type RequestObserver = (served: Served) => void;

/**
 * Finds the handler of a request and turns its outcome into an answer: the one place where errors become
 * codes. Two ports that serve different sets of codes are two of these:
 *
 * ```ts
 * const main = new Dispatch(sends, pulls, admin);
 * const vip = main.without(PULL_MESSAGE, LITE_PULL_MESSAGE);
 * ```
 */
export class Dispatch {
  readonly #handlers = new Map<number, Handler>();
  #observer: RequestObserver | undefined;

  /** @throws Error when two tables serve the same code */
  constructor(...tables: readonly HandlerTable[]) {
    for (const table of tables) {
      for (const [code, handler] of table) {
        if (this.#handlers.has(code)) throw new Error(`two handlers for the request code ${code}`);
        this.#handlers.set(code, handler);
      }
    }
  }

  /** The codes that have a handler. */
  get codes(): number[] {
    return [...this.#handlers.keys()];
  }

  /** The same without these codes, which are then answered as unknown ones are. */
  without(...codes: readonly number[]): Dispatch {
    const dispatch = new Dispatch(new Map([...this.#handlers].filter(([code]) => !codes.includes(code))));
    dispatch.#observer = this.#observer;
    return dispatch;
  }

  /** Tells `observer` of each request that is answered from now on. */
  observe(observer: RequestObserver): void {
    this.#observer = observer;
  }

  /** Serves `request`; never throws. Handlers that don't wait have answered when this returns. */
  handle(request: Request): void {
    if (this.#observer !== undefined) request.observe(this.#observer);
    const handler = this.#handlers.get(request.command.code);
    if (handler === undefined) {
      request.respond(notSupported(request.command.code));
      return;
    }
    try {
      const outcome = handler(request);
      if (outcome === LATER) return;
      if (isPromise(outcome)) this.#answerWhenSettled(request, outcome);
      else request.respond(outcome);
    } catch (error) {
      request.respond(errorResponse(error, request));
    }
  }

  #answerWhenSettled(request: Request, outcome: Promise<Response>): void {
    outcome.then((response) => request.respond(response))
      .catch((error) => request.respond(errorResponse(error, request)));
  }
}

/**
 * What a client is told of an error thrown while serving `request`. Handlers that answer `LATER` use it
 * for errors that come after they returned. What nobody foresaw is logged with its stack.
 */
export function errorResponse(error: unknown, request: Request): Response {
  if (error instanceof RemotingError) {
    const { code, remark, fields } = error;
    return fields === undefined ? { code, remark } : { code, remark, fields };
  }
  if (error instanceof MalformedError) return { code: ResponseCode.SYSTEM_ERROR, remark: error.message };
  logger.error("request {code} of {peer} failed: {error}", {
    code: request.command.code,
    peer: formatAddress(request.connection.remote),
    error,
  });
  return { code: ResponseCode.SYSTEM_ERROR, remark: String(error) };
}

function notSupported(code: number): Response {
  // The leading blank is Apache's. [RMQ NettyRemotingAbstract]
  return { code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark: ` request type ${code} not supported` };
}

function isPromise(outcome: Response | Promise<Response>): outcome is Promise<Response> {
  return typeof (outcome as { then?: unknown }).then === "function";
}
