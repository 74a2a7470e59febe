// SPDX-License-Identifier: Apache-2.0

/** An expression that can't be. The message says where, for the person who wrote it. */
export class ExpressionError extends Error {
  override name = "ExpressionError";

  /** @param at index of the character at which it goes wrong */
  constructor(reason: string, readonly at: number) {
    super(`at character ${at + 1}: ${reason}`);
  }
}
