// SPDX-License-Identifier: Apache-2.0
/** Runs command lines of administrators in this process, against a cluster in this process. */
import assert from "node:assert/strict";
import { findCommand } from "../../../src/cli/admin/mqadmin.ts";
import type { Surroundings } from "../../../src/cli/command.ts";
import { run } from "../../../src/cli/run.ts";

export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

// deno-lint-ignore no-explicit-any
type Parsed = any;

/** Command lines for one cluster. */
export class Rmq {
  readonly #nameServers: string;

  constructor(nameServers: string) {
    this.#nameServers = nameServers;
  }

  /** Runs to the end. `surroundings` adds a terminal, an operator who answers, an input. */
  async run(args: readonly string[], surroundings: Partial<Surroundings> = {}): Promise<Outcome> {
    let [out, err] = ["", ""];
    const status = await run(args, {
      print: (text) => void (out += text),
      complain: (text) => void (err += text),
      stopRequested: new Promise(() => {}),
      environment: { NAMESRV_ADDR: this.#nameServers },
      ...surroundings,
    });
    return { status, out, err };
  }

  /** What a command prints that succeeds. */
  async ok(...args: string[]): Promise<string> {
    const { status, out, err } = await this.run(args);
    assert.deepEqual([status, err], [0, ""], `rmq ${args.join(" ")}\n${out}`);
    return out;
  }

  /** The rows of a table without its heading, each as its words. */
  async rows(...args: string[]): Promise<string[][]> {
    return (await this.ok(...args)).trimEnd().split("\n").slice(1).map((line) => line.trim().split(/\s+/));
  }

  /** The sentence of a command that fails. */
  async fails(...args: string[]): Promise<string> {
    const { status, out, err } = await this.run(args);
    assert.deepEqual([status, out], [1, ""], `rmq ${args.join(" ")}\n${out}${err}`);
    return err;
  }

  /** What a command prints with --json; only keys that its help tells may occur. */
  async json(...args: string[]): Promise<Parsed> {
    const parsed = JSON.parse(await this.ok(...args, "--json"));
    await assertDocumented(args, parsed);
    return parsed;
  }

  /** The same for commands that print a document on each line. */
  async jsonLines(...args: string[]): Promise<Parsed[]> {
    const lines = (await this.ok(...args, "--json")).trimEnd().split("\n").filter((line) => line !== "");
    const documents = lines.map((line) => JSON.parse(line));
    for (const one of documents) await assertDocumented(args, one);
    return documents;
  }
}

/** Objects whose keys are data. */
const OPEN = new Set(["attributes", "addresses", "properties", "config", "runtime", "table"]);

export async function assertDocumented(args: readonly string[], parsed: Parsed): Promise<void> {
  const command = await findCommand(args.slice(0, 3).join(" ")) ??
    await findCommand(args.slice(0, 2).join(" "));
  const unknown = [...keysOf(parsed)].filter((key) => !command.json!.includes(`"${key}"`));
  assert.deepEqual(unknown, [], `keys that the help of rmq ${args.slice(0, 2).join(" ")} does not tell`);
}

function* keysOf(value: Parsed): Generator<string> {
  if (Array.isArray(value)) { for (const item of value) yield* keysOf(item); }
  else if (value !== null && typeof value === "object") {
    for (const [key, item] of Object.entries(value)) {
      yield key;
      if (!OPEN.has(key)) yield* keysOf(item);
    }
  }
}

/** A terminal of some size. */
export function terminal(columns: number, hasColours = false) {
  return { terminal: { columns, rows: 24, hasColours } };
}
