// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import type { Fields } from "../../src/protocol/header.ts";
import { readFrame } from "../../src/remoting/codec.ts";
import { type Command, FLAG_ONEWAY } from "../../src/remoting/command.ts";
import { FrameCutter } from "../../src/remoting/frame.ts";
import { until } from "../harness/until.ts";

export interface RawRequest {
  code: number;
  opaque?: number;
  fields?: Fields;
  body?: Uint8Array;
  oneway?: boolean;
}

/** A frame made without the code under test. */
export function requestFrame({ code, opaque = 0, fields, body, oneway }: RawRequest): Buffer {
  const header = {
    code,
    language: "JAVA",
    version: 493,
    opaque,
    flag: oneway ? FLAG_ONEWAY : 0,
    extFields: fields,
  };
  const text = Buffer.from(JSON.stringify(header));
  const frame = Buffer.concat([Buffer.alloc(8), text, body ?? new Uint8Array(0)]);
  frame.writeInt32BE(frame.length - 4, 0);
  frame.writeInt32BE(text.length, 4);
  return frame;
}

/** A client that writes any bytes, and may leave what comes unread. */
export class RawPeer {
  readonly received: Command[] = [];
  closed = false;
  readonly #cutter = new FrameCutter();

  private constructor(readonly socket: Socket) {
    socket.on("data", (chunk: Uint8Array) => {
      this.#cutter.push(chunk);
      while (this.#cutter.next()) {
        this.received.push(readFrame(this.#cutter.bytes, this.#cutter.start, this.#cutter.end));
      }
    });
    socket.on("error", () => {});
    socket.on("close", () => this.closed = true);
  }

  static connect(port: number): Promise<RawPeer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new RawPeer(socket));
      });
    });
  }

  send(...requests: RawRequest[]): void {
    this.write(Buffer.concat(requests.map(requestFrame)));
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Waits for this many answers in all. */
  async answers(count: number): Promise<Command[]> {
    await until(() => this.received.length >= count || this.closed);
    return this.received;
  }
}
