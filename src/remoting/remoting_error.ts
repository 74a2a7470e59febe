// SPDX-License-Identifier: Apache-2.0
/** An outcome that a client is told by code and remark. Handlers throw it; `Dispatch` alone answers it. */
export class RemotingError extends Error {
  override name = "RemotingError";

  constructor(readonly code: number, readonly remark: string, options?: { cause?: unknown }) {
    super(remark, options);
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
