// SPDX-License-Identifier: Apache-2.0
/**
 * The Java side: compiles `java/` (and `java/v5/` for 5.x clients) against a version's class path and runs scenarios
 * and mqadmin commands in one JVM. See `java/interop/Driver.java` for the lines that go to and fro.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ApacheVersion, compileJava, startJava } from "./apache.ts";
import type { Child } from "./child.ts";
import type { Workspace } from "./servers.ts";

const here = fileURLToPath(new URL(".", import.meta.url));

/** One printed line: its kind and its fields. */
export interface Line {
  readonly kind: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** What a scenario printed. */
export class Result {
  readonly lines: readonly Line[];
  /** Why it failed, or undefined. */
  readonly failure: string | undefined;

  constructor(lines: readonly Line[], failure: string | undefined) {
    this.lines = lines;
    this.failure = failure;
  }

  /** The fields of all lines of a kind, in the order they were printed. */
  all(kind: string, where: Record<string, string> = {}): Readonly<Record<string, string>>[] {
    return this.lines.filter((line) =>
      line.kind === kind && Object.entries(where).every(([name, value]) => line.fields[name] === value)
    ).map((line) => line.fields);
  }

  /** The value of the line `VALUE name=... value=...`. */
  value(name: string): string | undefined {
    return this.all("VALUE", { name }).at(-1)?.value;
  }

  /** All values of one field in the lines of a kind. */
  column(kind: string, field: string, where: Record<string, string> = {}): string[] {
    return this.all(kind, where).map((fields) => fields[field]);
  }
}

/** A scenario that waits for its release. */
export interface Held {
  readonly result: Promise<Result>;
  release(): void;
  /** Resolves when the scenario has printed a line of this kind. */
  printed(kind: string): Promise<void>;
}

interface Pending {
  readonly lines: Line[];
  readonly listeners: Set<() => void>;
  readonly resolve: (result: Result) => void;
}

export class Driver {
  readonly version: ApacheVersion;
  #child: Child;
  #pending = new Map<string, Pending>();
  #nextId = 0;

  private constructor(version: ApacheVersion, child: Child) {
    this.version = version;
    this.#child = child;
    child.onLine((line) => this.#take(line));
    child.ended.then((end) => this.#failAll(`the driver ended (${end})\n${child.tail()}`));
  }

  /** @param systemProperties of the JVM, such as periods of clients */
  static async start(
    version: ApacheVersion,
    workspace: Workspace,
    systemProperties?: Record<string, string>,
  ): Promise<Driver> {
    const classes = await workspace.directory(`classes-${version}`);
    await compileJava(version, await sources(version), classes);
    const home = await workspace.directory(`driver-${version}`);
    const child = await startJava(version, "interop.Driver", [], {
      name: `driver-${version}`,
      home,
      classes,
      systemProperties,
    });
    await child.waitForLine(/ READY/, 30_000);
    return new Driver(version, child);
  }

  /** Runs a scenario; several run at a time. Never rejects: a failure is in the result. */
  run(scenario: string, args: Record<string, string | number>): Promise<Result> {
    const words = Object.entries(args).map(([name, value]) => `${name}=${value}`);
    return this.#command("RUN", [scenario, ...words]);
  }

  /** Starts a scenario that goes on, at some point, only when it is released. */
  hold(scenario: string, args: Record<string, string | number>): Held {
    const id = String(this.#nextId + 1);
    const result = this.run(scenario, args);
    return {
      result,
      release: () => this.#child.write(`${id} RELEASE\n`),
      printed: (kind) => this.#printed(id, kind),
    };
  }

  /** Runs a scenario that must not fail. */
  async mustRun(scenario: string, args: Record<string, string | number>): Promise<Result> {
    const result = await this.run(scenario, args);
    if (result.failure) throw new Error(`${scenario} (${this.version}) failed: ${result.failure}`);
    return result;
  }

  /** Everything an mqadmin command printed. */
  async admin(...args: string[]): Promise<string> {
    const result = await this.#command("ADMIN", args);
    if (result.failure) throw new Error(`mqadmin ${args.join(" ")} failed: ${result.failure}`);
    return result.all("OUTPUT")[0]?.text ?? "";
  }

  stop(): Promise<string> {
    return this.#child.stop();
  }

  #command(verb: string, words: readonly string[]): Promise<Result> {
    return new Promise((resolve) => {
      if (!this.#child.isRunning) return resolve(new Result([], "the driver is not running"));
      const id = String(++this.#nextId);
      this.#pending.set(id, { lines: [], listeners: new Set(), resolve });
      this.#child.write([id, verb, ...words.map(encodeURIComponent)].join(" ") + "\n");
    });
  }

  #printed(id: string, kind: string): Promise<void> {
    const pending = this.#pending.get(id);
    return new Promise((resolve, reject) => {
      const look = () => {
        if (pending?.lines.some((line) => line.kind === kind)) resolve();
        else if (this.#pending.get(id) === undefined) reject(new Error(`it ended without printing ${kind}`));
      };
      pending?.listeners.add(look);
      look();
    });
  }

  #take(text: string): void {
    const [id, kind, ...words] = text.split(" ");
    const pending = this.#pending.get(id);
    if (!pending) return;
    const fields = Object.fromEntries(words.map((word) => {
      const equals = word.indexOf("=");
      return [word.slice(0, equals), decodeURIComponent(word.slice(equals + 1).replaceAll("+", " "))];
    }));
    if (kind !== "DONE" && kind !== "FAILED") {
      pending.lines.push({ kind, fields });
      for (const listener of pending.listeners) listener();
      return;
    }
    this.#pending.delete(id);
    for (const listener of pending.listeners) listener();
    pending.resolve(new Result(pending.lines, kind === "FAILED" ? fields.reason : undefined));
  }

  #failAll(reason: string): void {
    for (const pending of this.#pending.values()) pending.resolve(new Result(pending.lines, reason));
    this.#pending.clear();
  }
}

async function sources(version: ApacheVersion): Promise<string[]> {
  const directories = version.startsWith("5.") ? ["java", join("java", "v5")] : ["java"];
  const files = await Promise.all(directories.map(async (directory) => {
    const path = join(here, directory, "interop");
    return (await readdir(path)).filter((name) => name.endsWith(".java")).map((name) => join(path, name));
  }));
  return files.flat();
}
