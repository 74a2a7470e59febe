// SPDX-License-Identifier: Apache-2.0
import { connect, type Socket } from "node:net";
import { type Clock, systemClock } from "../base/clock.ts";
import type { Command, OutgoingRequest } from "./command.ts";
import type { Connection } from "./connection.ts";
import { Dispatch } from "./dispatch.ts";
import { parseAddress } from "./host_address.ts";
import { RemotingIoError } from "./remoting_error.ts";
import { type ConnectionLimits, SocketConnection } from "./socket_connection.ts";

export interface RemotingClientOptions {
  /** Serves what peers ask of us (a consumer is told of changes in its group, …); without it they get code 3. */
  dispatch?: Dispatch;
  clock?: Clock;
  /** How long a connection may take to come about. */
  connectTimeoutMs?: number;
  limits?: Partial<ConnectionLimits>;
  /** Called with every new connection before it is used. */
  onConnect?: (connection: Connection, address: string) => void;
}

const CONNECT_TIMEOUT_MS = 3000;

/** Calls peers by address (`host:port`), over one connection each, which is opened when it is needed. */
export class RemotingClient {
  readonly #options: RemotingClientOptions;
  readonly #dispatch: Dispatch;
  readonly #clock: Clock;
  readonly #open = new Map<string, SocketConnection>();
  readonly #opening = new Map<string, { socket: Socket; made: Promise<SocketConnection> }>();
  #closed = false;

  constructor(options: RemotingClientOptions = {}) {
    this.#options = options;
    this.#dispatch = options.dispatch ?? new Dispatch();
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Asks the peer at `address`. Answers of any code resolve. Rejects with RemotingIoError when the peer can't
   * be reached, the connection breaks, or `timeoutMs`, connecting included, pass without an answer.
   */
  async request(address: string, request: OutgoingRequest, timeoutMs: number): Promise<Command> {
    const open = this.#open.get(address);
    if (open !== undefined) return open.request(request, timeoutMs);
    const startMs = this.#clock.monotonicMs();
    const connection = await this.#within(timeoutMs, address, this.connection(address));
    const leftMs = timeoutMs - (this.#clock.monotonicMs() - startMs);
    return connection.request(request, Math.max(1, leftMs));
  }

  /** Sends a request that wants no answer; rejects with RemotingIoError when the peer can't be reached. */
  async notify(address: string, request: OutgoingRequest): Promise<void> {
    (await this.connection(address)).notify(request);
  }

  /** The connection to `address`, made now if there is none. Rejects with RemotingIoError. */
  connection(address: string): Promise<Connection> {
    if (this.#closed) return Promise.reject(new RemotingIoError("the client is closed"));
    const open = this.#open.get(address);
    if (open !== undefined) return Promise.resolve(open);
    return this.#opening.get(address)?.made ?? this.#connect(address);
  }

  /** Closes all connections; calls under way are rejected. */
  close(): void {
    this.#closed = true;
    for (const { socket } of this.#opening.values()) socket.destroy(new Error("the client was closed"));
    for (const connection of [...this.#open.values()]) connection.close();
  }

  #connect(address: string): Promise<SocketConnection> {
    let socket: Socket;
    try {
      socket = connect({ ...parseAddress(address), noDelay: true, allowHalfOpen: true });
    } catch (cause) {
      return Promise.reject(new RemotingIoError(`can't connect to ${address}: ${cause}`, { cause }));
    }
    const made = this.#connected(socket, address);
    this.#opening.set(address, { socket, made });
    return made;
  }

  #connected(socket: Socket, address: string): Promise<SocketConnection> {
    const timeoutMs = this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    return new Promise((resolve, reject) => {
      const onError = (cause: Error & { code?: string }) => {
        timer.cancel();
        this.#opening.delete(address);
        const reason = cause.message || cause.code || cause.name;
        reject(new RemotingIoError(`can't connect to ${address}: ${reason}`, { cause }));
      };
      const timer = this.#clock.after(timeoutMs, () => {
        socket.off("error", onError);
        socket.destroy();
        onError(new Error(`no connection within ${timeoutMs} ms`));
      });
      socket.once("error", onError);
      // A socket may fail more than once, and an error that nobody listens to ends the process.
      socket.on("error", () => {});
      socket.once("connect", () => {
        timer.cancel();
        socket.off("error", onError);
        this.#opening.delete(address);
        resolve(this.#adopt(socket, address));
      });
    });
  }

  #adopt(socket: Socket, address: string): SocketConnection {
    const connection = new SocketConnection(socket, {
      dispatch: this.#dispatch,
      clock: this.#clock,
      limits: this.#options.limits,
      closeWhenSilent: true,
    });
    this.#open.set(address, connection);
    connection.onClose(() => this.#open.delete(address));
    this.#options.onConnect?.(connection, address);
    return connection;
  }

  /** `made`, or a failure when it takes too long; others may wait on for it. */
  #within(timeoutMs: number, address: string, made: Promise<Connection>): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => {
        reject(new RemotingIoError(`no connection to ${address} within ${timeoutMs} ms`));
      });
      made.then(resolve, reject).finally(() => timer.cancel());
    });
  }
}
