// SPDX-License-Identifier: Apache-2.0
/**
 * Work put off to the end of the current turn of the event loop, so that what one turn brought in is done
 * at once: one write to the log for all appends, then one socket write per connection for all answers.
 *
 * A turn ends when every socket that was ready has been read. All "write" callbacks run before the first
 * "send" callback, with the promises that they settle in between, so answers released by a write leave in
 * the same turn.
 */
import { getLogger } from "@logtape/logtape";
import { setImmediate } from "node:timers";

export type TurnPhase = "write" | "send";

const logger = getLogger(["rmq", "base"]);
const writes: (() => void)[] = [];
const sends: (() => void)[] = [];
let scheduled = false;

/**
 * Calls `callback` once at the end of this turn, in the order of the calls within its phase. Callers keep
 * one function and remember that they are waiting, rather than make a new function each time. A "write"
 * asked for by a "send" callback belongs to the next turn. What a callback throws is logged.
 */
export function atEndOfTurn(phase: TurnPhase, callback: () => void): void {
  (phase === "write" ? writes : sends).push(callback);
  if (!scheduled) schedule();
}

function schedule(): void {
  scheduled = true;
  // Two immediates of one turn: promise callbacks run between them.
  setImmediate(endWrites);
  setImmediate(endSends);
}

function endWrites(): void {
  run(writes);
}

function endSends(): void {
  scheduled = false;
  // Asked for by promise callbacks after this turn's writes.
  if (writes.length > 0) schedule();
  run(sends);
}

/** Callbacks that join while the phase runs are part of it. */
function run(callbacks: (() => void)[]): void {
  for (let i = 0; i < callbacks.length; i++) {
    try {
      callbacks[i]();
    } catch (error) {
      logger.error("a callback at the end of a turn failed: {error}", { error });
    }
  }
  callbacks.length = 0;
}
