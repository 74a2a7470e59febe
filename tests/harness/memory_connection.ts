// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../../src/base/clock.ts";
import { CURRENT_VERSION } from "../../src/protocol/version.ts";
import {
  type Command,
  FLAG_ONEWAY,
  FLAG_RESPONSE,
  type OutgoingRequest,
  type Response,
  SerializeType,
} from "../../src/remoting/command.ts";
import type { Connection, HostAddress } from "../../src/remoting/connection.ts";
import { Dispatch } from "../../src/remoting/dispatch.ts";
import { hostAddress } from "../../src/remoting/host_address.ts";
import { RemotingIoError } from "../../src/remoting/remoting_error.ts";
import { type Handler, type HandlerTable, Request } from "../../src/remoting/request.ts";

let lastId = 0;
let lastOpaque = 0;

/** What a test says of a request that comes in; the rest is as a Java client of today would send it. */
export interface IncomingRequest {
  code: number;
  fields?: Command["fields"];
  body?: Uint8Array | null;
  oneway?: boolean;
  language?: number;
  version?: number;
  opaque?: number;
}

/** A call that the code under test made to the peer and the test has not answered yet. */
export interface PendingCall {
  readonly request: OutgoingRequest;
  readonly timeoutMs: number;
  answer(response: Response): void;
  fail(error: Error): void;
}

export interface MemoryConnectionOptions {
  /** `ip:port` of the peer; every connection has its own port unless told. */
  remote?: string;
  local?: string;
  /** Ends calls to the peer after their timeout; without it they wait for ever. */
  clock?: Clock;
  /** Answers calls to the peer at once; undefined leaves the call in `calls`. */
  onRequest?: (request: OutgoingRequest) => Response | undefined;
}

/** A connection without sockets: what handlers send is kept, what a peer would send is up to the test. */
export class MemoryConnection implements Connection {
  readonly id = ++lastId;
  readonly remote: HostAddress;
  readonly local: HostAddress;
  /** Everything answered, in order. */
  readonly responses: { request: Command; response: Response }[] = [];
  /** Everything sent by `notify`, in order. */
  readonly notifications: OutgoingRequest[] = [];
  /** Calls to the peer that wait for an answer, oldest first. */
  readonly calls: PendingCall[] = [];
  /** Requests answered or released, out of those that came in by `ask` and `tell`. */
  releasedCount = 0;
  /** A test may say that the peer does not read. */
  unsentBytes = 0;
  #closed = false;
  #closeListeners: (() => void)[] = [];
  #waiters = new Map<Command, (response: Response) => void>();
  readonly #options: MemoryConnectionOptions;

  constructor(options: MemoryConnectionOptions = {}) {
    this.#options = options;
    this.remote = address(options.remote ?? `127.0.0.1:${40000 + (this.id % 20000)}`);
    this.local = address(options.local ?? "127.0.0.1:10911");
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Sends a request through `target` and resolves with its answer, whenever it comes; errors come as codes. */
  ask(target: Handler | HandlerTable | Dispatch, incoming: IncomingRequest): Promise<Response> {
    const request = this.incoming(incoming);
    return new Promise<Response>((resolve) => {
      this.#waiters.set(request.command, resolve);
      serve(target, request);
    });
  }

  /** Sends a one-way request through `target`. */
  tell(target: Handler | HandlerTable | Dispatch, incoming: IncomingRequest): Request {
    const request = this.incoming({ ...incoming, oneway: true });
    serve(target, request);
    return request;
  }

  /** A request as a handler gets it. */
  incoming(request: IncomingRequest): Request {
    const command: Command = {
      code: request.code,
      language: request.language ?? 0,
      version: request.version ?? CURRENT_VERSION,
      opaque: request.opaque ?? ++lastOpaque,
      flag: request.oneway ? FLAG_ONEWAY : 0,
      remark: null,
      fields: request.fields ?? null,
      body: request.body?.length ? request.body : null,
      serializeType: SerializeType.JSON,
    };
    return new Request(command, this, () => this.releasedCount++);
  }

  respond(request: Command, response: Response): void {
    if (this.#closed) return;
    this.responses.push({ request, response });
    this.#waiters.get(request)?.(response);
    this.#waiters.delete(request);
  }

  request(request: OutgoingRequest, timeoutMs: number): Promise<Command> {
    if (this.#closed) return Promise.reject(new RemotingIoError("the connection is closed"));
    return new Promise((resolve, reject) => {
      const settle = (settled: () => void) => {
        const at = this.calls.indexOf(call);
        if (at < 0) return;
        this.calls.splice(at, 1);
        timer?.cancel();
        settled();
      };
      const call: PendingCall = {
        request,
        timeoutMs,
        answer: (response) => settle(() => resolve(answerCommand(response))),
        fail: (error) => settle(() => reject(error)),
      };
      this.calls.push(call);
      const timer = this.#options.clock?.after(
        timeoutMs,
        () => call.fail(new RemotingIoError(`no answer within ${timeoutMs} ms`)),
      );
      const response = this.#options.onRequest?.(request);
      if (response !== undefined) call.answer(response);
    });
  }

  notify(request: OutgoingRequest): void {
    if (!this.#closed) this.notifications.push(request);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const call of [...this.calls]) call.fail(new RemotingIoError("the connection was closed"));
    for (const listener of this.#closeListeners.splice(0)) listener();
  }

  onClose(listener: () => void): void {
    if (this.#closed) listener();
    else this.#closeListeners.push(listener);
  }
}

/** All body bytes of a response in one piece; empty where it has none. */
export function bodyBytes(response: Response): Uint8Array {
  const { body } = response;
  if (body === undefined) return new Uint8Array(0);
  return body instanceof Uint8Array ? body : Buffer.concat([...body]);
}

function serve(target: Handler | HandlerTable | Dispatch, request: Request): void {
  if (target instanceof Dispatch) target.handle(request);
  else if (typeof target === "function") new Dispatch(new Map([[request.code, target]])).handle(request);
  else new Dispatch(target).handle(request);
}

function answerCommand(response: Response): Command {
  const body = bodyBytes(response);
  return {
    code: response.code,
    language: 0,
    version: CURRENT_VERSION,
    opaque: ++lastOpaque,
    flag: FLAG_RESPONSE,
    remark: response.remark ?? null,
    fields: response.fields ?? null,
    body: body.length > 0 ? body : null,
    serializeType: SerializeType.JSON,
  };
}

function address(text: string): HostAddress {
  const colon = text.lastIndexOf(":");
  return hostAddress(text.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), Number(text.slice(colon + 1)));
}
