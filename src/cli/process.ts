// SPDX-License-Identifier: Apache-2.0
import process from "node:process";
import type { Surroundings } from "./command.ts";

/** Terminals understand it as: empty the line from here on. */
const ERASE_REST = "\x1b[K";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

export interface ProcessSurroundings extends Surroundings {
  /** Ends the process once everything is written out. */
  exit(status: number): Promise<void>;
}

/**
 * The real process. The first SIGTERM or SIGINT asks for an orderly end; a second one doesn't wait for it: what
 * was acknowledged is safe, and the next start recovers.
 */
export function processSurroundings(): ProcessSurroundings {
  // Whoever read our output may be gone (`rmq broker -p | head`); that is no reason to fail.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  return {
    print: (text) => void process.stdout.write(text),
    printOut: (text) => writeOut(process.stdout, text),
    showProgress: process.stderr.isTTY
      ? (text) => void process.stderr.write(`\r${text}${ERASE_REST}${text === "" ? "" : "\r"}`)
      : undefined,
    complain: (text) => void process.stderr.write(text),
    stopRequested: stopRequest(),
    async exit(status) {
      await Promise.all([process.stdout, process.stderr].map(written));
      process.exit(status);
    },
  };
}

function stopRequest(): Promise<void> {
  return new Promise((resolve) => {
    let isRequested = false;
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        if (isRequested) process.exit(1);
        isRequested = true;
        resolve();
      });
    }
  });
}

/** Resolves when what was written before has gone out, or can't. */
async function written(stream: NodeJS.WriteStream): Promise<void> {
  await writeOut(stream, "");
}

/** Resolves when a text has gone out. @returns false when it can't */
function writeOut(stream: NodeJS.WriteStream, text: string): Promise<boolean> {
  return new Promise((resolve) => void stream.write(text, (error) => resolve(!error)));
}
