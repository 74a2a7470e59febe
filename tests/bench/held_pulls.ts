// SPDX-License-Identifier: Apache-2.0
/** Many connections, each with one pull that waits: as little of a consumer as a broker can see. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { pullRequest } from "../../src/protocol/headers/pull.ts";
import { RequestCode } from "../../src/protocol/request_code.ts";
import { PullSysFlag } from "../../src/protocol/sys_flag.ts";

/** Connections that come about at a time: fewer than fit into a listener's queue. */
const TOGETHER = 100;
const SUSPEND_MS = 600_000;
const ANSWER_TIMEOUT_MS = 60_000;

export class HeldPulls {
  #address: string;
  #topic: string;
  #queueOffset: number;
  #sockets: Socket[] = [];
  #answered = 0;
  #whenAll = Promise.withResolvers<void>();

  /** @param queueOffset where nothing is yet, in queue 0 of `topic` */
  constructor(address: string, topic: string, queueOffset: number) {
    this.#address = address;
    this.#topic = topic;
    this.#queueOffset = queueOffset;
  }

  async open(connections: number, groupOf: (index: number) => string): Promise<void> {
    for (let first = 0; first < connections; first += TOGETHER) {
      const last = Math.min(first + TOGETHER, connections);
      await Promise.all(
        Array.from({ length: last - first }, (_, index) => this.#openOne(groupOf(first + index))),
      );
    }
  }

  /** Waits until each pull has its answer, or a time that is long for that. @returns how many have */
  async allAnswered(): Promise<number> {
    const timer = setTimeout(() => this.#whenAll.resolve(), ANSWER_TIMEOUT_MS);
    await this.#whenAll.promise;
    clearTimeout(timer);
    return this.#answered;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #openOne(group: string): Promise<void> {
    const [host, port] = this.#address.split(":");
    const socket = connect(Number(port), host);
    this.#sockets.push(socket);
    await once(socket, "connect");
    socket.on("error", () => {});
    socket.once("data", () => {
      if (++this.#answered === this.#sockets.length) this.#whenAll.resolve();
    });
    socket.write(this.#pull(group));
  }

  #pull(group: string): Uint8Array {
    const extFields = pullRequest.encode({
      ...{ consumerGroup: group, topic: this.#topic, queueId: 0, queueOffset: this.#queueOffset },
      ...{ maxMsgNums: 32, sysFlag: PullSysFlag.SUSPEND | PullSysFlag.SUBSCRIPTION, commitOffset: 0 },
      ...{ suspendTimeoutMillis: SUSPEND_MS, subscription: "*", subVersion: 0, expressionType: "TAG" },
    });
    const fields = extFields instanceof Map ? Object.fromEntries(extFields) : extFields;
    const code = RequestCode.PULL_MESSAGE;
    const header = new TextEncoder().encode(
      JSON.stringify({ code, flag: 0, language: "JAVA", opaque: 1, version: 479, extFields: fields }),
    );
    const frame = new Uint8Array(8 + header.length);
    const view = new DataView(frame.buffer);
    view.setUint32(0, 4 + header.length);
    view.setUint32(4, header.length);
    frame.set(header, 8);
    return frame;
  }
}
