// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Clock, systemClock, type Timer } from "../base/clock.ts";
import { descriptorLimit } from "./descriptor_limit.ts";
import type { Dispatch } from "./dispatch.ts";
import { type ConnectionLimits, SocketConnection } from "./socket_connection.ts";

const logger = getLogger(["rmq", "remoting"]);

export interface RemotingServerOptions {
  host: string;
  /** 0 lets the system choose; `RemotingServer.port` tells. */
  port: number;
  dispatch: Dispatch;
  clock?: Clock;
  /** A connection on which nothing was read or written for so long is closed, within a twelfth more. */
  idleTimeoutMs?: number;
  limits?: Partial<ConnectionLimits>;
  /** Further ones are closed at once; three quarters of the process's descriptors unless told. */
  maxConnections?: number;
}

const IDLE_TIMEOUT_MS = 120_000;
const SWEEPS_PER_IDLE_TIMEOUT = 12;
const BACKLOG = 1024;

/** Listens on one port and serves every connection by one `Dispatch`. */
export class RemotingServer {
  readonly #server: Server;
  readonly #options: RemotingServerOptions;
  readonly #clock: Clock;
  readonly #connections = new Set<SocketConnection>();
  readonly #maxConnections: number;
  #isRefusing = false;
  #sweep: Timer | undefined;
  #closing: Promise<void> | undefined;

  /** @throws the system's error (`EADDRINUSE`, …) when the port can't be had */
  static async listen(options: RemotingServerOptions): Promise<RemotingServer> {
    const server = new RemotingServer(options);
    await server.#listen();
    return server;
  }

  /** Use `listen`. */
  constructor(options: RemotingServerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#maxConnections = options.maxConnections ?? Math.floor(descriptorLimit() * 0.75);
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#onSocket(socket));
  }

  /** The port in use. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The connections that are open, in the order in which they were made. */
  get connections(): ReadonlySet<SocketConnection> {
    return this.#connections;
  }

  /** Accepts no more, sends what was answered, closes all connections. Resolves when the last is gone. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: this.#options.host, port: this.#options.port, backlog: BACKLOG }, () => {
        this.#server.off("error", reject);
        // Out of file descriptors, mostly: connections that are there go on.
        this.#server.on("error", (error) => logger.error("can't accept a connection: {error}", { error }));
        const idleTimeoutMs = this.#options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
        this.#sweep = this.#clock.every(idleTimeoutMs / SWEEPS_PER_IDLE_TIMEOUT, () => {
          for (const connection of this.#connections) connection.closeIfIdle(idleTimeoutMs);
        });
        resolve();
      });
    });
  }

  #onSocket(socket: Socket): void {
    if (this.#connections.size >= this.#maxConnections) {
      this.#refuse(socket);
      return;
    }
    this.#isRefusing = false;
    const connection = new SocketConnection(socket, {
      dispatch: this.#options.dispatch,
      clock: this.#clock,
      limits: this.#options.limits,
    });
    this.#connections.add(connection);
    connection.onClose(() => this.#connections.delete(connection));
    if (this.#closing) connection.close();
  }

  #refuse(socket: Socket): void {
    socket.on("error", () => {});
    socket.destroy();
    if (!this.#isRefusing) {
      logger.error("there are {count} connections already: further ones are refused, raise ulimit -n", {
        count: this.#connections.size,
      });
    }
    this.#isRefusing = true;
  }

  #close(): Promise<void> {
    this.#sweep?.cancel();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.close();
    return closed;
  }
}
