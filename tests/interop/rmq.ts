// SPDX-License-Identifier: Apache-2.0
/**
 * `rmq` as a child process: the executable that RMQ_EXECUTABLE names, or else the sources under the runtime that runs
 * the tests.
 */
import { connect } from "node:net";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Child } from "./child.ts";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** Starts `rmq` with these arguments, and waits for nothing. */
export function spawnRmq(args: readonly string[], name: string): Child {
  const [command, ...first] = rmqCommand();
  return new Child(command, [...first, ...args], { name });
}

/** Starts `rmq` with these arguments and waits until it accepts connections at `port`. */
export async function startRmq(
  args: readonly string[],
  options: { name: string; port: number },
): Promise<Child> {
  const child = spawnRmq(args, options.name);
  const deadline = Date.now() + 30_000;
  while (!await accepts(options.port)) {
    if (!child.isRunning) {
      throw new Error(`${options.name} ended (${await child.ended}) at its start\n${child.tail()}`);
    }
    if (Date.now() > deadline) {
      await child.kill();
      throw new Error(`${options.name} does not listen at ${options.port} after 30 s\n${child.tail()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return child;
}

function rmqCommand(): string[] {
  const executable = process.env.RMQ_EXECUTABLE;
  if (executable) return [executable];
  return "Deno" in globalThis ? [process.execPath, "run", "-A", main] : [process.execPath, "run", main];
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => (socket.destroy(), resolve(true)));
    socket.once("error", () => (socket.destroy(), resolve(false)));
  });
}
