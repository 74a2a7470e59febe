// SPDX-License-Identifier: Apache-2.0
/** What one frame says, in either direction. [RMQ RemotingCommand] */
import type { Fields } from "../protocol/header.ts";

export const FLAG_RESPONSE = 1;
export const FLAG_ONEWAY = 2;

/** Header encodings; every frame names its own. */
export const SerializeType = { JSON: 0, ROCKETMQ: 1 } as const;
export type SerializeType = typeof SerializeType[keyof typeof SerializeType];

/** A decoded frame. */
export interface Command {
  code: number;
  /** Index into `LANGUAGES`; -1 where the peer named none that we know. */
  language: number;
  version: number;
  /** Correlates a response with its request; each direction of a connection counts for itself. */
  opaque: number;
  /** `FLAG_RESPONSE`, `FLAG_ONEWAY`. */
  flag: number;
  remark: string | null;
  fields: Fields | null;
  /** A view into received bytes: stays valid, must not be changed. Null where the frame has no body bytes. */
  body: Uint8Array | null;
  serializeType: SerializeType;
}

/** What a handler answers. */
export interface Response {
  code: number;
  remark?: string;
  fields?: Fields;
  /** Several pieces are sent one after the other, without being joined first; they must not change any more. */
  body?: Uint8Array | readonly Uint8Array[];
}

/** What we ask of a peer. */
export interface OutgoingRequest {
  code: number;
  fields?: Fields;
  body?: Uint8Array;
}
