// SPDX-License-Identifier: Apache-2.0
import type { RunningWorker } from "./worker.ts";
import type { Options } from "./args.ts";

/** One of the things that `rmq` does. */
export interface Command {
  /** One line for `rmq --help`. */
  readonly summary: string;
  /** What it may be followed by, for completion: options, or words. */
  readonly options?: Options;
  readonly words?: readonly { readonly value: string; readonly about: string }[];
  /** All that `rmq COMMAND --help` prints. */
  readonly help: string;
  /**
   * Does it, to the end. What is thrown is told to the operator by its message.
   * @returns the exit status
   */
  run(args: readonly string[], surroundings: Surroundings): Promise<number>;
}

/** A terminal that the standard output goes to. */
export interface Terminal {
  /** Now: people resize their windows. */
  readonly columns: number;
  readonly rows: number;
  readonly hasColours: boolean;
}

/** What a command sees of the process that it runs in. */
export interface Surroundings {
  /** Writes to the standard output. */
  print(text: string): void;
  /**
   * Writes to the standard output and waits until it has gone out, for output that may be long. Absent: `print`
   * will do. @returns false when nobody reads it any more
   */
  printOut?(text: string | Uint8Array): Promise<boolean>;
  /** Shows on the last line of the terminal where things stand; absent where there is no terminal. */
  showProgress?(text: string): void;
  /** Writes to the standard error output. */
  complain(text: string): void;
  /** Tells who started the process that it does now what it was started for; absent: nobody wants to know. */
  ready?(status: string): void;
  /** Directory of log files unless the command line names one; absent: none are written. */
  readonly logDirectory?: string;
  /** Runs another command line in a thread of its own, writing to `out`; absent in such a thread. */
  inWorker?(args: readonly string[], out: Surroundings): RunningWorker;
  /** Absent where the output goes elsewhere. */
  readonly terminal?: Terminal;
  /** Variables of the environment. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Asks the operator and gives the line of the answer; absent where nobody can be asked. */
  ask?(question: string): Promise<string>;
  /** The standard input to its end; absent where it is a terminal. */
  readInput?(): Promise<Uint8Array>;
  /** Hands on each key as it is pressed; absent without a keyboard. @returns what ends it */
  readKeys?(onKey: (key: string) => void): () => void;
  /** Resolves when the process is asked to end. */
  readonly stopRequested: Promise<void>;
}
