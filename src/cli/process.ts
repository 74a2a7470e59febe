// SPDX-License-Identifier: Apache-2.0
import process from "node:process";
import type { Surroundings } from "./command.ts";

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
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write("", () => resolve()));
}
