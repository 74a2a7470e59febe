// SPDX-License-Identifier: Apache-2.0
import type { Fields } from "../protocol/header.ts";

/** An outcome that a client is told by code and remark. Handlers throw it; `Dispatch` alone answers it. */
export class RemotingError extends Error {
  override name = "RemotingError";

  /** Fields of the answer, where the client expects any with this code. */
  readonly fields: Fields | undefined;

  constructor(
    readonly code: number,
    readonly remark: string,
    options?: { cause?: unknown; fields?: Fields },
  ) {
    super(remark, options);
    this.fields = options?.fields;
  }
}

/** A peer could not be reached, the connection broke, or no answer came in time. */
export class RemotingIoError extends Error {
  override name = "RemotingIoError";
}

/** Bytes that are no frame, or a frame whose header can't be read: the connection is closed without an answer. */
export class FrameError extends Error {
  override name = "FrameError";
}
