// SPDX-License-Identifier: Apache-2.0
/**
 * Child processes for the interop suite: line-wise output, waiting for a printed line, stopping by pid.
 * Whatever is still alive when this process exits is killed, so a failed run leaves no servers behind.
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";

/** Runs a synchronous clean-up when the tests are over, however they went. Each runtime tells of it in its own way. */
export function atExit(cleanUp: () => void): void {
  process.on("exit", cleanUp);
  globalThis.addEventListener?.("unload", cleanUp);
}

const alive = new Set<ChildProcess>();
atExit(() => alive.forEach((child) => child.kill("SIGKILL")));

const KEPT_LINES = 200;

interface Waiter {
  readonly pattern: RegExp;
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

export interface SpawnOptions {
  /** Shown in error messages. */
  readonly name: string;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

export class Child {
  readonly name: string;
  /** Resolves when the process has ended, with a text like `exit code 1` or `signal SIGKILL`. */
  readonly ended: Promise<string>;
  #process: ChildProcess;
  #end: string | undefined;
  #lines: string[] = [];
  #waiters = new Set<Waiter>();
  #onLine: ((line: string) => void) | undefined;

  constructor(command: string, args: readonly string[], options: SpawnOptions) {
    this.name = options.name;
    const child = spawn(command, [...args], {
      cwd: options.cwd,
      env: { RMQ_LOG_DIR: "none", ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#process = child;
    alive.add(child);
    child.stdin!.on("error", () => {}); // the end is reported by `ended`
    this.#readLines(child.stdout!, (line) => this.#onLine?.(line));
    this.#readLines(child.stderr!, () => {});
    this.ended = new Promise((resolve) => {
      const end = (text: string) => {
        if (this.#end !== undefined) return;
        this.#end = text;
        alive.delete(child);
        for (const waiter of this.#waiters) {
          waiter.reject(this.#failure(`ended (${text}) before`, waiter.pattern));
        }
        this.#waiters.clear();
        resolve(text);
      };
      child.on("error", (error) => end(error.message));
      child.on("close", (code, signal) => end(signal ? `signal ${signal}` : `exit code ${code}`));
    });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  get isRunning(): boolean {
    return this.#end === undefined;
  }

  /** Calls `listener` with every line of the standard output. */
  onLine(listener: (line: string) => void): void {
    this.#onLine = listener;
  }

  write(text: string): void {
    this.#process.stdin!.write(text);
  }

  /** The first line, printed already or later, that matches; rejects when the process ends or time is up. */
  waitForLine(pattern: RegExp, timeoutMs: number): Promise<string> {
    const printed = this.#lines.find((line) => pattern.test(line));
    if (printed !== undefined) return Promise.resolve(printed);
    if (this.#end !== undefined) return Promise.reject(this.#failure(`ended (${this.#end}) before`, pattern));
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        pattern,
        resolve: (line) => (clearTimeout(timer), resolve(line)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(this.#failure(`ran ${timeoutMs} ms without`, pattern));
      }, timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  /** Asks the process to end (SIGTERM); kills it and throws when it has not ended in time. */
  async stop(timeoutMs = 40_000): Promise<string> {
    // Not by ChildProcess.kill(): after that Deno reports the signal as the end, whatever the process made of it.
    try {
      if (this.isRunning) process.kill(this.pid, "SIGTERM");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it ended a moment ago
    }
    const end = await endedWithin(this.ended, timeoutMs);
    if (end !== undefined) return end;
    await this.kill();
    throw new Error(`${this.name} did not end within ${timeoutMs} ms of SIGTERM\n${this.tail()}`);
  }

  /** `kill -9`. */
  kill(): Promise<string> {
    this.#process.kill("SIGKILL");
    return this.ended;
  }

  /** The last lines of both outputs, for error messages. */
  tail(): string {
    return this.#lines.map((line) => `  ${this.name}| ${line}`).join("\n");
  }

  #failure(what: string, pattern: RegExp): Error {
    return new Error(`${this.name} ${what} printing ${pattern}\n${this.tail()}`);
  }

  #readLines(stream: NodeJS.ReadableStream, listener: (line: string) => void): void {
    let rest = "";
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => {
      const lines = (rest + chunk).split(/\r?\n/);
      rest = lines.pop()!;
      for (const line of lines) this.#take(line, listener);
    });
    stream.on("end", () => rest !== "" && this.#take(rest, listener));
    stream.on("error", () => {});
  }

  #take(line: string, listener: (line: string) => void): void {
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
    for (const waiter of this.#waiters) {
      if (!waiter.pattern.test(line)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(line);
    }
    listener(line);
  }
}

function endedWithin(ended: Promise<string>, timeoutMs: number): Promise<string | undefined> {
  let timer: ReturnType<typeof setTimeout>;
  const timeout = new Promise<undefined>((resolve) =>
    timer = setTimeout(() => resolve(undefined), timeoutMs)
  );
  return Promise.race([ended, timeout]).finally(() => clearTimeout(timer));
}

/** Runs a command to its end; throws with its output when it fails. */
export async function runToEnd(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): Promise<void> {
  const child = new Child(command, args, options);
  const end = await child.ended;
  if (end !== "exit code 0") throw new Error(`${options.name}: ${end}\n${child.tail()}`);
}
