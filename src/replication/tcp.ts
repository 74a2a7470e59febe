// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { getLogger } from "@logtape/logtape";
import type { BytePipe, Network, PipeListener } from "./pipe.ts";

const logger = getLogger(["rmq", "replication"]);

/** TCP, through `node:net`. */
export const tcpNetwork: Network = {
  connect(address, timeoutMs) {
    const { host, port } = splitAddress(address);
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true });
      const fail = (error: Error) => {
        socket.destroy();
        reject(error);
      };
      socket.setTimeout(timeoutMs, () => fail(new Error(`${address} does not answer`)));
      socket.once("error", fail);
      socket.once("connect", () => {
        socket.setTimeout(0);
        socket.off("error", fail);
        resolve(new TcpPipe(socket));
      });
    });
  },

  listen(host, port, onPipe) {
    const server = createServer({ noDelay: true }, (socket) => onPipe(new TcpPipe(socket)));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port }, () => {
        server.off("error", reject);
        server.on("error", (error) => logger.error("can't accept a slave: {error}", { error }));
        resolve({
          port: (server.address() as AddressInfo).port,
          close: () => new Promise((closed) => server.close(() => closed())),
        });
      });
    });
  },
};

/** `host:port`, an IPv6 host in brackets. @throws where it is none */
export function splitAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(address);
  if (match === null) throw new Error(`${JSON.stringify(address)} is no host:port`);
  return { host: match[1] ?? match[2], port: Number(match[3]) };
}

class TcpPipe implements BytePipe {
  readonly remote: string;
  readonly #socket: Socket;
  #reason = "closed by the peer";

  constructor(socket: Socket) {
    this.#socket = socket;
    const host = (socket.remoteAddress ?? "0.0.0.0").replace(/^::ffff:(?=[0-9.]+$)/, "");
    this.remote = `${host.includes(":") ? `[${host}]` : host}:${socket.remotePort ?? 0}`;
    socket.setNoDelay(true);
    socket.on("error", (error) => this.#reason = error.message);
  }

  listen(listener: PipeListener): void {
    this.#socket.on("data", (bytes: Uint8Array) => {
      listener.onData(bytes instanceof Buffer ? bytes : Buffer.from(bytes));
    });
    this.#socket.on("close", () => listener.onClose(this.#reason));
  }

  write(bytes: Buffer, onTaken: () => void): void {
    this.#socket.write(bytes, (error) => {
      if (!error) onTaken();
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#reason = "closed here";
    this.#socket.destroy();
  }
}
