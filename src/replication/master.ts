// SPDX-License-Identifier: Apache-2.0
/**
 * The master's end of replication: a port at which slaves fetch the log, and what they have of it.
 *
 * It knows nothing of who waits for slaves, or how many of them: it tells what each has acknowledged. A slave that
 * says it has more than the master is sent nothing, and never counts. [RMQ DefaultHAService]
 */
import { getLogger } from "@logtape/logtape";
import type { Timer } from "../base/clock.ts";
import type { BytePipe, Network, PipeServer } from "./pipe.ts";
import { SlaveConnection, type TransferOptions } from "./slave_connection.ts";
import { tcpNetwork } from "./tcp.ts";
import type { SlaveState } from "./types.ts";

const logger = getLogger(["rmq", "replication"]);

/** How often silent connections are looked at, as a part of the shorter of their two intervals. */
const LOOKS_PER_INTERVAL = 4;
/** Further connections are closed at once: nobody has so many slaves, and each may cost two buffers. */
const MAX_CONNECTIONS = 64;

export interface ReplicationMasterOptions extends TransferOptions {
  host: string;
  /** 0 lets the system choose; `ReplicationMaster.port` tells. */
  port: number;
  /** A slave that has said nothing for so long is disconnected. */
  housekeepingIntervalMs: number;
  network?: Network;
}

export class ReplicationMaster {
  readonly #options: ReplicationMasterOptions;
  /** End of the log when this process began with it: nobody waits for what is before. */
  readonly #initialEnd: number;
  readonly #connections = new Set<SlaveConnection>();
  readonly #listeners: (() => void)[] = [];
  #server: PipeServer | undefined;
  #timer: Timer | undefined;
  #isClosed = false;

  /** @throws the system's error (`EADDRINUSE`, …) when the port can't be had */
  static async listen(options: ReplicationMasterOptions): Promise<ReplicationMaster> {
    const master = new ReplicationMaster(options);
    const { network = tcpNetwork, host, port } = options;
    master.#server = await network.listen(host, port, (pipe) => master.#onPipe(pipe));
    return master;
  }

  private constructor(options: ReplicationMasterOptions) {
    this.#options = options;
    this.#initialEnd = options.store.maxPhysicalOffset;
    const { store, clock, heartbeatIntervalMs, housekeepingIntervalMs } = options;
    if (options.sends === "WRITTEN") store.onWritten(() => this.#push());
    else store.onWatermark(() => this.#push());
    const lookMs = Math.max(1, Math.min(heartbeatIntervalMs, housekeepingIntervalMs) / LOOKS_PER_INTERVAL);
    this.#timer = clock.every(lookMs, () => {
      for (const connection of this.#connections) connection.keepAlive(housekeepingIntervalMs);
    });
  }

  /** The port in use. */
  get port(): number {
    return this.#server!.port;
  }

  /** The slaves that are connected, in the order in which they came; also those that have not reported yet. */
  slaves(): SlaveState[] {
    return [...this.#connections].map((connection) => connection.state);
  }

  /**
   * The offset up to which at least `count` connected slaves have the log; -1 with fewer slaves. It falls when one
   * leaves: who waits has to remember what was reached.
   */
  ackedBy(count: number): number {
    if (count === 1) {
      let most = -1;
      for (const { provenOffset } of this.#connections) if (provenOffset > most) most = provenOffset;
      return most;
    }
    const proven = [...this.#connections].map(({ provenOffset }) => provenOffset);
    return proven.sort((a, b) => b - a)[count - 1] ?? -1;
  }

  /** How many slaves are connected and lack less than the operator's limit. */
  inSyncCount(): number {
    let count = 0;
    for (const connection of this.#connections) if (connection.isInSync) count++;
    return count;
  }

  /** Calls `listener` when a slave has acknowledged more, has come or has gone. */
  onAcked(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Closes all connections, and takes no more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const connection of [...this.#connections]) connection.close();
    await this.#server?.close();
  }

  #push(): void {
    for (const connection of this.#connections) connection.push();
  }

  #onPipe(pipe: BytePipe): void {
    if (this.#isClosed) return pipe.close();
    if (this.#connections.size >= MAX_CONNECTIONS) {
      logger.error("{address} is not taken as a slave: {count} are connected already", {
        address: pipe.remote,
        count: this.#connections.size,
      });
      return pipe.close();
    }
    const connection = new SlaveConnection(this.#options, this.#initialEnd, pipe, () => this.#tell());
    this.#connections.add(connection);
    pipe.listen({
      onData: (bytes) => connection.onData(bytes),
      onClose: (reason) => {
        connection.onClosed();
        this.#connections.delete(connection);
        if (this.#isClosed) return;
        logger.info("slave {address} has gone: {reason}", { address: connection.address, reason });
        this.#tell();
      },
    });
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
