// SPDX-License-Identifier: Apache-2.0
import type { Fields } from "../protocol/header.ts";
import { type Command, FLAG_ONEWAY, type Response } from "./command.ts";
import type { Connection } from "./connection.ts";
import type { RequestObserver } from "./dispatch.ts";

/** Returned by a handler that answers by `request.respond` later. */
export const LATER: unique symbol = Symbol("answered later");

/**
 * Serves one request code. Handlers run in the order in which requests came in on a connection; answers may
 * leave in any order. What a handler throws is turned into an answer by `Dispatch`.
 */
export type Handler = (request: Request) => Response | Promise<Response> | typeof LATER;

/** Request code to handler. */
export type HandlerTable = ReadonlyMap<number, Handler>;

/** A request on its way through the rooms. */
export class Request {
  #answered = false;
  #onAnswered: ((request: Request) => void) | undefined;
  #observer: RequestObserver | undefined;
  #startMs = 0;

  /** `onAnswered` is called once, when this is answered or released. */
  constructor(
    readonly command: Command,
    readonly connection: Connection,
    onAnswered?: (request: Request) => void,
  ) {
    this.#onAnswered = onAnswered;
  }

  get code(): number {
    return this.command.code;
  }

  get fields(): Fields | null {
    return this.command.fields;
  }

  get body(): Uint8Array | null {
    return this.command.body;
  }

  get isOneway(): boolean {
    return (this.command.flag & FLAG_ONEWAY) !== 0;
  }

  get isAnswered(): boolean {
    return this.#answered;
  }

  /** Answers, once; a one-way request is only marked as done. Further calls do nothing. */
  respond(response: Response): void {
    if (this.#answered) return;
    this.#answered = true;
    if (this.#observer !== undefined) this.#tell(this.#observer, response);
    this.release();
    if (!this.isOneway) this.connection.respond(this.command, response);
  }

  /** Has `observer` told when this is answered. */
  observe(observer: RequestObserver): void {
    this.#observer = observer;
    this.#startMs = performance.now();
  }

  #tell(observer: RequestObserver, { code: responseCode }: Response): void {
    observer({
      requestCode: this.code,
      responseCode,
      isOneway: this.isOneway,
      wasHeld: this.#onAnswered === undefined,
      ms: performance.now() - this.#startMs,
    });
  }

  /**
   * Takes this request out of the count of requests under way, beyond which a connection is not read: for
   * long polls, which wait for an event rather than for us.
   */
  release(): void {
    const onAnswered = this.#onAnswered;
    this.#onAnswered = undefined;
    onAnswered?.(this);
  }
}
