// SPDX-License-Identifier: Apache-2.0
import type { Command, OutgoingRequest, Response } from "./command.ts";

/** One end of a TCP connection. */
export interface HostAddress {
  /** Text form; an IPv4 address mapped into IPv6 is given as plain IPv4. */
  readonly host: string;
  readonly port: number;
  /** The address as stored in messages: 4 or 16 bytes. */
  readonly ip: Uint8Array;
}

/** What handlers see of a peer: no sockets, so that they are tested without any. */
export interface Connection {
  /** Unique in this process. */
  readonly id: number;
  readonly remote: HostAddress;
  readonly local: HostAddress;
  readonly closed: boolean;
  /** Bytes that wait for the peer to read them. */
  readonly unsentBytes: number;
  /** Sends the answer to a request. Does nothing once closed. */
  respond(request: Command, response: Response): void;
  /** Calls the peer. @throws RemotingIoError when it can't be sent, the connection closes or `timeoutMs` pass. */
  request(request: OutgoingRequest, timeoutMs: number): Promise<Command>;
  /** Sends a request that wants no answer. Does nothing once closed. */
  notify(request: OutgoingRequest): void;
  /** Closes at once; what was answered before is still sent. */
  close(): void;
  /** Calls `listener` once, when the connection is closed by either side (at once if it is already). */
  onClose(listener: () => void): void;
}

/** `host:port`, IPv6 hosts in brackets. */
export function formatAddress(address: { host: string; port: number }): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
