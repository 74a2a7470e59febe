// SPDX-License-Identifier: Apache-2.0
import type { RunningWorker } from "./worker.ts";

/** One of the things that `rmq` does. */
export interface Command {
  /** One line for `rmq --help`. */
  readonly summary: string;
  /** All that `rmq COMMAND --help` prints. */
  readonly help: string;
  /**
   * Does it, to the end. What is thrown is told to the operator by its message.
   * @returns the exit status
   */
  run(args: readonly string[], surroundings: Surroundings): Promise<number>;
}

/** What a command sees of the process that it runs in. */
export interface Surroundings {
  /** Writes to the standard output. */
  print(text: string): void;
  /**
   * Writes to the standard output and waits until it has gone out, for output that may be long. Absent: `print`
   * will do. @returns false when nobody reads it any more
   */
  printOut?(text: string): Promise<boolean>;
  /** Shows on the last line of the terminal where things stand; absent where there is no terminal. */
  showProgress?(text: string): void;
  /** Writes to the standard error output. */
  complain(text: string): void;
  /** Runs another command line in a thread of its own, writing to `out`; absent in such a thread. */
  inWorker?(args: readonly string[], out: Surroundings): RunningWorker;
  /** Resolves when the process is asked to end. */
  readonly stopRequested: Promise<void>;
}
