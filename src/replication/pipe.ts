// SPDX-License-Identifier: Apache-2.0
/**
 * A connection as replication sees it: bytes in, bytes out, an end. Tests put one in memory in its place, which
 * cuts, delays and loses as networks do.
 */
import type { Buffer } from "node:buffer";

export interface BytePipe {
  /** `host:port` of the peer. */
  readonly remote: string;
  /** Says who is told of what comes. To be called before this turn of the event loop ends. */
  listen(listener: PipeListener): void;
  /**
   * Sends bytes, which must not change before `onTaken` is called: then the system has them, and more may be
   * sent. It is not called once the pipe is closed.
   */
  write(bytes: Buffer, onTaken: () => void): void;
  /** Stops reading, so that the peer is slowed down; `resume` goes on. */
  pause(): void;
  resume(): void;
  /** Ends both directions at once; what was not taken yet is lost. The listener is told. */
  close(): void;
}

export interface PipeListener {
  /** Bytes that may be used until this returns. */
  onData(bytes: Buffer): void;
  /** Called once; nothing comes afterwards. `reason` is for a log. */
  onClose(reason: string): void;
}

/** Where pipes come from, and go to. */
export interface Network {
  /** @throws what the system says, or when there is no answer in time */
  connect(address: string, timeoutMs: number): Promise<BytePipe>;
  /** Calls `onPipe` for each pipe that a peer opens. Port 0 lets the system choose. @throws what the system says */
  listen(host: string, port: number, onPipe: (pipe: BytePipe) => void): Promise<PipeServer>;
}

export interface PipeServer {
  readonly port: number;
  /** Takes no more pipes; those that are open stay. */
  close(): Promise<void>;
}
