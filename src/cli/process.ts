// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Surroundings, Terminal } from "./command.ts";
import { usualLogDirectory } from "./logging.ts";
import { notifyReady } from "./systemd.ts";

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
  const stopRequested = stopRequest();
  const { stdin, stdout, stderr } = process;
  return {
    terminal: stdout.isTTY ? terminalOf(stdout) : undefined,
    environment: process.env,
    ask: stdin.isTTY && stderr.isTTY ? (question) => ask(question, stopRequested) : undefined,
    readInput: stdin.isTTY ? undefined : readInput,
    readKeys: stdin.isTTY ? readKeys : undefined,
    print: (text) => void process.stdout.write(text),
    printOut: (text) => writeOut(process.stdout, text),
    showProgress: process.stderr.isTTY
      ? (text) => void process.stderr.write(`\r${text}${ERASE_REST}${text === "" ? "" : "\r"}`)
      : undefined,
    logDirectory: usualLogDirectory(),
    ready: notifyReady,
    complain: (text) => void process.stderr.write(text),
    stopRequested,
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
function writeOut(stream: NodeJS.WriteStream, text: string | Uint8Array): Promise<boolean> {
  return new Promise((resolve) => void stream.write(text, (error) => resolve(!error)));
}

/** Where a terminal does not tell its size. */
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

/** https://no-color.org: colours are unwanted where NO_COLOR says anything. */
function terminalOf(stream: NodeJS.WriteStream): Terminal {
  const { NO_COLOR, TERM } = process.env;
  return {
    get columns() {
      return stream.columns || DEFAULT_COLUMNS;
    },
    get rows() {
      return stream.rows || DEFAULT_ROWS;
    },
    hasColours: !NO_COLOR && TERM !== "dumb",
  };
}

/** On the standard error output, so that it is seen where the output goes into a file. No answer is an empty one. */
function ask(question: string, stopRequested: Promise<void>): Promise<string> {
  return new Promise((resolve) => {
    const lines = createInterface({ input: process.stdin, terminal: false });
    const answer = (text: string) => {
      // First, because closing is an answer, too: none.
      resolve(text);
      lines.close();
    };
    lines.once("line", answer);
    lines.once("close", () => resolve(""));
    void stopRequested.then(() => answer(""));
    process.stderr.write(question);
  });
}

async function readInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function readKeys(onKey: (key: string) => void): () => void {
  const { stdin } = process;
  const onData = (data: Uint8Array) => onKey(new TextDecoder().decode(data));
  stdin.setRawMode(true);
  stdin.on("data", onData);
  stdin.resume();
  return () => {
    stdin.off("data", onData);
    stdin.setRawMode(false);
    stdin.pause();
  };
}
