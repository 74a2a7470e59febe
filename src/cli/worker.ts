// SPDX-License-Identifier: Apache-2.0
/**
 * Commands that run in worker threads of this process, so that several brokers fill a machine: each has its own event
 * loop and memory. A worker is this program once more; what it writes, and that it ended, it tells by messages.
 */
import { parentPort, Worker, workerData } from "node:worker_threads";
import type { Surroundings } from "./command.ts";

/** From a worker. */
type Told = { print: string } | { complain: string } | { ready: string } | { ended: number };
const STOP = "stop";

/** A command line that runs in a thread of its own. */
export interface RunningWorker {
  /** Resolves to the exit status; to 1 where the thread died. Never rejects. */
  readonly ended: Promise<number>;
  /** Asks for an orderly end. */
  stop(): void;
}

/** @param program the module that the process was started with */
export function startWorker(program: string, args: readonly string[], out: Surroundings): RunningWorker {
  const worker = new Worker(new URL(program), { workerData: { args } });
  const { promise: ended, resolve } = Promise.withResolvers<number>();
  const end = (status: number) => {
    resolve(status);
    void worker.terminate();
  };
  worker.on("message", (told: Told) => {
    if ("print" in told) out.print(told.print);
    else if ("complain" in told) out.complain(told.complain);
    else if ("ready" in told) out.ready?.(told.ready);
    else end(told.ended);
  });
  worker.on("error", (error) => {
    out.complain(`${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
    end(1);
  });
  worker.on("exit", () => resolve(1));
  return { ended, stop: () => worker.postMessage(STOP) };
}

/** The other side: what a command in a worker sees of the process, and what it was told to do. */
export function workerSurroundings(): {
  args: readonly string[];
  surroundings: Surroundings;
  exit(status: number): void;
} {
  const port = parentPort!;
  const tell = (told: Told) => port.postMessage(told);
  const stopRequested = new Promise<void>((resolve) => {
    port.on("message", (asked) => {
      if (asked === STOP) resolve();
    });
  });
  return {
    args: (workerData as { args: readonly string[] }).args,
    surroundings: {
      print: (text) => tell({ print: text }),
      complain: (text) => tell({ complain: text }),
      ready: (status) => tell({ ready: status }),
      stopRequested,
    },
    exit: (status) => tell({ ended: status }),
  };
}
