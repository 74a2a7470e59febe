// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** What the proxy does to bytes. */
export interface Weather {
  /** Each piece waits so long. */
  delayMs?: number;
  /** Pieces are no longer than this; otherwise as they come. */
  pieceBytes?: number;
  /** A connection breaks after so many bytes in either direction. */
  cutAfterBytes?: number;
  /** Nothing passes any more, and nobody is told. */
  isHalfOpen?: boolean;
}

/** Stands between two peers that speak TCP, and treats what they say as bad networks do. */
export class TcpProxy {
  weather: Weather = {};
  #server: Server;
  #target: { host: string; port: number };
  #sockets = new Set<Socket>();
  /** Connections that came, all in all. */
  connectionCount = 0;

  static async listen(target: { host: string; port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  private constructor(target: { host: string; port: number }) {
    this.#target = target;
    this.#server = createServer({ noDelay: true }, (near) => this.#onConnection(near));
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections that are open now. */
  get openCount(): number {
    return this.#sockets.size / 2;
  }

  /** Breaks all connections; new ones may come. */
  cut(): void {
    for (const socket of [...this.#sockets]) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #onConnection(near: Socket): void {
    this.connectionCount++;
    const far = connect({ ...this.#target, noDelay: true });
    const budget = { bytes: this.weather.cutAfterBytes ?? Infinity };
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      this.#pass(from, to, budget);
    }
  }

  /** Passes pieces on, one after the other. */
  #pass(from: Socket, to: Socket, budget: { bytes: number }): void {
    let last: Promise<unknown> = Promise.resolve();
    from.on("data", (bytes: Uint8Array) => {
      const whole = Buffer.from(bytes);
      from.pause();
      const step = this.weather.pieceBytes ?? whole.length;
      for (let at = 0; at < whole.length; at += step) {
        const piece = whole.subarray(at, at + step);
        last = last.then(() => this.#send(piece, from, to, budget));
      }
      last = last.then(() => from.resume());
    });
  }

  async #send(piece: Buffer, from: Socket, to: Socket, budget: { bytes: number }): Promise<void> {
    const { delayMs = 0, isHalfOpen } = this.weather;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    if (isHalfOpen || to.destroyed) return;
    const allowed = Math.min(piece.length, budget.bytes);
    budget.bytes -= allowed;
    if (allowed > 0) {
      await new Promise<void>((resolve) => to.write(piece.subarray(0, allowed), () => resolve()));
    }
    if (budget.bytes === 0) from.destroy();
  }
}
