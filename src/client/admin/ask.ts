// SPDX-License-Identifier: Apache-2.0
import type { Fields } from "../../protocol/header.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import type { RemotingClient } from "../../remoting/client.ts";
import type { Command } from "../../remoting/command.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import type { Peer } from "../name_server_api.ts";

/**
 * A broker or name server that an administrator asks, with how long an answer may take. What is asked is one
 * function per request in the files beside this one; each rejects with RemotingError (code and remark of the
 * peer) or RemotingIoError.
 */
export interface AdminPeer {
  readonly address: string;
  readonly timeoutMs: number;
  readonly peer: Peer;
}

export function adminPeer(client: RemotingClient, address: string, timeoutMs: number): AdminPeer {
  return {
    address,
    timeoutMs,
    peer: { request: (request, timeoutMs) => client.request(address, request, timeoutMs) },
  };
}

/** An answer of success. */
export async function ask(
  peer: AdminPeer,
  code: number,
  fields?: Fields,
  body?: Uint8Array,
): Promise<Command> {
  const answer = await answerTo(peer, code, fields, body);
  if (answer.code !== ResponseCode.SUCCESS) throw new RemotingError(answer.code, answer.remark ?? "");
  return answer;
}

/** An answer of success; undefined where the code is `absent`, which says that there is no such thing. */
export async function askFor(
  peer: AdminPeer,
  absent: number,
  code: number,
  fields?: Fields,
): Promise<Command | undefined> {
  const answer = await answerTo(peer, code, fields);
  if (answer.code === absent) return undefined;
  if (answer.code !== ResponseCode.SUCCESS) throw new RemotingError(answer.code, answer.remark ?? "");
  return answer;
}

/** An answer of any code. */
export function answerTo(
  { peer, timeoutMs }: AdminPeer,
  code: number,
  fields?: Fields,
  body?: Uint8Array,
): Promise<Command> {
  return peer.request({ code, fields, body }, timeoutMs);
}
