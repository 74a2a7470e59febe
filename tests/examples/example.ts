// SPDX-License-Identifier: Apache-2.0
/** Runs the programs in `examples/` as their readers do, against a broker of the test's own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { compileJava, startJava } from "../interop/apache.ts";
import { Child } from "../interop/child.ts";

const examples = fileURLToPath(new URL("../../examples", import.meta.url));
const TIMEOUT_MS = 60_000;

/** What `examples/typescript/NAME.ts` prints, line by line. */
export async function runTypeScript(name: string, ...args: string[]): Promise<string[]> {
  const path = join(examples, "typescript", `${name}.ts`);
  const run = "Deno" in globalThis ? ["run", "-A", path] : ["run", path];
  return await linesOf(new Child(process.execPath, [...run, ...args], { name }));
}

/** What the class of `examples/java/NAME.java` prints, with the clients of Apache 5.4.0. */
export async function runJava(name: string, ...args: string[]): Promise<string[]> {
  const home = await mkdtemp(join(tmpdir(), "rmq-example-"));
  try {
    const classes = join(home, "classes");
    await compileJava("5.4.0", [join(examples, "java", `${name}.java`)], classes);
    // consumers look for new queues every 20 seconds otherwise
    const systemProperties = { "rocketmq.client.rebalance.waitInterval": "1000" };
    return await linesOf(await startJava("5.4.0", name, args, { name, home, classes, systemProperties }));
  } finally {
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function linesOf(child: Child): Promise<string[]> {
  const lines: string[] = [];
  child.onLine((line) => lines.push(line));
  const timer = setTimeout(() => void child.kill(), TIMEOUT_MS);
  const end = await child.ended;
  clearTimeout(timer);
  if (end !== "exit code 0") throw new Error(`${child.name}: ${end}\n${child.tail()}`);
  return lines;
}
