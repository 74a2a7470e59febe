// SPDX-License-Identifier: Apache-2.0
import type { Surroundings } from "../command.ts";

/** The operator said no, or can't be asked. */
export class NotConfirmedError extends Error {
  override name = "NotConfirmedError";
}

/**
 * Asks before something is destroyed.
 * @param what a sentence without its question mark, such as "Delete the topic orders"
 * @throws NotConfirmedError unless the answer is yes
 */
export async function confirm({ ask }: Surroundings, isYes: boolean, what: string): Promise<void> {
  if (isYes) return;
  if (ask === undefined) {
    throw new NotConfirmedError(`${what}? Nobody can be asked here: say --yes if that is wanted.`);
  }
  const answer = (await ask(`${what}? [y/N] `)).trim().toLowerCase();
  if (answer !== "y" && answer !== "yes") throw new NotConfirmedError("nothing was changed.");
}
